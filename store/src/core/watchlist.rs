//! Packs that a disk could not read, with the number of attempts.
//!
//! Not here: the time and the outcome of an attempt (`upkeep::repair`).

use larder_format::Hash;
use larder_format::care::{Suspect, Suspects};
use larder_format::ledger::WallStamp;
use std::collections::BTreeMap;

/// Least distance between two attempts that count, in seconds of running.
const ATTEMPTS_APART_S: u64 = 8 * 3600;

/// Limit of noted packs for one disk, half a megabyte. Attempts on further packs begin again, so such packs are not
/// given up.
const NOTED_MAX: usize = 10_000;

/// Known facts about one disk's unreadable packs.
#[derive(Default)]
pub(crate) struct Watchlist {
    pub(crate) noted: Suspects,
    /// The disk has an older version.
    pub(crate) is_changed: bool,
}

/// By the disk's name; a disk has a key once its notes were read.
pub(crate) type Watchlists = BTreeMap<String, Watchlist>;

impl Watchlist {
    /// Notes a failed attempt; returns how many count by now.
    pub(crate) fn failed(&mut self, pack: Hash, now: WallStamp) -> u32 {
        if let Some(suspect) = self.noted.packs.iter_mut().find(|suspect| suspect.pack == pack) {
            let after = counted(suspect, now);
            self.is_changed |= after != *suspect;
            *suspect = after;
            return after.attempts;
        }
        if self.noted.packs.len() < NOTED_MAX {
            self.noted.packs.push(Suspect { pack, attempts: 1, first: now, last: now });
            self.is_changed = true;
        }
        1
    }
}

/// The suspect after one more failed attempt.
fn counted(suspect: &Suspect, now: WallStamp) -> Suspect {
    match now.powered_on_s.checked_sub(suspect.last.powered_on_s) {
        // The disk moved to a younger box: from there the time is counted anew.
        None => Suspect { last: now, ..*suspect },
        Some(apart) if apart >= ATTEMPTS_APART_S => {
            Suspect { attempts: suspect.attempts.saturating_add(1), last: now, ..*suspect }
        }
        Some(_) => *suspect,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(powered_on_s: u64) -> WallStamp {
        WallStamp { powered_on_s, ..WallStamp::default() }
    }

    #[test]
    fn attempts_count_only_hours_apart() {
        let pack = Hash::of(b"pack");
        let mut list = Watchlist::default();
        let tries =
            [0, 1, ATTEMPTS_APART_S - 1, ATTEMPTS_APART_S, ATTEMPTS_APART_S + 5, 3 * ATTEMPTS_APART_S];
        assert_eq!(tries.map(|s| list.failed(pack, at(1000 + s))), [1, 1, 1, 2, 2, 3]);
    }

    /// The new box's count of running is below the count of the old box, or far above.
    #[test]
    fn a_disk_in_another_box_is_given_time_anew() {
        let pack = Hash::of(b"pack");
        let mut list = Watchlist::default();
        assert_eq!(list.failed(pack, at(1_000_000)), 1);
        assert_eq!(list.failed(pack, at(10)), 1);
        assert_eq!(list.failed(pack, at(10 + ATTEMPTS_APART_S)), 2);
        assert_eq!(list.failed(pack, at(u64::MAX)), 3, "once, however far the count jumped");
        assert_eq!(list.failed(pack, at(u64::MAX)), 3);
    }
}
