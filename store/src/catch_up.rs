//! Catching up: a disk that lacks packs or ledger entries gets them from the others, file by file.
//!
//! A disk lags when it joins, when it was away, and when the power went between two disks. Until it has everything it
//! is read from but not written to, so that what it holds is always a past that was whole. Packs come first and
//! entries in their order, as in a push: a cut in the middle leaves nothing that speaks of what is not there.
//! Not here: damage inside a pack that is there.

use crate::care::unless_held;
use crate::disk::{Disk, folder_of, make_folders, sync_file, sync_names, write_whole};
use crate::ledger::chapters;
use crate::ledger::files::whole_entry;
use crate::members::Member;
use crate::packs;
use crate::repair::lost::{self, Lost};
use crate::repair::{Mended, mend, require_room, set_aside};
use crate::vault::Vault;
use crate::{Result, StoreError};
use larder_format::ledger::Head;
use larder_format::ledger::chapter::{chapter_of, entries_of};
use larder_format::{Hash, layout};
use std::io;
use std::sync::{Arc, PoisonError};

const PART: &str = "open/copy.part";
const STEP_BYTES: usize = 1 << 20;
/// Packs that may have come while the last ones were copied; pushes wait while they are.
const PACKS_COPIED_IN_HOLD: usize = 4;

/// What a disk lacks and can be given.
#[derive(Default)]
struct Lacking {
    packs: Vec<Hash>,
    entries: Vec<u64>,
    /// Entries that no disk here has whole.
    nowhere: Vec<u64>,
}

impl Lacking {
    fn files(&self) -> u64 {
        (self.packs.len() + self.entries.len()) as u64
    }
}

impl Vault {
    /// Brings files to disks that lack some, until about `bytes_max` are copied. Returns how many are still lacking.
    ///
    /// # Errors
    /// `Full` when a disk has no room for what it lacks; `Disk` when one fails. Other disks are not affected.
    pub fn catch_up(&self, bytes_max: u64) -> Result<u64> {
        self.require_own_format()?;
        let all = self.members.all();
        let behind = all.iter().filter(|member| member.is_behind());
        let left: Vec<Result<u64>> = behind.map(|member| self.catch_up_one(member, bytes_max)).collect();
        left.into_iter().sum()
    }

    /// Counts the packs and entries that the disk lacks, and notes it: one that lacks some does not count.
    pub(crate) fn count_lacking_on(&self, member: &Member) -> Result<u64> {
        let lacking = self.lacking(member)?;
        self.note_gaps(&lacking);
        member.lacks(lacking.packs.len() as u64, lacking.files());
        Ok(lacking.files())
    }

    /// An entry that only a disk that is away has must not stand in a receipt of those that are here.
    fn note_gaps(&self, Lacking { nowhere, .. }: &Lacking) {
        if !nowhere.is_empty() {
            let mut view = self.ledger.write().unwrap_or_else(PoisonError::into_inner);
            view.gaps.extend(nowhere);
            view.gaps.sort_unstable();
            view.gaps.dedup();
        }
    }

    pub(crate) fn catch_up_one(&self, member: &Member, bytes_max: u64) -> Result<u64> {
        let _alone = member.filling.lock().unwrap_or_else(PoisonError::into_inner);
        match self.fill(member, bytes_max) {
            Err(StoreError::Full { .. }) if self.make_room_on(member)? > 0 => self.fill(member, bytes_max),
            left => left,
        }
    }

    fn fill(&self, member: &Member, bytes_max: u64) -> Result<u64> {
        let (mut bytes, mut postponed) = (0, Vec::new());
        let mut lacking = self.lacking(member)?;
        while bytes < bytes_max
            && let Some(name) = lacking.packs.pop()
        {
            match self.copy_pack(member, &name)? {
                Some(copied) => bytes += copied,
                None => postponed.push(name),
            }
        }
        lacking.packs.append(&mut postponed);
        // Entries speak of packs, so all of these come first.
        if lacking.packs.is_empty() {
            self.copy_entries(member, &lacking.entries)?;
            lacking = self.rejoin(member)?;
        }
        Ok(lacking.files())
    }

