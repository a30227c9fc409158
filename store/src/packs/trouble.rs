//! Known damage of chunks, packs and disks, in one table.
//!
//! A chunk in the table counts as missing: a push that still has the chunk is asked for a copy, and the new copy is found
//! before the damaged one. Such a copy heals the damage; the owner hears of the rest. The table lives in memory. After a
//! restart the records in the quarantine, the packs themselves and the scrub fill the table again. Not here: finding damage
//! (`registry`, `upkeep::scrub`), repair (`upkeep::repair`), how far a disk can be trusted (`disks::member`).

use crate::disks::member::Member;
use crate::locks::{Mutex, MutexGuard, rank};
use crate::packs::place::BlockAt;
use larder_format::{ChunkId, Hash};
use std::collections::{HashMap, HashSet};

/// The table.
#[derive(Default)]
pub(crate) struct Troubles(Mutex<TroubleTable, { rank::TROUBLE }>);

#[derive(Default)]
struct TroubleTable {
    /// By number. A pack without an entry is in good order, as far as known.
    packs: HashMap<u32, PackTrouble>,
    /// Packs without a readable table on any disk: content not lost, and not found either.
    unreadable: HashSet<Hash>,
    /// Packs given up since the start.
    retired: HashSet<Hash>,
    /// Chunks of packs that no repair made whole.
    given_up: HashSet<ChunkId>,
    /// Chunks of kept backups in no pack, although no removal was recorded.
    absent: HashSet<ChunkId>,
    /// By the disk's id.
    disks: HashMap<String, DiskTrouble>,
    /// The newest layout of packs for a newer Larder only.
    newer_layout: Option<u16>,
    /// A folder of packs cannot be read, and may hold packs that no disk shows.
    hides_packs: bool,
    /// A read failed since the last scrub was told.
    is_suspected: bool,
}

/// Damage of one pack.
#[derive(Default)]
struct PackTrouble {
    /// Damaged blocks by offset, with their chunks.
    blocks: HashMap<u32, Vec<ChunkId>>,
    /// The content moves to new packs: a chunk counts only where another pack has a copy too.
    is_condemned: bool,
    /// A disk was filled without this pack: no receipt covers a pack held only by a failing or absent disk.
    is_gone_without: bool,
    /// A disk did not answer for a part of the pack, and the part may be whole.
    is_unanswered: bool,
}

impl PackTrouble {
    fn is_all_damaged(&self) -> bool {
        self.is_condemned || self.is_gone_without
    }

    fn is_none(&self) -> bool {
        self.blocks.is_empty() && !self.is_all_damaged() && !self.is_unanswered
    }
}

/// Damage of one disk.
#[derive(Default)]
struct DiskTrouble {
    /// A read failed outside of a scrub: a round in a hurry is wanted.
    is_alarmed: bool,
    /// Packs that gave no sidecar here; tried again after the next start.
    hopeless: HashSet<Hash>,
    /// Chapters of the ledger that could not be sealed here; tried again after the next start.
    unsealable: HashSet<u64>,
}

