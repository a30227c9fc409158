//! Scrub: reads back and checks every file on every disk, a little at a time, and repairs damage.
//!
//! Disks forget silently; reading only on demand finds the damage after the last good copy is gone. A round reads a
//! disk from one end to the other; the caller sets the pace. After the first damaged file of a round, the disk is read
//! anew from the start, in a hurry, since damage seldom comes alone. The result of a finished round goes into the
//! ledger. Not here: repair (`repair`), schedule and pace (`agent`).

use crate::core::Core;
use crate::disk::Disk;
use crate::disk::hash::hash_off_disk;
use crate::disks::identity;
use crate::disks::member::{Member, MemberState};
use crate::ledger::chapters;
use crate::ledger::entry_files::whole_entry;
use crate::upkeep::parity;
use crate::upkeep::repair::{Outcome, attempts, lost, pack, quarantine_search, small_files, whole_again};
use crate::upkeep::scrub::rotation::ScrubItem;
use crate::upkeep::scrub::state::STATE;
use crate::{Result, StoreError};
use larder_format::care::Round;
use larder_format::ledger::{Event, Scrubbed, WallStamp};
use larder_format::{Hash, layout};

mod rotation;
mod state;

/// Cost of reading a small file besides its bytes: one head movement.
const FILE_COST_BYTES: u64 = 64 * 1024;

/// A disk and the state of its scrub.
#[derive(Debug, Clone)]
pub struct ScrubView {
    /// Random name of the disk, in hex.
    pub disk: String,
    /// Path of the disk.
    pub path: String,
    /// Whether the disk can be scrubbed at the moment.
    pub is_readable: bool,
    /// A read outside of a scrub failed on this disk: a round is wanted now.
    pub is_alarmed: bool,
    /// Unreadable packs on the disk, to be tried again before a give-up.
    pub suspected: u64,
    /// The current round, or the next.
    pub round: Round,
    /// The last finished round.
    pub last: Option<(WallStamp, Scrubbed)>,
}

/// Scrub state of each disk: as of the last step, while a step runs.
pub(crate) fn scrubs(core: &Core) -> Vec<ScrubView> {
    spread_suspicion(core);
    // An absent disk is never late.
    let all = core.members.all();
    all.iter().filter(|member| !member.disk.is_empty()).map(|member| scrub_view(core, member)).collect()
}

fn scrub_view(core: &Core, member: &Member) -> ScrubView {
    let round = core.maintenance.shown(member).unwrap_or_else(|| {
        let round = STATE.read(member.disk.as_ref());
        core.maintenance.show(member, &round);
        round
    });
    ScrubView {
        disk: member.id.clone(),
        path: member.disk.name(),
        is_readable: is_readable(member),
        is_alarmed: core.trouble().is_alarmed(member),
        suspected: attempts::suspected_on(core, member).len() as u64,
        round,
        last: core.ledger().scrubs.get(&member.id).copied(),
    }
}

/// Begins a round on a disk and drops the progress so far. `disk` is the disk's random name.
pub(crate) fn begin_scrub(core: &Core, disk: &str, stamp: WallStamp) -> Result<()> {
    let Some(member) = core.members.named(disk) else { return Ok(()) };
    let member = member.as_ref();
    let mut rounds = core.maintenance.rounds.lock();
    let round = rounds.entry(member.id.clone()).or_insert_with(|| STATE.read(member.disk.as_ref()));
    *round = begun(member, stamp)?;
    quarantine_search::search_again(core, member);
    keep_facts(core, member)?;
    save(core, member, round)
}

