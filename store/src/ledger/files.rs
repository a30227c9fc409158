//! The ledger on the disks: one file per entry. The rename that makes the file exist is the only commit point.
//!
//! Every pack and chunk that an entry names is durable before the entry. Entries are read back from any disk with a
//! whole copy; an entry damaged on every disk is named and stepped over, since later snapshots can still be restored.
//! Not here: the sum of the entries (`view`), many entries in one file (`chapters`), the bytes of an entry
//! (`format`), what must be durable before an entry (`core`).

use crate::disk::{Disk, ask_twice, sync_names, write_whole};
use crate::disks::known::KnownDisks;
use crate::disks::member::{Member, MemberState};
use crate::disks::members::Members;
use crate::ledger::chapters;
use crate::ledger::entry_files::{entry_on, hash_on, read_file};
use crate::ledger::listing::{self, Listing, numbers_in};
use crate::ledger::view::LedgerView;
use crate::{Result, StoreError};
use larder_format::layout::{self, unfinished};
use larder_format::ledger::chapter::{Chapter, chapter_of, entries_of};
use larder_format::ledger::{ENTRY_BYTES_MAX, Entry, Event, WallStamp};
use larder_format::{FormatError, Hash};
use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::sync::Arc;

/// Longest run of missing numbers between two damaged entries at the end of the ledger: beyond the run a name belongs to
/// a stray file.
const DAMAGED_IN_A_ROW_MAX: u64 = 16;

/// Entries before the newest, as possible predecessors of the next entry.
const REMEMBERED: usize = 16;

/// No hole in the ledger is longer, however right an entry behind the hole looks: no box writes so many entries in
/// its life.
const GAP_MAX: u64 = 1_000_000;

/// Reads the whole chain, each entry from any disk with a whole copy. Marks incomplete disks as behind, and disks
/// that contradict the disks before as forked.
pub(crate) fn load(members: &Members) -> Result<LedgerView> {
    let forked = || members.all().iter().filter(|member| member.state() == MemberState::Forked).count();
    loop {
        let before = forked();
        let view = load_once(members)?;
        // Entries of a forked disk have to leave the view again.
        if forked() == before {
            return Ok(view);
        }
    }
}

/// One disk, with the listing of its ledger folder.
struct LedgerOnDisk {
    member: Arc<Member>,
    listing: Listing,
    /// The highest number of an entry's file.
    newest: Option<u64>,
}

fn load_once(members: &Members) -> Result<LedgerView> {
    let surveyed = most_backups_first(survey(members)?);
    let all: Vec<_> = surveyed.iter().map(|on| on.member.clone()).collect();
    // Disks that lagged at the last reading are counted anew.
    all.iter().for_each(|member| member.forget_entries());
    let mut following = Following::new();
    let folders: BTreeSet<u64> = surveyed
        .iter()
        .flat_map(|on| on.listing.folders.iter().chain(&on.listing.chapters))
        .copied()
        .collect();
    for folder in folders {
        if let Some(bytes) = agreed_chapter(&surveyed, folder) {
            let chapter = Chapter::decode(folder, &bytes).ok();
            for found in chapter.into_iter().flat_map(|chapter| chapter.entries) {
                following.step(found.entry.sequence, Some((found.entry, found.hash)));
            }
            continue;
        }
        let mut numbers = BTreeSet::new();
        for on in surveyed.iter().filter(|on| on.member.is_readable()) {
            // The disk may know more than the others, and going on without the disk would then begin another past.
            match ask_twice(|| numbers_in(on.member.disk.as_ref(), folder)) {
                Ok(found) => numbers.extend(found),
                Err(source) => members.go_on_without(on.member.failed(layout::LEDGER, source))?,
            }
        }
        for number in numbers {
            following.step(number, read(&all, number)?);
        }
    }
    let view = following.end(&all);
    // Entries published by a killed agent may not be synced yet; no new entry may follow before the sync.
    let newest = layout::entry_folder(chapter_of(view.head.sequence.max(1)));
    for member in all.iter().filter(|member| member.is_healthy()) {
        match sync_names(member.disk.as_ref(), &newest) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                drop(member.failed(layout::LEDGER, error))
            }
            _ => {}
        }
    }
    Ok(view)
}

/// Takes entries in, in the order of their numbers, and finds the missing numbers.
struct Following {
    view: LedgerView,
    expected: u64,
    damaged_after: Vec<u64>,
    /// Behind a damaged entry, the next entry names the entry before the damaged one; after healing, both are right.
    before: VecDeque<Hash>,
}

impl Following {
    fn new() -> Self {
        Self { view: LedgerView::new(), expected: 1, damaged_after: Vec::new(), before: VecDeque::new() }
    }

