//! Packs that a disk could not read: each is read again, for a day of running at least, before it is given up.
//!
//! A cable, a weak power supply or a bridge that hangs fails reads for an hour, and every byte is still there. So a failed
//! attempt counts only some hours after the one before, and only if the disk answers for something else in the same
//! minute: one that answers nothing at all has lost nothing. Attempts are noted on the disk itself, so that a restart
//! neither forgets nor hurries them. Time comes in as a `Stamp`. Not here: what giving up means (`salvage`).

use super::mend::hash;
use super::salvage::Patience;
use crate::care::unless_held;
use crate::disk::Disk;
use crate::members::Member;
use crate::numbered::Numbered;
use crate::packs::{self, Fetch};
use crate::vault::Vault;
use crate::{Result, StoreError, identity, ledger};
use larder_format::Hash;
use larder_format::care::{Suspect, Suspects};
use larder_format::ledger::Stamp;
use std::collections::BTreeMap;
use std::sync::PoisonError;

/// After so many attempts what cannot be read counts as damaged.
const ATTEMPTS_MAX: u32 = 4;
/// From one attempt that counts to the next, in seconds of running.
const ATTEMPTS_APART_S: u64 = 8 * 3600;
/// From one look at a pack to the next, in seconds of running: the alarm is to end soon after the disk answers again, and a
/// dying disk is not to be tormented.
const LOOK_AGAIN_S: u64 = 3600;
/// Packs that are noted for one disk, half a megabyte. The attempts of others begin again, so they are not given up.
const NOTED_MAX: usize = 10_000;
/// Entries that are tried before a disk is said not to answer.
const ENTRIES_TRIED: usize = 16;
/// Chunks in unread blocks that are noted, some megabytes: when a disk answers for nothing in a thousand packs, their
/// names need not all be in memory.
const NOTED_CHUNKS_MAX: usize = 100_000;
const NOTES: Numbered = Numbered { ending: ".suspects", part: "open/suspects.part", bytes_max: 2 << 20 };

/// What is known of the packs that one disk could not read.
#[derive(Default)]
pub(crate) struct Watchlist {
    noted: Suspects,
    /// The disk has an older version.
    is_changed: bool,
}

/// By the disk's name; a disk is in it once its notes were read.
pub(crate) type Watchlists = BTreeMap<String, Watchlist>;

