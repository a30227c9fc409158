//! What has to wait before it goes: files, content, a sweep, a plan. Each wait has a reason, and ends.

use harness::plain::{self, Files, files, push, restore, stamp};
use larder_format::ledger::{Event, Rule, Snapshot, Stamp};
use larder_store::disk::{Disk, MemoryDisk};
use larder_store::{StoreError, Vault};
use std::sync::Arc;

const NEWEST_ONLY: Rule =
    Rule { everything_days: 0, daily_days: 0, weekly_days: 0, monthly_days: Some(0), newest: 1 };
const WEEK: u64 = 7 * 24;

/// A vault with a past of which all but the newest backup may go.
struct Old {
    disk: MemoryDisk,
    vault: Vault,
    hour: u64,
    /// What was pushed, oldest first.
    backups: Vec<(Snapshot, Files)>,
}

impl Old {
    fn new() -> Self {
        let disk = MemoryDisk::new();
        let vault = plain::open(vec![Arc::new(disk.clone())]).expect("opens");
        let mut old = Self { disk, vault, hour: 0, backups: Vec::new() };
        old.vault.append(stamp(0), Event::RetentionSet(NEWEST_ONLY)).expect("written");
        for number in 1..6u8 {
            old.wait(24);
            let files = files([("a.txt", &[number; 600]), ("b.txt", &[number ^ 128; 650])]);
            let pushed = push(&old.vault, "laptop/docs", &files, number.into(), stamp(old.hour));
            old.backups.push((pushed.expect("a push").fact.snapshot.clone(), files));
        }
        old
    }

    fn wait(&mut self, hours: u64) {
        for _ in 0..hours {
            self.hour += 1;
            self.vault.look_at_clock(stamp(self.hour));
        }
    }

    fn open_again(&mut self) {
        self.vault = plain::open(vec![Arc::new(self.disk.clone())]).expect("opens");
    }

    fn prune(&mut self) {
        let plan = self.vault.plan_prune(stamp(self.hour));
        assert_eq!(plan.snapshots.len(), 4, "the test must let go of something");
        self.vault.prune(&plan, stamp(self.hour)).expect("obeyed");
    }

    /// Why the sweep does nothing at this moment.
    fn waits(&self) -> Option<String> {
        self.vault.sweep_step(stamp(self.hour), 1000).expect("a step").waits
    }

    /// Sweeps until there is nothing to do; packs that went, and files.
    fn sweep(&mut self) -> (u64, u64) {
        if self.waits().is_some() {
            self.wait(2);
        }
        let (mut packs, mut removed) = (0, 0);
        for _ in 0..200 {
            let swept = self.vault.sweep_step(stamp(self.hour), 1000).expect("a step");
            assert_eq!(swept.waits, None);
            (packs, removed) = (packs + swept.packs, removed + swept.files_removed);
            if !swept.is_under_way && swept.packs == 0 {
                return (packs, removed);
            }
        }
        panic!("the sweep does not end");
    }

    fn packs(&self) -> usize {
        self.disk.files().iter().filter(|(path, _)| path.ends_with(".pack")).count()
    }
}

/// Whoever finds a mistake has a day: the files of what went are there that long, and no longer.
#[test]
fn files_stay_for_a_day_after_their_pack_went() {
    let mut old = Old::new();
    old.prune();
    // Pushes of this run would keep their packs for a day or two.
    old.open_again();
    old.wait(WEEK + 24);
    let before = old.packs();
    let (packs, removed) = old.sweep();
    assert!(packs > 0 && removed == 0, "{packs} packs went, {removed} files at once");
    old.wait(20);
    old.sweep();
    assert!(old.packs() >= before, "20 hours later files are missing");
    old.wait(10);
    old.sweep();
    assert!(old.packs() < before, "30 hours later they are gone");
}

/// The file of a pack that went is still there, but nobody is told that what is in it is held, also after a start.
#[test]
fn what_went_is_asked_for_again_although_its_file_is_there() {
    let mut old = Old::new();
    old.prune();
    old.open_again();
    old.wait(WEEK + 24);
    assert!(old.sweep().0 > 0, "the test must free something");
    old.open_again();
    let (_, files) = old.backups[0].clone();
    let again = push(&old.vault, "laptop/docs", &files, 50, stamp(old.hour)).expect("a push");
    for _ in 0..3 {
        old.wait(30);
        old.sweep();
    }
    for _ in 0..2 {
        assert_eq!(restore(&old.vault, again.fact.snapshot.root).expect("whole"), files);
        old.open_again();
    }
}

