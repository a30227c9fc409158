use super::*;
use crate::clock::{Because, Lifetime};
use crate::disk::Dice;
use crate::ledger::clock::SHORTEN_DELAY_S;
use crate::retention::{Rule, judge};
use larder_format::ledger::{Entry, Snapshot};
use larder_format::tree::Totals;
use larder_format::{ChunkRef, Hash};
use std::collections::HashMap;

const HISTORIES: u64 = 100_000;
const DAY_S: i64 = 86_400;
/// Short spans, so a history of a few weeks meets the end of each.
const RULE: Rule =
    Rule { everything_days: 3, daily_days: 8, weekly_days: 20, monthly_days: Some(40), newest: 2 };

/// A box, its true history, and the time shown by its clock.
struct Life {
    dice: Dice,
    view: LedgerView,
    looks: Lifetime,
    /// Seconds truly passed.
    real_s: i64,
    powered_on_s: u64,
    /// Error of the clock.
    wrong_s: i64,
    trusted: bool,
    /// Promise to each snapshot: the true time of arrival, and the most days ever told.
    promised: HashMap<u64, (i64, i64)>,
    /// True time up to which the label of a snapshot keeps it.
    labelled: HashMap<u64, i64>,
    let_go: u64,
}

impl Life {
    fn new(seed: u64) -> Self {
        Self {
            dice: Dice::new(seed),
            view: LedgerView::new(),
            looks: Lifetime::default(),
            real_s: 0,
            powered_on_s: 0,
            wrong_s: 0,
            trusted: true,
            promised: HashMap::new(),
            labelled: HashMap::new(),
            let_go: 0,
        }
    }

    fn stamp(&self) -> WallStamp {
        let time_ms = 1_780_000_000_000 + (self.real_s + self.wrong_s) * 1000;
        WallStamp { time_ms, trusted: self.trusted, powered_on_s: self.powered_on_s }
    }

    fn add(&mut self, event: Event) {
        let entry =
            Entry { sequence: self.view.head.sequence + 1, previous: Hash::ZERO, stamp: self.stamp(), event };
        self.view.apply(entry, Hash::ZERO);
    }

    fn push(&mut self) {
        let (push, root) =
            (u128::from(self.view.head.sequence).to_be_bytes(), ChunkRef { id: Hash::ZERO, len: 0 });
        // A device may claim any time; the box does not believe the claim.
        let device_time_ms = self.dice.number_below(u64::MAX).cast_signed();
        let snapshot =
            Snapshot { device_time_ms, ..Snapshot::new("laptop/docs", push, root, Totals::default()) };
        self.add(Event::Snapshot(snapshot));
        let everything = i64::from(RULE.everything_days);
        self.promised.insert(self.view.head.sequence, (self.real_s, everything));
    }

    /// Lets time pass, on or off, and may set the clock to any time.
    fn time_passes(&mut self, may_jump: bool) {
        for _ in 0..1 + self.dice.number_below(4) {
            let on_s = self.dice.number_below(20 * 3600);
            self.powered_on_s += on_s;
            self.real_s += on_s.cast_signed();
            self.looks.observe(self.stamp());
        }
        match self.dice.number_below(8) {
            0 => self.real_s += self.dice.number_below(60 * 86_400).cast_signed(),
            1 => self.real_s += self.dice.number_below(86_400).cast_signed(),
            2 | 3 if may_jump => {
                // From 50 years back to 10 years ahead, in steps of more than a day: a smaller step looks the same as a
                // box switched off.
                let steps = self.dice.number_below(60 * 365 * 24 / 50).cast_signed() - 50 * 365 * 24 / 50;
                self.wrong_s = if self.dice.number_below(3) == 0 { 0 } else { steps * 50 * 3600 };
            }
            // A liar about the time also claims the time is right.
            4 if may_jump => self.trusted = !self.trusted,
            _ => {}
        }
    }

    /// Notes the owner's promise for each snapshot.
    fn publish(&mut self) {
        let now = self.view.at(self.stamp());
        let moments: Vec<_> =
            self.view.snapshots("laptop/docs").iter().map(|record| record.moment()).collect();
        let rule = self.view.rule(&now).expect("set").rule;
        for (moment, verdict) in moments.iter().zip(judge(&moments, &rule, &now, false)) {
            let Some(until) = verdict.kept_until else { continue };
            let days = (until.as_millisecond() - moment.mark.stamp.time_ms) / 1000 / DAY_S;
            let (_, told) = self.promised.get_mut(&moment.sequence).expect("it was pushed");
            *told = days.max(*told);
        }
    }

