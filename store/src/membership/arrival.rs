//! Disks attached and detached while the vault is open.
//!
//! A disk returns only with a proven identity and our past: the newest ledger entry shared by both sides must be the
//! same. Each entry holds the hash of the entry before, so every earlier entry matches too. Then the disk is read and
//! filled (`resync`), and counts again once complete. Files unfinished or in doubt at the departure are set aside
//! first. Not here: verdicts on a disk (`standing`), mount paths, and when to look (the agent).

use crate::Result;
use crate::core::Core;
use crate::disk::Disk;
use crate::disk::quarantine::set_aside;
use crate::disks::identity::{Identity, hex, identity_of, join};
use crate::disks::member::{self, Member, MemberState};
use crate::disks::refusals::{self, at, foreign};
use crate::disks::slot::Slot;
use crate::ledger::{entry_files, listing};
use crate::membership::opening::made_ready;
use crate::membership::standing;
use crate::packs::index::IndexPlace;
use larder_format::layout;
use larder_format::ledger::{DiskChange, DiskEvent, DiskId, DiskRole, Event, WallStamp};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Verdict on a disk used apart from the vault's disks.
const OTHER_PAST: &str = "its past is not the one that the other disks tell, since it was used apart from them. Restart the \
                          appliance with all disks connected: it goes on with the one that has more backups. What only \
                          this one has can be read with `larder rescue`";

/// Entries searched backwards for an entry whole on both sides.
const LOOK_BACK_MAX: u64 = 1000;

/// A disk taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    /// Disk id in hex.
    pub id: String,
    /// The disk holds less than before: an older copy took its place. The copy is filled like any disk.
    pub is_older_copy: bool,
}

/// How far a disk's ledger agrees with ours.
enum LedgerPast {
    /// The disk's newest entry is one of ours.
    Ours,
    /// Our ledger is a part of the disk's ledger.
    Ahead,
}

/// Takes back an absent disk of this vault.
pub(crate) fn attach(core: &Core, disk: Arc<dyn Disk>, stamp: WallStamp) -> Result<Attached> {
    let Some(identity) = identity_of(disk.as_ref())? else {
        return Err(foreign(disk.as_ref(), "it is empty; `larderd adopt PATH` takes it in"));
    };
    require_ours(core, disk.as_ref(), identity)?;
    if core.ledger().disks.get(&identity.disk).is_some_and(|known| known.retired) {
        return Err(foreign(disk.as_ref(), "it was retired; `larderd adopt PATH` takes it back"));
    }
    let attached = put(core, disk, identity.disk, false)?;
    standing::enter_disks(core, stamp);
    Ok(attached)
}

/// Takes in a new, empty disk, or takes back a known disk, on the word of a person: past failures are forgotten.
/// Returns the disk's id. `new_id` is random and names a disk without a name.
pub(crate) fn adopt(
    core: &Core,
    disk: Arc<dyn Disk>,
    new_id: DiskId,
    role: DiskRole,
    stamp: WallStamp,
) -> Result<String> {
    let path = disk.name();
    let id = match identity_of(disk.as_ref())? {
        Some(identity) => {
            require_ours(core, disk.as_ref(), identity)?;
            identity.disk
        }
        None => {
            join(disk.as_ref(), Identity { vault: core.id, disk: new_id })?;
            new_id
        }
    };
    let adopted = Event::Disk(DiskEvent { disk: id, what: DiskChange::Adopted { path, role } });
    // Written before the disk counts: this entry takes a retired or distrusted disk back. Where no disk can take the
    // entry, the last disk is being replaced or trusted again: then the entry is written once this disk is good.
    let is_written = core.members.is_any_healthy();
    if is_written {
        core.append(stamp, adopted.clone())?;
    }
    put(core, disk, id, true)?;
    let Some(member) = core.members.find(id) else { return Ok(hex(&id)) };
    member.set_role(role);
    if !is_written && member.is_healthy() {
        core.append(stamp, adopted)?;
    }
    Ok(hex(&id))
}

fn require_ours(core: &Core, disk: &dyn Disk, identity: Identity) -> Result<()> {
    if identity.vault != core.id {
        return Err(foreign(disk, "it belongs to another vault"));
    }
    match core.members.find(identity.disk) {
        Some(twin) if !twin.disk.is_empty() => Err(match count_only_on(core, disk) {
            0 => refusals::is_copy_of(disk, &twin.disk.name()),
            more => refusals::is_more_than_a_copy_of(disk, &twin.disk.name(), more),
        }),
        _ => Ok(()),
    }
}

