use super::super::tests::{NOW_S, facts, refused_laptop};
use super::super::{Memory, report as whole_report};
use super::*;
use crate::decide::facts::WhyRejected;
use jiff::Timestamp;
use larder_firmware_config::Settings;
use larder_format::ledger::DiskRole;
use larder_format::ledger::WallStamp;
use larder_panel::Rhythm;
use larder_store::disk::Space;

fn stamp(days_ago: i64) -> Option<WallStamp> {
    Some(WallStamp { time_ms: (NOW_S - days_ago * 86_400) * 1000, trusted: true, powered_on_s: 0 })
}

/// One healthy disk at home and one that `given` changes: lamp, level, and a word of the first condition.
fn check(given: impl Fn(&mut Facts<'_>, &mut MemberView), lamp: Rhythm, says: &str) {
    let settings = Settings::default();
    let mut facts = facts(&settings);
    let mut second =
        MemberView { id: "fedcba9876543210".into(), path: "/b/larder".into(), ..facts.disks[0].0.clone() };
    given(&mut facts, &mut second);
    facts.disks.push((second, Flush::Unproven));
    let (report, _) = whole_report(&facts, &mut Memory::default());
    assert_eq!(report.health.lamp, lamp, "{says}");
    let told = report.health.conditions.first().map_or(String::new(), |condition| condition.what.clone());
    assert!(told.contains(says), "{told:?} lacks {says:?}");
    assert_eq!(report.disks[1].flush, Flush::Unproven, "what is not known is never read as fine");
    assert_ne!(report.disks[1].health, DiskHealth::Fine);
}

#[test]
fn each_state_of_a_disk_has_its_words() {
    let four = Rhythm::needs_you(4);
    check(|_, _| {}, Rhythm::Ready, "");
    check(|_, disk| disk.state = MemberState::Away, four, "not connected");
    check(|_, disk| disk.state = MemberState::Failed("EIO".into()), four, "failed.");
    check(|_, disk| disk.state = MemberState::Suspect("EIO".into()), four, "more than once");
    let read_only = || MemberState::Suspect("it can only be read".into());
    assert!(read_only().is_read_only());
    check(|_, disk| disk.state = read_only(), four, "can only be read: the system stopped writing");
    check(|_, disk| disk.state = MemberState::Behind(3), four, "lacks 3 files");
    check(|_, disk| disk.state = MemberState::Behind(1), four, "lacks 1 file that");
    let full = |_: &mut Facts<'_>, disk: &mut MemberView| {
        (disk.state, disk.is_full) = (MemberState::Behind(3), true);
    };
    check(full, four, "is full, and newer backups are not on it");
    check(|_, disk| disk.state = MemberState::Forked, four, "another past");
    check(|_, disk| disk.space = None, four, "does not say how much room");
    check(|_, disk| disk.leaving = stamp(1), four, "asked to forget");
    let older = |_: &mut Facts<'_>, disk: &mut MemberView| {
        (disk.state, disk.is_older_copy) = (MemberState::Behind(3), true);
    };
    check(older, four, "older copy");
    let stranger = |facts: &mut Facts<'_>, _: &mut MemberView| {
        let why = WhyRejected::Problem("it belongs to another vault".into());
        facts.registry.rejected.push(("/c".into(), why));
    };
    check(stranger, four, "not used: it belongs");
    let released = |facts: &mut Facts<'_>, disk: &mut MemberView| {
        disk.state = MemberState::Away;
        facts.registry.released.insert(disk.id.clone());
    };
    check(released, four, "may be unplugged");
}

#[test]
fn the_last_disk_that_goes_is_an_alarm() {
    for state in [MemberState::Away, MemberState::Failed("EIO".into()), MemberState::Suspect("EIO".into())] {
        let both = |facts: &mut Facts<'_>, disk: &mut MemberView| {
            facts.disks[0].0.state = state.clone();
            disk.state = state.clone();
        };
        check(both, Rhythm::Alarm, "The backup disk at /disk");
    }
}

/// The only disk is pulled, or failed, or silent: an owner who hears "full" would buy a larger disk.
#[test]
fn a_disk_that_takes_nothing_is_not_called_full() {
    let settings = Settings::default();
    let failed = || "EIO".to_owned();
    let states = [
        (MemberState::Away, &[1][..]),
        (MemberState::Failed(failed()), &[1]),
        (MemberState::Suspect(failed()), &[1]),
        (MemberState::Forked, &[4]),
        (MemberState::Behind(3), &[4]),
        // Pulled, before the next look.
        (MemberState::Healthy, &[4]),
    ];
    for (state, codes) in states {
        for free in [None, Some(0)] {
            let mut facts = facts(&settings);
            facts.refused = refused_laptop();
            facts.disks[0].0.state = state.clone();
            facts.disks[0].0.space = free.map(|free| Space { total: 1 << 40, free });
            let (report, _) = whole_report(&facts, &mut Memory::default());
            let told: Vec<_> =
                report.health.conditions.iter().map(|condition| condition.code.number()).collect();
            let is_full = state == MemberState::Healthy && free.is_some();
            assert_eq!(told, if is_full { &[5] } else { codes }, "{state:?}, free: {free:?}");
        }
    }
}

