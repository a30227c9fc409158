//! Parity: a second file beside a pack, for computing damaged parts of the pack again.
//!
//! A pack is split into *shards* of equal length, the last shard padded with zeros. A Reed-Solomon code makes a
//! recovery shard for each begun sixteen: lost shards come back if at least as many recovery shards are whole. Each
//! shard has a hash, so a repair knows the lost shards instead of guessing, and repairs twice as many. Damage hits the
//! sidecar as easily as the pack, so head and hashes stand at both ends, and each group of hashes has a check of its
//! own. The same pack makes the same bytes on every disk.
//! Bytes: FORMAT.md, "Parity". Not here: the code itself (`code`), where sidecars lie (`store`).

mod code;

pub use code::{Source, Unmade, encode, rebuild};

use crate::{Fields, FormatError, Hash};
use std::ops::Range;

/// Layout of sidecars.
pub const PARITY_VERSION: u16 = 1;
/// First bytes of a head.
pub const PARITY_MAGIC: &[u8; 8] = b"LRDRPAR1";
/// Bytes of a head; a sidecar begins and ends with a head.
pub const HEAD_BYTES: usize = 96;
/// Packs up to this length get a sidecar: twice a full pack. Beyond, the memory of a small board would not do.
pub const PARITY_PACK_BYTES_MAX: u64 = 128 * 1024 * 1024;
/// A shard of a full pack. An unreadable sector of a disk loses 4 KiB at once, a burst more.
pub const SHARD_BYTES_MAX: u32 = 64 * 1024;
/// Shards of the largest pack.
pub const DATA_SHARDS_MAX: u32 = 2048;
/// Recovery shards of the largest pack; bounds the memory of a repair to 8 MiB.
pub const RECOVERY_SHARDS_MAX: u32 = DATA_SHARDS_MAX / DATA_PER_RECOVERY;

/// A disk loses whole sectors of this size, so a smaller shard only costs a further hash.
const SECTOR_BYTES: u64 = 4096;
/// The code works on runs of 64 bytes.
const SHARD_BYTES_UNIT: u32 = 64;
/// Shards of a pack that is not full; 64 MiB make this many shards of 64 KiB.
const DATA_SHARDS_AIM: u64 = 1024;
/// Data shards for each recovery shard.
const DATA_PER_RECOVERY: u32 = 16;
/// A small pack has few shards, and a scratch may cross several.
const RECOVERY_SHARDS_MIN: u32 = 4;
const SHARD_HASH_BYTES: usize = 16;
/// Hashes under a shared check: a sector of the list lost at both ends loses this many.
const GROUP_HASHES: usize = 64;
const WHAT: &str = "a parity file";

/// First bytes of the hash of a shard. A repair checks the pack's whole name anyway.
pub type ShardHash = [u8; SHARD_HASH_BYTES];

/// How a pack is split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Bytes of the pack.
    pub pack_len: u64,
    /// Bytes of each shard.
    pub shard_bytes: u32,
    /// Shards of the pack.
    pub data: u32,
    /// Shards of the sidecar.
    pub recovery: u32,
}

impl Shape {
    /// The shape for a pack of this length; `None` for an empty or too long pack.
    ///
    /// A pack within a sector is a single shard, since a disk never loses less than a sector. Larger packs have shards
    /// of a sector, or of enough sectors to keep the number of shards at about a thousand: then the lists of hashes
    /// stay small, and scattered damage costs little more than itself.
    pub fn of(pack_len: u64) -> Option<Self> {
        if pack_len == 0 || pack_len > PARITY_PACK_BYTES_MAX {
            return None;
        }
        let shard_bytes = if pack_len <= SECTOR_BYTES {
            pack_len.next_multiple_of(SHARD_BYTES_UNIT.into())
        } else {
            let wanted = pack_len.div_ceil(DATA_SHARDS_AIM).next_power_of_two();
            wanted.clamp(SECTOR_BYTES, SHARD_BYTES_MAX.into())
        };
        let data = u32::try_from(pack_len.div_ceil(shard_bytes)).ok()?;
        let recovery = data.div_ceil(DATA_PER_RECOVERY).max(data.min(RECOVERY_SHARDS_MIN));
        Some(Self { pack_len, shard_bytes: u32::try_from(shard_bytes).ok()?, data, recovery })
    }

