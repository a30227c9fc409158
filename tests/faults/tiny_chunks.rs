//! Many devices send the smallest chunks there can be at the same time.

use harness::plain;
use larder_format::Hash;
use larder_format::block::Encoder;
use larder_format::pack::PACK_CHUNKS_MAX;
use larder_store::disk::MemoryDisk;
use std::sync::Arc;

const SENDERS: u64 = 6;
const BLOCKS: u64 = 6;
const BLOCK_CHUNKS: u64 = 8000;

fn chunk(number: u64) -> [u8; 8] {
    number.to_le_bytes()
}

/// No pack takes more chunks than a pack can name, however many devices fill it at once.
#[test]
fn many_senders_of_tiny_chunks_never_overfill_a_pack() {
    let vault = plain::open(vec![Arc::new(MemoryDisk::new())]).expect("opens");
    std::thread::scope(|scope| {
        for sender in 0..SENDERS {
            let vault = &vault;
            scope.spawn(move || {
                let mut encoder = Encoder::new();
                for block in 0..BLOCKS {
                    let first = (sender * BLOCKS + block) * BLOCK_CHUNKS;
                    let plain: Vec<u8> = (first..first + BLOCK_CHUNKS).flat_map(chunk).collect();
                    let lengths = vec![8; usize::try_from(BLOCK_CHUNKS).expect("few")];
                    vault
                        .by(&plain::APPLIANCE)
                        .receive(&encoder.encode(&plain, lengths))
                        .expect("memory takes all");
                }
            });
        }
    });
    vault.seal_all().expect("memory takes all");
    let all = SENDERS * BLOCKS * BLOCK_CHUNKS;
    assert!(all > 4 * PACK_CHUNKS_MAX as u64, "it takes several packs");
    let ids: Vec<_> = (0..all).map(|number| Hash::of(&chunk(number))).collect();
    assert_eq!(vault.by(&plain::APPLIANCE).missing(&ids).len(), 0);
    assert_eq!(vault.unreadable_packs(), 0);
    assert_eq!(vault.audit().expect("an audit").damaged, [""; 0]);
}
