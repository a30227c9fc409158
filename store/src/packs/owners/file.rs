//! The file of what each device brought: records that are added at the end, each with a checksum.
//!
//! A record with a wrong checksum gives nothing, so damage never gives one device a chunk of another. That nothing is lacking
//! is said by the last record alone, which stands in the file from a clean stop to the next start: a file that was cut, or
//! grew while bits came and went, cannot say so. A file with much that was said before is written anew. Not here: what the
//! bits mean (`owners`).

use larder_format::Hash;
use larder_format::ledger::Head;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 8] = b"LRDROWN2";
const HEADER_BYTES: usize = 8 + 16;
const CHECK_BYTES: usize = 16;
/// Length and checksum before each record.
const FRAME_BYTES: usize = 4 + CHECK_BYTES;
/// A larger file is not ours: ten million chunks of each of ten devices take 13 MB.
const FILE_BYTES_MAX: u64 = 256 << 20;
/// Bytes that may be said twice before the file is written anew.
const STALE_BYTES_MAX: u64 = 1 << 20;

/// One thing that the file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Record {
    /// Slots of one pack that the device brought, 64 a word.
    Bits { device: String, pack: Hash, words: Vec<u64> },
    /// Every kept snapshot is told, up to this entry of the ledger.
    Whole(Head),
}

impl Record {
    fn encode(&self) -> Vec<u8> {
        let (device, pack, words) = match self {
            Self::Bits { device, pack, words } => (device, pack, words),
            Self::Whole(head) => {
                return [&[1], &head.sequence.to_le_bytes()[..], &head.hash.0].concat();
            }
        };
        let len = u16::try_from(device.len()).expect("the name of a device is short");
        let mut bytes = vec![0];
        bytes.extend(len.to_le_bytes());
        bytes.extend(device.as_bytes());
        bytes.extend(pack.0);
        bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        if *kind == 1 {
            let (sequence, hash) = rest.split_first_chunk()?;
            let hash = Hash(hash.try_into().ok()?);
            return Some(Self::Whole(Head { sequence: u64::from_le_bytes(*sequence), hash }));
        }
        let (len, rest) = rest.split_first_chunk()?;
        let (device, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*len)))?;
        let (pack, words) = rest.split_first_chunk()?;
        let words = words.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
        Some(Self::Bits { device: String::from_utf8(device.to_vec()).ok()?, pack: Hash(*pack), words })
    }
}

/// What was read.
#[derive(Default)]
pub(super) struct ReadOwners {
    pub(super) records: Vec<Record>,
    /// Length of the file without its last record, if that is `Whole`.
    without_whole: Option<u64>,
}

/// The file, and how much of it is said twice.
pub(super) struct OwnersFile {
    path: PathBuf,
    vault: [u8; 16],
    /// Bytes when it was last written anew, and bytes added since; none before the first writing.
    sizes: Option<(u64, u64)>,
    /// Length without the record `Whole`, as long as that stands in the file.
    without_whole: Option<u64>,
}

impl OwnersFile {
    pub(super) fn new(path: PathBuf, vault: [u8; 16]) -> Self {
        Self { path, vault, sizes: None, without_whole: None }
    }

    /// Whether to add to the file: a file that was not written anew since the start may end in a broken record, and what
    /// comes behind `Whole` would not be believed.
    pub(super) fn is_worth_keeping(&self) -> bool {
        self.without_whole.is_none()
            && self.sizes.is_some_and(|(whole, added)| added <= whole.max(STALE_BYTES_MAX))
    }

    fn header(&self) -> [u8; HEADER_BYTES] {
        let mut header = [0; HEADER_BYTES];
        header[..8].copy_from_slice(MAGIC);
        header[8..].copy_from_slice(&self.vault);
        header
    }

    /// Every record that can be believed. `Whole` is taken out of the file first: a crash later on is to find it gone.
    pub(super) fn read_and_begin(&mut self) -> Vec<Record> {
        let read = self.read();
        self.begin_with(read)
    }

    fn begin_with(&mut self, ReadOwners { mut records, without_whole }: ReadOwners) -> Vec<Record> {
        self.without_whole = without_whole;
        if let Err(error) = self.take_out_whole() {
            tracing::warn!(%error, "what each device brought cannot be kept up to date; it is found out anew");
            records.pop_if(|last| matches!(last, Record::Whole(_)));
        }
        records
    }

