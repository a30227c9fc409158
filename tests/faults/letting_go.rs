//! Prune, sweep, merging and removing, with the power going, an error or a full disk at every single operation.

use crate::repair_limits::push_large;
use harness::plain::{self, Files, files, push, restore, stamp};
use larder_format::ledger::{DiskChange, DiskEvent, DiskRole, Event, Rule};
use larder_store::disk::{Disk, Fault, FaultyDisk, MemoryDisk, Plan};
use larder_store::{LabelWish, Labelling, Scope, Vault};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Lets go of nearly everything after a few days, so that a test of some weeks sees it all.
pub(crate) const SHORT: Rule =
    Rule { everything_days: 2, daily_days: 3, weekly_days: 0, monthly_days: Some(0), newest: 1 };

/// What was acknowledged and not let go of.
#[derive(Clone, Default)]
pub(crate) struct Kept {
    pub(crate) snapshots: BTreeMap<u64, Files>,
    /// Snapshots of which a prune was under way: each is there whole, or was let go of.
    pub(crate) maybe_gone: BTreeMap<u64, Files>,
    /// Snapshots of which a label was acknowledged: no prune may ever name one.
    pub(crate) labelled: BTreeSet<u64>,
    pub(crate) swept: u64,
    pub(crate) removed: u64,
    pub(crate) hour: u64,
}

pub(crate) fn day(number: u8) -> Files {
    let photo = |n: u8| vec![n; 1500];
    files([
        ("always.txt", b"always the same"),
        ("photo.jpg", &photo(number)),
        ("old.jpg", &photo(number / 4)),
    ])
}

impl Kept {
    pub(crate) fn push(&mut self, vault: &Vault, source: &str, files: Files) -> Option<()> {
        self.hour += 1;
        vault.look_at_clock(stamp(self.hour));
        let committed = push(vault, source, &files, self.hour.into(), stamp(self.hour)).ok()?;
        self.snapshots.insert(committed.record.sequence, files);
        Some(())
    }

    pub(crate) fn wait(&mut self, vault: &Vault, hours: u64) {
        for _ in 0..hours {
            self.hour += 1;
            vault.look_at_clock(stamp(self.hour));
        }
    }

    /// Labels the newest snapshot.
    fn label(&mut self, vault: &Vault) -> Option<()> {
        let snapshot = *self.snapshots.keys().last()?;
        let wish = LabelWish { snapshot, text: "before the move".to_owned(), until_ms: None };
        let said = vault.by(&Scope::appliance()).label(&wish, stamp(self.hour)).ok()?;
        assert_eq!(said, Labelling::Done);
        self.labelled.insert(snapshot);
        Some(())
    }

    pub(crate) fn prune(&mut self, vault: &Vault) -> Option<()> {
        let plan = vault.plan_prune(stamp(self.hour));
        for going in &plan.snapshots {
            assert!(
                !self.labelled.contains(&going.sequence),
                "{} goes, although it has a label",
                going.sequence
            );
            // One whose push was never answered may be there as well.
            if let Some(files) = self.snapshots.remove(&going.sequence) {
                self.maybe_gone.insert(going.sequence, files);
            }
        }
        vault.prune(&plan, stamp(self.hour)).ok()
    }

    /// Rounds of the sweep until one has nothing to do.
    pub(crate) fn sweep(&mut self, vault: &Vault) -> Option<()> {
        for _ in 0..200 {
            let swept = vault.sweep_step(stamp(self.hour), 20).ok()?;
            self.swept += swept.packs;
            self.removed += swept.files_removed;
            if swept.waits.is_some() || (!swept.is_under_way && swept.packs == 0) {
                return Some(());
            }
        }
        panic!("the sweep does not end");
    }

    /// Everything that is kept gives back exactly what was pushed.
    pub(crate) fn check(&self, vault: &Vault, context: &str) {
        let roots: BTreeMap<_, _> = {
            let view = vault.ledger();
            let records = view.sources.values().flatten();
            records.map(|record| (record.sequence, record.snapshot.root)).collect()
        };
        for (sequence, files) in &self.snapshots {
            let root =
                roots.get(sequence).unwrap_or_else(|| panic!("{context}: snapshot {sequence} is lost"));
            let found = restore(vault, *root).unwrap_or_else(|e| panic!("{context}: {sequence}: {e:?}"));
            assert!(found == *files, "{context}: snapshot {sequence} gives other bytes");
        }
        for (sequence, files) in &self.maybe_gone {
            match roots.get(sequence) {
                Some(root) => {
                    let found =
                        restore(vault, *root).unwrap_or_else(|e| panic!("{context}: {sequence}: {e:?}"));
                    assert!(found == *files, "{context}: snapshot {sequence} gives other bytes");
                }
                None => {
                    assert!(vault.ledger().let_go_of(*sequence).is_some(), "{context}: {sequence} is lost")
                }
            }
        }
    }

