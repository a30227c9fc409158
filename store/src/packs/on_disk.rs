//! Which packs one disk has, and what lies beside them, by their names alone.
//!
//! Not here: what is in them (`view`), which of them belong to the vault (`catalog`).

use crate::disk::{Disk, ask_twice};
use larder_format::Hash;
use std::collections::HashMap;
use std::io;

/// The packs on one disk, with their lengths.
pub(crate) fn names_on(disk: &dyn Disk) -> io::Result<HashMap<Hash, u64>> {
    files_on(disk, ".pack")
}

/// Files beside the packs, by the name of the pack that they are of.
pub(crate) fn files_on(disk: &dyn Disk, ending: &str) -> io::Result<HashMap<Hash, u64>> {
    let mut found = HashMap::new();
    for folder in disk.list("packs")?.into_iter().filter(|item| item.is_folder) {
        let items = match ask_twice(|| disk.list(&format!("packs/{}", folder.name))) {
            Ok(items) => items,
            Err(error) => {
                // One bad block of a disk: what lies elsewhere on it can still be given back, and what is missing may
                // come from another disk.
                tracing::error!(disk = disk.name(), folder = folder.name, %error, "a folder of packs cannot be read");
                continue;
            }
        };
        for item in items.into_iter().filter(|item| !item.is_folder) {
            let name = item.name.strip_suffix(ending).and_then(Hash::from_hex);
            // One in a strange folder is nowhere where anybody would look for it.
            if let Some(name) = name.filter(|_| item.name.starts_with(&folder.name)) {
                found.insert(name, item.len);
            }
        }
    }
    Ok(found)
}
