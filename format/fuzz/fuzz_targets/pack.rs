//! A pack's header, footer and table. The checksums are made right first, or nothing would be reached behind them.
#![no_main]

use larder_format::Hash;
use larder_format::pack::{FOOTER_BYTES, Footer, PACK_CHUNKS_MAX, Table, check_header};

fn read(bytes: &[u8]) -> Option<(Footer, Table)> {
    let _ = check_header(bytes);
    let tail = bytes.len().checked_sub(FOOTER_BYTES)?;
    let footer = Footer::decode(&bytes[tail..], bytes.len() as u64).ok()?;
    let table = Table::decode(&footer, &bytes[usize::try_from(footer.table_offset).ok()?..]).ok()?;
    Some((footer, table))
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = read(bytes);
    let Some(tail) = bytes.len().checked_sub(FOOTER_BYTES) else { return };
    let mut bytes = bytes.to_vec();
    let offset = u64::from_le_bytes(bytes[tail + 16..tail + 24].try_into().unwrap());
    if let Some(table) = usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..tail)) {
        let hash = Hash::of(table);
        bytes[tail + 24..tail + 56].copy_from_slice(&hash.0);
    }
    let check = Hash::of(&bytes[tail..tail + 56]);
    bytes[tail + 56..].copy_from_slice(&check.0[..8]);
    if let Some((footer, table)) = read(&bytes) {
        assert!(table.chunks.len() <= PACK_CHUNKS_MAX);
        for slot in 0..table.chunks.len() {
            let block = table.block_of(slot).expect("every slot lies in a block");
            assert!(u64::from(block.offset) + u64::from(block.len) <= footer.table_offset);
        }
        let by_block: usize = (0..table.blocks.len()).map(|block| table.chunks_of(block).len()).sum();
        assert_eq!(by_block, table.chunks.len());
        assert_eq!(table.block_of(table.chunks.len()), None);
        assert_eq!(table.encode(footer.table_offset)[..], bytes[footer.table_offset as usize..]);
    }
});