/// Ledger entries whole on this disk and missing on every attached disk.
fn count_only_on(core: &Core, disk: &dyn Disk) -> usize {
    let (head, gaps) = {
        let view = core.ledger();
        (view.head.sequence, view.gaps.clone())
    };
    let numbers = listing::numbers_on(disk).unwrap_or_default().into_iter();
    let new = numbers.filter(|number| *number > head || gaps.contains(number));
    new.filter(|number| entry_files::hash_on(disk, *number).is_some()).count()
}

/// `is_vouched`: a person says the disk is good, whatever the ledger holds against the disk.
fn put(core: &Core, disk: Arc<dyn Disk>, key: DiskId, is_vouched: bool) -> Result<Attached> {
    let member = core.members.find(key).unwrap_or_else(|| {
        let member = Arc::new(Member::new(key, Slot::empty(disk.name()), MemberState::Away));
        core.members.add(member.clone());
        member
    });
    // A resync still filling the disk would lose its file to the clearing below.
    let _no_filling = member.filling.lock();
    // The disk may hold trees that the current mark phase could not see, so its proof no longer counts.
    let mut proof = core.mark_proof.lock();
    proof.disks_come += 1;
    let proven_s = proof.proven_s.take();
    // A commit found complete must not find out later about a chunk swept by this disk.
    let _no_commits = core.sweeping.write();
    // No pack may grow and no entry may come while the disk goes from away to behind.
    let _growing = core.hold_growing()?;
    let _commits = core.commits.lock();
    let doubtful = member.take_doubtful();
    // A repair under way would lose its file too: unfinished files then stay until the next start.
    let no_repairs = core.maintenance.rounds.try_lock();
    let cleared = clear(disk.as_ref(), &doubtful, no_repairs.is_some());
    drop(no_repairs);
    if let Err(source) = cleared {
        // The files stay in doubt until they can be set aside.
        member.doubts(doubtful);
        // A read-only disk can still give back its contents, and nothing more will rest on the disk.
        if source.kind() != io::ErrorKind::ReadOnlyFilesystem {
            return Err(at(disk.as_ref(), layout::OPEN, source));
        }
    }
    let is_needed = !core.members.is_any_healthy();
    let ready = made_ready(disk.as_ref()).or_else(|source| match is_needed {
        // The disk takes no writes now, but its contents can be given back.
        true => Ok(MemberState::Suspect(source.to_string())),
        false => Err(at(disk.as_ref(), layout::OPEN, source)),
    })?;
    let past = past_of(core, disk.as_ref())?;
    let complete = core.ledger().disks.get(&key).map_or(0, |known| known.complete.0);
    if is_vouched {
        member.unnoted_failures.store(0, Ordering::SeqCst);
    }
    // Plugging in again is no proof: a dying disk leaves and comes by itself.
    let is_bad =
        !is_vouched && ready == MemberState::Healthy && core.failures_of(&member) >= member::FAILURES_MAX;
    let ready = if is_bad { member::failed_before() } else { ready };
    let had = complete.max(member.left_at.load(Ordering::SeqCst));
    let is_older_copy = had > 0 && entry_files::hash_on(disk.as_ref(), had).is_none();
    let name = disk.name();
    member.disk.put(disk);
    member.set_state(ready);
    member.note_full(false);
    member.is_older_copy.store(is_older_copy, Ordering::SeqCst);
    let taken = learn_from(core, &member, &past);
    let is_news = taken.as_ref().is_ok_and(|is_news| *is_news);
    let lacking = taken.and_then(|_| core.count_lacking_on(&member)).inspect_err(|_| {
        member.disk.take();
        // A healthy state would put the disk in receipts although nobody can read or write the disk.
        member.set_state(MemberState::Away);
    })?;
    if !is_news && core.damaged_chunks() == 0 {
        // A disk visiting for an hour without news loses swept files as soon as the resync is done.
        proof.proven_s = proven_s;
    }
    tracing::info!(disk = name, lacking, is_older_copy, "a backup disk is connected");
    Ok(Attached { id: member.id.clone(), is_older_copy })
}

