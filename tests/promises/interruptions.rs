//! Killed clients, killed agents, ruined indexes: nothing acknowledged is missing, and the next push simply works.

use crate::byte_exact::{Dice, describe};
use harness::home::Home;
use std::fs;
use std::path::Path;
use std::time::Duration;

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
    let mut home = Home::new();
    let folder = home.path("data");
    let mut dice = Dice(1);
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
    for (snapshot, expect) in finished {
        assert_eq!(describe(&home.restore("data", snapshot)), expect, "snapshot {snapshot}");
    }
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
