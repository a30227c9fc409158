//! A disk after a power cut: every synced byte, and of the rest as much as a seed decides.
//!
//! Each pending write has a separate fate, so that writes reach the medium in any order, inside one file and across
//! files. Names are lost apart from bytes, and the two halves of a rename apart from each other: afterwards a file
//! may have both names or neither.

use super::{Inode, MediumState, Name, apply, folder_of, overlay};
use crate::disk::Dice;
use std::sync::Arc;

/// Sector size of this medium: less than any real disk, so that small files have holes too.
const SECTOR_BYTES: usize = 64;

/// How many pending writes survive.
#[derive(Clone, Copy)]
enum Mood {
    Everything,
    Nothing,
    Some,
}

/// The fate of one write.
enum Fate {
    Kept,
    Lost,
    /// Only the beginning was written.
    Torn,
    /// Some sectors were written, in no order.
    Holes,
    /// The file's new length was written, and its bytes were not.
    Zeros,
    /// As `Zeros`, and old bytes of the medium show.
    Stale,
}

/// Loses unsynced writes, as `dice` says.
pub(super) fn lose_unsynced(state: &mut MediumState, mut dice: Dice) {
    let mood = match dice.below(4) {
        0 => Mood::Everything,
        1 => Mood::Nothing,
        _ => Mood::Some,
    };
    for inode in &mut state.inodes {
        lose_bytes(inode, mood, &mut dice);
    }
    for folder in state.folders.values_mut() {
        for (name, change) in std::mem::take(&mut folder.pending) {
            if matches!(fate(mood, &mut dice), Fate::Kept) {
                apply(&mut folder.durable, name, change);
            }
        }
        folder.current.clone_from(&folder.durable);
    }
    lose_nameless_folders(state);
    state.count_used();
}

fn lose_bytes(inode: &mut Inode, mood: Mood, dice: &mut Dice) {
    for (at, write) in std::mem::take(&mut inode.pending) {
        let bytes = Arc::make_mut(&mut inode.durable);
        match fate(mood, dice) {
            Fate::Lost => {}
            Fate::Kept => overlay(bytes, at, &write),
            Fate::Torn => overlay(bytes, at, &write[..dice.below(write.len())]),
            Fate::Zeros => overlay(bytes, at, &vec![0; write.len()]),
            Fate::Stale => {
                let stale: Vec<u8> = write.iter().map(|_| dice.roll().to_le_bytes()[0]).collect();
                overlay(bytes, at, &stale);
            }
            Fate::Holes => {
                for (sector, part) in write.chunks(SECTOR_BYTES).enumerate() {
                    if dice.one_in(2) {
                        overlay(bytes, at + sector * SECTOR_BYTES, part);
                    }
                }
            }
        }
    }
    inode.current = inode.durable.clone();
    inode.has_lost = false;
}

/// A folder whose own name was lost is gone with its whole content.
fn lose_nameless_folders(state: &mut MediumState) {
    let is_named = |path: &str| {
        let mut rest = path;
        while !rest.is_empty() {
            let (parent, name) = (folder_of(rest), rest.rsplit('/').next().unwrap_or_default());
            if state.folders.get(parent).is_none_or(|f| f.current.get(name) != Some(&Name::Folder)) {
                return false;
            }
            rest = parent;
        }
        true
    };
    let lost: Vec<_> = state.folders.keys().filter(|path| !is_named(path)).cloned().collect();
    lost.iter().for_each(|path| drop(state.folders.remove(path)));
}

fn fate(mood: Mood, dice: &mut Dice) -> Fate {
    match (mood, dice.below(8)) {
        (Mood::Everything, _) | (Mood::Some, 0..=2) => Fate::Kept,
        (Mood::Some, 3) => Fate::Torn,
        (Mood::Some, 4) => Fate::Holes,
        (Mood::Some, 5) => {
            if dice.one_in(2) {
                Fate::Zeros
            } else {
                Fate::Stale
            }
        }
        (Mood::Nothing, _) | (Mood::Some, _) => Fate::Lost,
    }
}