/// A disk may bring packs or ledger entries new to the vault, or lost on the vault's disks. Returns whether the disk
/// did.
fn learn_from(core: &Core, member: &Member, past: &LedgerPast) -> Result<bool> {
    let (swept, was_complete) = {
        let view = core.ledger();
        (view.swept.clone(), view.disks.get(&member.key).is_some_and(|known| known.complete.0 > 0))
    };
    let new_packs = core.catalog.absorb(&core.members, member, (&swept, was_complete))?;
    if new_packs > 0 {
        core.owners_are_partial();
    } else {
        core.gaps_may_be_closed();
    }
    // Disks filled without these packs get the packs now.
    let went_without = !core.trouble().end_going_without().is_empty();
    let has_gaps = !core.ledger().gaps.is_empty();
    if matches!(past, LedgerPast::Ahead) || has_gaps {
        core.load_ledger_again()?;
    } else if new_packs == 0 && !went_without {
        return Ok(false);
    }
    core.count_lacking().map(|()| true)
}

fn past_of(core: &Core, disk: &dyn Disk) -> Result<LedgerPast> {
    let numbers = listing::numbers_on(disk).map_err(|source| at(disk, layout::LEDGER, source))?;
    let newest = numbers.into_iter().max().unwrap_or(0);
    let head = core.ledger().head;
    if !core.members.all().iter().any(|member| member.is_readable()) {
        // No disk is left to tell a different past: this disk's past counts.
        return Ok(LedgerPast::Ahead);
    }
    let common = newest.min(head.sequence);
    for number in (common.saturating_sub(LOOK_BACK_MAX) + 1..=common).rev() {
        let all = core.members.all();
        let ours = all.iter().filter(|member| member.is_readable());
        let ours = ours.filter_map(|member| entry_files::hash_on(member.disk.as_ref(), number)).next();
        let ours = if number == head.sequence { Some(head.hash) } else { ours };
        match (ours, entry_files::hash_on(disk, number)) {
            (Some(ours), Some(its)) if ours == its && newest > head.sequence => return Ok(LedgerPast::Ahead),
            (Some(ours), Some(its)) if ours == its => return Ok(LedgerPast::Ours),
            (Some(_), Some(_)) => {
                return Err(foreign(disk, OTHER_PAST));
            }
            _ => {}
        }
    }
    if common == 0 && newest == 0 {
        Ok(LedgerPast::Ours)
    } else if head.sequence == 0 {
        Ok(LedgerPast::Ahead)
    } else {
        Err(foreign(disk, "none of its newer ledger entries can be compared with ours"))
    }
}

/// Retries writing to a disk with a failed write at arrival, unless the disk is held to be bad: one hiccup of the only
/// disk must not stop backups until a person comes.
pub(crate) fn try_again(core: &Core, id: &str) {
    let Ok(member) = core.members.in_use(id) else { return };
    let is_held_bad = core.failures_of(&member) >= member::FAILURES_MAX;
    if is_held_bad || !matches!(member.state(), MemberState::Suspect(_)) {
        return;
    }
    if !matches!(made_ready(member.disk.as_ref()), Ok(MemberState::Healthy)) {
        return;
    }
    // Otherwise a growing pack would be sealed, or an entry written, without a disk already counted.
    let Ok(_growing) = core.hold_growing() else { return };
    let _commits = core.commits.lock();
    member.set_state(MemberState::Healthy);
    if core.count_lacking_on(&member).is_ok() {
        tracing::info!(disk = %member.disk.name(), "the disk can be written to again");
    }
}

/// Makes the index anew at `place`: the index's disk is away, or the index is to lie elsewhere.
pub(crate) fn move_index(core: &Core, place: IndexPlace) {
    core.catalog.move_to(&core.members, place.clone());
    core.move_owners_to(&place);
}

/// Clears files unfinished at the departure, and sets aside files whose rename is in doubt.
fn clear(disk: &dyn Disk, doubtful: &[String], also_unfinished: bool) -> io::Result<()> {
    if also_unfinished {
        for item in disk.list(layout::OPEN)?.into_iter().filter(|item| !item.is_folder) {
            disk.remove(&layout::open(&item.name))?;
        }
    }
    doubtful
        .iter()
        .filter(|path| path.ends_with(".pack") || path.ends_with(".entry"))
        .try_for_each(|path| set_aside(disk, path))
}