    /// After whatever happened the box goes on, lets go of what it should, and everything kept is whole.
    fn goes_on(mut self, disks: Vec<Arc<dyn Disk>>, context: &str) {
        let vault = plain::open(disks).unwrap_or_else(|error| panic!("{context}: does not open: {error:?}"));
        self.check(&vault, context);
        self.hour = self.hour.max(1);
        if vault.ledger().rule_wished().is_none() {
            vault.append(stamp(self.hour), Event::RetentionSet(SHORT)).expect("the rule is written");
        }
        assert!(self.push(&vault, "laptop/docs", day(100)).is_some(), "{context}: the next push fails");
        self.wait(&vault, 30);
        for _ in 0..3 {
            self.prune(&vault).unwrap_or_else(|| panic!("{context}: the next prune fails"));
            self.wait(&vault, 8 * 24);
            self.sweep(&vault).unwrap_or_else(|| panic!("{context}: the next sweep fails"));
            self.check(&vault, context);
        }
        self.push(&vault, "laptop/docs", day(101))
            .unwrap_or_else(|| panic!("{context}: the last push fails"));
        assert_eq!(vault.audit().expect("an audit").damaged, [""; 0], "{context}");
        assert_eq!(vault.unreadable_packs(), 0, "{context}");
    }
}

/// Some weeks in which much is pushed and most of it let go of. Stops at the first failure.
fn live(disks: Vec<Arc<dyn Disk>>) -> Kept {
    let mut kept = Kept::default();
    let weeks = || {
        let vault = plain::open(disks).ok()?;
        kept.hour = 1;
        vault.append(stamp(1), Event::RetentionSet(SHORT)).ok()?;
        for number in 0..10 {
            kept.push(&vault, "laptop/docs", day(number))?;
            if number == 3 {
                kept.label(&vault)?;
            }
            kept.wait(&vault, 23);
        }
        kept.push(&vault, "phone/dcim", day(3))?;
        kept.wait(&vault, 5 * 24);
        kept.prune(&vault)?;
        kept.sweep(&vault)?;
        kept.wait(&vault, 8 * 24);
        kept.sweep(&vault)?;
        kept.push(&vault, "laptop/docs", day(20))?;
        kept.sweep(&vault)?;
        for _ in 0..2 {
            kept.wait(&vault, 3 * 24);
            kept.sweep(&vault)?;
        }
        // What was swept comes again, in the same order.
        kept.push(&vault, "laptop/docs", day(1))?;
        Some(())
    };
    let _ = weeks();
    kept
}

fn operations() -> u64 {
    let disk = Arc::new(FaultyDisk::new(MemoryDisk::new(), None));
    let kept = live(vec![disk.clone()]);
    assert_eq!(kept.labelled.len(), 1, "and keep one that the rule lets go of");
    let due = kept.maybe_gone.len() + kept.labelled.len();
    assert!(due >= 7, "the test must let go of something: {due}");
    assert!(
        kept.swept >= 6 && kept.removed >= 6,
        "and free it: {} packs, {} files",
        kept.swept,
        kept.removed
    );
    disk.operations()
}

/// You can pull the plug at any moment while old backups are let go of, and every other one is still whole.
#[test]
fn pulling_the_plug_while_letting_go_harms_nothing_that_is_kept() {
    let mut states = 0;
    for at in 0..operations() {
        for seed in 0..5 {
            let faulty = FaultyDisk::new(MemoryDisk::new(), Some(Plan { at, fault: Fault::PowerCut }));
            let faulty = Arc::new(faulty);
            let kept = live(vec![faulty.clone()]);
            assert!(faulty.fired());
            let after: Arc<dyn Disk> = Arc::new(faulty.below().after_power_cut(seed * 1_000_003 + at));
            kept.goes_on(vec![after], &format!("power cut at operation {at}, seed {seed}"));
            states += 1;
        }
    }
    println!("{states} power cuts: 0 kept snapshots lost");
}

