//! Packs vanishing while the vault is open: removed by hand, or a folder lost by the filesystem.
//!
//! An open file keeps its bytes readable after its name is gone, so no reader would notice before the next start. The
//! names are checked before a backup is confirmed, at most once a minute. Not here: packs missing at a start
//! (`catalog`).

use crate::core::Core;
use crate::disk::Disk;
use crate::disks::member::Member;
use crate::packs::on_disk;
use larder_format::ledger::WallStamp;
use std::collections::HashSet;
use std::sync::Arc;

/// Time between two checks: each lists 256 folders of every disk.
const LOOKS_APART_S: u64 = 60;

/// A pack missing on a healthy disk is no longer relied on: resync restores the pack, or the scrub gives the pack up.
pub(crate) fn look_for_vanished(core: &Core, now: WallStamp) {
    if !is_time_to_look(core, now) {
        return;
    }
    let (mut lacking, mut everywhere) = (Vec::new(), None::<HashSet<u32>>);
    {
        // A repair moves a pack aside for a moment.
        let Some(_no_repairs) = core.maintenance.rounds.try_lock() else { return };
        // First, so a pack sealed from here on is not taken for missing.
        let known = core.catalog.packs.all();
        for member in core.members.all().iter().filter(|member| member.is_healthy()) {
            // A disk with a failed listing does not tell its packs.
            let Ok(there) = on_disk::names_on(member.disk.as_ref()) else { return };
            let gone = known.iter().filter(|(_, name)| !there.contains_key(name)).map(|(number, _)| *number);
            let gone: HashSet<_> = gone.filter(|number| !is_known_to_be_gone(core, *number)).collect();
            if !gone.is_empty() {
                lacking.push((member.clone(), gone.clone()));
            }
            everywhere = Some(match everywhere {
                None => gone,
                Some(before) => before.intersection(&gone).copied().collect(),
            });
        }
    }
    let everywhere = everywhere.unwrap_or_default();
    for number in &everywhere {
        // Closes the open file; its bytes would be gone after the next start.
        core.catalog.packs.reopen(*number);
        if let Some(name) = core.catalog.packs.name(*number) {
            core.catalog.miss(&core.members, *number, name);
        }
    }
    for (member, gone) in lacking {
        lacks_what_vanished(core, &member, gone.difference(&everywhere).count() > 0);
    }
}

fn is_time_to_look(core: &Core, now: WallStamp) -> bool {
    let mut looked = core.maintenance.looked_s.lock();
    let is_time = looked.is_none_or(|then| then.abs_diff(now.powered_on_s) >= LOOKS_APART_S);
    if is_time {
        *looked = Some(now.powered_on_s);
    }
    is_time
}

fn is_known_to_be_gone(core: &Core, number: u32) -> bool {
    let name = core.catalog.packs.name(number);
    name.is_none_or(|name| core.trouble().is_unreadable(&name)) || core.trouble().is_gone_without(number)
}

/// `another_has_it`: a pack on no disk is not worth waiting for.
fn lacks_what_vanished(core: &Core, member: &Arc<Member>, another_has_it: bool) {
    tracing::error!(disk = member.disk.name(), "packs vanished from this disk");
    core.trouble().alarm(member);
    if another_has_it && core.count_lacking_on(member).is_err() {
        tracing::warn!(disk = member.disk.name(), "what it lacks could not be counted");
    }
}