    fn is_valid(&self) -> bool {
        let shard = u64::from(self.shard_bytes);
        self.pack_len > 0
            && (SHARD_BYTES_UNIT..=SHARD_BYTES_MAX).contains(&self.shard_bytes)
            && self.shard_bytes.is_multiple_of(SHARD_BYTES_UNIT)
            && self.pack_len.div_ceil(shard) == u64::from(self.data)
            && self.data <= DATA_SHARDS_MAX
            && (1..=self.data.min(RECOVERY_SHARDS_MAX)).contains(&self.recovery)
    }

    fn shards(&self) -> usize {
        (self.data + self.recovery) as usize
    }

    /// Bytes of head and list of hashes together.
    pub fn end_len(&self) -> u64 {
        let groups = self.shards().div_ceil(GROUP_HASHES);
        (HEAD_BYTES + (self.shards() + groups) * SHARD_HASH_BYTES) as u64
    }

    /// Bytes of the sidecar.
    pub fn file_len(&self) -> u64 {
        2 * self.end_len() + u64::from(self.recovery) * u64::from(self.shard_bytes)
    }

    /// Where a shard of the pack lies in the pack; the last shard may be shorter.
    pub fn data_range(&self, shard: u32) -> Range<u64> {
        let start = u64::from(shard) * u64::from(self.shard_bytes);
        start.min(self.pack_len)..(start + u64::from(self.shard_bytes)).min(self.pack_len)
    }

    /// Where a recovery shard lies in the sidecar.
    pub fn recovery_range(&self, shard: u32) -> Range<u64> {
        let start = self.end_len() + u64::from(shard) * u64::from(self.shard_bytes);
        start..start + u64::from(self.shard_bytes)
    }
}

/// A sidecar's description of a pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parity {
    /// The pack's name.
    pub name: Hash,
    /// How the pack was split.
    pub shape: Shape,
    /// Hashes of the pack's shards, then of the recovery shards; none where both copies of the list are damaged.
    pub hashes: Vec<Option<ShardHash>>,
    /// Whether both heads and both lists are whole.
    pub is_whole: bool,
}

/// The hash for recognising a shard. A shorter shard is first padded with zeros.
pub fn shard_hash(bytes: &[u8], shard_bytes: u32) -> ShardHash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(bytes);
    let missing = (shard_bytes as usize).saturating_sub(bytes.len());
    let zeros = [0; 1024];
    for at in (0..missing).step_by(zeros.len()) {
        hasher.update(&zeros[..zeros.len().min(missing - at)]);
    }
    short(*hasher.finalize().as_bytes())
}

fn short(hash: [u8; 32]) -> ShardHash {
    hash[..SHARD_HASH_BYTES].try_into().expect("16 of 32 bytes")
}

impl Parity {
    /// Reads both ends of a sidecar of `file_len` bytes; either end replaces damaged or unreadable parts of the
    /// opposite end. `read` fills the buffer from an offset, and returns whether the read succeeded.
    ///
    /// # Errors
    /// `Damaged` when no head is whole, `TooNew`, or `Invalid` for a contradictory head.
    pub fn read(file_len: u64, mut read: impl FnMut(u64, &mut [u8]) -> bool) -> Result<Self, FormatError> {
        let mut head_at = |offset: Option<u64>| {
            let mut bytes = [0; HEAD_BYTES];
            let is_read = offset.is_some_and(|offset| read(offset, &mut bytes));
            if is_read { decode_head(&bytes) } else { Err(FormatError::Short { what: WHAT }) }
        };
        let first = head_at(Some(0));
        let last = head_at(file_len.checked_sub(HEAD_BYTES as u64));
        let both_ends = first.is_ok() && first == last;
        let (name, shape) = match (first, last) {
            (Ok(head), _) | (Err(_), Ok(head)) => head,
            (Err(FormatError::TooNew { what, version }), _)
            | (_, Err(FormatError::TooNew { what, version })) => {
                return Err(FormatError::TooNew { what, version });
            }
            (Err(error), _) => return Err(error),
        };
        let lists = [HEAD_BYTES as u64, shape.file_len() - shape.end_len()];
        let mut parity = Self {
            name,
            shape,
            hashes: Vec::with_capacity(shape.shards()),
            is_whole: both_ends && file_len == shape.file_len(),
        };
        for group in 0..shape.shards().div_ceil(GROUP_HASHES) {
            parity.read_group(group, lists, &mut read);
        }
        Ok(parity)
    }

