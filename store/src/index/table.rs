//! Where each chunk may lie, in memory: seven bytes a chunk, so that ten million take 70 MB.
//!
//! A record is the first 32 bits of a chunk's id and a 32-bit place. The first byte of the id chooses one of 256 lists,
//! which are sorted, so that a question is a binary search and new records are merged in. Places count through all
//! packs in the order in which they were entered, `first place of the pack + slot`; they are given anew at each start.
//! Two ids may begin alike: what comes out is a hint, and the pack's own list decides (`packs`).

use std::ops::Range;

const LISTS: usize = 256;
/// Three bytes of id (its first chooses the list), four of place.
const RECORD_BYTES: usize = 7;
/// A list that is full grows by this part more than it must, so that it does not move for every pack.
const SLACK: usize = 16;

/// First 32 bits of a chunk's id.
pub(super) type Prefix = [u8; 4];

/// The places of one pack.
#[derive(Debug, Clone, Copy)]
struct PackPlaces {
    first: u32,
    chunks: u32,
    number: u32,
}

impl PackPlaces {
    fn places(&self) -> Range<u32> {
        self.first..self.first + self.chunks
    }
}

pub(super) struct HintTable {
    lists: Vec<Vec<u8>>,
    /// In the order of their places.
    packs: Vec<PackPlaces>,
    next_place: u32,
}

/// There are no 32-bit places left; a table made anew counts from zero again.
#[derive(Debug)]
pub(super) struct PlacesUsedUp;

impl HintTable {
    pub(super) fn new() -> Self {
        Self { lists: vec![Vec::new(); LISTS], packs: Vec::new(), next_place: 0 }
    }

    /// Enters packs, each with its number and its chunks by slot. Many at once cost little more than one.
    pub(super) fn insert<'a>(
        &mut self,
        packs: impl IntoIterator<Item = (u32, &'a [Prefix])>,
    ) -> Result<(), PlacesUsedUp> {
        let mut records = Vec::new();
        for (number, prefixes) in packs {
            let first = self.next_place;
            let chunks = u32::try_from(prefixes.len()).map_err(|_| PlacesUsedUp)?;
            self.next_place = first.checked_add(chunks).ok_or(PlacesUsedUp)?;
            self.packs.push(PackPlaces { first, chunks, number });
            records.extend((first..).zip(prefixes).map(|(place, prefix)| record(*prefix, place)));
        }
        records.sort_unstable();
        for run in records.chunk_by(|a, b| list_of(*a) == list_of(*b)) {
            merge(&mut self.lists[list_of(run[0])], run);
        }
        Ok(())
    }

    /// Pack numbers and slots where a chunk that begins so may lie, in the order in which packs were entered.
    pub(super) fn hints(&self, prefix: Prefix) -> impl Iterator<Item = (u32, u16)> + '_ {
        let list = &self.lists[usize::from(prefix[0])];
        let (first, last) = (record(prefix, 0), record(prefix, u32::MAX));
        let found = &list[position(list, first)..];
        let alike = found.chunks_exact(RECORD_BYTES).map(move |bytes| whole(prefix[0], bytes));
        alike.take_while(move |found| *found <= last).filter_map(|found| self.pack_of(place(found)))
    }

    fn pack_of(&self, place: u32) -> Option<(u32, u16)> {
        let after = self.packs.partition_point(|pack| pack.first <= place);
        let pack = self.packs.get(after.checked_sub(1)?)?;
        pack.places().contains(&place).then_some(())?;
        Some((pack.number, u16::try_from(place - pack.first).ok()?))
    }

    /// Takes packs out, with one pass over everything.
    pub(super) fn remove(&mut self, is_gone: impl Fn(u32) -> bool) {
        let gone: Vec<_> = self.packs.iter().filter(|pack| is_gone(pack.number)).copied().collect();
        self.packs.retain(|pack| !is_gone(pack.number));
        let is_gone = |place: u32| {
            let after = gone.partition_point(|pack| pack.first <= place);
            after.checked_sub(1).is_some_and(|last| gone[last].places().contains(&place))
        };
        for list in &mut self.lists {
            let mut kept = 0;
            for at in (0..list.len()).step_by(RECORD_BYTES) {
                if !is_gone(place(whole(0, &list[at..at + RECORD_BYTES]))) {
                    list.copy_within(at..at + RECORD_BYTES, kept);
                    kept += RECORD_BYTES;
                }
            }
            list.truncate(kept);
        }
    }
}