    /// Labels a snapshot, or has a label end.
    fn label(&mut self) {
        let records = self.view.snapshots("laptop/docs");
        let count = records.len() as u64;
        let snapshot = records[usize::try_from(self.dice.number_below(count)).unwrap()].sequence;
        let span_s = self.dice.number_below(60 * 86_400).cast_signed();
        // Told by the clock of the box, right or wrong.
        let until_ms = (self.dice.number_below(8) > 0).then(|| self.stamp().time_ms + span_s * 1000);
        let until_s = until_ms.map_or(i64::MAX, |_| self.real_s + span_s);
        if self.dice.number_below(3) > 0 {
            self.add(Event::Labelled { snapshot, label: String::new(), until_ms });
            let until_s = until_s.max(self.labelled.get(&snapshot).copied().unwrap_or(0));
            self.labelled.insert(snapshot, until_s);
        } else if let Some(kept_s) = self.labelled.get(&snapshot).copied() {
            self.add(Event::LabelEnded { snapshot, until_ms: None });
            self.labelled.insert(snapshot, kept_s.min(self.real_s + SHORTEN_DELAY_S));
        }
    }

    fn prune(&mut self, seed: u64) {
        let clock = self.looks.verdict(self.stamp(), self.view.newest);
        let plan = plan(&self.view, &self.view.at(self.stamp()), clock);
        if plan.locked.is_some() {
            return;
        }
        assert!(self.trusted, "history {seed}: a clock that is not in sync let go of something");
        for going in &plan.snapshots {
            let labelled_s = self.labelled.get(&going.sequence).copied().unwrap_or(0);
            assert!(self.real_s >= labelled_s, "history {seed}: the label of {} is not over", going.sequence);
            let (came_s, days) = self.promised[&going.sequence];
            let age_s = self.real_s - came_s;
            assert!(
                age_s >= days * DAY_S,
                "history {seed}: snapshot {} was promised {days} days and let go of {} seconds early",
                going.sequence,
                days * DAY_S - age_s
            );
        }
        self.let_go += plan.snapshots.len() as u64;
        let snapshots = plan.snapshots.iter().map(|going| going.sequence).collect();
        self.add(Event::Pruned { snapshots, why: "old".to_owned() });
    }
}

/// Lives through a few weeks; returns the number of snapshots let go of.
fn live(seed: u64, may_jump: bool) -> u64 {
    let mut life = Life::new(seed);
    life.add(Event::RetentionSet(RULE));
    for _ in 0..24 {
        life.time_passes(may_jump);
        // Now and then a flood of pushes, perhaps garbage.
        let pushes = if life.dice.number_below(10) == 0 { 12 } else { 1 };
        (0..pushes).for_each(|_| life.push());
        if life.dice.number_below(6) == 0 {
            life.label();
        }
        life.publish();
        life.prune(seed);
    }
    life.let_go
}

/// No clock and no flood of pushes removes a snapshot before the date told to the owner.
#[test]
fn nothing_goes_early_whatever_the_clock_says() {
    let let_go: u64 = (0..HISTORIES).map(|seed| live(seed, seed % 8 != 0)).sum();
    println!("{HISTORIES} histories, {let_go} snapshots let go of, 0 early");
    assert!(let_go > HISTORIES, "the test must let go of something: {let_go}");
}

#[test]
fn a_locked_plan_says_why() {
    let mut life = Life::new(1);
    life.add(Event::RetentionSet(RULE));
    let because = Because::NotInSync;
    let clock = ClockVerdict::Locked { because, since: life.stamp() };
    let plan = plan(&life.view, &life.view.at(life.stamp()), clock);
    let locked = plan.locked.expect("locked").to_string();
    assert!(locked.starts_with("the clock is not known to be right (since 2026-05-28"), "{locked}");
}

#[test]
fn gaps_in_the_ledger_let_nothing_go() {
    let mut life = Life::new(1);
    life.add(Event::RetentionSet(RULE));
    life.view.gaps.push(1);
    let locked = plan(&life.view, &life.view.at(life.stamp()), ClockVerdict::MayLetGo).locked;
    assert_eq!(locked, Some(Lock::Gaps(1)), "a clock that is vouched for mends no ledger");
    assert_eq!(Lock::Gaps(1).to_string(), "1 entry of the ledger is missing or damaged");
}

