//! What was pushed comes back: every byte, every name, every attribute.

#![allow(clippy::unwrap_used, reason = "in a test, an error is a failure and its text says which")]

mod home;
mod tree;
mod vault;

use home::{Home, newest};
use larder_client::{Existing, TransferProgress, read_file};
use proptest::prelude::*;
use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, UTIME_OMIT, XattrFlags};
use std::{
    ffi::OsStr,
    fs,
    os::unix::{
        ffi::OsStrExt,
        fs::{FileExt, PermissionsExt, symlink},
    },
    path::{Path, PathBuf},
};

fn check_round_trip(home: &Home) {
    let before = tree::look(&home.source());
    let pushed = home.push();
    assert_eq!(pushed.skipped.named, []);
    let restored = home.restore(b"", Existing::Keep);
    assert_eq!(restored.skipped.named, []);
    let after = tree::look(&home.target());
    let names = |tree: &std::collections::BTreeMap<_, _>| tree.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&after), names(&before));
    for (path, entry) in &before {
        assert_eq!(&after[path], entry, "{path:?}");
    }
    assert_eq!(restored.files, pushed.totals.files);
    assert_eq!(restored.folders, pushed.totals.directories + 1);
    assert_eq!(restored.bytes, pushed.totals.bytes);
}

fn set_time(path: &Path, seconds: i64, nanos: i64) {
    let times = Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: seconds, tv_nsec: nanos },
    };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn a_folder_of_everything_comes_back_as_it_was() {
    let home = Home::new();
    home.write("empty", b"");
    home.write(OsStr::from_bytes(b"bytes \xff\xfe\n\x01 \\ \"'"), b"odd name");
    home.write("a/b/c/file", b"deep");
    home.write("large", &noise(9_000_000, 1));
    home.write("exactly 256 KiB", &noise(256 * 1024, 2));
    home.write("one more", &noise(256 * 1024 + 1, 3));
    home.write("data.sqlite", &noise(1_000_001, 4));
    let old = home.write("from 1901", b"old");
    set_time(&old, -2_177_452_801, 123_456_789);
    let secret = home.write("secret", b"for nobody");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o000)).unwrap();
    let program = home.write("program", b"#!/bin/sh");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o4755)).unwrap();
    symlink("nowhere/at all", home.source().join("a/link")).unwrap();
    set_time(&home.source().join("a/link"), 5, 6);
    symlink(OsStr::from_bytes(b"/etc/\xff"), home.source().join("a/b/link")).unwrap();
    fs::hard_link(home.source().join("large"), home.source().join("a/same as large")).unwrap();
    fs::hard_link(home.source().join("empty"), home.source().join("a/b/same as empty")).unwrap();
    fs::create_dir(home.source().join("no files")).unwrap();
    fs::set_permissions(home.source().join("no files"), fs::Permissions::from_mode(0o1777)).unwrap();
    let mode = Mode::RUSR | Mode::WGRP;
    rustix::fs::mknodat(CWD, home.source().join("pipe"), FileType::Fifo, mode, 0).unwrap();
    drop(std::os::unix::net::UnixListener::bind(home.source().join("a/socket")).unwrap());
    if is_root() {
        let device = rustix::fs::makedev(1, 3);
        // Containers may lack the right to make devices; then there is none to bring back.
        let _ = rustix::fs::mknodat(CWD, home.source().join("null"), FileType::CharacterDevice, mode, device);
        std::os::unix::fs::chown(home.source().join("program"), Some(1234), Some(4321)).unwrap();
        std::os::unix::fs::lchown(home.source().join("a/link"), Some(1234), Some(4321)).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o6755)).unwrap();
    }
    set_time(&home.source().join("a/b"), -1, 999_999_999);
    set_time(&home.source().join("no files"), 0, 0);
    set_time(&home.source(), 1_000_000_000, 1);
    check_round_trip(&home);
}

