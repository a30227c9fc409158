//! Records of the client's cache, with checksums that are right. Each part of the folder has its length before it, in two
//! bytes; the last one takes what is left.
#![no_main]

use std::{path::PathBuf, sync::OnceLock};

static FOLDER: OnceLock<PathBuf> = OnceLock::new();

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let folder = FOLDER.get_or_init(|| {
        // Memory, where there is a folder in memory: a disk would be the slowest part.
        let memory = PathBuf::from("/dev/shm");
        let place = if memory.is_dir() { memory } else { std::env::temp_dir() };
        let folder = place.join(format!("larder-fuzz-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        folder
    });
    let (mut parts, mut rest) = (Vec::new(), bytes);
    while let Some((len, after)) = rest.split_first_chunk::<2>() {
        let len = usize::from(u16::from_le_bytes(*len)).min(after.len());
        parts.push(&after[..len]);
        rest = &after[len..];
    }
    let entries = larder_client::fuzzing::cache(folder, &parts);
    assert!(entries <= bytes.len(), "each entry has bytes of its own");
});
