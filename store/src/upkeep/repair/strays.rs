//! Packs that lie where none of the vault's would: in the quarantine, in the wrong folder, or where a person put them.

use crate::Result;
use crate::core::Core;
use crate::disk::Disk;
use crate::packs::reader;
use crate::upkeep::repair::moving;
use larder_format::pack::{PACK_MAGIC, Table};
use larder_format::{ChunkId, layout};
use std::collections::HashSet;

/// Folders in folders that are looked through for packs; a disk of ours has two.
const LEVELS_MAX: usize = 3;

/// Nothing in here was ever a pack of the vault: sled's files, unfinished ones, and entries of the ledger.
const PASSED_BY: [&str; 3] = [layout::INDEX, layout::OPEN, layout::LEDGER];

/// Makes new packs of the blocks that are whole and hold a chunk of `lost`, in whatever pack on the disks that is none of
/// the vault's. Returns how many chunks came back.
///
/// # Errors
/// `Full` or `Disk` when no disk takes them.
pub(crate) fn fetch_from_strays(core: &Core, lost: &HashSet<ChunkId>) -> Result<usize> {
    let all = core.members.all();
    moving::move_whole_blocks(core, |moving| {
        for member in all.iter().filter(|member| member.is_readable()) {
            let disk = member.disk.as_ref();
            for file in stray_packs(disk).iter().filter_map(|path| disk.open(path).ok()) {
                let is_lost = |chunk: &ChunkId| lost.contains(chunk);
                match reader::table_of(file.as_ref()) {
                    // A table that is whole tells what is in the pack in one read.
                    Ok(Table { chunks, .. }) if !chunks.iter().any(is_lost) => {}
                    // What lies below a lost folder is not known yet, and most likely lies beside it.
                    Ok(_) => moving.blocks_of(file.as_ref(), |_| true)?,
                    Err(_) => moving.blocks_of(file.as_ref(), is_lost)?,
                }
            }
        }
        Ok(())
    })
}

/// Everything that begins like a pack and does not lie where one of the vault's would: in the quarantine under any name, in
/// the wrong folder, or where a person put it. A reader of a pulled disk finds it there too.
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
