//! Entries read back from the disks one after the other, a chapter at a time.
//!
//! For whoever asks whether the past is still the one that was promised: the ledger in memory could only say what it read at the
//! start. Whoever asks for rising numbers opens one file for a thousand entries; what no chapter has is read by itself. Reads
//! only: what is found changes the standing of no disk. Not here: following the chain at the start (`files`).

use crate::disks::member::Member;
use crate::ledger::chapters;
use crate::ledger::entry_files::entry_on;
use larder_format::Hash;
use larder_format::ledger::Entry;
use larder_format::ledger::chapter::{Chapter, chapter_of};
use std::sync::Arc;

/// A whole chapter in memory, at most 4 MiB of it.
struct OpenChapter {
    number: u64,
    /// In order, without a gap; empty where no disk has the chapter whole.
    entries: Vec<(Entry, Hash)>,
}

/// Reads entries; cheapest with rising numbers.
pub(crate) struct LedgerReader {
    members: Vec<Arc<Member>>,
    chapter: Option<OpenChapter>,
}

impl LedgerReader {
    pub(crate) fn new(members: &[Arc<Member>]) -> Self {
        let members = members.iter().filter(|member| member.is_readable()).cloned().collect();
        Self { members, chapter: None }
    }

    /// The entry, from the first disk with a whole copy.
    pub(crate) fn read(&mut self, number: u64) -> Option<(Entry, Hash)> {
        let chapter = chapter_of(number);
        if self.chapter.as_ref().is_none_or(|open| open.number != chapter) {
            self.chapter = Some(self.open(chapter));
        }
        let entries = self.chapter.as_ref().map_or(&[][..], |open| &open.entries);
        let place = entries.binary_search_by_key(&number, |(entry, _)| entry.sequence);
        match place {
            Ok(place) => Some(entries[place].clone()),
            Err(_) => self.members.iter().find_map(|member| entry_on(member.disk.as_ref(), number)),
        }
    }

    fn open(&self, number: u64) -> OpenChapter {
        let entries_on = |member: &Arc<Member>| {
            let (bytes, _) = chapters::read(member.disk.as_ref(), number)?;
            let chapter = Chapter::decode(number, &bytes).ok()?;
            Some(chapter.entries.into_iter().map(|found| (found.entry, found.hash)).collect())
        };
        OpenChapter { number, entries: self.members.iter().find_map(entries_on).unwrap_or_default() }
    }
}

/// The hash of each entry from `first` to `last`, as read now. Zero stands for an entry that no disk has whole, and for one that
/// does not hold the hash of the whole entry before it.
pub(crate) fn links(members: &[Arc<Member>], first: u64, last: u64) -> Vec<Hash> {
    let mut reader = LedgerReader::new(members);
    let mut before = match first {
        0 | 1 => Some(Hash::ZERO),
        _ => reader.read(first - 1).map(|(_, hash)| hash),
    };
    let mut link = |number| {
        let found = reader.read(number);
        let follows =
            found.as_ref().is_some_and(|(entry, _)| before.is_none_or(|hash| hash == entry.previous));
        before = found.map(|(_, hash)| hash);
        before.filter(|_| follows).unwrap_or(Hash::ZERO)
    };
    (first.max(1)..=last).map(&mut link).collect()
}
