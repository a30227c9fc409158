//! The commit, in the order of its promises.
//!
//! The order is the whole point: packs sealed and durable, then the tree checked as complete, then the ledger entry,
//! whose rename is the moment the snapshot exists. The index may follow later. Every answer to a device is pinned for
//! the device. Not here: opening blocks and growing packs (`packs::growing`), a device's pins (`pins`).

use crate::Result;
use crate::core::Core;
use crate::core::scope::Scope;
use crate::disks::member::Member;
use crate::ledger::view::SnapshotRecord;
use crate::take::folder::FolderClaim;
use crate::take::{complete, folder, receive, share};
use crate::upkeep::vanished;
use larder_format::ledger::{Event, Head, Snapshot, WallStamp};
use larder_format::{FormatError, layout};
use std::sync::Arc;

/// A snapshot on record.
#[derive(Debug, Clone)]
pub struct Committed {
    /// The committed snapshot record.
    pub record: Arc<SnapshotRecord>,
    /// The ledger's head at the answer.
    pub head: Head,
    /// Disks with the snapshot, by id.
    pub disks: Vec<String>,
    /// Disks due to hold the snapshot, without a copy yet.
    pub degraded: Vec<String>,
    /// False for a repeated push, committed before.
    pub is_new: bool,
}

/// A snapshot to be, and the device's word on its folder.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) snapshot: Snapshot,
    pub(crate) claim: FolderClaim,
}

/// Makes a snapshot exist. The same push twice is one snapshot.
pub(crate) fn commit(core: &Core, scope: &Scope, wanted: Wanted, stamp: WallStamp) -> Result<Committed> {
    scope.require_own(&wanted.snapshot.source)?;
    let committed =
        commit_whole(core, scope, wanted, stamp).map_err(|error| receive::refused(core, scope, error))?;
    let mut pins = core.pins();
    pins.see(stamp.powered_on_s);
    pins.committed(&scope.holder);
    drop(pins);
    if scope.device_name().is_none() {
        // The appliance has no bits; the device of the source is to have its own.
        core.owners_are_partial();
    }
    core.write_owners();
    Ok(committed)
}

fn commit_whole(core: &Core, scope: &Scope, wanted: Wanted, stamp: WallStamp) -> Result<Committed> {
    let Wanted { snapshot, claim } = wanted;
    if let Some(known) = committed(core, &snapshot)? {
        return Ok(known);
    }
    core.require_own_format()?;
    folder::require_same(&core.ledger(), &snapshot.source, snapshot.origin.as_ref(), claim)?;
    share::require(&core.ledger(), &snapshot.source, stamp)?;
    core.seal_all()?;
    vanished::look_for_vanished(core, stamp);
    // With damage about, a tree complete once may be incomplete now: then the whole tree is checked, and the device is
    // asked for the chunks still held there.
    let is_sound =
        core.damaged_chunks() == 0 && core.unreadable_packs() == 0 && !core.trouble().is_any_gone_without();
    // A chunk found now must still be there when the entry is written.
    let _no_sweep = core.sweeping.read();
    let parent = core.ledger().snapshots(&snapshot.source).last().map(|record| record.snapshot.root);
    let parent = parent.filter(|_| is_sound);
    complete::complete(core, scope, &snapshot, parent)?;
    // A failed entry may exist after all: a repeated push must not become a second snapshot.
    let alone = core.alone()?;
    if let Some(known) = committed(core, &snapshot)? {
        return Ok(known);
    }
    // Another folder, or the last of the device's share, may have been committed meanwhile.
    folder::require_same(&core.ledger(), &snapshot.source, snapshot.origin.as_ref(), claim)?;
    share::require(&core.ledger(), &snapshot.source, stamp)?;
    // Only here: a snapshot committed meanwhile is the parent.
    let parent = core.ledger().snapshots(&snapshot.source).last().map(|record| record.sequence);
    let snapshot = Snapshot { parent, ..snapshot };
    core.append_alone(&alone, stamp, Event::Snapshot(snapshot.clone()))?;
    let committed = committed(core, &snapshot)?.expect("it was just applied");
    Ok(Committed { is_new: true, ..committed })
}

/// Result of a push committed before. An id that stands for another push would give one device the receipt of another
/// device's backup, and no backup of its own.
fn committed(core: &Core, snapshot: &Snapshot) -> Result<Option<Committed>> {
    let view = core.ledger();
    let Some(record) = view.push(&snapshot.push).cloned() else { return Ok(None) };
    let (source, root) = (&record.snapshot.source, &record.snapshot.root);
    if *source != snapshot.source || *root != snapshot.root {
        return Err(FormatError::Invalid { what: "a push", why: "its id stands for another push" }.into());
    }
    let all = core.members.all();
    let ids = |is_meant: fn(&Member) -> bool| -> Vec<String> {
        all.iter().filter(|member| is_meant(member)).map(|member| member.id.clone()).collect()
    };
    let (disks, degraded) = (ids(Member::is_healthy), ids(Member::is_missed));
    // A receipt without a disk to stand for the snapshot would be a lie.
    if disks.is_empty() || view.gaps.contains(&record.sequence) {
        return Err(core.members.none_left(layout::LEDGER));
    }
    Ok(Some(Committed { record, head: view.head, disks, degraded, is_new: false }))
}
