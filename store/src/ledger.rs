//! The ledger on the disks: one file per entry, and the rename that makes it exist is the only commit point.
//!
//! Everything that an entry speaks of is durable before the entry is. Entries are read back from any disk that has
//! them; one that is damaged on every disk is named and stepped over, since what came after it can still be given
//! back. Not here: what they add up to (`ledger_view`), what entries look like (`format`), what must be durable before one (`vault`).

use crate::disk::{Disk, ask_twice, folder_of, read_whole, sync_names, write_whole};
use crate::known_disks::KnownDisks;
use crate::ledger_view::LedgerView;
use crate::members::{Member, MemberState, Members};
use crate::{Result, StoreError};
use larder_format::ledger::{ENTRY_BYTES_MAX, Entry, Event, Head, Stamp};
use larder_format::{FormatError, Hash};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

/// Entries in one folder, so that none grows slow to list.
const ENTRIES_PER_FOLDER: u64 = 1000;
const PART: &str = "open/ledger.part";
/// Numbers that may be missing between two entries at the end of the ledger of which neither is whole: beyond that a name
/// is a stray file's.
const DAMAGED_IN_A_ROW_MAX: u64 = 16;
/// Entries before the newest one that another may have been written behind.
const REMEMBERED: usize = 16;
/// No hole in the ledger is longer, however right an entry behind it looks: more are written in no box's life.
const GAP_MAX: u64 = 1_000_000;

/// Reads the whole chain, from whichever disk has each entry. Marks disks that lack some as behind, and those that
/// tell another story than the ones before them as forked.
pub(crate) fn load(members: &Members) -> Result<LedgerView> {
    let forked = || members.all().iter().filter(|member| member.state() == MemberState::Forked).count();
    loop {
        let before = forked();
        let view = load_once(members)?;
        // What a forked disk added to the story has to go again.
        if forked() == before {
            return Ok(view);
        }
    }
}

fn load_once(members: &Members) -> Result<LedgerView> {
    let mut view = LedgerView::new();
    let (numbers, all) = numbers(members)?;
    // Whoever lagged at the last reading is counted anew.
    all.iter().for_each(|member| member.forget_entries());
    let mut expected = 1;
    let mut damaged_after = Vec::new();
    // Where an entry was damaged, the next one was written behind the one before it; healed, both are right.
    let mut before: VecDeque<Hash> = VecDeque::new();
    for number in numbers {
        match read(&all, number)? {
            Some((entry, hash)) if number - expected <= GAP_MAX => {
                damaged_after.clear();
                view.gaps.extend(expected..number);
                expected = number + 1;
                // Whole, but not the one that was written after its neighbour: somebody replaced it.
                let follows_a_gap = view.gaps.last().is_some_and(|gap| gap + 1 == number);
                let follows_one_before = before.contains(&entry.previous);
                if entry.previous != view.head.hash && !follows_a_gap && !follows_one_before {
                    view.gaps.push(number);
                }
                before.push_front(view.head.hash);
                before.truncate(REMEMBERED);
                view.apply(entry, hash);
            }
            _ => damaged_after.push(number),
        }
    }
    // No number is given twice, not even that of a newest entry that is damaged. But a name alone is no entry: a stray
    // file must not make a hole of a thousand entries that stays for ever.
    let is_next = |last: u64, number: u64| {
        number == last + 1 || (number <= last + DAMAGED_IN_A_ROW_MAX && !is_misnamed(&all, number))
    };
    let newest = damaged_after
        .into_iter()
        .fold(expected - 1, |last, next| if is_next(last, next) { next } else { last });
    view.gaps.extend(expected..=newest);
    view.unread.clone_from(&view.gaps);
    // What a killed agent published may not have been synced yet; nothing may be built on it before it is.
    let newest = path(view.head.sequence.max(1));
    for member in all.iter().filter(|member| member.is_healthy()) {
        match sync_names(member.disk.as_ref(), folder_of(&newest)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                drop(member.failed("ledger", error))
            }
            _ => {}
        }
    }
    Ok(view)
}

