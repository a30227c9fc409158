//! What was pushed comes back: names of any bytes, holes, links, attributes, times.

use harness::home::Home;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// Numbers that depend on the seed alone.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = u64::from_le_bytes(
            *blake3::hash(&self.0.to_le_bytes()).as_bytes().first_chunk().expect("32 bytes"),
        );
        self.0 % limit.max(1)
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        blake3::Hasher::new().update(&self.below(u64::MAX).to_le_bytes()).finalize_xof().fill(&mut bytes);
        bytes
    }
}

/// Everything that must be the same, by path.
pub(crate) fn describe(folder: &Path) -> BTreeMap<Vec<u8>, String> {
    let mut found = BTreeMap::new();
    // In the order of paths: the first of several names stands for all, whatever order a folder is read in.
    let mut metas = BTreeMap::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(path) = folders.pop() {
        let meta = fs::symlink_metadata(folder.join(&path)).expect("it is there");
        if meta.is_dir() {
            let names = fs::read_dir(folder.join(&path)).expect("a folder");
            folders.extend(names.map(|entry| path.join(entry.expect("a name").file_name())));
        }
        metas.insert(path, meta);
    }
    let mut inodes = BTreeMap::new();
    for (path, meta) in metas {
        let full = folder.join(&path);
        let content = if meta.is_dir() {
            String::new()
        } else if meta.is_symlink() {
            format!("-> {:?}", fs::read_link(&full).expect("a link"))
        } else if meta.is_file() {
            blake3::hash(&fs::read(&full).expect("a file")).to_string()
        } else {
            format!("device {}", meta.rdev())
        };
        // Hard links are told by which names share a file, not by its number.
        let group = inodes.entry(meta.ino()).or_insert_with(|| path.clone()).clone();
        let group = if meta.is_dir() || meta.nlink() == 1 { PathBuf::new() } else { group };
        let size = if meta.is_dir() { 0 } else { meta.len() };
        let facts = format!(
            "{:o} {}:{} {}.{:09} {size} {group:?} {content}",
            meta.mode(),
            meta.uid(),
            meta.gid(),
            meta.mtime(),
            meta.mtime_nsec(),
        );
        found.insert(path.as_os_str().as_bytes().to_vec(), facts + &xattrs(&full));
    }
    found
}

fn xattrs(path: &Path) -> String {
    let mut names = vec![0u8; 64 * 1024];
    let Ok(len) = rustix::fs::llistxattr(path, names.as_mut_slice()) else { return String::new() };
    let names = names[..len].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let mut found: Vec<_> = names
        .map(|name| {
            let mut value = vec![0u8; 64 * 1024];
            let len = rustix::fs::lgetxattr(path, OsStr::from_bytes(name), value.as_mut_slice()).unwrap_or(0);
            format!(" {:?}={:?}", OsStr::from_bytes(name), &value[..len])
        })
        .collect();
    found.sort();
    found.concat()
}

fn set_time(path: &Path, seconds: i64, nanos: i64) {
    let time = rustix::fs::Timespec { tv_sec: seconds, tv_nsec: nanos };
    let times = rustix::fs::Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(rustix::fs::CWD, path, &times, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)
        .expect("a time is set");
}

/// A random tree with everything that filesystems allow.
pub(crate) fn grow(folder: &Path, dice: &mut Dice, depth: u32) {
    fs::create_dir_all(folder).expect("a folder");
    let mut regular: Vec<PathBuf> = Vec::new();
    for number in 0..2 + dice.below(7) {
        let path = folder.join(name(dice, number));
        match dice.below(12) {
            0..=2 if depth > 0 => grow(&path, dice, depth - 1),
            3 => symlink(OsString::from_vec(b"nowhere/\xff\xfe".to_vec()), &path).expect("a link"),
            4 if !regular.is_empty() => {
                let other = &regular[usize::try_from(dice.below(regular.len() as u64)).expect("small")];
                fs::hard_link(other, &path).expect("a hard link");
            }
            5 => rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o640.into(), 0)
                .expect("a pipe"),
            6 => {
                let mut file = fs::File::create(&path).expect("a file");
                file.seek(SeekFrom::Start(dice.below(3_000_000))).expect("a hole");
                file.write_all(&dice.bytes(5000)).expect("written");
                file.set_len(dice.below(5_000_000) + 3_010_000).expect("a hole at the end");
            }
            7 => fs::write(&path, dice.bytes(700_000)).expect("written"),
            _ => {
                let len = usize::try_from(dice.below(9000)).expect("small");
                fs::write(&path, dice.bytes(len)).expect("written");
            }
        }
        let meta = fs::symlink_metadata(&path).expect("it is there");
        if meta.is_file() {
            regular.push(path.clone());
            fs::set_permissions(
                &path,
                fs::Permissions::from_mode(0o400 | u32::try_from(dice.below(0o400)).expect("small")),
            )
            .expect("a mode");
            let value = dice.bytes(40);
            // Not every filesystem that tests run on has them; then both sides have none.
            let _ = rustix::fs::setxattr(&path, "user.larder.test", &value, rustix::fs::XattrFlags::empty());
        }
        set_time(
            &path,
            i64::try_from(dice.below(4_000_000_000)).expect("small") - 1_000_000_000,
            123_456_789,
        );
    }
    set_time(folder, 1_500_000_000, 987_654_321);
}

