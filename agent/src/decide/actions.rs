//! What a decision asks for: the loop does these things, and nothing else.

use crate::report::{Happening, Remembered};
use larder_panel::Rhythm;

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// The lamp shows this from now on.
    Light(Rhythm),
    /// The lamp answers the button with one short flash.
    Answer,
    /// A window opens in which a new computer may pair.
    OpenPairing,
    /// Offsite disks that are at home are brought up to date and let go of, to be unplugged.
    ReleaseOffsite,
    /// Dashboards hear of it.
    Tell(Happening),
    /// The index is written out.
    FlushIndex,
    /// This is remembered over a restart.
    Remember(Remembered),
}