/// An error or a full disk at any moment while old backups are let go of harms nothing either.
#[test]
fn a_disk_that_fails_while_letting_go_harms_nothing_that_is_kept() {
    for fault in [Fault::Error, Fault::Full] {
        for at in 0..operations() {
            let disk = Arc::new(FaultyDisk::new(MemoryDisk::new(), Some(Plan { at, fault })));
            let kept = live(vec![disk.clone()]);
            assert!(disk.fired());
            let after: Arc<dyn Disk> = Arc::new(disk.below().after_power_cut(at));
            kept.goes_on(vec![after], &format!("{fault:?} at operation {at}"));
        }
    }
}

/// The power goes between two disks: both come back, and each alone has everything that is kept.
#[test]
fn two_disks_let_go_of_the_same() {
    let counting = Arc::new(FaultyDisk::new(MemoryDisk::new(), None));
    live(vec![counting.clone(), Arc::new(MemoryDisk::new())]);
    for at in (0..counting.operations()).step_by(2) {
        let (below, other) = (MemoryDisk::new(), MemoryDisk::new());
        let cut = Arc::new(FaultyDisk::new(below.clone(), Some(Plan { at, fault: Fault::PowerCut })));
        let other_disk: Arc<dyn Disk> = Arc::new(other.clone());
        let order: Vec<Arc<dyn Disk>> =
            if at % 4 == 0 { vec![other_disk, cut] } else { vec![cut, other_disk] };
        let kept = live(order);
        let (first, second) = (below.after_power_cut(at), other.after_power_cut(at));
        let context = format!("two disks, power cut at operation {at}");
        if first.open("disk.json").is_err() && second.open("disk.json").is_err() {
            continue;
        }
        let Ok(vault) = plain::open(vec![Arc::new(first.clone()), Arc::new(second.clone())]) else {
            panic!("{context}: does not open")
        };
        while vault.catch_up(1 << 20).expect("there is room") > 0 {}
        drop(vault);
        for disk in [&first, &second] {
            let vault = plain::open(vec![Arc::new(disk.after_power_cut(0))]).expect("each alone opens");
            kept.check(&vault, &context);
        }
        kept.goes_on(vec![Arc::new(first), Arc::new(second)], &context);
    }
}

/// An offsite disk that was away while its packs were swept brings nothing back, and is cleared once it has caught up.
#[test]
fn a_disk_that_was_away_is_cleared_and_brings_nothing_back() {
    let (stays, leaves) = (MemoryDisk::new(), MemoryDisk::new());
    let both = || -> Vec<Arc<dyn Disk>> { vec![Arc::new(stays.clone()), Arc::new(leaves.clone())] };
    let mut kept = Kept { hour: 1, ..Kept::default() };
    let vault = plain::open(both()).expect("opens");
    vault.append(stamp(1), Event::RetentionSet(SHORT)).expect("written");
    for number in 0..10 {
        kept.push(&vault, "laptop/docs", day(number)).expect("a push");
        kept.wait(&vault, 23);
    }
    mark_offsite(&vault, 1);
    drop(vault);
    let packs_on = |disk: &MemoryDisk| {
        let folders = disk.list("packs").expect("list").into_iter();
        folders.map(|f| disk.list(&format!("packs/{}", f.name)).expect("list").len()).sum::<usize>()
    };
    let before = packs_on(&leaves);
    let vault = plain::open(vec![Arc::new(stays.clone())]).expect("opens");
    kept.wait(&vault, 5 * 24);
    kept.prune(&vault).expect("a prune");
    for _ in 0..4 {
        kept.wait(&vault, 3 * 24);
        kept.sweep(&vault).expect("a sweep");
    }
    assert!(packs_on(&stays) < before, "it must have freed something");
    assert_eq!(packs_on(&leaves), before);
    drop(vault);
    let vault = plain::open(both()).expect("opens");
    while vault.catch_up(1 << 20).expect("there is room") > 0 {}
    assert!(packs_on(&leaves) >= before, "it is not cleared before it has the ledger");
    kept.check(&vault, "it came back");
    kept.wait(&vault, 2);
    kept.sweep(&vault).expect("a sweep");
    kept.wait(&vault, 30);
    kept.sweep(&vault).expect("a sweep");
    assert_eq!(packs_on(&leaves), packs_on(&stays));
    drop(vault);
    let alone = plain::open(vec![Arc::new(leaves.after_power_cut(0))]).expect("opens");
    kept.check(&alone, "it alone");
}

