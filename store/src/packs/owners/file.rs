//! The file of what each device brought: records that are added at the end, each with a checksum.
//!
//! A record with a wrong checksum gives nothing, so damage costs wire and never gives one device a chunk of another. A file
//! with much that was said before is written anew. Not here: what the bits mean (`owners`).

use larder_format::Hash;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Read, Write};
use std::path::PathBuf;

const MAGIC: &[u8; 8] = b"LRDROWN1";
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
    /// Every snapshot that was kept then is told.
    Whole,
}

impl Record {
    fn encode(&self) -> Vec<u8> {
        let Self::Bits { device, pack, words } = self else { return vec![1] };
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
            return Some(Self::Whole);
        }
        let (len, rest) = rest.split_first_chunk()?;
        let (device, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*len)))?;
        let (pack, words) = rest.split_first_chunk()?;
        let words = words.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
        Some(Self::Bits { device: String::from_utf8(device.to_vec()).ok()?, pack: Hash(*pack), words })
    }
}

/// What was read.
pub(super) struct ReadOwners {
    pub(super) records: Vec<Record>,
    /// Something was there and cannot be believed, or nothing was there.
    pub(super) is_damaged: bool,
}

/// The file, and how much of it is said twice.
pub(super) struct OwnersFile {
    path: PathBuf,
    vault: [u8; 16],
    /// Bytes when it was last written anew, and bytes added since; none before the first writing.
    sizes: Option<(u64, u64)>,
}

impl OwnersFile {
    pub(super) fn new(path: PathBuf, vault: [u8; 16]) -> Self {
        Self { path, vault, sizes: None }
    }

    /// Whether to add to the file: a file that was not written anew since the start may end in a broken record.
    pub(super) fn is_worth_keeping(&self) -> bool {
        self.sizes.is_some_and(|(whole, added)| added <= whole.max(STALE_BYTES_MAX))
    }

    fn header(&self) -> [u8; HEADER_BYTES] {
        let mut header = [0; HEADER_BYTES];
        header[..8].copy_from_slice(MAGIC);
        header[8..].copy_from_slice(&self.vault);
        header
    }

    /// Every record that can be believed.
    pub(super) fn read(&self) -> ReadOwners {
        let nothing = ReadOwners { records: Vec::new(), is_damaged: true };
        let mut bytes = Vec::new();
        let read = File::open(&self.path).and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut bytes));
        match read {
            Err(error) if error.kind() == ErrorKind::NotFound => return nothing,
            Err(error) => {
                tracing::warn!(%error, "what each device brought cannot be read; it is found out anew");
                return nothing;
            }
            Ok(_) => {}
        }
        let Some(mut rest) = bytes.strip_prefix(&self.header()[..]) else { return nothing };
        let mut records = Vec::new();
        while !rest.is_empty() {
            let Some((record, after)) = next_record(rest) else {
                return ReadOwners { records, is_damaged: true };
            };
            records.push(record);
            rest = after;
        }
        ReadOwners { records, is_damaged: false }
    }

    /// Adds records at the end.
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

    /// Writes the file anew, whole or not at all: without it a push of days that is under way would be sent again.
    pub(super) fn write_anew(&mut self, records: impl Iterator<Item = Record>) -> io::Result<()> {
        self.sizes = None;
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
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
        out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        fs::rename(&part, &self.path)?;
        self.sizes = Some((len, 0));
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