/// Whether what has this number's name on some disk is a whole entry with another number.
fn is_misnamed(members: &[Arc<Member>], number: u64) -> bool {
    let readable = members.iter().filter(|member| member.is_readable());
    let found = readable.filter_map(|member| {
        read_whole(member.disk.as_ref(), &path(number), ENTRY_BYTES_MAX as u64 + 1024).ok()
    });
    found.filter_map(|bytes| Entry::decode(&bytes).ok()).any(|(entry, ..)| entry.sequence != number)
}

/// Numbers of all entries on any disk; and the disks, in the order in which they are followed where they tell different
/// stories.
fn numbers(members: &Members) -> Result<(BTreeSet<u64>, Vec<Arc<Member>>)> {
    let mut on_each = Vec::new();
    for member in members.all().iter() {
        let mut found = Vec::new();
        if member.is_readable() {
            // A disk may know more than the others, and going on without it would then begin another past.
            match ask_twice(|| numbers_on(member.disk.as_ref())) {
                Ok(numbers) => found = numbers,
                Err(source) => members.go_on_without(member.failed("ledger", source))?,
            }
        }
        on_each.push((member.clone(), found));
    }
    let numbers = on_each.iter().flat_map(|(_, found)| found).copied().collect();
    Ok((numbers, most_backups_first(on_each)))
}

/// Those with most backups first, wherever they stand in the settings, then those with most entries: what a box that was
/// alone wrote of itself must not win over what devices were promised.
fn most_backups_first(mut on_each: Vec<(Arc<Member>, Vec<u64>)>) -> Vec<Arc<Member>> {
    let newest = |found: &[u64]| found.iter().max().copied();
    let common = on_each.iter().filter_map(|(_, found)| newest(found)).min().unwrap_or(0);
    let hashes: BTreeSet<_> =
        on_each.iter().filter_map(|(member, _)| hash_on(member.disk.as_ref(), common)).map(|h| h.0).collect();
    // To read everything takes a while, and only where stories differ does it matter.
    let is_forked = hashes.len() > 1;
    let backups = |(member, found): &(Arc<Member>, Vec<u64>)| {
        let entry = |number: &u64| entry_on(member.disk.as_ref(), *number)?.ok();
        let is_backup = |(entry, _): &(Entry, Hash)| matches!(entry.event, Event::Snapshot(_));
        if is_forked { found.iter().filter_map(entry).filter(is_backup).count() } else { 0 }
    };
    on_each.sort_by_cached_key(|on| std::cmp::Reverse((backups(on), on.1.len())));
    on_each.into_iter().map(|(member, _)| member).collect()
}

/// One entry, from the first disk that has it whole.
pub(crate) fn read(members: &[Arc<Member>], number: u64) -> Result<Option<(Entry, Hash)>> {
    let mut best: Option<(Entry, Hash)> = None;
    let mut without = Vec::new();
    // An entry whose publishing failed was confirmed by nobody, and the next look at its disk sets it aside.
    let is_believed = |member: &&Arc<Member>| member.is_readable() && !member.is_doubtful(&path(number));
    for member in members.iter().filter(is_believed) {
        let disk = member.disk.as_ref();
        // What is misread once becomes a gap for as long as the vault is open, so the disk is asked twice.
        match entry_on(disk, number).or_else(|| entry_on(disk, number)) {
            None => without.push(member),
            Some(Err(_)) => {
                // Going on would write behind entries that it cannot see.
                let what = format!("the disk at {} was used by a newer Larder", disk.name());
                return Err(StoreError::Foreign { what });
            }
            Some(Ok((_, hash))) if best.as_ref().is_some_and(|(_, first)| *first != hash) => {
                member.set_state(MemberState::Forked);
            }
            Some(Ok((entry, hash))) => best = Some((entry, hash)),
        }
    }
    // What no disk has whole is nothing that one of them could catch up with.
    if best.is_some() {
        without.into_iter().for_each(|member| member.misses_file());
    }
    Ok(best)
}