/// While a disk that should be there is not, nothing is freed: what is damaged here may be whole there.
#[test]
fn nothing_is_freed_while_a_disk_is_missing() {
    let (stays, leaves) = (MemoryDisk::new(), MemoryDisk::new());
    let mut kept = Kept { hour: 1, ..Kept::default() };
    let vault = plain::open(vec![Arc::new(stays.clone()), Arc::new(leaves)]).expect("opens");
    vault.append(stamp(1), Event::RetentionSet(SHORT)).expect("written");
    for number in 0..10 {
        kept.push(&vault, "laptop/docs", day(number)).expect("a push");
        kept.wait(&vault, 23);
    }
    drop(vault);
    let vault = plain::open(vec![Arc::new(stays)]).expect("opens");
    kept.wait(&vault, 5 * 24);
    kept.prune(&vault).expect("a prune");
    for _ in 0..4 {
        kept.wait(&vault, 3 * 24);
        let swept = vault.sweep_step(stamp(kept.hour), 1000).expect("a step");
        assert!(swept.waits.is_some(), "{swept:?}");
    }
}

/// Says that the disk at `position` is meant to be away; in force from the next opening on.
pub(crate) fn mark_offsite(vault: &Vault, position: usize) {
    let view = &vault.disks()[position];
    let disk = u128::from_str_radix(&view.id, 16).expect("an id in hex").to_be_bytes();
    let what = DiskChange::Adopted { path: view.path.clone(), role: DiskRole::Offsite };
    let stamp = vault.ledger().newest.expect("it has entries");
    vault.append(stamp, Event::Disk(DiskEvent { disk, what })).expect("written");
}

/// An old pack does not go for the sake of a new one that went bad before it went.
#[test]
fn a_new_pack_that_goes_bad_takes_nothing_with_it() {
    let disk = MemoryDisk::new();
    let vault = plain::open(vec![Arc::new(disk.clone())]).expect("opens");
    let mut kept = Kept { hour: 1, ..Kept::default() };
    vault.append(stamp(1), Event::RetentionSet(SHORT)).expect("written");
    for number in 0..10 {
        kept.push(&vault, "laptop/docs", day(number)).expect("a push");
        kept.wait(&vault, 23);
    }
    kept.wait(&vault, 3 * 24);
    let old = packs(&disk);
    let new = (0..500).find_map(|_| {
        let swept = vault.sweep_step(stamp(kept.hour), 20).expect("a step");
        // What was pushed lately is relied on for a day or two.
        kept.wait(&vault, if swept.is_under_way { 0 } else { 25 });
        packs(&disk).difference(&old).next().cloned()
    });
    let new = new.expect("the test must see a pack written anew");
    let len =
        usize::try_from(disk.open(&new).and_then(|file| file.len()).expect("it is there")).expect("small");
    disk.scramble(&new, 0..len, 7);
    let id = vault.disks()[0].id.clone();
    vault.scrub(&id, u64::MAX, stamp(kept.hour)).expect("a scrub");
    for _ in 0..4 {
        let _ = kept.sweep(&vault);
        kept.wait(&vault, 30);
    }
    kept.check(&vault, "the new pack went bad");
    drop(vault);
    let vault = plain::open(vec![Arc::new(disk.clone())]).expect("opens");
    kept.check(&vault, "the new pack went bad, opened again");
}

/// Paths of the packs on a disk.
pub(crate) fn packs(disk: &MemoryDisk) -> BTreeSet<String> {
    let files = disk.files().into_iter().map(|(path, _)| path);
    files.filter(|path| path.starts_with("packs/") && path.ends_with(".pack")).collect()
}

/// What was let go of comes back as the very same bytes: it gets another name, and is not swept again.
#[test]
fn what_was_swept_can_be_pushed_again() {
    let disk = MemoryDisk::new();
    let kept = live(vec![Arc::new(disk.clone())]);
    for _ in 0..3 {
        let vault = plain::open(vec![Arc::new(disk.clone())]).expect("opens");
        kept.check(&vault, "opened again");
    }
    kept.goes_on(vec![Arc::new(disk)], "pushed again");
}

/// A file whose bytes are those of a folder's node is one chunk with it; the folder is walked all the same.
#[test]
fn a_file_that_looks_like_a_folder_hides_nothing() {
    let disk = MemoryDisk::new();
    let vault = plain::open(vec![Arc::new(disk.clone())]).expect("opens");
    let mut kept = Kept { hour: 1, ..Kept::default() };
    vault.append(stamp(1), Event::RetentionSet(SHORT)).expect("written");
    // Most of its pack, so that the pack would be written anew without it.
    let secret: Vec<u8> = (0..66).flat_map(|n| larder_format::Hash::of(&[n]).0).collect();
    let inner = files([("d/secret.txt", &secret)]);
    kept.push(&vault, "laptop/docs", inner).expect("a push");
    let root = vault.ledger().snapshots("laptop/docs")[0].snapshot.root;
    let top = vault.by(&plain::APPLIANCE).entries(root).next().expect("one").expect("whole").entry;
    let larder_format::tree::Kind::Directory { node, .. } = top.kind else { panic!("a folder") };
    let copy = vault.by(&plain::APPLIANCE).read(&node).expect("whole");
    // Named so that it is marked before the folder is.
    kept.push(&vault, "laptop/aaa", files([("copy.bin", &copy)])).expect("a push");
    kept.push(&vault, "laptop/zzz", files([("copy.bin", &copy)])).expect("a push");
    for _ in 0..4 {
        // The first only begins to count the time since the start, and what was pushed is relied on for two days.
        kept.wait(&vault, 60);
        kept.sweep(&vault).expect("a sweep");
    }
    kept.check(&vault, "swept");
}

