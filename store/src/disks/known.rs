//! The disks as the ledger knows them: members of the vault, and how complete each disk was once.
//!
//! The settings say where to look for disks; only the ledger says which disks belong. So a disk forgotten in the
//! settings is missed, and a disk slipped into the settings is not trusted (docs/why/009-disks.md). Pure: entries in,
//! facts out.

use larder_format::ledger::{DiskChange, DiskEvent, DiskId, DiskRole, WallStamp};
use std::collections::BTreeMap;

/// A disk with an entry in the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownDisk {
    /// Path at its adoption; a label.
    pub path: String,
    /// Role of the disk.
    pub role: DiskRole,
    /// Number and time of the newest entry up to which the disk is known to have been complete.
    pub complete: (u64, WallStamp),
    /// Failures since a person last vouched for the disk.
    pub failures: u32,
    /// Start of the retirement.
    pub leaving: Option<WallStamp>,
    /// The disk belongs no longer.
    pub retired: bool,
}

/// Disks of the ledger by id.
pub type KnownDisks = BTreeMap<DiskId, KnownDisk>;

/// Takes one entry in.
pub(crate) fn apply(disks: &mut KnownDisks, sequence: u64, stamp: WallStamp, event: DiskEvent) {
    let DiskEvent { disk, what } = event;
    if let DiskChange::Adopted { path, role } = what {
        // A disk adopted again still holds as much as before.
        let complete = disks.get(&disk).map_or((0, stamp), |known| known.complete);
        let fresh = KnownDisk { path, role, complete, failures: 0, leaving: None, retired: false };
        disks.insert(disk, fresh);
        return;
    }
    let Some(known) = disks.get_mut(&disk) else { return };
    match what {
        DiskChange::Adopted { .. } => {}
        DiskChange::Failed { .. } => known.failures += 1,
        DiskChange::Complete => known.complete = (sequence, stamp),
        DiskChange::Leaving => known.leaving = Some(stamp),
        DiskChange::Retired => known.retired = true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(changes: &[DiskChange]) -> KnownDisk {
        let mut disks = KnownDisks::new();
        for (sequence, what) in (1..).zip(changes) {
            let stamp = WallStamp { time_ms: 1000, trusted: true, powered_on_s: sequence };
            apply(&mut disks, sequence, stamp, DiskEvent { disk: [1; 16], what: what.clone() });
        }
        disks.remove(&[1; 16]).unwrap()
    }

    fn adopted(role: DiskRole) -> DiskChange {
        DiskChange::Adopted { path: "/a".to_owned(), role }
    }

    #[test]
    fn a_person_takes_back_what_was_said_of_a_disk() {
        let failed = DiskChange::Failed { why: "EIO".to_owned() };
        let bad = [adopted(DiskRole::Home), failed.clone(), failed, DiskChange::Leaving, DiskChange::Retired];
        let known = after(&bad);
        assert_eq!((known.failures, known.leaving.is_some(), known.retired), (2, true, true));
        let known = after(&[&bad[..], &[DiskChange::Complete, adopted(DiskRole::Offsite)]].concat());
        assert_eq!((known.failures, known.leaving, known.retired), (0, None, false));
        assert_eq!((known.complete.0, known.role), (6, DiskRole::Offsite));
    }

    #[test]
    fn a_word_of_a_disk_that_nobody_adopted_is_none() {
        let mut disks = KnownDisks::new();
        let event = DiskEvent { disk: [2; 16], what: DiskChange::Retired };
        apply(&mut disks, 1, WallStamp::default(), event);
        assert!(disks.is_empty());
    }
}
