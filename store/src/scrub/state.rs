//! Where a scrub stands, kept on the disk that it reads: a disk that moves to another box goes on where it was.
//!
//! Each step writes a small file under a new number and takes the old one away, since nothing is ever replaced. Losing
//! it only begins the round again.

use super::Round;
use crate::disk::{Disk, read_whole, write_whole};
use larder_format::Hash;
use std::io;

const FOLDER: &str = "scrub";
const PART: &str = "open/scrub.part";
const STATE_BYTES_MAX: u64 = 64 * 1024;
const CHECK_CHARS: usize = 64;

/// The newest state that is whole, and its number.
pub(super) fn read(disk: &dyn Disk) -> (u64, Round) {
    let mut numbers = numbers_on(disk).unwrap_or_default();
    while let Some(number) = numbers.pop() {
        let bytes = read_whole(disk, &path(number), STATE_BYTES_MAX).ok();
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        let round = text.as_deref().and_then(|text| {
            let (check, text) = text.split_at_checked(CHECK_CHARS)?;
            (Hash::of(text.as_bytes()).to_string() == check).then(|| serde_json::from_str(text).ok())?
        });
        if let Some(round) = round {
            return (number, round);
        }
    }
    (0, Round::default())
}

/// Writes the state durable under the next number, and takes away those before.
pub(super) fn write(disk: &dyn Disk, number: u64, round: &Round) -> io::Result<()> {
    let text = serde_json::to_string(round).expect("plain values encode");
    let bytes = format!("{}{text}", Hash::of(text.as_bytes())).into_bytes();
    match write_whole(disk, PART, &path(number), &bytes) {
        // A damaged one of that number: it is none.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            disk.remove(&path(number))?;
            write_whole(disk, PART, &path(number), &bytes)?;
        }
        written => written?,
    }
    for old in numbers_on(disk)?.into_iter().filter(|old| *old < number) {
        disk.remove(&path(old))?;
    }
    Ok(())
}

fn path(number: u64) -> String {
    format!("{FOLDER}/{number:016}.json")
}

/// In rising order.
fn numbers_on(disk: &dyn Disk) -> io::Result<Vec<u64>> {
    let items = disk.list(FOLDER)?;
    let mut numbers: Vec<u64> =
        items.iter().filter_map(|item| item.name.strip_suffix(".json")?.parse().ok()).collect();
    numbers.sort_unstable();
    Ok(numbers)
}
