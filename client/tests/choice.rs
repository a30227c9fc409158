//! A part of a snapshot comes back by patterns, and a dry run says beforehand what would.

#![allow(clippy::unwrap_used, reason = "in a test, an error is a failure and its text says which")]

mod home;
mod tree;
mod vault;

use home::{Home, newest};
use larder_client::{
    ClientError, Existing, NotWritten, RestoreChoice, RestoreOptions, RestorePreview, Restored, RoomCheck,
    SpecialEntries, Tally, TransferProgress, preview, restore, wanted_bytes,
};
use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    sync::atomic::Ordering::Relaxed,
};

fn wishes(include: &[&str], exclude: &[&str]) -> RestoreOptions {
    let owned = |globs: &[&str]| globs.iter().map(|glob| (*glob).to_owned()).collect();
    let choice = RestoreChoice { include: owned(include), exclude: owned(exclude) };
    RestoreOptions { choice, special: SpecialEntries::Restore, ..RestoreOptions::default() }
}

fn bring(home: &Home, to: &Path, options: &RestoreOptions) -> Result<Restored, ClientError> {
    restore(&home.vault, &newest(b""), to, options, &TransferProgress::default())
}

fn look_ahead(home: &Home, to: &Path, options: &RestoreOptions) -> RestorePreview {
    preview(&home.vault, &newest(b""), to, options, &TransferProgress::default()).unwrap()
}

/// Paths below the folder, folders with a slash.
fn paths(folder: &Path) -> Vec<String> {
    let found = tree::look(folder).into_iter().filter(|(path, _)| !path.is_empty());
    let path = |(path, found): (std::ffi::OsString, tree::Found)| {
        let end = if found.kind == rustix::fs::FileType::Directory { "/" } else { "" };
        format!("{}{end}", path.to_str().unwrap())
    };
    found.map(path).collect()
}

fn home() -> Home {
    let home = Home::new();
    for (name, len) in [
        ("2023/cat.jpg", 300_000u32),
        ("2024/deep/dog.jpg", 200_000),
        ("2024/deep/dog.txt", 10),
        ("2024/film.mp4", 3_000_000),
        ("letters/a.odt", 20),
        ("letters/old/b.odt", 30),
        ("letters/old/b.tmp", 5),
        ("notes.txt", 7),
    ] {
        let mut bytes = vec![0; len as usize];
        blake3::Hasher::new().update(name.as_bytes()).finalize_xof().fill(&mut bytes);
        home.write(name, &bytes);
    }
    fs::create_dir_all(home.source().join("2024/empty")).unwrap();
    fs::set_permissions(home.source().join("2024"), PermissionsExt::from_mode(0o750)).unwrap();
    home.push();
    home
}

#[test]
fn only_what_is_wanted_comes_back_with_the_folders_that_lead_there() {
    let home = home();
    home.vault.fetched_bytes.store(0, Relaxed);
    let options = wishes(&["*.jpg", "letters/"], &["*.tmp", "2023"]);
    let seen = look_ahead(&home, &home.target(), &options);
    assert!(!home.target().exists(), "a dry run makes no folder");
    let restored = bring(&home, &home.target(), &options).unwrap();
    let back = [
        "2024/",
        "2024/deep/",
        "2024/deep/dog.jpg",
        "letters/",
        "letters/a.odt",
        "letters/old/",
        "letters/old/b.odt",
    ];
    assert_eq!(paths(&home.target()), back);
    let mut told = seen.made.named.clone();
    told.sort();
    assert_eq!(told, back, "the dry run said so");
    assert_eq!((restored.files, restored.bytes), (3, 200_050));
    assert_eq!((seen.made.files, seen.made.bytes, seen.made.folders), (3, 200_050, 4));
    let fetched = home.vault.fetched_bytes.load(Relaxed);
    assert!(fetched < 300_000, "{fetched} bytes: what is left out is not fetched");
    let pushed = tree::look(&home.source());
    for (path, found) in tree::look(&home.target()).into_iter().filter(|(path, _)| !path.is_empty()) {
        assert_eq!(found, pushed[&path], "{path:?}");
    }
    // A single file, asked for by name, is what the patterns say it is.
    let text = newest(b"2024/deep/dog.txt");
    let none = restore(&home.vault, &text, &home.target(), &options, &TransferProgress::default());
    assert!(matches!(none, Err(ClientError::NothingWanted { .. })), "{none:?}");
}