/// A backup that was let go of can be given back for a week, whatever is swept meanwhile; then its room comes back.
#[test]
fn what_was_let_go_of_can_be_given_back_for_a_week() {
    let mut old = Old::new();
    old.prune();
    let (Snapshot { root, .. }, files) = old.backups[0].clone();
    for _ in 0..3 {
        old.wait(48);
        old.sweep();
        assert!(restore(&old.vault, root).is_ok_and(|found| found == files), "hour {}", old.hour);
    }
    for _ in 0..3 {
        old.wait(48);
        old.sweep();
    }
    assert!(restore(&old.vault, root).is_err(), "the test must free something");
}

/// A backup that comes in the middle of a sweep, and names old content without having asked for it, keeps it: whatever
/// is committed before its packs go is walked before they go.
#[test]
fn a_backup_that_names_old_content_keeps_it() {
    let mut kept = 0;
    for steps in 0.. {
        let mut old = Old::new();
        old.prune();
        old.open_again();
        old.wait(WEEK + 24);
        if old.waits().is_some() {
            old.wait(2);
        }
        for _ in 0..steps {
            old.vault.sweep_step(stamp(old.hour), 1).expect("a step");
        }
        let (Snapshot { root, totals, .. }, files) = old.backups[0].clone();
        let again = old.vault.commit(plain::snapshot("laptop/docs", 60, root, totals), stamp(old.hour));
        if matches!(again, Err(StoreError::Missing { .. })) {
            break;
        }
        again.expect("all of it is there");
        for _ in 0..3 {
            old.wait(30);
            old.sweep();
        }
        let back = restore(&old.vault, root);
        assert!(back.is_ok_and(|back| back == files), "after {steps} steps of the sweep");
        kept += 1;
    }
    assert!(kept > 5, "the backup must meet a sweep: {kept}");
}

/// Nothing is freed while somebody holds history, or while nobody knows what the ledger once said.
#[test]
fn nothing_is_freed_during_a_hold_or_with_a_hole_in_the_ledger() {
    let mut old = Old::new();
    old.prune();
    old.sweep();
    let hold = Event::HoldSet { source: None, reason: "many files changed".to_owned() };
    let hold = old.vault.append(stamp(old.hour), hold).expect("written").sequence;
    old.wait(WEEK + 24);
    assert!(old.waits().is_some_and(|why| why.contains("hold")));
    old.vault.append(stamp(old.hour), Event::HoldCleared { sequence: hold }).expect("written");
    old.wait(71);
    assert!(old.waits().is_some_and(|why| why.contains("hold")), "the end of a hold waits as well");
    old.wait(2);
    assert_eq!(old.waits(), None);
    old.disk.remove("ledger/000000/000000000003.entry").expect("it is there");
    old.open_again();
    assert_eq!(old.vault.ledger().gaps, [3]);
    old.waits();
    old.wait(2);
    assert!(old.waits().is_some_and(|why| why.contains("gaps")));
}

/// A push that an earlier run of the agent answered may still go on: nobody knows any more what it was told.
#[test]
fn a_sweep_waits_for_pushes_that_an_earlier_run_answered() {
    let mut old = Old::new();
    old.prune();
    old.wait(WEEK + 24);
    old.open_again();
    assert!(old.waits().is_some_and(|why| why.contains("started")));
    old.wait(2);
    assert_eq!(old.waits(), None);
}

/// A plan that is locked, or that something came after, is refused and changes nothing.
#[test]
fn a_plan_is_obeyed_only_where_it_still_holds() {
    let old = Old::new();
    let now = stamp(old.hour);
    let refused = |plan| {
        let refused = old.vault.prune(&plan, now);
        assert!(matches!(refused, Err(StoreError::Waits { .. })), "{refused:?}");
        assert_eq!(old.vault.ledger().snapshots("laptop/docs").len(), old.backups.len());
    };
    let locked = old.vault.plan_prune(Stamp { trusted: false, ..now });
    assert!(locked.locked.is_some() && !locked.snapshots.is_empty());
    refused(locked);
    let early = old.vault.plan_prune(now);
    assert!(early.locked.is_none() && !early.snapshots.is_empty());
    let hold = Event::HoldSet { source: None, reason: "many files changed".to_owned() };
    old.vault.append(now, hold).expect("written");
    refused(early);
    assert_eq!(old.vault.plan_prune(now).snapshots, [], "a hold without a source keeps every source");
}
