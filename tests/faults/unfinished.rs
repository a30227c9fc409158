//! Pushes that are larger than the disk: they are refused, what they brought is let go of when others need the room, and
//! nobody loses anything that was confirmed, whenever the power goes.

use crate::letting_go::packs;
use harness::plain::{self, Files, files, restore, stamp};
use larder_format::ledger::{Event, WallStamp};
use larder_format::pack::PACK_BYTES_AIM;
use larder_store::disk::{Disk, Fault, FaultyDisk, MemoryDisk, Plan};
use larder_store::{Committed, Result, StoreError, Vault};
use std::sync::Arc;

const RESERVE_BYTES: u64 = 1 << 20;
/// Steps after which a round must have ended on a vault as small as these. Each step reads one pack's table at least, and a
/// rewrite looks at each of some forty tables twice.
const STEPS_MAX: usize = 150;

/// So many bytes that do not occur twice.
fn noise(seed: u32, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

fn large(seed: u32, bytes: usize) -> Files {
    files([("film.mkv", &noise(seed, bytes))])
}

fn open(disk: &MemoryDisk) -> Vault {
    plain::open_with_reserve(vec![Arc::new(disk.clone())], RESERVE_BYTES).expect("opens")
}

/// From now on uploads can bring so many bytes more before they are refused.
fn leave_room(disk: &MemoryDisk, bytes: u64) {
    let used: u64 = disk.files().iter().map(|(_, len)| len).sum();
    disk.limit(used + RESERVE_BYTES + PACK_BYTES_AIM + bytes);
}

/// A push in packs of one chunk each, as a large one fills many.
fn push(vault: &Vault, source: &str, files: &Files, number: u128, now: WallStamp) -> Result<Committed> {
    let asked = plain::Push::ask(vault, plain::device_of(source), files);
    asked.send(vault, Vault::seal_all)?;
    asked.commit(vault, source, number, now)
}

/// The same without its commit.
fn send_only(vault: &Vault, source: &str, files: &Files) -> Result<()> {
    plain::Push::ask(vault, plain::device_of(source), files).send(vault, Vault::seal_all)
}

/// Two devices send at the same time: each pack has a chunk of both, as long as both have any.
fn send_side_by_side(vault: &Vault, first: &plain::Push, second: &plain::Push) -> Result<()> {
    let (mut ours, mut theirs) = (first.missing.iter(), second.missing.iter());
    loop {
        let pair = (ours.next(), theirs.next());
        if pair == (None, None) {
            return Ok(());
        }
        pair.0.map_or(Ok(()), |chunk| first.send_one(vault, chunk))?;
        pair.1.map_or(Ok(()), |chunk| second.send_one(vault, chunk))?;
        vault.seal_all()?;
    }
}

/// Makes room until a round has ended. Returns how many packs went and how many files were removed.
///
/// # Errors
/// `Waits` where nobody can tell what is needed, and those of a step.
fn make_room(vault: &Vault, hour: u64) -> Result<(u64, u64)> {
    let (mut packs, mut removed) = (0, 0);
    for _ in 0..STEPS_MAX {
        let swept = vault.sweep_unfinished_step(stamp(hour), 20)?;
        if let Some(why) = swept.waits {
            return Err(StoreError::Waits { why });
        }
        packs += swept.packs;
        removed += swept.files_removed;
        if !swept.is_under_way {
            return Ok((packs, removed));
        }
    }
    panic!("making room does not end")
}

/// A disk with a backup of two devices, and so little room that a large push does not fit.
struct Home {
    disk: MemoryDisk,
    vault: Vault,
    kept: Vec<(u64, Files)>,
    pushes: u128,
}

impl Home {
    fn new(room_bytes: u64) -> Self {
        let disk = MemoryDisk::named("the attic disk");
        let vault = open(&disk);
        let mut home = Self { disk, vault, kept: Vec::new(), pushes: 0 };
        home.push("laptop/docs", files([("a.txt", b"kept")]), 1).expect("there is room");
        home.push("phone/dcim", files([("b.jpg", &noise(7, 1500))]), 2).expect("there is room");
        leave_room(&home.disk, room_bytes);
        home
    }

    fn push(&mut self, source: &str, files: Files, hour: u64) -> Result<()> {
        self.pushes += 1;
        self.vault.look_at_clock(stamp(hour));
        let committed = push(&self.vault, source, &files, self.pushes, stamp(hour))?;
        self.kept.push((committed.record.sequence, files));
        Ok(())
    }

    fn restart(&mut self) {
        self.vault = open(&self.disk);
    }

    fn check(&self) {
        check(&self.vault, &self.kept, "");
    }
}

fn check(vault: &Vault, kept: &[(u64, Files)], context: &str) {
    for (sequence, files) in kept {
        let records: Vec<_> = vault.ledger().sources.values().flatten().cloned().collect();
        let record = records.iter().find(|record| record.sequence == *sequence);
        let record = record.unwrap_or_else(|| panic!("{context}: snapshot {sequence} is lost"));
        let found = restore(vault, record.snapshot.root);
        let found = found.unwrap_or_else(|error| panic!("{context}: snapshot {sequence}: {error:?}"));
        assert!(found == *files, "{context}: snapshot {sequence} gives other bytes");
    }
}

fn is_full(refused: Result<()>) -> bool {
    matches!(refused, Err(StoreError::Full { .. }))
}

/// One device fills the disk and is refused. The others go on: a small push at once, a larger one after a moment, and the
/// first device itself with less.
#[test]
fn one_oversized_push_blocks_nobody() {
    let mut home = Home::new(40_000);
    let refused = home.push("laptop/films", large(1, 90_000), 3);
    assert!(
        matches!(&refused, Err(StoreError::Full { disk, missing_mib: 1.., .. }) if disk == "the attic disk"),
        "{refused:?}"
    );
    home.push("phone/dcim", files([("c.txt", b"a push of thirty bytes in all.")]), 3).expect("it is small");
    assert!(home.vault.is_short_of_room(stamp(3)), "somebody was refused");
    assert!(is_full(home.push("phone/films", large(2, 12_000), 3)), "the laptop holds the room");
    let before = packs(&home.disk).len();
    let (gone, removed) = make_room(&home.vault, 3).expect("nothing fails");
    assert!(gone > 0 && removed == gone, "{gone} packs, {removed} files");
    assert!(packs(&home.disk).len() < before, "their files went at once");
    home.push("phone/films", large(2, 12_000), 3).expect("there is room");
    home.check();
    home.push("laptop/films", large(3, 2_000), 3).expect("a smaller one fits");
    home.restart();
    home.check();
    assert_eq!(home.vault.audit().expect("an audit").damaged, [""; 0]);
}

/// The last pack's room is for devices that hold less than half of what there was.
#[test]
fn a_device_above_its_share_leaves_room_for_a_pack_of_the_others() {
    let mut home = Home::new(100_000);
    assert!(is_full(send_only(&home.vault, "laptop/films", &large(1, 60_000))), "it would fit");
    home.push("phone/films", large(2, 15_000), 3).expect("there is room for the others");
}

/// Packs filled by two devices at once: a push that nobody goes on with gives its room back, though chunks lie beside it that
/// were kept, or that the other device has yet to name.
#[test]
fn one_oversized_push_blocks_nobody_though_its_packs_hold_chunks_of_others() {
    for is_committed in [true, false] {
        let mut home = Home::new(60_000);
        let film = large(1, 300_000);
        let album: Files = (0..36).map(|number| (format!("{number}.jpg"), noise(100 + number, 90))).collect();
        let laptop = plain::Push::ask(&home.vault, plain::device_of("laptop"), &film);
        let tablet = plain::Push::ask(&home.vault, plain::device_of("tablet"), &album);
        assert!(is_full(send_side_by_side(&home.vault, &laptop, &tablet)), "it does not fit");
        let keep = |home: &mut Home| {
            let committed = tablet.commit(&home.vault, "tablet/album", 70, stamp(30));
            let sequence = committed.expect("nothing of it went").record.sequence;
            home.kept.push((sequence, album.clone()));
        };
        if is_committed {
            keep(&mut home);
        }
        home.vault.look_at_clock(stamp(3));
        let asked = plain::Push::ask(&home.vault, plain::device_of("tablet"), &album);
        assert!(asked.missing.is_empty());
        home.vault.look_at_clock(stamp(30));
        leave_room(&home.disk, 0);
        assert!(is_full(home.push("phone/films", large(3, 6_000), 30)), "the laptop holds the room");
        let (gone, removed) = make_room(&home.vault, 30).expect("nothing fails");
        assert!(gone > 20 && removed == gone, "{gone} packs, {removed} files");
        home.check();
        home.push("phone/films", large(3, 6_000), 30).expect("there is room");
        if !is_committed {
            keep(&mut home);
        }
        home.check();
        home.restart();
        home.check();
        assert_eq!(home.vault.audit().expect("an audit").damaged, [""; 0]);
    }
}

/// A thief who commits one small file beside each pack of rubbish would otherwise keep the rubbish for good.
#[test]
fn a_small_commit_in_each_pack_keeps_nothing_but_itself() {
    let mut home = Home::new(30_000);
    let rubbish = plain::Push::ask(&home.vault, plain::device_of("laptop"), &large(1, 300_000));
    for (number, chunk) in rubbish.missing.iter().enumerate() {
        let small = files([("a.txt", format!("small file {number}").as_bytes())]);
        let sent = rubbish.send_one(&home.vault, chunk);
        if is_full(sent.and_then(|()| home.push(&format!("laptop/{number}"), small, 3))) {
            break;
        }
    }
    leave_room(&home.disk, 0);
    assert!(is_full(home.push("phone/films", large(3, 4_000), 3)), "the laptop holds the room");
    let (gone, removed) = make_room(&home.vault, 3).expect("nothing fails");
    assert!(gone > 5 && removed == gone, "{gone} packs, {removed} files");
    home.push("phone/films", large(3, 4_000), 3).expect("there is room");
    home.check();
    home.restart();
    home.check();
}

/// A push that is within its share keeps what it brought, and what it was told is held, for a day.
#[test]
fn a_push_under_way_within_its_share_is_not_swept() {
    let mut home = Home::new(40_000);
    let mut album = large(1, 9_000);
    let asked = plain::Push::ask(&home.vault, plain::device_of("tablet"), &album);
    asked.send(&home.vault, Vault::seal_all).expect("there is room");
    assert!(is_full(send_only(&home.vault, "laptop/films", &large(2, 90_000))));
    make_room(&home.vault, 3).expect("nothing fails");
    home.vault.look_at_clock(stamp(20));
    assert!(is_full(send_only(&home.vault, "laptop/films", &large(3, 90_000))));
    make_room(&home.vault, 20).expect("nothing fails");
    asked.commit(&home.vault, "tablet/album", 70, stamp(21)).expect("nothing of it went");
    album.insert("b.txt".to_owned(), b"more".to_vec());
    home.push("tablet/album", album, 22).expect("there is room");
    home.check();
}

/// A device sends a chunk that another one has just sent, and that lies in a pack which still grows: it is not stored twice, so
/// the second device pins that pack as well.
#[test]
fn a_device_that_sent_a_chunk_of_a_growing_pack_finds_it_at_its_commit() {
    let mut home = Home::new(40_000);
    let shared = large(1, 2_000);
    let first = plain::Push::ask(&home.vault, plain::device_of("laptop"), &shared);
    first.send(&home.vault, |_| Ok(())).expect("there is room");
    home.vault.look_at_clock(stamp(3));
    home.vault.look_at_clock(stamp(26));
    let second = plain::Push::ask(&home.vault, plain::device_of("tablet"), &shared);
    let before = home.disk.files();
    second.send(&home.vault, |_| Ok(())).expect("there is room");
    // To ask once more would pin the pack as well.
    assert_eq!(home.disk.files(), before, "the pack that grows has all of it");
    leave_room(&home.disk, 0);
    home.vault.seal_all().expect("there is room");
    home.vault.look_at_clock(stamp(28));
    assert!(is_full(home.push("phone/films", large(2, 3_000), 28)));
    make_room(&home.vault, 28).expect("nothing fails");
    let committed = second.commit(&home.vault, "tablet/album", 70, stamp(29)).expect("nothing of it went");
    home.kept.push((committed.record.sequence, shared));
    home.check();
}

/// Who stopped pushing a day ago holds no room that others need; who asks again is told what is missing.
#[test]
fn what_nobody_came_back_for_within_a_day_goes_when_others_need_the_room() {
    let mut home = Home::new(40_000);
    let abandoned = large(1, 9_000);
    send_only(&home.vault, "tablet/album", &abandoned).expect("there is room");
    for hour in [2, 26] {
        home.vault.look_at_clock(stamp(hour));
    }
    leave_room(&home.disk, 0);
    assert!(is_full(home.push("phone/films", large(2, 3_000), 27)));
    make_room(&home.vault, 27).expect("nothing fails");
    home.push("phone/films", large(2, 3_000), 27).expect("there is room");
    home.check();
    leave_room(&home.disk, 100_000);
    home.push("tablet/album", abandoned, 28).expect("it is asked for all of it");
    home.check();
}

/// Nobody's pins outlive a restart: what an earlier run took in goes as soon as somebody is refused, without the hour that an
/// ordinary sweep waits, and its device is asked again.
#[test]
fn after_a_restart_what_was_never_committed_goes_when_room_is_short() {
    let mut home = Home::new(40_000);
    assert!(is_full(send_only(&home.vault, "laptop/films", &large(1, 90_000))));
    leave_room(&home.disk, 0);
    home.restart();
    assert!(is_full(home.push("phone/films", large(2, 3_000), 3)));
    assert!(home.vault.sweep_step(stamp(3), 1000).expect("a step").waits.is_some());
    make_room(&home.vault, 3).expect("nothing fails");
    home.push("phone/films", large(2, 3_000), 3).expect("there is room");
    home.check();
}

/// What was begun and not sealed when the power went cannot be packed on a full disk; it takes no room from others for ever.
#[test]
fn an_unfinished_pack_that_could_not_be_packed_gives_its_room_back() {
    let mut home = Home::new(1 << 20);
    let by = plain::device_of("laptop");
    let asked = plain::Push::ask(&home.vault, by, &large(1, 30_000));
    asked.send(&home.vault, |_| Ok(())).expect("there is room");
    let used = || home.disk.files().iter().map(|(_, len)| len).sum::<u64>();
    let before = used();
    home.disk.limit(before);
    let parts = |disk: &MemoryDisk| disk.list("open").expect("a list").len();
    home.restart();
    assert_eq!(parts(&home.disk), 1, "there is no room to pack it");
    home.disk.limit(before + RESERVE_BYTES + PACK_BYTES_AIM - 20_000);
    assert!(is_full(home.push("phone/dcim", large(2, 900), 3)));
    make_room(&home.vault, 3).expect("nothing fails");
    assert_eq!(parts(&home.disk), 0);
    home.push("phone/dcim", large(2, 900), 3).expect("there is room");
    home.check();
}

/// History on hold stops no push: what was never kept is no history. What a hold may be about stays.
#[test]
fn a_hold_keeps_history_and_not_what_was_never_in_it() {
    let mut home = Home::new(40_000);
    let hold = Event::HoldSet { source: None, reason: "a bad edit".to_owned() };
    home.vault.append(stamp(3), hold).expect("there is room for the ledger");
    assert!(is_full(send_only(&home.vault, "laptop/films", &large(1, 90_000))));
    assert!(is_full(home.push("phone/films", large(2, 12_000), 3)));
    make_room(&home.vault, 3).expect("nothing fails");
    home.push("phone/films", large(2, 12_000), 3).expect("there is room");
    home.check();
}

/// What is damaged or away may be needed although no look finds it: then room is made of nothing.
#[test]
fn no_room_is_made_while_it_is_in_doubt_what_is_needed() {
    let (stays, leaves) = (MemoryDisk::new(), MemoryDisk::new());
    let both: Vec<Arc<dyn Disk>> = vec![Arc::new(stays.clone()), Arc::new(leaves)];
    let vault = plain::open_with_reserve(both, RESERVE_BYTES).expect("opens");
    push(&vault, "laptop/docs", &files([("a.txt", b"kept")]), 1, stamp(1)).expect("a push");
    leave_room(&stays, 12_000);
    assert!(is_full(send_only(&vault, "laptop/films", &large(1, 60_000))));
    let away = vault.disks()[1].id.clone();
    vault.detach(&away);
    let swept = vault.sweep_unfinished_step(stamp(2), 1000).expect("a step");
    assert!(swept.waits.is_some_and(|why| why.contains("away")));
}

/// A look for room that was left alone for more than a day knows nothing of what came since: it begins anew.
#[test]
fn room_is_looked_for_among_what_is_there_now() {
    let mut home = Home::new(40_000);
    let begun = home.vault.sweep_unfinished_step(stamp(3), 1).expect("a step");
    assert!(begun.is_under_way);
    home.vault.look_at_clock(stamp(40));
    assert!(is_full(send_only(&home.vault, "laptop/films", &large(1, 90_000))));
    assert!(is_full(home.push("phone/films", large(2, 12_000), 40)));
    make_room(&home.vault, 40).expect("nothing fails");
    home.push("phone/films", large(2, 12_000), 40).expect("there is room");
    home.check();
}

/// A snapshot that is committed at any moment while room is made keeps everything that it names, or its device is asked again.
#[test]
fn what_is_committed_while_room_is_made_stays() {
    let mut committed_in_time = 0;
    for moment in 0..STEPS_MAX {
        let mut home = Home::new(40_000);
        let film = large(1, 7_000);
        let asked = plain::Push::ask(&home.vault, plain::device_of("laptop"), &film);
        asked.send(&home.vault, Vault::seal_all).expect("there is room");
        assert!(is_full(send_only(&home.vault, "laptop/films", &large(2, 90_000))));
        let mut steps = 0;
        while steps < moment && home.vault.sweep_unfinished_step(stamp(3), 2).expect("a step").is_under_way {
            steps += 1;
        }
        match asked.commit(&home.vault, "laptop/films", 70, stamp(3)) {
            Ok(committed) => {
                home.kept.push((committed.record.sequence, film));
                committed_in_time += 1;
            }
            Err(StoreError::Missing { .. }) => home.push("laptop/films", film, 3).expect("it is asked again"),
            Err(error) => panic!("after {moment} steps: {error:?}"),
        }
        make_room(&home.vault, 3).expect("nothing fails");
        home.check();
        home.restart();
        home.check();
        if steps < moment {
            assert!(
                committed_in_time > 3 && committed_in_time <= moment,
                "{committed_in_time} of {moment} moments"
            );
            return;
        }
    }
    panic!("making room does not end");
}

/// A disk that fails somewhere in all this: what was acknowledged until then.
fn live(faulty: &Arc<FaultyDisk>) -> Vec<(u64, Files)> {
    let below = faulty.below();
    let mut kept = Vec::new();
    let mut days = || -> Result<()> {
        let open = || plain::open_with_reserve(vec![faulty.clone()], RESERVE_BYTES);
        let vault = open()?;
        let mut push = |vault: &Vault, source: &str, files: Files, number: u128| -> Result<()> {
            let committed = push(vault, source, &files, number, stamp(3))?;
            kept.push((committed.record.sequence, files));
            Ok(())
        };
        push(&vault, "laptop/docs", files([("a.txt", b"kept"), ("b.bin", &noise(9, 2000))]), 1)?;
        push(&vault, "phone/dcim", files([("b.jpg", &noise(7, 900))]), 2)?;
        leave_room(below, 16_000);
        // The tablet pushes meanwhile, into the same packs.
        let oversized = plain::Push::ask(&vault, plain::device_of("laptop"), &large(1, 30_000));
        let beside = plain::Push::ask(&vault, plain::device_of("tablet"), &large(5, 1_500));
        assert!(send_side_by_side(&vault, &oversized, &beside).is_err(), "it does not fit");
        push(&vault, "tablet/album", large(5, 1_500), 5)?;
        make_room(&vault, 3)?;
        push(&vault, "phone/films", large(2, 2_500), 3)?;
        // The next one is cut off by a restart, with a pack that is still open.
        let asked = plain::Push::ask(&vault, plain::device_of("laptop"), &large(3, 6_000));
        asked.send(&vault, |_| Ok(()))?;
        drop(vault);
        let vault = open()?;
        leave_room(below, 0);
        let small = push(&vault, "phone/dcim", large(4, 700), 4);
        assert!(small.is_err(), "there is no room");
        make_room(&vault, 4)?;
        push(&vault, "phone/dcim", large(4, 700), 4)
    };
    let _ = days();
    kept
}

fn operations() -> u64 {
    let faulty = Arc::new(FaultyDisk::new(MemoryDisk::new(), None));
    let kept = live(&faulty);
    assert_eq!(kept.len(), 5, "without a fault everything goes well");
    faulty.operations()
}

/// After whatever happened everything kept is whole, room can be made, and a device that was never refused pushes.
fn goes_on(disk: &MemoryDisk, kept: &[(u64, Files)], context: &str) {
    let vault = open(disk);
    check(&vault, kept, context);
    leave_room(disk, 0);
    let small = || push(&vault, "tablet/notes", &files([("n.txt", context.as_bytes())]), 99, stamp(5));
    let first = small();
    make_room(&vault, 5).unwrap_or_else(|error| panic!("{context}: no room is made: {error:?}"));
    check(&vault, kept, context);
    leave_room(disk, 5_000);
    first.or_else(|_| small()).unwrap_or_else(|error| panic!("{context}: the next push fails: {error:?}"));
    check(&vault, kept, context);
    assert_eq!(vault.audit().expect("an audit").damaged, [""; 0], "{context}");
    assert_eq!(vault.unreadable_packs(), 0, "{context}");
}

/// You can pull the plug at any moment while room is made, and everything that was kept is whole.
#[test]
fn pulling_the_plug_while_room_is_made_harms_nothing_that_is_kept() {
    let mut states = 0;
    for at in 0..operations() {
        for seed in 0..5 {
            let plan = Plan { at, fault: Fault::PowerCut };
            let faulty = Arc::new(FaultyDisk::new(MemoryDisk::new(), Some(plan)));
            let kept = live(&faulty);
            assert!(faulty.fired());
            let after = faulty.below().after_power_cut(seed * 1_000_003 + at);
            goes_on(&after, &kept, &format!("power cut at operation {at}, seed {seed}"));
            states += 1;
        }
    }
    println!("{states} power cuts: 0 kept snapshots lost");
}

/// An error or a disk that takes nothing more, at any moment, harms nothing either.
#[test]
fn a_disk_that_fails_while_room_is_made_harms_nothing_that_is_kept() {
    for fault in [Fault::Error, Fault::Full] {
        for at in 0..operations() {
            let faulty = Arc::new(FaultyDisk::new(MemoryDisk::new(), Some(Plan { at, fault })));
            let kept = live(&faulty);
            assert!(faulty.fired());
            goes_on(&faulty.below().after_power_cut(at), &kept, &format!("{fault:?} at operation {at}"));
        }
    }
}
