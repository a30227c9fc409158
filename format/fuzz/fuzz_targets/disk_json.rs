//! `disk.json` of a pulled disk. Where all four values can be read, the check is made right, or nothing behind it would be
//! reached.
#![no_main]

use larder_client::fuzzing::disk_json;
use larder_format::Hash;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = disk_json(bytes);
    let Ok(mut json) = serde_json::from_slice::<serde_json::Value>(bytes) else { return };
    let number = |key: &str| json.get(key)?.as_u64();
    let text = |key: &str| Some(json.get(key)?.as_str()?.to_owned());
    let values = (number("format"), number("oldest_reader"), text("vault"), text("disk"));
    let (Some(format), Some(oldest), Some(vault), Some(disk)) = values else { return };
    let check = Hash::of(format!("{format} {oldest} {vault} {disk}").as_bytes()).to_string();
    json["check"] = check.into();
    assert!(disk_json(json.to_string().as_bytes()));
});
