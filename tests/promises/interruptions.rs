//! Killed clients, killed agents, ruined indexes: nothing acknowledged is missing, and the next push simply works.

use crate::byte_exact::{Dice, describe};
use harness::fault_injection::{files_below, spoil};
use harness::home::Home;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

fn fill(folder: &Path, dice: &mut Dice, files: u64) {
    fs::create_dir_all(folder).expect("a folder");
    for number in 0..files {
        let len = usize::try_from(dice.below(400_000)).expect("small");
        fs::write(folder.join(format!("file{number}")), dice.bytes(len)).expect("written");
    }
}

/// Cycles of the kill loop; the long run raises them by `LARDER_KILLS`.
fn kills() -> u64 {
    std::env::var("LARDER_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(8)
}

/// The agent may be killed at any moment: finished backups stay, and the push under way finishes by itself.
#[test]
fn killing_the_agent_in_the_middle_of_a_push_loses_nothing() {
    kill_again_and_again(&["disk"], 1);
}

/// The same with two disks; in the end each of them alone has everything.
#[test]
fn killing_the_agent_on_two_disks_leaves_two_whole_copies() {
    kill_again_and_again(&["disk", "second"], 5);
}

fn kill_again_and_again(disks: &[&str], seed: u64) {
    let mut home = Home::new();
    assert_eq!(home.stop_agent(), Some(0));
    home.use_disks(disks);
    home.start();
    let folder = home.path("data");
    let mut dice = Dice(seed);
    let mut finished = Vec::new();
    for cycle in 0..kills() {
        fill(&folder, &mut dice, 60);
        let mut push = home.larder(&["push", &folder.display().to_string(), "--source", "data", "--json"]);
        let mut child = push.stdout(std::process::Stdio::null()).spawn().expect("larder runs");
        std::thread::sleep(Duration::from_millis(dice.below(250)));
        home.kill_agent();
        std::thread::sleep(Duration::from_millis(dice.below(200)));
        home.start();
        let code = child.wait().expect("larder ends").code();
        assert_eq!(code, Some(0), "cycle {cycle}: the push goes on when the agent is back\n{}", home.log());
        let snapshots = home.json(&["snapshots", "laptop/data"]);
        let newest = snapshots.as_array().and_then(|all| all.last()).and_then(|s| s["snapshot"].as_u64());
        finished.push((newest.expect("a snapshot"), describe(&folder)));
    }
    for disk in disks {
        let since = Instant::now();
        while !is_whole(&home, disks.len()) {
            assert!(since.elapsed() < FILLED_WITHIN, "catching up took too long\n{}", home.log());
            std::thread::sleep(Duration::from_millis(100));
        }
        home.kill_agent();
        // The other one is out of sight for the agent.
        for other in disks.iter().filter(|other| *other != disk) {
            fs::rename(home.path(other), home.path("elsewhere")).expect("moved away");
        }
        home.start();
        for (snapshot, expect) in &finished {
            assert_eq!(describe(&home.restore("data", *snapshot)), *expect, "{disk}, snapshot {snapshot}");
        }
        for other in disks.iter().filter(|other| *other != disk) {
            fs::rename(home.path("elsewhere"), home.path(other)).expect("moved back");
        }
    }
}

/// Time for a disk to be filled: it holds some megabytes.
const FILLED_WITHIN: Duration = Duration::from_secs(60);

fn is_whole(home: &Home, disks: usize) -> bool {
    let status = home.json(&["status"]);
    let disks_of = status["disks"].as_array().cloned().unwrap_or_default();
    disks_of.len() == disks && disks_of.iter().all(|disk| disk["state"] == "healthy")
}

/// The client may be killed at any moment: the next push simply works.
#[test]
fn killing_the_client_in_the_middle_of_a_push_harms_nothing() {
    let home = Home::new();
    let folder = home.path("data");
    let mut dice = Dice(2);
    fill(&folder, &mut dice, 200);
    for _ in 0..kills() {
        let mut push = home.larder(&["push", &folder.display().to_string(), "--source", "data"]);
        let mut child = push.stdout(std::process::Stdio::null()).spawn().expect("larder runs");
        std::thread::sleep(Duration::from_millis(dice.below(150)));
        let _ = child.kill();
        let _ = child.wait();
    }
    let snapshot = home.push(&folder, "data");
    assert_eq!(describe(&home.restore("data", snapshot)), describe(&folder));
}

/// The client may be killed in the middle of a restore: the same command once more, and all is as it was pushed.
#[test]
fn killing_a_restore_leaves_nothing_that_the_next_one_does_not_finish() {
    let home = Home::new();
    let folder = home.path("data");
    let mut dice = Dice(4);
    for name in ["", "below", "below/deep"] {
        fill(&folder.join(name), &mut dice, 60);
        fs::hard_link(folder.join(name).join("file1"), folder.join(name).join("same as 1")).expect("linked");
        fs::set_permissions(folder.join(name), PermissionsExt::from_mode(0o2755)).expect("set");
    }
    home.push(&folder, "data");
    let expect = describe(&folder);
    let mut halves = 0;
    for cycle in 0..kills() {
        let to = home.path(&format!("back{cycle}"));
        let args = ["restore", "data", "--to", &to.display().to_string()];
        let mut child = home.larder(&args).stdout(std::process::Stdio::null()).spawn().expect("larder runs");
        std::thread::sleep(Duration::from_millis(10 + dice.below(90)));
        let _ = child.kill();
        let _ = child.wait();
        halves += u64::from(to.exists() && describe(&to) != expect);
        home.ok(&args);
        assert_eq!(describe(&to), expect, "cycle {cycle}");
    }
    println!("{halves} of {} restores were killed half way", kills());
}

/// The index may be deleted, cut off or filled with noise: it is made anew, and the owner need not know.
#[test]
fn a_ruined_index_costs_nothing() {
    let mut home = Home::new();
    let folder = home.path("data");
    let mut dice = Dice(3);
    fill(&folder, &mut dice, 50);
    let first = home.push(&folder, "data");
    let expect = describe(&folder);
    for round in 0..6u64 {
        if round % 2 == 0 {
            home.kill_agent()
        } else {
            assert_eq!(home.stop_agent(), Some(0))
        }
        let index = home.disk().join("index");
        match round {
            0 => fs::remove_dir_all(&index).expect("deleted"),
            1 => truncate(&index.join("db"), 1000),
            2 => fs::write(index.join("db"), dice.bytes(50_000)).expect("noise"),
            3 => fs::write(index.join("conf"), b"noise").expect("noise"),
            4 => fs::remove_file(index.join("db")).expect("deleted"),
            _ => truncate(&index.join("db"), 0),
        }
        home.start();
        assert_eq!(describe(&home.restore("data", first)), expect, "round {round}");
        let sent = home.json(&["push", &folder.display().to_string(), "--source", "data"]);
        let sent = harness::home::find_number(&sent, "sent_bytes");
        assert_eq!(sent, Some(0), "round {round}: everything is still known");
    }
    let rebuilt = home.larderd(&["rebuild-index"]).output().expect("larderd runs");
    assert!(rebuilt.status.success(), "{}", harness::home::text(&rebuilt));
    assert_eq!(describe(&home.restore("data", first)), expect);
}

/// Cases in one run; the long run raises them by `LARDER_INDEX_CASES`.
fn index_cases() -> u64 {
    std::env::var("LARDER_INDEX_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(16)
}

/// Any file of the index may be spoiled, while the agent runs and while it rests: no answer is wrong.
#[test]
fn a_spoiled_index_never_gives_a_wrong_answer() {
    let mut home = Home::new();
    let (folder, more) = (home.path("data"), home.path("more"));
    let mut dice = Dice(6);
    fill(&folder, &mut dice, 12);
    let first = home.push(&folder, "data");
    let expect = describe(&folder);
    let mut spoiled = 0;
    for case in 0..index_cases() {
        let rests = case % 2 == 1;
        if rests {
            home.kill_agent();
        }
        let files = files_below(&home.disk().join("index"));
        for _ in 0..=dice.below(2) {
            let Some(at) = usize::try_from(dice.below(files.len() as u64)).ok().filter(|_| !files.is_empty())
            else {
                break;
            };
            spoil(&files[at], dice.below(1_000_000), &dice.bytes(2000));
            spoiled += 1;
        }
        if rests {
            home.start();
        }
        fill(&more, &mut dice, 2);
        let pushed = home.push(&more, "more");
        assert_eq!(describe(&home.restore("more", pushed)), describe(&more), "case {case}");
        assert_eq!(describe(&home.restore("data", first)), expect, "case {case}");
        let sent = home.json(&["push", &folder.display().to_string(), "--source", "data"]);
        assert_eq!(harness::home::find_number(&sent, "sent_bytes"), Some(0), "case {case}");
    }
    assert!(spoiled >= index_cases(), "only {spoiled} files were spoiled");
    println!("{spoiled} files of the index spoiled in {} cases: 0 wrong answers", index_cases());
}

fn truncate(path: &Path, len: u64) {
    let file = fs::OpenOptions::new().write(true).open(path).expect("opens");
    let full = file.metadata().expect("a length").len();
    file.set_len(if len == 0 { 0 } else { full.saturating_sub(len) }).expect("cut off");
}

/// Asking the agent to stop ends it cleanly, and it comes back with everything.
#[test]
fn stopping_is_clean() {
    let mut home = Home::new();
    let folder = home.path("data");
    fill(&folder, &mut Dice(4), 10);
    let snapshot = home.push(&folder, "data");
    assert_eq!(home.stop_agent(), Some(0));
    assert!(
        fs::read_dir(home.disk().join("open")).expect("a folder").next().is_none(),
        "nothing is left half done"
    );
    home.start();
    assert_eq!(describe(&home.restore("data", snapshot)), describe(&folder));
}
