use super::*;
use larder_format::ChunkRef;
use larder_format::tree::Totals;

const DAY: u64 = 24 * 3600;

struct Chain {
    view: LedgerView,
    now_s: u64,
}

impl Chain {
    fn new() -> Self {
        Self { view: LedgerView::new(), now_s: 0 }
    }

    fn stamp(&self) -> WallStamp {
        let time_ms = 1_780_000_000_000 + i64::try_from(self.now_s).unwrap() * 1000;
        WallStamp { time_ms, trusted: true, powered_on_s: self.now_s }
    }

    fn add(&mut self, event: Event) -> u64 {
        let sequence = self.view.head.sequence + 1;
        let entry = Entry { sequence, previous: self.view.head.hash, stamp: self.stamp(), event };
        let (_, hash) = entry.encode();
        self.view.apply(entry, hash);
        sequence
    }

    fn push(&mut self, source: &str) -> u64 {
        let push = u128::from(self.view.head.sequence).to_be_bytes();
        let root = ChunkRef::to(b"root");
        self.add(Event::Snapshot(Snapshot::new(source, push, root, Totals::default())))
    }

    fn rule(&self) -> RuleInForce {
        self.view.rule(&self.view.at(self.stamp())).expect("one was set")
    }
}

#[test]
fn a_longer_promise_holds_at_once_and_a_shorter_one_waits() {
    let long = Rule { everything_days: 60, ..Rule::default() };
    let short = Rule { everything_days: 7, daily_days: 400, ..Rule::default() };
    let mut chain = Chain::new();
    chain.add(Event::RetentionSet(Rule::default()));
    assert_eq!(chain.rule(), RuleInForce { rule: Rule::default(), shorter: None });
    chain.add(Event::RetentionSet(long));
    assert_eq!(chain.rule(), RuleInForce { rule: long, shorter: None });
    chain.now_s += 10 * DAY;
    chain.add(Event::RetentionSet(short));
    let both = Rule { daily_days: 400, ..long };
    assert_eq!(chain.rule(), RuleInForce { rule: both, shorter: Some((short, SHORTEN_DELAY_S)) });
    chain.now_s += 3 * DAY - 1;
    assert_eq!(chain.rule().rule, both);
    chain.now_s += 1;
    assert_eq!(chain.rule(), RuleInForce { rule: short, shorter: None });
}

#[test]
fn a_shorter_promise_that_is_taken_back_never_came_into_force() {
    let short = Rule { everything_days: 1, ..Rule::default() };
    let mut chain = Chain::new();
    chain.add(Event::RetentionSet(Rule::default()));
    chain.now_s += 10 * DAY;
    chain.add(Event::RetentionSet(short));
    chain.now_s += DAY;
    chain.add(Event::RetentionSet(Rule::default()));
    for _ in 0..10 {
        assert_eq!(chain.rule().rule, Rule::default());
        chain.now_s += DAY;
    }
}

#[test]
fn a_clock_that_jumps_shortens_nothing() {
    let mut chain = Chain::new();
    chain.add(Event::RetentionSet(Rule::default()));
    chain.add(Event::RetentionSet(Rule { everything_days: 1, ..Rule::default() }));
    let mut far = chain.stamp();
    far.time_ms += 3_000 * 86_400_000;
    assert_eq!(chain.view.rule(&chain.view.at(far)).unwrap().rule, Rule::default());
}

#[test]
fn a_hold_ends_three_days_after_it_was_cleared() {
    let mut chain = Chain::new();
    let hold = chain.add(Event::HoldSet { source: Some("a/b".to_owned()), reason: "odd".to_owned() });
    let held = |chain: &Chain, source| chain.view.is_on_hold(source, &chain.view.at(chain.stamp()));
    assert!(held(&chain, "a/b") && !held(&chain, "a/c"));
    chain.add(Event::HoldCleared { sequence: hold });
    chain.now_s += 3 * DAY - 1;
    assert!(held(&chain, "a/b"));
    // A second clearing changes no state.
    chain.add(Event::HoldCleared { sequence: hold });
    chain.now_s += 1;
    assert!(!held(&chain, "a/b"));
}

#[test]
fn what_is_let_go_of_is_gone_and_named() {
    let mut chain = Chain::new();
    let first = chain.push("a/b");
    let second = chain.push("a/b");
    let other = chain.push("a/c");
    chain.now_s += DAY;
    chain.add(Event::Pruned { snapshots: vec![first, other], why: "old".to_owned() });
    let left: Vec<_> = chain.view.snapshots("a/b").iter().map(|record| record.sequence).collect();
    assert_eq!(left, [second]);
    assert!(!chain.view.sources.contains_key("a/c"), "a source without snapshots is none");
    let gone = chain.view.let_go_of(first).expect("named");
    assert_eq!((gone.why.as_str(), gone.records.len()), ("old", 2));
    assert!(chain.view.let_go_of(second).is_none());
    for (number, expect) in [(first, true), (second, true), (other, false), (99, false)] {
        assert_eq!(chain.view.was_of(number, "a/b"), expect, "{number}");
    }
    let push = u128::from(first - 1).to_be_bytes();
    assert!(chain.view.push(&push).is_none(), "the same push again is a new snapshot");
    chain.now_s += 30 * DAY;
    chain.add(Event::Pruned { snapshots: vec![], why: "nothing".to_owned() });
    assert!(chain.view.let_go_of(first).unwrap().records.is_empty(), "old tombstones cost no memory");
}

/// Retention keeps a snapshot that was set aside; counts and checks over snapshots skip the snapshot until the owner
/// decides.
#[test]
fn a_snapshot_that_was_set_aside_is_kept_and_not_looked_at() {
    let mut chain = Chain::new();
    let [first, harmful, last] = [(); 3].map(|()| chain.push("laptop/docs"));
    let looked_at = |chain: &Chain| -> Vec<u64> {
        chain.view.looked_at("laptop/docs").iter().map(|record| record.sequence).collect()
    };
    chain.add(Event::SetAside { snapshot: harmful, why: "it stops the count".to_owned() });
    assert_eq!(looked_at(&chain), [first, last]);
    assert_eq!(chain.view.why_set_aside(harmful), Some("it stops the count"));
    assert_eq!(chain.view.snapshots("laptop/docs").len(), 3, "it is kept");
    chain.add(Event::SetAsideCleared { snapshot: harmful });
    assert_eq!(looked_at(&chain), [first, harmful, last]);
    chain.add(Event::SetAside { snapshot: first, why: String::new() });
    chain.add(Event::Pruned { snapshots: vec![first], why: "old".to_owned() });
    assert!(!chain.view.is_set_aside(first), "what is gone needs no word");
}