#[test]
fn a_plan_says_which_part_of_the_rule_has_ended() {
    let mut life = Life::new(1);
    life.add(Event::RetentionSet(RULE));
    // Three on one day, and then one a day.
    for hours in [1, 1, 1, 24, 24, 24, 24, 24] {
        life.real_s += hours * 3600;
        life.powered_on_s += hours.unsigned_abs() * 3600;
        life.push();
    }
    let why_on_day = |life: &mut Life, day: i64| {
        (life.real_s, life.powered_on_s) = (day * DAY_S, day.unsigned_abs() * 86_400);
        let plan = plan(&life.view, &life.view.at(life.stamp()), ClockVerdict::MayLetGo);
        plan.snapshots.into_iter().map(|going| (going.sequence, going.why)).collect::<Vec<_>>()
    };
    let went = why_on_day(&mut life, 6);
    assert_eq!(went, [(3, "older than 3 days, and neither the first nor the last of its day".to_owned())]);
    for (day, words) in [(10, "of its week"), (25, "of its month"), (45, "too old for the first or last")] {
        let went = why_on_day(&mut life, day);
        let why = &went.iter().find(|(sequence, _)| *sequence == 3).expect("it goes").1;
        assert!(why.contains(words), "day {day}: {why}");
    }
}

/// A source pushed by mistake goes as a whole after 72 hours, unless a hold or a word stops it; nothing else goes with it.
#[test]
fn a_source_is_let_go_of_after_three_days_and_nothing_else_is() {
    let mut view = LedgerView::new();
    let add = |view: &mut LedgerView, hours: u64, event: Event| {
        let time_ms = 1_780_000_000_000 + i64::try_from(hours * 3_600_000).unwrap();
        let stamp = WallStamp { time_ms, trusted: true, powered_on_s: hours * 3600 };
        let sequence = view.head.sequence + 1;
        view.apply(Entry { sequence, previous: Hash::ZERO, stamp, event }, Hash::ZERO);
        sequence
    };
    let push = |source: &str, number: u8| {
        let root = ChunkRef { id: Hash::ZERO, len: 0 };
        Event::Snapshot(Snapshot::new(source, [number; 16], root, Totals::default()))
    };
    let going = |view: &LedgerView, hours: u64| -> Vec<u64> {
        let time_ms = 1_780_000_000_000 + i64::try_from(hours * 3_600_000).unwrap();
        let now = view.at(WallStamp { time_ms, trusted: true, powered_on_s: hours * 3600 });
        plan(view, &now, ClockVerdict::MayLetGo).snapshots.iter().map(|going| going.sequence).collect()
    };
    add(&mut view, 0, Event::RetentionSet(Rule::default()));
    let (proc, docs) = (add(&mut view, 1, push("a/proc", 1)), add(&mut view, 1, push("a/docs", 2)));
    let again = add(&mut view, 5, push("a/proc", 3));
    add(&mut view, 6, Event::SourceLetGo { source: "a/proc".to_owned(), before_ms: None });
    let later = add(&mut view, 7, push("a/proc", 4));
    assert_eq!(going(&view, 6 + 71), [0; 0]);
    assert_eq!(going(&view, 6 + 72), [proc, again]);
    assert!(![docs, later].iter().any(|kept| going(&view, 6 + 72).contains(kept)));
    let hold =
        add(&mut view, 8, Event::HoldSet { source: Some("a/proc".to_owned()), reason: "wait".to_owned() });
    assert_eq!(going(&view, 6 + 72), [0; 0], "a hold stops it");
    add(&mut view, 9, Event::HoldCleared { sequence: hold });
    assert_eq!(going(&view, 9 + 71), [0; 0]);
    assert_eq!(going(&view, 9 + 72), [proc, again]);
    let time_ms = 1_780_000_000_000 + 4 * 3_600_000;
    add(&mut view, 100, Event::SourceLetGo { source: "a/proc".to_owned(), before_ms: Some(time_ms) });
    assert_eq!(going(&view, 100 + 71), [0; 0]);
    assert_eq!(going(&view, 100 + 72), [proc], "only what is older than that moment");
    add(&mut view, 101, Event::SourceKept { source: "a/proc".to_owned() });
    assert_eq!(going(&view, 1000), [0; 0]);
    // What has a label stays, and goes with the rest once the label is over.
    add(&mut view, 1001, Event::Labelled { snapshot: proc, label: "odd".to_owned(), until_ms: None });
    add(&mut view, 1002, Event::SourceLetGo { source: "a/proc".to_owned(), before_ms: None });
    assert_eq!(going(&view, 1002 + 72), [again, later]);
    add(&mut view, 1100, Event::LabelEnded { snapshot: proc, until_ms: None });
    assert_eq!(going(&view, 1100 + 71), [again, later]);
    assert_eq!(going(&view, 1100 + 72), [proc, again, later]);
}
