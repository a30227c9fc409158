use super::*;
use proptest::prelude::*;

/// Bytes that depend only on the number.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

fn sidecar_of(pack: &[u8]) -> (Shape, Vec<u8>) {
    let shape = Shape::of(pack.len() as u64).unwrap();
    let (name, bytes) =
        encode(&shape, |at, buffer| reader(pack)(at, buffer).then_some(()).ok_or(())).unwrap();
    assert_eq!((name, bytes.len() as u64), (Hash::of(pack), shape.file_len()));
    (shape, bytes)
}

fn reader(bytes: &[u8]) -> impl FnMut(u64, &mut [u8]) -> bool + '_ {
    |at, buffer| {
        let found = usize::try_from(at).ok().and_then(|at| bytes.get(at..)?.get(..buffer.len()));
        found.map(|found| buffer.copy_from_slice(found)).is_some()
    }
}

/// Repairs like a reader of the format: finds the lost shards from the hashes alone.
fn repaired(pack: &[u8], sidecar: &[u8]) -> Option<Vec<u8>> {
    let parity = Parity::read(sidecar.len() as u64, reader(sidecar)).ok()?;
    let shape = parity.shape;
    let cut = |range: Range<u64>, of: &[u8]| {
        of.get(usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()).unwrap().to_vec()
    };
    let is_whole = |hash: Option<ShardHash>, bytes: &[u8]| {
        hash.is_some_and(|hash| hash == shard_hash(bytes, shape.shard_bytes))
    };
    let lost: Vec<u32> = (0..shape.data)
        .filter(|shard| !is_whole(parity.data_hash(*shard), &cut(shape.data_range(*shard), pack)))
        .collect();
    let good: Vec<u32> = (0..shape.recovery)
        .filter(|shard| is_whole(parity.recovery_hash(*shard), &cut(shape.recovery_range(*shard), sidecar)))
        .collect();
    let read = |source, offset: u64, buffer: &mut [u8]| {
        let (file, start) = match source {
            Source::Data(shard) => (pack, shape.data_range(shard).start),
            Source::Recovery(shard) => (sidecar, shape.recovery_range(shard).start),
        };
        reader(file)(start + offset, buffer).then_some(()).ok_or(())
    };
    let found = rebuild(&shape, &lost, &good, read).expect("all of it can be read")?;
    let mut whole = pack.to_vec();
    for (shard, bytes) in lost.iter().zip(found) {
        let range = shape.data_range(*shard);
        let (start, end) = (usize::try_from(range.start).unwrap(), usize::try_from(range.end).unwrap());
        whole[start..end].copy_from_slice(&bytes[..end - start]);
    }
    Some(whole)
}

#[test]
fn the_shape_fits_the_pack() {
    let check = |len: u64, expect: (u32, u32, u32)| {
        let shape = Shape::of(len).unwrap();
        assert!(shape.is_valid());
        assert_eq!((shape.shard_bytes, shape.data, shape.recovery), expect, "{len}");
    };
    check(588, (640, 1, 1));
    check(4096, (4096, 1, 1));
    check(4097, (4096, 2, 2));
    check(20_000, (4096, 5, 4));
    check(1 << 20, (4096, 256, 16));
    check(32 << 20, (32 * 1024, 1024, 64));
    check(64 << 20, (64 * 1024, 1024, 64));
    check((68 << 20) + 5, (64 * 1024, 1089, 69));
    check(PARITY_PACK_BYTES_MAX, (64 * 1024, 2048, 128));
    assert_eq!((Shape::of(0), Shape::of(PARITY_PACK_BYTES_MAX + 1)), (None, None));
    for len in (1..200_000).step_by(61) {
        let shape = Shape::of(len).unwrap();
        assert!(shape.is_valid() && shape.file_len() < 1600 + 4 * len.max(4096), "{len}: {shape:?}");
    }
}

#[test]
fn as_many_shards_as_promised_come_back_from_anywhere() {
    let pack = noise(1, 300_000);
    let (shape, sidecar) = sidecar_of(&pack);
    assert_eq!((shape.data, shape.recovery), (74, 5));
    for seed in 0..60u32 {
        let mut hurt = pack.clone();
        for shard in (0..shape.recovery).map(|n| (seed * 7 + n * (seed + 1)) % shape.data) {
            let range = shape.data_range(shard);
            hurt[usize::try_from(range.start + u64::from(seed) % (range.end - range.start)).unwrap()] ^= 0x40;
        }
        assert_eq!(repaired(&hurt, &sidecar).as_ref(), Some(&pack), "seed {seed}");
    }
    let mut hurt = pack.clone();
    (0..6).for_each(|shard| hurt[shard * 4096] ^= 1);
    assert_eq!(repaired(&hurt, &sidecar), None, "one more than there are recovery shards");
}

#[test]
fn a_damaged_sidecar_still_helps() {
    let pack = noise(2, 300_000);
    let (shape, sidecar) = sidecar_of(&pack);
    let mut hurt = pack.clone();
    (0..3).for_each(|shard| hurt[shard * 5000] ^= 1);
    let end = usize::try_from(shape.end_len()).unwrap();
    // Either end, and two of the five recovery shards.
    for ruined in [0..end, sidecar.len() - end..sidecar.len()] {
        let mut ruin = sidecar.clone();
        ruin[ruined].fill(0xaa);
        ruin[end + 4096] ^= 1;
        ruin[end + 3 * 4096] ^= 1;
        assert!(!Parity::read(ruin.len() as u64, reader(&ruin)).unwrap().is_whole);
        assert_eq!(repaired(&hurt, &ruin).as_ref(), Some(&pack));
    }
    assert!(Parity::read(sidecar.len() as u64, reader(&sidecar)).unwrap().is_whole);
    // Cut off behind the first recovery shard.
    let short = &sidecar[..end + 4096];
    assert_eq!(Parity::read(short.len() as u64, reader(short)).unwrap().hashes.iter().flatten().count(), 79);
}

