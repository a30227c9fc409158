//! Which snapshots are kept, why, and until when at least.
//!
//! A pure function of ledger, rule and time. Age is counted by the appliance, never by a device. Days, weeks and
//! months count only with snapshots in them, so a holiday evicts nothing. The first and the last of each are kept, so
//! a flood of bad pushes cannot push a good version out. Letting go itself is not here.

use crate::ledger::clock::TrustedTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, civil};
pub use larder_format::ledger::Rule;
use larder_format::ledger::WallStamp;

/// Why a snapshot is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// One of the newest of its source.
    Newest,
    /// Within the days that keep every snapshot.
    Everything,
    /// The first or last of its day.
    Day,
    /// The first or last of its week.
    Week,
    /// The first or last of its month.
    Month,
    /// History is on hold.
    Hold,
    /// The owner said so, with a label.
    Label,
}

impl Reason {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Newest => "one of the newest",
            Self::Everything => "everything is kept for a while",
            Self::Day => "first or last of its day",
            Self::Week => "first or last of its week",
            Self::Month => "first or last of its month",
            Self::Hold => "history is on hold",
            Self::Label => "kept by the owner",
        }
    }
}

/// Days, weeks and months with snapshots, counted from the source's first on. A stretch of snapshots of one date is one
/// run, and a snapshot after another date begins a new run: a clock that goes back to an old day cannot replace the
/// day's last snapshot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Runs([u32; 3]);

impl Runs {
    /// The runs of a snapshot behind another snapshot of its source.
    pub fn after(previous: Option<(Self, WallStamp)>, stamp: WallStamp) -> Self {
        let Some((Self(mut runs), before)) = previous else { return Self::default() };
        let (new, old) = (date(stamp), date(before));
        let buckets: [fn(civil::Date) -> civil::Date; 3] = [|date| date, monday, civil::Date::first_of_month];
        for (run, bucket) in runs.iter_mut().zip(buckets) {
            *run += u32::from(bucket(new) != bucket(old));
        }
        Self(runs)
    }
}

/// Time of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Number of the snapshot; the order of moments, whatever the clock said.
    pub sequence: u64,
    /// Time of the commit.
    pub mark: TrustedTime,
    /// Place among the days, weeks and months of the source.
    pub runs: Runs,
}

/// The rule's verdict on one snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Number of the snapshot.
    pub sequence: u64,
    /// Empty when no part of the rule keeps the snapshot.
    pub reasons: Vec<Reason>,
    /// Kept until at least then; none for ever.
    pub kept_until: Option<Timestamp>,
}

/// Judges the snapshots of one source, oldest first, by the rule alone.
pub fn judge(moments: &[Moment], rule: &Rule, now: &TrustedTime, on_hold: bool) -> Vec<Verdict> {
    let Rule { everything_days, daily_days, weekly_days, monthly_days, newest } = *rule;
    // The newest snapshot stays even if the rule asks for none, or a source would vanish.
    let newest = usize::try_from(newest).unwrap_or(usize::MAX).max(1);
    let runs: [Vec<Run>; 3] = [0, 1, 2].map(|class| runs_of(moments, class));
    let spans = [
        (1, daily_days, Reason::Day),
        (7, weekly_days, Reason::Week),
        (28, monthly_days.unwrap_or(u32::MAX), Reason::Month),
    ];
    let verdict = |(position, moment): (usize, &Moment)| {
        let age = moment.mark.age_s(now).div_euclid(DAY_S);
        // Both must have passed: as many real days, and as many buckets with snapshots.
        let within = |span: u32, rank: u32| age < i64::from(span) || rank < span || span == u32::MAX;
        let mut reasons = Vec::new();
        let time_ms = moment.mark.stamp.time_ms;
        let mut until = Some(time_ms);
        let mut keep = |holds: bool, reason: Reason, promised: Option<u32>| {
            if holds {
                reasons.push(reason);
                until = until.zip(promised).map(|(t, d)| t.max(time_ms + i64::from(d) * DAY_S * 1000));
            }
        };
        let promise = |days: u32| (days != u32::MAX).then_some(days);
        keep(moments.len() - position <= newest, Reason::Newest, Some(0));
        let is_young = within(everything_days, runs[0][position].rank);
        keep(is_young, Reason::Everything, promise(everything_days));
        for (runs, (days_each, span, reason)) in runs.iter().zip(spans) {
            let run = &runs[position];
            let holds = run.is_edge && within(span, run.rank.saturating_mul(days_each));
            // Another push may still replace the last of the newest run, so the rank is no promise.
            keep(holds, reason, if run.is_settled { promise(span) } else { Some(0) });
        }
        keep(on_hold, Reason::Hold, None);
        let kept_until = until.and_then(|ms| Timestamp::from_millisecond(ms).ok());
        Verdict { sequence: moment.sequence, reasons, kept_until }
    };
    moments.iter().enumerate().map(verdict).collect()
}

/// Why no rule keeps a snapshot of this age any more, in words.
pub fn why_it_goes(rule: &Rule, age_days: i64) -> String {
    let passed = |days: u32| age_days >= i64::from(days);
    let Rule { everything_days, daily_days, weekly_days, monthly_days, .. } = *rule;
    let since = format!("older than {everything_days} days");
    if monthly_days.is_some_and(passed) && passed(weekly_days) && passed(daily_days) {
        return format!("{since}, and too old for the first or last of a day, week or month");
    }
    match (passed(daily_days), passed(weekly_days)) {
        (false, _) => format!("{since}, and neither the first nor the last of its day"),
        (true, false) => format!("{since}, and neither the first nor the last of its week"),
        (true, true) => format!("{since}, and neither the first nor the last of its month"),
    }
}

const DAY_S: i64 = 24 * 3600;

/// A snapshot's place in its day, week or month.
struct Run {
    /// How many runs with snapshots are newer.
    rank: u32,
    is_edge: bool,
    /// Whether no later push can replace the snapshot as first or last.
    is_settled: bool,
}

fn runs_of(moments: &[Moment], class: usize) -> Vec<Run> {
    let run = |position: usize| moments.get(position).map(|moment| moment.runs.0[class]);
    let newest = moments.last().map(|moment| moment.runs.0[class]);
    let mut rank = 0;
    let mut runs: Vec<_> = (0..moments.len())
        .rev()
        .map(|position| {
            let own = run(position);
            let is_first = position == 0 || run(position - 1) != own;
            let is_last = run(position + 1) != own;
            rank += u32::from(is_last && own != newest);
            Run { rank, is_edge: is_first || is_last, is_settled: is_first || own != newest }
        })
        .collect();
    runs.reverse();
    runs
}

fn monday(date: civil::Date) -> civil::Date {
    let week = date.iso_week_date();
    civil::ISOWeekDate::new(week.year(), week.week(), civil::Weekday::Monday)
        .map_or(date, civil::ISOWeekDate::date)
}

fn date(stamp: WallStamp) -> civil::Date {
    let moment = Timestamp::from_millisecond(stamp.time_ms).unwrap_or(Timestamp::UNIX_EPOCH);
    moment.to_zoned(TimeZone::UTC).date()
}

/// A rule that keeps at least as much as each of the two.
pub(crate) fn longest(a: &Rule, b: &Rule) -> Rule {
    Rule {
        everything_days: a.everything_days.max(b.everything_days),
        daily_days: a.daily_days.max(b.daily_days),
        weekly_days: a.weekly_days.max(b.weekly_days),
        monthly_days: a.monthly_days.zip(b.monthly_days).map(|(a, b)| a.max(b)),
        newest: a.newest.max(b.newest),
    }
}

#[cfg(test)]
mod tests;
