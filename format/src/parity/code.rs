//! The Reed-Solomon code: from a pack to its recovery shards, and from the whole shards of both to the lost shards.
//!
//! The code is linear over the field of 2^16 elements, byte column by byte column, so encoding runs over a few
//! kilobytes of every shard at a time: 64 MiB of pack take a few MiB of memory, and need not be there at once. Crate
//! `reed-solomon-simd` uses transforms at the logarithm of the cost of the plain sum in FORMAT.md. A test holds both
//! equal, so the bytes on disks do not depend on the crate.

use super::{Shape, ShardHash, encode_end, encode_start, shard_hash, short};
use crate::Hash;
use reed_solomon_simd::engine::DefaultEngine;
use reed_solomon_simd::rate::{HighRateDecoder, HighRateEncoder, RateDecoder, RateEncoder};
use std::ops::Range;

/// Bytes of each shard worked on at once: a page, so no page is read twice. Encoding then takes about 5 MiB and
/// decoding 9 MiB, for the largest packs twice as much.
const STRIPE_BYTES: usize = 4096;
const STEP_BYTES: usize = 256 * 1024;

/// Why there is no sidecar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unmade<E> {
    /// The pack could not be read.
    Read(E),
    /// Two reads of the pack gave different bytes.
    Unsteady,
}

/// The file to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// A shard of the pack.
    Data(u32),
    /// A recovery shard of the sidecar.
    Recovery(u32),
}

/// The sidecar of a pack, and the name by the pack's bytes, for the caller to compare with the recorded name.
///
/// `read` fills the buffer from an offset in the pack. The pack is read twice, first from end to end.
///
/// # Errors
/// Errors of `read`; `Unsteady` when the second pass gave different bytes.
pub fn encode<E>(
    shape: &Shape,
    mut read: impl FnMut(u64, &mut [u8]) -> Result<(), E>,
) -> Result<(Hash, Vec<u8>), Unmade<E>> {
    let (name, mut hashes) = hash_shards(shape, &mut read).map_err(Unmade::Read)?;
    let shard_bytes = shape.shard_bytes as usize;
    let mut recovery = vec![0; shard_bytes * shape.recovery as usize];
    // The coded bytes must be the hashed bytes, or a repair would bring back different bytes.
    let mut again = vec![blake3::Hasher::new(); shape.data as usize];
    let mut encoder = None;
    for columns in stripes(shard_bytes) {
        let encoder = encoder_for(&mut encoder, shape, columns.len());
        let mut piece = vec![0; columns.len()];
        for (shard, hasher) in (0..shape.data).zip(&mut again) {
            read_data(shape, shard, columns.start, &mut piece, &mut read).map_err(Unmade::Read)?;
            hasher.update(&piece);
            encoder.add_original_shard(&piece).expect("as many shards of this length as it was made for");
        }
        let made = encoder.encode().expect("it has all its shards");
        for (shard, piece) in made.recovery_iter().enumerate() {
            let start = shard * shard_bytes + columns.start;
            recovery[start..start + piece.len()].copy_from_slice(piece);
        }
    }
    let again: Vec<_> = again.iter().map(|hasher| short(*hasher.finalize().as_bytes())).collect();
    if again != hashes {
        return Err(Unmade::Unsteady);
    }
    hashes.extend(recovery.chunks(shard_bytes).map(|shard| shard_hash(shard, shape.shard_bytes)));
    let mut bytes = encode_start(&name, shape, &hashes);
    bytes.reserve_exact(recovery.len() + bytes.len());
    bytes.append(&mut recovery);
    bytes.extend(encode_end(&name, shape, &hashes));
    Ok((name, bytes))
}

/// A full pass over the pack, for the pack's name and the hashes of its shards.
fn hash_shards<E>(
    shape: &Shape,
    read: &mut impl FnMut(u64, &mut [u8]) -> Result<(), E>,
) -> Result<(Hash, Vec<ShardHash>), E> {
    let mut whole = blake3::Hasher::new();
    let mut hashes = Vec::with_capacity(shape.data as usize);
    let shard_bytes = shape.shard_bytes as usize;
    let mut buffer = vec![0; STEP_BYTES.next_multiple_of(shard_bytes)];
    let mut at = 0;
    while at < shape.pack_len {
        let step = usize::try_from(shape.pack_len - at).unwrap_or(usize::MAX).min(buffer.len());
        read(at, &mut buffer[..step])?;
        whole.update(&buffer[..step]);
        hashes.extend(buffer[..step].chunks(shard_bytes).map(|shard| shard_hash(shard, shape.shard_bytes)));
        at += step as u64;
    }
    Ok((Hash(*whole.finalize().as_bytes()), hashes))
}

