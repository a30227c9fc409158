//! Time as it is, and as the box believes it to be.
//!
//! Not here: what follows from it (`keeping`).

use larder_format::ledger::WallStamp;

pub(crate) const DAY_MS: i64 = 24 * 3600 * 1000;
/// 1 June 2026; the first day of every life.
const FIRST_DAY_MS: i64 = 1_780_272_000_000;
/// No honest clock is before this software was written, as the agent says.
const EARLIEST_MS: i64 = 1_767_225_600_000;

/// The box's clock. It is right unless something happened to it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Clock {
    /// True time since the first day.
    true_ms: i64,
    powered_on_s: u64,
    /// How far the box's clock is off, and whether anything tells that it is.
    off_by_ms: i64,
    is_synchronized: bool,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self { is_synchronized: true, ..Self::default() }
    }

    /// The box lives through some time, switched on or not.
    pub(crate) fn pass(&mut self, ms: i64, is_on: bool) {
        self.true_ms += ms;
        if is_on {
            self.powered_on_s += u64::try_from(ms / 1000).expect("time passes forward");
        }
    }

    /// The clock shows this moment now; `is_believed` when nothing tells that it is wrong.
    pub(crate) fn set_wrong(&mut self, shows_ms: i64, is_believed: bool) {
        self.off_by_ms = shows_ms - self.now_ms();
        self.is_synchronized = is_believed;
    }

    pub(crate) fn set_right(&mut self) {
        (self.off_by_ms, self.is_synchronized) = (0, true);
    }

    pub(crate) fn is_right(&self) -> bool {
        self.off_by_ms == 0
    }

    /// What time it really is.
    pub(crate) fn now_ms(&self) -> i64 {
        FIRST_DAY_MS + self.true_ms
    }

    /// What the box writes down; `newest_ms` is the time of its newest ledger entry.
    pub(crate) fn stamp(&self, newest_ms: Option<i64>) -> WallStamp {
        let time_ms = self.now_ms() + self.off_by_ms;
        let is_behind = newest_ms.is_some_and(|newest| time_ms < newest);
        let trusted = time_ms >= EARLIEST_MS && !is_behind && self.is_synchronized;
        WallStamp { time_ms, trusted, powered_on_s: self.powered_on_s }
    }
}
