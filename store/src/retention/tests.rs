use super::*;
use proptest::prelude::*;

const START_MS: i64 = 1_700_000_000_000;

fn moment(sequence: u64, day: i64, hour: i64) -> Moment {
    let ms = day * DAY_MS + hour * 3_600_000;
    let powered_on_s = u64::try_from(ms / 1000).unwrap();
    Moment { sequence, stamp: Stamp { time_ms: START_MS + ms, trusted: true, powered_on_s } }
}

fn now(day: i64) -> Now {
    Now { stamp: moment(0, day, 0).stamp, allowance_days: 0 }
}

fn kept(moments: &[Moment], now: Now) -> Vec<u64> {
    let verdicts = judge(moments, &Rule::default(), now, false);
    verdicts
        .into_iter()
        .filter(|verdict| !verdict.reasons.is_empty())
        .map(|verdict| verdict.sequence)
        .collect()
}

fn daily(days: i64) -> Vec<Moment> {
    (0..days).map(|day| moment(u64::try_from(day).unwrap() + 1, day, 12)).collect()
}

#[test]
fn everything_is_kept_for_a_month() {
    let moments: Vec<_> = (0..30 * 24).map(|hour| moment(hour, 0, i64::try_from(hour).unwrap())).collect();
    assert_eq!(kept(&moments, now(30)).len(), moments.len());
}

#[test]
fn the_past_thins_out_but_never_ends() {
    let found = kept(&daily(1500), now(1500));
    // 90 days, then two of each of 39 weeks, then two of each of about 36 months.
    assert!((230..260).contains(&found.len()), "{}", found.len());
    assert_eq!(found[0], 1);
}

#[test]
fn a_holiday_evicts_nothing() {
    let moments = daily(60);
    assert_eq!(kept(&moments, now(60)), kept(&moments, now(2000)));
}

#[test]
fn a_hold_keeps_everything() {
    let verdicts = judge(&daily(1500), &Rule::default(), now(1500), true);
    assert!(
        verdicts
            .iter()
            .all(|verdict| verdict.reasons.contains(&Reason::Hold) && verdict.kept_until.is_none())
    );
}

#[test]
fn a_clock_that_jumped_makes_nothing_old() {
    let moments: Vec<_> = (0..400).map(|n| moment(n, 0, i64::try_from(n).unwrap() / 4)).collect();
    let mut later = now(5);
    later.stamp.time_ms += 100 * 365 * DAY_MS;
    assert_eq!(kept(&moments, later).len(), moments.len());
}

proptest! {
    /// Whatever is pushed later, what was promised to a snapshot holds until its date.
    #[test]
    fn nobody_can_push_a_version_out(hours in prop::collection::vec(0i64..400, 1..80), flood in 0usize..200) {
        let mut at = 0;
        let mut moments: Vec<_> = (1..).zip(&hours).map(|(n, step)| { at += step; moment(n, 0, at) }).collect();
        let today = at / 24 + 1;
        let promised = judge(&moments, &Rule::default(), now(today), false);
        let next = moments.len() as u64 + 1;
        moments.extend((next..).take(flood).map(|n| moment(n, today, 1)));
        let after = judge(&moments, &Rule::default(), now(today), false);
        for (before, after) in promised.iter().zip(&after) {
            let still = before.kept_until.is_none_or(|until| until.as_millisecond() > now(today).stamp.time_ms);
            // "Newest" alone is no dated promise: it ends with the next pushes.
            if still && before.reasons != [Reason::Newest] && before.kept_until > Timestamp::from_millisecond(START_MS).ok() {
                prop_assert!(!after.reasons.is_empty(), "snapshot {} was let go of early", before.sequence);
            }
        }
    }

    #[test]
    fn devices_order_and_count_change_nothing_else(days in 1i64..800, later in 0i64..3000) {
        let moments = daily(days);
        let found = kept(&moments, now(days + later));
        prop_assert!(found.len() >= 3.min(moments.len()));
        prop_assert_eq!(found.last().copied(), moments.last().map(|moment| moment.sequence));
    }
}