#[test]
fn extended_attributes_and_acls_come_back() {
    let home = Home::new();
    let file = home.write("file", b"content");
    let set =
        |path: &Path, name: &str, value: &[u8]| rustix::fs::setxattr(path, name, value, XattrFlags::empty());
    if set(&file, "user.test", b"").is_err() {
        return; // This filesystem has none.
    }
    set(&file, "user.\u{fc}nusual", &noise(3000, 1)).unwrap();
    fs::create_dir(home.source().join("folder")).unwrap();
    set(&home.source().join("folder"), "user.colour", b"red").unwrap();
    // user::rw-, user:1234:r--, group::r--, mask::r--, other::---
    let entry = |tag: u16, perm: u16, id: u32| {
        [&tag.to_le_bytes()[..], &perm.to_le_bytes(), &id.to_le_bytes()].concat()
    };
    let nobody = u32::MAX;
    let acl = [
        2u32.to_le_bytes().to_vec(),
        entry(1, 6, nobody),
        entry(2, 4, 1234),
        entry(4, 4, nobody),
        entry(16, 4, nobody),
        entry(32, 0, nobody),
    ];
    let _ = set(&file, "system.posix_acl_access", &acl.concat());
    let _ = set(&home.source().join("folder"), "system.posix_acl_default", &acl.concat());
    check_round_trip(&home);
}

/// A camera's folder: several walkers read its files, and the tree is the same as if one had.
#[test]
fn a_folder_of_very_many_files_is_one_tree_whoever_reads_them() {
    let home = Home::new();
    for (number, len) in (0..2500).zip((100..1000).cycle()) {
        let path = home.write(format!("camera/{number:04}"), &noise(len, number));
        set_time(&path, 1_700_000_000, 0);
    }
    for number in (0..2500).step_by(311) {
        home.write(format!("camera/{number:04} album/words"), b"words");
        let (from, to) = (format!("camera/{number:04}"), format!("camera/{number:04} again"));
        fs::hard_link(home.source().join(from), home.source().join(to)).unwrap();
    }
    home.write("camera/film", &noise(3_000_000, 9));
    let push = || {
        let pushed = home.push();
        assert_eq!((pushed.totals.files, pushed.skipped.count), (2500 + 2 * 9 + 1, 0));
        home.vault.newest_root()
    };
    let roots: Vec<_> = (0..6).map(|_| push()).collect();
    assert!(roots.windows(2).all(|pair| pair[0] == pair[1]));
    check_round_trip(&home);
}

#[test]
fn holes_stay_holes() {
    let home = Home::new();
    let path = home.source().join("image.raw");
    let file = fs::File::create(&path).unwrap();
    file.set_len(64 << 20).unwrap();
    file.write_at(&noise(100_000, 1), 20_000_000).unwrap();
    file.write_at(b"end", (64 << 20) - 3).unwrap();
    let other = home.source().join("sparse");
    let file = fs::File::create(&other).unwrap();
    file.write_at(&noise(700_000, 2), 5_000_000).unwrap();
    file.set_len(10_000_000).unwrap();
    fs::File::create(home.source().join("only a hole")).unwrap().set_len(1 << 40).ok();
    fs::remove_file(home.source().join("only a hole")).unwrap();
    fs::File::create(home.source().join("small hole")).unwrap().set_len(8192).unwrap();
    check_round_trip(&home);
    let blocks = |path: PathBuf| rustix::fs::stat(path).unwrap().st_blocks;
    for name in ["image.raw", "sparse"] {
        let (before, after) = (blocks(home.source().join(name)), blocks(home.target().join(name)));
        assert!(after <= before + 64, "{name}: {before} blocks became {after}");
    }
}

