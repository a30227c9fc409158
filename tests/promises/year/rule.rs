//! What is kept and what goes, as `docs/owner/retention.md` and `docs/why/010-letting-go.md` tell it to an owner. It shares
//! no line with the store's own rule.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, civil};

/// A rule as an owner writes it, in days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WrittenRule {
    pub(super) everything: i64,
    pub(super) daily: i64,
    pub(super) weekly: i64,
    pub(super) monthly: i64,
    pub(super) newest: usize,
}

impl WrittenRule {
    /// A rule of which as many parts as can be come into their own in a life of so many days. Between two parts lie more
    /// days than the longer one's bucket has, or the second of a month would become its first while still young.
    pub(super) fn for_a_life_of(days: i64) -> Self {
        let monthly = if days < 120 { days * 2 } else { days * 3 / 5 };
        Self {
            everything: (days / 15).max(2),
            daily: (days / 8).max(4),
            weekly: (days / 3).max(14),
            monthly,
            newest: 3,
        }
    }

    /// As it stands in `larder.toml`.
    pub(super) fn settings(&self) -> String {
        let Self { everything, daily, weekly, monthly, newest } = self;
        format!(
            "[retention]\neverything = \"{everything} days\"\ndaily = \"{daily} days\"\nweekly = \"{weekly} days\"\n\
             monthly = \"{monthly} days\"\nnewest = {newest}\n"
        )
    }

    /// The same with each number a little off that comes to bear within so many days, and the words for that.
    pub(super) fn slightly_wrong(&self, days: i64) -> Vec<(String, Self)> {
        let changed = |part: &str, by: i64| {
            let mut wrong = *self;
            match part {
                "everything" => wrong.everything += by,
                "daily" => wrong.daily += by,
                "weekly" => wrong.weekly += by,
                _ => wrong.monthly += by,
            }
            (format!("{part} {by:+}"), wrong)
        };
        // The newest ones stay for their days as well, since days without a backup do not count.
        let parts = ["everything", "daily", "weekly", "monthly"];
        let parts = parts.into_iter().filter(|part| *part != "monthly" || self.monthly < days);
        parts.flat_map(|part| [changed(part, 1), changed(part, -1)]).collect()
    }
}

/// One backup, as somebody knows it who asks for a list now and then.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    pub(super) number: u64,
    pub(super) arrived: Timestamp,
    /// It was in the list for the last time.
    pub(super) last: Timestamp,
    /// It was missing in the list for the first time.
    pub(super) missing: Option<Timestamp>,
}

/// What held at which time.
#[derive(Debug, Clone, Default)]
pub(super) struct Wishes {
    /// Rules, each with the moment when it came into force; the first one from the beginning.
    pub(super) rules: Vec<(Timestamp, WrittenRule)>,
    /// Holds on this source, from and to.
    pub(super) holds: Vec<(Timestamp, Timestamp)>,
}

/// What was wrong with the going of one source's backups.
#[derive(Debug, Default)]
pub(super) struct Judged {
    pub(super) too_early: Vec<u64>,
    pub(super) too_late: Vec<u64>,
    /// Longest that a backup stayed after the rule had no reason for it.
    pub(super) latest_h: i64,
}

impl Judged {
    pub(super) fn is_right(&self) -> bool {
        self.too_early.is_empty() && self.too_late.is_empty()
    }
}

/// "Once a day", and an hour at either end, since the test goes by hours.
const ONCE_A_DAY_H: i64 = 24 + 2;

/// Judges all backups of a source, in the order in which they were made. `off_h` is the longest time for which the box was
/// not running.
pub(super) fn judge(backups: &[Listed], wishes: &Wishes, off_h: i64) -> Judged {
    let mut judged = Judged::default();
    let hour = SignedDuration::from_hours(1);
    for (at, backup) in backups.iter().enumerate() {
        let ends: Vec<_> =
            wishes.rules.iter().map(|(from, rule)| (*from, end_of_reasons(backups, at, rule))).collect();
        let is_kept = |moment: Timestamp| {
            let in_force = ends.iter().rev().find(|(from, _)| *from <= moment);
            in_force.is_none_or(|(_, end)| end.is_none_or(|end| moment < end))
                || wishes.holds.iter().any(|(from, to)| (*from..*to).contains(&moment))
        };
        if let Some(missing) = backup.missing {
            let mut moment = backup.last - hour;
            while moment <= missing + hour && is_kept(moment) {
                moment += hour;
            }
            if moment > missing + hour {
                judged.too_early.push(backup.number);
            }
        }
        let (mut moment, mut idle_h, mut longest_h) = (backup.arrived, 0, 0);
        while moment < backup.last {
            idle_h = if is_kept(moment) { 0 } else { idle_h + 1 };
            longest_h = longest_h.max(idle_h);
            moment += hour;
        }
        judged.latest_h = judged.latest_h.max(longest_h);
        if longest_h > ONCE_A_DAY_H + off_h {
            judged.too_late.push(backup.number);
        }
    }
    judged
}

/// When a rule has no reason any more to keep a backup; nothing as long as that depends on backups to come.
///
/// A part of the rule ends when both have passed: its days, and as many days with backups in them.
fn end_of_reasons(backups: &[Listed], at: usize, rule: &WrittenRule) -> Option<Timestamp> {
    let own = date_of(&backups[at]);
    let part = |days: i64, days_each: i64, bucket: fn(civil::Date) -> civil::Date| {
        let old = backups[at].arrived + SignedDuration::from_hours(days * 24);
        let mut later: Vec<_> =
            backups[at..].iter().map(|backup| (bucket(date_of(backup)), backup.arrived)).collect();
        later.dedup_by_key(|(bucket, _)| *bucket);
        let buckets = usize::try_from((days + days_each - 1) / days_each).expect("not below zero");
        later.get(buckets).map(|(_, begins)| old.max(*begins))
    };
    let is_first_or_last = |bucket: DateBucket| {
        let is_other =
            |other: Option<&Listed>| other.is_none_or(|other| bucket(date_of(other)) != bucket(own));
        is_other(at.checked_sub(1).and_then(|before| backups.get(before))) || is_other(backups.get(at + 1))
    };
    let mut ends =
        vec![backups.get(at + rule.newest).map(|later| later.arrived), part(rule.everything, 1, |date| date)];
    let parts: [(i64, i64, DateBucket); 3] = [
        (rule.daily, 1, |date| date),
        (rule.weekly, 7, monday),
        (rule.monthly, 28, civil::Date::first_of_month),
    ];
    for (days, days_each, bucket) in parts {
        ends.extend(is_first_or_last(bucket).then(|| part(days, days_each, bucket)));
    }
    ends.into_iter().reduce(|one, other| one.zip(other).map(|(one, other)| one.max(other))).flatten()
}

/// First day of the day, week or month of a date.
type DateBucket = fn(civil::Date) -> civil::Date;

fn date_of(backup: &Listed) -> civil::Date {
    backup.arrived.to_zoned(TimeZone::UTC).date()
}

fn monday(date: civil::Date) -> civil::Date {
    date.saturating_sub(SignedDuration::from_hours(24 * i64::from(date.weekday().to_monday_zero_offset())))
}
