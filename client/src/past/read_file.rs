//! A file of the past, in order and checked.
//!
//! Not here: files that are restored to this computer's disk (`restore`).

use super::{
    fetch::{Fetcher, damaged},
    selection::Selection,
    tree_reader::TreeReader,
};
use crate::{ClientError, Past, TransferProgress};
use larder_format::{
    ChunkId, ChunkRef,
    tree::{
        Kind,
        read::{Found, Segment, ranges},
    },
    wire::IDS_MAX,
};
use std::{collections::HashMap, io::Write};

/// Memory for chunks while a single file is read in order.
const READ_AHEAD_BYTES: usize = 8 * 1024 * 1024;

/// Writes a file's content to `out`, checked, and returns its size.
///
/// # Errors
/// `WrongKind` for anything but a file, `Damaged` at the first part that cannot be had whole, `Local` when `out`
/// fails.
pub fn read_file(
    past: &dyn Past,
    wanted: &Selection<'_>,
    out: &mut dyn Write,
    progress: &TransferProgress,
) -> Result<u64, ClientError> {
    let root = past.snapshot(wanted.source, wanted.when)?.root;
    let (reader, mut fetcher) = (TreeReader::new(past, progress), Fetcher::new(past, progress));
    let Found { entry, .. } = reader.find(&root, wanted.path)?;
    let Kind::File { size, pieces } = entry.kind else {
        let is_folder = matches!(entry.kind, Kind::Directory { .. });
        return Err(no_file(wanted, if is_folder { "is a folder, not a file" } else { "is not a file" }));
    };
    let (mut group, mut group_bytes) = (Vec::new(), 0);
    for segment in ranges(&reader.lists(), pieces, 0..size) {
        let segment = segment?;
        group_bytes += if let Segment::Chunk { within, .. } = &segment { within.len() } else { 0 };
        group.push(segment);
        if group_bytes >= READ_AHEAD_BYTES || group.len() >= IDS_MAX {
            write_group(&mut fetcher, &group, out)?;
            (group, group_bytes) = (Vec::new(), 0);
        }
    }
    write_group(&mut fetcher, &group, out)?;
    Ok(size)
}

fn no_file(wanted: &Selection<'_>, is: &str) -> ClientError {
    let Selection { source, path, .. } = wanted;
    let path = larder_format::wire::escape_name(path);
    let what = if path.is_empty() { format!("{source} {is}.") } else { format!("{source}:{path} {is}.") };
    ClientError::WrongKind { what, remedy: "Name a file, as SOURCE:PATH; `larder ls` shows what there is." }
}

fn write_group(fetcher: &mut Fetcher<'_>, group: &[Segment], out: &mut dyn Write) -> Result<(), ClientError> {
    let chunk =
        |of: &Segment| if let Segment::Chunk { chunk, .. } = of { Some((chunk.id, *chunk)) } else { None };
    let wanted: HashMap<ChunkId, ChunkRef> = group.iter().filter_map(chunk).collect();
    let names: Vec<ChunkId> = wanted.keys().copied().collect();
    let mut chunks: HashMap<ChunkId, Vec<u8>> = HashMap::new();
    fetcher.fetch(&names, &mut |id, bytes| {
        // A tree may say that a chunk of 4 MiB is one byte long; a whole group of such chunks would take gigabytes.
        if wanted.get(id).is_some_and(|chunk| chunk.len as usize == bytes.len()) {
            chunks.insert(*id, bytes.to_vec());
        }
    })?;
    let failed = |cause: std::io::Error| ClientError::local("writing the file", "the output", cause);
    for segment in group {
        match segment {
            Segment::Chunk { chunk, within } => {
                let bytes = chunks.get(&chunk.id).and_then(|bytes| bytes.get(within.clone()));
                let bytes = bytes.ok_or_else(|| damaged("a part of the file", chunk))?;
                out.write_all(bytes).map_err(failed)?;
            }
            Segment::Zeros(bytes) => write_zeros(*bytes, out).map_err(failed)?,
        }
    }
    Ok(())
}

fn write_zeros(mut bytes: u64, out: &mut dyn Write) -> std::io::Result<()> {
    static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];
    while bytes > 0 {
        let len = usize::try_from(bytes).unwrap_or(usize::MAX).min(ZEROS.len());
        out.write_all(&ZEROS[..len])?;
        bytes -= len as u64;
    }
    Ok(())
}
