use super::actions::Action;
use super::facts::{Counts, LabelFacts, LettingGo, RetainedStanding};
use super::words::answers;
use super::words::proof::names_of;
use super::*;
use crate::event::{AgentEvent, MqttCommand};
use crate::report::{EventType, Flush, Happening, RefusedDevice, RetainedHead};
use jiff::tz::TimeZone;
use larder_format::care::LostFile;
use larder_format::care::Round;
use larder_format::ledger::DiskRole;
use larder_format::ledger::{Expect, Scrubbed, Snapshot, WallStamp};
use larder_format::{ChunkRef, Hash, tree::Totals};
use larder_store::disk::Space;
use larder_store::retention::{Rule, Runs};
use larder_store::{Access, MemberView, ScrubView, SnapshotRecord};
use std::sync::Arc;

pub(super) const NOW_S: i64 = 1_790_000_000;

fn record(hours_ago: i64) -> Arc<SnapshotRecord> {
    let stamp = WallStamp { time_ms: (NOW_S - hours_ago * 3600) * 1000, trusted: true, powered_on_s: 0 };
    let totals = Totals { files: 3, directories: 1, bytes: 2 << 30 };
    let snapshot = Snapshot::new("laptop/photos", [0; 16], ChunkRef::to(b"root"), totals);
    Arc::new(SnapshotRecord { sequence: 2, stamp, lived_s: 0, runs: Runs::default(), snapshot })
}

fn stamp(days_ago: i64) -> WallStamp {
    WallStamp { time_ms: (NOW_S - days_ago * 86_400) * 1000, trusted: true, powered_on_s: 0 }
}

/// A disk read from end to end so many days ago.
fn scrub(days_ago: i64) -> ScrubView {
    let found = Scrubbed { disk: [1; 16], bytes: 5, damaged: 0, repaired: 0, lost: 0 };
    ScrubView {
        disk: "0123456789abcdef".into(),
        path: "/disk".into(),
        is_readable: true,
        is_alarmed: false,
        suspected: 0,
        round: Round::default(),
        last: Some((stamp(days_ago), found)),
    }
}

pub(super) fn source(hours_ago: i64) -> SourceFacts {
    SourceFacts {
        source: "laptop/photos".into(),
        snapshots: 1,
        oldest: record(hours_ago),
        newest: record(hours_ago),
        folder: None,
        counts: Counts { versions: 3, is_complete: true, ..Counts::default() },
        rule: Rule::default(),
        next_to_go: None,
        on_hold: false,
        damaged: vec![],
        expect: Expect::Learn,
        longest_gap_s: None,
        retires_in_s: None,
        is_cut_off: false,
        letting_go: None,
        labels: Vec::new(),
    }
}

fn system() -> SystemReport {
    SystemReport {
        cpu_celsius: None,
        undervoltage: None,
        clock_trusted: true,
        memory_mib: None,
        address: "127.0.0.1:8477".into(),
        certificate_sha256: String::new(),
        version: "0".into(),
        started: Timestamp::from_second(NOW_S).unwrap(),
        mqtt_spooled: 0,
        mqtt_dropped: 0,
        mqtt_connects: 1,
    }
}

pub(super) fn facts(settings: &Settings) -> Facts<'_> {
    let disk = MemberView {
        id: "0123456789abcdef".into(),
        path: "/disk".into(),
        state: MemberState::Healthy,
        space: Some(Space { total: 1 << 40, free: 1 << 39 }),
        role: DiskRole::Home,
        is_older_copy: false,
        complete: None,
        leaving: None,
        is_full: false,
    };
    Facts {
        now: Timestamp::from_second(NOW_S).unwrap(),
        zone: TimeZone::UTC,
        settings,
        sources: vec![source(1)],
        disks: vec![(disk, Flush::Trusted)],
        registry: RegistryView::default(),
        is_paired: true,
        pairing: PairingReport::default(),
        head: Head { sequence: 2, hash: Hash::ZERO },
        head_time_ms: None,
        head_signed: SignedParts::default(),
        retained: None,
        gaps: 0,
        access: Access::Full,
        holds: vec![],
        rule: RuleInForce { rule: Rule::default(), shorter: None },
        clock: ClockVerdict::MayLetGo,
        stored_bytes: 0,
        receiving: 0,
        restoring: 0,
        damaged: 0,
        lost_files: vec![],
        damaged_snapshots: vec![],
        scrubs: vec![scrub(1)],
        stamp: stamp(0),
        lived_s: 400 * 86_400,
        refused: BTreeMap::new(),
        kept_free_bytes: 11 << 30,
        system: system(),
        broker: BrokerFacts::default(),
    }
}

