//! A restore that broke off and is run again ends as one that never did, and touches nothing that was there before.

#![allow(clippy::unwrap_used, reason = "in a test, an error is a failure and its text says which")]

mod tree;
mod vault;

use larder_client::{
    ClientError, Existing, PushOptions, RestoreOptions, Restored, Selection, TransferProgress, push, restore,
};
use std::{
    fs,
    os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    sync::atomic::Ordering::Relaxed,
    time::{Duration, SystemTime},
};
use tempfile::TempDir;
use vault::Vault;

struct Home {
    folder: TempDir,
    vault: Vault,
    /// Each has a target of its own.
    round: u32,
}

impl Drop for Home {
    /// Only root could remove what lies in a folder that nobody may write to.
    fn drop(&mut self) {
        for entry in fs::read_dir(self.folder.path()).unwrap() {
            let _ =
                fs::set_permissions(entry.unwrap().path().join("a/deep"), PermissionsExt::from_mode(0o755));
        }
    }
}

impl Home {
    /// A folder of everything that may be half done, pushed.
    fn pushed() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = Self { folder, vault: Vault::default(), round: 0 };
        let source = home.source();
        for name in ["a/deep", "b", "c"] {
            fs::create_dir_all(source.join(name)).unwrap();
            for number in 0..12 {
                fs::write(source.join(name).join(format!("{number}")), noise(500_000, name, number)).unwrap();
            }
        }
        fs::write(source.join("c/film"), noise(9_000_000, "film", 0)).unwrap();
        let image = fs::File::create(source.join("b/image")).unwrap();
        image.set_len(40 << 20).unwrap();
        image.write_at(&noise(700_000, "image", 0), 20 << 20).unwrap();
        fs::hard_link(source.join("a/deep/3"), source.join("c/same as 3")).unwrap();
        fs::hard_link(source.join("b/image"), source.join("a/same as image")).unwrap();
        symlink("nowhere", source.join("a/link")).unwrap();
        let pipe = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, source.join("b/pipe"), pipe, rustix::fs::Mode::RUSR, 0).unwrap();
        for (name, mode) in [("a/deep", 0o555), ("a", 0o2775), ("b", 0o700), ("c/film", 0o640), ("", 0o755)] {
            let path = source.join(name);
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            set_time(&path);
        }
        push(&home.vault, "laptop/home", &source, &PushOptions::default(), &TransferProgress::default())
            .unwrap();
        home
    }

    fn source(&self) -> PathBuf {
        self.folder.path().join("source")
    }

    fn target(&self) -> PathBuf {
        self.folder.path().join(format!("target{}", self.round))
    }

    fn restore(&self, path: &[u8], existing: Existing) -> Result<Restored, ClientError> {
        let wanted = Selection { source: "laptop/home", when: "newest", path };
        restore(
            &self.vault,
            &wanted,
            &self.target(),
            &RestoreOptions { existing, ..RestoreOptions::default() },
            &TransferProgress::default(),
        )
    }

    /// Every file in the target is as it was pushed; returns how many there are.
    fn check_no_halves(&self) -> usize {
        let pushed = tree::look(&self.source());
        let found = tree::look(&self.target());
        let files = found.iter().filter(|(_, found)| found.kind == rustix::fs::FileType::RegularFile);
        let check = |(path, found): (&std::ffi::OsString, &tree::Found)| {
            assert!(found.content == pushed[path].content, "half a file: {path:?}");
        };
        files.map(check).count()
    }
}

fn noise(len: usize, name: &str, number: u32) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new()
        .update(name.as_bytes())
        .update(&number.to_le_bytes())
        .finalize_xof()
        .fill(&mut bytes);
    bytes
}

fn set_time(path: &Path) {
    let time = SystemTime::UNIX_EPOCH + Duration::new(1_500_000_000, 5000);
    fs::File::open(path).unwrap().set_modified(time).unwrap();
}

