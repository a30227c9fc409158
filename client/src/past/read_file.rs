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
    ChunkId,
    tree::{Kind, Piece},
    wire::IDS_MAX,
};
use std::{
    collections::{HashMap, HashSet},
    io::Write,
};

/// Memory for chunks while a single file is read in order.
const READ_AHEAD_BYTES: u64 = 8 * 1024 * 1024;

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
    let (mut reader, mut fetcher) = (TreeReader::new(past, progress), Fetcher::new(past, progress));
    let (entry, _) = reader.find(&root, wanted.path)?;
    let Kind::File { size, pieces } = entry.kind else {
        let is_folder = matches!(entry.kind, Kind::Directory { .. });
        return Err(no_file(wanted, if is_folder { "is a folder, not a file" } else { "is not a file" }));
    };
    // Pieces still to be written, the next piece last.
    let mut rest: Vec<Piece> = pieces.into_iter().rev().collect();
    let mut group = Vec::new();
    let mut group_bytes = 0;
    while let Some(piece) = rest.pop() {
        if let Piece::More { list, bytes } = piece {
            reader.unfold(&list, bytes, &mut rest)?;
            continue;
        }
        group_bytes += if matches!(piece, Piece::Chunk(_)) { piece.bytes() } else { 0 };
        group.push(piece);
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

fn write_group(fetcher: &mut Fetcher<'_>, group: &[Piece], out: &mut dyn Write) -> Result<(), ClientError> {
    let chunk = |piece: &Piece| if let Piece::Chunk(chunk) = piece { Some(*chunk) } else { None };
    let names: HashSet<ChunkId> = group.iter().filter_map(chunk).map(|chunk| chunk.id).collect();
    let mut chunks: HashMap<ChunkId, Vec<u8>> = HashMap::new();
    let names: Vec<ChunkId> = names.into_iter().collect();
    fetcher.fetch(&names, &mut |id, bytes| drop(chunks.insert(*id, bytes.to_vec())))?;
    let failed = |cause: std::io::Error| ClientError::local("writing the file", "the output", cause);
    for piece in group {
        match piece {
            Piece::Chunk(chunk) => {
                let bytes = chunks.get(&chunk.id).ok_or_else(|| damaged("a part of the file", chunk))?;
                out.write_all(bytes).map_err(failed)?;
            }
            piece => write_zeros(piece.bytes(), out).map_err(failed)?,
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