    /// Disks that `member` may be filled from.
    pub(crate) fn others(&self, member: &Member) -> Vec<Arc<Member>> {
        let all = self.members.all();
        all.iter().filter(|other| other.key != member.key && other.is_readable()).cloned().collect()
    }

    fn lacking(&self, member: &Member) -> Result<Lacking> {
        let disk = member.disk.as_ref();
        let failed = |source| member.failed("packs", source);
        let others = self.others(member);
        // A folder that cannot be read may hold what seems to be lacking, and it could not be written there.
        let mut there = match others.is_empty() {
            true => packs::files_on(disk, ".pack").map(|(there, _)| there),
            false => packs::names_on(disk),
        }
        .map_err(failed)?;
        // What was swept while it was away is removed there too, once it has caught up.
        self.catalog.packs.leave_to_sweep(&mut there, &self.ledger().swept);
        let damage = &self.catalog.packs.damage;
        let packs = self.catalog.packs.all().into_iter();
        let packs =
            packs.filter(|(number, name)| !there.contains_key(name) && !damage.is_gone_without(*number));
        // Not with the ledger in hand: reading all of it takes a while, and whoever commits waits.
        let head = self.ledger().head;
        let absent = absent_entries(disk, head);
        let (entries, nowhere) = absent
            .into_iter()
            .partition(|sequence| others.iter().any(|other| has_entry(other.disk.as_ref(), *sequence)));
        Ok(Lacking { packs: packs.map(|(_, name)| name).collect(), entries, nowhere })
    }

    /// Bytes copied; nothing if it has to be tried again. A pack that is damaged on every other disk is made whole from what
    /// they have left of it.
    fn copy_pack(&self, member: &Member, name: &Hash) -> Result<Option<u64>> {
        let path = packs::path(name);
        let mut is_damaged = false;
        for source in self.others(member) {
            let Ok(file) = source.disk.open(&path) else { continue };
            let Ok(len) = file.len() else { continue };
            // Half of the reserve, as for a repair: a disk that lags keeps the others from making room.
            require_room(member, len, self.reserve_bytes / 2)?;
            let copied = copy(file.as_ref(), len, member.disk.as_ref());
            match copied.map_err(|source| member.failed(&path, source))? {
                Some(hash) if hash == *name => {
                    publish(member.disk.as_ref(), &path).map_err(|source| member.failed(&path, source))?;
                    return Ok(Some(len));
                }
                _ => {
                    tracing::error!(disk = source.disk.name(), pack = %name, "this copy of a pack is damaged");
                    // That disk is read from end to end soon, and what is damaged there repaired or named.
                    self.care.alarm(&source);
                    is_damaged = true;
                }
            }
        }
        if is_damaged {
            // Not waited for: a scrub that ends a round waits for whoever fills a disk.
            let Some(_no_repairs) = unless_held(&self.care.rounds) else { return Ok(None) };
            if mend(&self.members, member, name, self.reserve_bytes / 2)? == Mended::Whole {
                return Ok(Some(self.catalog.packs.len(name)));
            }
        }
        // No disk has it whole: waiting for it would keep this disk from new backups for ever.
        if let Some(number) = self.catalog.packs.number(name) {
            self.remember_without(member, name)?;
            self.catalog.packs.damage.go_without(number);
        }
        Ok(Some(0))
    }

    /// Writes down on the disk itself what it goes without: should it be alone after the next start, nobody else knows.
    fn remember_without(&self, member: &Member, name: &Hash) -> Result<()> {
        let Ok(table) = packs::read_table(&self.members, name) else { return Ok(()) };
        let lost = Lost { chunks: table.chunks.into_iter().collect(), files: Vec::new() };
        match lost::write_on(member.disk.as_ref(), name, &lost)
            .map_err(|source| member.failed("quarantine", source))
        {
            // Then the scrub finds out.
            Err(StoreError::Full { .. }) => Ok(()),
            written => written,
        }
    }