/// Deeper than any path may be long.
#[test]
fn two_thousand_folders_inside_one_another_come_back() {
    let home = Home::new();
    let name = "d".repeat(20);
    let mut at = rustix::fs::open(home.source(), rustix::fs::OFlags::DIRECTORY, Mode::empty()).unwrap();
    let deepest = |mut at: std::os::fd::OwnedFd| {
        let mut depth = 0;
        while let Ok(next) =
            rustix::fs::openat(&at, name.as_str(), rustix::fs::OFlags::DIRECTORY, Mode::empty())
        {
            (at, depth) = (next, depth + 1);
        }
        let file = rustix::fs::openat(&at, "file", rustix::fs::OFlags::RDONLY, Mode::empty());
        let mut content = [0; 16];
        let len = file.map_or(0, |file| rustix::io::read(&file, &mut content).unwrap());
        (depth, content[..len].to_vec())
    };
    for _ in 0..2000 {
        rustix::fs::mkdirat(&at, name.as_str(), Mode::RWXU).unwrap();
        at = rustix::fs::openat(&at, name.as_str(), rustix::fs::OFlags::DIRECTORY, Mode::empty()).unwrap();
    }
    let flags = rustix::fs::OFlags::CREATE | rustix::fs::OFlags::WRONLY;
    let file = rustix::fs::openat(&at, "file", flags, Mode::RUSR).unwrap();
    rustix::io::write(&file, b"found").unwrap();
    assert_eq!(home.push().skipped.named, []);
    assert_eq!(home.restore(b"", Existing::Keep).skipped.named, []);
    let target = rustix::fs::open(home.target(), rustix::fs::OFlags::DIRECTORY, Mode::empty()).unwrap();
    assert_eq!(deepest(target), (2000, b"found".to_vec()));
    // The standard library's own removal is recursive; a thread with room does it.
    let removal = std::thread::Builder::new().stack_size(256 << 20).spawn(move || drop(home)).unwrap();
    removal.join().unwrap();
}

#[test]
fn a_part_comes_back_under_its_own_name() {
    let home = Home::new();
    home.write("photos/2024/cat.jpg", b"cat");
    home.write("photos/2025/dog.jpg", b"dog");
    home.push();
    home.restore(b"photos/2024", Existing::Keep);
    home.restore(b"photos/2025/dog.jpg", Existing::Keep);
    let names: Vec<_> = tree::look(&home.target()).into_keys().collect();
    assert_eq!(names, ["", "2024", "2024/cat.jpg", "dog.jpg"]);
}

#[test]
fn what_is_already_there_stays_unless_the_owner_says_otherwise() {
    let home = Home::new();
    home.write("mine", b"from the backup");
    home.write("folder/both", b"from the backup");
    home.write("linked", b"from the backup");
    fs::hard_link(home.source().join("linked"), home.source().join("second name")).unwrap();
    home.push();
    fs::create_dir_all(home.target().join("folder")).unwrap();
    fs::write(home.target().join("folder/both"), b"newer work").unwrap();
    fs::write(home.target().join("linked"), b"newer work").unwrap();
    let restored = home.restore(b"", Existing::Keep);
    let mut skipped: Vec<_> = restored.skipped.named.iter().map(|skipped| skipped.path.as_str()).collect();
    skipped.sort_unstable();
    assert_eq!(skipped, ["folder/both", "linked", "second name"]);
    assert_eq!(fs::read(home.target().join("folder/both")).unwrap(), b"newer work");
    assert!(!home.target().join("second name").exists(), "it would have been another file's second name");
    assert_eq!(home.restore(b"", Existing::Replace).skipped.named, []);
    assert_eq!(tree::look(&home.target()), tree::look(&home.source()));
}

#[test]
fn a_symlink_in_the_target_leads_nowhere() {
    let home = Home::new();
    home.write("folder/file", b"content");
    home.push();
    let outside = home.folder.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::create_dir(home.target()).unwrap();
    symlink(&outside, home.target().join("folder")).unwrap();
    assert_eq!(home.restore(b"", Existing::Keep).skipped.count, 1);
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    assert_eq!(home.restore(b"", Existing::Replace).skipped.count, 0);
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    assert_eq!(fs::read(home.target().join("folder/file")).unwrap(), b"content");
}

#[test]
fn damaged_data_costs_the_files_that_need_it_and_no_others() {
    let home = Home::new();
    for n in 0..200u64 {
        home.write(format!("folder/{n:03}"), &noise(2000, n));
    }
    home.write("large", &noise(5_000_000, 999));
    home.push();
    let victim = larder_format::Hash::of(&noise(2000, 77));
    let large = {
        let chunks = home.vault.chunks.lock().unwrap();
        *chunks.iter().find(|(_, bytes)| bytes.len() > 256 * 1024).unwrap().0
    };
    *home.vault.rotten.lock().unwrap() = vec![victim, large];
    let restored = home.restore(b"", Existing::Keep);
    let mut skipped: Vec<_> = restored.skipped.named.iter().map(|skipped| skipped.path.as_str()).collect();
    skipped.sort_unstable();
    assert_eq!((skipped, restored.damaged), (vec!["folder/077", "large"], 2));
    assert_eq!(restored.files, 199);
    let left: Vec<_> = tree::look(&home.target()).into_keys().collect();
    assert!(
        left.iter().all(|name| !name.as_bytes().starts_with(b".larder")),
        "nothing unfinished stays behind"
    );
    // Gone altogether is no worse than rotten.
    home.vault.chunks.lock().unwrap().remove(&victim);
    fs::remove_dir_all(home.target()).unwrap();
    assert_eq!(home.restore(b"", Existing::Keep).files, 199);
}

