//! Notes about the disks: a scrub's state, packs that could not be read, and a record of losses. The frame is made right first, or nothing would be
//! reached behind it.
#![no_main]

use larder_format::Hash;
use larder_format::care::{CARE_MAGIC, Losses, Round, Suspects, decode, encode};

fn read(bytes: &[u8]) {
    if let Ok(round) = decode::<Round>(bytes) {
        assert_eq!(decode(&encode(&round)), Ok(round));
    }
    if let Ok(losses) = decode::<Losses>(bytes) {
        assert_eq!(decode(&encode(&losses)), Ok(losses));
    }
    if let Ok(suspects) = decode::<Suspects>(bytes) {
        assert_eq!(decode(&encode(&suspects)), Ok(suspects));
    }
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    read(bytes);
    let mut framed = [&CARE_MAGIC[..], &[1, 0, 1, 0], bytes].concat();
    let hash = Hash::of(&framed);
    framed.extend_from_slice(&hash.0);
    read(&framed);
});