#[test]
fn a_restore_that_broke_off_goes_on_where_it_stopped() {
    let mut home = Home::pushed();
    let pushed = tree::look(&home.source());
    home.restore(b"", Existing::Keep).unwrap();
    let whole = home.vault.fetched_bytes.swap(0, Relaxed);
    let mut went_on = 0;
    for fetches in 0..16 {
        home.round += 1;
        *home.vault.fetches_until_break.lock().unwrap() = Some(fetches);
        let broke = home.restore(b"", Existing::Keep);
        *home.vault.fetches_until_break.lock().unwrap() = None;
        let Err(trouble) = broke else { break };
        assert_eq!(trouble.exit_code(), 4);
        let files = if home.target().exists() { home.check_no_halves() } else { 0 };
        home.vault.fetched_bytes.store(0, Relaxed);
        let restored = home.restore(b"", Existing::Keep).unwrap();
        assert_eq!(restored.skipped.named, [], "after {fetches} fetches");
        assert_eq!(tree::look(&home.target()), pushed, "after {fetches} fetches");
        let again = home.vault.fetched_bytes.swap(0, Relaxed);
        went_on += usize::from(files > 5 && again + 2_000_000 < whole);
        assert_eq!((restored.files, restored.bytes), (42, whole_bytes(&home.source())));
    }
    assert!(went_on > 0, "no restore had anything to go on from");
}

fn whole_bytes(folder: &Path) -> u64 {
    let files =
        tree::look(folder).into_values().filter(|found| found.kind == rustix::fs::FileType::RegularFile);
    files.map(|found| u64::try_from(found.size).unwrap()).sum()
}

#[test]
fn what_was_there_before_is_not_taken_for_a_restore_that_broke_off() {
    let home = Home::pushed();
    // Of the same size and time, and yet another file.
    let other = home.target().join("c/3");
    fs::create_dir_all(home.target().join("c")).unwrap();
    fs::create_dir_all(home.target().join("b")).unwrap();
    fs::write(&other, noise(500_000, "mine", 3)).unwrap();
    let pushed = fs::metadata(home.source().join("c/3")).unwrap();
    fs::File::options().append(true).open(&other).unwrap().set_modified(pushed.modified().unwrap()).unwrap();
    // The same file under the same name.
    let same = home.target().join("c/4");
    fs::copy(home.source().join("c/4"), &same).unwrap();
    let time = fs::metadata(home.source().join("c/4")).unwrap().modified().unwrap();
    fs::File::options().append(true).open(&same).unwrap().set_modified(time).unwrap();
    fs::set_permissions(&same, fs::Permissions::from_mode(0o600)).unwrap();
    let inode = fs::metadata(&same).unwrap().ino();
    for (name, mode) in [("c", 0o700), ("b", 0o1777), ("", 0o750)] {
        fs::set_permissions(home.target().join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    let restored = home.restore(b"", Existing::Keep).unwrap();
    let named: Vec<&str> = restored.skipped.named.iter().map(|skipped| skipped.path.as_str()).collect();
    assert_eq!(named, ["c/3"]);
    assert!(fs::read(&other).unwrap() == noise(500_000, "mine", 3));
    let found = fs::metadata(&same).unwrap();
    assert_eq!((found.ino(), found.mode() & 0o7777), (inode, 0o600));
    for (name, mode) in [("c", 0o700), ("b", 0o1777), ("", 0o750)] {
        let found = fs::metadata(home.target().join(name)).unwrap();
        assert_eq!(found.mode() & 0o7777, mode, "{name:?} keeps its permissions");
    }
}

/// A file's second name is neither made over another file nor made twice.
#[test]
fn names_that_are_back_already_are_left_alone() {
    let home = Home::pushed();
    home.restore(b"", Existing::Keep).unwrap();
    let before = tree::look(&home.target());
    assert_eq!(home.restore(b"", Existing::Keep).unwrap().skipped.named, []);
    assert_eq!(tree::look(&home.target()), before);
    fs::remove_file(home.target().join("c/same as 3")).unwrap();
    assert_eq!(home.restore(b"", Existing::Keep).unwrap().skipped.named, []);
    let inode = |name: &str| fs::metadata(home.target().join(name)).unwrap().ino();
    assert_eq!(inode("c/same as 3"), inode("a/deep/3"));
}

/// The disks of the appliance are pulled: the restore ends and says so, and no file is called damaged.
#[test]
fn without_a_disk_nothing_is_called_damaged() {
    let mut home = Home::pushed();
    for fetches in 0..4 {
        home.round += 1;
        *home.vault.fetches_until_no_disk.lock().unwrap() = Some(fetches);
        let trouble = home.restore(b"", Existing::Keep).expect_err("there is no disk");
        assert!(trouble.has_code("failed"), "after {fetches} fetches: {trouble}");
        assert_eq!(trouble.exit_code(), 1);
        if home.target().exists() {
            home.check_no_halves();
        }
    }
    *home.vault.fetches_until_no_disk.lock().unwrap() = None;
    assert_eq!(home.restore(b"", Existing::Keep).unwrap().skipped.named, []);
}
