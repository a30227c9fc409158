//! Every simulated fault must really happen, or the tests above prove nothing.

use super::*;
use std::collections::BTreeSet;

const LONG: usize = 640;

fn planned(text: &str) -> FaultyDisk {
    FaultyDisk::new(MemoryDisk::new(), text.parse::<Schedule>().unwrap())
}

fn write(disk: &dyn Disk, path: &str, bytes: &[u8]) -> Box<dyn DiskFile> {
    let mut file = disk.create(path).unwrap();
    file.append(bytes).unwrap();
    file
}

fn synced(disk: &dyn Disk, path: &str, bytes: &[u8]) {
    write(disk, path, bytes).sync().unwrap();
    disk.sync_folder(folder_of(path)).unwrap();
}

fn text(disk: &dyn Disk, path: &str) -> Option<Vec<u8>> {
    read_whole(disk, path, 1 << 20).ok()
}

fn stories<T: Ord>(disk: &MemoryDisk, look: impl Fn(&MemoryDisk) -> T) -> BTreeSet<T> {
    (0..400).map(|seed| look(&disk.after_power_cut(seed))).collect()
}

#[test]
fn what_was_synced_survives_and_what_was_not_may_be_lost() {
    let disk = MemoryDisk::new();
    synced(&disk, "f", b"safe");
    write(&disk, "g", b"");
    let mut file = disk.open("f").unwrap();
    file.append(b" lost").unwrap();
    let found = stories(&disk, |after| (text(after, "f").unwrap(), after.open("g").is_ok()));
    assert!(found.iter().all(|(bytes, _)| bytes.starts_with(b"safe")));
    assert!(found.contains(&(b"safe".to_vec(), false)) && found.contains(&(b"safe lost".to_vec(), true)));
    assert!(found.contains(&(b"safe\0\0\0\0\0".to_vec(), true)), "a length without its bytes");
    assert!(found.len() > 12, "bytes and names are lost apart, and writes are torn: {found:?}");
}

#[test]
fn writes_reach_the_medium_in_any_order() {
    let disk = MemoryDisk::new();
    synced(&disk, "a", b"");
    synced(&disk, "b", b"");
    let (mut a, mut b) = (disk.open("a").unwrap(), disk.open("b").unwrap());
    a.append(&[1; LONG]).unwrap();
    a.append(&[2; LONG]).unwrap();
    b.append(&[3; LONG]).unwrap();
    let whole = |after: &MemoryDisk| {
        let (a, b) = (text(after, "a").unwrap(), text(after, "b").unwrap());
        let is = |bytes: &[u8], from: usize, value| bytes.get(from..from + LONG) == Some(&[value; LONG][..]);
        (is(&a, 0, 1), is(&a, LONG, 2), is(&b, 0, 3))
    };
    let found = stories(&disk, whole);
    assert_eq!(found.len(), 8, "each of three writes with and without each other: {found:?}");
    let holes = stories(&disk, |after| {
        let b = text(after, "b").unwrap();
        b.len() == LONG && b.contains(&0) && b.contains(&3)
    });
    assert!(holes.contains(&true), "a write may have holes");
}

#[test]
fn a_rename_may_be_half_done() {
    let disk = MemoryDisk::new();
    for folder in ["open", "packs"] {
        disk.make_folder(folder).unwrap();
    }
    disk.sync_folder("").unwrap();
    synced(&disk, "open/1.part", b"pack");
    disk.publish("open/1.part", "packs/1").unwrap();
    let names = |after: &MemoryDisk| (text(after, "open/1.part").is_some(), text(after, "packs/1").is_some());
    assert_eq!(stories(&disk, names).len(), 4, "old name, new name, both, neither");
    disk.sync_folder("packs").unwrap();
    assert!(stories(&disk, names).iter().all(|(_, is_published)| *is_published));
}

#[test]
fn a_folder_that_was_not_synced_takes_its_files_along() {
    let disk = MemoryDisk::new();
    disk.make_folder("new").unwrap();
    synced(&disk, "new/f", b"safe");
    assert_eq!(stories(&disk, |after| text(after, "new/f").is_some()).len(), 2);
}

#[test]
fn the_same_seed_loses_the_same() {
    let disk = MemoryDisk::new();
    synced(&disk, "f", b"");
    for number in 0..9 {
        disk.open("f").unwrap().append(&[number; LONG]).unwrap();
        write(&disk, &format!("g{number}"), b"x");
    }
    let all =
        |after: &MemoryDisk| after.files().into_iter().map(|(path, _)| (text(after, &path), path)).collect();
    for seed in 0..50 {
        let found: Vec<_> = all(&disk.after_power_cut(seed));
        assert_eq!(found, all(&disk.after_power_cut(seed)), "{seed}");
    }
}

