//! Bytes: cutting, naming, packing and opening blocks.

use crate::{Amount, HotPath, Work, noise, text};
use larder_format::{
    Hash,
    block::{Decoder, Encoder, OpenBlock},
    cut::Cut,
};
use std::hint::black_box;

const MIB: usize = 1 << 20;
const CUT_BYTES: usize = 32 * MIB;
const FILE_BYTES: usize = 16 * 1024;
/// Half of a block's target size; fixed, so counts before and after a change of the target compare.
const BLOCK_BYTES: usize = 512 * 1024;
const BLOCKS: usize = 16;
const PHOTO_BYTES: usize = MIB;

/// Finds the cuts of a large file.
pub(crate) const CUT: HotPath =
    HotPath { name: "cut", amount: Amount::Bytes(CUT_BYTES as u64), prepare: cut };
/// Names small files.
pub(crate) const NAME: HotPath =
    HotPath { name: "name", amount: Amount::Bytes((BLOCKS * BLOCK_BYTES) as u64), prepare: name };
/// Packs small files into blocks.
pub(crate) const PACK_TEXT: HotPath =
    HotPath { name: "pack-text", amount: Amount::Bytes((BLOCKS * BLOCK_BYTES) as u64), prepare: pack_text };
/// Packs incompressible bytes.
pub(crate) const PACK_PHOTOS: HotPath = HotPath {
    name: "pack-photos",
    amount: Amount::Bytes((BLOCKS * PHOTO_BYTES) as u64),
    prepare: pack_photos,
};
/// Opens blocks of small files.
pub(crate) const OPEN_TEXT: HotPath =
    HotPath { name: "open-text", amount: Amount::Bytes((BLOCKS * BLOCK_BYTES) as u64), prepare: open_text };
/// Opens blocks stored plain.
pub(crate) const OPEN_PHOTOS: HotPath = HotPath {
    name: "open-photos",
    amount: Amount::Bytes((BLOCKS * PHOTO_BYTES) as u64),
    prepare: open_photos,
};

fn cut() -> Work {
    let file = noise(1, CUT_BYTES);
    Box::new(move || {
        let mut rest = &file[..];
        while !rest.is_empty() {
            rest = &rest[Cut::Content.first_len(black_box(rest))..];
        }
    })
}

fn name() -> Work {
    let files = noise(2, BLOCKS * BLOCK_BYTES);
    Box::new(move || {
        for file in files.chunks(FILE_BYTES) {
            black_box(Hash::of(file));
        }
    })
}

fn texts() -> Vec<Vec<u8>> {
    (0..BLOCKS as u64)
        .map(|seed| {
            let mut text = text(seed, BLOCK_BYTES);
            text.truncate(BLOCK_BYTES);
            text
        })
        .collect()
}

fn lengths(plain: &[u8]) -> Vec<u32> {
    plain.chunks(FILE_BYTES).map(|file| u32::try_from(file.len()).expect("16 KiB")).collect()
}

fn pack_text() -> Work {
    let (mut encoder, texts) = (Encoder::new(), texts());
    Box::new(move || texts.iter().for_each(|text| drop(black_box(encoder.encode(text, lengths(text))))))
}

fn photos() -> Vec<Vec<u8>> {
    (0..BLOCKS as u64).map(|seed| noise(seed, PHOTO_BYTES)).collect()
}

fn pack_photos() -> Work {
    let (mut encoder, photos) = (Encoder::new(), photos());
    let names: Vec<_> = photos.iter().map(|photo| Hash::of(photo)).collect();
    Box::new(move || {
        for (photo, name) in photos.iter().zip(&names) {
            black_box(encoder.encode_one(photo, *name));
        }
    })
}

fn open_text() -> Work {
    let mut encoder = Encoder::new();
    open(texts().iter().map(|text| encoder.encode(text, lengths(text))).collect())
}

fn open_photos() -> Work {
    let mut encoder = Encoder::new();
    open(photos().iter().map(|photo| encoder.encode_one(photo, Hash::of(photo)).concat()).collect())
}

fn open(blocks: Vec<Vec<u8>>) -> Work {
    let mut decoder = Decoder::new();
    Box::new(move || {
        for block in &blocks {
            black_box(OpenBlock::read(&mut decoder, block).expect("it was just made"));
        }
    })
}
