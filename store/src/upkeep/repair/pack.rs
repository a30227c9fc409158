//! Repair of one pack: rebuilt, left for a later attempt, or given up.

use crate::core::Core;
use crate::disks::member::Member;
use crate::upkeep::repair::attempts::{self, Patience};
use crate::upkeep::repair::mend::{Mended, mend};
use crate::upkeep::repair::whole_again::is_whole_again;
use crate::upkeep::repair::{Outcome, give_up};
use crate::{Result, StoreError};
use larder_format::Hash;
use larder_format::ledger::WallStamp;

/// Rebuilds a damaged or missing pack on one disk, or gives the pack up. An unreadable pack is left as is until enough
/// attempts have failed.
///
/// # Errors
/// `Disk` when the disk fails, or returns nothing at all. A full disk only leaves the pack as is.
pub(crate) fn repair_pack(core: &Core, member: &Member, name: &Hash, now: WallStamp) -> Result<Outcome> {
    let outcome = match mend_or_give_up(core, member, name, now) {
        Err(StoreError::Full { missing_mib, .. }) => {
            tracing::error!(pack = %name, missing_mib, "no room to repair a pack");
            return Ok(Outcome::Left);
        }
        outcome => outcome?,
    };
    if outcome == Outcome::Repaired
        && (core.catalog.packs.number(name).is_some() || !core.trouble().is_retired(name))
    {
        is_whole_again(core, name);
    }
    Ok(outcome)
}

fn mend_or_give_up(core: &Core, member: &Member, name: &Hash, now: WallStamp) -> Result<Outcome> {
    // Half of the reserve: ledger and restore still work, and rebuilt content is the reserve's purpose.
    let patience = match mend(&core.members, member, name, core.reserve_bytes / 2)? {
        Mended::Whole => return Ok(Outcome::Repaired),
        Mended::Damaged => Patience::Waits,
        Mended::Unread => match attempts::try_later(core, member, name, now)? {
            Patience::Waits => return Ok(Outcome::Left),
            at_an_end => at_an_end,
        },
    };
    match give_up::give_up(core, member, name, patience)?.map(|lost| lost.chunks.len()) {
        // A disk readable a moment ago does not answer now.
        None => attempts::try_later(core, member, name, now).map(|_| Outcome::Left),
        // Every chunk lived on in whole blocks, or no snapshot needs the chunk.
        Some(0) => Ok(Outcome::Repaired),
        Some(lost) => Ok(Outcome::Lost(lost as u64)),
    }
}
