//! What a commit says of the computer and of its files, and to which appliance.

#![allow(clippy::unwrap_used, reason = "in a test, an error is a failure and its text says which")]

mod home;
mod vault;

use home::Home;
use larder_client::{PushOptions, TransferProgress};
use larder_format::{
    Hash,
    wire::{COMMIT_CONTENTS, COMMIT_ORIGIN, CONTENTS_MAX, Commit, SOURCE_ORIGIN, unescape_name},
};
use std::{
    fs,
    os::unix::ffi::OsStrExt,
    time::{Duration, SystemTime},
};

/// Two minutes ahead: all that was written until now counts as settled.
fn later() -> SystemTime {
    SystemTime::now() + Duration::from_secs(120)
}

fn home_of_files() -> Home {
    let home = Home::new();
    for number in 0..40 {
        home.write(format!("below/{number}"), format!("content {number}").as_bytes());
    }
    home
}

/// Pushes to an appliance that understands `features`, and returns what it was told.
fn push(home: &Home, features: &[&str]) -> Commit {
    home.push_with(&PushOptions {
        cache: Some(home.folder.path().join("cache/x.cache")),
        features: features.iter().map(|feature| (*feature).to_owned()).collect(),
        clock: later,
        ..PushOptions::default()
    });
    home.vault.snapshots.lock().unwrap().last().unwrap().0.clone()
}

/// An agent of the first version refuses fields that it does not know.
#[test]
fn an_older_appliance_is_told_nothing_that_it_would_refuse() {
    let home = home_of_files();
    for features in [&[][..], &["something_else"]] {
        let told = serde_json::to_string(&push(&home, features)).unwrap();
        assert!(["origin", "zone", "contents"].iter().all(|field| !told.contains(field)), "{told}");
    }
}

#[test]
fn a_commit_says_where_its_files_lie() {
    let home = home_of_files();
    let commit = push(&home, &[COMMIT_ORIGIN]);
    let origin = commit.origin.unwrap();
    let path = home.source().canonicalize().unwrap();
    assert_eq!(unescape_name(&origin.path).unwrap(), path.as_os_str().as_bytes());
    assert_eq!(origin.computer, fs::read_to_string("/proc/sys/kernel/hostname").unwrap().trim_end());
    assert!(commit.contents.is_empty(), "that is another word");
}

#[test]
fn files_that_were_sent_are_hashed_as_a_whole() {
    let home = home_of_files();
    let check = |commit: &Commit| {
        for content in &commit.contents {
            let bytes = fs::read(home.source().join(&content.path)).unwrap();
            assert_eq!(content.hash, Hash::of(&bytes), "{}", content.path);
        }
    };
    let first = push(&home, &[COMMIT_CONTENTS]);
    assert_eq!(first.contents.len(), CONTENTS_MAX);
    check(&first);
    let unchanged = push(&home, &[COMMIT_CONTENTS]);
    assert_eq!(unchanged.contents.len(), 1, "one small file, though nothing was sent");
    check(&unchanged);
    home.write("below/7", b"content that is new");
    let changed = push(&home, &[COMMIT_CONTENTS]);
    let paths: Vec<&str> = changed.contents.iter().map(|content| content.path.as_str()).collect();
    assert!(paths.len() == 2 && paths.contains(&"below/7"), "{paths:?}");
    check(&changed);
}

/// Two folders with one name were one source, and each push read as the deletion of the other's files.
#[test]
fn another_folder_under_the_same_name_is_refused_before_a_byte_is_sent() {
    let home = home_of_files();
    push(&home, &[COMMIT_ORIGIN, SOURCE_ORIGIN]);
    push(&home, &[COMMIT_ORIGIN, SOURCE_ORIGIN]);
    home.vault.take_uploaded();
    let other = home.folder.path().join("elsewhere/source");
    fs::create_dir_all(&other).unwrap();
    fs::write(other.join("b.txt"), "of another project").unwrap();
    let features = [COMMIT_ORIGIN, SOURCE_ORIGIN].map(str::to_owned).to_vec();
    let push_other = |moved| {
        let options =
            PushOptions { features: features.clone(), moved, clock: later, ..PushOptions::default() };
        larder_client::push(&home.vault, "laptop/home", &other, &options, &TransferProgress::default())
    };
    let refused = push_other(false).unwrap_err();
    assert!(refused.has_code("other_folder"), "{refused:?}");
    assert_eq!((home.vault.take_uploaded(), refused.exit_code()), (0, 5));
    push_other(true).unwrap();
    let told = home.vault.snapshots.lock().unwrap().last().unwrap().0.clone();
    assert!(told.moved && told.origin.unwrap().path.ends_with("elsewhere/source"));
    // It is the folder of this source from now on.
    push_other(false).unwrap();
}
