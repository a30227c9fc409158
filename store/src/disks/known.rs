//! What the ledger knows of the disks: which belong to the vault, and how far each of them was once.
//!
//! The settings say where to look for disks; only the ledger says which belong, so a disk that is forgotten in the
//! settings is missed and one that is slipped into them is not trusted (docs/why/009-disks.md). Pure: entries in,
//! facts out.

use larder_format::ledger::{DiskChange, DiskEvent, DiskId, DiskRole, Stamp};
use std::collections::BTreeMap;

/// A disk that the ledger has a word of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownDisk {
    /// Where it was adopted; a label.
    pub path: String,
    /// What the disk is for.
    pub role: DiskRole,
    /// Number and time of the newest entry up to which it is known to have held everything.
    pub complete: (u64, Stamp),
    /// Failures since a person last said that it is good.
    pub failures: u32,
    /// Since when it is on its way out.
    pub leaving: Option<Stamp>,
    /// It belongs no longer.
    pub retired: bool,
}

/// All disks of the ledger by id.
pub type KnownDisks = BTreeMap<DiskId, KnownDisk>;

/// Takes one entry in.
pub(crate) fn apply(disks: &mut KnownDisks, sequence: u64, stamp: Stamp, event: DiskEvent) {
    let DiskEvent { disk, what } = event;
    if let DiskChange::Adopted { path, role } = what {
        // Adopted again is still the disk that held so much before.
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
            let stamp = Stamp { time_ms: 1000, trusted: true, powered_on_s: sequence };
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
        apply(&mut disks, 1, Stamp::default(), event);
        assert!(disks.is_empty());
    }
}
