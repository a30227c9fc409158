//! Dates, times and weekdays of a WHEN, and the moments meant.
//!
//! Strict about the form, so that the end of a WHEN can be found in `SOURCE@WHEN:PATH`: a time has two or three parts of
//! two digits and nothing else. Not here: numbers and spans (`mod.rs`).

use jiff::{
    Timestamp, ToSpan, Zoned,
    civil::{Date, DateTime, Time, Weekday},
    tz::{AmbiguousOffset, Offset, TimeZone},
};

/// A text with a date or a day in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CivilText {
    day: Day,
    /// The last moment of the typed time; without a time, of the day.
    time: Time,
    /// Typed along with the time; without it the reader's zone is meant.
    offset: Option<Offset>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Day {
    Date(Date),
    Today,
    Yesterday,
    /// The newest of these weekdays that has come, with its time.
    Weekday(Weekday),
    /// The newest of these weekdays before today.
    LastWeekday(Weekday),
}

/// End of a day, a minute and a second.
const DAY_END: Time = Time::constant(23, 59, 59, NANOS_MAX);
const NANOS_MAX: i32 = 999_999_999;

impl CivilText {
    /// Reads small letters with one space between words.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (day, time) = day_of(text)?;
        if time.is_empty() {
            return Some(Self { day, time: DAY_END, offset: None });
        }
        let begins_zone = |at: char| matches!(at, 'z' | 'u' | '+' | '-');
        let (time, offset) = match time.find(begins_zone) {
            Some(at) => (time[..at].trim_end(), Some(offset_of(&time[at..])?)),
            None => (time, None),
        };
        Some(Self { day, time: time_of(time)?, offset })
    }

    /// Whether the day is a date.
    pub(super) fn is_dated(&self) -> bool {
        matches!(self.day, Day::Date(_))
    }

    /// The moment meant by a reader at the moment and in the zone of `now`.
    pub(super) fn moment(&self, now: &Zoned) -> Option<Timestamp> {
        let zone = self.offset.map_or_else(|| now.time_zone().clone(), TimeZone::fixed);
        let today = now.timestamp().to_zoned(zone.clone());
        let has_come =
            |day: Date| self.time == DAY_END || day.to_datetime(beginning(self.time)) <= today.datetime();
        let date = match self.day {
            Day::Date(date) => date,
            Day::Today => today.date(),
            Day::Yesterday => today.date().yesterday().ok()?,
            Day::Weekday(weekday) if today.weekday() == weekday && has_come(today.date()) => today.date(),
            Day::Weekday(weekday) | Day::LastWeekday(weekday) => {
                let back = i64::from(today.weekday().since(weekday));
                today.date().checked_sub(if back == 0 { 7.days() } else { back.days() }).ok()?
            }
        };
        last_moment(date.to_datetime(self.time), &zone)
    }
}

/// The beginning of the minute or second that ends with `end`. A moment of the minute at hand is today's.
fn beginning(end: Time) -> Time {
    let second = if end.second() == 59 { 0 } else { end.second() };
    end.with().second(second).subsec_nanosecond(0).build().unwrap_or(end)
}

/// The last moment when clocks of the zone show `shown`; where clocks are set forward over it, the last moment before.
fn last_moment(shown: DateTime, zone: &TimeZone) -> Option<Timestamp> {
    let moment = zone.to_ambiguous_timestamp(shown);
    match moment.offset() {
        AmbiguousOffset::Gap { .. } => {
            let before = moment.earlier().ok()?;
            let set = zone.following(before).next().map(|set| set.timestamp());
            set.map_or(Some(before), |set| set.checked_sub(1.nanosecond()).ok())
        }
        _ => moment.later().ok(),
    }
}

/// The day at the beginning of a text, and the text of the time behind; empty without a time.
fn day_of(text: &str) -> Option<(Day, &str)> {
    if let Some((date, rest)) = text.split_at_checked(10)
        && let Some(date) = date_of(date)
    {
        let time = match rest.as_bytes() {
            [] => "",
            [b' ' | b't', ..] if rest.len() > 1 => &rest[1..],
            _ => return None,
        };
        return Some((Day::Date(date), time));
    }
    let (word, time) = text.split_once(' ').unwrap_or((text, ""));
    match word {
        "today" => Some((Day::Today, time)),
        "yesterday" => Some((Day::Yesterday, time)),
        "last" => {
            let (word, time) = time.split_once(' ').unwrap_or((time, ""));
            Some((Day::LastWeekday(weekday_of(word)?), time))
        }
        word => Some((Day::Weekday(weekday_of(word)?), time)),
    }
}

/// `2026-03-31` and nothing else.
fn date_of(text: &str) -> Option<Date> {
    let has_form =
        |(at, byte): (usize, u8)| if matches!(at, 4 | 7) { byte == b'-' } else { byte.is_ascii_digit() };
    if text.len() != 10 || !text.bytes().enumerate().all(has_form) {
        return None;
    }
    text.parse().ok()
}

/// In full or by the first three letters.
fn weekday_of(word: &str) -> Option<Weekday> {
    use Weekday::{Friday, Monday, Saturday, Sunday, Thursday, Tuesday, Wednesday};
    let names = [
        ("monday", Monday),
        ("tuesday", Tuesday),
        ("wednesday", Wednesday),
        ("thursday", Thursday),
        ("friday", Friday),
        ("saturday", Saturday),
        ("sunday", Sunday),
    ];
    names.into_iter().find(|(name, _)| *name == word || name[..3] == *word).map(|(_, weekday)| weekday)
}

/// The end of `18:00`, of `18:00:30`, or of `18:00:30.25`, which stands for itself.
fn time_of(text: &str) -> Option<Time> {
    let two = |text: &str| match text.as_bytes() {
        [a, b] if a.is_ascii_digit() && b.is_ascii_digit() => text.parse::<i8>().ok(),
        _ => None,
    };
    let mut parts = text.split(':');
    let (hour, minute) = (two(parts.next()?)?, two(parts.next()?)?);
    let (second, nanos) = match parts.next() {
        None => (59, NANOS_MAX),
        Some(seconds) => match seconds.split_once('.') {
            None => (two(seconds)?, NANOS_MAX),
            Some((seconds, fraction)) => (two(seconds)?, nanos_of(fraction)?),
        },
    };
    if parts.next().is_some() {
        return None;
    }
    Time::new(hour, minute, second, nanos).ok()
}

/// Up to nine digits behind the point.
fn nanos_of(fraction: &str) -> Option<i32> {
    if fraction.is_empty() || fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    format!("{fraction:0<9}").parse().ok()
}

/// `z`, `utc`, `+02:00`, `+0200` or `+02`; a zone's name in brackets behind adds nothing.
fn offset_of(text: &str) -> Option<Offset> {
    let is_named = |byte: u8| byte.is_ascii_alphanumeric() || b"/_-+".contains(&byte);
    let text = match text.split_once('[') {
        Some((text, name)) => {
            name.strip_suffix(']').filter(|name| name.bytes().all(is_named)).map(|_| text)?
        }
        None => text,
    };
    if matches!(text, "z" | "utc") {
        return Some(Offset::UTC);
    }
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let digits = match digits.as_bytes() {
        [_, _, b':', _, _] => digits.replacen(':', "", 1),
        [_, _] => format!("{digits}00"),
        [_, _, _, _] => digits.to_owned(),
        _ => return None,
    };
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes) = (digits[..2].parse::<i32>().ok()?, digits[2..].parse::<i32>().ok()?);
    if minutes > 59 {
        return None;
    }
    Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok()
}
