//! The possible places of each chunk, in memory: six bytes a chunk, so that ten million take 60 MB.
//!
//! A record is the first 32 bits of a chunk's id and a 32-bit place. The first 16 of the 32 bits choose one of
//! 65,536 lists, so a question is one look into the starts of the lists and a short search: ids are hashes, so lists
//! are equally long. Places count through the packs in the order of their entry, `first place of the pack + slot`;
//! places are given anew at each start. Two ids may begin alike: the result is a hint, and the pack's own table decides
//! (`registry`).
//!
//! New records go into a second, small table. When full, the small table is merged into the large one: a merge moves
//! every record once, and a merge for each pack would cost more with each kept chunk.

use std::ops::Range;

const LISTS: usize = 1 << 16;

/// Two bytes of id (two more choose the list), four of place.
const RECORD_BYTES: usize = 6;

/// Records of the small table; 3 MB.
const YOUNG_MAX: usize = 500_000;

/// Records to step over at first after a wrong guess.
const NEAR: usize = 8;

/// A full table grows by this part more than needed.
const SLACK: usize = 16;

/// First 32 bits of a chunk's id.
pub(crate) type Prefix = [u8; 4];

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

pub(crate) struct HintTable {
    old: Sorted,
    young: Sorted,
    /// In the order of their places.
    packs: Vec<PackPlaces>,
    next_place: u32,
}

/// There are no 32-bit places left; a table made anew counts from zero again.
#[derive(Debug)]
pub(crate) struct PlacesUsedUp;

impl HintTable {
    pub(crate) fn new() -> Self {
        Self { old: Sorted::new(), young: Sorted::new(), packs: Vec::new(), next_place: 0 }
    }

    /// Enters packs, each with its number and its chunks by slot. Many at once cost little more than one.
    pub(crate) fn insert<'a>(
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
        if self.young.len() + records.len() > YOUNG_MAX {
            records.extend(self.young.take());
            records.sort_unstable();
            self.old.merge(&records);
        } else {
            records.sort_unstable();
            self.young.merge(&records);
        }
        Ok(())
    }

    /// Pack numbers and slots for a chunk with this prefix, in the order in which packs were entered.
    pub(crate) fn hints(&self, prefix: Prefix) -> impl Iterator<Item = (u32, u16)> + '_ {
        self.old.places(prefix).chain(self.young.places(prefix)).filter_map(|place| self.pack_of(place))
    }

    fn pack_of(&self, place: u32) -> Option<(u32, u16)> {
        let after = self.packs.partition_point(|pack| pack.first <= place);
        let pack = self.packs.get(after.checked_sub(1)?)?;
        pack.places().contains(&place).then_some(())?;
        Some((pack.number, u16::try_from(place - pack.first).ok()?))
    }

    /// Takes packs out, with one pass over the table.
    pub(crate) fn remove(&mut self, is_gone: impl Fn(u32) -> bool) {
        let gone: Vec<_> = self.packs.iter().filter(|pack| is_gone(pack.number)).copied().collect();
        self.packs.retain(|pack| !is_gone(pack.number));
        let is_gone = |place: u32| {
            let after = gone.partition_point(|pack| pack.first <= place);
            after.checked_sub(1).is_some_and(|last| gone[last].places().contains(&place))
        };
        self.old.remove(is_gone);
        self.young.remove(is_gone);
    }
}

/// Records in the order of their ids, in one allocation: grown in place, without unusable holes.
struct Sorted {
    bytes: Vec<u8>,
    /// Number of the first record of each list, and behind the last list the number of records.
    starts: Vec<u32>,
}

impl Sorted {
    fn new() -> Self {
        Self { bytes: Vec::new(), starts: vec![0; LISTS + 1] }
    }

    fn len(&self) -> usize {
        self.bytes.len() / RECORD_BYTES
    }

    /// Numbers of the records of one list.
    fn list(&self, list: usize) -> Range<usize> {
        self.starts[list] as usize..self.starts[list + 1] as usize
    }

