//! Who the disks are when the vault opens, and whether they can be written to.
//!
//! A disk that does not answer, a copy of another one, one that nobody can write to: each is told, and none keeps the vault
//! from opening on what is left. Not here: disks that come later (`arrival`).

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

/// A disk, and who it says it is; nothing for one that is empty.
type Known = (Arc<dyn Disk>, Option<Identity>);

/// Reads who the disks are. A disk without `disk.json` joins the vault of the others, or `new_vault`; `random`
/// makes its name.
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
        // Nobody could tell a new vault from an old one whose disk does not answer.
        (None, Some(failure)) => return Err(failure),
        (None, None) => new_vault,
    };
    let mut members: Vec<Arc<Member>> = Vec::new();
    for (disk, identity) in known {
        let (identity, state) = match identity {
            Some(identity) if identity.vault == vault => {
                let state = made_ready(disk.as_ref()).unwrap_or_else(|source| {
                    tracing::error!(disk = disk.name(), error = %source, "a backup disk cannot be written to");
                    // Also if it is the only one: what is on it can be given back.
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

/// Who each disk says it is; those that do not answer are left out, with the last of their errors.
fn identities(disks: Vec<Arc<dyn Disk>>) -> (Vec<Known>, Option<StoreError>) {
    let mut known = Vec::new();
    let mut failure = None;
    for disk in disks {
        match identity_of(disk.as_ref()).or_else(|_| identity_of(disk.as_ref())) {
            Ok(identity) => known.push((disk, identity)),
            // It may come later; who it is cannot be known now.
            Err(error) => {
                tracing::error!(%error, "a backup disk does not say who it is");
                failure = Some(error);
            }
        }
    }
    (known, failure)
}

/// Of two copies of one disk the one with the longer past, or what the other lacks would be written once more in another
/// way. The other is not used; whoever looks after the disks tells of it.
fn take_in(members: &mut Vec<Arc<Member>>, member: Arc<Member>) {
    let Some(twin) = members.iter_mut().find(|other| other.key == member.key) else {
        return members.push(member);
    };
    // A dying disk beside its copy may not even answer that.
    let newest = |of: &Member| ask_twice(|| listing::numbers_on(of.disk.as_ref())).ok()?.into_iter().max();
    let is_longer = newest(&member) > newest(twin);
    let unused = if is_longer { std::mem::replace(twin, member) } else { member };
    tracing::error!(error = %is_copy_of(unused.disk.as_ref(), &twin.disk.name()), "this disk is not used");
}

/// Makes a known disk ready to be written to. One that the system lets nobody write to is only read: that is how a
/// dying disk ends, and the time when its backups are wanted most.
pub(crate) fn made_ready(disk: &dyn Disk) -> io::Result<MemberState> {
    let make = || {
        // A copy made by hand may lack it, since nothing is in it while the agent rests.
        [layout::OPEN, layout::PACKS, layout::LEDGER]
            .into_iter()
            .try_for_each(|folder| make_folders(disk, folder))?;
        // An agent that was killed may have made folders that a power cut would still take away.
        [layout::PACKS, layout::LEDGER, ""].into_iter().try_for_each(|folder| sync_names(disk, folder))?;
        drop(disk.create(unfinished::PROBE)?);
        disk.remove(unfinished::PROBE)
    };
    match make() {
        // Full is no reason not to open, and a probe that a killed agent left tells as much as a new one.
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

    /// Whoever is told that such a disk failed twice looks at its cable; it is the filesystem that has to be checked.
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