    fn read(&self) -> ReadOwners {
        let mut bytes = Vec::new();
        let read = File::open(&self.path).and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut bytes));
        match read {
            Err(error) if error.kind() == ErrorKind::NotFound => return ReadOwners::default(),
            Err(error) => {
                tracing::warn!(%error, "what each device brought cannot be read; it is found out anew");
                return ReadOwners::default();
            }
            Ok(_) => {}
        }
        let Some(mut rest) = bytes.strip_prefix(&self.header()[..]) else { return ReadOwners::default() };
        let mut records = Vec::new();
        while let Some((record, after)) = next_record(rest) {
            if matches!(record, Record::Whole(_)) {
                // Nothing is ever written behind it. With anything there, the file is not as it was at a stop.
                let without_whole = after.is_empty().then(|| (bytes.len() - rest.len()) as u64);
                records.extend(without_whole.map(|_| record));
                return ReadOwners { records, without_whole };
            }
            records.push(record);
            rest = after;
        }
        ReadOwners { records, without_whole: None }
    }

    /// Makes the file say no longer that nothing is lacking.
    pub(super) fn take_out_whole(&mut self) -> io::Result<()> {
        let Some(len) = self.without_whole else { return Ok(()) };
        let file = OpenOptions::new().write(true).open(&self.path)?;
        file.set_len(len)?;
        // Else a power cut would bring it back, and the bits lost since would be missed by nobody.
        file.sync_all()?;
        self.without_whole = None;
        Ok(())
    }

    /// Adds records at the end. Not synced: a power cut takes bits, and the start after it walks.
    pub(super) fn append(&mut self, records: &[Record]) -> io::Result<()> {
        let mut bytes = Vec::new();
        records.iter().try_for_each(|record| put(&mut bytes, record))?;
        let mut file = OpenOptions::new().append(true).open(&self.path)?;
        if let Err(error) = file.write_all(&bytes) {
            // Half a record: what comes behind it would never be read.
            self.sizes = None;
            return Err(error);
        }
        if let Some((_, added)) = &mut self.sizes {
            *added += bytes.len() as u64;
        }
        Ok(())
    }

    /// Writes the file anew, whole or not at all: without it a push of days that is under way would be sent again. With
    /// `whole` at the end, the file says that nothing is lacking.
    pub(super) fn write_anew(
        &mut self,
        records: impl Iterator<Item = Record>,
        whole: Option<Head>,
    ) -> io::Result<()> {
        self.sizes = None;
        let folder = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let part = self.path.with_extension("owners.part");
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(&part)?;
        let mut out = BufWriter::new(file);
        out.write_all(&self.header())?;
        let mut len = HEADER_BYTES as u64;
        for record in records {
            let mut bytes = Vec::new();
            put(&mut bytes, &record)?;
            out.write_all(&bytes)?;
            len += bytes.len() as u64;
        }
        if let Some(head) = whole {
            let mut bytes = Vec::new();
            put(&mut bytes, &Record::Whole(head))?;
            out.write_all(&bytes)?;
        }
        out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        fs::rename(&part, &self.path)?;
        self.sizes = Some((len, 0));
        self.without_whole = whole.map(|_| len);
        Ok(())
    }
}

fn put(bytes: &mut Vec<u8>, record: &Record) -> io::Result<()> {
    let body = record.encode();
    bytes.extend(u32::try_from(body.len()).map_err(io::Error::other)?.to_le_bytes());
    bytes.extend(check(&body));
    bytes.extend(body);
    Ok(())
}

fn next_record(bytes: &[u8]) -> Option<(Record, &[u8])> {
    let (frame, rest) = bytes.split_first_chunk::<FRAME_BYTES>()?;
    let (len, expected) = frame.split_first_chunk()?;
    let (body, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*len)).ok()?)?;
    (check(body)[..] == *expected).then_some(())?;
    Some((Record::decode(body)?, rest))
}

fn check(body: &[u8]) -> [u8; CHECK_BYTES] {
    let hash = Hash::of(body).0;
    std::array::from_fn(|at| hash[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the mark of the stop cannot be taken out, a crash would be followed by a start that believes it.
    #[test]
    fn a_file_that_cannot_be_changed_is_not_believed_whole() {
        let folder = tempfile::tempdir().unwrap();
        let new = || OwnersFile::new(folder.path().join("index.owners"), [7; 16]);
        let bits = Record::Bits { device: "laptop".to_owned(), pack: Hash([1; 32]), words: vec![5] };
        let whole = Record::Whole(Head { sequence: 3, hash: Hash([2; 32]) });
        let written = || {
            let mut file = new();
            let Record::Whole(head) = whole.clone() else { unreachable!() };
            file.write_anew(std::iter::once(bits.clone()), Some(head)).unwrap();
            assert!(!file.is_worth_keeping(), "what is added behind the mark would not be believed");
        };
        written();
        assert_eq!(new().read_and_begin(), [bits.clone(), whole.clone()]);
        assert_eq!(new().read_and_begin(), std::slice::from_ref(&bits), "it was taken out");
        written();
        let mut file = new();
        let read = file.read();
        fs::remove_file(folder.path().join("index.owners")).unwrap();
        assert_eq!(file.begin_with(read), std::slice::from_ref(&bits));
        assert!(file.take_out_whole().is_err(), "it is tried again at the next change");
    }
}
