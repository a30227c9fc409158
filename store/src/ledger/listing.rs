//! Content of the ledger's folder on one disk: entry folders, chapters, entry numbers.

use crate::disk::Disk;
use larder_format::layout;
use std::collections::BTreeSet;
use std::io;

/// Entry folders and chapters on one disk.
#[derive(Debug, Default, Clone)]
pub(crate) struct Listing {
    /// Numbers of the folders.
    pub(crate) folders: BTreeSet<u64>,
    /// Numbers of the chapters.
    pub(crate) chapters: BTreeSet<u64>,
}

/// Content of the ledger's own folder.
pub(crate) fn list(disk: &dyn Disk) -> io::Result<Listing> {
    let mut listing = Listing::default();
    for item in disk.list(layout::LEDGER)? {
        if item.is_folder {
            let number = item.name.parse().ok();
            // Another spelling of the number is a stray folder.
            let is_own = |number: &u64| layout::entry_folder(*number).ends_with(&format!("/{}", item.name));
            listing.folders.extend(number.filter(is_own));
        } else {
            listing.chapters.extend(layout::chapter_number(&item.name));
        }
    }
    Ok(listing)
}

/// Numbers of the entry files in one folder.
pub(crate) fn numbers_in(disk: &dyn Disk, folder: u64) -> io::Result<Vec<u64>> {
    let items = disk.list(&layout::entry_folder(folder))?;
    let number = |name: &str| {
        let number = layout::entry_number(name)?;
        // No reader looks into another folder, or for another spelling.
        layout::entry(number).ends_with(&format!("{}/{name}", layout::entry_folder(folder))).then_some(number)
    };
    Ok(items.iter().filter_map(|item| number(&item.name)).collect())
}

/// Numbers of the entries' files on one disk.
pub(crate) fn numbers_on(disk: &dyn Disk) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for folder in list(disk)?.folders {
        numbers.extend(numbers_in(disk, folder)?);
    }
    Ok(numbers)
}
