//! How long a walk took, by which a watch rests.
//!
//! Not here: the rest (`watch::pacing`).

use crate::{Connection, platform::since_boot};
use std::time::Duration;

/// A walk that goes on.
pub(super) struct WalkTime {
    begun: Duration,
    /// Where the appliance was.
    address: String,
}

impl WalkTime {
    pub(super) fn begin(connection: &Connection) -> Self {
        Self { begun: since_boot(), address: connection.address() }
    }

    /// The moment, and how long the walk took.
    pub(super) fn end(&self, connection: &Connection) -> (Duration, Duration) {
        let ended = since_boot();
        // The search for an appliance that moved takes seconds, and nine times as long the next change would lie here.
        let has_moved = connection.address() != self.address;
        (ended, if has_moved { Duration::ZERO } else { ended.saturating_sub(self.begun) })
    }
}
