//! Replaces a damaged file by a whole file, without overwriting, safe from a power cut at any moment.
//!
//! First the whole file is written and durable under `open/NAME.mended`; then the damaged file is moved to
//! `quarantine/`; then the whole file gets its name. After a power cut, opening the vault continues from any step
//! (`finish`). Only files written here and never named are deleted.

use crate::disk::quarantine::set_aside;
use crate::disk::{Disk, folder_of, make_folders, sync_names};
use larder_format::{Hash, layout};
use std::io;

/// Puts the pack waiting under `mended_path`, written and synced, into its place.
pub(crate) fn put_in_place(disk: &dyn Disk, name: &Hash) -> io::Result<()> {
    let (mended, path) = (layout::mended_pack(name), layout::pack(name));
    // Its name must last before the damaged file gives way.
    sync_names(disk, layout::OPEN)?;
    set_aside(disk, &path)?;
    make_folders(disk, folder_of(&path))?;
    disk.publish(&mended, &path)?;
    sync_names(disk, folder_of(&path))?;
    sync_names(disk, layout::OPEN)
}
