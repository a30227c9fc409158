//! Where a scrub stands, kept on the disk that it reads: a disk that moves to another box goes on where it was.
//!
//! Each step writes a small file under a new number and takes the old one away, since nothing is ever replaced. Losing
//! it only begins the round again.

use crate::disk::{Disk, read_whole, write_whole};
use larder_format::care::{self, Round};
use std::io;

const FOLDER: &str = "scrub";
const PART: &str = "open/scrub.part";
const STATE_BYTES_MAX: u64 = 64 * 1024;

/// The newest state that is whole.
pub(super) fn read(disk: &dyn Disk) -> Round {
    let mut numbers = numbers_on(disk).unwrap_or_default();
    while let Some(number) = numbers.pop() {
        let bytes = read_whole(disk, &path(number), STATE_BYTES_MAX).ok();
        if let Some(Ok(round)) = bytes.map(|bytes| care::decode(&bytes)) {
            return round;
        }
    }
    Round::default()
}

/// Writes the state durable under the next number, and takes away those before.
pub(super) fn write(disk: &dyn Disk, round: &Round) -> io::Result<()> {
    let old = numbers_on(disk)?;
    let number = old.last().map_or(1, |last| last + 1);
    write_whole(disk, PART, &path(number), &care::encode(round))?;
    old.into_iter().try_for_each(|old| match disk.remove(&path(old)) {
        // It may be called otherwise, as by hand: that is no failure of the disk.
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    })
}

fn path(number: u64) -> String {
    format!("{FOLDER}/{number:016}.state")
}

/// In rising order.
fn numbers_on(disk: &dyn Disk) -> io::Result<Vec<u64>> {
    let items = disk.list(FOLDER)?;
    let mut numbers: Vec<u64> =
        items.iter().filter_map(|item| item.name.strip_suffix(".state")?.parse().ok()).collect();
    numbers.sort_unstable();
    Ok(numbers)
}
