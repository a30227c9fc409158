//! Two disks of different sizes: the full one steps aside, stays a past once whole, and is filled when there is room again.

use crate::letting_go::{Kept, SHORT, day, packs};
use harness::plain::{self, push, restore, stamp};
use larder_format::ledger::Event;
use larder_format::pack::PACK_BYTES_AIM;
use larder_store::disk::{Disk, Fault, FaultyDisk, MemoryDisk, Plan};
use larder_store::{MemberState, StoreError, Vault};
use std::sync::Arc;

fn arc(disk: &MemoryDisk) -> Arc<dyn Disk> {
    Arc::new(disk.clone())
}

/// From now on the disk has room for what lies on it and nothing more.
fn fill_up(disk: &MemoryDisk) {
    let used: u64 = disk.files().iter().map(|(_, len)| len).sum();
    disk.limit(used + PACK_BYTES_AIM / 2);
}

fn give_room(disk: &MemoryDisk) {
    disk.limit(1 << 40);
}

fn open(disks: Vec<Arc<dyn Disk>>, copies: usize) -> Option<Vault> {
    let vault = plain::open(disks).ok()?;
    vault.set_copies(copies);
    Some(vault)
}

fn states(vault: &Vault) -> Vec<(MemberState, bool)> {
    vault.disks().into_iter().map(|disk| (disk.state, disk.is_full)).collect()
}

/// Looks after full disks and fills what lags, as the agent's job does.
fn look_after(vault: &Vault) -> Option<()> {
    vault.look_at_full_disks().ok()?;
    while vault.catch_up(u64::MAX).ok()? > 0 {}
    Some(())
}

/// Weeks in which one disk becomes full, much is let go of meanwhile, and the disk gets room again. Stops at the first failure.
fn live(small: (&MemoryDisk, Arc<dyn Disk>), large: Arc<dyn Disk>) -> Kept {
    let mut kept = Kept { hour: 1, ..Kept::default() };
    let weeks = || {
        let vault = open(vec![small.1, large], 1)?;
        vault.append(stamp(1), Event::RetentionSet(SHORT)).ok()?;
        for number in 0..6 {
            kept.push(&vault, "laptop/docs", day(number))?;
            kept.wait(&vault, 23);
        }
        fill_up(small.0);
        for number in 6..10 {
            kept.push(&vault, "laptop/docs", day(number))?;
            kept.wait(&vault, 23);
            look_after(&vault)?;
        }
        kept.wait(&vault, 5 * 24);
        kept.prune(&vault)?;
        for _ in 0..5 {
            kept.wait(&vault, 3 * 24);
            kept.sweep(&vault)?;
            look_after(&vault)?;
        }
        give_room(small.0);
        look_after(&vault)?;
        kept.push(&vault, "laptop/docs", day(20))
    };
    let _ = weeks();
    // Whatever came between, the disks are tried afterwards with room.
    give_room(small.0);
    kept
}

#[test]
fn new_backups_go_where_room_is() {
    let (small, large) = (MemoryDisk::new(), MemoryDisk::new());
    let vault = open(vec![arc(&small), arc(&large)], 1).expect("opens");
    let mut kept = Kept { hour: 1, ..Kept::default() };
    kept.push(&vault, "laptop/docs", day(1)).expect("a push");
    fill_up(&small);
    let before = small.files();
    kept.hour += 1;
    let committed =
        push(&vault, "laptop/docs", &day(2), 1000, stamp(kept.hour)).expect("the other disk has room");
    assert_eq!(committed.disks.len(), 1, "the receipt names the disk that has it");
    assert_eq!(committed.degraded.len(), 1, "and the disk that has not");
    kept.snapshots.insert(committed.record.sequence, day(2));
    for number in 3..9 {
        kept.push(&vault, "laptop/docs", day(number)).expect("a push");
        look_after(&vault).expect("nothing to do");
        assert_eq!(states(&vault)[1], (MemberState::Healthy, false));
        assert!(states(&vault)[0].1, "{:?}", states(&vault));
    }
    assert_eq!(small.files(), before, "a full disk stays as it is");
    kept.check(&vault, "one disk is full");

    // After a restart as well, although nothing is remembered.
    drop(vault);
    let vault = open(vec![arc(&small), arc(&large)], 1).expect("opens");
    kept.push(&vault, "laptop/docs", day(9)).expect("a push");
    assert!(states(&vault)[0].1, "{:?}", states(&vault));
    kept.check(&vault, "after a restart");

    give_room(&small);
    look_after(&vault).expect("there is room");
    assert_eq!(states(&vault), [(MemberState::Healthy, false), (MemberState::Healthy, false)]);
    assert_eq!(packs(&small), packs(&large));
    kept.push(&vault, "laptop/docs", day(10)).expect("a push");
    drop(vault);
    let alone = open(vec![arc(&small)], 1).expect("opens");
    kept.check(&alone, "the disk that was full, alone");
}

/// With as many copies wanted as there are disks, a full disk refuses, and says which one is full.
#[test]
fn a_full_disk_refuses_where_its_copy_is_wanted() {
    let (small, large) = (MemoryDisk::named("small"), MemoryDisk::named("large"));
    for copies in [2, usize::MAX] {
        let vault = open(vec![arc(&small), arc(&large)], copies).expect("opens");
        give_room(&small);
        push(&vault, "laptop/docs", &day(1), 1, stamp(1)).expect("a push");
        fill_up(&small);
        let refused = push(&vault, "laptop/docs", &day(2), 2, stamp(2)).expect_err("there is no room");
        assert!(matches!(&refused, StoreError::Full { disk, .. } if disk == "small"), "{refused:?}");
        assert_eq!(states(&vault), [(MemberState::Healthy, false), (MemberState::Healthy, false)]);
    }
    // The last disk that takes backups never steps aside.
    let vault = open(vec![arc(&small), arc(&large)], 1).expect("opens");
    fill_up(&large);
    let refused = push(&vault, "laptop/docs", &day(2), 3, stamp(3)).expect_err("there is no room");
    assert!(matches!(refused, StoreError::Full { .. }), "{refused:?}");
    assert!(states(&vault).iter().all(|(_, is_full)| !is_full));
}

