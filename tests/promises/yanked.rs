//! Disks that are pulled, put back, swapped, filled up and damaged while the real agent runs on real filesystems.

use crate::byte_exact::{Dice, describe};
use harness::fault_injection::{files_below, spoil};
use harness::home::{Home, text};
use harness::mounts::Mounts;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// What the owner is promised; the tests allow as much again for a machine that does other things besides.
pub(crate) const SHOWN_WITHIN: Duration = Duration::from_secs(20);
const FILLED_WITHIN: Duration = Duration::from_secs(60);
const SETTINGS: &str = "reserve = \"128 MiB\"\n[mqtt]\nenabled = false\n";

/// True, with the reason printed, where disks cannot be mounted.
pub(crate) fn cannot_mount() -> bool {
    let missing = Mounts::missing();
    if let Some(why) = &missing {
        println!("not tested, since disks cannot be mounted here: {why}");
    }
    missing.is_some()
}

/// An agent with new disks, and a computer that may do everything.
pub(crate) fn started_on(disks: &[&str]) -> (Home, Mounts) {
    let (mut home, mut mounts) = Home::with_mounts(SETTINGS);
    for disk in disks {
        mounts.make(disk);
        mounts.plug(disk, disk);
    }
    home.use_disks(disks);
    home.start();
    home.pair("laptop", "admin");
    (home, mounts)
}

pub(crate) fn fill(folder: &Path, dice: &mut Dice, files: u64, bytes_max: u64) {
    fs::create_dir_all(folder).expect("a folder");
    for number in 0..files {
        let len = usize::try_from(dice.below(bytes_max)).expect("small");
        fs::write(folder.join(format!("file{number}")), dice.bytes(len)).expect("written");
    }
}

/// Waits until the report is as it should be.
pub(crate) fn wait_for(
    home: &Home,
    within: Duration,
    what: &str,
    is_so: impl Fn(&serde_json::Value) -> bool,
) {
    let since = Instant::now();
    loop {
        let status = home.json(&["status"]);
        if is_so(&status) {
            return;
        }
        assert!(since.elapsed() < within, "{what} took too long: {status}\n{}", home.log());
        std::thread::sleep(Duration::from_millis(100));
    }
}

pub(crate) fn states(status: &serde_json::Value) -> Vec<String> {
    let disks = status["disks"].as_array().cloned().unwrap_or_default();
    disks.iter().map(|disk| disk["state"].as_str().unwrap_or("?").to_owned()).collect()
}

pub(crate) fn all_healthy(home: &Home, count: usize) {
    let whole = |status: &serde_json::Value| states(status) == vec!["healthy"; count];
    wait_for(home, FILLED_WITHIN, "catching up", whole);
}

fn says(status: &serde_json::Value, words: &str) -> bool {
    let conditions = status["health"]["conditions"].as_array().cloned().unwrap_or_default();
    conditions.iter().any(|condition| {
        condition["code"] == 4 && condition["what"].as_str().is_some_and(|what| what.contains(words))
    })
}

/// You can pull one of two disks while a backup runs, and put it back whenever you like.
#[test]
fn a_disk_may_be_pulled_in_the_middle_of_a_backup_and_put_back() {
    if cannot_mount() {
        return;
    }
    let (mut home, mut mounts) = started_on(&["a", "b"]);
    let folder = home.path("data");
    let mut dice = Dice(21);
    let mut finished = Vec::new();
    for (pulled, stays, wait_ms) in [("b", "a", 60), ("a", "b", 150)] {
        fill(&folder, &mut dice, 40, 900_000);
        let mut push = home.larder(&["push", &folder.display().to_string(), "--source", "data"]);
        let mut child = push.stdout(std::process::Stdio::null()).spawn().expect("larder runs");
        std::thread::sleep(Duration::from_millis(wait_ms));
        mounts.yank(pulled, pulled);
        assert_eq!(child.wait().expect("larder ends").code(), Some(0), "{}", home.log());
        let gone = format!("{}/larder is not connected", home.path(pulled).display());
        wait_for(&home, SHOWN_WITHIN, "showing it", |status| says(status, &gone));
        fs::write(folder.join("one more"), dice.bytes(5000)).expect("written");
        let snapshot = home.push(&folder, "data");
        finished.push((snapshot, describe(&folder)));
        let listed = home.larderd(&["disks"]).output().expect("larderd runs");
        assert!(listed.status.success() && text(&listed).contains("not connected"), "{}", text(&listed));
        mounts.plug(pulled, pulled);
        all_healthy(&home, 2);
        // The one that stayed goes for good: the other holds everything, also what came while it was away.
        assert_eq!(home.stop_agent(), Some(0));
        mounts.unmount(stays, stays);
        home.start();
        for (snapshot, expect) in &finished {
            assert_eq!(
                describe(&home.restore("data", *snapshot)),
                *expect,
                "only {pulled}, snapshot {snapshot}"
            );
        }
        mounts.plug(stays, stays);
        all_healthy(&home, 2);
    }
    assert!(
        !home.path("a/larder").exists() && !home.path("b/larder").exists(),
        "nothing fell beside the disks"
    );
}

