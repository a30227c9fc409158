//! Strays: packs outside the vault's places, in the quarantine, in the wrong folder, or put there by a person.

use crate::Result;
use crate::core::Core;
use crate::disk::Disk;
use crate::packs::reader;
use crate::upkeep::repair::moving;
use larder_format::pack::{PACK_MAGIC, Table};
use larder_format::{ChunkId, layout};
use std::collections::HashSet;

/// Folder levels searched for packs; a disk of ours has two.
const LEVELS_MAX: usize = 3;

/// Folders never holding a pack of the vault: sled's files, unfinished packs, and entries of the ledger.
const PASSED_BY: [&str; 3] = [layout::INDEX, layout::OPEN, layout::LEDGER];

/// Makes new packs from whole blocks with a chunk of `lost`, out of every stray pack on the disks. Returns the number
/// of chunks recovered.
///
/// # Errors
/// `Full` or `Disk` when no disk takes the packs.
pub(crate) fn fetch_from_strays(core: &Core, lost: &HashSet<ChunkId>) -> Result<usize> {
    let all = core.members.all();
    moving::move_whole_blocks(core, |moving| {
        for member in all.iter().filter(|member| member.is_readable()) {
            let disk = member.disk.as_ref();
            for file in stray_packs(disk).iter().filter_map(|path| disk.open(path).ok()) {
                let is_lost = |chunk: &ChunkId| lost.contains(chunk);
                match reader::table_of(file.as_ref()) {
                    // A whole table lists the pack's chunks in one read.
                    Ok(Table { chunks, .. }) if !chunks.iter().any(is_lost) => {}
                    // The chunks below a lost folder are not known yet, and most likely lie beside the folder.
                    Ok(_) => moving.blocks_of(file.as_ref(), |_| true)?,
                    Err(_) => moving.blocks_of(file.as_ref(), is_lost)?,
                }
            }
        }
        Ok(())
    })
}

/// Every file with the start of a pack outside the vault's places: in the quarantine under any name, in the wrong
/// folder, or put there by a person. A reader of a pulled disk finds the pack there too.
fn stray_packs(disk: &dyn Disk) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![(String::new(), 0)];
    while let Some((folder, level)) = folders.pop() {
        for item in disk.list(&folder).unwrap_or_default() {
            let path = if folder.is_empty() { item.name.clone() } else { format!("{folder}/{}", item.name) };
            let is_own = layout::pack_name(&item.name).is_some_and(|name| layout::pack(&name) == path);
            if item.is_folder && level < LEVELS_MAX && !PASSED_BY.contains(&path.as_str()) {
                folders.push((path, level + 1));
            } else if !item.is_folder && !is_own && begins_like_a_pack(disk, &path) {
                found.push(path);
            }
        }
    }
    found
}

fn begins_like_a_pack(disk: &dyn Disk, path: &str) -> bool {
    let mut start = [0; PACK_MAGIC.len()];
    disk.open(path).and_then(|file| file.read_at(0, &mut start)).is_ok() && start == *PACK_MAGIC
}
