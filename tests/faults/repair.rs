//! Damage within the limits of what is kept twice or can be computed: all of it heals, on one disk and on two.

use crate::workload::{check, days_on};
use harness::plain::{self, Files, files, push, restore, stamp};
use larder_format::ChunkRef;
use larder_format::care::Round;
use larder_store::disk::{Disk, MemoryDisk};
use larder_store::{MemberState, Vault};
use std::sync::Arc;

/// Bytes that no compressor shortens, so that a pack is as long as what is in it.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// What is pushed: one pack of about 300 KB, so 75 shards, of which 5 may be lost.
pub(crate) fn day() -> Files {
    files([
        ("a.txt", b"first"),
        ("photos/cat.jpg", &noise(1, 150_000)),
        ("photos/dog.jpg", &noise(2, 145_000)),
    ])
}

pub(crate) const SHARD: usize = 4096;
pub(crate) const RECOVERY: usize = 5;

/// A vault on these disks with one snapshot, and sidecars everywhere.
pub(crate) fn pushed(disks: &[MemoryDisk]) -> (Vault, ChunkRef) {
    let vault = open(disks);
    let committed = push(&vault, "laptop/docs", &day(), 1, stamp(1)).expect("a push");
    assert_eq!(vault.write_parity(u64::MAX).expect("parity"), 0);
    (vault, committed.record.snapshot.root)
}

pub(crate) fn open(disks: &[MemoryDisk]) -> Vault {
    plain::open(disks.iter().map(|disk| Arc::new(disk.clone()) as Arc<dyn Disk>).collect()).expect("opens")
}

/// Reads every disk from end to end and repairs.
pub(crate) fn scrub(vault: &Vault) -> Vec<Round> {
    let disks: Vec<_> = vault.disks().into_iter().map(|disk| disk.id).collect();
    disks.iter().map(|disk| vault.scrub(disk, u64::MAX, stamp(2)).expect("a scrub")).collect()
}

/// The file in `packs` whose name ends so, and its length; the largest if there are several.
pub(crate) fn find(disk: &MemoryDisk, suffix: &str) -> (String, usize) {
    let mut found = Vec::new();
    for folder in disk.list("packs").expect("list") {
        for item in disk.list(&format!("packs/{}", folder.name)).expect("list") {
            if item.name.ends_with(suffix) {
                found.push((item.len, format!("packs/{}/{}", folder.name, item.name)));
            }
        }
    }
    let (len, path) = found.into_iter().max().expect("there is one");
    (path, usize::try_from(len).expect("short"))
}

pub(crate) fn ruin(disk: &MemoryDisk, path: &str, at: usize, len: usize) {
    (at..at + len).for_each(|at| assert!(disk.flip(path, at, 5)));
}

pub(crate) fn quarantined(disk: &MemoryDisk) -> usize {
    disk.list("quarantine").expect("list").len()
}

fn assert_healed(vault: &Vault, root: ChunkRef, rounds: &[Round], damaged: u64, context: &str) {
    let sums = rounds.iter().fold((0, 0, 0), |sums, round| {
        (sums.0 + round.damaged, sums.1 + round.repaired, sums.2 + round.lost)
    });
    assert_eq!(sums, (damaged, damaged, 0), "{context}: damaged, repaired, lost");
    assert_eq!(vault.audit().expect("an audit").damaged, [""; 0], "{context}");
    assert!(restore(vault, root).is_ok_and(|found| found == day()), "{context}: not everything came back");
    assert!(scrub(vault).iter().all(|round| round.damaged == 0), "{context}: the next scrub finds something");
    let again = push(vault, "laptop/docs", &day(), 77, stamp(3));
    assert!(again.is_ok(), "{context}: the next push fails: {again:?}");
}

/// One disk alone heals bursts and scattered damage, up to as many shards as it has spare ones.
#[test]
fn one_disk_heals_bursts_and_scattered_damage() {
    let whole = MemoryDisk::new();
    let (vault, root) = pushed(std::slice::from_ref(&whole));
    drop(vault);
    let (pack, len) = find(&whole, ".pack");
    let most = (RECOVERY - 1) * SHARD + 1;
    let mut healed = 0;
    for burst in [1, 2, 100, 4095, 4096, 4097, 10_000, most] {
        for at in [0, 1, 15, 4095, 77_777, len - 64 - burst, len - burst] {
            let disk = whole.after_power_cut(0);
            ruin(&disk, &pack, at, burst);
            // Damage while the agent runs, and damage that it finds when it starts: the table may be hit too.
            let vault = open(std::slice::from_ref(&disk));
            let rounds = scrub(&vault);
            assert_healed(&vault, root, &rounds, 1, &format!("{burst} bytes at {at}"));
            assert_eq!(quarantined(&disk), 1, "the damaged pack is set aside");
            healed += 1;
        }
    }
    for seed in 0..30 {
        let disk = whole.after_power_cut(0);
        let vault = open(std::slice::from_ref(&disk));
        (0..RECOVERY).for_each(|n| assert!(disk.flip(&pack, (seed * 7919 + n * 13 * SHARD + n) % len, 1)));
        let rounds = scrub(&vault);
        assert_healed(&vault, root, &rounds, 1, &format!("scattered damage {seed}"));
        healed += 1;
    }
    println!("{healed} damaged packs on one disk: all healed");
}