/// Disks are known by what is on them: swapped they work as before, and a wrong one is told and left alone.
#[test]
fn disks_may_be_swapped_and_wrong_ones_are_told() {
    if cannot_mount() {
        return;
    }
    let (mut home, mut mounts) = Home::with_mounts(SETTINGS);
    for disk in ["a", "b", "empty"] {
        mounts.make(disk);
    }
    mounts.plug("a", "a");
    home.use_disks(&["a", "b"]);
    let refused = home.larderd(&["run"]).output().expect("larderd runs");
    assert!(text(&refused).contains("no disk is mounted at"), "{}", text(&refused));
    mounts.plug("b", "b");
    home.start();
    home.pair("laptop", "admin");
    let folder = home.path("data");
    fill(&folder, &mut Dice(22), 10, 100_000);
    let snapshot = home.push(&folder, "data");
    assert_eq!(home.stop_agent(), Some(0));
    mounts.unmount("a", "a");
    mounts.unmount("b", "b");
    mounts.plug("a", "b");
    mounts.plug("b", "a");
    home.start();
    all_healthy(&home, 2);
    assert_eq!(describe(&home.restore("data", snapshot)), describe(&folder));
    // Swapped while it runs: one is let go of, and an empty one comes to its place.
    let place = home.path("b").display().to_string();
    let released = home.larderd(&["release", &place]).output().expect("larderd runs");
    let shown = text(&home.larderd(&["disks"]).output().expect("larderd runs"));
    assert!(shown.contains("released"), "at once: {shown}");
    assert!(released.status.success(), "{}", text(&released));
    let since = Instant::now();
    while mounts.inside(&["sh", "-c", &format!("umount {place} 2>/dev/null && echo done || true")]) != "done"
    {
        assert!(since.elapsed() < SHOWN_WITHIN, "a disk that was let go of is still in use\n{}", home.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    mounts.plug("empty", "b");
    wait_for(&home, SHOWN_WITHIN, "showing the empty disk", |status| says(status, "it is empty"));
    assert_eq!(mounts.inside(&["ls", &place]), "lost+found", "it was left alone");
    mounts.inside(&["touch", &format!("{place}/a file of somebody")]);
    let nowhere = home.larderd(&["adopt", &format!("{place}/nowhere")]).output().expect("larderd runs");
    assert_eq!(nowhere.status.code(), Some(2), "{}", text(&nowhere));
    assert!(text(&nowhere).contains("There is no folder"), "{}", text(&nowhere));
    let adopted = home.larderd(&["adopt", &place]).output().expect("larderd runs");
    assert!(text(&adopted).contains("other files"), "{}", text(&adopted));
    mounts.inside(&["rm", &format!("{place}/a file of somebody")]);
    let adopted = home.larderd(&["adopt", &place, "--offsite"]).output().expect("larderd runs");
    assert!(adopted.status.success(), "{}", text(&adopted));
    let filled = |status: &serde_json::Value| {
        status["disks"].as_array().is_some_and(|disks| {
            disks.iter().any(|disk| disk["may_unplug"] == true && disk["role"] == "offsite")
        })
    };
    wait_for(&home, FILLED_WITHIN, "filling the offsite disk", filled);
    mounts.yank("empty", "b");
    let gone =
        |status: &serde_json::Value| states(status).iter().filter(|state| *state == "away").count() >= 1;
    wait_for(&home, SHOWN_WITHIN, "seeing it go", gone);
    assert!(!says(&home.json(&["status"]), "offsite"), "that it is away is no trouble");
    assert_eq!(home.stop_agent(), Some(0));
    mounts.unmount("b", "a");
    mounts.plug("empty", "a");
    home.start();
    assert_eq!(describe(&home.restore("data", snapshot)), describe(&folder), "the offsite disk alone");
}

/// With the only disk pulled a restore says so, at once and later, and calls no file damaged; put back, all is there.
#[test]
fn without_any_disk_a_restore_does_not_speak_of_damage() {
    if cannot_mount() {
        return;
    }
    let (home, mut mounts) = started_on(&["a"]);
    let folder = home.path("data");
    fill(&folder, &mut Dice(25), 10, 100_000);
    let snapshot = home.push(&folder, "data");
    mounts.yank("a", "a");
    let to = home.path("to").display().to_string();
    for moment in ["at once", "later"] {
        let restored = home.larder(&["restore", "laptop/data", "--to", &to]).output().expect("larder runs");
        let said = text(&restored);
        assert_eq!(restored.status.code(), Some(1), "{moment}: {said}");
        assert!(said.contains("stopped answering") && !said.contains("amaged"), "{moment}: {said}");
        let listed = home.larder(&["ls", "laptop/data"]).output().expect("larder runs");
        // What was read a moment ago may still be known.
        assert!(matches!(listed.status.code(), Some(0 | 1)), "{moment}: {}", text(&listed));
        wait_for(&home, SHOWN_WITHIN, "showing it", |status| states(status) == ["away"]);
    }
    mounts.plug("a", "a");
    all_healthy(&home, 1);
    assert_eq!(describe(&home.restore("data", snapshot)), describe(&folder));
}

/// A full disk refuses new backups, says so, and goes on as soon as there is room.
#[test]
fn a_full_disk_loses_nothing() {
    if cannot_mount() {
        return;
    }
    let (mut home, mounts) = started_on(&["a"]);
    let folder = home.path("data");
    let mut dice = Dice(23);
    fill(&folder, &mut dice, 5, 50_000);
    let first = home.push(&folder, "data");
    let before = describe(&folder);
    // Full to the last block, not only up to the reserve: whatever the agent writes fails.
    let filler = home.path("a/filler").display().to_string();
    mounts.inside(&["sh", "-c", &format!("head -c 1G /dev/zero > {filler} 2>/dev/null || true")]);
    fill(&folder, &mut dice, 5, 50_000);
    let refused = home
        .larder(&["push", &folder.display().to_string(), "--source", "data"])
        .output()
        .expect("larder runs");
    assert_eq!(refused.status.code(), Some(5), "{}", text(&refused));
    assert_eq!(describe(&home.restore("data", first)), before, "a restore works on a full disk");
    home.kill_agent();
    home.start();
    assert_eq!(describe(&home.restore("data", first)), before, "and after a crash");
    mounts.inside(&["rm", &filler]);
    let second = home.push(&folder, "data");
    assert_eq!(describe(&home.restore("data", second)), describe(&folder));
}

/// One of two disks is damaged all over: everything comes back from the other.
#[test]
fn one_disk_damaged_at_random_costs_nothing() {
    let mut home = Home::new();
    assert_eq!(home.stop_agent(), Some(0));
    home.use_disks(&["disk", "second"]);
    home.start();
    let folder = home.path("data");
    let mut dice = Dice(24);
    let mut finished = Vec::new();
    for _ in 0..3 {
        fill(&folder, &mut dice, 20, 200_000);
        finished.push((home.push(&folder, "data"), describe(&folder)));
    }
    all_healthy(&home, 2);
    home.kill_agent();
    let mut harmed = 0;
    for path in files_below(&home.path("disk/larder")) {
        let name = path.display().to_string();
        if name.ends_with(".pack") || name.ends_with(".entry") || name.contains("/index/") {
            spoil(&path, dice.below(1_000_000), &dice.bytes(3000));
            harmed += 1;
        }
    }
    assert!(harmed > 6, "only {harmed} files were spoiled");
    home.start();
    for (snapshot, expect) in finished {
        assert_eq!(describe(&home.restore("data", snapshot)), expect, "snapshot {snapshot}\n{}", home.log());
    }
}
