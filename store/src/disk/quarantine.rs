//! The quarantine of a disk: the place for damaged files, since no damaged file is ever deleted.
//!
//! Not here: when a file is set aside (`upkeep`).

use crate::disk::hash::hash_off_disk;
use crate::disk::{Disk, folder_of, make_folders, remove_if_there, sync_names};
use larder_format::Hash;
use larder_format::layout::{self, QUARANTINE};
use std::collections::BTreeSet;
use std::io;

/// So many set-aside files of one name mean a serious fault.
const SAME_NAME_MAX: usize = 1000;

pub(crate) fn is_there(disk: &dyn Disk, path: &str) -> io::Result<bool> {
    let name = path.rsplit('/').next().unwrap_or(path);
    Ok(disk.list(folder_of(path))?.iter().any(|item| item.name == name))
}

/// The same where no error can be reported: an unseen file may exist.
pub(crate) fn may_be_there(disk: &dyn Disk, path: &str) -> bool {
    is_there(disk, path).unwrap_or(true)
}

/// Moves the file of this name to the quarantine, durable on return; a missing file is no error. A second file of the
/// same name gets a number.
pub(crate) fn set_aside(disk: &dyn Disk, path: &str) -> io::Result<()> {
    if !is_there(disk, path)? {
        return Ok(());
    }
    make_folders(disk, QUARANTINE)?;
    move_to_quarantine(disk, path, path.rsplit('/').next().unwrap_or(path))?;
    sync_names(disk, folder_of(path))
}

/// Moves a file to the quarantine as `name`, or as `name` with a number appended.
pub(crate) fn move_to_quarantine(disk: &dyn Disk, path: &str, name: &str) -> io::Result<()> {
    let taken: BTreeSet<_> = disk.list(QUARANTINE)?.into_iter().map(|item| item.name).collect();
    let numbered = (2..SAME_NAME_MAX).map(|number| format!("{name}.{number}"));
    let free = std::iter::once(name.to_owned()).chain(numbered).find(|name| !taken.contains(name));
    let free = free.ok_or_else(|| io::Error::other("this file was set aside too often"))?;
    disk.publish(path, &layout::quarantined(&free))?;
    sync_names(disk, QUARANTINE)
}

/// Paths of all files in the quarantine with this name prefix, with lengths.
pub(crate) fn quarantined(disk: &dyn Disk, begins: &str) -> io::Result<Vec<(String, u64)>> {
    let items = disk.list(QUARANTINE)?.into_iter();
    let of_it = items.filter(|item| !item.is_folder && item.name.starts_with(begins));
    Ok(of_it.map(|item| (layout::quarantined(&item.name), item.len)).collect())
}

/// Names of packs with a file in the quarantine.
pub(crate) fn packs_in_quarantine(disk: &dyn Disk) -> io::Result<BTreeSet<Hash>> {
    let items = disk.list(QUARANTINE)?;
    Ok(items.iter().filter_map(|item| layout::set_aside_pack_name(&item.name)).collect())
}

/// Names of packs with a record of the loss.
pub(crate) fn records_in_quarantine(disk: &dyn Disk) -> io::Result<BTreeSet<Hash>> {
    let items = disk.list(QUARANTINE)?;
    Ok(items.iter().filter_map(|item| layout::set_aside_losses_name(&item.name)).collect())
}

/// Puts the quarantine in order after a pack came back from there, whole and durable: a second copy would only take room,
/// and the record of the loss must no longer name this pack. Otherwise the pack would count as given up after any later
/// loss.
pub(crate) fn is_given_up_no_longer(disk: &dyn Disk, name: &Hash) -> io::Result<()> {
    for (path, _) in quarantined(disk, &layout::set_aside_pack(name))? {
        if disk.open(&path).is_ok_and(|file| hash_off_disk(file.as_ref()) == Some(*name)) {
            remove_if_there(disk, &path)?;
        }
    }
    for (path, _) in quarantined(disk, &layout::set_aside_losses(name))? {
        // The listed chunks may also lie in other packs, so the record's content still counts.
        move_to_quarantine(disk, &path, &layout::losses_of_pack_that_is_back(name))?;
    }
    sync_names(disk, QUARANTINE)
}