impl Troubles {
    fn table(&self) -> MutexGuard<'_, TroubleTable, { rank::TROUBLE }> {
        self.0.lock()
    }

    fn of_pack<T>(&self, pack: u32, change: impl FnOnce(&mut PackTrouble) -> T) -> T {
        let mut table = self.table();
        let of_pack = table.packs.entry(pack).or_default();
        let result = change(of_pack);
        if of_pack.is_none() {
            table.packs.remove(&pack);
        }
        result
    }

    fn is_pack(&self, pack: u32, question: impl FnOnce(&PackTrouble) -> bool) -> bool {
        self.table().packs.get(&pack).is_some_and(question)
    }

    /// Notes a damaged block with its chunks.
    pub(crate) fn note(&self, (pack, offset): BlockAt, chunks: Vec<ChunkId>) {
        self.of_pack(pack, |pack| drop(pack.blocks.insert(offset, chunks)));
    }

    /// Whether the block counts as damaged.
    pub(crate) fn is_known(&self, (pack, offset): BlockAt) -> bool {
        self.is_pack(pack, |pack| pack.is_all_damaged() || pack.blocks.contains_key(&offset))
    }

    /// A disk did not answer for a part of this pack.
    pub(crate) fn note_unanswered(&self, pack: u32) {
        self.of_pack(pack, |pack| pack.is_unanswered = true);
    }

    /// Whether a disk did not answer for a part of this pack since the pack was opened anew.
    pub(crate) fn is_unanswered(&self, pack: u32) -> bool {
        self.is_pack(pack, |pack| pack.is_unanswered)
    }

    /// How many chunks lie in damaged blocks.
    pub(crate) fn chunks_in_blocks(&self) -> usize {
        self.table().packs.values().flat_map(|pack| pack.blocks.values()).map(Vec::len).sum()
    }

    /// A disk goes on without this pack, since no other disk has a whole copy.
    pub(crate) fn go_without(&self, pack: u32) {
        self.of_pack(pack, |pack| pack.is_gone_without = true);
    }

    /// Whether a disk goes on without this pack.
    pub(crate) fn is_gone_without(&self, pack: u32) -> bool {
        self.is_pack(pack, |pack| pack.is_gone_without)
    }

    /// Whether a disk goes on without any pack.
    pub(crate) fn is_any_gone_without(&self) -> bool {
        self.table().packs.values().any(|pack| pack.is_gone_without)
    }

    /// No disk goes on without a pack any more. Returns the packs that were missing on a disk.
    pub(crate) fn end_going_without(&self) -> HashSet<u32> {
        let mut table = self.table();
        let was_missing = |(number, pack): (&u32, &mut PackTrouble)| {
            std::mem::take(&mut pack.is_gone_without).then_some(*number)
        };
        let missing = table.packs.iter_mut().filter_map(was_missing).collect();
        table.packs.retain(|_, pack| !pack.is_none());
        missing
    }

    /// Whether anything in the pack counts as damaged.
    pub(crate) fn is_in(&self, pack: u32) -> bool {
        self.is_pack(pack, |pack| pack.is_all_damaged() || !pack.blocks.is_empty())
    }

    /// From now on the whole pack counts as damaged.
    pub(crate) fn condemn(&self, pack: u32) {
        self.of_pack(pack, |pack| pack.is_condemned = true);
    }

    /// The content of the pack stays: it counts as before.
    pub(crate) fn reprieve(&self, pack: u32) {
        self.of_pack(pack, |pack| pack.is_condemned = false);
    }

    /// The pack was repaired, or is gone: its entry counts no more.
    pub(crate) fn clear(&self, pack: u32) {
        self.table().packs.remove(&pack);
    }

    /// The pack has a readable table on no disk.
    pub(crate) fn note_unreadable(&self, name: Hash) {
        self.table().unreadable.insert(name);
    }

    /// Whether the pack has a readable table on no disk.
    pub(crate) fn is_unreadable(&self, name: &Hash) -> bool {
        self.table().unreadable.contains(name)
    }

    /// The pack has a readable table, or exists no more. Returns whether the state changed.
    pub(crate) fn end_unreadable(&self, name: &Hash) -> bool {
        self.table().unreadable.remove(name)
    }

    /// Packs without a readable table.
    pub(crate) fn unreadable(&self) -> HashSet<Hash> {
        self.table().unreadable.clone()
    }

    /// How many packs have no readable table; folders that cannot be read count as one more.
    pub(crate) fn unreadable_count(&self) -> usize {
        let table = self.table();
        table.unreadable.len() + usize::from(table.hides_packs)
    }

    /// Every table is read anew.
    pub(crate) fn forget_unreadable(&self) {
        self.table().unreadable.clear();
    }

    /// A pack has a layout for a newer Larder only.
    pub(crate) fn note_newer(&self, layout: u16) {
        let mut table = self.table();
        table.newer_layout = table.newer_layout.max(Some(layout));
    }

    /// The newest layout of packs for a newer Larder only. Their content cannot be found, and is not lost.
    pub(crate) fn newer_layout(&self) -> Option<u16> {
        self.table().newer_layout
    }

    /// Whether there may be packs that no disk shows, since a folder cannot be read.
    pub(crate) fn hides_packs(&self) -> bool {
        self.table().hides_packs
    }

    /// Notes whether every folder of packs can be read.
    pub(crate) fn set_hides_packs(&self, hides_packs: bool) {
        self.table().hides_packs = hides_packs;
    }

    /// The pack was given up.
    pub(crate) fn retire(&self, name: Hash) {
        self.table().retired.insert(name);
    }

    /// Whether the pack was given up since the start.
    pub(crate) fn is_retired(&self, name: &Hash) -> bool {
        self.table().retired.contains(name)
    }

    /// A kept backup names this chunk, and no pack has it.
    pub(crate) fn note_absent(&self, chunk: ChunkId) {
        self.table().absent.insert(chunk);
    }

    /// Remembers chunks as lost. A chunk that a device brings again is held like any other, lost before or not.
    pub(crate) fn give_up(&self, chunks: impl IntoIterator<Item = ChunkId>) {
        self.table().given_up.extend(chunks);
    }

    /// Whether the chunk is known to be lost.
    pub(crate) fn is_given_up(&self, id: &ChunkId) -> bool {
        self.table().given_up.contains(id)
    }

    /// Chunks given up so far.
    pub(crate) fn given_up(&self) -> HashSet<ChunkId> {
        self.table().given_up.clone()
    }

    /// Forgets chunks in `before` outside of `named`: no kept backup names such a chunk, so no restore can miss it.
    pub(crate) fn miss_only(&self, named: &HashSet<ChunkId>, before: &HashSet<ChunkId>) {
        let mut table = self.table();
        table.given_up.retain(|chunk| named.contains(chunk) || !before.contains(chunk));
        table.absent.clear();
    }

    /// Chunks of damaged blocks, chunks given up, and chunks in no pack.
    pub(crate) fn chunks(&self) -> HashSet<ChunkId> {
        let table = self.table();
        let in_blocks = table.packs.values().flat_map(|pack| pack.blocks.values()).flatten();
        in_blocks.chain(&table.given_up).chain(&table.absent).copied().collect()
    }

    /// A read failed. Bad sectors come in groups, so the disks are read from end to end.
    pub(crate) fn suspect(&self) {
        self.table().is_suspected = true;
    }

    /// Whether a read failed, once for each time.
    pub(crate) fn take_suspicion(&self) -> bool {
        std::mem::take(&mut self.table().is_suspected)
    }

    fn of_disk<T>(&self, member: &Member, change: impl FnOnce(&mut DiskTrouble) -> T) -> T {
        change(self.table().disks.entry(member.id.clone()).or_default())
    }

    /// The disk is to be read in a hurry.
    pub(crate) fn alarm(&self, member: &Member) {
        self.of_disk(member, |disk| disk.is_alarmed = true);
    }

    /// Whether the disk is to be read in a hurry.
    pub(crate) fn is_alarmed(&self, member: &Member) -> bool {
        self.of_disk(member, |disk| disk.is_alarmed)
    }

    /// The same, once for each alarm.
    pub(crate) fn take_alarm(&self, member: &Member) -> bool {
        self.of_disk(member, |disk| std::mem::take(&mut disk.is_alarmed))
    }

    /// The pack on this disk gave no sidecar: the disk is to be read in a hurry.
    pub(crate) fn note_hopeless(&self, member: &Member, name: Hash) {
        self.of_disk(member, |disk| {
            disk.is_alarmed = true;
            disk.hopeless.insert(name);
        });
    }

    /// Whether the pack on this disk gave no sidecar.
    pub(crate) fn is_hopeless(&self, member: &Member, name: &Hash) -> bool {
        self.of_disk(member, |disk| disk.hopeless.contains(name))
    }

    /// The pack was repaired: a sidecar is tried again on every disk.
    pub(crate) fn has_hope_again(&self, name: &Hash) {
        self.table().disks.values_mut().for_each(|disk| disk.hopeless.retain(|known| known != name));
    }

    /// The chapter could not be sealed on this disk.
    pub(crate) fn note_unsealable(&self, member: &Member, chapter: u64) {
        self.of_disk(member, |disk| disk.unsealable.extend([chapter]));
    }

    /// Whether the chapter could not be sealed on this disk.
    pub(crate) fn is_unsealable(&self, member: &Member, chapter: u64) -> bool {
        self.of_disk(member, |disk| disk.unsealable.contains(&chapter))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pack_whose_trouble_ends_leaves_the_table() {
        let trouble = Troubles::default();
        let chunk = Hash::of(b"a chunk");
        trouble.note((1, 16), vec![chunk]);
        trouble.condemn(1);
        trouble.go_without(2);
        assert!(trouble.is_known((1, 16)) && trouble.is_known((1, 99)) && trouble.is_in(2));
        trouble.reprieve(1);
        assert!(trouble.is_known((1, 16)) && !trouble.is_known((1, 99)), "only the block is damaged");
        assert_eq!((trouble.chunks_in_blocks(), trouble.chunks().contains(&chunk)), (1, true));
        assert_eq!(trouble.end_going_without(), HashSet::from([2]));
        trouble.clear(1);
        assert!(trouble.table().packs.is_empty());
    }

    #[test]
    fn a_newer_layout_stays_the_newest() {
        let trouble = Troubles::default();
        assert_eq!(trouble.newer_layout(), None);
        [3, 7, 5].into_iter().for_each(|layout| trouble.note_newer(layout));
        assert_eq!(trouble.newer_layout(), Some(7));
    }
}
