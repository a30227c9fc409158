//! Looking into the quarantine of the disks for what is whole in there after all.
//!
//! A pack that could not be read when it was given up may be read today, and a block that nobody needed then may be the
//! last copy of one that is lost now. So packs that were given up are tried again after each start and in each round of a
//! scrub, and before anything is called lost the whole blocks of all packs are used that lie in there or anywhere else on
//! the disks. A pack comes back as a new file that is written and synced like any other: one that was set aside after a
//! failed sync may show bytes that the disk does not have. Not here: what ends up in there (`place`, `salvage`).

use super::mend::{self, Mended};
use super::place::{self, QUARANTINE};
use crate::care::unless_held;
use crate::disk::Disk;
use crate::members::Member;
use crate::vault::Vault;
use crate::{Result, StoreError, packs};
use larder_format::pack::{PACK_MAGIC, Table};
use larder_format::{ChunkId, Hash};
use std::collections::{BTreeMap, HashSet};
use std::sync::PoisonError;

/// Folders in folders that are looked through for packs; a disk of ours has two.
const LEVELS_MAX: usize = 3;
/// Nothing in here was ever a pack of the vault: sled's files, unfinished ones, and entries of the ledger.
const PASSED_BY: [&str; 3] = ["index", "open", "ledger"];

/// What is still to be looked at in the quarantine of a disk.
pub(crate) struct Search {
    packs: Vec<Hash>,
    /// Whether single blocks of packs that stay damaged were looked for.
    has_blocks: bool,
}

/// Searches by the disk's name. A disk that is not in it was not looked at since the start, or since its last round.
pub(crate) type Searches = BTreeMap<String, Search>;

/// How far a search has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Searched {
    /// Bytes that were read.
    pub(crate) bytes: u64,
    /// Whether nothing is left to look at.
    pub(crate) is_over: bool,
}