/// The lost shards of a pack, in the order of `lost`, each in full length; the last shard of a pack keeps the padding
/// zeros. `None` when fewer whole recovery shards are left than shards are lost.
///
/// `read` fills the buffer from an offset within a shard. Shards outside `lost` have to be whole, and so have the
/// shards in `recovery`.
///
/// # Errors
/// Errors of `read`.
pub fn rebuild<E>(
    shape: &Shape,
    lost: &[u32],
    recovery: &[u32],
    mut read: impl FnMut(Source, u64, &mut [u8]) -> Result<(), E>,
) -> Result<Option<Vec<Vec<u8>>>, E> {
    let is_known =
        |shards: &[u32], count| shards.is_sorted_by(|a, b| a < b) && shards.iter().all(|s| *s < count);
    let is_possible = is_known(lost, shape.data) && is_known(recovery, shape.recovery);
    if lost.len() > recovery.len() || !is_possible {
        return Ok(None);
    }
    let shard_bytes = shape.shard_bytes as usize;
    let mut found = vec![Vec::with_capacity(shard_bytes); lost.len()];
    let mut decoder = None;
    for columns in stripes(shard_bytes) {
        let decoder = decoder_for(&mut decoder, shape, columns.len());
        let mut piece = vec![0; columns.len()];
        for shard in (0..shape.data).filter(|shard| lost.binary_search(shard).is_err()) {
            let mut from = |offset: u64, buffer: &mut [u8]| {
                read(Source::Data(shard), offset - shape.data_range(shard).start, buffer)
            };
            read_data(shape, shard, columns.start, &mut piece, &mut from)?;
            decoder.add_original_shard(shard as usize, &piece).expect("each shard once, of this length");
        }
        for shard in &recovery[..lost.len()] {
            read(Source::Recovery(*shard), columns.start as u64, &mut piece)?;
            decoder.add_recovery_shard(*shard as usize, &piece).expect("each shard once, of this length");
        }
        let restored = decoder.decode().expect("as many shards as the pack has");
        for (shard, bytes) in lost.iter().zip(&mut found) {
            let piece = restored.restored_original(*shard as usize).expect("every lost shard comes back");
            bytes.extend_from_slice(piece);
        }
    }
    Ok(Some(found))
}

/// The columns of a shard in runs of `STRIPE_BYTES`.
fn stripes(shard_bytes: usize) -> impl Iterator<Item = Range<usize>> {
    (0..shard_bytes).step_by(STRIPE_BYTES).map(move |start| start..(start + STRIPE_BYTES).min(shard_bytes))
}

/// Reads from `column` of a shard of the pack; behind the pack's end there are zeros.
fn read_data<E>(
    shape: &Shape,
    shard: u32,
    column: usize,
    piece: &mut [u8],
    read: &mut impl FnMut(u64, &mut [u8]) -> Result<(), E>,
) -> Result<(), E> {
    let range = shape.data_range(shard);
    let start = (range.start + column as u64).min(range.end);
    let there = usize::try_from(range.end - start).unwrap_or(usize::MAX).min(piece.len());
    piece[there..].fill(0);
    if there == 0 { Ok(()) } else { read(start, &mut piece[..there]) }
}

type ShardEncoder = HighRateEncoder<DefaultEngine>;
type ShardDecoder = HighRateDecoder<DefaultEngine>;

fn encoder_for<'a>(kept: &'a mut Option<ShardEncoder>, shape: &Shape, bytes: usize) -> &'a mut ShardEncoder {
    let (data, recovery) = (shape.data as usize, shape.recovery as usize);
    let encoder = kept.get_or_insert_with(|| {
        ShardEncoder::new(data, recovery, bytes, DefaultEngine::new(), None)
            .expect("a shape is within its limits")
    });
    encoder.reset(data, recovery, bytes).expect("a shape is within its limits");
    encoder
}

fn decoder_for<'a>(kept: &'a mut Option<ShardDecoder>, shape: &Shape, bytes: usize) -> &'a mut ShardDecoder {
    let (data, recovery) = (shape.data as usize, shape.recovery as usize);
    let decoder = kept.get_or_insert_with(|| {
        ShardDecoder::new(data, recovery, bytes, DefaultEngine::new(), None)
            .expect("a shape is within its limits")
    });
    decoder.reset(data, recovery, bytes).expect("a shape is within its limits");
    decoder
}