pub(super) fn refused_laptop() -> BTreeMap<String, RefusedDevice> {
    [("laptop".to_owned(), RefusedDevice { at_s: 0, has_brought: false })].into()
}

/// One change of the facts, and the lamp that the owner must see.
fn check(given: impl Fn(&mut Facts<'_>), expect: Rhythm) {
    let settings = Settings::default();
    let mut facts = facts(&settings);
    given(&mut facts);
    let (report, _) = report(&facts, &mut Memory::default());
    assert_eq!(report.health.lamp, expect);
    assert_eq!(report.health.level == Level::Fine, matches!(expect, Rhythm::Ready | Rhythm::Busy));
}

#[test]
fn the_lamp_says_what_is_wrong() {
    check(|_| {}, Rhythm::Ready);
    check(|facts| facts.receiving = 1, Rhythm::Busy);
    check(|facts| facts.restoring = 1, Rhythm::Busy);
    check(|facts| facts.sources.clear(), Rhythm::needs_you(3));
    check(|facts| facts.sources[0] = source(49), Rhythm::needs_you(3));
    check(|facts| facts.refused = refused_laptop(), Rhythm::needs_you(5));
    let free = |facts: &mut Facts<'_>, free| facts.disks[0].0.space = Some(Space { total: 1 << 40, free });
    check(|facts| free(facts, facts.kept_free_bytes), Rhythm::needs_you(5));
    check(|facts| free(facts, facts.kept_free_bytes + 1), Rhythm::Ready);
    check(|facts| facts.disks[0].0.state = MemberState::Behind(2), Rhythm::needs_you(4));
    check(|facts| facts.disks[0].0.state = MemberState::Suspect("EIO".into()), Rhythm::Alarm);
    check(|facts| facts.disks[0].0.state = MemberState::Away, Rhythm::Alarm);
    check(|facts| facts.system.clock_trusted = false, Rhythm::needs_you(7));
    check(|facts| facts.damaged = 1, Rhythm::Alarm);
    check(|facts| facts.gaps = 1, Rhythm::Alarm);
    check(|facts| facts.access = Access::ReadOnly { since: 9 }, Rhythm::needs_you(3));
    check(|facts| facts.scrubs[0].round.repaired = 1, Rhythm::needs_you(6));
    check(|facts| facts.scrubs[0].round.left = 1, Rhythm::needs_you(6));
    check(|facts| facts.scrubs[0].last.as_mut().unwrap().1.repaired = 2, Rhythm::needs_you(6));
    check(|facts| facts.scrubs[0] = scrub(34), Rhythm::Ready);
    check(|facts| facts.scrubs[0] = scrub(36), Rhythm::needs_you(10));
    check(|facts| facts.scrubs[0].last = None, Rhythm::Ready);
    let of_old = |facts: &mut Facts<'_>| {
        (facts.scrubs[0].last, facts.sources[0].oldest) = (None, record(36 * 24));
    };
    check(of_old, Rhythm::needs_you(10));
    // Stamped by a clock a year ahead; three days of running have passed since.
    let from_the_future = |facts: &mut Facts<'_>| {
        facts.sources[0] = source(-365 * 24);
        facts.stamp.powered_on_s = 3 * 86_400;
    };
    check(from_the_future, Rhythm::needs_you(3));
    let long_ago = Timestamp::from_second(NOW_S - 600).unwrap();
    check(|facts| facts.broker.away_since = Some(long_ago), Rhythm::needs_you(8));
    let just_now = Timestamp::from_second(NOW_S - 1).unwrap();
    check(|facts| facts.broker.away_since = Some(just_now), Rhythm::Ready);
    let gave_up = |facts: &mut Facts<'_>| {
        (facts.broker.away_since, facts.broker.is_given_up) = (Some(just_now), true);
    };
    check(gave_up, Rhythm::needs_you(8));
    // A certificate that nobody believes does not become right by waiting.
    let lasts = |facts: &mut Facts<'_>| {
        (facts.broker.away_since, facts.broker.is_lasting) = (Some(just_now), true);
    };
    check(lasts, Rhythm::needs_you(8));
    // The last trouble is remembered while the broker is there.
    check(|facts| facts.broker.is_lasting = true, Rhythm::Ready);
}