/// What the rule lets go of is freed although a disk is full; that disk keeps what it has until everything fits.
#[test]
fn letting_go_goes_on_beside_a_full_disk() {
    let (small, large) = (MemoryDisk::new(), MemoryDisk::new());
    let mut kept = Kept { hour: 1, ..Kept::default() };
    let vault = open(vec![arc(&small), arc(&large)], 1).expect("opens");
    vault.append(stamp(1), Event::RetentionSet(SHORT)).expect("written");
    for number in 0..10 {
        if number == 5 {
            fill_up(&small);
        }
        kept.push(&vault, "laptop/docs", day(number)).expect("a push");
        kept.wait(&vault, 23);
    }
    let (frozen, before) = (small.files(), packs(&large).len());
    let all = kept.snapshots.clone();
    kept.wait(&vault, 5 * 24);
    kept.prune(&vault).expect("a prune");
    for _ in 0..4 {
        kept.wait(&vault, 3 * 24);
        kept.sweep(&vault).expect("a sweep");
        look_after(&vault).expect("nothing to do");
    }
    assert!(kept.removed > 0 && packs(&large).len() < before, "it must have freed something");
    assert_eq!(small.files(), frozen, "a full disk stays as it is");
    kept.check(&vault, "one disk is full");
    let alone = open(vec![arc(&small.after_power_cut(0))], 1).expect("opens");
    let roots: Vec<_> = {
        let view = alone.ledger();
        view.sources.values().flatten().map(|record| (record.sequence, record.snapshot.root)).collect()
    };
    assert!(roots.len() >= 5, "the pushes from before it was full");
    for (number, root) in roots {
        assert_eq!(restore(&alone, root).expect("whole"), all[&number], "{number}");
    }
    give_room(&small);
    look_after(&vault).expect("there is room");
    kept.wait(&vault, 2);
    kept.sweep(&vault).expect("a sweep");
    kept.wait(&vault, 30);
    kept.sweep(&vault).expect("a sweep");
    assert_eq!(packs(&small), packs(&large));
    let alone = open(vec![arc(&small.after_power_cut(0))], 1).expect("opens");
    kept.check(&alone, "the disk that was full, alone");
}

/// A person may unplug a full disk.
#[test]
fn a_full_disk_may_be_let_go_of() {
    let (small, large) = (MemoryDisk::new(), MemoryDisk::new());
    let vault = open(vec![arc(&small), arc(&large)], 1).expect("opens");
    push(&vault, "laptop/docs", &day(1), 1, stamp(1)).expect("a push");
    fill_up(&small);
    push(&vault, "laptop/docs", &day(2), 2, stamp(2)).expect("a push");
    let id = vault.disks()[0].id.clone();
    vault.release(&id, stamp(3)).expect("released as it is");
    assert_eq!(states(&vault)[0], (MemberState::Away, false));
    give_room(&small);
    vault.attach(arc(&small), stamp(4)).expect("it is back");
    assert!(!states(&vault)[0].1, "nobody knows whether it is still full");
    look_after(&vault).expect("there is room");
    assert_eq!(packs(&small), packs(&large));
}

/// The power goes on either disk at any operation of such weeks: what is kept is there, from both and then from each.
#[test]
fn pulling_the_plug_beside_a_full_disk_harms_nothing() {
    let counting = |is_small: bool| {
        let (small, large) = (MemoryDisk::new(), MemoryDisk::new());
        let below = if is_small { &small } else { &large };
        let counted = Arc::new(FaultyDisk::new(below.clone(), None));
        let kept = match is_small {
            true => live((&small, counted.clone()), arc(&large)),
            false => live((&small, arc(&small)), counted.clone()),
        };
        let (gone, removed) = (kept.maybe_gone.len(), kept.removed);
        assert!(gone >= 7 && removed > 0, "the test must let go of something: {gone}, {removed}");
        counted.operations()
    };
    let mut cuts = 0;
    for is_small in [true, false] {
        for at in (0..counting(is_small)).step_by(3) {
            let (small, large) = (MemoryDisk::new(), MemoryDisk::new());
            let below = if is_small { &small } else { &large };
            let cut: Arc<dyn Disk> =
                Arc::new(FaultyDisk::new(below.clone(), Some(Plan { at, fault: Fault::PowerCut })));
            let kept = match is_small {
                true => live((&small, cut), arc(&large)),
                false => live((&small, arc(&small)), cut),
            };
            let (small, large) = (small.after_power_cut(at), large.after_power_cut(at));
            let context = format!("cut on the {} disk at {at}", if is_small { "small" } else { "large" });
            if small.open("disk.json").is_err() && large.open("disk.json").is_err() {
                continue;
            }
            cuts += 1;
            let Some(vault) = open(vec![arc(&small), arc(&large)], 1) else {
                panic!("{context}: does not open")
            };
            kept.check(&vault, &context);
            look_after(&vault).unwrap_or_else(|| panic!("{context}: cannot be filled"));
            drop(vault);
            for disk in [&small, &large] {
                let alone = open(vec![arc(&disk.after_power_cut(0))], 1).expect("each alone opens");
                kept.check(&alone, &context);
            }
        }
    }
    println!("beside a full disk: {cuts} power cuts, 0 lost");
}
