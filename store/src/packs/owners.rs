//! Whose chunks: one bit for each chunk that a device itself brought, by place.
//!
//! A device hears of a chunk, and may cite a chunk, only if the device brought it: whoever guesses the content of another
//! device's file learns nothing, and takes nothing (docs/why/021-whose-chunks.md). A bit stays as long as the pack is there. A
//! lost bit costs wire and nothing else, since the device is asked to send the chunk again; so the whole table is
//! disposable. Kept in a file beside the index, and made anew from the kept snapshots of each device (`past::brought`).
//! Not here: chunks of packs that are not sealed yet (`claims`).

mod file;

use crate::packs::index::IndexPlace;
use crate::packs::marks::{At, Marks};
use crate::packs::pins::Holder;
use file::{OwnersFile, Record};
use larder_format::{ChunkId, Hash};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::PathBuf;

/// Whether the table knows every kept snapshot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Knowledge {
    /// Every kept snapshot was walked or committed under the table's eyes.
    Whole,
    /// Kept snapshots are to be walked.
    #[default]
    Partial,
}

/// Gaps of a walk, by name: 0.5 MB at most. With more, anything that comes may close one.
const GAPS_MAX: usize = 10_000;

/// The table.
#[derive(Default)]
pub(crate) struct Owners {
    of: BTreeMap<String, Marks>,
    knowledge: Knowledge,
    /// How often knowledge was lost: a walk begun before cannot end it.
    losses: u64,
    /// Chunks that kept snapshots name and the last walk found nowhere, or could not read for what lies below. Such a chunk
    /// may come again from another device, and is then also of the device that the walk was about.
    gaps: HashSet<ChunkId>,
    file: Option<OwnersFile>,
    /// Packs with bits that the file lacks, by device.
    unwritten: BTreeMap<String, BTreeSet<u32>>,
}

impl Owners {
    /// The table of `vault` as the file beside the index has it; `number_of` knows the packs that are there.
    pub(crate) fn open(
        place: &IndexPlace,
        vault: [u8; 16],
        number_of: impl Fn(&Hash) -> Option<u32>,
    ) -> Self {
        let mut owners =
            Self { file: path_of(place).map(|path| OwnersFile::new(path, vault)), ..Self::default() };
        let Some(read) = owners.file.as_ref().map(OwnersFile::read) else { return owners };
        for record in read.records {
            match record {
                Record::Bits { device, pack, words } => {
                    if let Some(number) = number_of(&pack) {
                        owners.of.entry(device).or_default().join(number, &words);
                    }
                }
                Record::Whole => owners.knowledge = Knowledge::Whole,
            }
        }
        if read.is_damaged {
            // The damage took bits with it, and nobody knows whose.
            owners.knowledge = Knowledge::Partial;
        }
        owners
    }

    /// Whether the table knows every kept snapshot.
    pub(crate) fn knowledge(&self) -> Knowledge {
        self.knowledge
    }

    /// A walk begins; returns how often knowledge was lost since the start.
    pub(crate) fn begin_walk(&mut self) -> u64 {
        self.gaps.clear();
        self.losses
    }

    /// A walk found no readable copy of this chunk.
    pub(crate) fn note_gap(&mut self, id: ChunkId) {
        if self.gaps.len() <= GAPS_MAX {
            self.gaps.insert(id);
        }
    }

    /// Whether a walk left something out.
    pub(crate) fn has_gaps(&self) -> bool {
        !self.gaps.is_empty()
    }

    /// Whether one of these chunks may be what a walk left out.
    pub(crate) fn closes_gap(&self, chunks: &[ChunkId]) -> bool {
        self.gaps.len() > GAPS_MAX || (self.has_gaps() && chunks.iter().any(|id| self.gaps.contains(id)))
    }

    /// A walk is due.
    pub(crate) fn lose(&mut self) {
        self.knowledge = Knowledge::Partial;
        self.losses += 1;
    }

    /// A walk that began at `losses` came to its end. Returns whether nothing was lost meanwhile.
    pub(crate) fn end_walk(&mut self, losses: u64) -> bool {
        if self.losses == losses {
            self.knowledge = Knowledge::Whole;
        }
        self.losses == losses
    }

    /// Whether `holder` brought the chunk. The appliance may name every chunk.
    pub(crate) fn has(&self, holder: &Holder, at: At) -> bool {
        match holder {
            Holder::Device(device) => self.of.get(device).is_some_and(|marks| marks.has(at)),
            Holder::Appliance => true,
            Holder::EarlierRun => false,
        }
    }