#[test]
fn the_worst_wins_and_work_goes_on_below() {
    let both = |facts: &mut Facts<'_>| (facts.damaged, facts.receiving) = (1, 1);
    check(both, Rhythm::Alarm);
    check(|facts| (facts.damaged, facts.system.clock_trusted) = (1, false), Rhythm::Alarm);
}

/// The owner at the box sees that the box has heard, also while a backup is overdue.
#[test]
fn an_open_window_is_seen_unless_files_are_at_risk() {
    let settings = Settings::default();
    let lamp = |given: fn(&mut Facts<'_>), state| {
        let mut facts = facts(&settings);
        given(&mut facts);
        facts.pairing.state = state;
        let (report, _) = report(&facts, &mut Memory::default());
        assert_eq!(report.pairing.state, state);
        report.health.lamp
    };
    assert_eq!(lamp(|_| {}, PairingState::Open), Rhythm::Pairing);
    assert_eq!(lamp(|facts| facts.sources.clear(), PairingState::Open), Rhythm::Pairing);
    assert_eq!(lamp(|facts| facts.receiving = 1, PairingState::Open), Rhythm::Pairing);
    assert_eq!(lamp(|facts| facts.damaged = 1, PairingState::Open), Rhythm::Alarm);
    assert_eq!(lamp(|_| {}, PairingState::Locked), Rhythm::Ready);
}

/// The kinds of events among the actions.
fn events(actions: &[Action]) -> Vec<EventType> {
    let event = |action: &Action| match action {
        Action::Tell(Happening { what, .. }) => Some(what.event_type()),
        Action::Light(_)
        | Action::Answer
        | Action::OpenPairing
        | Action::ReleaseOffsite
        | Action::FlushIndex
        | Action::Remember(_) => None,
    };
    actions.iter().filter_map(event).collect()
}

#[test]
fn the_lamp_is_lit_anew_only_when_it_changes() {
    let settings = Settings::default();
    let (mut facts, mut memory) = (facts(&settings), Memory::default());
    let mut acted = |facts: &Facts<'_>| {
        let mut actions = report(facts, &mut memory).1;
        actions.retain(|action| matches!(action, Action::Light(_)));
        actions
    };
    assert_eq!(acted(&facts), [Action::Light(Rhythm::Ready)]);
    assert_eq!(acted(&facts), []);
    facts.receiving = 1;
    assert_eq!(acted(&facts), [Action::Light(Rhythm::Busy)]);
}

#[test]
fn the_index_is_written_out_every_half_minute_of_running() {
    let settings = Settings::default();
    let (mut facts, mut memory) = (facts(&settings), Memory::default());
    let mut flushes = |powered_on_s: u64| {
        facts.stamp.powered_on_s = powered_on_s;
        report(&facts, &mut memory).1.contains(&Action::FlushIndex)
    };
    let seconds = [500, 505, 529, 530, 535, 559, 561, 590, 591];
    assert_eq!(seconds.map(&mut flushes), [false, false, false, true, false, false, true, false, true]);
}

#[test]
fn a_condition_is_told_once_and_remembers_since_when() {
    let settings = Settings::default();
    let mut memory = Memory::default();
    let mut facts = facts(&settings);
    facts.sources[0] = source(100);
    let (first, told) = report(&facts, &mut memory);
    assert_eq!(events(&told)[0], EventType::ConditionRaised);
    facts.now = Timestamp::from_second(NOW_S + 60).unwrap();
    let (second, told) = report(&facts, &mut memory);
    assert!(events(&told).is_empty());
    assert_eq!(second.health.conditions[0].since, first.health.conditions[0].since);
    facts.sources[0] = source(0);
    let (third, told) = report(&facts, &mut memory);
    assert_eq!((events(&told)[0], third.health.level), (EventType::ConditionCleared, Level::Fine));
}

