//! Sidecars: parity to rebuild a damaged pack where no further disk can help.
//!
//! Sidecars are made after the push, from sealed packs, a few at a time, on each disk separately: a push must not wait
//! for parity, and equal packs make equal sidecars on every disk. Only a pack matching its name gets a sidecar, or the
//! damage would be kept instead of the content. Bytes: FORMAT.md, "Parity". Not here: repair from parity (`repair`).

use crate::Result;
use crate::core::Core;
use crate::disk::{Disk, DiskFile, write_whole};
use crate::disks::member::Member;
use crate::packs::on_disk;
use larder_format::Hash;
use larder_format::layout::{self, unfinished};
use larder_format::parity::{self, Parity, Shape, Unmade, shard_hash};
use std::io;

/// Makes missing sidecars on every disk, until packs of about `bytes_max` were read. Returns the number of packs still
/// without a sidecar.
pub(crate) fn write_parity(core: &Core, bytes_max: u64) -> Result<u64> {
    core.require_own_format()?;
    let _one_at_a_time = core.maintenance.parity.lock();
    let all = core.members.all();
    let healthy = all.iter().filter(|member| member.is_healthy());
    let left: Vec<Result<u64>> = healthy.map(|member| write_parity_on(core, member, bytes_max)).collect();
    left.into_iter().sum()
}

fn write_parity_on(core: &Core, member: &Member, bytes_max: u64) -> Result<u64> {
    let disk = member.disk.as_ref();
    let listed = on_disk::files_on(disk, layout::parity_name)
        .and_then(|there| Ok((there.0, on_disk::files_on(disk, layout::pack_name)?.0)));
    let (there, on_disk) = listed.map_err(|source| member.failed(layout::PACKS, source))?;
    let mut without: Vec<_> = on_disk
        .into_iter()
        .filter(|(name, len)| {
            !there.contains_key(name)
                && Shape::of(*len).is_some()
                && !core.trouble().is_hopeless(member, name)
                && !core.is_let_go(name)
        })
        .collect();
    without.sort();
    let mut bytes = 0;
    while bytes < bytes_max
        && let Some((name, len)) = without.pop()
    {
        if !make_sidecar(core, member, &name)? {
            // The scrub will find out why; until then the pack must not be read again and again.
            core.trouble().note_hopeless(member, name);
        }
        bytes += len;
    }
    Ok(without.len() as u64)
}

/// Makes the sidecar of one pack; returns whether the sidecar exists now.
pub(crate) fn make_sidecar(core: &Core, member: &Member, name: &Hash) -> Result<bool> {
    let Some(bytes) = sidecar_of(member.disk.as_ref(), name) else { return Ok(false) };
    write_sidecar(core, member, name, &bytes).map(|()| true)
}

/// Puts a sidecar in its place, unless present.
pub(crate) fn write_sidecar(core: &Core, member: &Member, name: &Hash, bytes: &[u8]) -> Result<()> {
    member.require_room(bytes.len() as u64, core.reserve_bytes)?;
    match write_whole(member.disk.as_ref(), unfinished::PARITY, &layout::parity(name), bytes) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(member.failed(&layout::parity(name), error))
        }
        _ => Ok(()),
    }
}

/// Sidecar for a pack as stored on a disk; `None` for a pack unreadable or not matching its name.
pub(crate) fn sidecar_of(disk: &dyn Disk, name: &Hash) -> Option<Vec<u8>> {
    let file = disk.open(&layout::pack(name)).ok()?;
    let shape = Shape::of(file.len().ok()?)?;
    match parity::encode(&shape, |at, buffer| file.read_at(at, buffer)) {
        Ok((found, bytes)) if found == *name => Some(bytes),
        Ok(_) => None,
        Err(Unmade::Read(error)) => {
            tracing::error!(disk = disk.name(), pack = %name, %error, "a pack could not be read");
            None
        }
        Err(Unmade::Unsteady) => {
            tracing::error!(disk = disk.name(), pack = %name, "a pack gave other bytes when it was read again");
            None
        }
    }
}

/// Reads both ends of a sidecar belonging to this pack.
pub(crate) fn read(file: &dyn DiskFile, name: &Hash) -> Option<Parity> {
    let len = file.len().ok()?;
    let parity = Parity::read(len, |at, buffer| file.read_at(at, buffer).is_ok()).ok()?;
    (parity.name == *name).then_some(parity)
}

/// Whether every byte of a sidecar is unchanged.
pub(crate) fn is_whole(file: &dyn DiskFile, name: &Hash) -> bool {
    let Some(parity) = read(file, name) else { return false };
    let mut shard = vec![0; parity.shape.shard_bytes as usize];
    parity.is_whole
        && (0..parity.shape.recovery).all(|number| {
            file.read_at(parity.shape.recovery_range(number).start, &mut shard).is_ok()
                && parity.recovery_hash(number) == Some(shard_hash(&shard, parity.shape.shard_bytes))
        })
}
