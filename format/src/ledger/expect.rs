//! What the owner expects of a source: how long it may be silent before somebody has to look.
//!
//! Not here: learning a rhythm from pushes, and whether a source is overdue (`agent::decide`), who may say so (`store`).

use serde::{Deserialize, Serialize};

/// No source is overdue sooner: a backup may well take an hour.
pub const EXPECT_SECONDS_MIN: u64 = 3600;
/// No longer silence can be expected; beyond this, `never` is the honest word.
pub const EXPECT_SECONDS_MAX: u64 = 3660 * DAY_S;

const DAY_S: u64 = 86_400;
/// Units as a person writes each, with the seconds of one.
const UNITS: [(&[&str], u64); 5] = [
    (&["hour", "hours", "h"], 3600),
    (&["day", "days", "d"], DAY_S),
    (&["week", "weeks", "w"], 7 * DAY_S),
    (&["month", "months"], 31 * DAY_S),
    (&["year", "years", "y"], 366 * DAY_S),
];

/// How long a source may be silent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Expect {
    /// As its pushes show, at most twice as long as the settings say.
    #[default]
    Learn,
    /// Overdue after so many seconds.
    Within(u64),
    /// For ever.
    Never,
}

impl Expect {
    /// Reads `daily`, `weekly`, `monthly`, `never`, `learn` or a span such as `10 days`; none for anything else. A word
    /// leaves room for a day that went wrong; a span is meant as it is written.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_lowercase();
        Some(match text.as_str() {
            "learn" => Self::Learn,
            "never" => Self::Never,
            "daily" => Self::Within(2 * DAY_S),
            "weekly" => Self::Within(9 * DAY_S),
            "monthly" => Self::Within(35 * DAY_S),
            span => {
                let digits = span.find(|c: char| !c.is_ascii_digit())?;
                let (number, unit) = (span[..digits].parse::<u64>().ok()?, span[digits..].trim());
                let (_, seconds) = UNITS.iter().find(|(words, _)| words.contains(&unit))?;
                Self::Within(number.checked_mul(*seconds)?)
            }
        })
        .filter(|expect| expect.is_sound())
    }

    /// The word that `parse` reads as this, if there is one.
    pub fn word(self) -> Option<&'static str> {
        ["learn", "never", "daily", "weekly", "monthly"]
            .into_iter()
            .find(|word| Self::parse(word) == Some(self))
    }

    /// Whether a span lies within the bounds of both limits.
    pub fn is_sound(self) -> bool {
        match self {
            Self::Within(seconds) => (EXPECT_SECONDS_MIN..=EXPECT_SECONDS_MAX).contains(&seconds),
            Self::Learn | Self::Never => true,
        }
    }

    /// Whether a source under `self` is told as overdue no later than under `now`, whatever its pushes have taught;
    /// `default_s` is the limit of the settings, in seconds.
    pub fn is_no_looser_than(self, now: Self, default_s: u64) -> bool {
        let longest = match self {
            Self::Learn => default_s.saturating_mul(LEARNT_TIMES_MAX),
            Self::Within(seconds) => seconds,
            Self::Never => return now == Self::Never,
        };
        match now {
            Self::Learn => self == Self::Learn || longest <= default_s,
            Self::Within(seconds) => longest <= seconds,
            Self::Never => true,
        }
    }
}

/// A learnt limit is at most so many times the limit of the settings. Without an end a rhythm would stretch until nothing
/// is ever overdue, and a thief's silence would teach the box to be silent.
pub const LEARNT_TIMES_MAX: u64 = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_a_person_writes_is_understood() {
        let check = |text: &str, expect: Option<Expect>| assert_eq!(Expect::parse(text), expect, "{text}");
        let days = |days: u64| Some(Expect::Within(days * 86_400));
        check("daily", days(2));
        check("Weekly", days(9));
        check("monthly", days(35));
        check(" never ", Some(Expect::Never));
        check("learn", Some(Expect::Learn));
        check("10 days", days(10));
        check("1 day", days(1));
        check("2w", days(14));
        check("36 hours", Some(Expect::Within(36 * 3600)));
        check("2 months", days(62));
        for nonsense in
            ["", "often", "0 days", "5 minutes", "-1 days", "3", "99999999999999999999 days", "20 years"]
        {
            check(nonsense, None);
        }
    }

    #[test]
    fn what_a_device_may_say_of_itself_is_never_looser() {
        let day = |days: u64| Expect::Within(days * 86_400);
        let check = |wished: Expect, now: Expect, expect: bool| {
            assert_eq!(wished.is_no_looser_than(now, 2 * 86_400), expect, "{wished:?} after {now:?}");
        };
        check(day(1), Expect::Learn, true);
        check(day(2), Expect::Learn, true);
        check(day(3), Expect::Learn, false);
        check(Expect::Learn, day(4), true);
        check(Expect::Learn, day(3), false);
        check(day(3), day(4), true);
        check(day(5), day(4), false);
        check(Expect::Never, day(400), false);
        check(day(400), Expect::Never, true);
        check(Expect::Never, Expect::Never, true);
        check(Expect::Learn, Expect::Learn, true);
    }

    #[test]
    fn a_rhythm_with_a_word_is_called_by_it() {
        let word = |text: &str| Expect::parse(text).expect("a rhythm").word();
        for text in ["daily", "weekly", "monthly", "never", "learn"] {
            assert_eq!(word(text), Some(text));
        }
        assert_eq!((word("2 days"), word("10 days")), (Some("daily"), None));
    }

    proptest! {
        /// Step by step a device comes no further than in one step.
        #[test]
        fn no_chain_of_steps_loosens(steps in prop::collection::vec(0u64..40, 1..12), first in 0u64..40) {
            let expect = |n: u64| match n { 0 => Expect::Learn, 39 => Expect::Never, days => Expect::Within(days * 86_400) };
            let (default_s, first) = (2 * 86_400, expect(first));
            // The longest silence that each may come to mean.
            let longest = |it: Expect| match it {
                Expect::Learn => 2 * default_s,
                Expect::Within(seconds) => seconds,
                Expect::Never => u64::MAX,
            };
            let mut now = first;
            for step in steps.into_iter().map(expect) {
                if step.is_no_looser_than(now, default_s) {
                    now = step;
                }
            }
            prop_assert!(longest(now) <= longest(first));
        }

        #[test]
        fn any_text_is_read_without_panic(text: String) {
            prop_assert!(Expect::parse(&text).is_none_or(Expect::is_sound));
        }
    }
}
