//! Who may read what comes back: those whom the backup names, and nobody else.

#![allow(clippy::unwrap_used, reason = "in a test, an error is a failure and its text says which")]

mod home;
mod tree;
mod vault;

use home::{Home, newest};
use larder_client::{Existing, Remote, RestoreOptions, Restored, TransferProgress, restore};
use larder_format::{
    ChunkRef,
    block::Encoder,
    tree::{Entry, Kind, Node, Owner, Piece, Time, Totals},
};
use rustix::fs::{CWD, FileType, Mode, XattrFlags, mknodat, setxattr};
use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::Command,
};

const ACCESS: &str = "system.posix_acl_access";
const DEFAULT: &str = "system.posix_acl_default";

/// Writes a file with these permissions.
fn write(home: &Home, name: &str, mode: u32) -> PathBuf {
    let path = home.write(name, name.as_bytes());
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    path
}

/// Restores everything, with every attribute.
fn restore_whole(home: &Home, to: &Path, existing: Existing) -> Restored {
    let restored = home.restore_to(to, b"", existing);
    assert_eq!((&restored.skipped.named[..], restored.attributes_left_out), (&[][..], 0));
    restored
}

/// An ACL with permissions for the owner, user 1000, the group, all of them at most, and others.
fn acl(permissions: [u16; 5]) -> Vec<u8> {
    let of = [(1u16, u32::MAX), (2, 1000), (4, u32::MAX), (16, u32::MAX), (32, u32::MAX)];
    let entry = |((tag, id), may): ((u16, u32), u16)| {
        [&tag.to_le_bytes()[..], &may.to_le_bytes(), &id.to_le_bytes()].concat()
    };
    let entries = of.into_iter().zip(permissions).flat_map(entry);
    2u32.to_le_bytes().into_iter().chain(entries).collect()
}

fn set(path: &Path, name: &str, value: &[u8]) -> bool {
    setxattr(path, name, value, XattrFlags::empty()).is_ok()
}

/// Root may do everything, so the test `name` is run once more as somebody who may not. True for that somebody.
#[allow(clippy::disallowed_methods, reason = "a process cannot become somebody else for one test only")]
fn is_ordinary_user(name: &str) -> bool {
    if !rustix::process::geteuid().is_root() {
        return true;
    }
    let nobody = 65534;
    let test = Command::new(std::env::current_exe().unwrap()).args(["--exact", name]).uid(nobody).status();
    // Nobody else may start what lies in root's own folders.
    assert!(test.is_err() || test.is_ok_and(|status| status.success()), "as an ordinary user");
    false
}

#[test]
fn what_the_target_hands_on_lets_nobody_in() {
    let home = Home::new();
    write(&home, "private", 0o640);
    write(&home, "folder/deep/private", 0o660);
    let shared = write(&home, "folder/shared", 0o640);
    if !set(&shared, ACCESS, &acl([6, 4, 0, 4, 0])) {
        return; // This filesystem has none.
    }
    assert!(set(&home.source().join("folder/deep"), DEFAULT, &acl([7, 5, 5, 5, 0])));
    let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::WGRP;
    for name in ["pipe", "folder/pipe"] {
        mknodat(CWD, home.source().join(name), FileType::Fifo, mode, 0).unwrap();
        fs::set_permissions(home.source().join(name), fs::Permissions::from_mode(0o660)).unwrap();
    }
    let pushed = tree::look(&home.source());
    home.push();
    let open_to_all = acl([7, 7, 7, 7, 7]);
    let target = |name: &str| {
        let path = home.folder.path().join(name);
        fs::create_dir(&path).unwrap();
        assert!(set(&path, DEFAULT, &open_to_all));
        path
    };
    let check = |to: &Path, existing, what: &str| {
        restore_whole(&home, to, existing);
        let mut found = tree::look(to);
        let root = found.remove(std::ffi::OsStr::new("")).unwrap();
        for (path, found) in &found {
            assert_eq!(found, &pushed[path], "{what}: {path:?}");
        }
        root
    };
    // A folder that the restore makes itself, one that was there, and one with folders in it.
    let above = target("above");
    for existing in [Existing::Keep, Existing::Replace] {
        let root = check(&above.join(format!("{existing:?}")), existing, "a new folder");
        assert_eq!(root, pushed[std::ffi::OsStr::new("")], "a new folder");
    }
    // One that broke off knows its own folders again.
    for fetches in 0..4 {
        let to = above.join(format!("broken {fetches}"));
        *home.vault.fetches_until_break.lock().unwrap() = Some(fetches);
        let (options, progress) = (RestoreOptions::default(), TransferProgress::default());
        let _ = restore(&home.vault, &newest(b""), &to, &options, &progress);
        *home.vault.fetches_until_break.lock().unwrap() = None;
        let root = check(&to, Existing::Keep, "run again");
        assert_eq!(root, pushed[std::ffi::OsStr::new("")], "run again");
    }
    let there = target("there");
    let root = check(&there, Existing::Keep, "a folder that was there");
    assert_eq!(root.xattrs, [(DEFAULT.into(), open_to_all.clone())], "it keeps its own");
    let within = target("within");
    fs::create_dir_all(within.join("folder/deep")).unwrap();
    let root = check(&within, Existing::Replace, "folders that were there");
    assert_eq!(root.xattrs, [], "it was to become the pushed folder");
}