impl Watchlist {
    /// Notes an attempt that failed; returns how many count by now.
    fn failed(&mut self, pack: Hash, now: Stamp) -> u32 {
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

/// The suspect after one more attempt that failed.
fn counted(suspect: &Suspect, now: Stamp) -> Suspect {
    match now.powered_on_s.checked_sub(suspect.last.powered_on_s) {
        // The disk moved to a younger box: from there the time is counted anew.
        None => Suspect { last: now, ..*suspect },
        Some(apart) if apart >= ATTEMPTS_APART_S => {
            Suspect { attempts: suspect.attempts.saturating_add(1), last: now, ..*suspect }
        }
        Some(_) => *suspect,
    }
}

impl Vault {
    /// Notes that a pack could not be read, and which blocks of it, so that devices are asked for those.
    pub(super) fn try_later(&self, member: &Member, name: &Hash, now: Stamp) -> Result<Patience> {
        if !is_answering(member.disk.as_ref()) {
            let source = std::io::Error::other("it gives nothing at all");
            return Err(StoreError::Disk { path: member.disk.name(), source });
        }
        tracing::error!(disk = member.disk.name(), pack = %name, "a pack could not be read; it is tried again");
        if self.note_unread(member, name, now) {
            return Ok(Patience::AtAnEnd);
        }
        self.note_unread_blocks(name);
        Ok(Patience::Waits)
    }

    fn note_unread_blocks(&self, name: &Hash) {
        let catalog = &self.catalog;
        let (Some(pack), Ok(table)) = (catalog.packs.number(name), packs::read_table(&self.members, name))
        else {
            return;
        };
        for (number, block) in table.blocks.iter().enumerate() {
            if catalog.packs.damage.chunks_in_blocks() >= NOTED_CHUNKS_MAX {
                return;
            }
            let first = u16::try_from(block.first_slot).ok().zip(table.chunks_of(number).first().copied());
            let of_block = first.map(|first| Fetch::of_block((pack, block.offset), &[first]));
            // Whoever cannot read it notes what was in it.
            drop(of_block.map(|step| catalog.packs.fetch_proven(&self.members, &step)));
        }
        // These are known now, and are read again without anybody's hurry.
        catalog.packs.damage.take_suspicion();
    }

    /// Reads again what a disk could not read, once an hour: packs, folders of them, and entries of the ledger. Returns whether
    /// it did.
    ///
    /// # Errors
    /// `Disk` when a disk fails or gives nothing.
    pub fn read_suspects_again(&self, now: Stamp) -> Result<bool> {
        let Some(_no_others) = unless_held(&self.care.rounds) else { return Ok(false) };
        if !self.is_time_to_retry(now) {
            return Ok(false);
        }
        self.read_gaps_again()?;
        self.list_again()?;
        for member in self.members.all().iter().filter(|member| member.is_healthy()) {
            let suspected = self.suspected_on(member);
            let read = suspected.iter().try_for_each(|name| self.read_suspect_again(member, name, now));
            if !suspected.is_empty() && self.suspected_on(member).is_empty() {
                // A round from end to end shows whether all is well, and its result ends the alarm.
                self.care.alarm(member);
            }
            self.save_suspects(member)?;
            read?;
        }
        Ok(true)
    }

    fn is_time_to_retry(&self, now: Stamp) -> bool {
        let mut retried = self.care.retried_s.lock().unwrap_or_else(PoisonError::into_inner);
        let is_time = retried.is_none_or(|then| then.abs_diff(now.powered_on_s) >= LOOK_AGAIN_S);
        if is_time {
            *retried = Some(now.powered_on_s);
        }
        is_time
    }

    /// An entry that no disk gave when the ledger was read is a gap, and its snapshot unknown, until it is read again.
    fn read_gaps_again(&self) -> Result<()> {
        let gaps = self.ledger().gaps.clone();
        let all = self.members.all();
        let is_there = |gap: &u64| {
            let mut readable = all.iter().filter(|member| member.is_readable());
            readable.any(|member| ledger::files::hash_on(member.disk.as_ref(), *gap).is_some())
        };
        if !gaps.iter().any(is_there) {
            return Ok(());
        }
        let _alone = self.alone()?;
        self.load_ledger_again()?;
        self.care.survey_again();
        tracing::info!(gaps = gaps.len(), "the ledger was read again");
        Ok(())
    }

    /// What lies in a folder that could not be listed at the start is unknown until it is listed.
    fn list_again(&self) -> Result<()> {
        let swept = self.ledger().swept.clone();
        if self.catalog.look_for_unseen(&self.members, &swept)? {
            self.care.survey_again();
            for member in self.members.all().iter().filter(|member| member.is_healthy()) {
                self.count_lacking_on(member)?;
            }
            tracing::info!("every folder of packs can be listed again");
        }
        Ok(())
    }

    fn read_suspect_again(&self, member: &Member, name: &Hash, now: Stamp) -> Result<()> {
        // Swept, or given up on another disk.
        if self.catalog.packs.number(name).is_none() || self.is_let_go(name) {
            self.is_suspected_no_longer(name);
            return Ok(());
        }
        let file = member.disk.as_ref().open(&packs::path(name));
        if file.is_ok_and(|file| hash(file.as_ref()) == Some(*name)) {
            self.clear_of_suspicion(name);
            return Ok(());
        }
        self.repair_pack(member, name, now).map(drop)
    }

    fn with_watchlist<T>(&self, member: &Member, action: impl FnOnce(&mut Watchlist) -> T) -> T {
        let mut lists = self.care.suspects.lock().unwrap_or_else(PoisonError::into_inner);
        let list = lists
            .entry(member.id.clone())
            .or_insert_with(|| Watchlist { noted: NOTES.read(member.disk.as_ref()), ..Watchlist::default() });
        action(list)
    }

    /// Notes that a disk could not read a pack. Returns whether that was tried often enough.
    pub(super) fn note_unread(&self, member: &Member, pack: &Hash, now: Stamp) -> bool {
        self.with_watchlist(member, |list| list.failed(*pack, now)) >= ATTEMPTS_MAX
    }

    /// The pack was read, or was given up.
    pub(super) fn is_suspected_no_longer(&self, pack: &Hash) {
        for member in self.members.all().iter().filter(|member| member.is_readable()) {
            self.with_watchlist(member, |list| {
                let before = list.noted.packs.len();
                list.noted.packs.retain(|suspect| suspect.pack != *pack);
                list.is_changed |= list.noted.packs.len() != before;
            });
        }
    }

    /// Whether some disk has failed to read the pack as often as it is tried.
    pub(super) fn was_tried_often_enough(&self, pack: &Hash) -> bool {
        let all = self.members.all();
        let mut readable = all.iter().filter(|member| member.is_readable());
        readable.any(|member| {
            let is_enough = |suspect: &Suspect| suspect.pack == *pack && suspect.attempts >= ATTEMPTS_MAX;
            self.with_watchlist(member, |list| list.noted.packs.iter().any(is_enough))
        })
    }

    /// Packs that could not be read on this disk and are tried again.
    pub(crate) fn suspected_on(&self, member: &Member) -> Vec<Hash> {
        self.with_watchlist(member, |list| list.noted.packs.iter().map(|suspect| suspect.pack).collect())
    }

    /// Writes the attempts down on the disk if there is anything new.
    ///
    /// # Errors
    /// `Disk` when it fails; a full one only keeps the older version.
    pub(crate) fn save_suspects(&self, member: &Member) -> Result<()> {
        let changed = self
            .with_watchlist(member, |list| std::mem::take(&mut list.is_changed).then(|| list.noted.clone()));
        let Some(noted) = changed else { return Ok(()) };
        match NOTES.write(member.disk.as_ref(), &noted) {
            Ok(()) => Ok(()),
            Err(source) => match member.failed("scrub", source) {
                StoreError::Full { .. } => Ok(()),
                error => Err(error),
            },
        }
    }
}

/// Whether the disk gives anything of what it should, read off the disk and not out of the system's memory.
pub(super) fn is_answering(disk: &dyn Disk) -> bool {
    if !identity::is_answering(disk) {
        return false;
    }
    let Ok(mut numbers) = ledger::files::numbers_on(disk) else { return false };
    numbers.sort_unstable();
    let gives = |number: &u64| {
        let path = larder_format::layout::entry(*number);
        disk.open(&path).iter().for_each(|file| file.forget_cached());
        ledger::files::whole_entry(disk, *number).is_some()
    };
    // One that is being filled has none yet.
    numbers.is_empty() || numbers.iter().rev().take(ENTRIES_TRIED).any(gives)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(powered_on_s: u64) -> Stamp {
        Stamp { powered_on_s, ..Stamp::default() }
    }

    #[test]
    fn attempts_count_only_hours_apart() {
        let pack = Hash::of(b"pack");
        let mut list = Watchlist::default();
        let tries =
            [0, 1, ATTEMPTS_APART_S - 1, ATTEMPTS_APART_S, ATTEMPTS_APART_S + 5, 3 * ATTEMPTS_APART_S];
        assert_eq!(tries.map(|s| list.failed(pack, at(1000 + s))), [1, 1, 1, 2, 2, 3]);
    }

    /// Its count of running is below that of the box before, or far above.
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
