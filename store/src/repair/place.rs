//! Putting a whole file where a damaged one stands, without replacing anything and whenever the power goes.
//!
//! The whole file is written and durable under `open/NAME.mended` first; then the damaged one is moved to
//! `quarantine/`; then the whole one gets its name. Whatever of these a power cut leaves, opening the vault goes on
//! from there (`finish`). Nothing is deleted but what was written here and never had a name.

use super::mend;
use crate::clock::Mark;
use crate::disk::{Disk, folder_of, make_folders, sync_names};
use crate::members::{Member, MemberState, Members};
use crate::{Result, packs};
use larder_format::Hash;
use std::collections::{BTreeSet, HashMap};
use std::io;

pub(crate) const QUARANTINE: &str = "quarantine";
/// Files of one name that are set aside before something must be badly wrong.
const SAME_NAME_MAX: usize = 1000;

/// Where the whole pack waits for its place.
pub(crate) fn mended_path(name: &Hash) -> String {
    format!("open/{name}.mended")
}

fn is_there(disk: &dyn Disk, path: &str) -> io::Result<bool> {
    let name = path.rsplit('/').next().unwrap_or(path);
    Ok(disk.list(folder_of(path))?.iter().any(|item| item.name == name))
}

/// Moves whatever has this name to the quarantine, durable on return; fine if nothing has it. A second file of the
/// same name gets a number.
pub(crate) fn set_aside(disk: &dyn Disk, path: &str) -> io::Result<()> {
    if !is_there(disk, path)? {
        return Ok(());
    }
    make_folders(disk, QUARANTINE)?;
    let name = path.rsplit('/').next().unwrap_or(path);
    let taken: BTreeSet<_> = disk.list(QUARANTINE)?.into_iter().map(|item| item.name).collect();
    let numbered = (2..SAME_NAME_MAX).map(|number| format!("{name}.{number}"));
    let free = std::iter::once(name.to_owned()).chain(numbered).find(|name| !taken.contains(name));
    let free = free.ok_or_else(|| io::Error::other("this file was set aside too often"))?;
    disk.publish(path, &format!("{QUARANTINE}/{free}"))?;
    sync_names(disk, QUARANTINE)?;
    sync_names(disk, folder_of(path))
}

/// Names of everything in the quarantine that once was the pack `name`.
pub(crate) fn quarantined(disk: &dyn Disk, name: &Hash) -> Vec<String> {
    let pack = format!("{name}.pack");
    let items = disk.list(QUARANTINE).unwrap_or_default();
    let of_pack = items.into_iter().filter(|item| item.name.starts_with(&pack));
    of_pack.map(|item| format!("{QUARANTINE}/{}", item.name)).collect()
}

/// Puts the pack that waits under `mended_path`, written and synced, where it belongs.
pub(crate) fn put_in_place(disk: &dyn Disk, name: &Hash) -> io::Result<()> {
    let (mended, path) = (mended_path(name), packs::path(name));
    // Its name must last before the damaged file gives way.
    sync_names(disk, "open")?;
    set_aside(disk, &path)?;
    make_folders(disk, folder_of(&path))?;
    disk.publish(&mended, &path)?;
    sync_names(disk, folder_of(&path))?;
    sync_names(disk, "open")
}

pub(crate) fn clear(disk: &dyn Disk, path: &str) -> io::Result<()> {
    match disk.remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Ends what a power cut interrupted. Called before anybody looks which packs there are.
/// Packs that were swept stay gone.
pub(crate) fn finish(members: &Members, swept: &HashMap<Hash, Mark>) {
    for member in members.all().iter().filter(|member| member.state() == MemberState::Healthy) {
        if let Err(error) = finish_on(members, member, swept) {
            // The vault opens without; the next scrub finds the pack missing and begins anew.
            tracing::warn!(%error, disk = member.disk.name(), "a repair could not be ended");
        }
    }
}

fn finish_on(members: &Members, member: &Member, swept: &HashMap<Hash, Mark>) -> Result<()> {
    let disk = member.disk.as_ref();
    let failed = |source| member.failed("open", source);
    for item in disk.list("open").map_err(failed)? {
        let Some(name) = item.name.strip_suffix(".mended").and_then(Hash::from_hex) else { continue };
        let mended = mended_path(&name);
        let is_placed = is_there(disk, &packs::path(&name)).map_err(failed)?;
        let is_whole = || disk.open(&mended).ok().is_some_and(|file| mend::hash(file.as_ref()) == Some(name));
        if !is_placed && !swept.contains_key(&name) && is_whole() {
            put_in_place(disk, &name).map_err(failed)?;
            tracing::info!(disk = disk.name(), pack = %name, "a repair was ended");
        } else {
            clear(disk, &mended).map_err(failed)?;
        }
    }
    finish_moved_aside(members, member, swept)
}

/// Packs that were moved aside, and whose whole copy did not survive: made again.
fn finish_moved_aside(members: &Members, member: &Member, swept: &HashMap<Hash, Mark>) -> Result<()> {
    let disk = member.disk.as_ref();
    let failed = |source| member.failed(QUARANTINE, source);
    let items = disk.list(QUARANTINE).map_err(failed)?;
    let given_up = |name: &Hash| items.iter().any(|item| item.name.starts_with(&format!("{name}.lost")));
    let names: BTreeSet<_> =
        items.iter().filter_map(|item| Hash::from_hex(item.name.split_once(".pack")?.0)).collect();
    for name in names.into_iter().filter(|name| !given_up(name) && !swept.contains_key(name)) {
        if !is_there(disk, &packs::path(&name)).map_err(failed)? && mend(members, member, &name, 0)? {
            tracing::info!(disk = disk.name(), pack = %name, "a repair was made again");
        }
    }
    Ok(())
}