/// An absent second disk hides no trouble of the disk that backups go to.
#[test]
fn the_disk_that_is_left_is_called_full_when_it_is() {
    let settings = Settings::default();
    let mut facts = facts(&settings);
    let mut second = MemberView { id: "fedcba9876543210".into(), ..facts.disks[0].0.clone() };
    (second.state, second.space) = (MemberState::Away, None);
    facts.disks[0].0.space = Some(Space { total: 1 << 40, free: 0 });
    facts.disks.push((second, Flush::Unproven));
    let (report, _) = whole_report(&facts, &mut Memory::default());
    let told: Vec<_> = report.health.conditions.iter().map(|condition| condition.code.number()).collect();
    assert_eq!(told, [4, 5]);
    assert_eq!(report.health.conditions[1].what, "The backup disk at /disk is full.");
}

/// Only a disk that takes backups can refuse them: a disk being filled, or failed, has a condition of its own.
#[test]
fn a_disk_that_takes_no_backups_is_not_the_full_one() {
    let settings = Settings::default();
    let mut facts = facts(&settings);
    let mut second =
        MemberView { id: "fedcba9876543210".into(), path: "/b".into(), ..facts.disks[0].0.clone() };
    second.space = Some(Space { total: 1 << 40, free: 0 });
    second.state = MemberState::Behind(3);
    facts.disks.push((second, Flush::Unproven));
    let codes = |facts: &Facts<'_>| -> Vec<u8> {
        let (report, _) = whole_report(facts, &mut Memory::default());
        assert_eq!(report.vault.free_bytes, facts.disks[0].0.space.map(|space| space.free));
        report.health.conditions.iter().map(|condition| condition.code.number()).collect()
    };
    assert_eq!(codes(&facts), [4]);
    facts.refused = refused_laptop();
    let (report, _) = whole_report(&facts, &mut Memory::default());
    assert_eq!(report.health.conditions[1].what, "The backup disk at /disk is full.");
    facts.disks[0].0.space = None;
    assert_eq!(codes(&facts), [4, 4], "nothing is known of its room");
}

#[test]
fn an_offsite_disk_is_missed_only_when_it_is_overdue() {
    let gone_for = |days| {
        move |_: &mut Facts<'_>, disk: &mut MemberView| {
            (disk.role, disk.state, disk.complete) = (DiskRole::Offsite, MemberState::Away, stamp(days));
        }
    };
    check(gone_for(35), Rhythm::Ready, "");
    check(gone_for(36), Rhythm::needs_you(4), "not been filled for 36 days");
    let never = |_: &mut Facts<'_>, disk: &mut MemberView| {
        (disk.role, disk.state) = (DiskRole::Offsite, MemberState::Away)
    };
    check(never, Rhythm::needs_you(4), "never been filled");
}

#[test]
fn an_offsite_disk_may_be_unplugged_only_once_it_is_filled() {
    let settings = Settings::default();
    let mut facts = facts(&settings);
    facts.disks[0].0.role = DiskRole::Offsite;
    let failed = || "EIO".to_owned();
    let states = [
        (MemberState::Healthy, true),
        (MemberState::Behind(3), false),
        (MemberState::Failed(failed()), false),
        (MemberState::Suspect(failed()), false),
        (MemberState::Forked, false),
        (MemberState::Away, false),
    ];
    for (state, may_unplug) in states {
        facts.disks[0].0.state = state.clone();
        let (report, _) = whole_report(&facts, &mut Memory::default());
        assert_eq!(report.disks[0].may_unplug, may_unplug, "{state:?}");
    }
}

#[test]
fn the_lamp_says_once_that_a_disk_may_be_unplugged() {
    let settings = Settings::default();
    let mut facts = facts(&settings);
    let mut memory = Memory::default();
    let mut lamp = |facts: &mut Facts<'_>, after_s: i64| {
        facts.now = Timestamp::from_second(NOW_S + after_s).unwrap();
        whole_report(facts, &mut memory).0.health.lamp
    };
    assert_eq!(lamp(&mut facts, 0), Rhythm::Ready);
    facts.disks[0].0.role = DiskRole::Offsite;
    assert_eq!(lamp(&mut facts, 1), Rhythm::MayUnplug);
    assert_eq!(lamp(&mut facts, 6), Rhythm::MayUnplug);
    assert_eq!(lamp(&mut facts, 12), Rhythm::Ready);
}

#[test]
fn fewer_copies_than_wanted_are_told() {
    let mut settings = Settings::default();
    settings.vault.copies = 2;
    let facts = facts(&settings);
    let (report, _) = whole_report(&facts, &mut Memory::default());
    assert!(report.health.conditions[0].what.contains("There is 1 copy of your backups, not 2"));
}

/// A dashboard warns at a share of its owner's choice.
#[test]
fn a_disk_that_is_three_quarters_full_says_75_percent() {
    let settings = Settings::default();
    let mut facts = facts(&settings);
    let used_percent =
        |facts: &Facts<'_>| whole_report(facts, &mut Memory::default()).0.disks[0].used_percent;
    facts.disks[0].0.space = Some(Space { total: 4 << 40, free: 1 << 40 });
    assert_eq!(used_percent(&facts), Some(75.0));
    facts.disks[0].0.space = Some(Space { total: 3 << 40, free: 2 << 40 });
    assert_eq!(used_percent(&facts), Some(33.333));
    facts.disks[0].0.space = None;
    assert_eq!(used_percent(&facts), None, "of an absent disk nothing is known");
}