/// Reads about `bytes_max` more and repairs damage. A new round begins with a look into the quarantine; a finished
/// round is written into the ledger. Returns the state of the round.
pub(crate) fn scrub(core: &Core, disk: &str, bytes_max: u64, stamp: WallStamp) -> Result<Round> {
    let Some(member) = core.members.named(disk) else {
        return Ok(Round::default());
    };
    let member = member.as_ref();
    let mut rounds = core.maintenance.rounds.lock();
    let round = rounds.entry(member.id.clone()).or_insert_with(|| STATE.read(member.disk.as_ref()));
    if !is_readable(member) {
        return Ok(round.clone());
    }
    if round.started.is_none() {
        *round = begun(member, stamp)?;
        quarantine_search::search_again(core, member);
        keep_facts(core, member)?;
    }
    spread_suspicion(core);
    if core.trouble().take_alarm(member) && !round.is_hurried {
        *round = hurried(round, stamp);
    }
    let searched = quarantine_search::search_quarantine(core, member, bytes_max)?;
    let left = bytes_max.saturating_sub(searched.bytes);
    let read = if searched.is_over { read_on(core, member, round, left, stamp) } else { Ok(false) };
    // Saved even after an error: forgotten attempts would begin again for ever.
    attempts::save_suspects(core, member)?;
    let is_over = read?;
    if is_over {
        look_at_the_end(core, round)?;
    }
    let result = round.clone();
    if is_over {
        end_round(core, member, round, stamp)?;
    }
    save(core, member, round)?;
    Ok(result)
}

/// A round with every file whole must not report success while a snapshot needs a missing chunk.
fn look_at_the_end(core: &Core, round: &mut Round) -> Result<()> {
    // Chunks on an absent disk are not lost.
    if core.members.are_all_here() && (!core.maintenance.is_surveyed() || round.left > 0) {
        round.lost += lost::look_for_loss(core, &|| true)?.unwrap_or(0) as u64;
    } else if lost::has_what_was_missed(core) {
        lost::look_at_damaged(core, &|| true);
    }
    Ok(())
}

fn keep_facts(core: &Core, member: &Member) -> Result<()> {
    match identity::keep_copy_of_facts(member.disk.as_ref(), core.identity_of(member)) {
        Ok(()) => Ok(()),
        Err(source) => match member.failed(layout::SCRUB, source) {
            StoreError::Full { .. } => Ok(()),
            error => Err(error),
        },
    }
}

/// A read for a restore does not tell the failed disk, and several disks may have failed.
fn spread_suspicion(core: &Core) {
    if core.trouble().take_suspicion() {
        core.members.all().iter().for_each(|member| core.trouble().alarm(member));
    }
}

fn read_on(
    core: &Core,
    member: &Member,
    round: &mut Round,
    bytes_max: u64,
    stamp: WallStamp,
) -> Result<bool> {
    let mut spent = 0;
    loop {
        let listed = rotation::next(core, member, &round.at);
        // A disk that cannot be listed was unplugged: the disk is away, not damaged.
        let items = listed.map_err(|source| away(member, source))?;
        if items.is_empty() {
            return Ok(true);
        }
        for item in items {
            if spent >= bytes_max {
                return Ok(false);
            }
            let mut bytes = 0;
            let is_whole = is_whole(member, &item, &mut bytes);
            if let (true, ScrubItem::Pack(name)) = (is_whole, item) {
                whole_again::clear_of_suspicion(core, &name);
            }
            (round.bytes, spent) = (round.bytes + bytes, spent + bytes + FILE_COST_BYTES);
            round.at = item.path();
            if !is_whole && repair(core, member, round, &item, stamp)? && !round.is_hurried {
                *round = hurried(round, stamp);
                break;
            }
        }
    }
}

/// Whether a file is unchanged; counts the bytes read.
fn is_whole(member: &Member, item: &ScrubItem, bytes: &mut u64) -> bool {
    let disk = member.disk.as_ref();
    let path = item.path();
    match item {
        ScrubItem::Facts => identity::is_named(disk),
        ScrubItem::Entry(sequence) => whole_entry(disk, *sequence).is_some(),
        ScrubItem::Chapter(chapter) => chapters::is_as_its_entries(disk, *chapter),
        ScrubItem::Pack(name) => disk.open(&path).ok().is_some_and(|file| {
            *bytes += file.len().unwrap_or(0);
            hash_off_disk(file.as_ref()) == Some(*name)
        }),
        ScrubItem::Sidecar(name) => disk.open(&path).ok().is_some_and(|file| {
            *bytes += file.len().unwrap_or(0);
            file.forget_cached();
            parity::is_whole(file.as_ref(), name)
        }),
    }
}