#[test]
fn one_file_can_be_read_by_itself() {
    let home = Home::new();
    let content = noise(20_000_000, 5);
    home.write("folder/film", &content);
    home.push();
    let mut read = Vec::new();
    read_file(&home.vault, &newest(b"folder/film"), &mut read, &TransferProgress::default()).unwrap();
    assert!(read == content);
    let missing = read_file(&home.vault, &newest(b"folder/none"), &mut read, &TransferProgress::default());
    assert_eq!(missing.unwrap_err().exit_code(), 1);
}

#[derive(Debug, Clone)]
enum Any {
    File { size: usize, seed: u64, mode: u32, time: (i64, i64) },
    Folder(Vec<(Vec<u8>, Any)>),
    Symlink(Vec<u8>),
    Fifo,
    Sparse { runs: Vec<(u32, u16)>, size: u32 },
}

fn any_name() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>().prop_filter("no slash, no NUL", |b| *b != 0 && *b != b'/'), 1..40)
        .prop_filter("not a dot", |name| name != b"." && name != b".." && !name.starts_with(b".larder"))
}

fn any_tree() -> impl Strategy<Value = Any> {
    let time = (-3_000_000_000i64..5_000_000_000, 0i64..1_000_000_000);
    let size = prop_oneof![8 => 0usize..5000, 1 => 0usize..2_000_000];
    let leaf = prop_oneof![
        6 => (size, any::<u64>(), 0u32..0o10000, time)
            .prop_map(|(size, seed, mode, time)| Any::File { size, seed: seed % 8, mode, time }),
        1 => prop::collection::vec(1u8..=255, 1..80).prop_map(Any::Symlink),
        1 => Just(Any::Fifo),
        1 => (prop::collection::vec((any::<u32>(), any::<u16>()), 0..4), 0u32..9_000_000)
            .prop_map(|(runs, size)| Any::Sparse { runs, size }),
    ];
    leaf.prop_recursive(5, 60, 8, |inner| {
        prop::collection::vec((any_name(), inner), 0..8).prop_map(Any::Folder)
    })
}

fn make(path: &Path, any: &Any) {
    match any {
        Any::File { size, seed, mode, time } => {
            fs::write(path, noise(*size, *seed)).unwrap();
            // Without root's rights a file must stay readable to be in a backup.
            let mode = if is_root() { *mode } else { *mode & 0o777 | 0o400 };
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
            set_time(path, time.0, time.1);
        }
        Any::Folder(entries) => {
            fs::create_dir(path).unwrap();
            for (name, any) in entries {
                let path = path.join(OsStr::from_bytes(name));
                if path.symlink_metadata().is_err() {
                    make(&path, any);
                }
            }
            set_time(path, 77, 7);
        }
        Any::Symlink(target) => symlink(OsStr::from_bytes(target), path).unwrap(),
        Any::Fifo => rustix::fs::mknodat(CWD, path, FileType::Fifo, Mode::RUSR, 0).unwrap(),
        Any::Sparse { runs, size } => {
            let file = fs::File::create(path).unwrap();
            file.set_len((*size).into()).unwrap();
            for (at, len) in runs.iter().filter(|_| *size > 0) {
                let (at, len) = (u64::from(at % size), usize::from(*len));
                file.write_at(&noise(len, at), at).unwrap();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn any_tree_comes_back(tree in any_tree()) {
        let home = Home::new();
        make(&home.source().join("tree"), &tree);
        check_round_trip(&home);
    }
}