/// As on Linux: the error is told once, the pages count as clean, and the next sync has nothing to do.
#[test]
fn a_failed_sync_is_not_made_good_by_a_second_one() {
    let disk = planned("0:syncs@0=lost");
    let mut file = write(&disk, "f", b"gone");
    assert!(file.sync().is_err());
    file.append(b" kept").unwrap();
    file.sync().unwrap();
    disk.sync_folder("").unwrap();
    assert_eq!(text(&disk, "f").unwrap(), b"gone kept", "the cache goes on showing it");
    let after = disk.below().after_power_cut(0);
    assert_eq!(text(&after, "f").unwrap(), b"\0\0\0\0 kept");
    assert_eq!(text(&disk.below().after_clean_stop(), "f").unwrap(), b"\0\0\0\0 kept", "nor by unmounting");

    let disk = planned("0:syncs@0=lost");
    write(&disk, "f", b"");
    assert!(disk.sync_folder("").is_err());
    assert_eq!(disk.sync_folder("").unwrap_err().kind(), io::ErrorKind::ReadOnlyFilesystem);
    assert!(disk.open("f").is_ok() && disk.below().after_power_cut(0).open("f").is_err());
}

#[test]
fn a_lying_sync_makes_nothing_durable() {
    let disk = planned("0:syncs@0+=lies");
    synced(&disk, "f", b"believed");
    assert!(stories(disk.below(), |after| text(after, "f")).contains(&None));
    disk.below().write_back();
    assert_eq!(stories(disk.below(), |after| text(after, "f")), [Some(b"believed".to_vec())].into());
    assert_eq!(disk.story().len(), 2);
}

#[test]
fn any_operation_can_fail_or_find_no_room() {
    let all = |disk: &FaultyDisk| {
        let file = disk.create("f");
        let opened = disk.open("f");
        let mut failed = vec![file.is_err(), opened.is_err()];
        let other = disk.below().create("g").and(disk.open("g"));
        failed.push(other.is_err());
        if let Ok(mut file) = other {
            failed.extend([file.append(b"x").is_err(), file.sync().is_err(), file.len().is_err()]);
            failed.push(file.read_at(0, &mut [0]).is_err());
        }
        failed.extend([
            disk.make_folder("d").is_err(),
            disk.sync_folder("").is_err(),
            disk.list("").is_err(),
        ]);
        failed.extend([disk.space().is_err(), disk.publish("g", "h").is_err(), disk.remove("h").is_err()]);
        failed
    };
    let count = all(&planned("0:")).len();
    assert!(all(&planned("0:")).iter().all(|failed| !failed));
    for at in 0..u64::try_from(count).unwrap() {
        let disk = planned(&format!("0:all@{at}=error"));
        assert!(all(&disk).contains(&true), "operation {at}");
        let [fired] = disk.story().try_into().unwrap();
        assert_eq!((fired.number, fired.fault), (at, Fault::Error));
    }
    let full = planned("0:changes@2+=full");
    assert_eq!(full.create("a").and(full.create("b")).err().map(|e| e.kind()), None);
    assert_eq!(full.create("c").err().map(|e| e.kind()), Some(io::ErrorKind::StorageFull));
    assert!(full.open("a").is_ok() && full.create("c").is_err(), "it stays full, and can be read");
}

#[test]
fn an_error_may_come_after_the_deed() {
    let disk = planned("0:all@1=error-after,all@2=error-after");
    let mut file = disk.create("f").unwrap();
    assert!(file.append(b"half of it").is_err() && disk.publish("f", "g").is_err());
    assert_eq!(text(&disk, "g").unwrap(), b"half ");
}

#[test]
fn the_power_takes_every_disk_of_the_box_and_does_not_come_back() {
    let first = planned("0:changes@3=power-cut");
    let second = first.beside(MemoryDisk::new());
    assert!(first.create("a").is_ok() && second.create("a").is_ok() && first.create("b").is_ok());
    assert!(second.create("b").is_err() && first.create("c").is_err() && first.open("a").is_err());
    assert_eq!(first.story().len(), 1, "one fault, told once");
}

#[test]
fn reads_rot_or_come_from_elsewhere() {
    let bytes: Vec<u8> = (0..=255).collect();
    for (fault, differing) in [("rot", 1..=1), ("elsewhere", 2..=256)] {
        let disk = planned(&format!("3:reads~2={fault}"));
        synced(&disk, "f", &bytes);
        synced(&disk, "other", &[7; LONG]);
        let mut wrong = 0;
        for offset in 0..100u64 {
            let file = disk.open("f").unwrap();
            let mut found = [0; 100];
            file.read_at(offset, &mut found).unwrap();
            let right = &bytes[usize::try_from(offset).unwrap()..][..100];
            let differ = found.iter().zip(right).filter(|(a, b)| a != b).count();
            wrong += u64::from(differ > 0);
            assert!(differ == 0 || differing.contains(&differ), "{fault} changed {differ} bytes");
        }
        assert!((30..70).contains(&wrong), "{fault}: {wrong} of 100");
        assert_eq!(text(disk.below(), "f").unwrap(), bytes, "the medium is as it was");
    }
}