    /// The next number with a file on any disk, and the entry if any disk has the entry whole.
    fn step(&mut self, number: u64, found: Option<(Entry, Hash)>) {
        let Some((entry, hash)) = found.filter(|_| number - self.expected <= GAP_MAX) else {
            return self.damaged_after.push(number);
        };
        self.damaged_after.clear();
        let view = &mut self.view;
        view.gaps.extend(self.expected..number);
        self.expected = number + 1;
        // Whole, but not written after its neighbour: the entry was replaced.
        let follows_a_gap = view.gaps.last().is_some_and(|gap| gap + 1 == number);
        let follows_one_before = self.before.contains(&entry.previous);
        if entry.previous != view.head.hash && !follows_a_gap && !follows_one_before {
            view.gaps.push(number);
        }
        self.before.push_front(view.head.hash);
        self.before.truncate(REMEMBERED);
        view.apply(entry, hash);
    }

    fn end(self, all: &[Arc<Member>]) -> LedgerView {
        let Self { mut view, expected, damaged_after, .. } = self;
        // No number is given twice, not even the number of a damaged newest entry. But a name alone is no entry: a stray
        // file must not make a hole of a thousand entries that stays for ever.
        let is_next = |last: u64, number: u64| {
            number == last + 1 || (number <= last + DAMAGED_IN_A_ROW_MAX && !is_misnamed(all, number))
        };
        let newest = damaged_after
            .into_iter()
            .fold(expected - 1, |last, next| if is_next(last, next) { next } else { last });
        view.gaps.extend(expected..=newest);
        view.unread.clone_from(&view.gaps);
        view
    }
}

/// Whether the file of this number on some disk is a whole entry with another number.
fn is_misnamed(members: &[Arc<Member>], number: u64) -> bool {
    let readable = members.iter().filter(|member| member.is_readable());
    let found = readable.filter_map(|member| read_file(member.disk.as_ref(), number).ok());
    found.filter_map(|bytes| Entry::decode(&bytes).ok()).any(|(entry, ..)| entry.sequence != number)
}

fn survey(members: &Members) -> Result<Vec<LedgerOnDisk>> {
    let mut surveyed = Vec::new();
    for member in members.all().iter() {
        let mut on = LedgerOnDisk { member: member.clone(), listing: Listing::default(), newest: None };
        if member.is_readable() {
            let disk = member.disk.as_ref();
            let found = ask_twice(|| {
                let listing = listing::list(disk)?;
                let newest = newest_on(disk, &listing)?;
                Ok((listing, newest))
            });
            match found {
                Ok(found) => (on.listing, on.newest) = found,
                Err(source) => members.go_on_without(member.failed(layout::LEDGER, source))?,
            }
        }
        surveyed.push(on);
    }
    Ok(surveyed)
}

/// The highest number of an entry's file, in the highest folder with an entry.
fn newest_on(disk: &dyn Disk, listing: &Listing) -> io::Result<Option<u64>> {
    for folder in listing.folders.iter().rev() {
        if let Some(newest) = numbers_in(disk, *folder)?.into_iter().max() {
            return Ok(Some(newest));
        }
    }
    Ok(None)
}

/// The bytes of a chapter, if every disk with any of its entries has the chapter, and the same bytes.
fn agreed_chapter(surveyed: &[LedgerOnDisk], chapter: u64) -> Option<Vec<u8>> {
    let readable: Vec<_> = surveyed.iter().filter(|on| on.member.is_readable()).collect();
    let (with, without): (Vec<_>, Vec<_>) = readable
        .into_iter()
        .partition(|on| on.listing.folders.contains(&chapter) || on.listing.chapters.contains(&chapter));
    let mut agreed: Option<(Vec<u8>, Hash)> = None;
    for on in with {
        // Entries removed by hand are found by the scrub; a missing folder means a disk that lacks a thousand entries.
        if !on.listing.folders.contains(&chapter) {
            return None;
        }
        let found = chapters::read(on.member.disk.as_ref(), chapter)?;
        if agreed.as_ref().is_some_and(|(_, hash)| *hash != found.1) {
            return None;
        }
        agreed.get_or_insert(found);
    }
    let (bytes, _) = agreed?;
    let entries = entries_of(chapter).count() as u64;
    without.into_iter().for_each(|on| on.member.misses_files(entries));
    Some(bytes)
}

