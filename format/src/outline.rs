//! What can be said of a ledger entry by a reader that may be older than its writer, and whether entries follow.
//!
//! On the bad day the program at hand is seldom the one that wrote the disk. Number, hash of the entry before and time
//! stand first in every version of an entry, so that the chain can be followed over events whose meaning is unknown.
//! Not here: what events mean (`ledger`), which files hold entries (`store`, and the client's rescue).

use crate::{
    FormatError, Hash,
    ledger::{Entry, Event, Stamp, frame},
};
use serde::Deserialize;

/// A whole entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// Gapless, from 1.
    pub sequence: u64,
    /// Hash of the entry before.
    pub previous: Hash,
    /// When.
    pub stamp: Stamp,
    /// The entry's own hash.
    pub hash: Hash,
    /// What happened; nothing where a newer Larder says something that this one does not know.
    pub event: Option<Event>,
}

/// How the body of every entry begins, whatever follows.
#[derive(Deserialize)]
struct Beginning {
    sequence: u64,
    previous: Hash,
    stamp: Stamp,
}

impl Outline {
    /// Reads the entry at the start of `bytes`.
    ///
    /// # Errors
    /// `Short`, `Damaged` or `Invalid`; never `TooNew`, and never a panic.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let framed = frame(bytes)?;
        let Ok((Beginning { sequence, previous, stamp }, _)) = postcard::take_from_bytes(framed.body) else {
            return Err(FormatError::Invalid { what: "a ledger entry", why: "its beginning does not read" });
        };
        let event = Entry::decode(bytes).ok().map(|(entry, _, _)| entry.event);
        Ok(Self { sequence, previous, stamp, hash: framed.hash, event })
    }
}

/// How an entry stands to those before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// It holds the hash of the one before.
    Follows,
    /// Entries before it, from this number on, are missing, so there is nothing to compare with.
    AfterGap {
        /// The first number that is missing.
        first: u64,
        /// The last one.
        last: u64,
    },
    /// The entry before was damaged: nothing to compare with, and nothing that was not told yet.
    Unchecked,
    /// The one before is whole and is another than it says: one of them was changed or put in.
    Broken,
}

/// Follows entries in the order of their numbers.
#[derive(Debug, Default)]
pub struct Chain {
    newest: u64,
    /// Hash of the newest one; nothing where it was damaged.
    hash: Option<Hash>,
}

impl Chain {
    /// Before the first entry.
    pub fn new() -> Self {
        Self { newest: 0, hash: Some(Hash::ZERO) }
    }

    /// The next whole entry.
    pub fn step(&mut self, entry: &Outline) -> Link {
        let gap = self.gap_before(entry.sequence);
        let expected = self.hash.replace(entry.hash);
        self.newest = entry.sequence;
        match (gap, expected) {
            (Some((first, last)), _) => Link::AfterGap { first, last },
            (None, Some(expected)) if expected == entry.previous => Link::Follows,
            (None, Some(_)) => Link::Broken,
            (None, None) => Link::Unchecked,
        }
    }

    /// Whether `entry` holds the hash of the one before it, and nothing is missing between.
    pub fn is_next(&self, entry: &Outline) -> bool {
        self.gap_before(entry.sequence).is_none() && self.hash == Some(entry.previous)
    }

    /// The next entry, of which nothing whole is left. Tells which numbers are missing before it.
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
    use proptest::prelude::*;

    fn chain(len: u64) -> Vec<Vec<u8>> {
        let mut previous = Hash::ZERO;
        (1..=len)
            .map(|sequence| {
                let event = Event::HoldCleared { sequence: 0 };
                let (bytes, hash) = Entry { sequence, previous, stamp: Stamp::default(), event }.encode();
                previous = hash;
                bytes
            })
            .collect()
    }

    /// An entry as a later version might write it: an event of a number that nobody knows yet.
    fn from_the_future(entry: &[u8]) -> Vec<u8> {
        let body = entry.len() - 32;
        let mut bytes = entry[..body].to_vec();
        bytes[10] = 9; // The oldest version that may read it.
        bytes[body - 2] = 77; // The event; behind it stands one byte of its own.
        let hash = Hash::of(&bytes);
        bytes.extend_from_slice(&hash.0);
        bytes
    }

    #[test]
    fn an_unknown_event_is_whole_and_counts_in_the_chain() {
        let mut entries = chain(3);
        entries[1] = from_the_future(&entries[1]);
        assert!(matches!(Entry::decode(&entries[1]), Err(FormatError::TooNew { version: 9, .. })));
        let outline = Outline::decode(&entries[1]).unwrap();
        assert_eq!((outline.sequence, outline.event.as_ref()), (2, None));
        let mut chain = Chain::new();
        assert!(chain.is_next(&Outline::decode(&entries[0]).unwrap()) && !chain.is_next(&outline));
        assert_eq!(chain.step(&Outline::decode(&entries[0]).unwrap()), Link::Follows);
        assert_eq!(chain.step(&outline), Link::Follows);
        // Entry 3 was written behind the other entry 2.
        assert_eq!(chain.step(&Outline::decode(&entries[2]).unwrap()), Link::Broken);
    }

    #[test]
    fn gaps_and_damage_are_told_once_and_stepped_over() {
        let entries: Vec<Outline> = chain(6).iter().map(|bytes| Outline::decode(bytes).unwrap()).collect();
        let mut chain = Chain::new();
        assert_eq!(chain.step(&entries[1]), Link::AfterGap { first: 1, last: 1 });
        assert_eq!(chain.step_over(3), None);
        assert_eq!(chain.step(&entries[3]), Link::Unchecked);
        assert_eq!(chain.step_over(6), Some((5, 5)));
        let mut other = Chain::new();
        assert_eq!(other.step(&entries[0]), Link::Follows);
        assert_eq!(other.step(&entries[1]), Link::Follows);
    }

    proptest! {
        #[test]
        fn any_flipped_bit_is_noticed(at: prop::sample::Index, bit in 0u8..8) {
            let mut bytes = chain(2).remove(1);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(Outline::decode(&bytes).is_err());
        }
    }
}