/// Repairs one file. Returns whether the damage was real.
fn repair(
    core: &Core,
    member: &Member,
    round: &mut Round,
    item: &ScrubItem,
    stamp: WallStamp,
) -> Result<bool> {
    let disk = member.disk.as_ref();
    if disk.list(layout::PACKS).is_err() || disk.space().is_err() {
        return Err(away(member, std::io::Error::other("it cannot be listed any more")));
    }
    // A swept pack must not come back.
    let is_gone = matches!(item, ScrubItem::Pack(name) | ScrubItem::Sidecar(name)
        if is_given_up(core, name) || core.is_let_go(name));
    if is_gone || (matches!(item, ScrubItem::Entry(_)) && member.is_behind()) {
        return Ok(false);
    }
    tracing::error!(disk = disk.name(), file = item.path(), "a stored file is damaged");
    let outcome = match item {
        ScrubItem::Facts => small_files::repair_facts(core, member),
        ScrubItem::Entry(sequence) => small_files::repair_entry(core, member, *sequence),
        ScrubItem::Chapter(chapter) => small_files::repair_chapter(member, *chapter),
        ScrubItem::Pack(name) => pack::repair_pack(core, member, name, stamp),
        ScrubItem::Sidecar(name) => small_files::repair_sidecar(core, member, name),
    }?;
    round.damaged += 1;
    match outcome {
        Outcome::Repaired => round.repaired += 1,
        Outcome::Lost(pieces) => round.lost += pieces,
        Outcome::Left => round.left += 1,
    }
    if let (ScrubItem::Pack(name), Outcome::Repaired) = (item, outcome) {
        core.trouble().has_hope_again(name);
    }
    Ok(true)
}

fn save(core: &Core, member: &Member, round: &Round) -> Result<()> {
    core.maintenance.show(member, round);
    match STATE.write(member.disk.as_ref(), round) {
        Ok(()) => Ok(()),
        Err(source) => match member.failed(layout::SCRUB, source) {
            // The only cost: the round begins again after the next start.
            StoreError::Full { .. } => Ok(()),
            error => Err(error),
        },
    }
}

fn end_round(core: &Core, member: &Member, round: &mut Round, stamp: WallStamp) -> Result<()> {
    let disk = member.key;
    let Round { bytes, damaged, repaired, lost, .. } = *round;
    match core.append(stamp, Event::Scrubbed(Scrubbed { disk, bytes, damaged, repaired, lost })) {
        // The scrub's result holds, with or without a ledger entry.
        Err(StoreError::ReadOnly { .. }) => {}
        noted => drop(noted?),
    }
    *round = Round::default();
    Ok(())
}

/// Whether the pack was given up and has not returned, on a disk with a whole copy or from a device.
fn is_given_up(core: &Core, name: &Hash) -> bool {
    core.trouble().is_retired(name) && core.catalog.packs.number(name).is_none()
}

/// Reading would strain a failed disk, and its answers are not trusted anyway.
fn is_readable(member: &Member) -> bool {
    matches!(member.state(), MemberState::Healthy | MemberState::Behind(_))
}

fn begun(member: &Member, stamp: WallStamp) -> Result<Round> {
    let total = rotation::total(member.disk.as_ref()).map_err(|source| away(member, source))?;
    Ok(Round { started: Some(stamp), total, ..Round::default() })
}

/// After damage the disk is read again from the start. Counts so far stay.
fn hurried(round: &Round, stamp: WallStamp) -> Round {
    // Damage left in place is counted again.
    let damaged = round.damaged - round.left;
    let at = String::new();
    Round { started: Some(stamp), at, bytes: 0, damaged, left: 0, is_hurried: true, ..round.clone() }
}

fn away(member: &Member, source: std::io::Error) -> StoreError {
    StoreError::Disk { path: format!("{}/packs", member.disk.name()), source }
}