#[test]
fn patterns_that_match_nothing_are_told_and_make_nothing() {
    let home = home();
    let refused = bring(&home, &home.target(), &wishes(&["*.jpeg"], &[])).unwrap_err();
    assert_eq!(refused.exit_code(), 1);
    assert!(!home.target().exists());
    let refused = bring(&home, &home.target(), &wishes(&["a{b"], &[])).unwrap_err();
    assert_eq!(refused.exit_code(), 2, "{refused}");
}

/// A disk with room for one film must not refuse a letter.
#[test]
fn the_room_is_compared_with_what_is_wanted_alone() {
    let home = home();
    let image = fs::File::create(home.source().join("2024/image")).unwrap();
    image.set_len(1 << 43).unwrap();
    home.push();
    let with_check = |options: RestoreOptions| RestoreOptions { room: RoomCheck::First, ..options };
    let refused = bring(&home, &home.target(), &with_check(wishes(&[], &[]))).unwrap_err();
    assert!(matches!(refused, ClientError::Unwritten { why: NotWritten::NoRoom { .. }, .. }), "{refused}");
    assert!(!home.target().exists());
    let options = with_check(wishes(&[], &["image", "*.mp4"]));
    assert_eq!(wanted_bytes(&home.vault, &newest(b""), &options).unwrap(), 500_072);
    bring(&home, &home.target(), &options).unwrap();
    assert!(home.target().join("2023/cat.jpg").exists() && !home.target().join("2024/film.mp4").exists());
    assert!(home.target().join("2024/empty").exists(), "without --include every folder comes back");
}

fn names(tally: &Tally) -> Vec<&str> {
    let mut names: Vec<&str> = tally.named.iter().map(String::as_str).collect();
    names.sort_unstable();
    names
}

#[test]
fn a_dry_run_says_what_the_restore_does_and_changes_nothing() {
    let home = home();
    bring(&home, &home.target(), &wishes(&[], &["2023", "notes.txt"])).unwrap();
    fs::write(home.target().join("letters/a.odt"), "mine, and longer").unwrap();
    fs::remove_dir_all(home.target().join("2024/deep")).unwrap();
    fs::write(home.target().join("2024/deep"), "a file").unwrap();
    let outside = home.folder.path().join("outside");
    fs::create_dir(&outside).unwrap();
    symlink(&outside, home.target().join("2023")).unwrap();
    let before = tree::look(&home.target());
    let seen = look_ahead(&home, &home.target(), &wishes(&[], &[]));
    assert_eq!(names(&seen.made), ["notes.txt"]);
    assert_eq!(seen.replaced.count(), 0);
    assert_eq!(names(&seen.left), ["2024/film.mp4", "letters/old/b.odt", "letters/old/b.tmp"]);
    let in_the_way =
        ["2023/", "2023/cat.jpg", "2024/deep/", "2024/deep/dog.jpg", "2024/deep/dog.txt", "letters/a.odt"];
    assert_eq!(names(&seen.in_the_way), in_the_way);
    let replacing = RestoreOptions { existing: Existing::Replace, ..wishes(&[], &[]) };
    let over = look_ahead(&home, &home.target(), &replacing);
    assert_eq!(over.in_the_way.count(), 0);
    assert!(
        names(&over.replaced).contains(&"letters/a.odt") && names(&over.replaced).contains(&"2023"),
        "{over:?}"
    );
    assert_eq!(tree::look(&home.target()), before, "nothing was changed");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    // The restore itself agrees.
    let restored = bring(&home, &home.target(), &wishes(&[], &[])).unwrap();
    assert_eq!(restored.skipped.count, 3, "the two folders count as one each: {:?}", restored.skipped.named);
    assert_eq!((restored.files, restored.already), (4, 3));
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
}
