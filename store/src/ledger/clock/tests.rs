use super::*;
use proptest::prelude::*;

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

fn stamp(wall_s: u64, powered_on_s: u64, trusted: bool) -> WallStamp {
    let time_ms = 1_780_000_000_000 + i64::try_from(wall_s).unwrap() * 1000;
    WallStamp { time_ms, trusted, powered_on_s }
}

/// A box in sync from second 0 to second `until_s`, with a reading each hour.
fn running(until_s: u64) -> Lifetime {
    let mut lifetime = Lifetime::default();
    for s in (0..=until_s).step_by(3600) {
        lifetime.observe(stamp(s, s, true));
    }
    lifetime
}

fn is_locked(lifetime: &Lifetime, now: WallStamp) -> bool {
    lifetime.verdict(now, lifetime.newest) != ClockVerdict::MayLetGo
}

#[test]
fn a_box_that_runs_lives_as_long_as_the_clock_says() {
    let lifetime = running(40 * DAY);
    assert_eq!(lifetime.lived_s, 40 * DAY);
    assert!(!is_locked(&lifetime, stamp(40 * DAY, 40 * DAY, true)));
}

#[test]
fn a_new_box_waits_for_a_day_in_sync() {
    let lifetime = running(23 * HOUR);
    let because = Because::NotInSyncForADay { left_s: HOUR };
    let since = stamp(0, 0, true);
    let verdict = lifetime.verdict(stamp(23 * HOUR, 23 * HOUR, true), None);
    assert_eq!(verdict, ClockVerdict::Locked { because, since });
    assert!(!is_locked(&lifetime, stamp(24 * HOUR, 24 * HOUR, true)));
}

#[test]
fn a_jump_either_way_locks_until_a_day_in_sync_and_makes_nothing_old() {
    for jump_s in [-50 * 365 * 86_400_i64, -2 * 86_400, 2 * 86_400, 10 * 365 * 86_400] {
        let mut lifetime = running(40 * DAY);
        let at = |s: u64| {
            let mut stamp = stamp(40 * DAY + s, 40 * DAY + s, true);
            stamp.time_ms += jump_s * 1000;
            stamp
        };
        assert!(is_locked(&lifetime, at(0)), "{jump_s}");
        for s in (0..DAY).step_by(3600) {
            lifetime.observe(at(s));
            // The first entry after the jump; before this entry, a clock that went back is also behind the ledger.
            assert!(lifetime.verdict(at(s), None) != ClockVerdict::MayLetGo, "{jump_s} after {s}");
        }
        lifetime.observe(at(DAY));
        assert!(!is_locked(&lifetime, at(DAY)), "{jump_s}");
        assert_eq!(lifetime.lived_s, 41 * DAY, "{jump_s}");
    }
}

#[test]
fn a_person_ends_the_lock() {
    let mut lifetime = running(40 * DAY);
    let far = stamp(4000 * DAY, 40 * DAY, true);
    assert!(is_locked(&lifetime, far));
    lifetime.confirm(far);
    assert!(!is_locked(&lifetime, far));
    // A person who vouches for the clock does not vouch for the box's lived time.
    assert_eq!(lifetime.lived_s, 40 * DAY);
}

#[test]
fn a_clock_that_is_not_in_sync_or_behind_locks_at_once() {
    let lifetime = running(40 * DAY);
    assert!(is_locked(&lifetime, stamp(40 * DAY, 40 * DAY, false)));
    assert!(is_locked(&lifetime, stamp(40 * DAY - 1, 40 * DAY, true)));
}

#[test]
fn a_box_that_runs_eight_hours_a_day_ages_by_sixteen() {
    let mut lifetime = Lifetime::default();
    for day in 0..30 {
        for hour in 0..=8 {
            let (wall, on) = (day * DAY + hour * HOUR, day * 8 * HOUR + hour * HOUR);
            lifetime.observe(stamp(wall, on, true));
        }
    }
    let days = lifetime.lived_s as f64 / DAY as f64;
    assert!((19.0..20.1).contains(&days), "{days} days");
    assert!(!is_locked(&lifetime, stamp(29 * DAY + 8 * HOUR, 240 * HOUR, true)));
}

#[test]
fn time_switched_off_before_a_moment_makes_it_no_older() {
    let mut lifetime = running(10 * DAY);
    // The box was off for 20 hours, a push came before the clock was set, then the clock was set.
    let pushed = lifetime.observe(stamp(10 * DAY + 20 * HOUR, 10 * DAY, false));
    let set = lifetime.observe(stamp(10 * DAY + 21 * HOUR, 10 * DAY + HOUR, true));
    assert_eq!(pushed.age_s(&set), 3600);
}

#[test]
fn a_clock_that_swings_makes_no_time() {
    let mut lifetime = running(10 * DAY);
    for n in 0..1000 {
        let swing = if n % 2 == 0 { 5 * HOUR } else { 0 };
        lifetime.observe(stamp(10 * DAY + n + swing, 10 * DAY + n, true));
    }
    assert!(lifetime.lived_s <= 10 * DAY + 1000 + 5 * HOUR, "{}", lifetime.lived_s);
}

proptest! {
    /// With any clock, no snapshot ages more than twice as fast as the box runs.
    #[test]
    fn no_clock_ages_faster_than_two_days_a_day(
        steps in prop::collection::vec((0u64..3 * DAY, any::<i32>(), any::<bool>()), 1..60),
    ) {
        let mut lifetime = Lifetime::default();
        let mut on = 0;
        for (ran_s, jump_s, trusted) in steps {
            on += ran_s;
            let mut stamp = stamp(on, on, trusted);
            stamp.time_ms += i64::from(jump_s) * 1000;
            let mark = lifetime.observe(stamp);
            prop_assert!(mark.lived_s >= on && mark.lived_s <= 2 * on);
        }
    }
}