fn name(dice: &mut Dice, number: u64) -> OsString {
    let mut name = match dice.below(6) {
        0 => b"line\nbreak ".to_vec(),
        1 => vec![0xff, 0xfe, b'\\', b'"', 0x1b],
        2 => "größe 🥫 ".as_bytes().to_vec(),
        3 => vec![b'x'; 200],
        4 => b"-rf ".to_vec(),
        _ => b"plain".to_vec(),
    };
    name.extend_from_slice(number.to_string().as_bytes());
    OsString::from_vec(name)
}

fn check_equal(given: &Path, expect: &BTreeMap<Vec<u8>, String>, context: &str) {
    let found = describe(given);
    for (path, facts) in expect {
        assert_eq!(found.get(path), Some(facts), "{context}: {}", String::from_utf8_lossy(path));
    }
    assert_eq!(found.len(), expect.len(), "{context}: names that nobody pushed");
}

/// Trees in one push, and in one home: thousands of them would fill the machine's disk.
const TREES_PER_PUSH: u64 = 20;
const TREES_PER_HOME: u64 = 400;

/// Whatever a folder holds comes back exactly as it was, also after it changed.
#[test]
fn every_version_of_everything_comes_back_exactly() {
    let count: u64 = std::env::var("LARDER_TREES").ok().and_then(|text| text.parse().ok()).unwrap_or(40);
    let mut entries = 0;
    for seed in (0..count).step_by(usize::try_from(TREES_PER_HOME).expect("small")) {
        let home = Home::new();
        let end = count.min(seed + TREES_PER_HOME);
        for seed in (seed..end).step_by(usize::try_from(TREES_PER_PUSH).expect("small")) {
            entries += check_trees(&home, seed..end.min(seed + TREES_PER_PUSH));
        }
    }
    println!("{count} random trees, each in two versions, {entries} entries compared: 0 differences");
}

/// Trees side by side, pushed and changed and pushed again. Returns how many entries were compared.
fn check_trees(home: &Home, seeds: std::ops::Range<u64>) -> usize {
    let (source, folder) = (format!("trees{}", seeds.start), home.path("trees"));
    let grow_all = |salt: u64, depth| {
        for seed in seeds.clone() {
            grow(&folder.join(seed.to_string()), &mut Dice(seed + salt), depth);
        }
    };
    grow_all(0, 3);
    let before = describe(&folder);
    let first = home.push(&folder, &source);
    // The same names with other content, a folder renamed, a file gone.
    fs::rename(&folder, home.path("old")).expect("renamed");
    grow_all(1_000_000, 2);
    fs::rename(home.path("old"), folder.join("old")).expect("renamed");
    let after = describe(&folder);
    let second = home.push(&folder, &source);
    for (snapshot, expect) in [(first, &before), (second, &after)] {
        check_equal(
            &home.restore(&source, snapshot),
            expect,
            &format!("seeds {seeds:?}, snapshot {snapshot}"),
        );
        let _ = fs::remove_dir_all(home.path(&format!("restored-{source}-{snapshot}")));
    }
    fs::remove_dir_all(&folder).expect("removed");
    before.len() + after.len()
}

/// Pushing again sends only what is new; nothing new, nothing sent.
#[test]
fn what_is_kept_already_is_not_sent_again() {
    let home = Home::new();
    let folder = home.path("docs");
    fs::create_dir_all(folder.join("letters")).expect("a folder");
    let mut dice = Dice(7);
    for number in 0..40 {
        fs::write(folder.join(format!("letters/{number}.txt")), dice.bytes(20_000)).expect("written");
    }
    let sent = |home: &Home| {
        let pushed = home.json(&["push", &folder.display().to_string(), "--source", "docs"]);
        harness::home::find_number(&pushed, "sent_bytes")
            .unwrap_or_else(|| panic!("no sent_bytes in {pushed}"))
    };
    assert!(sent(&home) > 700_000);
    assert_eq!(sent(&home), 0, "nothing changed");
    fs::rename(folder.join("letters"), folder.join("post")).expect("renamed");
    let renamed = sent(&home);
    assert!(renamed < 10_000, "a renamed folder sends its list and no file: {renamed}");
}

/// A change of some pages of a disk image costs about those pages, not the image.
#[test]
fn a_changed_page_of_an_image_does_not_send_the_image() {
    let home = Home::new();
    let folder = home.path("vm");
    fs::create_dir_all(&folder).expect("a folder");
    let image = folder.join("disk.img");
    let mut dice = Dice(9);
    fs::write(&image, dice.bytes(32 << 20)).expect("written");
    home.push(&folder, "vm");
    let file = fs::OpenOptions::new().write(true).open(&image).expect("opens");
    for _ in 0..80 {
        let at = dice.below(8192) * 4096;
        std::os::unix::fs::FileExt::write_all_at(&file, &dice.bytes(4096), at).expect("written");
    }
    drop(file);
    let pushed = home.json(&["push", &folder.display().to_string(), "--source", "vm"]);
    let sent = harness::home::find_number(&pushed, "sent_bytes").expect("sent_bytes");
    assert!(sent < (32 << 20) * 6 / 100, "1 % of the pages changed, {sent} bytes were sent");
}