    /// `holder` brought these chunks.
    pub(crate) fn note(&mut self, holder: &Holder, chunks: impl IntoIterator<Item = At>) {
        let Holder::Device(device) = holder else { return };
        if !self.of.contains_key(device) {
            self.of.insert(device.clone(), Marks::default());
        }
        let marks = self.of.get_mut(device).expect("it was just put there");
        for at in chunks {
            if marks.set_first(at) {
                let unwritten = self.unwritten.entry(device.clone()).or_default();
                unwritten.insert(at.0);
            }
        }
    }

    /// Copies of one chunk: whoever brought one of them brought all.
    pub(crate) fn note_copies(&mut self, places: &[At]) {
        let brought = |marks: &Marks| places.iter().any(|at| marks.has(*at));
        let devices: Vec<_> =
            self.of.iter().filter(|(_, marks)| brought(marks)).map(|(device, _)| device.clone()).collect();
        for device in devices {
            self.note(&Holder::Device(device), places.iter().copied());
        }
    }

    /// These packs are gone.
    pub(crate) fn forget(&mut self, packs: &[u32]) {
        for marks in self.of.values_mut() {
            packs.iter().for_each(|pack| marks.clear(*pack));
        }
    }

    /// Writes down what the file lacks; `name_of` knows the packs that are there. A failed write costs wire after the next
    /// start, so it stops nothing.
    pub(crate) fn write(&mut self, name_of: impl Fn(u32) -> Option<Hash>) {
        let Some(file) = &mut self.file else { return };
        let unwritten = std::mem::take(&mut self.unwritten);
        if unwritten.is_empty() {
            return;
        }
        let bits = unwritten.iter().flat_map(|(device, packs)| packs.iter().map(move |pack| (device, *pack)));
        let records: Vec<_> =
            bits.filter_map(|(device, pack)| record(&self.of, device, pack, &name_of)).collect();
        let written =
            if file.is_worth_keeping() { file.append(&records) } else { return self.write_anew(name_of) };
        if let Err(error) = written {
            tracing::warn!(%error, "what each device brought could not be written down; after the next start it is sent again");
        }
    }

    /// Writes the whole file anew.
    pub(crate) fn write_anew(&mut self, name_of: impl Fn(u32) -> Option<Hash>) {
        let Some(file) = &mut self.file else { return };
        self.unwritten.clear();
        let bits = self.of.iter().flat_map(|(device, marks)| marks.packs().map(move |pack| (device, pack)));
        let bits = bits.filter_map(|(device, pack)| record(&self.of, device, pack, &name_of));
        // Which gaps there were is not written down, so the next start walks again.
        let is_whole = self.knowledge == Knowledge::Whole && self.gaps.is_empty();
        let whole = is_whole.then_some(Record::Whole);
        if let Err(error) = file.write_anew(bits.chain(whole)) {
            tracing::warn!(%error, "what each device brought could not be written down; after the next start it is sent again");
        }
    }

    /// The file is to lie elsewhere.
    pub(crate) fn move_to(
        &mut self,
        place: &IndexPlace,
        vault: [u8; 16],
        name_of: impl Fn(u32) -> Option<Hash>,
    ) {
        self.file = path_of(place).map(|path| OwnersFile::new(path, vault));
        self.write_anew(name_of);
    }
}

/// Beside the index: whoever throws the index away need not throw this away.
fn path_of(place: &IndexPlace) -> Option<PathBuf> {
    match place {
        IndexPlace::Folder(folder) => Some(folder.with_extension("owners")),
        IndexPlace::Memory => None,
    }
}

/// The bits of one device in one pack; none for a pack that is gone.
fn record(
    of: &BTreeMap<String, Marks>,
    device: &str,
    pack: u32,
    name_of: &impl Fn(u32) -> Option<Hash>,
) -> Option<Record> {
    let words = of.get(device)?.words(pack)?.to_vec();
    Some(Record::Bits { device: device.to_owned(), pack: name_of(pack)?, words })
}

#[cfg(test)]
mod tests {
    use super::*;

    const VAULT: [u8; 16] = [7; 16];

    fn device(name: &str) -> Holder {
        Holder::Device(name.to_owned())
    }

    fn name(pack: u32) -> Hash {
        Hash::of(&pack.to_le_bytes())
    }

