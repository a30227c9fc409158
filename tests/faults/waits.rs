//! What has to wait before it goes: files, content, a sweep, a plan. Each wait has a reason, and ends.

use crate::byzantine_disk::{ByzantineDisk, NEWEST_ONLY};
use crate::letting_go::packs;
use crate::repair::noise;
use harness::plain::{self, Files, files, push, restore, stamp};
use larder_format::ledger::{Event, Snapshot, WallStamp};
use larder_format::pack::PACK_BYTES_AIM;
use larder_store::disk::{Disk, MemoryDisk};
use larder_store::{MemberState, StoreError, Vault};
use std::collections::BTreeSet;
use std::sync::Arc;

const WEEK: u64 = 7 * 24;

/// A vault with a past of which all but the newest backup may go.
struct Old {
    disk: MemoryDisk,
    vault: Arc<Vault>,
    hour: u64,
    /// What was pushed, oldest first.
    backups: Vec<(Snapshot, Files)>,
    /// The pack that came with the newest backup.
    newest_pack: String,
}

impl Old {
    fn new() -> Self {
        let disk = MemoryDisk::new();
        let vault = Arc::new(plain::open(vec![Arc::new(disk.clone())]).expect("opens"));
        let mut old = Self { disk, vault, hour: 0, backups: Vec::new(), newest_pack: String::new() };
        old.vault.append(stamp(0), Event::RetentionSet(NEWEST_ONLY)).expect("written");
        (1..6u8).for_each(|n| old.push(files([("a.txt", &[n; 600]), ("b.txt", &[n ^ 128; 650])])));
        old
    }

    /// Pushes on the next day.
    fn push(&mut self, files: Files) {
        self.wait(24);
        let before = self.packs();
        let number = self.backups.len() as u128 + 1;
        let pushed = push(&self.vault, "laptop/docs", &files, number, stamp(self.hour)).expect("a push");
        self.newest_pack = self.packs().difference(&before).next().expect("it makes a pack").clone();
        self.backups.push((pushed.record.snapshot.clone(), files));
    }

    fn wait(&mut self, hours: u64) {
        for _ in 0..hours {
            self.hour += 1;
            self.vault.look_at_clock(stamp(self.hour));
        }
    }

    fn open_again(&mut self) {
        self.open_on(Arc::new(self.disk.clone()));
    }

    fn open_on(&mut self, disk: Arc<dyn Disk>) {
        self.vault = Arc::new(plain::open(vec![disk]).expect("opens"));
    }