#[test]
fn growth_is_foretold_after_a_week_and_over_restarts() {
    let settings = Settings::default();
    let mut facts = facts(&settings);
    let (mut memory, mut kept) = (Memory::default(), crate::report::Remembered::default());
    for day in 0..8_u32 {
        facts.now = Timestamp::from_second(NOW_S + i64::from(day) * 86_400).unwrap();
        facts.sources[0] = source(i64::from(day) * -24 - 1);
        facts.stored_bytes = (1 << 37) + (1 << 30) * u64::from(day);
        let (report, actions) = report(&facts, &mut memory);
        assert_eq!(report.vault.days_left.is_some(), day >= 7, "day {day}: {:?}", report.vault.days_left);
        kept = remembered(actions).unwrap_or(kept);
        memory = Memory::of(kept.clone());
    }
    assert!(report(&facts, &mut memory).0.vault.days_left.is_some(), "also after a restart");
    // Of an absent disk no room is known, least of all that it is full today.
    facts.disks[0].0.space = None;
    assert_eq!(report(&facts, &mut memory).0.vault.days_left, None);
}

#[test]
fn a_date_never_speaks_of_something_that_does_not_happen() {
    let check = |given: fn(&mut SourceFacts), expect: &str, never: &str| {
        let mut source = source(1);
        given(&mut source);
        let told = answers::of(&source, &TimeZone::UTC).kept_how_long;
        assert!(told.contains(expect) && !told.contains(never), "{told}");
    };
    let day: fn(&mut SourceFacts) =
        |source| source.next_to_go = Some((4, Timestamp::from_second(NOW_S).unwrap()));
    check(day, "at least until 2026-09-21", "snapshot 4");
    check(|_| {}, "no newer backup", "until");
    check(|source| source.on_hold = true, "on hold", "until");
    let settings = Settings::default();
    let mut facts = facts(&settings);
    day(&mut facts.sources[0]);
    let next = report(&facts, &mut Memory::default()).0.retention.next_to_go.expect("one has a date");
    assert!(next.why.contains("at least until then"), "{}", next.why);
}

#[test]
fn one_backup_is_not_several() {
    let mut source = source(1);
    assert!(answers::of(&source, &TimeZone::UTC).older_versions.ends_with("(1 backup)."));
    source.snapshots = 2;
    assert!(answers::of(&source, &TimeZone::UTC).older_versions.ends_with("(2 backups)."));
}

#[test]
fn what_is_not_counted_yet_is_not_told_as_none() {
    let check = |counts: Counts, expect: &str| {
        let mut source = source(1);
        source.counts = counts;
        let told = answers::of(&source, &TimeZone::UTC).deleted_files;
        assert!(told.contains(expect), "{told}");
    };
    let complete = Counts { is_complete: true, ..Counts::default() };
    check(complete, "No file has been deleted");
    check(Counts::default(), "being counted");
    check(Counts { deleted_at_least: true, ..complete }, "could not be counted");
    check(Counts { deleted: 1, ..complete }, "One deleted file");
    check(Counts { deleted: 1, ..Counts::default() }, "At least 1");
    let check = |counts: Counts, expect: &str| {
        let mut source = source(1);
        source.counts = counts;
        let told = answers::of(&source, &TimeZone::UTC).older_versions;
        assert!(told.contains(expect), "{told}");
    };
    check(complete, "No file has changed");
    check(Counts::default(), "being counted");
    check(Counts { changed_at_least: true, ..complete }, "could not be counted");
    check(Counts { changed: 3, versions: 9, changed_at_least: true, ..complete }, "At least 9 versions");
}

/// Whatever devices claim, the sums stop at the largest number.
#[test]
fn claims_add_up_without_overflow() {
    let settings = Settings::default();
    let mut facts = facts(&settings);
    let mut endless = (*record(1)).clone();
    endless.snapshot.totals = Totals { files: u64::MAX, directories: 1, bytes: u64::MAX };
    facts.sources.push(SourceFacts { newest: Arc::new(endless), ..source(1) });
    let vault = report(&facts, &mut Memory::default()).0.vault;
    assert_eq!((vault.files, vault.protected_bytes), (u64::MAX, u64::MAX));
}

