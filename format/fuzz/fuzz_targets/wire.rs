//! JSON of control messages: requests from devices, answers from whatever listens at an address. The first byte chooses
//! the message.
#![no_main]

use larder_format::wire;
use serde::{Serialize, de::DeserializeOwned};

fn check<T: DeserializeOwned + Serialize + PartialEq + core::fmt::Debug>(bytes: &[u8]) {
    let Ok(message) = serde_json::from_slice::<T>(bytes) else { return };
    let again = serde_json::to_vec(&message).expect("what was read can be written");
    assert_eq!(serde_json::from_slice::<T>(&again).expect("and read again"), message);
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    match kind % 11 {
        0 => check::<wire::Received>(bytes),
        1 => check::<wire::Commit>(bytes),
        2 => check::<wire::Receipt>(bytes),
        3 => check::<wire::Identity>(bytes),
        4 => check::<wire::SnapshotInfo>(bytes),
        5 => check::<Vec<wire::SourceInfo>>(bytes),
        6 => check::<Vec<wire::EntryInfo>>(bytes),
        7 => check::<Vec<wire::VersionInfo>>(bytes),
        8 => check::<Vec<wire::Change>>(bytes),
        9 => check::<wire::Problem>(bytes),
        _ => check::<larder_format::ledger::Head>(bytes),
    }
});
