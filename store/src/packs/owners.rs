//! Whose chunks: one bit for each chunk that a device itself brought, by place.
//!
//! A device hears of a chunk, and may cite a chunk, only if the device brought it: whoever guesses the content of another
//! device's file learns nothing, and takes nothing (docs/why/021-whose-chunks.md). A bit stays as long as the pack is there.
//! For a push a lost bit costs wire: the device is asked to send the chunk again. For a restore a lost bit would cost the
//! file. So whoever loses bits says so (`lose`), and until the kept snapshots of each device are walked again (`past::brought`) a
//! missing bit is no proof. The whole table is disposable by that. It is kept in a file beside the index, and the file says
//! that nothing is lacking only from a clean stop to the next start.
//! Not here: chunks of packs that are not sealed yet (`claims`).

mod file;

use crate::packs::index::IndexPlace;
use crate::packs::marks::{At, Marks};
use crate::packs::pins::Holder;
use file::{OwnersFile, Record};
use larder_format::ledger::Head;
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
    /// The table of `vault` as the file beside the index has it; `number_of` knows the packs that are there. The table is
    /// whole if the file is of a clean stop and nothing came into the ledger since: another box may have had the disks.
    pub(crate) fn open(
        place: &IndexPlace,
        vault: [u8; 16],
        head: Head,
        number_of: impl Fn(&Hash) -> Option<u32>,
    ) -> Self {
        let mut owners =
            Self { file: path_of(place).map(|path| OwnersFile::new(path, vault)), ..Self::default() };
        let records = owners.file.as_mut().map(OwnersFile::read_and_begin).unwrap_or_default();
        for record in records {
            match record {
                Record::Bits { device, pack, words } => {
                    if let Some(number) = number_of(&pack) {
                        owners.of.entry(device).or_default().join(number, &words);
                    }
                }
                Record::Whole(of) if of == head => owners.knowledge = Knowledge::Whole,
                Record::Whole(_) => {}
            }
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
        self.change_after_stop();
    }

    /// The table differs from the file of a clean stop: the file must not be believed whole any longer.
    fn change_after_stop(&mut self) {
        if let Some(Err(error)) = self.file.as_mut().map(OwnersFile::take_out_whole) {
            tracing::warn!(%error, "what each device brought cannot be kept up to date");
        }
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
        let mut is_changed = false;
        if !self.of.contains_key(device) {
            self.of.insert(device.clone(), Marks::default());
        }
        let marks = self.of.get_mut(device).expect("it was just put there");
        for at in chunks {
            if marks.set_first(at) {
                let unwritten = self.unwritten.entry(device.clone()).or_default();
                unwritten.insert(at.0);
                is_changed = true;
            }
        }
        if is_changed {
            self.change_after_stop();
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
        self.change_after_stop();
    }

    /// Writes down what the file lacks; `name_of` knows the packs that are there. A failed write costs a push under way its
    /// wire after the next start, so it stops nothing.
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
        self.write_all(name_of, None);
    }

    /// The same at a clean stop, with the ledger at `head`: the next start finds nothing out that is known now.
    pub(crate) fn stop(&mut self, head: Head, name_of: impl Fn(u32) -> Option<Hash>) {
        // Which gaps there were is not written down, so the next start walks again.
        let is_whole = self.knowledge == Knowledge::Whole && self.gaps.is_empty();
        self.write_all(name_of, is_whole.then_some(head));
    }

    fn write_all(&mut self, name_of: impl Fn(u32) -> Option<Hash>, whole: Option<Head>) {
        let Some(file) = &mut self.file else { return };
        self.unwritten.clear();
        let bits = self.of.iter().flat_map(|(device, marks)| marks.packs().map(move |pack| (device, pack)));
        let bits = bits.filter_map(|(device, pack)| record(&self.of, device, pack, &name_of));
        if let Err(error) = file.write_anew(bits, whole) {
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
        // A file may lie there since a stop long ago. What it has is of no use; that it calls itself whole could do harm.
        let _ = self.file.as_mut().map(OwnersFile::read_and_begin);
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
    use std::path::Path;

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

    const HEAD: Head = Head { sequence: 7, hash: Hash([9; 32]) };

    fn place(folder: &Path) -> IndexPlace {
        IndexPlace::Folder(folder.join("index"))
    }

    fn open(folder: &Path) -> Owners {
        Owners::open(&place(folder), VAULT, HEAD, numbered)
    }

    fn named(pack: u32) -> Option<Hash> {
        Some(name(pack))
    }

    /// A table that was walked to its end, with bits of two devices, as a clean stop leaves it.
    fn stopped(folder: &Path) -> Owners {
        let mut owners = open(folder);
        assert!(owners.end_walk(0));
        owners.note(&device("laptop"), [(0, 0), (0, 130)]);
        owners.note(&device("phone"), [(1, 5)]);
        owners.stop(HEAD, named);
        owners
    }

    fn bytes_in(folder: &Path) -> Vec<u8> {
        std::fs::read(folder.join("index.owners")).unwrap()
    }

    fn put(folder: &Path, bytes: &[u8]) {
        std::fs::write(folder.join("index.owners"), bytes).unwrap();
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
        owners.write_anew(named);
        owners.note(&device("laptop"), [(0, 0), (0, 130), (1, 5)]);
        owners.note(&device("phone"), [(1, 5)]);
        owners.write(named);
        owners.note(&device("laptop"), [(0, 1)]);
        owners.write(named);
        let expected = all(&owners);
        assert_eq!(expected.len(), 5);
        // The bits outlive a crash, and a clean stop alone says that nothing is lacking.
        for knowledge in [Knowledge::Partial, Knowledge::Whole] {
            let again = open(folder.path());
            assert_eq!((all(&again), again.knowledge()), (expected.clone(), knowledge));
            owners.stop(HEAD, named);
        }
        // A pack that went meanwhile is not given to another pack of its number.
        let gone = Owners::open(&place(folder.path()), VAULT, HEAD, |_| None);
        assert_eq!(all(&gone), []);
        owners.stop(HEAD, named);
        let other = Owners::open(&place(folder.path()), [8; 16], HEAD, numbered);
        assert_eq!((all(&other), other.knowledge()), (vec![], Knowledge::Partial));
    }

    /// A crash forgets what memory knew of losses, so no file of a running table may be believed whole.
    #[test]
    fn the_file_says_whole_only_between_a_clean_stop_and_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        let known = |expect: Knowledge, what: &str| {
            // A look at a copy, as a start changes the file.
            let copy = tempfile::tempdir().unwrap();
            put(copy.path(), &bytes_in(folder.path()));
            assert_eq!(open(copy.path()).knowledge(), expect, "{what}");
        };
        let mut owners = stopped(folder.path());
        known(Knowledge::Whole, "a clean stop");
        for (what, change) in [
            ("a loss", &(|owners: &mut Owners| owners.lose()) as &dyn Fn(&mut Owners)),
            ("a pack is gone", &|owners| owners.forget(&[1])),
            ("a new bit", &|owners| owners.note(&device("phone"), [(1, 6)])),
            ("a new bit is written", &|owners| {
                owners.note(&device("phone"), [(1, 7)]);
                owners.write(named);
            }),
            ("the table is written", &|owners| owners.write_anew(named)),
            ("a start", &|_| drop(open(folder.path()))),
        ] {
            let losses = owners.losses;
            owners.end_walk(losses);
            owners.stop(HEAD, named);
            known(Knowledge::Whole, what);
            change(&mut owners);
            known(Knowledge::Partial, what);
        }
        let losses = owners.losses;
        owners.end_walk(losses);
        owners.stop(HEAD, named);
        // Nothing new was said, so nothing changes.
        owners.note(&device("laptop"), [(0, 0)]);
        owners.write(named);
        known(Knowledge::Whole, "nothing new");
        let mut again = open(folder.path());
        assert_eq!((again.knowledge(), all(&again)), (Knowledge::Whole, all(&owners)));
        again.note_gap(Hash::of(b"lost"));
        again.stop(HEAD, named);
        known(Knowledge::Partial, "a walk left something out");
    }

    /// Snapshots may have come to the disks in another box.
    #[test]
    fn a_ledger_that_went_on_is_walked() {
        let folder = tempfile::tempdir().unwrap();
        let expected = all(&stopped(folder.path()));
        let head = Head { sequence: 8, ..HEAD };
        let later = Owners::open(&place(folder.path()), VAULT, head, numbered);
        assert_eq!((later.knowledge(), all(&later)), (Knowledge::Partial, expected));
    }

    /// The former version called a file whole that bits had been lost from.
    #[test]
    fn a_file_of_the_former_version_is_found_out_anew() {
        let folder = tempfile::tempdir().unwrap();
        stopped(folder.path());
        let mut bytes = bytes_in(folder.path());
        assert_eq!(&bytes[..8], b"LRDROWN2");
        bytes[7] = b'1';
        put(folder.path(), &bytes);
        let read = open(folder.path());
        assert_eq!((all(&read), read.knowledge()), (vec![], Knowledge::Partial));
    }

    /// Damage takes bits and gives none, and is known as damage. So is a cut, also between two records.
    #[test]
    fn a_damaged_file_gives_no_device_a_chunk_of_another() {
        let folder = tempfile::tempdir().unwrap();
        let expected = all(&stopped(folder.path()));
        let whole = bytes_in(folder.path());
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            for (bytes, what) in [(&bytes[..], "byte"), (&whole[..at], "cut at")] {
                put(folder.path(), bytes);
                let read = open(folder.path());
                assert!(all(&read).iter().all(|known| expected.contains(known)), "{what} {at}");
                assert_eq!(read.knowledge(), Knowledge::Partial, "{what} {at}");
            }
        }
        put(folder.path(), &[&whole[..], b"more"].concat());
        let read = open(folder.path());
        assert_eq!((all(&read), read.knowledge()), (expected, Knowledge::Partial), "bytes behind the end");
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
