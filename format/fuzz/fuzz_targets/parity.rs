//! A sidecar's two ends, and a repair with whatever they claim. The checks of the head are made right first, or nothing
//! would be reached behind them.
#![no_main]

use larder_format::Hash;
use larder_format::parity::{HEAD_BYTES, Parity, rebuild};

fn read(bytes: &[u8]) {
    let parity = Parity::read(bytes.len() as u64, |at, buffer| {
        let found = usize::try_from(at).ok().and_then(|at| bytes.get(at..)?.get(..buffer.len()));
        found.map(|found| buffer.copy_from_slice(found)).is_some()
    });
    let Ok(Parity { shape, hashes, .. }) = parity else { return };
    assert_eq!(hashes.len(), (shape.data + shape.recovery) as usize);
    assert_eq!(shape.data_range(shape.data - 1).end, shape.pack_len);
    // Only small ones, or each run would take a second.
    if shape.pack_len < 100_000 {
        let all: Vec<_> = (0..shape.recovery).collect();
        let found = rebuild(&shape, &all, &all, |_, _, buffer| Ok::<_, ()>(buffer.fill(7)));
        assert_eq!(found.map(|found| found.map(|shards| shards.len())), Ok(Some(all.len())));
    }
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    read(bytes);
    if bytes.len() < HEAD_BYTES {
        return;
    }
    let mut bytes = bytes.to_vec();
    let check = Hash::of(&bytes[..HEAD_BYTES - 32]);
    bytes[HEAD_BYTES - 32..HEAD_BYTES].copy_from_slice(&check.0);
    read(&bytes);
});
