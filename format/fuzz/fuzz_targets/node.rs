//! Directory nodes: what a stranger's push makes a box read, and a stranger's disk a laptop.
#![no_main]

use larder_format::ChunkRef;
use larder_format::tree::read::{OneChunk, node};
use larder_format::tree::{Node, Totals};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let read = |bytes: &[u8]| node(&OneChunk(bytes), &ChunkRef::to(bytes));
    let Ok(node) = read(bytes) else { return };
    assert_eq!(read(&node.encode()).as_ref(), Ok(&node));
    assert!(node.references().count() <= bytes.len() / 32);
    let mut totals = Totals::default();
    if let Node::Leaf { owners, entries } = &node {
        for entry in entries {
            assert!(!entry.name.contains(&b'/') && entry.name != b"..");
            let _ = &owners[entry.owner as usize];
            totals.add(entry);
        }
    }
});
