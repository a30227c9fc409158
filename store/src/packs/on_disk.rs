//! Which packs one disk has, and what lies beside them, by their names alone.
//!
//! Not here: what is in them (`reader`), which of them belong to the vault (`catalog`).

use crate::disk::{Disk, ask_twice};
use larder_format::{Hash, layout};
use std::collections::HashMap;
use std::io;

/// Files by the name of the pack that they are of, with their lengths; and what went wrong with a folder of them, if
/// anything did.
type Found = (HashMap<Hash, u64>, Option<io::Error>);

/// The packs on one disk, with their lengths; all of them, or an error.
pub(crate) fn names_on(disk: &dyn Disk) -> io::Result<HashMap<Hash, u64>> {
    let (found, error) = files_on(disk, layout::pack_name)?;
    error.map_or(Ok(found), Err)
}

/// Packs, or what lies beside them. One bad block of a disk may hide a folder: what lies elsewhere on it can still be
/// given back.
pub(crate) fn files_on(disk: &dyn Disk, name_of: fn(&str) -> Option<Hash>) -> io::Result<Found> {
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
            // One in a strange folder is nowhere where anybody would look for it.
            if let Some(name) = name.filter(|name| layout::pack_folder(name) == path) {
                found.insert(name, item.len);
            }
        }
    }
    Ok((found, failure))
}