/// A key that only adds backups hears of its own source, and of damage without the names of files.
#[test]
fn conditions_name_nobody_else() {
    let settings = Settings::default();
    let mut facts = facts(&settings);
    facts.sources[0] = source(100);
    facts.sources.push(SourceFacts { source: "ada/private".into(), ..source(100) });
    (facts.damaged, facts.system.clock_trusted) = (1, false);
    let piece = Hash::ZERO;
    let diary = LostFile { source: "ada/private".into(), path: "diary.txt".into(), snapshot: 1, piece };
    facts.lost_files.push(diary);
    let health = report(&facts, &mut Memory::default()).0.health;
    let told = |is_own: &dyn Fn(&str) -> bool| format!("{:?}", health.without_names(is_own).conditions);
    assert!(format!("{health:?}").contains("diary.txt"));
    let stranger = told(&|_| false);
    assert!(
        !stranger.contains("laptop") && !stranger.contains("diary") && !stranger.contains("ada/"),
        "{stranger}"
    );
    assert!(stranger.contains("could not be read back") && stranger.contains("clock"), "{stranger}");
    let others = "Another computer's backups need a look.";
    assert_eq!(stranger.matches(others).count(), 1, "needs you, and no reason: {stranger}");
    let owner = told(&|source| source == "laptop/photos");
    assert!(owner.contains("laptop/photos has not made") && owner.contains(others), "{owner}");
}

/// Lost files are named in the alarm; the proof is as old as the disk read longest ago.
#[test]
fn what_is_lost_is_named_and_what_is_read_back_is_dated() {
    let settings = Settings::default();
    let mut facts = facts(&settings);
    facts.scrubs.push(scrub(9));
    facts.scrubs[1].last.as_mut().unwrap().1.repaired = 3;
    let proof = report(&facts, &mut Memory::default()).0.proof;
    assert_eq!(proof.last_scrub, Timestamp::from_millisecond(stamp(9).time_ms).ok());
    assert_eq!(proof.repaired, 3);
    facts.scrubs[1].last = None;
    assert_eq!(report(&facts, &mut Memory::default()).0.proof.last_scrub, None);
    assert_eq!(names_of(&[]), "");
    let many: Vec<_> = (0..9).map(|number| ("laptop/docs".to_owned(), format!("{number}.txt"))).collect();
    let named = names_of(&many);
    assert!(named.starts_with("0.txt of laptop/docs, 1.txt") && named.ends_with("and 6 more"), "{named}");
}

/// What the owner has seen is quiet until something new happens, and never says that a restore would succeed.
#[test]
fn what_was_seen_is_quiet_until_something_is_new() {
    let settings = Settings::default();
    let (mut facts, mut memory) = (facts(&settings), Memory::default());
    facts.sources[0] = source(100);
    report(&facts, &mut memory);
    memory.acknowledge(Level::NeedsYou);
    let health = |facts: &Facts<'_>, memory: &mut Memory| report(facts, memory).0.health;
    let seen = health(&facts, &mut memory);
    assert_eq!((seen.level, seen.lamp), (Level::Fine, Rhythm::Quiet));
    assert!(seen.conditions.len() == 1 && seen.conditions[0].acknowledged);
    facts.receiving = 1;
    assert_eq!(health(&facts, &mut memory).lamp, Rhythm::Busy);
    facts.receiving = 0;
    facts.system.clock_trusted = false;
    let new = health(&facts, &mut memory);
    assert_eq!((new.level, new.lamp), (Level::NeedsYou, Rhythm::needs_you(7)), "the new one, not the old");
    facts.system.clock_trusted = true;
    facts.sources[0] = source(1);
    assert_eq!(health(&facts, &mut memory).lamp, Rhythm::Ready);
    facts.sources[0] = source(100);
    assert_eq!(health(&facts, &mut memory).lamp, Rhythm::needs_you(3), "overdue once more is new");
}

