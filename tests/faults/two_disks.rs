//! Two disks: a disk that joins, one that was away, one that is full for a while, one that lost an entry.

use crate::workload::{self, Workload, check};
use harness::model::Model;
use harness::plain::{self, files, push, restore, stamp};
use larder_format::Hash;
use larder_store::disk::{Disk, MemoryDisk};
use larder_store::{Committed, MemberState, StoreError, Vault};
use std::sync::Arc;

fn both(first: &MemoryDisk, second: &MemoryDisk) -> Vec<Arc<dyn Disk>> {
    vec![Arc::new(first.clone()), Arc::new(second.clone())]
}

/// Some days on one disk.
fn lived() -> (MemoryDisk, Model) {
    let lived = workload::days_on(1).live(None);
    (lived.disks[0].below().after_clean_stop(), lived.model)
}

fn one_more_day(vault: &Vault, model: &mut Model) -> Committed {
    let number = 100 + model.len() as u128;
    let text = format!("day {number}");
    let day = Arc::new(files([("diary.txt", text.as_bytes()), ("photos/cat.jpg", &[7; 2500])]));
    let committed = push(vault, "laptop/diary", &day, number, stamp(200)).expect("a push");
    model.confirm(&committed, number, &day).expect("a receipt that makes sense");
    committed
}

/// Each of the two alone gives everything back.
fn check_each(model: &mut Model, first: &MemoryDisk, second: &MemoryDisk, context: &str) {
    let vault = plain::open(both(first, second)).expect("opens");
    model.believe_healthy(&vault);
    let mut views = vault.disks();
    // A disk that was replaced is missed until somebody says that it will not come back.
    views.retain(|disk| disk.state != MemberState::Away);
    assert_eq!(views.len(), 2, "{context}");
    assert!(views.iter().all(|disk| disk.state == MemberState::Healthy), "{context}: {views:?}");
    drop(vault);
    check(model, both(first, second), context);
    for (name, disk) in [("first", first), ("second", second)] {
        check(model, vec![Arc::new(disk.after_power_cut(0))], &format!("{context}, the {name} alone"));
    }
}

/// A new disk gets everything that is kept, and only then counts.
#[test]
fn a_disk_that_joins_is_filled() {
    let ((old, mut model), new) = (lived(), MemoryDisk::new());
    let vault = plain::open(both(&old, &new)).expect("opens");
    while vault.catch_up(1).expect("there is room") > 0 {}
    assert!(vault.disks().iter().all(|disk| disk.state == MemberState::Healthy));
    drop(vault);
    check_each(&mut model, &old, &new, "a disk joined");
}

/// While a disk is being filled, pushes go on; in the end it has those too.
#[test]
fn pushes_go_on_while_a_disk_is_filled() {
    let ((old, mut model), new) = (lived(), MemoryDisk::new());
    // The new disk is full until later, so that opening cannot fill it.
    new.limit(2000);
    let vault = plain::open(both(&old, &new)).expect("opens");
    assert!(matches!(vault.disks()[1].state, MemberState::Behind(_)));
    let committed = one_more_day(&vault, &mut model);
    assert_eq!(committed.degraded, [vault.disks()[1].id.clone()], "the receipt names the disk without it");
    new.limit(u64::MAX);
    while vault.catch_up(1).expect("there is room now") > 0 {}
    let committed = one_more_day(&vault, &mut model);
    assert_eq!(committed.degraded, [""; 0]);
    drop(vault);
    check_each(&mut model, &old, &new, "pushes while a disk was filled");
}

/// However far a disk is filled, it speaks of no backup that it cannot give back.
#[test]
fn a_disk_that_is_half_filled_holds_a_past_that_was_whole() {
    let ((old, _), new) = (lived(), MemoryDisk::new());
    new.limit(2000);
    let vault = plain::open(both(&old, &new)).expect("opens");
    new.limit(u64::MAX);
    let mut steps = 0;
    loop {
        let left = vault.catch_up(1).expect("there is room");
        match plain::open(vec![Arc::new(new.after_power_cut(steps))]) {
            Ok(alone) => {
                let records: Vec<_> = alone.ledger().sources.values().flatten().cloned().collect();
                for record in records {
                    let found = restore(&alone, record.snapshot.root);
                    assert!(
                        found.is_ok(),
                        "step {steps}: snapshot {} is not whole: {found:?}",
                        record.sequence
                    );
                }
            }
            // Packs come first; without any entry it would begin another past.
            Err(error) => assert!(matches!(error, StoreError::Foreign { .. }), "step {steps}: {error:?}"),
        }
        steps += 1;
        if left == 0 {
            break;
        }
    }
    assert!(steps > 2, "the test must see it half filled: {steps}");
}

/// What is damaged on one disk does not come to the next under the name of what it was.
#[test]
fn damage_is_not_copied() {
    let ((old, _), new) = (lived(), MemoryDisk::new());
    let packs_of = |disk: &MemoryDisk| {
        let files = disk.files().into_iter().map(|(path, _)| path);
        files.filter(|path| path.ends_with(".pack")).collect::<Vec<_>>()
    };
    let damaged = packs_of(&old).remove(0);
    assert!(old.flip(&damaged, 100, 1));
    let vault = plain::open(both(&old, &new)).expect("opens");
    while vault.catch_up(1).expect("there is room") > 0 {}
    let copied = packs_of(&new);
    assert!(copied.len() > 2 && !copied.contains(&damaged), "{copied:?}");
    for path in copied {
        let file = new.open(&path).expect("it is there");
        let mut bytes = vec![0; usize::try_from(file.len().expect("its length")).expect("short")];
        file.read_at(0, &mut bytes).expect("read");
        assert!(path.ends_with(&format!("{}.pack", Hash::of(&bytes))), "{path} has other bytes");
    }
}

/// A disk that was away for some days catches up by itself, and so does one that is swapped for an older image.
#[test]
fn a_disk_that_was_away_catches_up() {
    let pair = workload::days_on(2).live(None);
    let [stays, leaves] = [0, 1].map(|number: usize| pair.disks[number].below().after_clean_stop());
    let mut model = pair.model;
    let image = leaves.after_clean_stop();
    let vault = plain::open(vec![Arc::new(stays.clone())]).expect("opens");
    one_more_day(&vault, &mut model);
    drop(vault);
    check_each(&mut model, &stays, &leaves, "it came back");
    check_each(&mut model, &stays, &image, "an older image came instead");
}

/// A disk that was replaced by an empty one is filled like any other.
#[test]
fn an_empty_disk_in_place_of_an_old_one_is_filled() {
    let pair = Workload { ..workload::days_on(2) }.live(None);
    let (stays, mut model) = (pair.disks[0].below().after_clean_stop(), pair.model);
    model.disk_may_lack(&pair.ids[1], harness::model::Mark::START);
    check_each(&mut model, &stays, &MemoryDisk::new(), "replaced");
}