/// Sectors that the disk cannot read any more are lost like others, and cost no more than themselves.
#[test]
fn sectors_that_cannot_be_read_heal() {
    let whole = MemoryDisk::new();
    let (vault, root) = pushed(std::slice::from_ref(&whole));
    drop(vault);
    let (pack, len) = find(&whole, ".pack");
    let (sidecar, sidecar_len) = find(&whole, ".parity");
    for at in [0, 5 * SHARD, 40_000, len - 1] {
        let disk = whole.after_power_cut(0);
        let vault = open(std::slice::from_ref(&disk));
        disk.make_unreadable(&pack, at..at + 1);
        disk.make_unreadable(&pack, 60 * SHARD..63 * SHARD);
        // One recovery shard less, and one end of the sidecar.
        disk.make_unreadable(&sidecar, sidecar_len / 2..sidecar_len / 2 + 1);
        disk.make_unreadable(&sidecar, 0..500);
        let rounds = scrub(&vault);
        assert_healed(&vault, root, &rounds, 2, &format!("bad sectors at {at}"));
    }
}

/// A damaged sidecar is made anew from its pack.
#[test]
fn a_sidecar_heals_from_its_pack() {
    let whole = MemoryDisk::new();
    let (vault, root) = pushed(std::slice::from_ref(&whole));
    drop(vault);
    let (sidecar, len) = find(&whole, ".parity");
    for at in (0..len).step_by(997) {
        let disk = whole.after_power_cut(0);
        let vault = open(std::slice::from_ref(&disk));
        disk.flip(&sidecar, at, 0);
        let rounds = scrub(&vault);
        assert_healed(&vault, root, &rounds, 1, &format!("byte {at} of the sidecar"));
        assert!(disk.open(&sidecar).is_ok());
    }
}

/// One bad sector seldom comes alone: a disk on which damage was met is read again from the start, faster.
#[test]
fn after_the_first_damage_the_whole_disk_is_read_in_a_hurry() {
    let disk = MemoryDisk::new();
    let (vault, _) = pushed(std::slice::from_ref(&disk));
    assert!(!scrub(&vault)[0].is_hurried, "nothing is wrong");
    ruin(&disk, &find(&disk, ".pack").0, 100, 10);
    let round = scrub(&vault).remove(0);
    assert!(round.is_hurried, "{round:?}");
    assert_eq!((round.damaged, round.repaired), (1, 1), "what was found before counts on");
    assert!(!scrub(&vault)[0].is_hurried, "it was read to its end");
}

/// Nothing but the second disk can give back a pack that is ruined from end to end and has no sidecar, however long it is.
#[test]
fn a_long_pack_without_a_sidecar_comes_back_from_the_second_disk() {
    let (first, second) = (MemoryDisk::new(), MemoryDisk::new());
    let vault = open(&[first.clone(), second]);
    let films = files([("a.mkv", &noise(3, 800_000)), ("b.mkv", &noise(4, 800_000))]);
    push(&vault, "laptop/films", &films, 1, stamp(1)).expect("a push");
    let (pack, len) = find(&first, ".pack");
    assert!(len > 1 << 20, "the test needs more than is copied at once");
    assert!(first.scramble(&pack, 0..len, 7));
    let round = &scrub(&vault)[0];
    assert_eq!((round.damaged, round.repaired, round.lost), (1, 1, 0));
    assert!(
        first.open(&pack).is_ok(),
        "it is there again, and not what could be saved of it in another pack"
    );
    assert_eq!(vault.audit().expect("an audit").damaged, [""; 0]);
}

/// With two disks, whatever happens to one of them heals from the other, a pack that vanished among it.
#[test]
fn a_second_disk_heals_the_first() {
    let (first, second) = (MemoryDisk::new(), MemoryDisk::new());
    let (vault, root) = pushed(&[first.clone(), second.clone()]);
    drop(vault);
    let (pack, len) = find(&first, ".pack");
    let (sidecar, sidecar_len) = find(&first, ".parity");
    type Harm = fn(&MemoryDisk, (&str, usize), (&str, usize));
    let harms: [(u64, Harm); 5] = [
        (1, |disk, (pack, len), _| ruin(disk, pack, 0, len)),
        (1, |disk, (pack, _), _| disk.remove(pack).expect("remove")),
        (2, |disk, (pack, len), (sidecar, sidecar_len)| {
            ruin(disk, pack, 100, len - 100);
            ruin(disk, sidecar, 0, sidecar_len);
        }),
        (1, |disk, (pack, len), _| assert!(disk.make_unreadable(pack, 0..len))),
        (1, |disk, (pack, _), (sidecar, _)| {
            disk.remove(pack).expect("remove");
            disk.remove(sidecar).expect("remove");
        }),
    ];
    for (number, (damaged, harm)) in harms.into_iter().enumerate() {
        let (first, second) = (first.after_power_cut(0), second.after_power_cut(0));
        let vault = open(&[first.clone(), second]);
        harm(&first, (&pack, len), (&sidecar, sidecar_len));
        let rounds = scrub(&vault);
        assert_eq!(vault.write_parity(u64::MAX).expect("parity"), 0);
        assert_healed(&vault, root, &rounds, damaged, &format!("harm {number}"));
        assert!(first.open(&sidecar).is_ok() && first.open(&pack).is_ok());
    }
}