/// A whole entry, or why a whole one cannot be understood.
type Found = std::result::Result<(Entry, Hash), FormatError>;

/// One entry as this disk has it, if it has it whole.
fn entry_on(disk: &dyn Disk, number: u64) -> Option<Found> {
    let bytes = read_whole(disk, &path(number), ENTRY_BYTES_MAX as u64 + 1024).ok()?;
    match Entry::decode(&bytes) {
        Ok((entry, hash, len)) if entry.sequence == number && len == bytes.len() => Some(Ok((entry, hash))),
        Err(newer @ FormatError::TooNew { .. }) => Some(Err(newer)),
        _ => None,
    }
}

/// What the ledger on one disk says of the vault's disks, as far as it can be read. Reads only: for whoever does not know
/// yet whether the disk is theirs.
///
/// # Errors
/// Whatever the disk says twice.
pub fn disks_known_to(disk: &dyn Disk) -> std::io::Result<KnownDisks> {
    let mut view = LedgerView::new();
    let numbers: BTreeSet<_> = ask_twice(|| numbers_on(disk))?.into_iter().collect();
    let entries = numbers.into_iter().filter_map(|number| entry_on(disk, number)?.ok());
    entries.for_each(|(entry, hash)| view.apply(entry, hash));
    Ok(view.disks)
}

/// Hash of one entry as this disk has it, if it has it whole.
pub(crate) fn hash_on(disk: &dyn Disk, number: u64) -> Option<Hash> {
    entry_on(disk, number)?.ok().map(|(_, hash)| hash)
}

/// Writes the entry of one event behind `head`: durable on every healthy disk on return. The caller applies it.
///
/// # Errors
/// After an error it is unknown whether the entry exists: load the ledger again before the next append.
pub(crate) fn append(
    members: &Members,
    view: &LedgerView,
    stamp: Stamp,
    event: Event,
) -> Result<(Entry, Hash)> {
    let sequence = view.head.sequence.max(view.gaps.last().copied().unwrap_or(0)) + 1;
    let entry = Entry { sequence, previous: view.head.hash, stamp, event };
    let (bytes, hash) = entry.encode();
    if bytes.len() > ENTRY_BYTES_MAX {
        let why = FormatError::Invalid { what: "a ledger entry", why: "it is too large" };
        return Err(StoreError::Refused(why));
    }
    let path = path(sequence);
    members.on_each(&path, |member| write_whole(member.disk.as_ref(), PART, &path, &bytes))?;
    members.all().iter().filter(|member| member.is_behind()).for_each(|member| member.misses_file());
    Ok((entry, hash))
}

pub(crate) fn path(sequence: u64) -> String {
    format!("ledger/{:06}/{sequence:012}.entry", sequence / ENTRIES_PER_FOLDER)
}

pub(crate) fn numbers_on(disk: &dyn Disk) -> std::io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for folder in disk.list("ledger")?.into_iter().filter(|item| item.is_folder) {
        let entries = disk.list(&format!("ledger/{}", folder.name))?;
        let number = |name: &str| name.strip_suffix(".entry")?.parse::<u64>().ok();
        let is_in_place = |name: &str, number: u64| path(number) == format!("ledger/{}/{name}", folder.name);
        numbers.extend(
            entries.iter().filter_map(|item| number(&item.name).filter(|n| is_in_place(&item.name, *n))),
        );
    }
    Ok(numbers)
}

/// Every entry's file, which every disk should have.
pub(crate) fn files(head: Head) -> impl Iterator<Item = (u64, String)> {
    (1..=head.sequence).map(|sequence| (sequence, path(sequence)))
}
