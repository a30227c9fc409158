use super::*;
use proptest::prelude::*;

const START_MS: i64 = 1_700_000_000_000;
const DAY_MS: i64 = DAY_S * 1000;

fn mark(day: i64, hour: i64) -> TrustedTime {
    let ms = day * DAY_MS + hour * 3_600_000;
    let lived_s = u64::try_from(ms / 1000).unwrap();
    TrustedTime { stamp: WallStamp { time_ms: START_MS + ms, trusted: true, powered_on_s: lived_s }, lived_s }
}

/// Moments of one source in their order.
fn moments(marks: impl IntoIterator<Item = TrustedTime>) -> Vec<Moment> {
    let mut found: Vec<Moment> = Vec::new();
    for (sequence, mark) in (1..).zip(marks) {
        let runs = Runs::after(found.last().map(|moment| (moment.runs, moment.mark.stamp)), mark.stamp);
        found.push(Moment { sequence, mark, runs });
    }
    found
}

fn kept(moments: &[Moment], now: &TrustedTime) -> Vec<u64> {
    let verdicts = judge(moments, &Rule::default(), now, false);
    verdicts
        .into_iter()
        .filter(|verdict| !verdict.reasons.is_empty())
        .map(|verdict| verdict.sequence)
        .collect()
}

fn daily(days: i64) -> Vec<Moment> {
    moments((0..days).map(|day| mark(day, 12)))
}

#[test]
fn everything_is_kept_for_a_month() {
    let moments = moments((0..30 * 24).map(|hour| mark(0, hour)));
    assert_eq!(kept(&moments, &mark(30, 0)).len(), moments.len());
}

#[test]
fn the_past_thins_out_but_never_ends() {
    let found = kept(&daily(1500), &mark(1500, 0));
    // 90 days, then two of each of 39 weeks, then two of each of about 36 months.
    assert!((230..260).contains(&found.len()), "{}", found.len());
    assert_eq!(found[0], 1);
}

#[test]
fn a_holiday_evicts_nothing() {
    let moments = daily(60);
    assert_eq!(kept(&moments, &mark(60, 0)), kept(&moments, &mark(2000, 0)));
}

#[test]
fn what_was_kept_once_is_kept_after_the_rest_is_gone() {
    let all = daily(1500);
    let now = mark(1500, 0);
    let once = kept(&all, &now);
    let rest: Vec<_> = all.into_iter().filter(|moment| once.contains(&moment.sequence)).collect();
    assert_eq!(kept(&rest, &now), once);
}

#[test]
fn a_hold_keeps_everything() {
    let verdicts = judge(&daily(1500), &Rule::default(), &mark(1500, 0), true);
    assert!(
        verdicts
            .iter()
            .all(|verdict| verdict.reasons.contains(&Reason::Hold) && verdict.kept_until.is_none())
    );
}

#[test]
fn a_clock_that_jumped_makes_nothing_old() {
    let moments = moments((0..400).map(|n| mark(0, n / 4)));
    let mut later = mark(5, 0);
    later.stamp.time_ms += 100 * 365 * DAY_MS;
    assert_eq!(kept(&moments, &later).len(), moments.len());
}

#[test]
fn a_push_stamped_with_an_old_day_takes_no_place_there() {
    let mut marks: Vec<_> = (0..200).flat_map(|day| [mark(day, 1), mark(day, 5), mark(day, 9)]).collect();
    let before = kept(&moments(marks.clone()), &mark(200, 0));
    // The clock goes back to a day long gone, and a flood comes.
    for n in 0..500 {
        let mut flood = mark(200, 0);
        flood.stamp.time_ms = START_MS + 150 * DAY_MS + n;
        marks.push(flood);
    }
    let after = kept(&moments(marks), &mark(200, 1));
    let newest = [598, 599, 600];
    let lost: Vec<_> = before.iter().filter(|n| !after.contains(n) && !newest.contains(n)).collect();
    assert!(lost.is_empty(), "{lost:?}");
}

#[test]
fn the_newest_stays_even_if_nobody_wants_it() {
    let none = Rule { everything_days: 0, daily_days: 0, weekly_days: 0, monthly_days: Some(0), newest: 0 };
    let verdicts = judge(&daily(10), &none, &mark(5000, 0), false);
    let kept: Vec<_> = verdicts.iter().filter(|v| !v.reasons.is_empty()).map(|v| v.sequence).collect();
    assert_eq!(kept, [10]);
}

proptest! {
    /// A promise to a snapshot holds until its date, whatever later pushes bring.
    #[test]
    fn nobody_can_push_a_version_out(hours in prop::collection::vec(0i64..400, 1..80), flood in 0usize..200) {
        let mut at = 0;
        let mut marks: Vec<_> = hours.iter().map(|step| { at += step; mark(0, at) }).collect();
        let today = at / 24 + 1;
        let now = mark(today, 2);
        let promised = judge(&moments(marks.clone()), &Rule::default(), &now, false);
        marks.extend((0..flood).map(|_| mark(today, 1)));
        let after = judge(&moments(marks), &Rule::default(), &now, false);
        for (before, after) in promised.iter().zip(&after) {
            let still = before.kept_until.is_none_or(|until| until.as_millisecond() > now.stamp.time_ms);
            // "Newest" alone is no dated promise: it ends with the next pushes.
            if still && before.reasons != [Reason::Newest] {
                prop_assert!(!after.reasons.is_empty(), "snapshot {} was let go of early", before.sequence);
            }
        }
    }

    #[test]
    fn devices_order_and_count_change_nothing_else(days in 1i64..800, later in 0i64..3000) {
        let moments = daily(days);
        let found = kept(&moments, &mark(days + later, 0));
        prop_assert!(found.len() >= 3.min(moments.len()));
        prop_assert_eq!(found.last().copied(), moments.last().map(|moment| moment.sequence));
    }
}
