//! Several disks: one that joins is filled by itself, and each of them alone is a whole backup.

use crate::byte_exact::{Dice, describe};
use harness::home::Home;
use std::fs;
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
