//! The index of names: damaged files end a search, and stop nothing; what was written is read. Random bytes end at the checks of
//! a block, so the records behind the checks are only reached with paths that the encoder wrote.
#![no_main]

use larder_format::names::{NameChange, NamesEncoder, NamesMark, Coverage, file_header, read_file};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    read_file(bytes);
    let mut file = file_header(&[7; 16]).to_vec();
    file.extend_from_slice(bytes);
    read_file(&file);
    let mut encoder = NamesEncoder::default();
    let mut told = 0;
    for path in bytes.split(|byte| *byte == 0) {
        encoder.push(&NameChange { path, came: path.len() % 2 == 0, is_folder: path.len() % 3 == 0 });
        told += 1;
    }
    file.truncate(file_header(&[7; 16]).len());
    file.extend_from_slice(&encoder.finish(NamesMark { snapshot: 1, root: 2, told: Coverage::Whole }));
    assert_eq!(read_file(&file), told);
});
