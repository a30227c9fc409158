//! Several disks: one that joins is filled by itself, and each of them alone is a whole backup.

use crate::byte_exact::{Dice, describe};
use crate::yanked::{SHOWN_WITHIN, all_healthy, states, wait_for};
use harness::home::{Home, text};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// Time for a disk to be filled: it holds a few megabytes.
const FILLED_WITHIN: Duration = Duration::from_secs(60);

/// A second disk is named in the settings, and after a while the first one may be lost.
#[test]
fn a_new_disk_is_filled_and_then_replaces_the_old_one() {
    let mut home = Home::new();
    let folder = home.path("data");
    fs::create_dir_all(&folder).expect("a folder");
    let mut dice = Dice(11);
    for number in 0..30 {
        fs::write(folder.join(format!("file{number}")), dice.bytes(100_000)).expect("written");
    }
    let first = home.push(&folder, "data");
    let before = describe(&folder);
    assert_eq!(home.stop_agent(), Some(0));
    home.use_disks(&["disk", "second"]);
    home.start();
    fs::write(folder.join("new"), dice.bytes(200_000)).expect("written");
    let second = home.push(&folder, "data");
    let since = Instant::now();
    loop {
        let status = home.json(&["status"]);
        let disks = status["disks"].as_array().expect("disks");
        if disks.len() == 2 && disks.iter().all(|disk| disk["behind"] == 0) {
            break;
        }
        assert!(since.elapsed() < FILLED_WITHIN, "{status}");
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(home.stop_agent(), Some(0));
    fs::remove_dir_all(home.path("disk")).expect("the first disk is lost");
    home.use_disks(&["second"]);
    home.start();
    assert_eq!(describe(&home.restore("data", first)), before);
    assert_eq!(describe(&home.restore("data", second)), describe(&folder));
}

/// An old copy of the disk is put back and grows beyond what this computer saw, by what another one pushes: it is told all
/// the same, and today's backup is made.
#[test]
fn an_old_disk_that_grew_again_is_noticed() {
    let mut home = Home::new();
    let folder = home.path("data");
    fs::create_dir_all(&folder).expect("a folder");
    let push_day = |home: &Home, day: u8| {
        fs::write(folder.join("a.txt"), [day; 100]).expect("written");
        home.larder(&["push", &folder.display().to_string()]).output().expect("larder runs")
    };
    assert!(push_day(&home, 1).status.success());
    assert_eq!(home.stop_agent(), Some(0));
    let copy = home.path("copy");
    let cp = |from: &Path, to: &Path| {
        assert!(
            std::process::Command::new("cp").arg("-a").args([from, to]).status().expect("cp runs").success()
        );
    };
    cp(&home.path("disk"), &copy);
    home.start();
    assert!(push_day(&home, 2).status.success());
    assert_eq!(home.stop_agent(), Some(0));
    fs::remove_dir_all(home.path("disk")).expect("removed");
    cp(&copy, &home.path("disk"));
    home.start();
    // Each key is an entry, as the backups of another computer would be.
    (0..5).for_each(|_| drop(home.device("phone", "push")));
    let told = push_day(&home, 3);
    assert_eq!(told.status.code(), Some(6), "{}", text(&told));
    assert!(text(&told).contains("not the one that this computer saw"), "{}", text(&told));
    let back = home.restore("data", home.newest("data"));
    assert_eq!(fs::read(back.join("a.txt")).expect("it is back"), [3; 100], "today is safe");
}

/// The box was switched on for so many hours more, as it counts them itself.
fn hours_pass(home: &mut Home, hours: u64) {
    assert_eq!(home.stop_agent(), Some(0));
    let count = home.disk().join("powered-on-seconds");
    let text = fs::read_to_string(&count).expect("a count");
    // Its check follows; a number alone is read as well.
    let number = text.split(' ').next().expect("the number comes first");
    let before: u64 = number.trim().parse().expect("a number");
    fs::write(&count, (before + hours * 3600).to_string()).expect("written");
    home.start();
}

/// A disk that you ask to forget is missed for three days of running more, and then no longer. What is on it stays, and
/// nothing that the other one holds goes.
#[test]
fn a_disk_is_forgotten_after_three_days_and_no_sooner() {
    let mut home = Home::new();
    home.stop_agent();
    home.use_disks(&["disk", "second"]);
    home.start();
    let folder = home.path("data");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("a.txt"), "kept").expect("written");
    let number = home.push(&folder, "data");
    all_healthy(&home, 2);
    let second = home.path("second/larder").display().to_string();
    let forget = |home: &Home, more: &[&str]| {
        let output = home.larderd(&[&["forget", &second], more].concat()).output().expect("larderd runs");
        assert!(output.status.success(), "{}", text(&output));
        text(&output)
    };
    assert!(forget(&home, &[]).contains("after 72 hours of running"));
    assert!(forget(&home, &["--undo"]).contains("stays"));
    hours_pass(&mut home, 100);
    all_healthy(&home, 2);
    forget(&home, &[]);
    hours_pass(&mut home, 71);
    // What is pulled meanwhile is missed all the same.
    fs::rename(home.path("second"), home.path("drawer")).expect("pulled");
    wait_for(&home, SHOWN_WITHIN, "missing it", |status| states(status) == ["healthy", "away"]);
    // A folder that the settings name would be made and filled anew, as these disks are no mount points.
    home.use_disks(&["disk"]);
    hours_pass(&mut home, 2);
    wait_for(&home, SHOWN_WITHIN, "forgetting it", |status| states(status) == ["healthy"]);
    let told = home.json(&["status"])["health"]["conditions"].to_string();
    assert!(!told.contains("second"), "{told}");
    assert!(home.path("drawer/larder/packs").read_dir().expect("it is as it was").count() > 0);
    let restored = home.restore("data", number).join("a.txt");
    assert_eq!(fs::read_to_string(restored).expect("it comes back"), "kept");
}

