//! Unreadable packs: each is read again, for a day of running at least, before a give-up.
//!
//! A cable, a weak power supply or a hanging bridge fails reads for an hour, with every byte intact. So a failed
//! attempt counts only hours after the attempt before, and only if the disk answers a different read in the same
//! minute: an unanswering disk has lost nothing. Attempts are noted on the disk itself, so a restart neither forgets
//! nor hurries the count. Time comes in as a `WallStamp`. Not here: the give-up (`give_up`).

use crate::Result;
use crate::core::Core;
use crate::disk::hash::hash_off_disk;
use crate::disks::member::Member;
use crate::ledger::entry_files;
use crate::upkeep::repair::attempts::{is_suspected_no_longer, save_suspects, suspected_on};
use crate::upkeep::repair::{pack, whole_again};
use larder_format::ledger::WallStamp;
use larder_format::{Hash, layout};

/// Running time between two looks at a pack, in seconds: the alarm should end soon after the disk answers again, and
/// reading strains a dying disk.
const LOOK_AGAIN_S: u64 = 3600;

/// Retries unreadable packs, folders of packs and ledger entries, once an hour. Returns whether a retry took place.
pub(crate) fn read_suspects_again(core: &Core, now: WallStamp) -> Result<bool> {
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
            // A round from end to end shows the disk's state, and its result ends the alarm.
            core.trouble().alarm(member);
        }
        save_suspects(core, member)?;
        read?;
    }
    Ok(true)
}

fn is_time_to_retry(core: &Core, now: WallStamp) -> bool {
    let mut retried = core.maintenance.retried_s.lock();
    let is_time = retried.is_none_or(|then| then.abs_diff(now.powered_on_s) >= LOOK_AGAIN_S);
    if is_time {
        *retried = Some(now.powered_on_s);
    }
    is_time
}

/// A ledger entry unreadable on every disk is a gap, and its snapshot unknown, until the entry is read again.
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

/// Packs in a folder unreadable at the start are unknown until the folder is listed.
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

fn read_suspect_again(core: &Core, member: &Member, name: &Hash, now: WallStamp) -> Result<()> {
    // Swept, or given up on a different disk.
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
