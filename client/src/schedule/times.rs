//! The times of a scheduled push: every so often, or once a day or week.
//!
//! A push once a day is tried every hour until it succeeds: a laptop may be asleep, away from home or on its battery
//! at the one right moment.

use crate::watch::SNAPSHOT_EVERY;
use jiff::{SignedDuration, Timestamp, Zoned, civil::Time, civil::Weekday};
use std::{fmt, str::FromStr};

/// How often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Every {
    /// A part of an hour.
    Minutes(u8),
    /// A part of a day.
    Hours(u8),
    Day,
    /// From Monday on.
    Week,
}

/// A time of day, hours and minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimeOfDay(Time);

/// The times of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PushTimes {
    pub(crate) every: Every,
    /// For once a day or week.
    pub(crate) at: Option<TimeOfDay>,
}

const CHOICES: &str = "15m, 20m, 30m, 1h, 2h, 3h, 4h, 6h, 8h, 12h, daily or weekly";

impl FromStr for Every {
    type Err = String;

    fn from_str(typed: &str) -> Result<Self, String> {
        let text = typed.trim().to_ascii_lowercase();
        let number = |unit: &str| text.strip_suffix(unit).and_then(|number| number.trim().parse::<u8>().ok());
        match text.as_str() {
            "hourly" => return Ok(Self::Hours(1)),
            "daily" | "day" | "1d" | "24h" => return Ok(Self::Day),
            "weekly" | "week" | "1w" | "7d" => return Ok(Self::Week),
            _ => {}
        }
        // Other spans do not come out even, so that times would shift from day to day.
        match (number("h"), number("min").or_else(|| number("m"))) {
            (Some(hours @ (1 | 2 | 3 | 4 | 6 | 8 | 12)), _) => Ok(Self::Hours(hours)),
            (_, Some(minutes @ (15 | 20 | 30))) => Ok(Self::Minutes(minutes)),
            (_, Some(60)) => Ok(Self::Hours(1)),
            (_, Some(0..15)) => Err(format!(
                "{typed} is too often: one snapshot in {} minutes at most. Choose {CHOICES}",
                SNAPSHOT_EVERY.as_secs() / 60
            )),
            _ => Err(format!("\"{typed}\" is none of {CHOICES}")),
        }
    }
}

impl fmt::Display for Every {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Minutes(minutes) => write!(f, "{minutes}m"),
            Self::Hours(hours) => write!(f, "{hours}h"),
            Self::Day => f.write_str("daily"),
            Self::Week => f.write_str("weekly"),
        }
    }
}

impl FromStr for TimeOfDay {
    type Err = String;

    fn from_str(typed: &str) -> Result<Self, String> {
        let wrong = || format!("\"{typed}\" is no time of day such as 12:30");
        let (hour, minute) = typed.trim().split_once(':').ok_or_else(wrong)?;
        let digits =
            |text: &str| (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(hour) || !digits(minute) {
            return Err(wrong());
        }
        let number = |text: &str| text.parse::<i8>().map_err(|_| wrong());
        Time::new(number(hour)?, number(minute)?, 0, 0).map(Self).map_err(|_| wrong())
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0.hour(), self.0.minute())
    }
}

impl PushTimes {
    /// The times in words: `every 2 hours`, `daily at 12:30`.
    pub(crate) fn in_words(self) -> String {
        let at = self.at.map_or_else(String::new, |at| format!(" at {at}"));
        match self.every {
            Every::Minutes(minutes) => format!("every {minutes} minutes"),
            Every::Hours(1) => "every hour".to_owned(),
            Every::Hours(hours) => format!("every {hours} hours"),
            Every::Day => format!("daily{at}"),
            Every::Week => format!("weekly, Mondays{at}"),
        }
    }

    /// The times at which the scheduler starts the program, in the words of systemd.time(7).
    pub(super) fn calendar(self) -> String {
        match self.every {
            Every::Minutes(minutes) => format!("*-*-* *:00/{minutes}:00"),
            Every::Hours(1) => "*-*-* *:00:00".to_owned(),
            Every::Hours(hours) => format!("*-*-* 00/{hours}:00:00"),
            // Every hour, until it has succeeded.
            Every::Day | Every::Week => {
                format!("*-*-* *:{:02}:00", self.at.map_or(0, |at| at.0.minute()))
            }
        }
    }

    /// Whether a push is due at `now`, when the last good push ended at `succeeded`.
    pub(crate) fn is_due(self, now: &Zoned, succeeded: Option<Timestamp>) -> bool {
        match (self.last_due(now), succeeded) {
            (Some(due), Some(succeeded)) => succeeded < due || succeeded > now.timestamp(),
            // More often than once a day, or never yet, each start of the program counts.
            _ => true,
        }
    }

    /// The next moment after which a push is due; nothing where each start of the program counts.
    pub(crate) fn next_due(self, now: &Zoned) -> Option<Timestamp> {
        let span = match self.every {
            Every::Minutes(_) | Every::Hours(_) => return None,
            Every::Day => SignedDuration::from_hours(24),
            Every::Week => SignedDuration::from_hours(7 * 24),
        };
        let later = now.checked_add(span).ok()?;
        self.last_due(&later)
    }

