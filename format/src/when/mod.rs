//! WHEN: the choice of a snapshot, in everyday words.
//!
//! Every door to the past uses this grammar: the agent for callers over the network, the client for typed places and
//! for reading a disk by itself. Moment and zone of the reader come in as an argument: a WHEN read in another zone gives
//! the files of another moment, without a word. Not here: calendar and clock of a text (`civil`), the list of snapshots.

mod civil;

use civil::CivilText;
use jiff::{Span, Timestamp, Zoned, civil::Time, tz::TimeZone};

/// A longer text is no WHEN.
pub const WHEN_BYTES_MAX: usize = 80;

/// The forms of WHEN, for messages: the rest of a sentence such as "write …".
pub const WHEN_FORMS: &str = "a snapshot number, `latest`, `-1` for the one before it, a date like 2026-03-31, a date and a time like \
     `2026-03-31 18:00`, `yesterday`, `last tuesday 14:00`, or `2 weeks ago`";

/// A parsed WHEN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// The newest snapshot.
    Newest,
    /// So many snapshots before the newest.
    Before(u64),
    /// The snapshot with this number.
    Number(u64),
    /// The newest snapshot by then.
    By(Timestamp),
}

/// A snapshot, as far as WHEN needs to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotMoment {
    /// Number in the ledger.
    pub number: u64,
    /// Arrival, in milliseconds since 1970.
    pub time_ms: i64,
}

impl When {
    /// Reads a WHEN typed at the moment and in the zone of `now`. `None` for any other text, and for a moment outside all
    /// time.
    ///
    /// What is typed means the whole of it, up to its end: a date the end of the day, a time without seconds the end of
    /// the minute. So a printed time typed again gives the snapshot printed beside it. A time that comes twice, when clocks
    /// are set back, means the second; a time that clocks are set forward over means the moment of setting.
    pub fn parse(text: &str, now: &Zoned) -> Option<Self> {
        match Form::read(&tidy(text)?)? {
            Form::Counted(when) => Some(when),
            Form::Now => Some(Self::By(now.timestamp())),
            Form::Civil(civil) => civil.moment(now).map(Self::By),
            Form::Ago(span) => now.checked_sub(span).ok().map(|moment| Self::By(moment.timestamp())),
        }
    }

    /// Whether `text` is written like a WHEN, whatever the moment: for finding the end of a WHEN in a longer text.
    pub fn is_form(text: &str) -> bool {
        tidy(text).is_some_and(|text| !text.is_empty() && Form::read(&text).is_some())
    }

    /// A date, with or without a time, written so that it means the same moment in every zone and on every day. `None`
    /// for anything else: what counts from now, or from the newest snapshot, is for whoever has the snapshots.
    pub fn fixed(text: &str, now: &Zoned) -> Option<String> {
        let civil = CivilText::read(&tidy(text)?).filter(CivilText::is_dated)?;
        let moment = civil.moment(now)?;
        let fixed = format!("{moment:.9}");
        // Years before 0 have another form.
        (Self::parse(&fixed, now) == Some(Self::By(moment))).then_some(fixed)
    }

    /// The snapshot meant, among `all`, the oldest first; `look` tells about each.
    pub fn choose<T>(self, all: &[T], look: impl Fn(&T) -> SnapshotMoment) -> Option<&T> {
        let before = |count: u64| {
            let count = usize::try_from(count).ok()?;
            all.get(all.len().checked_sub(1)?.checked_sub(count)?)
        };
        match self {
            Self::Newest => all.last(),
            Self::Before(count) => before(count),
            Self::Number(number) => all.iter().find(|one| look(one).number == number),
            Self::By(moment) => all.iter().rfind(|one| look(one).time_ms <= moment.as_millisecond()),
        }
    }