/// Both disks are damaged beyond what each could heal alone, in different places: together they heal.
#[test]
fn two_damaged_disks_heal_each_other() {
    let (first, second) = (MemoryDisk::new(), MemoryDisk::new());
    let (vault, root) = pushed(&[first.clone(), second.clone()]);
    let (pack, len) = find(&first, ".pack");
    let (sidecar, sidecar_len) = find(&first, ".parity");
    ruin(&first, &pack, 0, len / 2);
    ruin(&second, &pack, len / 2 - 2 * SHARD, len / 2);
    ruin(&first, &sidecar, 0, sidecar_len / 2);
    ruin(&second, &sidecar, sidecar_len / 2, sidecar_len / 2);
    let rounds = scrub(&vault);
    assert_healed(&vault, root, &rounds, 4, "halves");
}

/// A single disk whose small pack vanished has it again, whether the agent ran or not.
#[test]
fn a_small_pack_that_vanished_comes_back_from_its_sidecar() {
    for is_running in [true, false] {
        let lived = days_on(1).live(None);
        let whole = lived.disks[0].below().after_clean_stop();
        open(std::slice::from_ref(&whole)).write_parity(u64::MAX).expect("parity");
        let disk = whole.after_power_cut(0);
        let before = open(std::slice::from_ref(&disk));
        let (pack, _) = find(&disk, ".pack");
        disk.remove(&pack).expect("remove");
        let vault = if is_running { before } else { open(std::slice::from_ref(&disk)) };
        let rounds = scrub(&vault);
        assert_eq!((rounds[0].damaged, rounds[0].repaired, rounds[0].lost), (1, 1, 0));
        drop(vault);
        check(&lived.model, vec![Arc::new(disk)], "a pack vanished");
    }
}

/// Ledger entries and the disk's own name heal too, as often as they are damaged.
#[test]
fn small_files_heal_again_and_again() {
    let (first, second) = (MemoryDisk::new(), MemoryDisk::new());
    let (vault, root) = pushed(&[first.clone(), second.clone()]);
    let entry = "ledger/000000/000000000002.entry";
    for time in 1..=3 {
        first.flip(entry, 40, 1);
        first.flip("disk.json", 30, 1);
        let rounds = scrub(&vault);
        assert_eq!((rounds[0].damaged, rounds[0].repaired), (2, 2), "time {time}");
        assert_eq!(quarantined(&first), 2 * time);
    }
    drop(vault);
    // Found at the start it comes from the other disk as well, and meets three of its name in the quarantine.
    first.flip(entry, 40, 1);
    let vault = open(&[first.clone(), second]);
    assert_eq!(quarantined(&first), 7);
    assert!(vault.disk_states().iter().all(|state| *state == MemberState::Healthy));
    assert_healed(&vault, root, &scrub(&vault), 0, "after the start");
}

/// A scrub goes on where it was, on the disk itself, and reads each file once.
#[test]
fn a_scrub_goes_on_after_a_restart() {
    let disk = MemoryDisk::new();
    let (mut vault, _) = pushed(std::slice::from_ref(&disk));
    (2..6).for_each(|number| {
        let files = files([("b.bin", &noise(number, 9000))]);
        push(&vault, "laptop/docs", &files, number.into(), stamp(number)).expect("a push");
    });
    vault.write_parity(u64::MAX).expect("parity");
    let id = vault.disks()[0].id.clone();
    let mut steps = 0;
    while vault.ledger().scrubs.is_empty() {
        vault.scrub(&id, 1, stamp(10 + steps)).expect("a step");
        drop(vault);
        vault = open(std::slice::from_ref(&disk));
        steps += 1;
        assert!(steps < 100, "a step must come further");
    }
    // disk.json, seven entries (the vault, the disk, five snapshots), five packs with their sidecars.
    assert_eq!(steps, 1 + 7 + 10);
    let (_, found) = vault.ledger().scrubs[&id];
    let (pack_bytes, mut bytes) = (find(&disk, ".pack").1 as u64, 0);
    for folder in disk.list("packs").expect("list") {
        bytes +=
            disk.list(&format!("packs/{}", folder.name)).expect("list").iter().map(|i| i.len).sum::<u64>();
    }
    assert_eq!((found.bytes, found.damaged, found.lost), (bytes, 0, 0));
    assert!(bytes > pack_bytes);
    assert!(vault.scrubs()[0].round.started.is_none(), "the next round is not begun");
}