    fn copy_entries(&self, member: &Member, sequences: &[u64]) -> Result<()> {
        let disk = member.disk.as_ref();
        for sequence in sequences {
            let path = layout::entry(*sequence);
            let bytes = self.others(member).iter().find_map(|o| whole_entry(o.disk.as_ref(), *sequence));
            let Some(bytes) = bytes else { continue };
            let write = || {
                set_aside(disk, &path)?;
                write_whole(disk, PART, &path, &bytes)
            };
            write().map_err(|source| member.failed(&path, source))?;
        }
        Ok(())
    }

    /// Takes a disk that lacks little or nothing back into the circle of those that are written to. Returns what it
    /// still lacks.
    fn rejoin(&self, member: &Member) -> Result<Lacking> {
        // No pack may grow without it, and no entry may come, between the last look and the moment it counts again.
        let _growing = self.seal_and_hold()?;
        let _alone = self.alone()?;
        let mut lacking = self.lacking(member)?;
        if lacking.packs.len() > PACKS_COPIED_IN_HOLD {
            return Ok(lacking);
        }
        if lacking.files() > 0 {
            while let Some(name) = lacking.packs.pop() {
                self.copy_pack(member, &name)?;
            }
            self.copy_entries(member, &lacking.entries)?;
            // What could not be copied just now is still lacking; to count, the disk must have it.
            lacking = self.lacking(member)?;
            if lacking.files() > 0 {
                return Ok(lacking);
            }
        }
        self.note_gaps(&lacking);
        if self.catalog.packs.damage.is_any_gone_without() && !self.others(member).is_empty() {
            // Read from end to end, so that what it could not be given is saved in part, or named and remembered.
            self.care.alarm(member);
        }
        member.lacks(0, 0);
        tracing::info!(disk = member.disk.name(), "the disk has caught up");
        Ok(lacking)
    }
}

/// Copies a file into `PART`, synced; returns the hash of what was written, or nothing when it could not be read.
fn copy(file: &dyn crate::disk::DiskFile, len: u64, disk: &dyn Disk) -> io::Result<Option<Hash>> {
    clear(disk)?;
    let mut part = disk.create(PART)?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; usize::try_from(len).unwrap_or(usize::MAX).min(STEP_BYTES)];
    let mut at = 0;
    while at < len {
        let step = usize::try_from(len - at).unwrap_or(usize::MAX).min(buffer.len());
        if file.read_at(at, &mut buffer[..step]).is_err() {
            return Ok(None);
        }
        part.append(&buffer[..step])?;
        hasher.update(&buffer[..step]);
        at += step as u64;
    }
    sync_file(part.as_mut())?;
    Ok(Some(Hash(*hasher.finalize().as_bytes())))
}

fn clear(disk: &dyn Disk) -> io::Result<()> {
    match disk.remove(PART) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn publish(disk: &dyn Disk, path: &str) -> io::Result<()> {
    make_folders(disk, folder_of(path))?;
    match disk.publish(PART, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => clear(disk)?,
        result => result?,
    }
    sync_names(disk, folder_of(path))
}

/// Numbers of the entries up to `head` that the disk lacks. A chapter that is whole was sealed from entries that were there.
fn absent_entries(disk: &dyn Disk, head: Head) -> Vec<u64> {
    let listing = chapters::list(disk).unwrap_or_default();
    let is_sealed = |chapter: &u64| {
        listing.folders.contains(chapter)
            && listing.chapters.contains(chapter)
            && chapters::read(disk, *chapter).is_some()
    };
    let open = (0..=chapter_of(head.sequence)).filter(|chapter| !is_sealed(chapter));
    let numbers = open.flat_map(entries_of).take_while(|sequence| *sequence <= head.sequence);
    numbers.filter(|sequence| !has_entry(disk, *sequence)).collect()
}

fn has_entry(disk: &dyn Disk, sequence: u64) -> bool {
    // Misread once, it would be written anew, or taken for one that nobody has.
    (0..2).any(|_| whole_entry(disk, sequence).is_some())
}
