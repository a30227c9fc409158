//! Packs that vanish while the vault is open: a hand, a filesystem that lost a folder.
//!
//! An open file goes on giving what it held after its name is gone, so nobody who reads would notice before the next
//! start. Before a backup is confirmed, and not more often than once a minute, the names are looked at. Not here: packs
//! that are missing at a start (`catalog`).

use crate::core::Core;
use crate::disk::Disk;
use crate::disks::member::Member;
use crate::packs::on_disk;
use larder_format::ledger::Stamp;
use std::collections::HashSet;
use std::sync::Arc;

/// Between two looks: each lists 256 folders of every disk.
const LOOKS_APART_S: u64 = 60;

/// What a healthy disk does not show any more is no longer relied on: another disk fills it, or the scrub gives it up.
pub(crate) fn look_for_vanished(core: &Core, now: Stamp) {
    if !is_time_to_look(core, now) {
        return;
    }
    let (mut lacking, mut everywhere) = (Vec::new(), None::<HashSet<u32>>);
    {
        // A repair moves a pack aside for a moment.
        let Some(_no_repairs) = core.maintenance.rounds.try_lock() else { return };
        // First: what is sealed from here on is none of those.
        let known = core.catalog.packs.all();
        for member in core.members.all().iter().filter(|member| member.is_healthy()) {
            // One that cannot be listed does not tell what it has.
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
        // Closes the file that still gives what nobody has after the next start.
        core.catalog.packs.reopen(*number);
        if let Some(name) = core.catalog.packs.name(*number) {
            core.catalog.miss(&core.members, *number, name);
        }
    }
    for (member, gone) in lacking {
        lacks_what_vanished(core, &member, gone.difference(&everywhere).count() > 0);
    }
}

fn is_time_to_look(core: &Core, now: Stamp) -> bool {
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

/// `another_has_it`: what is on no disk is nothing to wait for.
fn lacks_what_vanished(core: &Core, member: &Arc<Member>, another_has_it: bool) {
    tracing::error!(disk = member.disk.name(), "packs vanished from this disk");
    core.trouble().alarm(member);
    if another_has_it && core.count_lacking_on(member).is_err() {
        tracing::warn!(disk = member.disk.name(), "what it lacks could not be counted");
    }
}