/// Disks with most backups first, whatever their order in the settings, then disks with most entries: entries that a
/// lone box wrote about itself must not win over promises to devices.
fn most_backups_first(mut surveyed: Vec<LedgerOnDisk>) -> Vec<LedgerOnDisk> {
    let common = surveyed.iter().filter_map(|on| on.newest).min().unwrap_or(0);
    let hashes: BTreeSet<_> = surveyed
        .iter()
        .filter_map(|on| hash_on(on.member.disk.as_ref(), common))
        .map(|hash| hash.0)
        .collect();
    // Reading every entry takes a while, and the count matters only where ledgers differ.
    let is_forked = hashes.len() > 1;
    let backups = |on: &LedgerOnDisk| {
        let mut backups = 0;
        if is_forked {
            let is_backup = |entry: &Entry| matches!(entry.event, Event::Snapshot(_));
            let counted =
                for_each_entry(on.member.disk.as_ref(), |entry, _| backups += u64::from(is_backup(&entry)));
            if let Err(error) = counted {
                tracing::warn!(%error, disk = on.member.disk.name(), "its backups could not be counted");
            }
        }
        backups
    };
    surveyed.sort_by_cached_key(|on| std::cmp::Reverse((backups(on), on.newest)));
    surveyed
}

/// Hands over every whole entry of one disk, in order.
///
/// # Errors
/// The error that the disk gives twice when its folders are listed.
fn for_each_entry(disk: &dyn Disk, mut each: impl FnMut(Entry, Hash)) -> io::Result<()> {
    let listing = ask_twice(|| listing::list(disk))?;
    for folder in &listing.folders {
        let chapter = listing.chapters.contains(folder).then(|| chapters::read(disk, *folder)).flatten();
        if let Some(chapter) = chapter.as_ref().and_then(|(bytes, _)| Chapter::decode(*folder, bytes).ok()) {
            chapter.entries.into_iter().for_each(|found| each(found.entry, found.hash));
            continue;
        }
        let numbers: BTreeSet<_> = ask_twice(|| numbers_in(disk, *folder))?.into_iter().collect();
        let entries = numbers.into_iter().filter_map(|number| entry_on(disk, number));
        entries.for_each(|(entry, hash)| each(entry, hash));
    }
    Ok(())
}

/// One entry, from the first disk with a whole copy.
pub(crate) fn read(members: &[Arc<Member>], number: u64) -> Result<Option<(Entry, Hash)>> {
    let mut best: Option<(Entry, Hash)> = None;
    let mut without = Vec::new();
    // An entry whose publishing failed was confirmed by no disk, and the next check of the disk sets the file aside.
    let is_believed =
        |member: &&Arc<Member>| member.is_readable() && !member.is_doubtful(&layout::entry(number));
    for member in members.iter().filter(is_believed) {
        let disk = member.disk.as_ref();
        // A single misread would be a gap for as long as the vault is open, so the disk is asked twice.
        match entry_on(disk, number).or_else(|| entry_on(disk, number)) {
            None => without.push(member),
            Some((_, hash)) if best.as_ref().is_some_and(|(_, first)| *first != hash) => {
                member.set_state(MemberState::Forked);
            }
            Some(found) => best = Some(found),
        }
    }
    // An entry that no disk has whole cannot be resynced, so no disk is marked as behind.
    if best.is_some() {
        without.into_iter().for_each(|member| member.misses_file());
    }
    Ok(best)
}

/// The vault's disks as known to the ledger on one disk, as far as readable. Reads only: for callers that do not know yet
/// whether the disk is theirs.
///
/// # Errors
/// The error that the disk gives twice.
pub fn disks_known_to(disk: &dyn Disk) -> io::Result<KnownDisks> {
    let mut view = LedgerView::new();
    for_each_entry(disk, |entry, hash| view.apply(entry, hash))?;
    Ok(view.disks)
}

/// Writes the entry of one event behind `head`: durable on every healthy disk on return. The caller applies it.
///
/// # Errors
/// After an error it is unknown whether the entry exists: load the ledger again before the next append.
pub(crate) fn append(
    members: &Members,
    view: &LedgerView,
    stamp: WallStamp,
    event: Event,
) -> Result<(Entry, Hash)> {
    let sequence = view.head.sequence.max(view.gaps.last().copied().unwrap_or(0)) + 1;
    let entry = Entry { sequence, previous: view.head.hash, stamp, event };
    let (bytes, hash) = entry.encode();
    if bytes.len() > ENTRY_BYTES_MAX {
        let why = FormatError::Invalid { what: "a ledger entry", why: "it is too large" };
        return Err(StoreError::Refused(why));
    }
    let path = layout::entry(sequence);
    members.on_each(&path, |member| write_whole(member.disk.as_ref(), unfinished::ENTRY, &path, &bytes))?;
    members.all().iter().filter(|member| member.is_behind()).for_each(|member| member.misses_file());
    Ok((entry, hash))
}
