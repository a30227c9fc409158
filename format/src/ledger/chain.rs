//! Whether ledger entries form a chain.
//!
//! In a disaster the program at hand is seldom the disk's writer, and the disk is seldom whole. Entries of a newer
//! Larder count in the chain, and entries behind a gap are as good as before. Not here: the files with the entries
//! (`store`, and the client's rescue).

use super::Entry;
use crate::Hash;

/// Relation of an entry to the earlier entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// The entry holds the hash of the previous entry.
    Follows,
    /// Entries just before are missing, so there is no hash to compare with.
    AfterGap {
        /// The first missing number.
        first: u64,
        /// The last missing number.
        last: u64,
    },
    /// The previous entry was damaged and already reported: there is no hash to compare with.
    Unchecked,
    /// The previous entry is whole but has another hash: either entry was changed or put in.
    Broken,
}

/// Follows entries in the order of their numbers.
#[derive(Debug, Default)]
pub struct Chain {
    newest: u64,
    /// Hash of the newest entry; `None` where the newest entry was damaged.
    hash: Option<Hash>,
}

impl Chain {
    /// Before the first entry.
    pub fn new() -> Self {
        Self { newest: 0, hash: Some(Hash::ZERO) }
    }

    /// Takes the next whole entry, and the entry's hash.
    pub fn step(&mut self, entry: &Entry, hash: Hash) -> Link {
        let gap = self.gap_before(entry.sequence);
        let expected = self.hash.replace(hash);
        self.newest = entry.sequence;
        match (gap, expected) {
            (Some((first, last)), _) => Link::AfterGap { first, last },
            (None, Some(expected)) if expected == entry.previous => Link::Follows,
            (None, Some(_)) => Link::Broken,
            (None, None) => Link::Unchecked,
        }
    }

    /// Whether `entry` holds the hash of the previous entry, without a gap between.
    pub fn is_next(&self, entry: &Entry) -> bool {
        self.gap_before(entry.sequence).is_none() && self.hash == Some(entry.previous)
    }

    /// Takes the number of the next entry without a whole copy. Returns the missing numbers before the entry.
    pub fn step_over(&mut self, sequence: u64) -> Option<(u64, u64)> {
        let gap = self.gap_before(sequence);
        (self.newest, self.hash) = (sequence, None);
        gap
    }

    fn gap_before(&self, sequence: u64) -> Option<(u64, u64)> {
        let first = self.newest.checked_add(1)?;
        (sequence > first).then(|| (first, sequence - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Event, Newer, WallStamp, Without};

    fn chain(events: Vec<Event>) -> Vec<(Entry, Hash)> {
        let mut previous = Hash::ZERO;
        let entry = |(sequence, event)| {
            let entry = Entry { sequence, previous, stamp: WallStamp::default(), event };
            previous = entry.encode().1;
            (entry, previous)
        };
        (1..).zip(events).map(entry).collect()
    }

    fn of_length(len: usize) -> Vec<(Entry, Hash)> {
        chain(vec![Event::ClockConfirmed; len])
    }

    fn step(chain: &mut Chain, (entry, hash): &(Entry, Hash)) -> Link {
        chain.step(entry, *hash)
    }

    #[test]
    fn an_unknown_kind_counts_in_the_chain() {
        let newer = Newer { since: 9, kind: 77, without: Without::ReadOnly, payload: vec![1] };
        let entries = chain(vec![Event::ClockConfirmed, Event::Newer(newer), Event::ClockConfirmed]);
        let mut chain = Chain::new();
        assert!(chain.is_next(&entries[0].0) && !chain.is_next(&entries[1].0));
        assert_eq!(step(&mut chain, &entries[0]), Link::Follows);
        assert_eq!(step(&mut chain, &entries[1]), Link::Follows);
        assert_eq!(step(&mut chain, &entries[2]), Link::Follows);
        // Entry 3 of another past was written behind another entry 2.
        let mut chain = Chain::new();
        let other = of_length(3);
        step(&mut chain, &entries[0]);
        step(&mut chain, &entries[1]);
        assert_eq!(step(&mut chain, &other[2]), Link::Broken);
    }

    #[test]
    fn gaps_and_damage_are_told_once_and_stepped_over() {
        let entries = of_length(6);
        let mut chain = Chain::new();
        assert_eq!(step(&mut chain, &entries[1]), Link::AfterGap { first: 1, last: 1 });
        assert_eq!(chain.step_over(3), None);
        assert_eq!(step(&mut chain, &entries[3]), Link::Unchecked);
        assert_eq!(chain.step_over(6), Some((5, 5)));
        let mut other = Chain::new();
        assert_eq!(step(&mut other, &entries[0]), Link::Follows);
        assert_eq!(step(&mut other, &entries[1]), Link::Follows);
    }
}
