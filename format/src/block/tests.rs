use super::*;
use crate::{FormatError, Hash};
use proptest::prelude::*;

fn block(parts: &[&[u8]]) -> Vec<u8> {
    let lengths = parts.iter().map(|part| u32::try_from(part.len()).unwrap()).collect();
    Encoder::new().encode(&parts.concat(), lengths)
}

#[test]
fn chunks_come_back_under_their_own_names() {
    let text = b"a word, ".repeat(9000);
    let bytes = block(&[b"first", b"", &text]);
    let (header, open) = OpenBlock::read(&mut Decoder::new(), &bytes).unwrap();
    assert_eq!((header.codec, header.block_len()), (Codec::Zstd, bytes.len()));
    assert_eq!(open.chunk(&Hash::of(&text)), Some(&text[..]));
    assert_eq!(open.chunk(&Hash::of(b"first")), Some(&b"first"[..]));
}

#[test]
fn what_does_not_shrink_is_stored_plain() {
    let mut noise = vec![0; 300_000];
    blake3::Hasher::new().finalize_xof().fill(&mut noise);
    assert_eq!(Header::decode(&block(&[&noise])).unwrap().codec, Codec::Plain);
    assert_eq!(Header::decode(&block(&[b"x"])).unwrap().codec, Codec::Plain);
}

/// A chunk named by the sender is read like any other; under a wrong name the block is not read at all.
#[test]
fn a_name_that_came_along_saves_a_hash_and_is_still_checked() {
    let mut noise = vec![0; 300_000];
    blake3::Hasher::new().finalize_xof().fill(&mut noise);
    for chunk in [&noise[..], &b"shrinks ".repeat(9000)] {
        let bytes = Encoder::new().encode_one(chunk, Hash::of(chunk)).concat();
        assert_eq!(bytes, block(&[chunk]));
        let (_, open) = OpenBlock::read(&mut Decoder::new(), &bytes).unwrap();
        assert_eq!(open.chunk(&Hash::of(chunk)), Some(chunk));
    }
    let wrong = Encoder::new().encode_one(&noise, Hash::of(b"another")).concat();
    assert_eq!(OpenBlock::read(&mut Decoder::new(), &wrong), Err(FormatError::Damaged { what: WHAT }));
}

/// A search by name skips the hash of the stored bytes, and still finds no chunk under a wrong name.
#[test]
fn a_chunk_under_its_name_is_whole_although_its_block_is_not() {
    let mut noise = vec![0; 300_000];
    blake3::Hasher::new().finalize_xof().fill(&mut noise);
    for (text, codec) in [(&noise[..], Codec::Plain), (&b"shrinks, ".repeat(9000), Codec::Zstd)] {
        let bytes = block(&[b"first", text]);
        let (header, open) = OpenBlock::read(&mut Decoder::new(), &bytes).unwrap();
        assert_eq!(header.codec, codec);
        assert_eq!(OpenBlock::read_for_names(&mut Decoder::new(), &bytes), Ok(open));
        let mut spoiled = bytes.clone();
        *spoiled.last_mut().unwrap() ^= 1;
        if let Ok(open) = OpenBlock::read_for_names(&mut Decoder::new(), &spoiled) {
            assert_eq!(open.chunk(&Hash::of(text)), None);
            assert!(open.chunks.iter().all(|(id, range)| *id == Hash::of(&open.plain[range.clone()])));
        }
    }
    let mut spoiled = block(&[b"first", &noise]);
    *spoiled.last_mut().unwrap() ^= 1;
    let open = OpenBlock::read_for_names(&mut Decoder::new(), &spoiled).unwrap();
    assert_eq!(open.chunk(&Hash::of(b"first")), Some(&b"first"[..]));
}

/// A header may be whole and still ask for more memory than any block has, or contradict itself.
#[test]
fn no_header_claims_more_than_a_block_may_hold() {
    let read = |codec, stored_len, plain_len, lengths: &[u32]| {
        let (stored_hash, lengths) = (Hash::ZERO, lengths.to_vec());
        Header::decode(&Header { codec, stored_len, plain_len, stored_hash, lengths }.encode())
    };
    let max = u32::try_from(BLOCK_PLAIN_BYTES_MAX).unwrap();
    assert!(read(Codec::Zstd, 9, max, &[max - 1, 1]).is_ok());
    for (codec, stored_len, plain_len, lengths) in [
        (Codec::Zstd, 9, max + 1, [max, 1]),
        (Codec::Plain, max + 1, max + 1, [max, 1]),
        (Codec::Zstd, 9, max, [max - 1, 0]),
        (Codec::Zstd, 11, 10, [9, 1]),
        (Codec::Plain, 9, 10, [9, 1]),
    ] {
        let refused = read(codec, stored_len, plain_len, &lengths);
        assert!(matches!(refused, Err(FormatError::Invalid { .. })), "{refused:?}");
    }
}

/// Two frames in a row, or a frame without a size, unpack here and nowhere else.
#[test]
fn only_one_frame_that_tells_its_size_is_a_block() {
    let plain = b"a word, ".repeat(100);
    let len = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap();
    let read = |stored: &[u8]| {
        let (stored_hash, lengths) = (Hash::of(stored), vec![len(&plain)]);
        let (stored_len, plain_len) = (len(stored), len(&plain));
        let header = Header { codec: Codec::Zstd, stored_len, plain_len, stored_hash, lengths };
        OpenBlock::read(&mut Decoder::new(), &[&header.encode()[..], stored].concat()).map(drop)
    };
    let mut zstd = zstd::bulk::Compressor::new(ZSTD_LEVEL).unwrap();
    assert_eq!(read(&zstd.compress(&plain).unwrap()), Ok(()));
    let two = [zstd.compress(&plain[..400]).unwrap(), zstd.compress(&plain[400..]).unwrap()].concat();
    assert!(matches!(read(&two), Err(FormatError::Invalid { .. })));
    zstd.set_parameter(zstd::zstd_safe::CParameter::ContentSizeFlag(false)).unwrap();
    assert!(matches!(read(&zstd.compress(&plain).unwrap()), Err(FormatError::Invalid { .. })));
}

/// A small frame with a small claim and a large content must be stopped at the claim.
#[test]
fn a_bomb_is_stopped_at_its_claim() {
    let frame = zstd::bulk::compress(&vec![0; 64 << 20], 3).unwrap();
    let header = Header {
        codec: Codec::Zstd,
        stored_len: u32::try_from(frame.len()).unwrap(),
        plain_len: 3 << 20,
        stored_hash: Hash::of(&frame),
        lengths: vec![3 << 20],
    };
    let bytes = [header.encode(), frame].concat();
    assert!(matches!(OpenBlock::read(&mut Decoder::new(), &bytes), Err(FormatError::Invalid { .. })));
}

proptest! {
    #[test]
    fn any_flipped_bit_is_noticed(text in "[a-z ]{1,400}", at: prop::sample::Index, bit in 0u8..8) {
        let mut bytes = block(&[text.as_bytes(), b"tail"]);
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(OpenBlock::read(&mut Decoder::new(), &bytes).is_err());
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
        let _ = OpenBlock::read(&mut Decoder::new(), &bytes);
        let _ = Header::decode(&[&BLOCK_MAGIC[..], &bytes].concat());
    }
}
