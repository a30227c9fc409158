//! A pack that is whole again: read from its file from now on, and under suspicion no longer.

use crate::core::Core;
use crate::disks::member::Member;
use crate::upkeep::repair::attempts;
use larder_format::{Hash, layout};
use std::sync::Arc;

/// Reads from the new file from now on, and finds what is in it if nobody could before.
pub(crate) fn is_whole_again(core: &Core, name: &Hash) {
    attempts::is_suspected_no_longer(core, name);
    let len = |member: &Arc<Member>| {
        member.disk.as_ref().open(&layout::pack(name)).and_then(|file| file.len()).ok()
    };
    let len = core.members.all().iter().find_map(len).unwrap_or(0);
    let went_without =
        core.catalog.packs.number(name).is_some_and(|pack| core.trouble().is_gone_without(pack));
    core.catalog.enter_repaired(&core.members, name, len);
    if went_without {
        // Now there is one to be had, and whoever went without it is filled.
        let lacks_it = |member: &Arc<Member>| member.disk.as_ref().open(&layout::pack(name)).is_err();
        let all = core.members.all();
        all.iter().filter(|member| member.is_healthy() && lacks_it(member)).for_each(|m| m.misses_pack());
    }
}

/// A pack that was read whole from a disk: that something in it could not be read before was a hiccup.
pub(crate) fn clear_of_suspicion(core: &Core, name: &Hash) {
    attempts::is_suspected_no_longer(core, name);
    let number = core.catalog.packs.number(name);
    let is_suspected = number.is_some_and(|pack| core.trouble().is_in(pack));
    // One that was given up while its folder could not be read lies in its place all the same.
    let is_back = number.is_none() && core.trouble().is_retired(name) && !core.is_let_go(name);
    if is_suspected || is_back || core.trouble().is_unreadable(name) {
        is_whole_again(core, name);
    }
}
