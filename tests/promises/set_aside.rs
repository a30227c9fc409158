//! A snapshot that harms the appliance is set aside at the box: it stays, and nothing that is computed looks at it.

use crate::byte_exact::describe;
use harness::home::{Home, text};
use serde_json::Value;
use std::fs;
use std::time::{Duration, Instant};

/// The agent looks at everything every five seconds.
const COUNTED_WITHIN: Duration = Duration::from_secs(20);

fn larderd(home: &Home, args: &[&str]) -> String {
    let output = home.larderd(args).output().expect("larderd runs");
    assert!(output.status.success(), "larderd {args:?}: {}", text(&output));
    text(&output)
}

/// Keep reasons and dates of each snapshot, by its number.
fn kept(home: &Home) -> Vec<(Value, Value, Value)> {
    let snapshots = home.json(&["snapshots", "laptop/docs"]);
    let kept = |snapshot: &Value| {
        (snapshot["snapshot"].clone(), snapshot["reasons"].clone(), snapshot["kept_until"].clone())
    };
    snapshots.as_array().expect("a list").iter().map(kept).collect()
}

/// Numbers of the first and last snapshot of each version of `a.txt`.
fn versions(home: &Home) -> Vec<[u64; 2]> {
    let versions = home.json(&["versions", "laptop/docs:a.txt"]);
    let ends = |version: &Value| ["first", "last"].map(|end| version[end].as_u64().expect("a number"));
    versions.as_array().expect("a list").iter().map(ends).collect()
}

/// Waits until the answers say so: what changed is counted beside everything else.
fn answers_say(home: &Home, words: &str) {
    let since = Instant::now();
    loop {
        let answers = home.ok(&["answers", "laptop/docs"]);
        if answers.contains(words) {
            return;
        }
        assert!(since.elapsed() < COUNTED_WITHIN, "{words:?} is not said: {answers}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// One day everything was encrypted, and the backup of that day makes every count wrong.
#[test]
fn a_snapshot_that_was_set_aside_is_kept_and_counts_for_nothing() {
    let mut home = Home::new();
    let folder = home.path("docs");
    fs::create_dir_all(&folder).expect("a folder");
    let mut pushed = Vec::new();
    for content in ["dear all", "gibberish", "dear all"] {
        for name in ["a.txt", "b.txt"] {
            fs::write(folder.join(name), content).expect("written");
            // As if it had been put back from elsewhere, with its old time.
            let modified = fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH);
            let file = fs::File::options().write(true).open(folder.join(name)).expect("opened");
            file.set_times(modified).expect("set");
        }
        pushed.push((home.push(&folder, "docs"), describe(&folder)));
    }
    let [first, harmful, last] = [0, 1, 2].map(|at: usize| pushed[at].0);
    let number = harmful.to_string();
    let before = kept(&home);
    assert_eq!(versions(&home), [[first, first], [harmful, harmful], [last, last]]);
    answers_say(&home, "4 times a file changed");

    let told = larderd(&home, &["set-aside", &number, "--reason", "an empty day"]);
    assert!(told.contains("is kept and can be restored") && told.contains("--undo"), "{told}");
    assert_eq!(versions(&home), [[first, last]]);
    answers_say(&home, "No file has changed since then (3 backups)");
    assert!(home.ok(&["snapshots", "docs"]).contains("set aside: an empty day"));
    let compared = home.larder(&["diff", &format!("docs@{first}"), &format!("docs@{number}")]);
    let refused = { compared }.output().expect("larder runs");
    assert!(text(&refused).contains("was set aside: an empty day"), "{}", text(&refused));
    assert_eq!(kept(&home), before, "the rule goes on to count it");
    for (snapshot, files) in &pushed {
        assert_eq!(describe(&home.restore("docs", *snapshot)), *files, "snapshot {snapshot}");
    }

    home.kill_agent();
    home.start();
    assert_eq!(versions(&home), [[first, last]], "also after a restart");
    home.kill_agent();
    // It might be what keeps the agent from running.
    larderd(&home, &["set-aside", &number, "--undo"]);
    larderd(&home, &["set-aside", &first.to_string()]);
    home.start();
    assert_eq!(versions(&home), [[harmful, harmful], [last, last]]);
    answers_say(&home, "2 times a file changed");
    larderd(&home, &["set-aside", &first.to_string(), "--undo"]);
    assert_eq!(versions(&home).len(), 3);
    for wrong in [&["set-aside", "9999"][..], &["set-aside", &number, "--undo"]] {
        let refused = home.larderd(wrong).output().expect("larderd runs");
        assert_eq!(refused.status.code(), Some(1), "{wrong:?}: {}", text(&refused));
        assert!(text(&refused).contains("larder snapshots"), "{}", text(&refused));
    }
}
