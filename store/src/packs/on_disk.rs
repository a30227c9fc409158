//! Packs on one disk, and the files beside the packs, by name alone.
//!
//! Not here: the content of packs (`reader`), which packs belong to the vault (`catalog`).

use crate::disk::{Disk, ask_twice};
use larder_format::{Hash, layout};
use std::collections::HashMap;
use std::io;

/// Files by the name of their pack, with their lengths; and the error of a folder, if a folder could not be listed.
type FilesFound = (HashMap<Hash, u64>, Option<io::Error>);

/// The packs on one disk, with their lengths: the complete list, or an error.
pub(crate) fn names_on(disk: &dyn Disk) -> io::Result<HashMap<Hash, u64>> {
    let (found, error) = files_on(disk, layout::pack_name)?;
    error.map_or(Ok(found), Err)
}

/// Packs, or the files beside packs. One bad block of a disk may hide a folder: files in the other folders can still
/// be served.
pub(crate) fn files_on(disk: &dyn Disk, name_of: fn(&str) -> Option<Hash>) -> io::Result<FilesFound> {
    let mut found = HashMap::new();
    let mut failure = None;
    for folder in disk.list(layout::PACKS)?.into_iter().filter(|item| item.is_folder) {
        let path = format!("{}/{}", layout::PACKS, folder.name);
        let items = match ask_twice(|| disk.list(&path)) {
            Ok(items) => items,
            Err(error) => {
                tracing::error!(disk = disk.name(), folder = folder.name, %error, "a folder of packs cannot be read");
                failure = Some(error);
                continue;
            }
        };
        for item in items.into_iter().filter(|item| !item.is_folder) {
            let name = name_of(&item.name);
            // No reader looks for a pack in a strange folder.
            if let Some(name) = name.filter(|name| layout::pack_folder(name) == path) {
                found.insert(name, item.len);
            }
        }
    }
    Ok((found, failure))
}
