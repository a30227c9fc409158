//! Sources belong to the owner: each knows its folder.

use harness::home::{Home, text};
use std::fs;
use std::path::{Path, PathBuf};

fn folder(home: &Home, place: &str, file: &str) -> PathBuf {
    let folder = home.path(place);
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join(file), place).expect("written");
    folder
}

fn push(home: &Home, folder: &Path, more: &[&str]) -> (Option<i32>, String) {
    let path = folder.display().to_string();
    let output = home.larder(&[&["push", path.as_str()], more].concat()).output().expect("larder runs");
    (output.status.code(), text(&output))
}

/// Two folders of one name became one source, and the files of the first read as deleted.
#[test]
fn another_folder_of_the_same_name_is_refused_and_nothing_is_sent() {
    let home = Home::new();
    let (work, own) = (folder(&home, "work/src", "a.txt"), folder(&home, "home/src", "b.txt"));
    assert_eq!(push(&home, &work, &[]).0, Some(0));
    let stored = home.json(&["status"])["vault"]["stored_bytes"].clone();
    // The key of this computer may add backups, and see nothing of the past.
    home.pair_on("same", "laptop", "push");
    let path = own.display().to_string();
    let as_pusher = home.larder_on("same", &["push", &path]).output().expect("larder runs");
    for (code, told) in [(as_pusher.status.code(), text(&as_pusher)), push(&home, &own, &[])] {
        assert_eq!(code, Some(5), "{told}");
        for word in [&work.display().to_string(), &path, "--source", "--moved", "No backup was made"] {
            assert!(told.contains(word), "{word}: {told}");
        }
    }
    assert_eq!(home.json(&["status"])["vault"]["stored_bytes"], stored, "nothing was sent");
    assert!(home.ok(&["versions", "src:a.txt"]).lines().all(|line| !line.contains("deleted")));
    // One wrong folder among several: none is pushed.
    let third = folder(&home, "third", "c.txt");
    let refused = push(&home, &third, &[&path]);
    assert_eq!(refused.0, Some(5), "{}", refused.1);
    assert_eq!(home.json(&["sources"]).as_array().map(Vec::len), Some(1));

    assert_eq!(push(&home, &own, &["--source", "own"]).0, Some(0));
    let elsewhere = home.path("elsewhere");
    fs::rename(home.path("work"), &elsewhere).expect("moved");
    let moved = elsewhere.join("src");
    assert_eq!(push(&home, &moved, &[]).0, Some(5));
    assert_eq!(push(&home, &moved, &["--moved"]).0, Some(0));
    assert_eq!(push(&home, &moved, &[]).0, Some(0), "it is the source's folder now");
    let listed = home.ok(&["sources"]);
    assert!(listed.contains(&moved.display().to_string()), "{listed}");
}