#[test]
fn an_acl_does_not_keep_other_attributes_out() {
    if !is_ordinary_user("an_acl_does_not_keep_other_attributes_out") {
        return;
    }
    let home = Home::new();
    let file = write(&home, "folder/file", 0o600);
    let folder = home.source().join("folder");
    for path in [&file, &folder] {
        if !set(path, "user.comment", b"mine") || !set(path, ACCESS, &acl([5, 4, 5, 4, 0])) {
            return; // This filesystem has none.
        }
    }
    let pushed = tree::look(&home.source());
    home.push();
    let to = home.folder.path().join("target");
    restore_whole(&home, &to, Existing::Keep);
    assert_eq!(tree::look(&to), pushed);
    for folder in [folder, to.join("folder")] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).unwrap();
    }
}

#[test]
fn files_that_their_owner_may_not_read_are_known_again() {
    if !is_ordinary_user("files_that_their_owner_may_not_read_are_known_again") {
        return;
    }
    let home = Home::new();
    let keep = |bytes: &[u8]| {
        let block = Encoder::new().encode(bytes, vec![u32::try_from(bytes.len()).unwrap()]);
        home.vault.upload(&[&block]).unwrap();
        ChunkRef::to(bytes)
    };
    let owner = || {
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        vec![Owner { uid, gid, user: String::new(), group: String::new() }]
    };
    let entry = |name: &str, mode: u16, kind: Kind| {
        let (name, modified) = (name.as_bytes().to_vec(), Time { seconds: 1_000_000_000, nanos: 0 });
        Entry { name, owner: 0, mode, modified, hard_link: 0, xattrs: vec![], kind }
    };
    // As root pushed it: an ordinary user could not read these.
    let file = |mode: u16| {
        let pieces = vec![Piece::Chunk(keep(b"hidden"))];
        entry(&format!("{mode:03o}"), mode, Kind::File { size: 6, pieces })
    };
    let modes = [0o000, 0o060, 0o200];
    let node = keep(&Node::Leaf { owners: owner(), entries: modes.map(file).to_vec() }.encode());
    let root = entry("", 0o700, Kind::Directory { node, totals: Totals::default() });
    let root = keep(&Node::Leaf { owners: owner(), entries: vec![root] }.encode());
    home.vault.plant(root, Totals::default());
    let to = home.folder.path().join("target");
    restore_whole(&home, &to, Existing::Keep);
    assert_eq!(restore_whole(&home, &to, Existing::Keep).files, 3);
    for mode in modes {
        let found = fs::metadata(to.join(format!("{mode:03o}"))).unwrap();
        assert_eq!(found.permissions().mode() & 0o7777, u32::from(mode));
    }
}
