//! Trusted time: how long the appliance has lived, and whether its clock may make a snapshot old.
//!
//! A small box wakes up in the past, or in the future, and the owner of its time server could make every backup a
//! hundred years old at once. So age is never the wall clock alone: age is also bounded by the seconds switched on,
//! plus time switched off that a synchronised clock vouches for, at most a day for each day of running. A jump of
//! more than a day against the running time counts as no time lived, and locks letting go.
//! Pure: the state follows from the observed stamps. Not here: snapshots kept by the rule (`retention`).

use jiff::Timestamp;
use larder_format::ledger::WallStamp;
use std::fmt;

/// A step of the clock beyond this, against the time switched on, is a jump: no time server corrects so much.
pub const JUMP_S: i64 = 24 * 3600;

/// After a jump the clock must have been in sync for so long, switched on, before any letting go.
pub const IN_SYNC_S: u64 = 24 * 3600;

/// Limit of time switched off allowed for in one go; a longer time is a jump.
const ALLOWANCE_S_MAX: i64 = JUMP_S;

/// A moment as the appliance has lived it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TrustedTime {
    /// The clock's reading.
    pub stamp: WallStamp,
    /// Seconds that the appliance had lived for certain.
    pub lived_s: u64,
}

impl TrustedTime {
    /// Seconds from this moment to `now`: the lesser of wall time and lived time. Below zero when the clock went
    /// back.
    pub fn age_s(&self, now: &Self) -> i64 {
        let wall = now.stamp.time_ms.saturating_sub(self.stamp.time_ms).div_euclid(1000);
        let lived = i64::try_from(now.lived_s.saturating_sub(self.lived_s)).unwrap_or(i64::MAX);
        wall.min(lived)
    }

    /// Whether the appliance has lived through so many seconds since, by any clock. Once true, the answer stays true.
    pub(crate) fn is_past(&self, seconds: i64, now: &Self) -> bool {
        now.lived_s.saturating_sub(self.lived_s) >= seconds.unsigned_abs()
    }
}

/// What makes less waits so long, and is shown meanwhile: a shorter promise, the end of a hold, a source's retirement.
pub const SHORTEN_DELAY_S: i64 = 72 * 3600;

/// Why letting go is not allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Because {
    /// The clock is not known to be right.
    NotInSync,
    /// The clock is behind the newest entry of the ledger.
    Behind,
    /// The clock jumped, or was never in sync before, and has not been in sync for a day since.
    NotInSyncForADay {
        /// Seconds, switched on, that are still to go.
        left_s: u64,
    },
}

/// Whether the clock allows letting go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockVerdict {
    /// Letting go is allowed.
    MayLetGo,
    /// Letting go is not allowed.
    Locked {
        /// Why.
        because: Because,
        /// The clock's reading at the start of the lock.
        since: WallStamp,
    },
}

impl fmt::Display for ClockVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Locked { because, since } = self else { return f.write_str("the clock can be relied on") };
        match because {
            Because::NotInSync => f.write_str("the clock is not known to be right")?,
            Because::Behind => f.write_str("the clock is behind the newest backup")?,
            Because::NotInSyncForADay { left_s } => {
                let hours = left_s.div_ceil(3600);
                let more = if hours == 1 { "1 more hour".to_owned() } else { format!("{hours} more hours") };
                write!(f, "the clock jumped or is new and has to be in sync for {more}")?;
            }
        }
        match Timestamp::from_millisecond(since.time_ms) {
            Ok(since) => write!(f, " (since {})", since.strftime("%Y-%m-%d %H:%M UTC")),
            Err(_) => Ok(()),
        }
    }
}

