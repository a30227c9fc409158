//! Verdicts on disks, written into the ledger: complete, failed, safe to unplug, on the way out, or gone for good.
//!
//! Not here: attaching and detaching (`arrival`), the ledger's knowledge of each disk (`known`).

use crate::core::Core;
use crate::disk::Disk;
use crate::disks::member::{FAILURES_MAX, Member, MemberState};
use crate::disks::refusals::foreign;
use crate::membership::resync;
use crate::{Result, StoreError};
use larder_format::ledger::{DiskChange, DiskEvent, DiskId, Event, WallStamp};
use std::sync::atomic::Ordering;

/// From the wish to forget a disk to its end, in seconds switched on: whoever plays the owner for an evening ends no disk, and
/// the owner sees it on the way out.
pub const FORGET_DELAY_S: u64 = 72 * 3600;

/// Brings a disk up to date and releases the disk, safe to unplug. A full disk is released as it is.
pub(crate) fn release(core: &Core, id: &str, stamp: WallStamp) -> Result<()> {
    let member = core.members.in_use(id)?;
    require_others(core, &member)?;
    while member.is_behind() && !member.is_full() && resync::catch_up_one(core, &member, u64::MAX)? > 0 {}
    require_well(&member)?;
    note_complete(core, id, stamp)?;
    let _growing = core.hold_growing()?;
    let _commits = core.commits.lock();
    // The pack sealed just now may have been too much for the disk.
    require_well(&member)?;
    detach(core, id);
    Ok(())
}

fn require_well(member: &Member) -> Result<()> {
    if member.is_healthy() || member.is_full() {
        return Ok(());
    }
    let why = "it does not work well enough to be brought up to date";
    Err(foreign(member.disk.as_ref(), why))
}

/// Notes in the ledger a disk's full copy of everything so far.
pub(crate) fn note_complete(core: &Core, id: &str, stamp: WallStamp) -> Result<()> {
    let member = core.members.in_use(id)?;
    if member.is_healthy() && !core.lacks_what_another_disk_has() {
        note(core, member.key, DiskChange::Complete, stamp)?;
        member.is_older_copy.store(false, Ordering::SeqCst);
    }
    Ok(())
}

/// Notes the failure of a connected disk in the ledger. Returns whether a person has to look now.
pub(crate) fn distrust(core: &Core, id: &str, stamp: WallStamp) -> Result<bool> {
    let member = core.members.in_use(id)?;
    let MemberState::Failed(why) = member.state() else { return Ok(false) };
    let is_bad = core.failures_of(&member) + 1 >= FAILURES_MAX;
    if is_bad {
        member.set_state(MemberState::Suspect(why.clone()));
    }
    let noted = note(core, member.key, DiskChange::Failed { why }, stamp);
    if noted.is_err() {
        member.unnoted_failures.fetch_add(1, Ordering::SeqCst);
    }
    noted.map(|()| is_bad)
}

/// Begins to retire a disk. With `with_what_it_has` the disk is away for good, and data on this disk only is given up
/// too.
pub(crate) fn begin_forgetting(
    core: &Core,
    id: &str,
    with_what_it_has: bool,
    stamp: WallStamp,
) -> Result<()> {
    let member = core.members.in_use(id)?;
    require_others(core, &member)?;
    if !with_what_it_has && core.lacks_what_another_disk_has() {
        let why = "the other disks lack something that only it has; connect it, or, if it is gone for good, \
                   `larderd forget DISK --gone`: what only it had is then named as lost";
        return Err(has_to_stay(&member, why));
    }
    note(core, member.key, DiskChange::Leaving, stamp)
}

/// Takes the retirement back.
pub(crate) fn keep_disk(core: &Core, id: &str, stamp: WallStamp) -> Result<()> {
    let member = core.members.in_use(id)?;
    let (path, role) = (member.disk.name(), member.role());
    note(core, member.key, DiskChange::Adopted { path, role }, stamp)
}

/// Ends a disk's membership. Its contents stay as they are.
pub(crate) fn retire(core: &Core, id: &str, stamp: WallStamp) -> Result<()> {
    let member = core.members.in_use(id)?;
    let leaving = core.ledger().disks.get(&member.key).and_then(|known| known.leaving);
    let has_waited =
        |since: WallStamp| stamp.powered_on_s.saturating_sub(since.powered_on_s) >= FORGET_DELAY_S;
    if !leaving.is_some_and(has_waited) {
        return Err(StoreError::Waits {
            why: format!("the disk at {} is forgotten after 72 hours", member.disk.name()),
        });
    }
    require_others(core, &member)?;
    note(core, member.key, DiskChange::Retired, stamp)?;
    let was_away = member.state() == MemberState::Away;
    member.set_state(MemberState::Retired);
    detach(core, id);
    if was_away && core.members.are_all_here() {
        core.catalog.wait_no_longer();
    }
    Ok(())
}

/// Enters every missing disk into the ledger: disks of vaults older than such entries, and a disk adopted when no disk
/// could take the entry.
pub(crate) fn enter_disks(core: &Core, stamp: WallStamp) {
    if !core.members.is_any_healthy() {
        return;
    }
    for member in core.members.all().iter().filter(|member| member.is_readable()) {
        if core.ledger().disks.contains_key(&member.key) {
            continue;
        }
        let what = DiskChange::Adopted { path: member.disk.name(), role: member.role() };
        if let Err(error) = note(core, member.key, what, stamp) {
            tracing::warn!(%error, "a disk could not be entered into the ledger yet");
        }
    }
}

fn note(core: &Core, disk: DiskId, what: DiskChange, stamp: WallStamp) -> Result<()> {
    core.append(stamp, Event::Disk(DiskEvent { disk, what })).map(drop)
}

/// Every remaining disk meant to be here must be healthy, and at least one must exist.
fn require_others(core: &Core, member: &Member) -> Result<()> {
    let all = core.members.all();
    let others: Vec<_> = all.iter().filter(|other| other.key != member.key).collect();
    let has_to_stay = |why: &str| has_to_stay(member, why);
    if let Some(bad) = others.iter().find(|other| other.is_missed()) {
        let bad = bad.disk.name();
        return Err(has_to_stay(&format!("the disk at {bad} is away, failed or lacks something")));
    }
    // While here, the disk may give more.
    if member.is_readable() && core.lacks_what_another_disk_has() {
        return Err(has_to_stay("the other disks lack something that only it had"));
    }
    if others.iter().any(|other| other.is_healthy()) {
        return Ok(());
    }
    Err(has_to_stay("no other disk that is connected holds everything"))
}

fn has_to_stay(member: &Member, why: &str) -> StoreError {
    StoreError::Foreign { what: format!("the disk at {} has to stay: {why}", member.disk.name()) }
}

/// The disk is gone, or must be opened anew: no further request goes to the disk.
pub(crate) fn detach(core: &Core, id: &str) {
    let all = core.members.all();
    let Some(position) = all.iter().position(|member| member.id == id) else { return };
    let member = &all[position];
    if member.is_healthy() {
        member.left_at.store(core.ledger().head.sequence, Ordering::SeqCst);
    }
    member.disk.take();
    core.catalog.packs.close_views(position);
    if member.state() != MemberState::Retired {
        member.set_state(MemberState::Away);
    }
}
