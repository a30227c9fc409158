//! Packs that a disk could not read: each is read again, for a day of running at least, before it is given up.
//!
//! A cable, a weak power supply or a bridge that hangs fails reads for an hour, and every byte is still there. So a failed
//! attempt counts only some hours after the one before, and only if the disk answers for something else in the same
//! minute: one that answers nothing at all has lost nothing. Attempts are noted on the disk itself, so that a restart
//! neither forgets nor hurries them. Time comes in as a `Stamp`. Not here: what giving up means (`give_up`).

use crate::Result;
use crate::core::Core;
use crate::disk::hash::hash_off_disk;
use crate::disks::member::Member;
use crate::ledger::entry_files;
use crate::upkeep::repair::attempts::{is_suspected_no_longer, save_suspects, suspected_on};
use crate::upkeep::repair::{pack, whole_again};
use larder_format::ledger::Stamp;
use larder_format::{Hash, layout};

/// From one look at a pack to the next, in seconds of running: the alarm is to end soon after the disk answers again, and a
/// dying disk is not to be tormented.
const LOOK_AGAIN_S: u64 = 3600;

/// Reads again what a disk could not read, once an hour: packs, folders of them, and entries of the ledger. Returns whether
/// it did.
pub(crate) fn read_suspects_again(core: &Core, now: Stamp) -> Result<bool> {
    let Some(_no_others) = core.maintenance.rounds.try_lock() else { return Ok(false) };
    if !is_time_to_retry(core, now) {
        return Ok(false);
    }
    read_gaps_again(core)?;
    list_again(core)?;
    for member in core.members.all().iter().filter(|member| member.is_healthy()) {
        let suspected = suspected_on(core, member);
        let read = suspected.iter().try_for_each(|name| read_suspect_again(core, member, name, now));
        if !suspected.is_empty() && suspected_on(core, member).is_empty() {
            // A round from end to end shows whether all is well, and its result ends the alarm.
            core.trouble().alarm(member);
        }
        save_suspects(core, member)?;
        read?;
    }
    Ok(true)
}

fn is_time_to_retry(core: &Core, now: Stamp) -> bool {
    let mut retried = core.maintenance.retried_s.lock();
    let is_time = retried.is_none_or(|then| then.abs_diff(now.powered_on_s) >= LOOK_AGAIN_S);
    if is_time {
        *retried = Some(now.powered_on_s);
    }
    is_time
}

/// An entry that no disk gave when the ledger was read is a gap, and its snapshot unknown, until it is read again.
fn read_gaps_again(core: &Core) -> Result<()> {
    let gaps = core.ledger().gaps.clone();
    let all = core.members.all();
    let is_there = |gap: &u64| {
        let mut readable = all.iter().filter(|member| member.is_readable());
        readable.any(|member| entry_files::hash_on(member.disk.as_ref(), *gap).is_some())
    };
    if !gaps.iter().any(is_there) {
        return Ok(());
    }
    let _alone = core.alone()?;
    core.load_ledger_again()?;
    core.maintenance.survey_again();
    tracing::info!(gaps = gaps.len(), "the ledger was read again");
    Ok(())
}

/// What lies in a folder that could not be listed at the start is unknown until it is listed.
fn list_again(core: &Core) -> Result<()> {
    let swept = core.ledger().swept.clone();
    if core.catalog.look_for_unseen(&core.members, &swept)? {
        core.maintenance.survey_again();
        for member in core.members.all().iter().filter(|member| member.is_healthy()) {
            core.count_lacking_on(member)?;
        }
        tracing::info!("every folder of packs can be listed again");
    }
    Ok(())
}

fn read_suspect_again(core: &Core, member: &Member, name: &Hash, now: Stamp) -> Result<()> {
    // Swept, or given up on another disk.
    if core.catalog.packs.number(name).is_none() || core.is_let_go(name) {
        is_suspected_no_longer(core, name);
        return Ok(());
    }
    let file = member.disk.as_ref().open(&layout::pack(name));
    if file.is_ok_and(|file| hash_off_disk(file.as_ref()) == Some(*name)) {
        whole_again::clear_of_suspicion(core, name);
        return Ok(());
    }
    pack::repair_pack(core, member, name, now).map(drop)
}
