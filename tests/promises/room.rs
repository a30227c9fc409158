//! A disk that is too small for one computer's backup, on the real agent and a real filesystem.

use crate::byte_exact::{Dice, describe};
use crate::yanked::{cannot_mount, fill, started_on, wait_for};
use harness::home::{Home, text};
use std::fs;
use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

/// Room is made within seconds; the test allows for a machine that does other things besides.
const ROOM_WITHIN: Duration = Duration::from_secs(60);
/// Every look tells.
const TOLD_WITHIN: Duration = Duration::from_secs(20);

fn push_on(home: &Home, computer: &str, folder: &Path) -> Output {
    let push = ["push", &folder.display().to_string()];
    home.larder_on(computer, &push).output().expect("larder runs")
}

/// The figures of `larderd space` for the disk add up.
fn space_adds_up(home: &Home) {
    let output = home.larderd(&["space", "--json"]).output().expect("larderd runs");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let disk = report["disks"][0].as_object().expect("a disk");
    let bytes = |key: &str| disk[key].as_u64().expect("bytes");
    let parts = disk.keys().filter(|key| key.ends_with("_bytes") && *key != "total_bytes");
    assert_eq!(parts.map(|key| bytes(key)).sum::<u64>(), bytes("total_bytes"), "{report}");
    assert!(bytes("packs_bytes") > 20_000, "{report}");
    let told = text(&home.larderd(&["space"]).output().expect("larderd runs"));
    assert!(
        told.contains("laptop/docs, of which 1 backup is kept") && told.contains("free for backups"),
        "{told}"
    );
}

/// A computer pushes more than the disk holds and is refused, with the disk's name and what is missing. The others go on: a
/// small push at once, a larger one as soon as room was made; what was kept before is there. That a computer waits for room is
/// told until it pushes less, also after a restart.
#[test]
fn a_backup_that_is_too_large_keeps_no_other_computer_out() {
    if cannot_mount() {
        return;
    }
    let (mut home, _mounts) = started_on(&["a"]);
    home.pair_on("phone", "phone", "push");
    let mut dice = Dice(31);
    let [docs, films, notes, album] = ["docs", "films", "notes", "album"].map(|name| home.path(name));
    fill(&docs, &mut dice, 5, 50_000);
    let kept = home.push(&docs, "docs");
    fs::create_dir_all(&films).expect("a folder");
    for number in 0..20 {
        fs::write(films.join(format!("film{number}.mkv")), dice.bytes(20_000_000)).expect("written");
    }
    let refused = push_on(&home, "", &films);
    let told = text(&refused);
    assert_eq!(refused.status.code(), Some(5), "{told}");
    let disk = format!("The backup disk at {}/larder is full but for ", home.path("a").display());
    assert!(
        told.contains(&disk)
            && told.contains("at least ")
            && told.contains("that this computer has sent already"),
        "{told}"
    );
    assert!(told.contains("this backup is not complete") && told.contains("--exclude"), "{told}");
    let early = "This folder has 400.0 MB, and the appliance has room for ";
    assert!(told.contains(early), "told before it is refused: {told}");

    space_adds_up(&home);
    fs::create_dir_all(&notes).expect("a folder");
    fs::write(notes.join("note.txt"), b"a push of thirty bytes in all.").expect("written");
    let small = push_on(&home, "phone", &notes);
    assert_eq!(small.status.code(), Some(0), "{}\n{}", text(&small), home.log());

    fill(&album, &mut dice, 20, 10_000_000);
    let since = Instant::now();
    let larger = loop {
        let pushed = push_on(&home, "phone", &album);
        if pushed.status.success() || since.elapsed() > ROOM_WITHIN {
            break pushed;
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    assert_eq!(larger.status.code(), Some(0), "{}\n{}", text(&larger), home.log());

    assert_eq!(describe(&home.restore("docs", kept)), describe(&docs));
    let is_full = |status: &serde_json::Value| {
        let conditions = status["health"]["conditions"].as_array().expect("conditions");
        conditions.iter().any(|condition| condition["code"] == 5)
    };
    wait_for(&home, TOLD_WITHIN, "the refusal is told", is_full);
    assert_eq!(home.stop_agent(), Some(0));
    home.start();
    wait_for(&home, TOLD_WITHIN, "the refusal is told after a restart", is_full);
    for number in 3..20 {
        fs::remove_file(films.join(format!("film{number}.mkv"))).expect("removed");
    }
    let snapshot = home.push(&films, "films");
    wait_for(&home, TOLD_WITHIN, "nobody waits for room", |status| !is_full(status));
    assert_eq!(describe(&home.restore("films", snapshot)), describe(&films));
}