#[test]
fn every_byte_of_both_ends_is_checked() {
    let (shape, sidecar) = sidecar_of(&noise(3, 9000));
    let end = usize::try_from(shape.end_len()).unwrap();
    for at in (0..end).chain(sidecar.len() - end..sidecar.len()) {
        let mut ruin = sidecar.clone();
        ruin[at] ^= 0x10;
        let parity = Parity::read(ruin.len() as u64, reader(&ruin)).unwrap();
        assert!(!parity.is_whole, "byte {at}");
        assert_eq!(parity.hashes.iter().flatten().count(), 6, "byte {at}: the other end has it");
    }
}

#[test]
fn a_pack_that_changes_while_it_is_read_gets_no_sidecar() {
    let pack = noise(4, 9000);
    let mut reads = 0;
    let made = encode(&Shape::of(9000).unwrap(), |at, buffer| {
        reads += 1;
        assert!(reader(&pack)(at, buffer));
        buffer[0] ^= u8::from(reads == 3);
        Ok::<_, ()>(())
    });
    assert_eq!(made, Err(Unmade::Unsteady));
    assert_eq!(encode(&Shape::of(9000).unwrap(), |_, _| Err(5)), Err(Unmade::Read(5)));
}

/// The field and the sum from FORMAT.md, without the transforms.
mod by_hand {
    /// Elements that the bits of a number stand for, as polynomials.
    const BASIS: [u16; 16] = [
        0x0001, 0xacca, 0x3c0e, 0x163e, 0xc582, 0xed2e, 0x914c, 0x4012, 0x6c98, 0x10d8, 0x6a72, 0xb900,
        0xfdb8, 0xfb34, 0xff38, 0x991e,
    ];

    fn element(number: u16) -> u16 {
        (0..16).filter(|bit| number >> bit & 1 == 1).fold(0, |sum, bit| sum ^ BASIS[bit])
    }

    fn number(element: u16) -> u16 {
        (0..=u16::MAX).find(|number| self::element(*number) == element).unwrap()
    }

    fn product(a: u16, b: u16) -> u16 {
        let mut sum = 0u32;
        for bit in 0..16 {
            if b >> bit & 1 == 1 {
                sum ^= u32::from(a) << bit;
            }
        }
        for bit in (16..32).rev() {
            if sum >> bit & 1 == 1 {
                sum ^= 0x1_002d << (bit - 16);
            }
        }
        u16::try_from(sum).unwrap()
    }

    fn inverse(a: u16) -> u16 {
        // a^(2^16 - 2)
        let (mut result, mut power) = (1, a);
        for _ in 1..16 {
            power = product(power, power);
            result = product(result, power);
        }
        result
    }

    /// The word of `shard` with the low byte at `at`; `at` is below 32 in its run of 64.
    fn word(shard: &[u8], at: usize) -> u16 {
        u16::from_le_bytes([shard[at], shard[at + 32]])
    }

    pub(super) fn check(data: &[Vec<u8>], recovery: &[Vec<u8>], at: usize) {
        let m = recovery.len().next_power_of_two();
        for (j, made) in recovery.iter().enumerate() {
            let terms = data.iter().enumerate().map(|(i, shard)| {
                let above = element(u16::try_from((m + i) / m).unwrap());
                let below = element(u16::try_from((m + i) ^ j).unwrap());
                product(product(above, inverse(below)), element(word(shard, at)))
            });
            let sum = terms.fold(0, |sum, term| sum ^ term);
            assert_eq!(number(sum), word(made, at), "recovery shard {j}");
        }
    }
}

#[test]
fn the_bytes_are_those_of_the_plain_sum() {
    for len in [500, 5000, 20_000, 400_000, 1_100_000] {
        let pack = noise(5, len);
        let (shape, sidecar) = sidecar_of(&pack);
        let size = shape.shard_bytes as usize;
        let mut padded = pack.clone();
        padded.resize(size * shape.data as usize, 0);
        let data: Vec<_> = padded.chunks(size).map(<[u8]>::to_vec).collect();
        let end = usize::try_from(shape.end_len()).unwrap();
        let recovery: Vec<_> = sidecar[end..sidecar.len() - end].chunks(size).map(<[u8]>::to_vec).collect();
        for at in [0, 1, 31, size - 64, size - 33] {
            by_hand::check(&data, &recovery, at);
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(mut bytes: Vec<u8>, shape: [u32; 3], pack_len: u64) {
        let _ = Parity::read(bytes.len() as u64, reader(&bytes));
        let [shard_bytes, data, recovery] = shape;
        for shape in [
            Shape { pack_len, shard_bytes, data, recovery },
            Shape { pack_len: pack_len % 3_000_000 + 1, shard_bytes: 64 * (shard_bytes % 2000), data: data % 2050, recovery: recovery % 130 },
        ] {
            let head = encode_head(&Hash::of(b"x"), &shape);
            bytes.splice(0..0, head);
            if let Ok(parity) = Parity::read(bytes.len() as u64, reader(&bytes)) {
                prop_assert_eq!(parity.hashes.len(), parity.shape.shards());
            }
        }
    }
}
