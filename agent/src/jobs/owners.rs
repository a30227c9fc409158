//! Finding out anew what each device brought, where that is not known: after the folder of the index was lost, or a disk
//! brought packs that this box did not see grow.
//!
//! Pushes go on meanwhile; a device is asked for what it has sent before. Not here: the walk (`larder_store`).

use super::{Job, Rest};
use crate::state::Appliance;
use larder_format::ledger::WallStamp;
use std::sync::Arc;
use std::time::Duration;

/// Chunks looked up in one step: a second on a disk that must seek for some of them.
const CHUNKS_AT_ONCE: u64 = 5_000;
/// Between two looks while nothing is to be found out.
const REST: Duration = Duration::from_secs(30);
/// While a push or a restore is under way: the walk reads the same disks. It goes on all the same, since a push is what it
/// saves the sending.
const GIVE_WAY: Duration = Duration::from_millis(500);
/// After an error: the disk may be away for long.
const AFTER_ERROR: Duration = Duration::from_secs(600);

/// Finds out.
#[derive(Default)]
pub(crate) struct OwnersJob;

impl Job for OwnersJob {
    const NAME: &'static str = "owners";

    fn step(&mut self, agent: &Arc<Appliance>, _: WallStamp) -> Rest {
        match agent.vault.find_owners_step(CHUNKS_AT_ONCE) {
            Ok(false) => Rest::of(REST),
            Ok(true) => Rest::of(if agent.activity.is_busy() || !agent.vault.is_index_whole() {
                GIVE_WAY
            } else {
                Duration::ZERO
            }),
            Err(error) => {
                tracing::warn!(%error, "what each computer sent could not be found out; it is asked for again");
                Rest::of(AFTER_ERROR)
            }
        }
    }
}
