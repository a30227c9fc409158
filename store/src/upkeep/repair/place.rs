//! Putting a whole file where a damaged one stands, without replacing anything and whenever the power goes.
//!
//! The whole file is written and durable under `open/NAME.mended` first; then the damaged one is moved to
//! `quarantine/`; then the whole one gets its name. Whatever of these a power cut leaves, opening the vault goes on
//! from there (`finish`). Nothing is deleted but what was written here and never had a name.

use crate::disk::quarantine::set_aside;
use crate::disk::{Disk, folder_of, make_folders, sync_names};
use larder_format::{Hash, layout};
use std::io;

/// Puts the pack that waits under `mended_path`, written and synced, where it belongs.
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
