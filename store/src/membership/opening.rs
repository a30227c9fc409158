//! Identity of the disks when the vault opens, and whether each disk can be written to.
//!
//! An unanswering disk, a copy of a known disk and a read-only disk are reported. None keeps the vault from opening on
//! the remaining disks. Not here: disks arriving later (`arrival`).

use crate::disk::{Disk, ask_twice, is_full, make_folders, sync_names};
use crate::disks::identity::{Identity, identity_of, join, mend_facts};
use crate::disks::member::{Member, MemberState, noted};
use crate::disks::members::Members;
use crate::disks::refusals::{foreign, is_copy_of};
use crate::disks::slot::Slot;
use crate::ledger::listing;
use crate::{Result, StoreError};
use larder_format::layout::{self, unfinished};
use std::io;
use std::sync::Arc;

/// A disk and its stated identity; `None` for an empty disk.
type NamedDisk = (Arc<dyn Disk>, Option<Identity>);

/// Reads the disks' identities. A disk without `disk.json` joins the vault of the present disks, or `new_vault`;
/// `random` makes the disk's name.
pub(crate) fn open(
    disks: Vec<Arc<dyn Disk>>,
    new_vault: [u8; 16],
    mut random: impl FnMut() -> [u8; 16],
) -> Result<(Members, [u8; 16])> {
    for disk in &disks {
        if let Err(error) = mend_facts(disk.as_ref()) {
            tracing::warn!(%error, disk = disk.name(), "its disk.json could not be repaired");
        }
    }
    let (known, failure) = identities(disks);
    let vault = known.iter().find_map(|(_, identity)| *identity).map(|identity| identity.vault);
    let vault = match (vault, failure) {
        (Some(vault), _) => vault,
        // A new vault would look the same as an old vault whose disk does not answer.
        (None, Some(failure)) => return Err(failure),
        (None, None) => new_vault,
    };
    let mut members: Vec<Arc<Member>> = Vec::new();
    for (disk, identity) in known {
        let (identity, state) = match identity {
            Some(identity) if identity.vault == vault => {
                let state = made_ready(disk.as_ref()).unwrap_or_else(|source| {
                    tracing::error!(disk = disk.name(), error = %source, "a backup disk cannot be written to");
                    // Even an only disk opens: its contents can be given back.
                    MemberState::Failed(source.to_string())
                });
                (identity, state)
            }
            Some(_) => return Err(foreign(disk.as_ref(), "it belongs to another vault")),
            None => {
                let identity = Identity { vault, disk: random() };
                join(disk.as_ref(), identity)?;
                (identity, MemberState::Healthy)
            }
        };
        take_in(&mut members, Arc::new(Member::new(identity.disk, Slot::with(disk), state)));
    }
    Ok((Members::new(members), vault))
}

/// Stated identity of each disk; unanswering disks are left out, and the last error returned.
fn identities(disks: Vec<Arc<dyn Disk>>) -> (Vec<NamedDisk>, Option<StoreError>) {
    let mut known = Vec::new();
    let mut failure = None;
    for disk in disks {
        match identity_of(disk.as_ref()).or_else(|_| identity_of(disk.as_ref())) {
            Ok(identity) => known.push((disk, identity)),
            // The disk may come later; its identity cannot be known now.
            Err(error) => {
                tracing::error!(%error, "a backup disk does not say who it is");
                failure = Some(error);
            }
        }
    }
    (known, failure)
}

/// Of two copies of one disk, uses the copy with the longer past. With the shorter past, the missing entries would be
/// written again with different contents. The agent reports the unused copy.
fn take_in(members: &mut Vec<Arc<Member>>, member: Arc<Member>) {
    let Some(twin) = members.iter_mut().find(|other| other.key == member.key) else {
        return members.push(member);
    };
    // A dying disk beside its copy may not even answer this question.
    let newest = |of: &Member| ask_twice(|| listing::numbers_on(of.disk.as_ref())).ok()?.into_iter().max();
    let is_longer = newest(&member) > newest(twin);
    let unused = if is_longer { std::mem::replace(twin, member) } else { member };
    tracing::error!(error = %is_copy_of(unused.disk.as_ref(), &twin.disk.name()), "this disk is not used");
}

/// Prepares a known disk for writing. A read-only disk is only read: dying disks end read-only, just when their backups
/// are wanted most.
pub(crate) fn made_ready(disk: &dyn Disk) -> io::Result<MemberState> {
    let make = || {
        // A copy made by hand may lack the folder, since the folder is empty while the agent rests.
        [layout::OPEN, layout::PACKS, layout::LEDGER]
            .into_iter()
            .try_for_each(|folder| make_folders(disk, folder))?;
        // A killed agent may have made folders not yet safe from a power cut.
        [layout::PACKS, layout::LEDGER, ""].into_iter().try_for_each(|folder| sync_names(disk, folder))?;
        drop(disk.create(unfinished::PROBE)?);
        disk.remove(unfinished::PROBE)
    };
    match make() {
        // A full disk still opens, and a probe left by a killed agent tells as much as a new probe.
        Err(error) if is_full(&error) || error.kind() == io::ErrorKind::AlreadyExists => {
            Ok(MemberState::Healthy)
        }
        Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => {
            Ok(MemberState::Suspect(noted(&error)))
        }
        Err(error) => Err(error),
        Ok(()) => Ok(MemberState::Healthy),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Fault, FaultyDisk, MemoryDisk, On, Planned, Schedule, When};

    /// An owner told of a disk's second failure looks at the cable; here the filesystem has to be checked.
    #[test]
    fn a_disk_that_lets_nobody_write_is_told_apart() {
        let lost = Planned { on: On::Syncs, when: When::At(0), fault: Fault::SyncLost };
        let disk = FaultyDisk::new(MemoryDisk::new(), Schedule::new(0, [lost]));
        made_ready(&disk).expect_err("the sync fails");
        let state = made_ready(&disk).expect("it can be read");
        assert!(state.is_read_only(), "{state:?}");
        assert!(!MemberState::Suspect("EIO".to_owned()).is_read_only());
    }
}