/// A disk rots, and heals by itself: one command says so, and the status shows when everything was last read.
#[test]
fn a_disk_that_rots_heals_and_the_owner_is_told() {
    let home = Home::new();
    let folder = home.path("data");
    fs::create_dir_all(&folder).expect("a folder");
    let mut dice = Dice(12);
    for number in 0..10 {
        fs::write(folder.join(format!("file{number}")), dice.bytes(400_000)).expect("written");
    }
    let number = home.push(&folder, "data");
    let scrub = || {
        let output = home.larderd(&["scrub", "--json"]).output().expect("larderd runs");
        let text = String::from_utf8(output.stdout).expect("text");
        (output.status.code(), serde_json::from_str::<serde_json::Value>(&text).expect("JSON"))
    };
    let (code, clean) = scrub();
    assert_eq!((code, &clean["disks"][0]["found"]["damaged"]), (Some(0), &0.into()), "{clean}");
    let sidecar = find(&home, "parity");
    assert!(sidecar.is_some(), "parity is made before the first round ends");
    let pack = find(&home, "pack").expect("a pack");
    let ruin = |from: u64, bytes: usize| {
        fs::set_permissions(&pack, std::os::unix::fs::PermissionsExt::from_mode(0o644))
            .expect("rot asks nobody");
        let file = fs::OpenOptions::new().write(true).open(&pack).expect("open");
        std::os::unix::fs::FileExt::write_all_at(&file, &vec![7; bytes], from).expect("write");
    };
    ruin(100_000, 100_000);
    let (code, healed) = scrub();
    let found = &healed["disks"][0]["found"];
    assert_eq!((code, &found["damaged"], &found["repaired"]), (Some(0), &1.into(), &1.into()), "{healed}");
    assert_eq!(describe(&home.restore("data", number)), describe(&folder));
    // What was set aside the first time would help once more.
    fs::remove_dir_all(home.disk().join("quarantine")).expect("the damaged pack was set aside");
    ruin(100_000, 1_500_000);
    let (code, lost) = scrub();
    assert_eq!(code, Some(6), "{lost}");
    let named = lost["lost"].as_array().expect("a list");
    assert!(!named.is_empty() && named.iter().all(|file| file["source"] == "laptop/data"), "{lost}");
    let _ = fs::remove_dir_all(home.path("cache"));
    home.push(&folder, "data");
    let (code, back) = scrub();
    assert_eq!((code, back["lost"].as_array().map(Vec::len)), (Some(0), Some(0)), "{back}");
    assert_eq!(describe(&home.restore("data", number)), describe(&folder));
}

/// A disk whose name is lost, both times, is not called unconnected: it is said what is wrong with it, and how its backups
/// are read.
#[test]
fn a_disk_that_does_not_say_who_it_is_can_be_rescued() {
    let mut home = Home::new();
    let folder = home.path("data");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("a.txt"), "kept").expect("written");
    home.push(&folder, "data");
    assert_eq!(home.stop_agent(), Some(0));
    for name in ["disk.json", "scrub/disk.json"] {
        fs::remove_file(home.disk().join(name)).expect("it was there");
    }
    assert!(!home.try_start(), "it must not begin anew");
    let said = home.log();
    let rescue = format!("larder rescue {} --list", home.path("disk").display());
    assert!(said.contains("its disk.json is missing.") && said.contains(&rescue), "{said}");
    assert!(!said.contains("Check that the disk is connected"), "{said}");
    assert!(home.ok(&["rescue", &home.path("disk").display().to_string(), "--list"]).contains("laptop/data"));
}

fn find(home: &Home, extension: &str) -> Option<std::path::PathBuf> {
    let folders = fs::read_dir(home.disk().join("packs")).expect("packs");
    let files = folders.flat_map(|folder| fs::read_dir(folder.expect("entry").path()).expect("list"));
    let mut files: Vec<_> = files.map(|file| file.expect("entry").path()).collect();
    files.retain(|file| file.extension().is_some_and(|found| found == extension));
    files.into_iter().max_by_key(|file| fs::metadata(file).expect("metadata").len())
}