    fn numbered(name: &Hash) -> Option<u32> {
        (0..10).find(|pack| self::name(*pack) == *name)
    }

    fn open(folder: &std::path::Path) -> Owners {
        Owners::open(&IndexPlace::Folder(folder.join("index")), VAULT, numbered)
    }

    /// Everything that three devices may have, as one list.
    fn all(owners: &Owners) -> Vec<(&'static str, At)> {
        let places = (0..3u32).flat_map(|pack| (0..200u16).map(move |slot| (pack, slot)));
        let devices = ["laptop", "phone", "stranger"];
        places
            .flat_map(|at| devices.map(|name| (name, at)))
            .filter(|(name, at)| owners.has(&device(name), *at))
            .collect()
    }

    #[test]
    fn it_is_the_same_after_a_start() {
        let folder = tempfile::tempdir().unwrap();
        let mut owners = open(folder.path());
        assert_eq!(owners.knowledge(), Knowledge::Partial, "there was no file");
        assert!(owners.end_walk(0));
        owners.write_anew(|pack| Some(name(pack)));
        owners.note(&device("laptop"), [(0, 0), (0, 130), (1, 5)]);
        owners.note(&device("phone"), [(1, 5)]);
        owners.write(|pack| Some(name(pack)));
        owners.note(&device("laptop"), [(0, 1)]);
        owners.write(|pack| Some(name(pack)));
        let again = open(folder.path());
        assert_eq!(again.knowledge(), Knowledge::Whole);
        let expected = all(&owners);
        assert_eq!(expected.len(), 5);
        assert_eq!(all(&again), expected);
        // A pack that went meanwhile is not given to another pack of its number.
        let gone = Owners::open(&IndexPlace::Folder(folder.path().join("index")), VAULT, |_| None);
        assert_eq!(all(&gone), []);
        let other = Owners::open(&IndexPlace::Folder(folder.path().join("index")), [8; 16], numbered);
        assert_eq!((all(&other), other.knowledge()), (vec![], Knowledge::Partial));
    }

    /// Damage takes bits and gives none, and is known as damage.
    #[test]
    fn a_damaged_file_gives_no_device_a_chunk_of_another() {
        let folder = tempfile::tempdir().unwrap();
        let mut owners = open(folder.path());
        assert!(owners.end_walk(0));
        owners.write_anew(|pack| Some(name(pack)));
        owners.note(&device("laptop"), [(0, 0), (0, 130)]);
        owners.note(&device("phone"), [(1, 5)]);
        owners.write(|pack| Some(name(pack)));
        let expected = all(&owners);
        let path = folder.path().join("index.owners");
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            std::fs::write(&path, &bytes).unwrap();
            let read = open(folder.path());
            assert!(all(&read).iter().all(|known| expected.contains(known)), "byte {at}");
            assert_eq!(read.knowledge(), Knowledge::Partial, "byte {at}");
            std::fs::write(&path, &whole[..at]).unwrap();
            let read = open(folder.path());
            assert!(all(&read).iter().all(|known| expected.contains(known)), "cut at {at}");
        }
    }

    #[test]
    fn a_copy_is_of_whoever_brought_the_first_one() {
        let mut owners = Owners::default();
        owners.note(&device("laptop"), [(0, 3)]);
        owners.note(&device("phone"), [(2, 3)]);
        owners.note_copies(&[(0, 3), (1, 9)]);
        assert!(owners.has(&device("laptop"), (1, 9)) && !owners.has(&device("phone"), (1, 9)));
        owners.forget(&[0]);
        assert!(!owners.has(&device("laptop"), (0, 3)) && owners.has(&device("laptop"), (1, 9)));
        assert!(owners.has(&Holder::Appliance, (5, 5)) && !owners.has(&Holder::EarlierRun, (1, 9)));
    }

    /// The same bits written again and again do not fill the disk.
    #[test]
    fn the_file_does_not_grow_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let mut owners = open(folder.path());
        for round in 0..2_000u16 {
            owners.note(&device("laptop"), (0..20).map(|n| (0, round * 20 + n)));
            owners.write(|pack| Some(name(pack)));
        }
        let len = std::fs::metadata(folder.path().join("index.owners")).unwrap().len();
        assert!(len < 2 << 20, "{len} bytes for 5,000 bytes of bits");
        assert_eq!(all(&open(folder.path())), all(&owners));
    }
}
