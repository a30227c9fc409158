//! A pack whole again: read from its file from now on, and no longer suspected.

use crate::core::Core;
use crate::disks::member::Member;
use crate::upkeep::repair::attempts;
use larder_format::{Hash, layout};
use std::sync::Arc;

/// Reads from the new file from now on, and lists chunks of a formerly unreadable pack.
pub(crate) fn is_whole_again(core: &Core, name: &Hash) {
    attempts::is_suspected_no_longer(core, name);
    let len = |member: &Arc<Member>| {
        member.disk.as_ref().open(&layout::pack(name)).and_then(|file| file.len()).ok()
    };
    let len = core.members.all().iter().find_map(len).unwrap_or(0);
    let went_without =
        core.catalog.packs.number(name).is_some_and(|pack| core.trouble().is_gone_without(pack));
    core.catalog.enter_repaired(&core.members, name, len);
    core.gaps_may_be_closed();
    if went_without {
        // A whole copy exists now, so disks without the pack are filled.
        let lacks_it = |member: &Arc<Member>| member.disk.as_ref().open(&layout::pack(name)).is_err();
        let all = core.members.all();
        all.iter().filter(|member| member.is_healthy() && lacks_it(member)).for_each(|m| m.misses_pack());
    }
}

/// A pack read whole from a disk: the earlier failed read was a hiccup.
pub(crate) fn clear_of_suspicion(core: &Core, name: &Hash) {
    attempts::is_suspected_no_longer(core, name);
    let number = core.catalog.packs.number(name);
    let is_suspected = number.is_some_and(|pack| core.trouble().is_in(pack));
    // A pack given up while the folder was unreadable is still in place.
    let is_back = number.is_none() && core.trouble().is_retired(name) && !core.is_let_go(name);
    if is_suspected || is_back || core.trouble().is_unreadable(name) {
        is_whole_again(core, name);
    }
}