/// A copy that came to heal a damaged one is kept, also by a box that no longer knows of the damage. Which of the two it
/// finds first is chance, so several are tried.
#[test]
fn a_healed_file_stays_healed() {
    (1..9).for_each(heal_and_sweep);
}

fn heal_and_sweep(seed: u8) {
    let disk = MemoryDisk::new();
    let vault = plain::open(vec![Arc::new(disk.clone())]).expect("opens");
    let mut kept = Kept { hour: 1, ..Kept::default() };
    vault.append(stamp(1), Event::RetentionSet(SHORT)).expect("written");
    kept.push(&vault, "laptop/docs", files([("a.txt", &[seed; 650])])).expect("a push");
    drop(vault);
    let folder = disk.list("packs").expect("list").remove(0).name;
    let pack = disk.list(&format!("packs/{folder}")).expect("list").remove(0).name;
    disk.flip(&format!("packs/{folder}/{pack}"), 16 + 80, 1);
    let vault = plain::open(vec![Arc::new(disk.clone())]).expect("opens");
    let root = vault.ledger().snapshots("laptop/docs")[0].snapshot.root;
    assert!(restore(&vault, root).is_err(), "the test must damage the file");
    // In a pack of its own, which nothing else keeps.
    let same = files([("a.txt", &[seed; 650])]);
    plain::send(&vault, &same, |vault| vault.seal_all()).expect("what is damaged is asked for");
    assert!(restore(&vault, root).is_ok_and(|back| back == same), "the push heals");
    drop(vault);
    let vault = plain::open(vec![Arc::new(disk.clone())]).expect("opens");
    for _ in 0..4 {
        kept.wait(&vault, 60);
        let _ = kept.sweep(&vault);
    }
    kept.check(&vault, &format!("swept after healing, seed {seed}"));
}

/// The past goes, the room comes back: what is stored in the end is little more than what is kept.
#[test]
fn the_room_comes_back() {
    let disk = MemoryDisk::new();
    let kept = live(vec![Arc::new(disk.clone())]);
    let vault = plain::open(vec![Arc::new(disk.clone())]).expect("opens");
    let fresh = plain::open(vec![Arc::new(MemoryDisk::new())]).expect("opens");
    for (number, files) in (1u64..).zip(kept.snapshots.values()) {
        push(&fresh, "laptop/docs", files, number.into(), stamp(number)).expect("a push");
    }
    let (stored, needed) = (vault.stored_bytes(), fresh.stored_bytes());
    assert!(stored < 2 * needed, "{stored} bytes are stored where {needed} would do");
}

/// Many small packs are written anew, a full one at a time: what a new one makes needless goes before the next is written, so
/// that the disk never holds much of it twice.
#[test]
fn old_packs_go_before_many_more_are_written_anew() {
    let disk = MemoryDisk::new();
    let vault = plain::open(vec![Arc::new(disk.clone())]).expect("opens");
    // Three MiB each, and so more than one pack together.
    (0..23).for_each(|n| drop(push_large(&vault, 3 * n..3 * n + 3)));
    drop(vault);
    // Pushes of this run would keep their packs for a day or two.
    let vault = plain::open(vec![Arc::new(disk.clone())]).expect("opens");
    let mut kept = Kept { hour: 1, ..Kept::default() };
    kept.sweep(&vault).expect("it waits");
    kept.wait(&vault, 2);
    let before = packs(&disk);
    let mut written = Vec::new();
    for _ in 0..30 {
        let swept = vault.sweep_step(stamp(kept.hour), 10_000).expect("a step");
        let new = packs(&disk).difference(&before).count();
        written.extend((swept.packs > 0).then_some(new));
    }
    assert_eq!(written, [1, 2], "packs written anew whenever old ones went");
}
