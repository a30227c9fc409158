//! What became of a device's own snapshots, for the device that has receipts for them.
//!
//! Whose a snapshot is, its entry says, also long after it was let go of. Of others' numbers a device hears nothing.

use crate::core::Core;
use crate::core::scope::Scope;
use crate::ledger::clock::TrustedTime;
use crate::ledger::walk::LedgerReader;
use larder_format::Hash;
use larder_format::ledger::Event;

/// What became of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotFate {
    /// Its number.
    pub snapshot: u64,
    /// Hash of its entry, as read from the disks now; none where the entry is no snapshot of the asker, or no disk has it whole.
    pub entry: Option<Hash>,
    /// Whether it is kept.
    pub is_kept: bool,
    /// The entry that let go of it, when, and why.
    pub let_go: Option<(u64, TrustedTime, String)>,
}

/// The fates of snapshots, in the order of the numbers.
pub(crate) fn fates(core: &Core, scope: &Scope, snapshots: &[u64]) -> Vec<SnapshotFate> {
    let mut reader = LedgerReader::new(&core.members.all());
    let fate = |snapshot: &u64| {
        let nothing = SnapshotFate { snapshot: *snapshot, entry: None, is_kept: false, let_go: None };
        let Some((entry, hash)) = reader.read(*snapshot) else { return nothing };
        let Event::Snapshot(found) = entry.event else { return nothing };
        if scope.require_own(&found.source).is_err() {
            return nothing;
        }
        let view = core.ledger();
        let records = view.snapshots(&found.source);
        let is_kept = records.binary_search_by_key(snapshot, |record| record.sequence).is_ok();
        let let_go = view.let_go_of(*snapshot).map(|gone| (gone.entry, gone.at, gone.why.clone()));
        SnapshotFate { entry: Some(hash), is_kept, let_go, ..nothing }
    };
    snapshots.iter().map(fate).collect()
}