#[test]
fn the_medium_rots_loses_and_cannot_be_read() {
    let disk = MemoryDisk::new();
    synced(&disk, "f", &[0; LONG]);
    assert!(disk.flip("f", 3, 1) && !disk.flip("f", LONG, 1) && !disk.flip("nothing", 0, 1));
    assert_eq!(text(&disk, "f").unwrap()[..5], [0, 0, 0, 2, 0]);
    assert!(disk.scramble("f", 10..20, 5));
    let found = text(&disk.after_power_cut(1), "f").unwrap();
    assert!(found[10..20].iter().all(|byte| *byte != 0) && found[20..].iter().all(|byte| *byte == 0));
    disk.make_unreadable("f", 100..101);
    let file = disk.open("f").unwrap();
    assert!(file.read_at(50, &mut [0; 50]).is_ok() && file.read_at(101, &mut [0; 50]).is_ok());
    assert!(file.read_at(50, &mut [0; 51]).is_err() && text(&disk, "f").is_none());
    assert!(disk.lose("f") && !disk.lose("f") && disk.after_power_cut(0).open("f").is_err());
}

#[test]
fn a_disk_dies_alone_and_the_power_takes_its_neighbour_with_faults_of_its_own() {
    let (first, power) = (planned("0:changes@1=dies"), planned("0:changes@1=power-cut"));
    let (second, third) = (first.on_same_power(MemoryDisk::new()), power.on_same_power(MemoryDisk::new()));
    for disk in [&first, &second, &power, &third] {
        assert!(disk.create("a").is_ok());
    }
    assert!(first.create("b").is_err() && first.list("").is_err() && second.create("b").is_ok());
    assert!(power.create("b").is_err() && third.create("b").is_err() && third.is_off());
    second.plan("changes@1=error".parse().unwrap());
    assert!(second.create("c").is_ok() && second.create("d").is_err(), "counted from when it was planned");
}

/// Pulled and put back, or swapped for an older image of itself.
#[test]
fn an_image_of_a_disk_shares_nothing_with_it() {
    let disk = MemoryDisk::new();
    synced(&disk, "f", b"old");
    let image = disk.after_clean_stop();
    disk.open("f").unwrap().append(b" and new").unwrap();
    image.flip("f", 0, 0);
    assert_eq!((text(&disk, "f"), text(&image, "f")), (Some(b"old and new".to_vec()), Some(b"nld".to_vec())));
}

#[test]
fn room_is_counted_over_files_and_power_cuts() {
    let disk = MemoryDisk::new();
    disk.limit(10);
    synced(&disk, "f", b"1234");
    let mut file = write(&disk, "g", b"123");
    assert!(file.append(b"1234").is_err() && file.append(b"123").is_ok());
    assert_eq!(disk.space().unwrap().free, 0);
    disk.remove("g").unwrap();
    assert_eq!((disk.space().unwrap().free, disk.after_power_cut(1).space().unwrap().total), (6, 10));
}

#[test]
fn a_schedule_is_read_back_from_what_it_prints() {
    let line = "7:changes@12=error,changes@40=dies,syncs@0+=lies,reads~500=rot,all@3=lost";
    assert_eq!(line.parse::<Schedule>().unwrap().to_string(), line);
    for bad in ["", "7", "x:all@1=rot", "7:all@1=what", "7:some@1=rot", "7:all=rot", "7:all@x=rot"] {
        assert!(bad.parse::<Schedule>().is_err(), "{bad}");
    }
}

/// The list of fired faults repeats a random run.
#[test]
fn what_fired_replays_without_chance() {
    let run = |schedule: Schedule| {
        let disk = FaultyDisk::new(MemoryDisk::new(), schedule);
        for number in 0..200 {
            if let Ok(mut file) = disk.create(&format!("f{number}")) {
                let _ = file.append(b"x").and_then(|()| file.sync());
            }
        }
        disk
    };
    let chance = run("5:changes~20=error,syncs~9=lost".parse().unwrap());
    let list: Vec<_> = chance.story().iter().map(Fired::planned).collect();
    let again = run(Schedule::new(5, list));
    assert!(chance.story().len() > 20);
    assert_eq!((chance.story(), chance.below().files()), (again.story(), again.below().files()));
}