    fn prune(&mut self) {
        let plan = self.vault.plan_prune(stamp(self.hour));
        let kept = self.vault.ledger().snapshots("laptop/docs").len();
        assert_eq!(plan.snapshots.len(), kept - 1, "all but the newest go");
        assert!(kept > 1, "the test must let go of something");
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

    fn packs(&self) -> BTreeSet<String> {
        packs(&self.disk)
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
    let before = old.packs().len();
    let (packs, removed) = old.sweep();
    assert!(packs > 0 && removed == 0, "{packs} packs went, {removed} files at once");
    old.wait(20);
    old.sweep();
    assert!(old.packs().len() >= before, "20 hours later files are missing");
    old.wait(10);
    old.sweep();
    assert!(old.packs().len() < before, "30 hours later they are gone");
}

/// A file that cannot be removed is not taken for one that is gone.
#[test]
fn a_disk_that_removes_nothing_has_failed() {
    let mut old = Old::new();
    old.prune();
    let byzantine = ByzantineDisk::new(&old.disk);
    old.open_on(byzantine.arc());
    old.wait(WEEK + 24);
    assert!(old.sweep().0 > 0, "the test must let go of a pack");
    old.wait(30);
    let all = old.packs();
    byzantine.refuse_removals();
    let failed = (0..20).any(|_| old.vault.sweep_step(stamp(old.hour), 1000).is_err());
    assert!(failed && old.packs() == all, "nobody hears of it");
    assert_ne!(old.vault.disks()[0].state, MemberState::Healthy);
}

/// Something that is kept cannot be found: what was let go of stays on the disk, however long that takes, since a part of it
/// may be there.
#[test]
fn files_stay_until_everything_kept_was_found_without_them() {
    let mut old = Old::new();
    old.prune();
    // Pushes of this run would keep their packs for a day or two.
    old.open_again();
    old.wait(WEEK + 24);
    let all = old.packs();
    assert!(old.sweep().0 > 0, "the test must let go of a pack");
    assert!(old.disk.scramble(&old.newest_pack, 0..usize::MAX, 7));
    for _ in 0..3 {
        old.wait(30);
        let failed = (0..20).any(|_| old.vault.sweep_step(stamp(old.hour), 1000).is_err());
        assert!(failed, "nobody can find the newest backup");
        assert_eq!(old.packs(), all, "hour {}", old.hour);
    }
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
        assert_eq!(restore(&old.vault, again.record.snapshot.root).expect("whole"), files);
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

/// The week counts for each backup by itself, also when others are let go of after it.
#[test]
fn what_goes_later_shortens_no_week() {
    let mut old = Old::new();
    old.prune();
    let (Snapshot { root, .. }, first) = old.backups[0].clone();
    old.push(files([("a.txt", b"the next day")]));
    old.prune();
    // Pushes of this run would keep their packs for a day or two.
    old.open_again();
    for _ in 0..2 {
        old.wait(48);
        old.sweep();
        assert!(restore(&old.vault, root).is_ok_and(|found| found == first), "hour {}", old.hour);
    }
    old.wait(72);
    old.sweep();
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
        let again = old
            .vault
            .by(&plain::APPLIANCE)
            .commit(plain::snapshot("laptop/docs", 60, root, totals), stamp(old.hour));
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

/// As long as the index does not know every pack, a copy that healed another one may be among those that it does not
/// know: nothing goes.
#[test]
fn nothing_goes_while_the_index_is_made_anew() {
    let disk = MemoryDisk::new();
    let open = || plain::open(vec![Arc::new(disk.clone())]).expect("opens");
    let vault = open();
    // Each piece is a pack of its own: more than are entered while somebody waits for a start.
    let film = files([("film.mkv", &noise(1, 300 * 700))]);
    let (root, totals) = plain::send(&vault, &film, Vault::seal_all).expect("a push");
    vault
        .by(&plain::APPLIANCE)
        .commit(plain::snapshot("laptop/films", 1, root, totals), stamp(1))
        .expect("complete");
    drop(vault);
    let vault = open();
    let waits = |hour| vault.sweep_step(stamp(hour), 1000).expect("a step").waits;
    for hour in [2, 9] {
        assert!(waits(hour).is_some_and(|why| why.contains("index")), "hour {hour}");
    }
    while vault.index_pending() > 0 {}
    assert_eq!(waits(9), None);
}

/// A damaged pack is being repaired: no pack goes meanwhile, or the repair would bring back what just went.
#[test]
fn nothing_goes_while_a_repair_is_under_way() {
    let mut old = Old::new();
    old.prune();
    let disk = ByzantineDisk::new(&old.disk);
    old.open_on(disk.arc());
    old.vault.write_parity(u64::MAX).expect("there is room");
    old.wait(WEEK + 24);
    old.waits().expect("it has just started");
    old.wait(2);
    let unneeded = old.packs().into_iter().find(|pack| *pack != old.newest_pack).expect("five backups");
    assert!(old.disk.scramble(&unneeded, 100..160, 7));
    let (weak, now) = (Arc::downgrade(&old.vault), stamp(old.hour));
    disk.at_next(".mended", move || {
        let vault = weak.upgrade().expect("it is open");
        let steps: Vec<_> = (0..20).map(|_| vault.sweep_step(now, 1000).expect("a step")).collect();
        assert_eq!(steps.iter().map(|step| step.packs).sum::<u64>(), 0, "a pack went");
        assert!(steps.iter().any(|step| step.gives_way), "the sweep must come so far");
    });
    let id = old.vault.disks()[0].id.clone();
    let round = old.vault.scrub(&id, u64::MAX, now).expect("a scrub");
    assert!(disk.has_done(), "the test must see a repair");
    assert_eq!((round.damaged, round.repaired), (1, 1));
    let went: u64 = (0..20).map(|_| old.vault.sweep_step(now, 1000).expect("a step").packs).sum();
    assert!(went > 0, "afterwards it goes on");
}

/// On a full disk nothing is written anew, since the room that is left is for backups; what needs no room is done.
#[test]
fn nothing_is_written_anew_on_a_full_disk() {
    let mut old = Old::new();
    // Little of the first pack is needed from now on, and nothing of those after it.
    old.push(files([("a.txt", &[1; 600])]));
    old.prune();
    // Pushes of this run would keep their packs for a day or two.
    old.open_again();
    old.wait(WEEK + 24);
    let before = old.packs();
    let used: u64 = old.disk.files().iter().map(|(_, len)| len).sum();
    // Enough for the little that is needed, and too little for the next pack of a backup.
    old.disk.limit(used + PACK_BYTES_AIM - 1);
    assert!(old.sweep().0 > 0, "what needs no room is done");
    assert!(old.packs().is_subset(&before), "something was written anew");
    old.disk.limit(u64::MAX);
    old.sweep();
    assert!(!old.packs().is_subset(&before), "the test must have something to write anew");
    let (Snapshot { root, .. }, newest) = old.backups.last().expect("six backups");
    assert!(restore(&old.vault, *root).is_ok_and(|found| found == *newest));
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
    let locked = old.vault.plan_prune(WallStamp { trusted: false, ..now });
    assert!(locked.locked.is_some() && !locked.snapshots.is_empty());
    refused(locked);
    let early = old.vault.plan_prune(now);
    assert!(early.locked.is_none() && !early.snapshots.is_empty());
    let hold = Event::HoldSet { source: None, reason: "many files changed".to_owned() };
    old.vault.append(now, hold).expect("written");
    refused(early);
    assert_eq!(old.vault.plan_prune(now).snapshots, [], "a hold without a source keeps every source");
}
