//! How fast the disks fill, and the days until the fullest of them is full.
//!
//! One sample of the stored bytes a day, remembered over restarts. The first backup of a computer fills in one day what
//! nothing fills again, and so does a film: without a week of samples, or with that day counted, the lamp would ask for a
//! larger disk on the second day of almost every box. Not here: how much is too little (`conditions`).

use crate::report::StoredSample;
use jiff::Timestamp;

const DAY_S: i64 = 86_400;
/// A week holds each habit of a home once.
const DAYS_MIN: i64 = 7;
/// Samples of the last 30 days.
const SAMPLES_MAX: usize = 31;

/// Samples of the stored bytes, the oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Growth(Vec<StoredSample>);

impl Growth {
    pub(super) fn of(samples: Vec<StoredSample>) -> Self {
        Self(samples)
    }

    pub(super) fn samples(&self) -> &[StoredSample] {
        &self.0
    }

    /// Takes a sample, unless one was taken within the last day.
    pub(super) fn sample(&mut self, at: Timestamp, bytes: u64) {
        // After a clock that was ahead no further sample would come for years.
        self.0.retain(|sample| sample.at <= at);
        if self.0.last().is_none_or(|last| days(last.at, at) >= 1) {
            self.0.push(StoredSample { at, bytes });
        }
        let too_many = self.0.len().saturating_sub(SAMPLES_MAX);
        drop(self.0.drain(..too_many));
    }

    /// Days until so much room is gone, less the room let go of; unknown in the first week, and where nothing grows.
    pub(super) fn days_left(&self, now: StoredSample, room: u64) -> Option<u64> {
        let first = self.0.first()?;
        let seen = days(first.at, now.at);
        if seen < DAYS_MIN {
            return None;
        }
        let later = self.0.iter().skip(1).chain([&now]);
        let steps = self.0.iter().zip(later).map(|(before, after)| after.bytes.saturating_sub(before.bytes));
        let most = steps.max().unwrap_or(0);
        let grown = now.bytes.saturating_sub(first.bytes).saturating_sub(most);
        // Bytes in so many days, and not bytes a day, which would be none where a little grows.
        let room_days = u128::from(room).checked_mul(u128::try_from(seen - 1).ok()?)?;
        u64::try_from(room_days.checked_div(u128::from(grown))?).ok()
    }
}

fn days(from: Timestamp, to: Timestamp) -> i64 {
    (to.as_second() - from.as_second()) / DAY_S
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(day: i64, bytes: u64) -> StoredSample {
        StoredSample { at: Timestamp::from_second(1_790_000_000 + day * DAY_S).unwrap(), bytes }
    }

    /// Lives through the days with a look each hour; returns the days left at the end.
    fn check(bytes_of_days: &[u64], room: u64) -> Option<u64> {
        let mut growth = Growth::default();
        let mut left = None;
        for (day, bytes) in (0..).zip(bytes_of_days) {
            for hour in 0..24 {
                let now = at(day, *bytes).at + jiff::SignedDuration::from_hours(hour);
                growth.sample(now, *bytes);
                left = growth.days_left(StoredSample { at: now, bytes: *bytes }, room);
            }
        }
        assert!(growth.samples().len() <= SAMPLES_MAX);
        left
    }

    #[test]
    fn what_grows_each_day_is_seen_after_a_week() {
        let steady: Vec<u64> = (0..40).map(|day| day * 10).collect();
        assert_eq!(check(&steady[..7], 100), None, "six days");
        assert_eq!(check(&steady[..8], 100), Some(10));
        assert_eq!(check(&steady, 100), Some(10));
    }

    #[test]
    fn the_first_backup_of_a_computer_is_no_rate() {
        let first: Vec<u64> = (0..12).map(|day| if day == 0 { 0 } else { 300_000 + day }).collect();
        assert_eq!(check(&first[..4], 700_000), None);
        let left = check(&first, 700_000);
        assert!(left.is_some_and(|left| left > 100_000), "{left:?}");
    }

    #[test]
    fn where_nothing_grows_nothing_is_foretold() {
        assert_eq!(check(&[5; 30], 100), None);
        assert_eq!(
            check(&(0..30).map(|day| 1000 - day).collect::<Vec<_>>(), 100),
            None,
            "room was let go of"
        );
        assert_eq!(check(&[u64::MAX; 9], u64::MAX), None);
    }

    #[test]
    fn a_clock_that_was_ahead_ends_no_sampling() {
        let mut growth = Growth::of(vec![at(0, 1), at(30_000, 1)]);
        (1..9).for_each(|day| growth.sample(at(day, 1).at, u64::try_from(day).unwrap() * 10));
        assert_eq!(growth.samples().len(), 9);
        assert_eq!(growth.samples()[8], at(8, 80));
    }
}