/// A record as one number: sorted, records are in the order of their ids.
fn record(prefix: Prefix, place: u32) -> u64 {
    u64::from(u32::from_be_bytes(prefix)) << 32 | u64::from(place)
}

fn list_of(record: u64) -> usize {
    usize::from(record.to_be_bytes()[0])
}

fn place(record: u64) -> u32 {
    let [_, _, _, _, place @ ..] = record.to_be_bytes();
    u32::from_be_bytes(place)
}

/// The record that lies in the list `first` as `bytes`.
fn whole(first: u8, bytes: &[u8]) -> u64 {
    let mut record = [first; 8];
    record[1..].copy_from_slice(bytes);
    u64::from_be_bytes(record)
}

/// Offset in `list` of the first record that is not below `wanted`.
fn position(list: &[u8], wanted: u64) -> usize {
    let [first, ..] = wanted.to_be_bytes();
    let records = list.as_chunks::<RECORD_BYTES>().0;
    records.partition_point(|bytes| whole(first, bytes) < wanted) * RECORD_BYTES
}

/// Puts sorted records into a sorted list, from its end, so that everything moves at most once.
fn merge(list: &mut Vec<u8>, records: &[u64]) {
    let mut end = list.len();
    let mut to = end + records.len() * RECORD_BYTES;
    if to > list.capacity() {
        list.reserve_exact(to - end + to / SLACK);
    }
    list.resize(to, 0);
    for record in records.iter().rev() {
        let at = position(&list[..end], *record);
        list.copy_within(at..end, to - (end - at));
        to -= end - at + RECORD_BYTES;
        list[to..to + RECORD_BYTES].copy_from_slice(&record.to_be_bytes()[1..]);
        end = at;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(table: &HintTable, prefix: Prefix) -> Vec<(u32, u16)> {
        table.hints(prefix).collect()
    }

    /// All that a naive table would give.
    fn expected(packs: &[(u32, Vec<Prefix>)], prefix: Prefix) -> Vec<(u32, u16)> {
        let slots = |(number, prefixes): &(u32, Vec<Prefix>)| {
            let number = *number;
            let alike = (0u16..).zip(prefixes.clone()).filter(move |(_, known)| *known == prefix);
            alike.map(move |(slot, _)| (number, slot)).collect::<Vec<_>>()
        };
        packs.iter().flat_map(slots).collect()
    }

    proptest! {
        /// Prefixes of few values, so that many begin alike and fall into one list.
        #[test]
        fn it_answers_as_a_naive_one_does(
            packs in prop::collection::vec(prop::collection::vec([0u8..3, 0u8..3, 0u8..2, 0u8..2], 0..40), 0..12),
            together in 1usize..5,
            gone in prop::collection::vec(any::<bool>(), 12),
        ) {
            let packs: Vec<(u32, Vec<Prefix>)> = (10u32..).zip(packs).collect();
            let mut table = HintTable::new();
            for group in packs.chunks(together) {
                table.insert(group.iter().map(|(number, prefixes)| (*number, &prefixes[..]))).unwrap();
            }
            let all = packs.iter().flat_map(|(_, prefixes)| prefixes).chain(&[[9; 4]]);
            for prefix in all.clone() {
                prop_assert_eq!(found(&table, *prefix), expected(&packs, *prefix));
            }
            table.remove(|number| gone[number as usize - 10]);
            let left: Vec<_> = packs.iter().filter(|(number, _)| !gone[*number as usize - 10]).cloned().collect();
            for prefix in all {
                prop_assert_eq!(found(&table, *prefix), expected(&left, *prefix));
            }
        }
    }

    #[test]
    fn places_that_run_out_are_told() {
        let mut table = HintTable::new();
        table.next_place = u32::MAX - 1;
        assert!(table.insert([(1, &[[1; 4]; 2][..])]).is_err());
    }
}