    /// Why `choose` found nothing, for a reader in `zone`: a sentence without its capital and its end.
    pub fn why_none(self, zone: &TimeZone) -> String {
        match self {
            Self::Newest => "there is no snapshot yet".to_owned(),
            Self::Before(count) => format!("there are not {count} snapshots before the newest"),
            Self::Number(number) => format!("there is no snapshot {number}"),
            Self::By(moment) => format!("nothing had been backed up by {}", in_words(moment, zone)),
        }
    }
}

/// A moment as a reader in `zone` sees it, with the name of the zone: `2026-03-31 18:00 (Europe/Berlin)`. Seconds are
/// left out at the beginning and at the end of a minute.
pub fn in_words(moment: Timestamp, zone: &TimeZone) -> String {
    let there = moment.to_zoned(zone.clone());
    let format = match (there.second(), there.subsec_nanosecond()) {
        (0, 0) | (59, 999_999_999) => "%Y-%m-%d %H:%M",
        _ => "%Y-%m-%d %H:%M:%S",
    };
    format!("{} ({})", there.strftime(format), zone_in_words(&there))
}

/// The end of a span as a reader in `zone` sees it: `the end of 2030-12-31 (Europe/Berlin)` for the midnight behind that day,
/// which a reader who named the day would take for a day too many; otherwise the minute.
pub fn end_in_words(end: Timestamp, zone: &TimeZone) -> String {
    format!("{} ({})", end_there(end, zone), zone_in_words(&end.to_zoned(zone.clone())))
}

/// As `end_in_words`, without the name of the zone: for a table of times that are all of one zone.
pub fn end_there(end: Timestamp, zone: &TimeZone) -> String {
    let there = end.to_zoned(zone.clone());
    let day_before = there.date().yesterday().ok().filter(|_| there.time() == Time::midnight());
    day_before.map_or_else(|| there.strftime("%Y-%m-%d %H:%M").to_string(), |day| format!("the end of {day}"))
}

/// The name of a zone; for a zone without a name the distance from UTC at that moment.
fn zone_in_words(there: &Zoned) -> String {
    let zone = there.time_zone();
    zone.iana_name().map_or_else(|| format!("UTC{}", there.strftime("%:z")), str::to_owned)
}

/// One space between words, small letters; `None` for a text that is too long.
fn tidy(text: &str) -> Option<String> {
    let text = text.trim();
    if text.len() > WHEN_BYTES_MAX {
        return None;
    }
    Some(text.split_whitespace().collect::<Vec<_>>().join(" ").to_ascii_lowercase())
}

/// How a WHEN is written, before a moment and a zone give it a meaning.
enum Form {
    /// Counted among the snapshots, whatever the moment.
    Counted(When),
    Now,
    Civil(CivilText),
    /// A span, 0 or more.
    Ago(Span),
}

impl Form {
    /// Reads small letters with one space between words.
    fn read(text: &str) -> Option<Self> {
        let number =
            |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok());
        match text {
            "" | "newest" | "latest" | "live" => return Some(Self::Counted(When::Newest)),
            "now" | "today" => return Some(Self::Now),
            _ => {}
        }
        if let Some(number) = number(text.strip_prefix('+').unwrap_or(text)) {
            return number.map(|number| Self::Counted(When::Number(number)));
        }
        if let Some(before) = text.strip_prefix('-').and_then(number) {
            return before
                .map(|before| Self::Counted(if before == 0 { When::Newest } else { When::Before(before) }));
        }
        CivilText::read(text).map(Self::Civil).or_else(|| ago(text).map(Self::Ago))
    }
}

/// A span, with or without the word `ago`: a span forward would point where no snapshots are.
fn ago(text: &str) -> Option<Span> {
    // `12:34:56` would be read as hours ago, by a person who means a time of day.
    if text.contains(':') {
        return None;
    }
    let one = text.strip_prefix("a ").or_else(|| text.strip_prefix("an ")).map(|rest| format!("1 {rest}"));
    let span: Span = one.as_deref().unwrap_or(text).parse().ok()?;
    Some(span.abs())
}

#[cfg(test)]
mod tests;
