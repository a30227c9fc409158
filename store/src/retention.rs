//! Which snapshots are kept, why, and until when at least.
//!
//! A pure function of ledger, rule and time. Age is counted by the appliance, never by a device. Days, weeks and
//! months count only where there are snapshots, so a holiday evicts nothing; and since the first and the last of each
//! are kept, nobody can push a good version out by pushing many bad ones. Letting go itself is not here.

use jiff::{Timestamp, civil, tz::TimeZone};
use larder_format::ledger::Stamp;
use std::collections::BTreeMap;

/// What the owner wants kept. Spans in days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Every snapshot for so long.
    pub everything_days: u32,
    /// Then the first and last of each day for so long.
    pub daily_days: u32,
    /// Then the first and last of each week for so long.
    pub weekly_days: u32,
    /// Then the first and last of each month for so long; none for ever.
    pub monthly_days: Option<u32>,
    /// The newest so many of a source, whatever the rest says.
    pub newest: usize,
}

impl Default for Rule {
    fn default() -> Self {
        Self { everything_days: 30, daily_days: 90, weekly_days: 365, monthly_days: None, newest: 3 }
    }
}

/// Why a snapshot is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// One of the newest of its source.
    Newest,
    /// Young enough that everything is kept.
    Everything,
    /// The first or last of its day.
    Day,
    /// The first or last of its week.
    Week,
    /// The first or last of its month.
    Month,
    /// Somebody put history on hold.
    Hold,
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
        }
    }
}

/// When something was pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Number of the snapshot; the order of moments, whatever the clock said.
    pub sequence: u64,
    /// When it was committed.
    pub stamp: Stamp,
}

/// What the rule says of one snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Number of the snapshot.
    pub sequence: u64,
    /// Empty when nothing keeps it any more.
    pub reasons: Vec<Reason>,
    /// Kept until at least then; none for ever.
    pub kept_until: Option<Timestamp>,
}

/// What the appliance knows about time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// The present moment.
    pub stamp: Stamp,
    /// Days by which wall-clock age may exceed powered-on age: time that a box spent switched off.
    pub allowance_days: u32,
}

/// Judges the snapshots of one source, oldest first.
pub fn judge(moments: &[Moment], rule: &Rule, now: Now, on_hold: bool) -> Vec<Verdict> {
    type Bucket = fn(civil::Date) -> civil::Date;
    let days = Buckets::of(moments, (|date| date) as Bucket);
    let weeks = Buckets::of(moments, monday as Bucket);
    let months = Buckets::of(moments, civil::Date::first_of_month as Bucket);
    let verdict = |(position, moment): (usize, &Moment)| {
        let age = age_days(moment.stamp, now);
        // Both must have passed: as many real days, and as many buckets that have snapshots.
        let within = |span: u32, rank: u32| age < i64::from(span) || rank < span;
        let mut reasons = Vec::new();
        let mut until = Some(moment.stamp.time_ms);
        let mut keep = |holds: bool, reason: Reason, promised: Option<u32>| {
            if holds {
                reasons.push(reason);
                until = until.zip(promised).map(|(t, d)| t.max(moment.stamp.time_ms + i64::from(d) * DAY_MS));
            }
        };
        let Rule { everything_days, daily_days, weekly_days, monthly_days, newest } = *rule;
        keep(moments.len() - position <= newest, Reason::Newest, Some(0));
        keep(within(everything_days, days.rank(position)), Reason::Everything, Some(everything_days));
        let monthly = monthly_days.unwrap_or(u32::MAX);
        for (buckets, days_each, span, reason) in [
            (&days, 1, daily_days, Reason::Day),
            (&weeks, 7, weekly_days, Reason::Week),
            (&months, 28, monthly, Reason::Month),
        ] {
            let holds =
                buckets.is_edge(position) && within(span, buckets.rank(position).saturating_mul(days_each));
            // The last of a day that is not over yet may lose that place, so it is no promise.
            let promised = if buckets.is_settled(position, now.stamp) { span } else { 0 };
            keep(holds, reason, (promised != u32::MAX).then_some(promised));
        }
        keep(on_hold, Reason::Hold, None);
        let kept_until = until.and_then(|ms| Timestamp::from_millisecond(ms).ok());
        Verdict { sequence: moment.sequence, reasons, kept_until }
    };
    moments.iter().enumerate().map(verdict).collect()
}

const DAY_MS: i64 = 24 * 3600 * 1000;

/// The lesser of what the wall clock says and what the box has lived through: neither a clock that jumped forward
/// nor one that runs fast makes anything old.
fn age_days(then: Stamp, now: Now) -> i64 {
    let wall = (now.stamp.time_ms - then.time_ms) / DAY_MS;
    let powered = now.stamp.powered_on_s.saturating_sub(then.powered_on_s) / (24 * 3600);
    let lived = i64::try_from(powered).unwrap_or(i64::MAX).saturating_add(now.allowance_days.into());
    wall.min(lived)
}

/// Snapshots gathered by day, week or month.
struct Buckets<F> {
    bucket: F,
    of_position: Vec<civil::Date>,
    ranks: BTreeMap<civil::Date, u32>,
    edges: BTreeMap<civil::Date, (usize, usize)>,
}

impl<F: Fn(civil::Date) -> civil::Date> Buckets<F> {
    fn of(moments: &[Moment], bucket: F) -> Self {
        let of_position: Vec<_> = moments.iter().map(|moment| bucket(date(moment.stamp))).collect();
        let mut edges: BTreeMap<civil::Date, (usize, usize)> = BTreeMap::new();
        for (position, bucket) in of_position.iter().enumerate() {
            edges.entry(*bucket).and_modify(|edge| edge.1 = position).or_insert((position, position));
        }
        let ranks = edges.keys().rev().copied().zip(0..).collect();
        Self { bucket, of_position, ranks, edges }
    }

    /// Whether no later push can take the place of first or last away from it.
    fn is_settled(&self, position: usize, now: Stamp) -> bool {
        let bucket = self.of_position[position];
        position == self.edges[&bucket].0 || bucket < (self.bucket)(date(now))
    }

    /// How many buckets with snapshots are newer.
    fn rank(&self, position: usize) -> u32 {
        self.ranks[&self.of_position[position]]
    }

    fn is_edge(&self, position: usize) -> bool {
        let (first, last) = self.edges[&self.of_position[position]];
        position == first || position == last
    }
}

fn monday(date: civil::Date) -> civil::Date {
    let week = date.iso_week_date();
    civil::ISOWeekDate::new(week.year(), week.week(), civil::Weekday::Monday)
        .map_or(date, civil::ISOWeekDate::date)
}

fn date(stamp: Stamp) -> civil::Date {
    let moment = Timestamp::from_millisecond(stamp.time_ms).unwrap_or(Timestamp::UNIX_EPOCH);
    moment.to_zoned(TimeZone::UTC).date()
}

#[cfg(test)]
mod tests;
