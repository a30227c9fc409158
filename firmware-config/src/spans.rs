//! Spans of time in the owner's words: `30 days`, `1 year`, `for ever`.
//!
//! A month counts 31 days and a year 366: a promise to keep is measured by the longest meaning of its words, so the
//! promise never falls short.

use std::fmt;
use std::time::Duration;

/// A count of calendar units, stored and shown as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Span {
    count: u32,
    unit: Unit,
}

/// Unit of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unit {
    /// 60 seconds.
    Minute,
    /// 60 minutes.
    Hour,
    /// 24 hours.
    Day,
    /// 7 days.
    Week,
    /// 31 days.
    Month,
    /// 366 days.
    Year,
}

impl Unit {
    const ALL: [Unit; 6] = [Unit::Minute, Unit::Hour, Unit::Day, Unit::Week, Unit::Month, Unit::Year];

    fn word(self) -> &'static str {
        match self {
            Unit::Minute => "minute",
            Unit::Hour => "hour",
            Unit::Day => "day",
            Unit::Week => "week",
            Unit::Month => "month",
            Unit::Year => "year",
        }
    }

    fn seconds(self) -> u64 {
        match self {
            Unit::Minute => 60,
            Unit::Hour => 3_600,
            Unit::Day => 86_400,
            Unit::Week => 7 * 86_400,
            Unit::Month => 31 * 86_400,
            Unit::Year => 366 * 86_400,
        }
    }

    /// The unit meant by `word`, however shortened. `m` stays unknown: minute or month?
    fn meant_by(word: &str) -> Option<Unit> {
        let word = word.to_lowercase();
        let short = [
            ("min", 0),
            ("mins", 0),
            ("h", 1),
            ("hr", 1),
            ("hrs", 1),
            ("d", 2),
            ("w", 3),
            ("mo", 4),
            ("y", 5),
        ];
        let long = |unit: &Unit| word == unit.word() || word.strip_suffix('s') == Some(unit.word());
        let by_short =
            || short.iter().find(|(short, _)| *short == word).and_then(|(_, unit)| Unit::ALL.get(*unit));
        Unit::ALL.iter().find(|unit| long(unit)).or_else(by_short).copied()
    }
}

impl Span {
    /// `count` of `unit`.
    pub const fn new(count: u32, unit: Unit) -> Span {
        Span { count, unit }
    }

    /// Length, at the longest reading of the words.
    pub fn duration(self) -> Duration {
        Duration::from_secs(u64::from(self.count) * self.unit.seconds())
    }

    /// Reads `30 days`. The error is a suggested correction, as far as can be guessed.
    pub(crate) fn parse(text: &str) -> Result<Span, Option<String>> {
        let text = text.trim();
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (count, word) = (text[..digits].parse::<u32>(), text[digits..].trim());
        let (Ok(count), Some(unit)) = (count, Unit::meant_by(word)) else {
            return Err(text[..digits]
                .parse::<u32>()
                .ok()
                .filter(|_| word.is_empty())
                .map(|n| format!("\"{n} days\"")));
        };
        let span = Span { count, unit };
        if span.to_string() == text || (count == 1 && text == format!("1 {}s", unit.word())) {
            return Ok(span);
        }
        Err(Some(format!("\"{span}\"")))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.count, self.unit.word(), if self.count == 1 { "" } else { "s" })
    }
}

/// How long to keep a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Keep {
    /// At least this long.
    For(Span),
    /// Nothing goes, even when the disk is full.
    ForEver,
}

impl Keep {
    /// Length; none means for ever.
    pub fn duration(self) -> Option<Duration> {
        match self {
            Keep::For(span) => Some(span.duration()),
            Keep::ForEver => None,
        }
    }

    /// Whether this span ends before `other`.
    pub(crate) fn is_shorter_than(self, other: Keep) -> bool {
        self.duration().unwrap_or(Duration::MAX) < other.duration().unwrap_or(Duration::MAX)
    }

    pub(crate) fn parse(text: &str) -> Result<Keep, Option<String>> {
        match text.trim().to_lowercase().as_str() {
            "for ever" => Ok(Keep::ForEver),
            "forever" | "ever" | "always" | "infinite" | "unlimited" => Err(Some("\"for ever\"".to_owned())),
            _ => Span::parse(text).map(Keep::For),
        }
    }
}

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Keep::For(span) => span.fmt(f),
            Keep::ForEver => f.write_str("for ever"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_shown_as_it_was_written() {
        for text in ["1 minute", "12 hours", "1 day", "30 days", "2 weeks", "6 months", "1 year"] {
            assert_eq!(Span::parse(text).map(|span| span.to_string()), Ok(text.to_owned()));
        }
        assert_eq!(Keep::parse("for ever"), Ok(Keep::ForEver));
        assert_eq!(Keep::parse("1 year"), Ok(Keep::For(Span::new(1, Unit::Year))));
    }

    #[test]
    fn a_promise_is_measured_by_the_longest_reading() {
        assert_eq!(Span::new(1, Unit::Month).duration(), Span::new(31, Unit::Day).duration());
        assert_eq!(Span::new(1, Unit::Year).duration(), Span::new(366, Unit::Day).duration());
    }

    #[test]
    fn what_was_meant_is_offered() {
        let offered = [
            ("30d", "30 days"),
            ("30", "30 days"),
            ("1y", "1 year"),
            ("12h", "12 hours"),
            ("2 DAYS", "2 days"),
        ];
        for (text, instead) in offered {
            assert_eq!(Span::parse(text), Err(Some(format!("\"{instead}\""))), "{text}");
        }
        for text in ["", "days", "5m", "-3 days", "1.5 days", "99999999999 days", "3 fortnights", "ü"] {
            assert_eq!(Span::parse(text), Err(None), "{text}");
        }
        assert_eq!(Keep::parse("forever"), Err(Some("\"for ever\"".to_owned())));
    }
}
