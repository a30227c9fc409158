//! How fast a disk is read back: slow enough to go unnoticed, fast enough that every byte is read within 30 days, and
//! within 72 hours after a first damaged file.
//!
//! A round takes 20 days at most and the next round begins a week after its end, so no byte waits longer than 28
//! days; the rest is for days with the box busy or off. Not here: reading (`larder_store`), giving way to pushes
//! (`jobs::scrub`).

use larder_format::ledger::WallStamp;
use larder_store::ScrubView;
use std::time::Duration;

const DAY_S: u64 = 86_400;
/// A round should be over by then.
const ROUND_S: u64 = 20 * DAY_S;
/// The end of a round after damage: a day before the promised 72 hours.
const HURRIED_ROUND_S: u64 = 2 * DAY_S;
/// From the end of one round to the start of the next.
const PAUSE_S: u64 = 7 * DAY_S;
/// The first round of a disk begins so long after the disk was first seen: neither the start nor the first backup are
/// slower.
pub(crate) const FIRST_AFTER: Duration = Duration::from_secs(10 * 60);
/// A small vault is read in a day or two, not in 20: an early result is worth the light work.
const REST_MAX: Duration = Duration::from_secs(10 * 60);
/// Read in one go: as large as a pack, since a pack is read whole.
pub(crate) const STEP_BYTES: u64 = 64 * 1024 * 1024;
/// The longest time between two ends of rounds: the 30 days, and five for a box that was off.
pub(crate) const LATE_AFTER_S: u64 = 35 * DAY_S;

/// The next reading of one disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pace {
    /// Bytes to read now; none while nothing is due.
    pub(crate) bytes: u64,
    /// When to look again.
    pub(crate) rest: Duration,
}

/// Seconds from one moment to a later moment: by the clock where right both times, and at least the time switched on.
pub(crate) fn elapsed_s(from: &WallStamp, to: &WallStamp) -> u64 {
    let powered_on = to.powered_on_s.saturating_sub(from.powered_on_s);
    let by_clock = u64::try_from(to.time_ms.saturating_sub(from.time_ms) / 1000).unwrap_or(0);
    if from.trusted && to.trusted { powered_on.max(by_clock) } else { powered_on }
}

/// Bytes to read from a disk now, and the rest after them.
pub(crate) fn pace(disk: &ScrubView, now: &WallStamp) -> Pace {
    let at_once = Pace { bytes: STEP_BYTES, rest: Duration::ZERO };
    if !disk.is_readable {
        return Pace { bytes: 0, rest: REST_MAX };
    }
    let Some(started) = &disk.round.started else {
        let pause = match &disk.last {
            _ if disk.is_alarmed => return at_once,
            // A new disk, or a disk never read.
            None => return at_once,
            Some((ended, _)) => PAUSE_S.saturating_sub(elapsed_s(ended, now)),
        };
        let bytes = if pause == 0 { STEP_BYTES } else { 0 };
        return Pace { bytes, rest: Duration::from_secs(pause).min(REST_MAX) };
    };
    if disk.is_alarmed {
        return at_once;
    }
    let wanted_s = if disk.round.is_hurried { HURRIED_ROUND_S } else { ROUND_S };
    let left_s = wanted_s.saturating_sub(elapsed_s(started, now));
    let left_bytes = disk.round.total.saturating_sub(disk.round.bytes).max(STEP_BYTES);
    // 2^31 disks of 2^63 bytes are far away.
    let rest_ms = u128::from(left_s) * 1000 * u128::from(STEP_BYTES) / u128::from(left_bytes);
    let rest = Duration::from_millis(u64::try_from(rest_ms).unwrap_or(u64::MAX)).min(REST_MAX);
    Pace { bytes: STEP_BYTES, rest }
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_format::care::Round;
    use larder_format::ledger::Scrubbed;

    const TIB: u64 = 1 << 40;

    fn at(seconds: u64) -> WallStamp {
        WallStamp { time_ms: i64::try_from(seconds * 1000).unwrap(), trusted: true, powered_on_s: seconds }
    }

    fn disk(round: Round) -> ScrubView {
        ScrubView {
            disk: "d".to_owned(),
            path: "/disk".to_owned(),
            is_readable: true,
            is_alarmed: false,
            suspected: 0,
            round,
            last: None,
        }
    }

    fn round(total: u64, is_hurried: bool) -> Round {
        let mut round = Round::default();
        (round.started, round.total, round.is_hurried) = (Some(at(0)), total, is_hurried);
        round
    }

    /// Lives through a round; returns its seconds.
    fn live(total: u64, is_hurried: bool, step_s: u64) -> u64 {
        let mut view = disk(round(total, is_hurried));
        let mut now = 0;
        while view.round.bytes < total {
            let pace = pace(&view, &at(now));
            view.round.bytes += pace.bytes;
            now += step_s + pace.rest.as_secs();
        }
        now
    }

    #[test]
    fn every_size_is_read_in_time() {
        for total in [0, 1 << 30, TIB / 4, TIB, 8 * TIB] {
            assert!(live(total, false, 1) <= 21 * DAY_S, "{total}");
            assert!(live(total, true, 1) <= 72 * 3600, "{total} in a hurry");
        }
        // A small vault is done sooner, and a disk too slow for the plan is read without rest.
        assert!(live(8 << 30, false, 1) < 2 * DAY_S);
        assert!(live(8 * TIB, true, 3) <= 131_072 * 4);
    }

    #[test]
    fn a_round_begins_a_week_after_the_last_one_ended() {
        let mut view = disk(Round::default());
        assert_eq!(pace(&view, &at(0)).bytes, STEP_BYTES, "never read");
        let found = Scrubbed { disk: [0; 16], bytes: 1, damaged: 0, repaired: 0, lost: 0 };
        view.last = Some((at(0), found));
        assert_eq!(pace(&view, &at(DAY_S)), Pace { bytes: 0, rest: REST_MAX });
        assert_eq!(pace(&view, &at(PAUSE_S)).bytes, STEP_BYTES);
        view.is_alarmed = true;
        assert_eq!(pace(&view, &at(DAY_S)), Pace { bytes: STEP_BYTES, rest: Duration::ZERO });
        view.is_readable = false;
        assert_eq!(pace(&view, &at(DAY_S)).bytes, 0);
    }

    #[test]
    fn a_wrong_clock_neither_stops_nor_hurries_it() {
        let mut view = disk(round(TIB, false));
        let calm = pace(&view, &at(10)).rest;
        view.round.started = Some(WallStamp { trusted: false, ..at(0) });
        let jumped = WallStamp { time_ms: i64::MAX / 2, trusted: false, powered_on_s: 10 };
        assert_eq!(pace(&view, &jumped).rest, calm);
        view.round.started = Some(at(1_000_000));
        assert!(pace(&view, &at(10)).rest <= REST_MAX);
    }
}
