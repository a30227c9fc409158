//! How long each source may be silent, and whether it is overdue.
//!
//! The owner's word comes first, then what the source's own pushes show. A learnt limit never exceeds twice the limit of
//! the settings: a rhythm that may stretch without end makes nothing overdue, and a thief's silence would be learnt too.
//! Not here: who may say so (`larder_store`), the words (`words::sources`).

use super::facts::{Facts, SourceFacts};
use super::pace::elapsed_s;
use crate::report::SourceStanding;
use larder_firmware_config::Settings;
use larder_format::ledger::{Expect, LEARNT_TIMES_MAX, Rule, WallStamp};

const DAY_S: u64 = 86_400;
/// Pushes of so long ago teach nothing any more.
const LEARN_FROM_S: u64 = 28 * DAY_S;
/// Fewer gaps between pushes are no rhythm.
const GAPS_MIN: usize = 4;

/// What is expected of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SourceRhythm {
    pub(crate) standing: SourceStanding,
    /// Seconds of silence until the source is overdue; none if never.
    pub(crate) overdue_after_s: Option<u64>,
    /// Whether the limit comes from the pushes themselves.
    pub(crate) is_learnt: bool,
}

/// What is expected of a source now.
pub(crate) fn of(source: &SourceFacts, settings: &Settings) -> SourceRhythm {
    let default_s = settings.sources.overdue_after.duration().as_secs();
    let (limit_s, is_learnt) = match source.expect {
        Expect::Never => (None, false),
        Expect::Within(seconds) => (Some(seconds), false),
        Expect::Learn => {
            let limit_s = learnt(source.longest_gap_s, default_s);
            (Some(limit_s), limit_s != default_s)
        }
    };
    let standing = match (source.is_cut_off, source.retires_in_s) {
        (true, _) => SourceStanding::Revoked,
        (_, Some(0)) => SourceStanding::Retired,
        (_, Some(_)) => SourceStanding::Retiring,
        (_, None) if limit_s.is_none() => SourceStanding::Never,
        (_, None) => SourceStanding::Expected,
    };
    let is_expected = matches!(standing, SourceStanding::Expected | SourceStanding::Retiring);
    let overdue_after_s = limit_s.filter(|_| is_expected);
    SourceRhythm { standing, overdue_after_s, is_learnt: is_learnt && is_expected }
}

/// The longest gap and a quarter of it, in whole hours, between once and twice the default.
fn learnt(longest_gap_s: Option<u64>, default_s: u64) -> u64 {
    let Some(gap_s) = longest_gap_s else { return default_s };
    let limit_s = gap_s.saturating_add(gap_s / 4).div_ceil(3600).saturating_mul(3600);
    limit_s.clamp(default_s, default_s.saturating_mul(LEARNT_TIMES_MAX))
}

/// The longest gap between two pushes of late, in seconds; none before there is a rhythm. `stamps` are those of what is kept,
/// the newest first.
pub(crate) fn longest_gap(
    stamps: impl Iterator<Item = WallStamp>,
    rule: &Rule,
    now: &WallStamp,
) -> Option<u64> {
    // Where the rule has thinned out the past, gaps are those of the rule and not of the pushes.
    let learn_from_s = LEARN_FROM_S.min(u64::from(rule.everything_days) * DAY_S);
    let late: Vec<_> = stamps.take_while(|stamp| elapsed_s(stamp, now) <= learn_from_s).collect();
    let gaps = late.windows(2).map(|two| elapsed_s(&two[1], &two[0]));
    (gaps.len() >= GAPS_MIN).then(|| gaps.max()).flatten()
}

/// Whether a source should have pushed by now.
pub(super) fn is_overdue(source: &SourceFacts, facts: &Facts<'_>) -> bool {
    let Some(limit_s) = of(source, facts.settings).overdue_after_s else { return false };
    // Asked for a backup of what somebody lets go of, an owner who obeys would have it kept.
    if source.letting_go.is_some_and(|what| what.snapshots >= source.snapshots) && !source.on_hold {
        return false;
    }
    // A source stamped in the future by a wrong clock gets older too.
    let silent_s = elapsed_s(&source.newest.stamp, &facts.stamp);
    // In its first day nobody has had the time to make a habit.
    silent_s > limit_s && elapsed_s(&source.oldest.stamp, &facts.stamp) >= DAY_S
}

/// Whether a box without any backup is old enough to say so.
pub(super) fn is_box_overdue(facts: &Facts<'_>) -> bool {
    facts.sources.is_empty() && facts.lived_s >= DAY_S
}