/// The sum of the observed stamps, in their order: first the ledger's stamps, then later clock readings.
#[derive(Debug, Clone, Copy, Default)]
pub struct Lifetime {
    lived_s: u64,
    powered_on_s: u64,
    newest: Option<WallStamp>,
    in_sync: Option<WallStamp>,
    /// Seconds in sync since the last jump, switched on.
    in_sync_s: u64,
    /// Running time in sync, not yet used up by time switched off.
    allowance_s: i64,
    /// How far the clock has gone ahead of the running time, jumps apart, and the furthest ever: a clock that swings
    /// to and fro must not make time out of the swings.
    ahead_s: i64,
    ahead_max_s: i64,
    out_of_sync_since: Option<WallStamp>,
    jumped: Option<WallStamp>,
}

impl Lifetime {
    /// Takes in one more stamp; returns the stamp's moment.
    pub fn observe(&mut self, stamp: WallStamp) -> TrustedTime {
        let on_s = stamp.powered_on_s.saturating_sub(self.powered_on_s);
        self.powered_on_s = self.powered_on_s.max(stamp.powered_on_s);
        self.lived_s = self.lived_s.saturating_add(on_s);
        if stamp.trusted {
            self.out_of_sync_since = None;
            self.observe_in_sync(stamp);
        } else {
            self.out_of_sync_since.get_or_insert(stamp);
        }
        self.newest = Some(stamp);
        TrustedTime { stamp, lived_s: self.lived_s }
    }

    fn observe_in_sync(&mut self, stamp: WallStamp) {
        let Some(last) = self.in_sync.replace(stamp) else {
            self.jumped = Some(stamp);
            return;
        };
        let on_s = stamp.powered_on_s.saturating_sub(last.powered_on_s);
        let on = i64::try_from(on_s).unwrap_or(i64::MAX);
        let wall = stamp.time_ms.saturating_sub(last.time_ms).div_euclid(1000);
        let ahead = wall.saturating_sub(on);
        if ahead.saturating_abs() > JUMP_S {
            self.in_sync_s = 0;
            self.jumped = Some(stamp);
            return;
        }
        // A stretch with an out-of-sync moment inside proves nothing: time switched off before the moment would be held
        // against the time after.
        if self.newest != Some(last) {
            return;
        }
        self.in_sync_s = self.in_sync_s.saturating_add(on_s);
        self.allowance_s = self.allowance_s.saturating_add(on).min(ALLOWANCE_S_MAX);
        self.ahead_s = self.ahead_s.saturating_add(ahead);
        let off = self.ahead_s.saturating_sub(self.ahead_max_s).max(0);
        self.ahead_max_s = self.ahead_max_s.max(self.ahead_s);
        let allowed = off.min(self.allowance_s);
        self.allowance_s -= allowed;
        self.lived_s = self.lived_s.saturating_add(allowed.unsigned_abs());
    }

    /// Takes in the word of a person at the box that the clock is right at this moment.
    pub fn confirm(&mut self, stamp: WallStamp) -> TrustedTime {
        let mark = self.observe(stamp);
        (self.in_sync, self.in_sync_s, self.out_of_sync_since) = (Some(stamp), IN_SYNC_S, None);
        mark
    }

    /// The moment of `stamp`, without taking the stamp in.
    pub fn at(&self, stamp: WallStamp) -> TrustedTime {
        let mut later = *self;
        later.observe(stamp)
    }

    /// Whether letting go is allowed at `now`; `newest` is the stamp of the newest ledger entry.
    pub fn verdict(&self, now: WallStamp, newest: Option<WallStamp>) -> ClockVerdict {
        let mut at = *self;
        at.observe(now);
        let locked =
            |because, since: Option<WallStamp>| ClockVerdict::Locked { because, since: since.unwrap_or(now) };
        if !now.trusted {
            return locked(Because::NotInSync, at.out_of_sync_since);
        }
        if newest.is_some_and(|newest| now.time_ms < newest.time_ms) {
            return locked(Because::Behind, None);
        }
        if at.in_sync_s < IN_SYNC_S {
            return locked(Because::NotInSyncForADay { left_s: IN_SYNC_S - at.in_sync_s }, at.jumped);
        }
        ClockVerdict::MayLetGo
    }
}

#[cfg(test)]
mod tests;