    fn read_group(&mut self, group: usize, lists: [u64; 2], read: &mut impl FnMut(u64, &mut [u8]) -> bool) {
        let hashes = (self.shape.shards() - group * GROUP_HASHES).min(GROUP_HASHES);
        let offset = (group * (GROUP_HASHES + 1) * SHARD_HASH_BYTES) as u64;
        let mut found = None;
        for list in lists {
            let mut bytes = vec![0; (hashes + 1) * SHARD_HASH_BYTES];
            let (listed, check) = bytes.split_at_mut(hashes * SHARD_HASH_BYTES);
            let is_read = read(list + offset, listed) && read(list + offset + listed.len() as u64, check);
            if is_read && group_check(&self.name, group, listed) == *check {
                found = Some(bytes);
            } else {
                self.is_whole = false;
            }
        }
        match found {
            Some(bytes) => {
                let (listed, _) = bytes.as_chunks::<SHARD_HASH_BYTES>();
                self.hashes.extend(listed[..hashes].iter().map(|hash| Some(*hash)));
            }
            None => self.hashes.extend(std::iter::repeat_n(None, hashes)),
        }
    }

    /// The hash of a shard of the pack.
    pub fn data_hash(&self, shard: u32) -> Option<ShardHash> {
        self.hashes.get(shard as usize).copied().flatten()
    }

    /// The hash of a recovery shard.
    pub fn recovery_hash(&self, shard: u32) -> Option<ShardHash> {
        self.hashes.get((self.shape.data + shard) as usize).copied().flatten()
    }
}

fn decode_head(bytes: &[u8; HEAD_BYTES]) -> Result<(Hash, Shape), FormatError> {
    let mut fields = Fields::new(bytes, WHAT);
    fields.magic(PARITY_MAGIC)?;
    if Hash::of(&bytes[..HEAD_BYTES - 32]).0 != bytes[HEAD_BYTES - 32..] {
        return Err(FormatError::Damaged { what: WHAT });
    }
    let (_written_by, oldest_reader) = (fields.u16()?, fields.u16()?);
    if oldest_reader > PARITY_VERSION {
        return Err(FormatError::TooNew { what: WHAT, version: oldest_reader });
    }
    let (shard_bytes, data, recovery) = (fields.u32()?, fields.u32()?, fields.u32()?);
    let pack_len = u64::from_le_bytes(fields.array()?);
    let name = Hash(fields.array()?);
    let shape = Shape { pack_len, shard_bytes, data, recovery };
    if shape.is_valid() {
        Ok((name, shape))
    } else {
        Err(FormatError::Invalid { what: WHAT, why: "its numbers contradict each other" })
    }
}

/// Head and list of hashes: the start of a sidecar.
fn encode_start(name: &Hash, shape: &Shape, hashes: &[ShardHash]) -> Vec<u8> {
    [encode_head(name, shape), encode_list(name, hashes)].concat()
}

/// List of hashes and head: the end of a sidecar.
fn encode_end(name: &Hash, shape: &Shape, hashes: &[ShardHash]) -> Vec<u8> {
    [encode_list(name, hashes), encode_head(name, shape)].concat()
}

fn encode_head(name: &Hash, shape: &Shape) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD_BYTES);
    bytes.extend_from_slice(PARITY_MAGIC);
    bytes.extend_from_slice(&PARITY_VERSION.to_le_bytes());
    bytes.extend_from_slice(&PARITY_VERSION.to_le_bytes()); // The oldest reader that may open it.
    for field in [shape.shard_bytes, shape.data, shape.recovery] {
        bytes.extend_from_slice(&field.to_le_bytes());
    }
    bytes.extend_from_slice(&shape.pack_len.to_le_bytes());
    bytes.extend_from_slice(&name.0);
    let check = Hash::of(&bytes);
    bytes.extend_from_slice(&check.0);
    bytes
}

fn encode_list(name: &Hash, hashes: &[ShardHash]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (group, hashes) in hashes.chunks(GROUP_HASHES).enumerate() {
        bytes.extend_from_slice(hashes.as_flattened());
        bytes.extend_from_slice(&group_check(name, group, hashes.as_flattened()));
    }
    bytes
}

/// The check covers the pack's name and the group's number, so a piece of another list never passes for this group.
fn group_check(name: &Hash, group: usize, hashes: &[u8]) -> ShardHash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&name.0);
    hasher.update(&u32::try_from(group).unwrap_or(u32::MAX).to_le_bytes());
    hasher.update(hashes);
    short(*hasher.finalize().as_bytes())
}

#[cfg(test)]
mod tests;
