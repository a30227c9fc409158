//! Putting a whole file where a damaged one stands, without replacing anything and whenever the power goes.
//!
//! The whole file is written and durable under `open/NAME.mended` first; then the damaged one is moved to
//! `quarantine/`; then the whole one gets its name. Whatever of these a power cut leaves, opening the vault goes on
//! from there (`finish`). Nothing is deleted but what was written here and never had a name.

use super::mend::{self, Mended};
use super::watched::Unanswered;
use crate::clock::Mark;
use crate::disk::{Disk, folder_of, make_folders, sync_names};
use crate::members::{Member, MemberState, Members};
use crate::{Result, StoreError, packs};
use larder_format::Hash;
use std::collections::{BTreeSet, HashMap};
use std::io;

pub(crate) const QUARANTINE: &str = "quarantine";
/// Files of one name that are set aside before something must be badly wrong.
const SAME_NAME_MAX: usize = 1000;
/// Packs that were given up are looked at while the vault opens until so many bytes were read, some seconds on a slow disk;
/// the rest is looked at while it runs (`quarantine`).
const GIVEN_UP_AT_ONCE_BYTES: u64 = 256 * 1024 * 1024;

/// Where the whole pack waits for its place.
pub(crate) fn mended_path(name: &Hash) -> String {
    format!("open/{name}.mended")
}

pub(super) fn is_there(disk: &dyn Disk, path: &str) -> io::Result<bool> {
    let name = path.rsplit('/').next().unwrap_or(path);
    Ok(disk.list(folder_of(path))?.iter().any(|item| item.name == name))
}

/// The same where nobody can be told of an error: what cannot be seen may be there.
pub(super) fn may_be_there(disk: &dyn Disk, path: &str) -> bool {
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
fn move_to_quarantine(disk: &dyn Disk, path: &str, name: &str) -> io::Result<()> {
    let taken: BTreeSet<_> = disk.list(QUARANTINE)?.into_iter().map(|item| item.name).collect();
    let numbered = (2..SAME_NAME_MAX).map(|number| format!("{name}.{number}"));
    let free = std::iter::once(name.to_owned()).chain(numbered).find(|name| !taken.contains(name));
    let free = free.ok_or_else(|| io::Error::other("this file was set aside too often"))?;
    disk.publish(path, &format!("{QUARANTINE}/{free}"))?;
    sync_names(disk, QUARANTINE)
}

/// Paths of everything in the quarantine whose name begins so, with lengths.
pub(super) fn quarantined(disk: &dyn Disk, begins: &str) -> io::Result<Vec<(String, u64)>> {
    let items = disk.list(QUARANTINE)?.into_iter();
    let of_it = items.filter(|item| !item.is_folder && item.name.starts_with(begins));
    Ok(of_it.map(|item| (format!("{QUARANTINE}/{}", item.name), item.len)).collect())
}

/// Names of packs of which something lies in the quarantine.
pub(super) fn packs_in_quarantine(disk: &dyn Disk) -> io::Result<BTreeSet<Hash>> {
    let items = disk.list(QUARANTINE)?;
    Ok(items.iter().filter_map(|item| Hash::from_hex(item.name.split_once(".pack")?.0)).collect())
}

/// Names of packs of which a record says what was lost with them.
pub(super) fn records_in_quarantine(disk: &dyn Disk) -> io::Result<BTreeSet<Hash>> {
    let items = disk.list(QUARANTINE)?;
    Ok(items.iter().filter_map(|item| Hash::from_hex(item.name.split_once(".lost")?.0)).collect())
}

/// Puts the quarantine in order after a pack that lay in it got its place again, whole and durable: a second copy would
/// only take room, and the record of what was lost with it must not speak of this pack any more. Should it ever vanish, it
/// would be taken for one that was given up.
pub(super) fn is_given_up_no_longer(disk: &dyn Disk, name: &Hash) -> io::Result<()> {
    for (path, _) in quarantined(disk, &format!("{name}.pack"))? {
        if disk.open(&path).is_ok_and(|file| mend::hash(file.as_ref()) == Some(*name)) {
            clear(disk, &path)?;
        }
    }
    for (path, _) in quarantined(disk, &format!("{name}.lost"))? {
        // What it lists may also lie in other packs, so its content still counts.
        move_to_quarantine(disk, &path, &format!("{name}.back.lost"))?;
    }
    sync_names(disk, QUARANTINE)
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
        let is_wanted = !is_there(disk, &packs::path(&name)).map_err(failed)? && !swept.contains_key(&name);
        let unanswered = Unanswered::default();
        let waiting = if is_wanted { unanswered.open(disk, &mended) } else { None };
        if waiting.is_some_and(|file| mend::hash(file.as_ref()) == Some(name)) {
            put_in_place(disk, &name).map_err(failed)?;
            tracing::info!(disk = disk.name(), pack = %name, "a repair was ended");
        } else if unanswered.any() {
            // It may be the only whole copy. From there it is read again by the next repair.
            make_folders(disk, QUARANTINE)
                .and_then(|()| move_to_quarantine(disk, &mended, &format!("{name}.pack")))
                .map_err(failed)?;
        } else {
            clear(disk, &mended).map_err(failed)?;
        }
    }
    finish_moved_aside(members, member, swept)
}

/// Packs that were moved aside, and whose whole copy did not survive: made again. So are those that were given up, if they
/// can be by now: what could not be read then may be whole.
fn finish_moved_aside(members: &Members, member: &Member, swept: &HashMap<Hash, Mark>) -> Result<()> {
    let disk = member.disk.as_ref();
    let failed = |source| member.failed(QUARANTINE, source);
    let mut left_bytes = GIVEN_UP_AT_ONCE_BYTES;
    for name in packs_in_quarantine(disk).map_err(failed)? {
        if swept.contains_key(&name) || is_there(disk, &packs::path(&name)).map_err(failed)? {
            continue;
        }
        let is_given_up = !quarantined(disk, &format!("{name}.lost")).map_err(failed)?.is_empty();
        if is_given_up {
            let copies = quarantined(disk, &format!("{name}.pack")).map_err(failed)?;
            let bytes = copies.iter().map(|(_, len)| len).sum::<u64>();
            let Some(left) = left_bytes.checked_sub(bytes) else { continue };
            left_bytes = left;
        }
        match mend::mend(members, member, &name, 0) {
            Ok(Mended::Whole) => {
                tracing::info!(disk = disk.name(), pack = %name, is_given_up, "a repair was made again");
                is_given_up_no_longer(disk, &name).map_err(failed)?;
            }
            // The next one may be smaller.
            Ok(_) | Err(StoreError::Full { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