/// Whoever answers an alarm over MQTT may be whoever caused it.
#[test]
fn an_alarm_yields_at_the_box_alone_and_comes_back_when_it_grows() {
    let settings = Settings::default();
    let (mut facts, mut memory) = (facts(&settings), Memory::default());
    facts.gaps = 1;
    report(&facts, &mut memory);
    memory.acknowledge(Level::NeedsYou);
    assert_eq!(report(&facts, &mut memory).0.health.lamp, Rhythm::Alarm);
    memory.acknowledge(Level::Alarm);
    let seen = report(&facts, &mut memory).0.health;
    assert_eq!((seen.level, seen.lamp), (Level::NeedsYou, Rhythm::Quiet), "files at risk are never fine");
    facts.gaps = 2;
    let worse = report(&facts, &mut memory).0.health;
    assert_eq!((worse.level, worse.lamp), (Level::Alarm, Rhythm::Alarm));
}

/// The last thing that a run wanted to be remembered.
fn remembered(actions: Vec<Action>) -> Option<crate::report::Remembered> {
    actions.into_iter().rev().find_map(|action| match action {
        Action::Remember(remembered) => Some(remembered),
        _ => None,
    })
}

/// A condition is raised once, keeps its `since` over restarts, and goes once.
#[test]
fn a_restart_tells_nothing_twice_and_forgets_nothing_that_was_seen() {
    let settings = Settings::default();
    let (mut facts, mut memory) = (facts(&settings), Memory::default());
    facts.sources[0] = source(100);
    let (first, told) = report(&facts, &mut memory);
    assert!(remembered(told).is_some());
    facts.refused = refused_laptop();
    let told = report(&facts, &mut memory).1;
    assert_eq!(remembered(told).expect("it waits for room").refused, facts.refused);
    facts.refused.clear();
    memory.acknowledge(Level::NeedsYou);
    let kept = remembered(report(&facts, &mut memory).1).expect("it was seen");
    assert_eq!(remembered(report(&facts, &mut memory).1), None, "nothing is written twice");

    let mut memory = Memory::of(kept.clone());
    facts.now = Timestamp::from_second(NOW_S + 60).unwrap();
    let (second, told) = report(&facts, &mut memory);
    assert!(events(&told).is_empty(), "{told:?}");
    assert_eq!(second.health.conditions[0].since, first.health.conditions[0].since);
    assert_eq!(second.health.lamp, Rhythm::Quiet);

    // What is not met at once is not over at once.
    let mut memory = Memory::of(kept);
    facts.sources[0] = source(1);
    assert!(events(&report(&facts, &mut memory).1).is_empty());
    facts.now = Timestamp::from_second(NOW_S + 60 + 600).unwrap();
    assert_eq!(events(&report(&facts, &mut memory).1), [EventType::ConditionCleared]);
    assert!(events(&report(&facts, &mut memory).1).is_empty());
}

/// In its first day a box owes nothing; its lamp does not claim that anything could be restored.
#[test]
fn a_new_box_is_not_overdue_and_not_ready() {
    let settings = Settings::default();
    let mut facts = facts(&settings);
    facts.sources.clear();
    facts.lived_s = 86_399;
    let young = report(&facts, &mut Memory::default()).0.health;
    assert_eq!((young.level, young.lamp), (Level::Fine, Rhythm::Quiet));
    facts.lived_s = 86_400;
    assert_eq!(report(&facts, &mut Memory::default()).0.health.lamp, Rhythm::needs_you(3));
}

#[test]
fn a_retirement_is_shown_until_it_is_in_force() {
    let letting_go = |facts: &mut Facts<'_>| {
        facts.sources[0].letting_go = Some(LettingGo { snapshots: 2, left_s: 5 });
    };
    check(letting_go, Rhythm::needs_you(9));
    let label_ending = |facts: &mut Facts<'_>| {
        let label = LabelFacts { snapshot: 4, text: String::new(), until: None, shortens_in_s: Some(5) };
        facts.sources[0].labels = vec![label];
    };
    check(label_ending, Rhythm::needs_you(9));
    check(|facts| facts.sources[0].retires_in_s = Some(72 * 3600), Rhythm::needs_you(9));
    check(|facts| facts.sources[0] = SourceFacts { retires_in_s: Some(0), ..source(100) }, Rhythm::Ready);
    check(|facts| facts.sources[0] = SourceFacts { is_cut_off: true, ..source(100) }, Rhythm::Ready);
    let sold = || SourceFacts { is_cut_off: true, retires_in_s: Some(72 * 3600), ..source(100) };
    check(|facts| facts.sources[0] = sold(), Rhythm::Ready);
}