    fn last_due(self, now: &Zoned) -> Option<Timestamp> {
        let days_back = match self.every {
            Every::Minutes(_) | Every::Hours(_) => return None,
            Every::Day => 0,
            Every::Week => now.weekday().since(Weekday::Monday),
        };
        let midnight = self.at.map_or(Time::midnight(), |at| at.0);
        let day = now.date().checked_sub(jiff::Span::new().days(days_back)).ok()?;
        let due = day.to_datetime(midnight).to_zoned(now.time_zone().clone()).ok()?;
        let due = if due > *now {
            let before = if self.every == Every::Day { 1 } else { 7 };
            let day = day.checked_sub(jiff::Span::new().days(before)).ok()?;
            day.to_datetime(midnight).to_zoned(now.time_zone().clone()).ok()?
        } else {
            due
        };
        Some(due.timestamp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_times_are_read_as_people_write_them() {
        let every = |typed: &str| typed.parse::<Every>().map(|every| every.to_string());
        for (typed, expect) in [
            ("15m", "15m"),
            ("30min", "30m"),
            ("1h", "1h"),
            ("60m", "1h"),
            ("hourly", "1h"),
            ("12 h", "12h"),
            ("Daily", "daily"),
            ("7d", "weekly"),
        ] {
            assert_eq!(every(typed).as_deref(), Ok(expect), "{typed}");
        }
        for wrong in ["", "h", "5h", "24m", "-1h", "1.5h", "yearly", "999999999999h"] {
            assert!(every(wrong).is_err_and(|why| why.contains("12h, daily")), "{wrong}");
        }
        assert!(every("5m").is_err_and(|why| why.contains("one snapshot in 15 minutes")));
        let at = |typed: &str| typed.parse::<TimeOfDay>().map(|at| at.to_string());
        assert_eq!(at("7:05").as_deref(), Ok("07:05"));
        assert_eq!(at("23:59").as_deref(), Ok("23:59"));
        for wrong in ["", "12", "24:00", "12:60", "12:30:00", "-1:00", "+1:00", "noon"] {
            assert!(at(wrong).is_err_and(|why| why.contains("12:30")), "{wrong}");
        }
    }

    fn times(every: &str, at: Option<&str>) -> PushTimes {
        PushTimes { every: every.parse().expect("a span"), at: at.map(|at| at.parse().expect("a time")) }
    }

    #[test]
    fn a_daily_push_is_due_until_it_has_succeeded() {
        let check = |times: PushTimes, now: &str, succeeded: &str, expect: bool| {
            let zoned = |text: &str| format!("{text}[Europe/Berlin]").parse::<Zoned>().expect("a time");
            let due = times.is_due(&zoned(now), Some(zoned(succeeded).timestamp()));
            assert_eq!(due, expect, "{times:?} {now} {succeeded}");
        };
        let noon = times("daily", Some("12:30"));
        check(noon, "2026-06-10T12:30", "2026-06-10T11:30", true);
        check(noon, "2026-06-10T13:30", "2026-06-10T12:31", false);
        check(noon, "2026-06-11T11:30", "2026-06-10T12:31", false);
        check(noon, "2026-06-11T12:30", "2026-06-10T12:31", true);
        let any = times("daily", None);
        check(any, "2026-06-10T00:00", "2026-06-09T23:59", true);
        check(any, "2026-06-10T23:00", "2026-06-10T00:00", false);
        // The clocks change on 2026-03-29 at two.
        check(times("daily", Some("02:30")), "2026-03-29T04:00", "2026-03-28T02:31", true);
        let monday = times("weekly", Some("08:00"));
        check(monday, "2026-06-08T07:59", "2026-06-01T08:00", false);
        check(monday, "2026-06-08T08:00", "2026-06-01T08:00", true);
        check(monday, "2026-06-14T08:00", "2026-06-08T08:01", false);
        check(times("1h", None), "2026-06-10T12:00", "2026-06-10T11:59", true);
        // The clock was wrong at the last push.
        check(noon, "2026-06-10T13:30", "2030-01-01T00:00", true);
        assert!(noon.is_due(&Zoned::default(), None), "never yet");
    }

    #[test]
    fn the_next_time_is_told() {
        let next = |times: PushTimes, now: &str| {
            let now = format!("{now}[Europe/Berlin]").parse::<Zoned>().expect("a time");
            times.next_due(&now).map(|next| next.to_zoned(now.time_zone().clone()).datetime().to_string())
        };
        let check = |times, now, expect: &str| assert_eq!(next(times, now).as_deref(), Some(expect), "{now}");
        check(times("daily", Some("12:30")), "2026-06-10T12:29", "2026-06-10T12:30:00");
        check(times("daily", Some("12:30")), "2026-06-10T12:31", "2026-06-11T12:30:00");
        check(times("daily", None), "2026-03-28T15:00", "2026-03-29T00:00:00");
        check(times("weekly", Some("08:00")), "2026-06-10T12:00", "2026-06-15T08:00:00");
        assert_eq!(next(times("1h", None), "2026-06-10T12:29"), None);
    }
}
