//! How fast bytes move, and how long it will still take.
//!
//! The rate is that of the last seconds: an average since the start would still count the minutes in which nothing
//! was new. Nothing is said of the time left before there is something to go by; "0 s left" at the start would be the
//! first lie. Not here: the bar (`progress`).

use std::{collections::VecDeque, time::Duration};

/// The time over which the rate is taken.
const OVER: Duration = Duration::from_secs(10);
/// A rate of less time says nothing about the next minutes.
const OVER_MIN: Duration = Duration::from_secs(2);
/// Samples closer together than this are not kept.
const SAMPLE_EVERY: Duration = Duration::from_millis(250);

/// The last seconds of a transfer.
#[derive(Debug, Default)]
pub(super) struct TransferPace(VecDeque<PaceSample>);

#[derive(Debug, Clone, Copy)]
struct PaceSample {
    at: Duration,
    bytes: u64,
}

impl TransferPace {
    /// Notes that `bytes` had passed at the time `at` since the start.
    pub(super) fn note(&mut self, at: Duration, bytes: u64) {
        let is_due = |last: &PaceSample| at >= last.at + SAMPLE_EVERY;
        if !self.0.back().is_none_or(is_due) {
            return;
        }
        // A push that begins anew begins to count anew.
        if self.0.back().is_some_and(|last| bytes < last.bytes) {
            self.0.clear();
        }
        self.0.push_back(PaceSample { at, bytes });
        while self.0.len() > 2 && self.0[1].at + OVER <= at {
            self.0.pop_front();
        }
    }

    /// Bytes in a second; nothing where it is too early to tell.
    pub(super) fn rate(&self) -> Option<u64> {
        let (first, last) = (self.0.front()?, self.0.back()?);
        let over = last.at - first.at;
        let milliseconds = u64::try_from(over.as_millis()).ok()?;
        (over >= OVER_MIN).then(|| (last.bytes - first.bytes).saturating_mul(1000) / milliseconds)
    }

    /// The time until `expected` bytes have passed; nothing where nobody can tell.
    pub(super) fn left(&self, expected: u64) -> Option<Duration> {
        let rate = self.rate().filter(|rate| *rate > 0)?;
        let bytes = expected.saturating_sub(self.0.back()?.bytes);
        Some(Duration::from_secs(bytes.div_ceil(rate)))
    }
}

/// `about 40 s`, `about 12 min`, `about 3 h`.
pub(super) fn about(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..60 => format!("about {seconds} s"),
        seconds @ 60..5400 => format!("about {} min", (seconds + 30) / 60),
        seconds => format!("about {} h", (seconds + 1800) / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(samples: &[(u64, u64)]) -> TransferPace {
        let mut pace = TransferPace::default();
        samples.iter().for_each(|(at, bytes)| pace.note(Duration::from_millis(*at), *bytes));
        pace
    }

    #[test]
    fn nothing_is_said_before_there_is_something_to_go_by() {
        let early = pace(&[(0, 0), (500, 4_000_000), (1900, 9_000_000)]);
        assert_eq!((early.rate(), early.left(10_000_000)), (None, None));
        let stuck = pace(&[(0, 5), (3000, 5)]);
        assert_eq!((stuck.rate(), stuck.left(100)), (Some(0), None), "no end in sight, not 0 s");
    }

    #[test]
    fn the_last_seconds_count() {
        // A minute of known files at a gigabyte a second, then new bytes at a megabyte a second.
        let mut samples: Vec<(u64, u64)> = (0..60).map(|s| (s * 1000, s * 1_000_000_000)).collect();
        samples.extend((60..80).map(|s| (s * 1000, 59_000_000_000 + (s - 59) * 1_000_000)));
        let pace = pace(&samples);
        assert_eq!(pace.rate(), Some(1_000_000));
        assert_eq!(pace.left(59_000_000_000 + 50_000_000), Some(Duration::from_secs(30)));
        assert!(pace.0.len() < 50);
    }

    #[test]
    fn a_push_that_begins_anew_is_no_negative_rate() {
        let pace = pace(&[(0, 0), (3000, 900), (4000, 10), (7000, 40)]);
        assert_eq!(pace.rate(), Some(10));
    }

    #[test]
    fn times_are_written_for_people() {
        for (seconds, text) in
            [(0, "about 0 s"), (59, "about 59 s"), (90, "about 2 min"), (7200, "about 2 h")]
        {
            assert_eq!(about(Duration::from_secs(seconds)), text);
        }
    }
}
