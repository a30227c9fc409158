//! What only root could make is made only when root was told to.

#![allow(clippy::unwrap_used, reason = "in a test, an error is a failure and its text says which")]

mod home;
mod vault;

use home::{Home, newest};
use larder_client::{Existing, RestoreOptions, Restored, SpecialEntries, TransferProgress, restore};
use rustix::fs::{CWD, FileType, Mode, XattrFlags};
use std::{
    fs,
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt},
    path::Path,
};

/// A home with a program that runs as root, a device where the system lets root make one, and an ordinary file; and how
/// many of them are special.
fn with_special_entries() -> (Home, u64) {
    let home = Home::new();
    let program = home.write("program", b"#!/bin/sh");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o4755)).unwrap();
    home.write("letter.txt", b"dear all");
    fs::create_dir(home.source().join("shared")).unwrap();
    fs::set_permissions(home.source().join("shared"), fs::Permissions::from_mode(0o2770)).unwrap();
    let device = rustix::fs::makedev(1, 3);
    let made =
        rustix::fs::mknodat(CWD, home.source().join("null"), FileType::CharacterDevice, Mode::RUSR, device);
    let marked =
        rustix::fs::setxattr(home.source().join("letter.txt"), "trusted.test", b"x", XattrFlags::empty());
    let special = 1 + u64::from(made.is_ok()) + u64::from(marked.is_ok());
    home.push();
    (home, special)
}

fn restore_to(home: &Home, to: &Path, special: SpecialEntries) -> Restored {
    let options = RestoreOptions { existing: Existing::Keep, special, ..RestoreOptions::default() };
    restore(&home.vault, &newest(b""), to, &options, &TransferProgress::default()).unwrap()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn root_makes_no_door_for_a_stranger_unasked() {
    if !is_root() {
        return; // The system refuses others by itself.
    }
    let (home, special) = with_special_entries();
    let to = home.target();
    let restored = restore_to(&home, &to, SpecialEntries::LeaveOut);
    assert_eq!(restored.skipped.count, special, "{:?}", restored.skipped);
    assert!(
        restored.skipped.named.iter().all(|file| file.why.contains("--special")),
        "{:?}",
        restored.skipped
    );
    assert_eq!(fs::metadata(to.join("program")).unwrap().mode() & 0o7777, 0o755);
    assert_eq!(fs::read(to.join("program")).unwrap(), b"#!/bin/sh");
    assert_eq!(fs::metadata(to.join("shared")).unwrap().mode() & 0o7777, 0o2770, "a folder runs nothing");
    assert!(!to.join("null").exists());
    let value: &mut [u8] = &mut [0; 8];
    assert!(rustix::fs::getxattr(to.join("letter.txt"), "trusted.test", value).is_err());
}

#[test]
fn root_gets_everything_when_told_to() {
    if !is_root() {
        return;
    }
    let (home, special) = with_special_entries();
    for (name, wish) in [("told", SpecialEntries::Restore), ("asked", SpecialEntries::Ask(|| true))] {
        let to = home.folder.path().join(name);
        let restored = restore_to(&home, &to, wish);
        assert_eq!(restored.skipped.count, 0, "{name}: {:?}", restored.skipped);
        assert_eq!(fs::metadata(to.join("program")).unwrap().mode() & 0o7777, 0o4755, "{name}");
        let is_device = |path: &Path| path.metadata().is_ok_and(|found| found.file_type().is_char_device());
        assert_eq!(is_device(&to.join("null")), is_device(&home.source().join("null")), "{name}");
    }
    let denied = restore_to(&home, &home.folder.path().join("no"), SpecialEntries::Ask(|| false));
    assert_eq!(denied.skipped.count, special);
}

/// A second run that is told to may not call the bits that the first run left out as good as back.
#[test]
fn bits_that_were_left_out_are_not_called_back() {
    if !is_root() {
        return;
    }
    let (home, _) = with_special_entries();
    let to = home.target();
    restore_to(&home, &to, SpecialEntries::LeaveOut);
    let again = restore_to(&home, &to, SpecialEntries::Restore);
    assert!(again.skipped.named.iter().any(|file| file.path == "program"), "{:?}", again.skipped);
    let whole = home.folder.path().join("whole");
    for _ in 0..2 {
        let restored = restore_to(&home, &whole, SpecialEntries::Restore);
        assert_eq!(restored.skipped.count, 0, "what is back is known again: {:?}", restored.skipped);
    }
}
