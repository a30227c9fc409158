//! A folder's own list is lost on the disk that is at home, and everything below it looks like nothing that anybody needs.

use crate::letting_go::{Kept, SHORT, mark_offsite, packs};
use crate::names::{bytes_of, put_file};
use harness::plain::{self, Files, files, stamp};
use larder_format::ledger::Event;
use larder_store::Vault;
use larder_store::disk::{Disk, Fault, FaultyDisk, MemoryDisk, On, Planned, Schedule, When};
use std::sync::Arc;

fn day() -> Files {
    files([
        ("a.txt", &[1; 600]),
        ("b/photo.jpg", &[2; 700]),
        ("b/c/song.ogg", &[3; 800]),
        ("d/e.txt", &[4; 500]),
    ])
}

/// Pushes so that each chunk is a pack of its own, and lets some weeks with smaller pushes follow.
fn lived(vault: &Vault) -> Kept {
    let mut kept = Kept { hour: 1, ..Kept::default() };
    vault.append(stamp(1), Event::RetentionSet(SHORT)).expect("written");
    let (root, totals) = plain::send(vault, &day(), Vault::seal_all).expect("a push");
    let committed = vault
        .by(&plain::APPLIANCE)
        .commit(plain::snapshot("laptop/docs", 1, root, totals), stamp(1))
        .expect("a push");
    kept.snapshots.insert(committed.record.sequence, day());
    kept
}

/// Nothing of the pack is left that anybody could use.
fn ruin(disk: &MemoryDisk, pack: &str) {
    let len = disk.open(pack).and_then(|file| file.len()).expect("it is there");
    disk.scramble(pack, 0..usize::try_from(len).expect("short"), 7);
}

fn sweep_for_weeks(kept: &mut Kept, vault: &Vault) {
    for _ in 0..4 {
        kept.wait(vault, 3 * 24);
        // What cannot be found ends a walk, and frees nothing.
        let _ = kept.sweep(vault);
    }
}

/// The offsite disk has it all, comes back, and stays whole.
#[test]
fn what_lies_below_a_lost_folder_waits_for_the_disk_that_has_it() {
    let (home, offsite) = (MemoryDisk::new(), MemoryDisk::new());
    let both = |a: &MemoryDisk, b: &MemoryDisk| -> Vec<Arc<dyn Disk>> {
        vec![Arc::new(a.clone()), Arc::new(b.clone())]
    };
    let vault = plain::open(both(&home, &offsite)).expect("opens");
    let kept = lived(&vault);
    mark_offsite(&vault, 1);
    drop(vault);
    let all = packs(&home);
    assert!(all.len() > 6, "each chunk is a pack of its own: {all:?}");
    for lost in all {
        let (home, offsite) = (home.after_clean_stop(), offsite.after_clean_stop());
        let mut kept = kept.clone();
        ruin(&home, &lost);
        let vault = plain::open(vec![Arc::new(home.clone())]).expect("opens");
        let id = vault.disks()[0].id.clone();
        vault.scrub(&id, u64::MAX, stamp(kept.hour)).expect("a scrub");
        sweep_for_weeks(&mut kept, &vault);
        vault.attach(Arc::new(offsite.clone()), stamp(kept.hour)).expect("ours");
        while vault.catch_up(u64::MAX).expect("there is room") > 0 {}
        kept.check(&vault, &format!("without {lost}, the other disk came"));
        sweep_for_weeks(&mut kept, &vault);
        kept.check(&vault, &format!("without {lost}, weeks after the other disk came"));
        drop(vault);
        for disk in [&home, &offsite] {
            let alone = plain::open(vec![Arc::new(disk.after_power_cut(0))]).expect("opens");
            kept.check(&alone, &format!("without {lost}, one disk alone"));
        }
    }
}

/// A disk does not show one of its packs for some weeks, and then it does again: nothing went meanwhile, since nobody could
/// tell what lies below.
#[test]
fn what_cannot_be_found_for_weeks_takes_nothing_with_it() {
    let whole = MemoryDisk::new();
    let vault = plain::open(vec![Arc::new(whole.clone())]).expect("opens");
    let kept = lived(&vault);
    drop(vault);
    for hidden in packs(&whole) {
        let disk = whole.after_clean_stop();
        let mut kept = kept.clone();
        let bytes = bytes_of(&disk, &hidden);
        disk.remove(&hidden).expect("it was there");
        let shown = packs(&disk);
        let vault = plain::open(vec![Arc::new(disk.clone())]).expect("opens");
        sweep_for_weeks(&mut kept, &vault);
        assert!(kept.sweep(&vault).is_none(), "without {hidden}: nobody hears of it");
        assert_eq!(packs(&disk), shown, "without {hidden}");
        drop(vault);
        put_file(&disk, &hidden, &bytes);
        let vault = plain::open(vec![Arc::new(disk)]).expect("opens");
        kept.check(&vault, &format!("{hidden} is shown again"));
    }
}

/// It was healed by a push, and is misread once while a sweep walks: nothing below it goes.
#[test]
fn a_healed_folder_that_is_misread_once_loses_nothing() {
    let whole = MemoryDisk::new();
    let vault = plain::open(vec![Arc::new(whole.clone())]).expect("opens");
    let kept = lived(&vault);
    drop(vault);
    let mut misread = 0;
    for lost in packs(&whole) {
        let disk = whole.after_clean_stop();
        ruin(&disk, &lost);
        let vault = plain::open(vec![Arc::new(disk.clone())]).expect("opens");
        let id = vault.disks()[0].id.clone();
        vault.scrub(&id, u64::MAX, stamp(kept.hour)).expect("a scrub");
        let healed = (0..6).any(|_| plain::push(&vault, "laptop/docs", &day(), 2, stamp(kept.hour)).is_ok());
        assert!(healed, "without {lost}");
        drop(vault);
        for at in 0.. {
            let disk = disk.after_clean_stop();
            let once = Planned { on: On::Reads, when: When::At(at), fault: Fault::Error };
            let mut kept = kept.clone();
            let faulty = FaultyDisk::new(disk.clone(), Schedule::new(0, [once]));
            let Ok(vault) = plain::open(vec![Arc::new(faulty.clone())]) else { continue };
            sweep_for_weeks(&mut kept, &vault);
            drop(vault);
            let vault = plain::open(vec![Arc::new(disk)]).expect("opens");
            kept.check(&vault, &format!("without {lost}, misread at {at}"));
            if !faulty.fired() {
                break;
            }
            misread += 1;
        }
    }
    println!("{misread} misreadings of a healed vault while it sweeps: 0 lost");
    assert!(misread > 50);
}
