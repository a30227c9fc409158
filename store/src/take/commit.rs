//! The commit, in the order that keeps promises.
//!
//! The order of a commit, which is the whole point: packs sealed and durable, then the tree checked to be complete, then the
//! ledger entry, and its rename is the moment at which the snapshot exists. The index follows whenever it likes. Whatever a
//! device is told here is pinned for it. Not here: opening blocks and growing packs (`packs::growing`), what a device holds (`pins`).

use crate::Result;
use crate::core::Core;
use crate::core::scope::Scope;
use crate::disks::member::Member;
use crate::ledger::view::Fact;
use crate::take::{complete, receive};
use crate::upkeep::vanished;
use larder_format::layout;
use larder_format::ledger::{Event, Head, Snapshot, Stamp};
use std::sync::Arc;

/// A snapshot that exists.
#[derive(Debug, Clone)]
pub struct Committed {
    /// What was committed.
    pub fact: Arc<Fact>,
    /// The ledger's head when it was answered.
    pub head: Head,
    /// Disks that hold it, by id.
    pub disks: Vec<String>,
    /// Disks that should hold it and do not.
    pub degraded: Vec<String>,
    /// False when the same push had been committed before.
    pub is_new: bool,
}

/// Makes a snapshot exist. The same push twice is one snapshot.
pub(crate) fn commit(core: &Core, scope: &Scope, snapshot: Snapshot, stamp: Stamp) -> Result<Committed> {
    scope.require_own(&snapshot.source)?;
    let committed =
        commit_whole(core, snapshot, stamp).map_err(|error| receive::refused(core, scope, error))?;
    let mut pins = core.pins();
    pins.see(stamp.powered_on_s);
    pins.committed(&scope.holder);
    Ok(committed)
}

fn commit_whole(core: &Core, snapshot: Snapshot, stamp: Stamp) -> Result<Committed> {
    if let Some(known) = committed(core, &snapshot.push)? {
        return Ok(known);
    }
    core.require_own_format()?;
    core.seal_all()?;
    vanished::look_for_vanished(core, stamp);
    // With damage about, what was complete once need not be now: then all is looked at, and the device is asked
    // for what it still has.
    let is_sound =
        core.damaged_chunks() == 0 && core.unreadable_packs() == 0 && !core.trouble().is_any_gone_without();
    // What is found complete now must still be there when the entry is written.
    let _no_sweep = core.sweeping.read();
    let parent = core.ledger().snapshots(&snapshot.source).last().map(|fact| fact.snapshot.root);
    let parent = parent.filter(|_| is_sound);
    complete::complete(core, &snapshot, parent)?;
    let push = snapshot.push;
    // An entry that failed may exist after all: asked again, it must not become a second snapshot.
    let alone = core.alone()?;
    if let Some(known) = committed(core, &push)? {
        return Ok(known);
    }
    // Only here: whoever committed meanwhile is the parent.
    let parent = core.ledger().snapshots(&snapshot.source).last().map(|fact| fact.sequence);
    core.append_alone(&alone, stamp, Event::Snapshot(Snapshot { parent, ..snapshot }))?;
    let committed = committed(core, &push)?.expect("it was just applied");
    Ok(Committed { is_new: true, ..committed })
}

/// What a push became, if it was committed before.
fn committed(core: &Core, push: &[u8; 16]) -> Result<Option<Committed>> {
    let view = core.ledger();
    let Some(fact) = view.push(push).cloned() else { return Ok(None) };
    let all = core.members.all();
    let ids = |is_meant: fn(&Member) -> bool| -> Vec<String> {
        all.iter().filter(|member| is_meant(member)).map(|member| member.id.clone()).collect()
    };
    let (disks, degraded) = (ids(Member::is_healthy), ids(Member::is_missed));
    // A receipt that no disk stands for would be a lie.
    if disks.is_empty() || view.gaps.contains(&fact.sequence) {
        return Err(core.members.none_left(layout::LEDGER));
    }
    Ok(Some(Committed { fact, head: view.head, disks, degraded, is_new: false }))
}