impl Vault {
    /// Looks into the quarantine of every disk, as after a start, until about `bytes_max` are read. Returns whether
    /// something is left.
    ///
    /// # Errors
    /// `Disk` when a disk cannot be listed, or does not take what comes back.
    pub fn search_quarantines(&self, bytes_max: u64) -> Result<bool> {
        // A scrub that is under way looks itself.
        let Some(_no_repairs) = unless_held(&self.care.rounds) else { return Ok(false) };
        let mut left = bytes_max;
        for member in self.members.all().iter().filter(|member| member.is_healthy()) {
            let searched = self.search_quarantine(member, left)?;
            left = left.saturating_sub(searched.bytes);
            if !searched.is_over {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The same on one disk; the caller keeps repairs away.
    pub(crate) fn search_quarantine(&self, member: &Member, bytes_max: u64) -> Result<Searched> {
        let mut bytes = 0;
        let failed = |source| member.failed(QUARANTINE, source);
        self.begin_search(member).map_err(failed)?;
        while let Some(name) = self.next_unsearched(member) {
            if self.is_let_go(&name) {
                continue;
            }
            let disk = member.disk.as_ref();
            let of_it = |ending| place::quarantined(disk, &format!("{name}{ending}"));
            bytes += of_it(".pack").map_err(failed)?.iter().map(|(_, len)| len).sum::<u64>();
            if self.catalog.packs.number(&name).is_none() {
                self.bring_back(member, &name)?;
            } else if !of_it(".lost").map_err(failed)?.is_empty()
                && place::is_there(disk, &packs::path(&name)).map_err(failed)?
            {
                // A device brought it again, its blocks made the same pack, or the disk was filled without it at first.
                place::is_given_up_no_longer(disk, &name).map_err(failed)?;
            }
            if bytes >= bytes_max {
                return Ok(Searched { bytes, is_over: false });
            }
        }
        self.use_blocks(member);
        Ok(Searched { bytes, is_over: true })
    }

    /// From now on everything in the quarantine of this disk is to be looked at again.
    pub(crate) fn search_again(&self, member: &Member) {
        self.searches(|searches| drop(searches.remove(&member.id)));
    }

    fn searches<T>(&self, action: impl FnOnce(&mut Searches) -> T) -> T {
        action(&mut self.care.searches.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn begin_search(&self, member: &Member) -> std::io::Result<()> {
        if self.searches(|searches| searches.contains_key(&member.id)) {
            return Ok(());
        }
        let disk = member.disk.as_ref();
        let mut packs = place::packs_in_quarantine(disk)?;
        packs.extend(place::records_in_quarantine(disk)?);
        let search = Search { packs: packs.into_iter().collect(), has_blocks: false };
        self.searches(|searches| drop(searches.insert(member.id.clone(), search)));
        Ok(())
    }

    fn next_unsearched(&self, member: &Member) -> Option<Hash> {
        self.searches(|searches| searches.get_mut(&member.id)?.packs.pop())
    }

    /// Looks once in each search for blocks of what is still lost.
    fn use_blocks(&self, member: &Member) {
        let had = self.searches(|searches| {
            searches.get_mut(&member.id).is_none_or(|search| std::mem::replace(&mut search.has_blocks, true))
        });
        let lost = if had { HashSet::new() } else { self.lost_chunks() };
        if lost.is_empty() {
            return;
        }
        match self.fetch_from_strays(&lost) {
            Ok(chunks) => tracing::info!(chunks, "blocks of packs that were set aside were used"),
            // It is tried again in the next round.
            Err(error) => {
                tracing::warn!(%error, "what is whole in packs that were set aside could not be used")
            }
        }
    }

    /// Makes a pack that was given up one of the vault again, if it can be made whole by now.
    fn bring_back(&self, member: &Member, name: &Hash) -> Result<()> {
        match mend::mend(&self.members, member, name, self.reserve_bytes / 2) {
            Ok(Mended::Whole) => {}
            // The next round tries again.
            Ok(_) | Err(StoreError::Full { .. }) => return Ok(()),
            Err(error) => return Err(error),
        }
        self.is_whole_again(name);
        place::is_given_up_no_longer(member.disk.as_ref(), name)
            .map_err(|source| member.failed(QUARANTINE, source))?;
        tracing::warn!(disk = member.disk.name(), pack = %name, "a pack that was given up is whole again");
        let lacks_it = |other: &Member| other.disk.as_ref().open(&packs::path(name)).is_err();
        let all = self.members.all();
        let others = all.iter().filter(|other| other.key != member.key && other.is_healthy());
        others.filter(|other| lacks_it(other)).for_each(|other| other.misses_pack());
        Ok(())
    }

    /// Makes new packs of the blocks that are whole and hold a chunk of `lost`, in whatever pack on the disks that is none of
    /// the vault's. Returns how many chunks came back.
    ///
    /// # Errors
    /// `Full` or `Disk` when no disk takes them.
    pub(super) fn fetch_from_strays(&self, lost: &HashSet<ChunkId>) -> Result<usize> {
        let all = self.members.all();
        self.move_whole_blocks(|moving| {
            for member in all.iter().filter(|member| member.is_readable()) {
                let disk = member.disk.as_ref();
                for file in stray_packs(disk).iter().filter_map(|path| disk.open(path).ok()) {
                    let is_lost = |chunk: &ChunkId| lost.contains(chunk);
                    match packs::table_of(file.as_ref()) {
                        // A table that is whole tells what is in the pack in one read.
                        Ok(Table { chunks, .. }) if !chunks.iter().any(is_lost) => {}
                        // What lies below a lost folder is not known yet, and most likely lies beside it.
                        Ok(_) => moving.blocks_of(file.as_ref(), |_| true)?,
                        Err(_) => moving.blocks_of(file.as_ref(), is_lost)?,
                    }
                }
            }
            Ok(())
        })
    }
}

/// Everything that begins like a pack and does not lie where one of the vault's would: in the quarantine under any name, in
/// the wrong folder, or where a person put it. A reader of a pulled disk finds it there too.
fn stray_packs(disk: &dyn Disk) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![(String::new(), 0)];
    while let Some((folder, level)) = folders.pop() {
        for item in disk.list(&folder).unwrap_or_default() {
            let path = if folder.is_empty() { item.name.clone() } else { format!("{folder}/{}", item.name) };
            let is_own = Hash::from_hex(item.name.strip_suffix(".pack").unwrap_or_default())
                .is_some_and(|name| packs::path(&name) == path);
            if item.is_folder && level < LEVELS_MAX && !PASSED_BY.contains(&path.as_str()) {
                folders.push((path, level + 1));
            } else if !item.is_folder && !is_own && begins_like_a_pack(disk, &path) {
                found.push(path);
            }
        }
    }
    found
}

fn begins_like_a_pack(disk: &dyn Disk, path: &str) -> bool {
    let mut start = [0; PACK_MAGIC.len()];
    disk.open(path).and_then(|file| file.read_at(0, &mut start)).is_ok() && start == *PACK_MAGIC
}