#[cfg(test)]
mod tests {
    use super::super::facts::LettingGo;
    use super::super::tests::{NOW_S, facts};
    use super::*;

    fn at(hours_ago: u64) -> WallStamp {
        let time_ms = (NOW_S - i64::try_from(hours_ago * 3600).unwrap()) * 1000;
        WallStamp { time_ms, trusted: true, powered_on_s: 0 }
    }

    fn gap_hours(pushed_hours_ago: &[u64]) -> Option<u64> {
        gap_hours_under(&Rule::default(), pushed_hours_ago)
    }

    fn gap_hours_under(rule: &Rule, pushed_hours_ago: &[u64]) -> Option<u64> {
        longest_gap(pushed_hours_ago.iter().map(|hours| at(*hours)), rule, &at(0)).map(|gap_s| gap_s / 3600)
    }

    #[test]
    fn a_rhythm_is_the_longest_gap_of_late() {
        assert_eq!(gap_hours(&[]), None);
        assert_eq!(gap_hours(&[1, 25, 49, 73]), None, "three gaps are no rhythm");
        assert_eq!(gap_hours(&[1, 25, 49, 73, 97]), Some(24));
        // Over a weekend.
        assert_eq!(gap_hours(&[1, 25, 97, 121, 145]), Some(72));
        // What the rule has thinned out teaches nothing.
        let thin = Rule { everything_days: 3, ..Rule::default() };
        assert_eq!(gap_hours_under(&thin, &[1, 9, 17, 25, 33, 41, 49, 200, 400]), Some(8));
        // A holiday before is forgotten.
        assert_eq!(gap_hours(&[1, 25, 49, 73, 97, 97 + 60 * 24]), Some(24));
    }

    #[test]
    fn what_is_learnt_lies_between_once_and_twice_the_default() {
        let hours = |gap: Option<u64>| learnt(gap.map(|hours| hours * 3600), 48 * 3600) / 3600;
        assert_eq!(hours(None), 48);
        assert_eq!(hours(Some(1)), 48);
        assert_eq!(hours(Some(72)), 90);
        assert_eq!(hours(Some(80)), 96);
        assert_eq!(hours(Some(24 * 365)), 96, "a silence is not learnt");
        assert_eq!(learnt(Some(u64::MAX), u64::MAX), u64::MAX);
    }

    /// What becomes of a source that has been silent for so many hours.
    fn check(given: impl Fn(&mut SourceFacts), silent_hours: u64, expect: (SourceStanding, bool)) {
        let settings = Settings::default();
        let mut facts = facts(&settings);
        let mut record = (*facts.sources[0].newest).clone();
        record.stamp = at(silent_hours);
        facts.sources[0].newest = record.clone().into();
        record.stamp = at(24 * 400);
        facts.sources[0].oldest = record.into();
        given(&mut facts.sources[0]);
        let source = &facts.sources[0];
        assert_eq!((of(source, &settings).standing, is_overdue(source, &facts)), expect, "{silent_hours}");
    }

    #[test]
    fn a_source_is_overdue_by_its_own_rhythm() {
        use SourceStanding::*;
        check(|_| {}, 47, (Expected, false));
        check(|_| {}, 49, (Expected, true));
        check(|source| source.longest_gap_s = Some(72 * 3600), 89, (Expected, false));
        check(|source| source.longest_gap_s = Some(72 * 3600), 91, (Expected, true));
        check(|source| source.expect = Expect::Within(9 * DAY_S), 8 * 24, (Expected, false));
        check(|source| source.expect = Expect::Within(9 * DAY_S), 10 * 24, (Expected, true));
        check(|source| source.expect = Expect::Never, 9999, (Never, false));
        check(|source| source.retires_in_s = Some(1), 49, (Retiring, true));
        check(|source| source.retires_in_s = Some(0), 9999, (Retired, false));
        check(|source| source.is_cut_off = true, 9999, (Revoked, false));
        let lets_go = |snapshots| Some(LettingGo { snapshots, left_s: 9 });
        check(|source| source.letting_go = lets_go(1), 49, (Expected, false));
        check(|source| (source.letting_go, source.snapshots) = (lets_go(1), 2), 49, (Expected, true));
        check(|source| (source.letting_go, source.on_hold) = (lets_go(1), true), 49, (Expected, true));
        let in_its_first_day = |source: &mut SourceFacts| {
            source.expect = Expect::Within(3600);
            source.oldest = source.newest.clone();
        };
        check(in_its_first_day, 23, (Expected, false));
        check(in_its_first_day, 25, (Expected, true));
    }
}
