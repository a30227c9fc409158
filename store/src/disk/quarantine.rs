//! The quarantine of a disk: where damaged files go, since nothing damaged is ever deleted.
//!
//! Not here: what is set aside and when (`upkeep`).

use crate::disk::hash::hash_off_disk;
use crate::disk::{Disk, folder_of, make_folders, sync_names};
use larder_format::Hash;
use larder_format::layout::{self, QUARANTINE};
use std::collections::BTreeSet;
use std::io;

/// Files of one name that are set aside before something must be badly wrong.
const SAME_NAME_MAX: usize = 1000;

pub(crate) fn is_there(disk: &dyn Disk, path: &str) -> io::Result<bool> {
    let name = path.rsplit('/').next().unwrap_or(path);
    Ok(disk.list(folder_of(path))?.iter().any(|item| item.name == name))
}

/// The same where nobody can be told of an error: what cannot be seen may be there.
pub(crate) fn may_be_there(disk: &dyn Disk, path: &str) -> bool {
    is_there(disk, path).unwrap_or(true)
}

/// Moves whatever has this name to the quarantine, durable on return; fine if nothing has it. A second file of the
/// same name gets a number.
pub(crate) fn set_aside(disk: &dyn Disk, path: &str) -> io::Result<()> {
    if !is_there(disk, path)? {
        return Ok(());
    }
    make_folders(disk, QUARANTINE)?;
    move_to_quarantine(disk, path, path.rsplit('/').next().unwrap_or(path))?;
    sync_names(disk, folder_of(path))
}

/// Moves a file to the quarantine as `name`, or as that with a number behind it.
pub(crate) fn move_to_quarantine(disk: &dyn Disk, path: &str, name: &str) -> io::Result<()> {
    let taken: BTreeSet<_> = disk.list(QUARANTINE)?.into_iter().map(|item| item.name).collect();
    let numbered = (2..SAME_NAME_MAX).map(|number| format!("{name}.{number}"));
    let free = std::iter::once(name.to_owned()).chain(numbered).find(|name| !taken.contains(name));
    let free = free.ok_or_else(|| io::Error::other("this file was set aside too often"))?;
    disk.publish(path, &layout::quarantined(&free))?;
    sync_names(disk, QUARANTINE)
}

/// Paths of everything in the quarantine whose name begins so, with lengths.
pub(crate) fn quarantined(disk: &dyn Disk, begins: &str) -> io::Result<Vec<(String, u64)>> {
    let items = disk.list(QUARANTINE)?.into_iter();
    let of_it = items.filter(|item| !item.is_folder && item.name.starts_with(begins));
    Ok(of_it.map(|item| (layout::quarantined(&item.name), item.len)).collect())
}

/// Names of packs of which something lies in the quarantine.
pub(crate) fn packs_in_quarantine(disk: &dyn Disk) -> io::Result<BTreeSet<Hash>> {
    let items = disk.list(QUARANTINE)?;
    Ok(items.iter().filter_map(|item| layout::set_aside_pack_name(&item.name)).collect())
}

/// Names of packs of which a record says what was lost with them.
pub(crate) fn records_in_quarantine(disk: &dyn Disk) -> io::Result<BTreeSet<Hash>> {
    let items = disk.list(QUARANTINE)?;
    Ok(items.iter().filter_map(|item| layout::set_aside_losses_name(&item.name)).collect())
}

/// Puts the quarantine in order after a pack that lay in it got its place again, whole and durable: a second copy would
/// only take room, and the record of what was lost with it must not speak of this pack any more. Should it ever vanish, it
/// would be taken for one that was given up.
pub(crate) fn is_given_up_no_longer(disk: &dyn Disk, name: &Hash) -> io::Result<()> {
    for (path, _) in quarantined(disk, &layout::set_aside_pack(name))? {
        if disk.open(&path).is_ok_and(|file| hash_off_disk(file.as_ref()) == Some(*name)) {
            clear(disk, &path)?;
        }
    }
    for (path, _) in quarantined(disk, &layout::set_aside_losses(name))? {
        // What it lists may also lie in other packs, so its content still counts.
        move_to_quarantine(disk, &path, &layout::losses_of_pack_that_is_back(name))?;
    }
    sync_names(disk, QUARANTINE)
}

pub(crate) fn clear(disk: &dyn Disk, path: &str) -> io::Result<()> {
    match disk.remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
