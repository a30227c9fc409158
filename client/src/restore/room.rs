//! Whether there is room for what is to come back, before the first byte.
//!
//! A restore that cannot fit would fail after hours, and leave half of everything. What an earlier run brought back
//! already needs no room again. Sizes are an estimate: a file with holes takes less than its size, and so does any file
//! on a disk that compresses; the owner has a word against the check. Not here: a disk that becomes full on the way
//! (`site`).

use crate::{
    ClientError, NotWritten,
    platform::{FileKind, KindHint, OpenFolder},
};
use std::path::Path;

/// Refuses a restore of `needed` bytes into `to` that cannot fit. The target may not be there yet.
pub(crate) fn check_room(to: &Path, needed: u64) -> Result<(), ClientError> {
    let Some(folder) = nearest(to) else { return Ok(()) };
    // Without an answer of the system nothing is known, and the disk itself will tell.
    let Ok(free) = folder.as_ref().free_bytes() else { return Ok(()) };
    if needed <= free || to.is_dir() && needed <= free.saturating_add(bytes_below(&folder)) {
        return Ok(());
    }
    Err(ClientError::Unwritten { path: to.to_owned(), why: NotWritten::NoRoom { needed, free } })
}

/// Bytes free where `to` is or will be; nothing where the system does not say.
pub(crate) fn free_at(to: &Path) -> Option<u64> {
    nearest(to)?.as_ref().free_bytes().ok()
}

/// The folder, or the nearest folder above that is there.
fn nearest(to: &Path) -> Option<OpenFolder> {
    let here = std::path::absolute(to).unwrap_or_else(|_| to.to_owned());
    here.ancestors().find_map(|path| OpenFolder::open(path).ok())
}

/// Folders that are looked through at most; whoever has more there has another restore in mind.
const FOLDERS_MAX: usize = 100_000;

/// Bytes of all files below, as far as they can be read.
fn bytes_below(top: &OpenFolder) -> u64 {
    let (mut bytes, mut room) = (0u64, Vec::new());
    let mut waiting: Vec<OpenFolder> = top.as_ref().keep().into_iter().collect();
    let mut looked_at = 0;
    while let Some(folder) = waiting.pop() {
        looked_at += 1;
        let folder = folder.as_ref();
        let Ok(mut names) = folder.list(&mut room) else { continue };
        folder.settle_hints(&mut names);
        for position in 0..names.len() {
            let name = names.name(position);
            if names.hint(position) != KindHint::Folder {
                let size = folder.status_at(name).map(|status| match status.kind {
                    FileKind::File => status.size,
                    _ => 0,
                });
                bytes = bytes.saturating_add(size.unwrap_or(0));
            // Each waiting folder is open; the rest is passed over, and then counts as missing.
            } else if looked_at < FOLDERS_MAX
                && waiting.len() < OPEN_MAX
                && let Ok(below) = folder.open_folder(name)
            {
                waiting.push(below);
            }
        }
    }
    bytes
}

/// Folders that are open at once.
const OPEN_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_never_fit_is_refused_with_both_numbers() {
        let place = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(place.path().join("below")).expect("made");
        std::fs::write(place.path().join("below/a"), [7; 5000]).expect("written");
        let folder = OpenFolder::open(place.path()).expect("opens");
        assert_eq!(bytes_below(&folder), 5000);
        assert!(check_room(&place.path().join("new/folder"), 1).is_ok());
        let refused = check_room(&place.path().join("new"), u64::MAX).expect_err("no disk is that large");
        assert_eq!(refused.exit_code(), 1);
        let ClientError::Unwritten { why: NotWritten::NoRoom { needed: u64::MAX, free }, .. } = refused
        else {
            panic!("{refused:?}")
        };
        assert!(free > 0);
    }
}