fn retained(sequence: u64) -> RetainedHead {
    RetainedHead { head: Head { sequence, hash: Hash::of(b"an entry") }, said: Timestamp::UNIX_EPOCH }
}

/// What proves a lost past must not be overwritten before somebody at the box has said that it is right; a word over MQTT is not
/// somebody at the box.
#[test]
fn a_past_that_the_box_announced_and_lost_yields_at_the_box_alone() {
    let settings = Settings::default();
    let (mut facts, mut memory) = (facts(&settings), Memory::default());
    let hear = |event: &AgentEvent, memory: &mut Memory| {
        drop(events::hear(event, memory, Timestamp::from_second(NOW_S).unwrap(), String::new()));
    };
    // Nobody has lost anything yet: what is acknowledged now is no word on a later loss.
    hear(&AgentEvent::AcknowledgedHere, &mut memory);
    facts.retained = Some((retained(9), RetainedStanding::Ahead));
    let (told, _) = report(&facts, &mut memory);
    assert_eq!((told.health.level, told.health.lamp), (Level::Alarm, Rhythm::Alarm));
    assert!(told.health.conditions[0].what.contains("ends with entry 2"), "{told:?}");
    assert_eq!((told.head.answers, told.head.is_withheld), (Some(retained(9)), true));
    hear(&AgentEvent::Asked(MqttCommand::Acknowledge), &mut memory);
    let (told, _) = report(&facts, &mut memory);
    assert!(told.head.is_withheld && told.health.level == Level::Alarm);
    hear(&AgentEvent::AcknowledgedHere, &mut memory);
    let (told, _) = report(&facts, &mut memory);
    assert!(!told.head.is_withheld && told.health.level == Level::NeedsYou);
    // Another one is another loss.
    facts.retained = Some((retained(10), RetainedStanding::AnotherEntry));
    let (told, _) = report(&facts, &mut memory);
    assert!(told.head.is_withheld && told.health.conditions[0].what.contains("was changed"), "{told:?}");
    facts.retained = None;
    let (told, _) = report(&facts, &mut memory);
    assert!(!told.head.is_withheld && told.health.conditions.is_empty());
}

#[test]
fn a_head_that_the_ledger_has_or_no_disk_gave_just_now_rings_nothing() {
    let settings = Settings::default();
    for (standing, is_withheld) in [(RetainedStanding::InLedger, false), (RetainedStanding::Unread, true)] {
        let mut facts = facts(&settings);
        facts.retained = Some((retained(2), standing));
        let (told, _) = report(&facts, &mut Memory::default());
        assert_eq!((told.health.level, told.head.is_withheld), (Level::Fine, is_withheld), "{standing:?}");
    }
}

/// One disk that is away is one thing to do; an offsite disk is away as a rule, and excuses nothing.
#[test]
fn a_disk_that_is_away_explains_a_lost_past_and_is_told_once() {
    let settings = Settings::default();
    let told = |role: DiskRole| {
        let mut facts = facts(&settings);
        let mut away = facts.disks[0].clone();
        (away.0.id, away.0.path, away.0.state) = ("ff".repeat(8), "/away".to_owned(), MemberState::Away);
        (away.0.role, away.0.space, away.0.complete) = (role, None, Some(stamp(0)));
        facts.disks.push(away);
        facts.retained = Some((retained(9), RetainedStanding::Ahead));
        let (told, _) = report(&facts, &mut Memory::default());
        let what = told.health.conditions.iter().map(|it| it.what.clone()).collect::<Vec<_>>();
        assert!(told.head.is_withheld);
        (told.health.level, what)
    };
    let (level, what) = told(DiskRole::Home);
    assert_eq!((level, what.len()), (Level::NeedsYou, 1), "{what:?}");
    assert!(what[0].contains("the disk of /away is away"), "{what:?}");
    let (level, what) = told(DiskRole::Offsite);
    assert_eq!(level, Level::Alarm, "{what:?}");
    assert!(what[0].contains("older than it was"), "{what:?}");
}