    fn in_list(&self, list: usize) -> impl Iterator<Item = u64> + '_ {
        let Range { start, end } = self.list(list);
        let bytes = &self.bytes[start * RECORD_BYTES..end * RECORD_BYTES];
        bytes.as_chunks().0.iter().map(move |bytes| whole(list, bytes))
    }

    fn places(&self, prefix: Prefix) -> impl Iterator<Item = u32> + '_ {
        let (first, last) = (record(prefix, 0), record(prefix, u32::MAX));
        let Range { end, .. } = self.list(list_of(first));
        let found = self.position(first)..end;
        let bytes = &self.bytes[found.start * RECORD_BYTES..found.end * RECORD_BYTES];
        let records = bytes.as_chunks().0.iter().map(move |bytes| whole(list_of(first), bytes));
        records.take_while(move |found| *found <= last).map(place)
    }

    /// Number of the first record not below `wanted`.
    fn position(&self, wanted: u64) -> usize {
        let Range { start, end } = self.list(list_of(wanted));
        let records = self.bytes[start * RECORD_BYTES..end * RECORD_BYTES].as_chunks().0;
        let is_below = |bytes: &[u8; RECORD_BYTES]| whole(list_of(wanted), bytes) < wanted;
        // Ids are hashes, so the position in the list can be guessed from the id's next 16 bits; around the guess there
        // are one or two lines of the processor's cache to look at, where a binary search would touch many.
        let guess = records.len() * ((wanted >> 32) as usize & 0xffff) / LISTS;
        let (mut low, mut high, mut step) = (guess, guess, NEAR);
        while low > 0 && !is_below(&records[low - 1]) {
            low = low.saturating_sub(step);
            step *= 2;
        }
        step = NEAR;
        while high < records.len() && is_below(&records[high]) {
            high = (high + step).min(records.len());
            step *= 2;
        }
        start + low + records[low..high].partition_point(is_below)
    }

    /// Puts sorted records in, from the end, so that each record moves at most once.
    fn merge(&mut self, records: &[u64]) {
        let mut end = self.bytes.len();
        let mut to = end + records.len() * RECORD_BYTES;
        if to > self.bytes.capacity() {
            self.bytes.reserve_exact(to - end + to / SLACK);
        }
        self.bytes.resize(to, 0);
        for record in records.iter().rev() {
            let at = self.position(*record) * RECORD_BYTES;
            self.bytes.copy_within(at..end, to - (end - at));
            to -= end - at + RECORD_BYTES;
            self.bytes[to..to + RECORD_BYTES].copy_from_slice(&record.to_be_bytes()[2..]);
            end = at;
        }
        let mut new = records.iter().map(|record| list_of(*record)).peekable();
        let mut before = 0;
        for list in 0..LISTS {
            self.starts[list] += before;
            while new.next_if_eq(&list).is_some() {
                before += 1;
            }
        }
        self.starts[LISTS] += before;
    }

    /// Empties the table.
    fn take(&mut self) -> Vec<u64> {
        let records = (0..LISTS).flat_map(|list| self.in_list(list)).collect();
        self.bytes.clear();
        self.starts.fill(0);
        records
    }

    fn remove(&mut self, is_gone: impl Fn(u32) -> bool) {
        let mut kept = 0;
        for list in 0..LISTS {
            let Range { start, end } = self.list(list);
            self.starts[list] = u32::try_from(kept).expect("no more than there were");
            for number in start..end {
                let at = number * RECORD_BYTES;
                let bytes = *self.bytes[at..].first_chunk().expect("a record lies there");
                if !is_gone(place(whole(list, &bytes))) {
                    self.bytes.copy_within(at..at + RECORD_BYTES, kept * RECORD_BYTES);
                    kept += 1;
                }
            }
        }
        self.starts[LISTS] = u32::try_from(kept).expect("no more than there were");
        self.bytes.truncate(kept * RECORD_BYTES);
    }
}

/// A record as one number: sorted, records are in the order of their ids.
fn record(prefix: Prefix, place: u32) -> u64 {
    u64::from(u32::from_be_bytes(prefix)) << 32 | u64::from(place)
}

fn list_of(record: u64) -> usize {
    let [a, b, ..] = record.to_be_bytes();
    usize::from(u16::from_be_bytes([a, b]))
}

fn place(record: u64) -> u32 {
    let [_, _, _, _, place @ ..] = record.to_be_bytes();
    u32::from_be_bytes(place)
}

/// The record in `list` with the bytes `bytes`.
fn whole(list: usize, bytes: &[u8; RECORD_BYTES]) -> u64 {
    let [a, b, rest @ ..] = bytes;
    let low = [rest[0], rest[1], rest[2], rest[3]];
    (list as u64) << 48 | u64::from(u16::from_be_bytes([*a, *b])) << 32 | u64::from(u32::from_be_bytes(low))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(table: &HintTable, prefix: Prefix) -> Vec<(u32, u16)> {
        table.hints(prefix).collect()
    }

    /// The hints of a naive table.
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
            packs in prop::collection::vec(prop::collection::vec([0u8..2, 0u8..3, 0u8..2, 0u8..2], 0..40), 0..12),
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

    /// The small table spills into the large one, more than once.
    #[test]
    fn it_answers_when_it_has_grown() {
        let mut table = HintTable::new();
        let prefix = |n: u32| n.wrapping_mul(2_654_435_761).to_be_bytes();
        let packs = 40u32;
        let chunks = u32::try_from(YOUNG_MAX).unwrap() / 16;
        for pack in 0..packs {
            let prefixes: Vec<_> = (pack * chunks..(pack + 1) * chunks).map(prefix).collect();
            table.insert([(pack, &prefixes[..])]).unwrap();
        }
        assert!(table.old.len() > YOUNG_MAX && table.young.len() > 0);
        for n in (0..packs * chunks).step_by(97) {
            let expected = (n / chunks, u16::try_from(n % chunks).unwrap());
            assert_eq!(found(&table, prefix(n)), [expected], "chunk {n}");
        }
        assert_eq!(found(&table, prefix(packs * chunks)), []);
    }

    #[test]
    fn places_that_run_out_are_told() {
        let mut table = HintTable::new();
        table.next_place = u32::MAX - 1;
        assert!(table.insert([(1, &[[1; 4]; 2][..])]).is_err());
    }
}
