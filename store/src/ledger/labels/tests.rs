use super::*;
use crate::disk::Dice;
use larder_format::ledger::WallStamp;

const HOUR_S: i64 = 3600;
const DAY_S: i64 = 24 * HOUR_S;
const START_MS: i64 = 1_780_000_000_000;

fn mark(seconds: i64) -> TrustedTime {
    let lived_s = seconds.unsigned_abs();
    let stamp = WallStamp { time_ms: START_MS + seconds * 1000, trusted: true, powered_on_s: lived_s };
    TrustedTime { stamp, lived_s }
}

fn at_ms(seconds: i64) -> i64 {
    mark(seconds).stamp.time_ms
}

fn labelled(until_s: Option<i64>) -> Event {
    Event::Labelled { snapshot: 7, label: "before the move".to_owned(), until_ms: until_s.map(at_ms) }
}

fn ended(until_s: Option<i64>) -> Event {
    Event::LabelEnded { snapshot: 7, until_ms: until_s.map(at_ms) }
}

/// The label of snapshot 7 after these events, each at its second.
fn after(events: &[(i64, Event)]) -> Label {
    let mut labels = Labels::new();
    for (second, event) in events {
        apply(&mut labels, mark(*second), event);
    }
    labels.remove(&7).expect("a label")
}

/// Until when exactly a label keeps its snapshot: kept a second before, and not then.
fn check_end(events: &[(i64, Event)], expect_s: i64) {
    let label = after(events);
    assert!(label.keeps(&mark(expect_s - 1)), "{label:?}");
    assert!(!label.keeps(&mark(expect_s)), "{label:?}");
    assert_eq!(label.until_ms(), Some(at_ms(expect_s)), "the date told is the end");
}

#[test]
fn a_label_keeps_until_its_date_or_for_ever() {
    assert!(after(&[(0, labelled(None))]).keeps(&mark(1000 * 365 * DAY_S)));
    assert_eq!(after(&[(0, labelled(None))]).until_ms(), None);
    check_end(&[(0, labelled(Some(10 * DAY_S)))], 10 * DAY_S);
}

#[test]
fn a_second_label_only_makes_it_longer() {
    let first = (0, labelled(Some(10 * DAY_S)));
    check_end(&[first.clone(), (5 * DAY_S, labelled(Some(20 * DAY_S)))], 20 * DAY_S);
    check_end(&[first.clone(), (5 * DAY_S, labelled(Some(6 * DAY_S)))], 10 * DAY_S);
    assert_eq!(
        after(&[first, (DAY_S, labelled(None)), (2 * DAY_S, labelled(Some(3 * DAY_S)))]).until_ms(),
        None
    );
}

#[test]
fn an_end_waits_for_72_hours_and_is_taken_back_by_a_label() {
    let kept = (0, labelled(None));
    let asked = 100 * DAY_S;
    check_end(&[kept.clone(), (asked, ended(None))], asked + SHORTEN_DELAY_S);
    let twice = [kept.clone(), (asked, ended(None)), (asked + DAY_S, ended(None))];
    check_end(&twice, asked + SHORTEN_DELAY_S);
    // A date in the past waits as long.
    check_end(&[kept.clone(), (asked, ended(Some(DAY_S)))], asked + SHORTEN_DELAY_S);
    check_end(&[kept.clone(), (asked, ended(Some(asked + 9 * DAY_S)))], asked + 9 * DAY_S);
    // An end at a date, and then an end at once.
    let sooner = [kept.clone(), (asked, ended(Some(asked + 90 * DAY_S))), (asked + DAY_S, ended(None))];
    check_end(&sooner, asked + DAY_S + SHORTEN_DELAY_S);
    // An end at once, and then a later date after all.
    let later = [kept.clone(), (asked, ended(None)), (asked + HOUR_S, ended(Some(asked + 90 * DAY_S)))];
    check_end(&later, asked + 90 * DAY_S);
    // Nothing at the box makes a label longer but a label.
    check_end(&[(0, labelled(Some(2 * DAY_S))), (0, ended(None))], 2 * DAY_S);
    let taken_back =
        after(&[kept.clone(), (asked, ended(None)), (asked + DAY_S, labelled(Some(asked + 2 * DAY_S)))]);
    assert_eq!((taken_back.until_ms(), taken_back.shortens_in_s(&mark(asked + DAY_S))), (None, None));
    // In force, the shorter end is what a later label makes longer.
    let late = asked + SHORTEN_DELAY_S + DAY_S;
    let events = [kept, (asked, ended(Some(late + DAY_S))), (late, labelled(Some(late + 5 * DAY_S)))];
    check_end(&events, late + 5 * DAY_S);
    let pending = after(&events[..2]);
    assert_eq!(pending.shortens_in_s(&mark(asked + HOUR_S)), Some((SHORTEN_DELAY_S - HOUR_S).unsigned_abs()));
    assert_eq!(pending.shortens_in_s(&mark(asked + SHORTEN_DELAY_S)), None);
}

/// The label of a snapshot that was let go of must not be found again by its words.
#[test]
fn what_is_gone_has_no_label() {
    let mut labels = Labels::new();
    apply(&mut labels, mark(0), &labelled(None));
    apply(&mut labels, mark(1), &Event::Pruned { snapshots: vec![7], why: "old".to_owned() });
    assert!(labels.is_empty());
}

#[test]
fn a_clock_that_jumps_ends_no_label() {
    let label = after(&[(0, labelled(Some(10 * DAY_S)))]);
    let mut far = mark(DAY_S);
    far.stamp.time_ms += 100 * 365 * DAY_S * 1000;
    assert!(label.keeps(&far));
    // What a box in the year 2126 calls "until tomorrow", said of a label for ten years, ends none of the ten years.
    let mut labels = Labels::new();
    apply(&mut labels, mark(0), &labelled(Some(3650 * DAY_S)));
    let until_ms = Some(far.stamp.time_ms + DAY_S * 1000);
    apply(&mut labels, far, &Event::Labelled { snapshot: 7, label: String::new(), until_ms });
    assert!(labels[&7].keeps(&mark(3649 * DAY_S)));
    assert_eq!(labels[&7].text, "before the move", "no words leave the words so far");
}

/// Whatever is said over the network, in whatever order and with whatever clock, no label is over before the latest date
/// that was said of it while no end was asked for.
#[test]
fn no_word_over_the_network_makes_a_label_shorter() {
    for seed in 0..20_000 {
        let mut dice = Dice::new(seed);
        let (mut labels, mut real_s, mut promised_s) = (Labels::new(), 0, 0);
        for _ in 0..6 {
            real_s += dice.number_below(30 * 86_400).cast_signed();
            // The clock may be wrong by ten years either way; what the box lived through is right.
            let wrong_s = [0, 0, 1, -1][usize::try_from(dice.number_below(4)).unwrap()] * 3650 * DAY_S;
            let mut now = mark(real_s);
            now.stamp.time_ms += wrong_s * 1000;
            let span_s = dice.number_below(400 * 86_400).cast_signed();
            let until_ms = now.stamp.time_ms + span_s * 1000;
            apply(
                &mut labels,
                now,
                &Event::Labelled { snapshot: 7, label: String::new(), until_ms: Some(until_ms) },
            );
            promised_s = (real_s + span_s).max(promised_s);
            for later_s in [promised_s - 1, real_s + (promised_s - real_s) / 2] {
                if later_s > real_s {
                    assert!(labels[&7].keeps(&mark(later_s)), "seed {seed}: {:?}", labels[&7]);
                }
            }
        }
    }
}
