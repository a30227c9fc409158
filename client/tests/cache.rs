//! The second push: what did not change is neither opened nor sent, and what did change never slips through.

#![allow(clippy::unwrap_used, reason = "in a test, an error is a failure and its text says which")]

mod tree;
mod vault;

use larder_client::{
    ChangedFiles, ClientError, Existing, PushOptions, Pushed, RestoreOptions, Selection, TransferProgress,
    push, restore,
};
use proptest::prelude::*;
use std::{
    fs,
    io::Write,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::atomic::Ordering::Relaxed,
    time::{Duration, SystemTime},
};
use tempfile::TempDir;
use vault::Vault;

struct Home {
    folder: TempDir,
    vault: Vault,
    options: PushOptions,
}

impl Home {
    /// A home whose clock is two minutes ahead: all that was written until now counts as settled.
    fn settled() -> Self {
        Self::with_clock(|| SystemTime::now() + Duration::from_secs(120))
    }

    fn with_clock(clock: fn() -> SystemTime) -> Self {
        let home = Self::at_present();
        Self { options: PushOptions { clock, ..home.options }, ..home }
    }

    fn at_present() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("source")).unwrap();
        let options =
            PushOptions { cache: Some(folder.path().join("cache/x.cache")), ..PushOptions::default() };
        Self { folder, vault: Vault::default(), options }
    }

    fn source(&self) -> PathBuf {
        self.folder.path().join("source")
    }

    fn cache(&self) -> PathBuf {
        self.options.cache.clone().unwrap()
    }

    fn write(&self, path: impl AsRef<Path>, content: &[u8]) -> PathBuf {
        let path = self.source().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    fn fill(&self) {
        for folder in 0..10 {
            for file in 0..20 {
                self.write(format!("f{folder}/sub/{file}"), format!("content {folder} {file}").as_bytes());
            }
        }
        self.write("top", b"top");
    }

    fn try_push(&self) -> Result<Pushed, ClientError> {
        push(&self.vault, "laptop/home", &self.source(), &self.options, &TransferProgress::default())
    }

    /// Pushes and returns how many chunks were new.
    fn push(&self) -> u64 {
        self.vault.take_uploaded();
        assert_eq!(self.try_push().unwrap().skipped.named, []);
        self.vault.take_uploaded()
    }

    /// The newest snapshot is exactly what lies in the folder now.
    fn check_newest(&self) {
        let target = tempfile::tempdir().unwrap();
        let to = target.path().join("target");
        let wanted = Selection { source: "laptop/home", when: "newest", path: b"" };
        let options = RestoreOptions { existing: Existing::Keep, ..RestoreOptions::default() };
        let restored = restore(&self.vault, &wanted, &to, &options, &TransferProgress::default()).unwrap();
        assert_eq!(restored.skipped.named, []);
        assert_eq!(tree::look(&to), tree::look(&self.source()));
    }
}

fn same_size_other_time(path: &Path) {
    let len = fs::metadata(path).unwrap().len();
    fs::write(path, vec![b'!'; usize::try_from(len).unwrap()]).unwrap();
}

#[test]
fn a_push_without_change_sends_nothing_and_leaves_the_cache_alone() {
    let home = Home::settled();
    home.fill();
    assert!(home.push() > 200);
    let before = fs::metadata(home.cache()).unwrap();
    assert_eq!(home.push(), 0);
    let after = fs::metadata(home.cache()).unwrap();
    assert_eq!((after.ino(), after.mtime_nsec()), (before.ino(), before.mtime_nsec()));
    home.check_newest();
}

#[test]
fn a_change_costs_its_own_chunks_and_the_folders_above_it() {
    let home = Home::settled();
    home.fill();
    home.push();
    home.write("f3/sub/7", b"changed");
    // The file, its folder, the folder above, the pushed folder, the root.
    assert_eq!(home.push(), 5);
    home.check_newest();
    fs::rename(home.source().join("f1/sub/1"), home.source().join("f1/sub/renamed")).unwrap();
    assert_eq!(home.push(), 4, "a new name is no new content");
    home.check_newest();
    fs::remove_file(home.source().join("f2/sub/19")).unwrap();
    assert_eq!(home.push(), 4);
    home.check_newest();
    fs::set_permissions(home.source().join("f4/sub/4"), fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(home.push(), 4);
    home.check_newest();
    fs::remove_dir_all(home.source().join("f5")).unwrap();
    home.write("f5", b"a file now");
    home.push();
    home.check_newest();
    assert_eq!(home.push(), 0);
}

#[test]
fn an_edit_that_keeps_the_size_is_noticed() {
    let home = Home::settled();
    let path = home.write("file", b"one");
    home.push();
    same_size_other_time(&path);
    home.push();
    home.check_newest();
    // And one that also puts the old time back: the filesystem's own time of change tells.
    let time = fs::metadata(&path).unwrap().modified().unwrap();
    fs::write(&path, b"two").unwrap();
    fs::File::options().append(true).open(&path).unwrap().set_modified(time).unwrap();
    home.push();
    home.check_newest();
}

/// Within the same tick of the filesystem's clock an edit does not show in any time.
#[test]
fn what_changed_just_now_is_read_again_next_time() {
    let home = Home::at_present();
    for n in 0..50 {
        let path = home.write("file", format!("{n:04}").as_bytes());
        home.push();
        fs::write(&path, format!("{:04}", n + 1)).unwrap();
        home.push();
        home.check_newest();
    }
}

/// A program that writes by way of its memory does not move a file's times for half a minute.
#[test]
fn what_changed_just_now_is_read_once_more() {
    let asked = |clock| {
        let home = Home::with_clock(clock);
        home.write("file", b"content");
        home.push();
        let before = home.vault.requests.load(Relaxed);
        assert_eq!(home.push(), 0);
        home.vault.requests.load(Relaxed) - before
    };
    // Whether the root is missing, and the commit; where a file was read, also whether its chunks and its folder are.
    assert_eq!(asked(|| SystemTime::now() + Duration::from_secs(120)), 2);
    assert_eq!(asked(|| SystemTime::now() + Duration::from_secs(1)), 4);
}

/// A watch sends files ahead of their snapshot: what is new in the snapshot is not what is sent with it.
#[test]
fn what_is_new_in_a_snapshot_is_counted_apart_from_what_is_sent() {
    let changed = |files, bytes| Some(ChangedFiles { files, bytes });
    // As at present, each file is so new that it is read again with every push.
    for home in [Home::settled(), Home::at_present()] {
        home.fill();
        assert_eq!(home.try_push().unwrap().changed, None, "nothing is known of a first push");
        assert_eq!(home.try_push().unwrap().changed, changed(0, 0), "to be read again is no change");
        home.write("f1/sub/3", b"another content");
        home.write("new/picture", &[7; 3000]);
        let ahead = PushOptions { clock: home.options.clock, ..PushOptions::default() };
        push(&home.vault, "laptop/ahead", &home.source(), &ahead, &TransferProgress::default()).unwrap();
        let progress = TransferProgress::default();
        let pushed = push(&home.vault, "laptop/home", &home.source(), &home.options, &progress).unwrap();
        assert_eq!((pushed.changed, progress.new_bytes()), (changed(2, 3015), 0));
        fs::remove_file(home.source().join("top")).unwrap();
        assert_eq!(home.try_push().unwrap().changed, changed(0, 0));
    }
}

#[test]
fn a_damaged_cache_is_as_good_as_none() {
    let home = Home::settled();
    home.fill();
    home.push();
    let good = fs::read(home.cache()).unwrap();
    let mut cases: Vec<Vec<u8>> =
        vec![vec![], vec![0; 100], good[..good.len() / 2].to_vec(), good[1..].to_vec()];
    for at in (0..good.len()).step_by(good.len() / 60) {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        cases.push(bad);
    }
    for bad in cases {
        fs::write(home.cache(), bad).unwrap();
        assert_eq!(home.push(), 0);
        home.check_newest();
    }
}

/// The cache knows of chunks that the appliance has meanwhile lost.
#[test]
fn what_the_appliance_has_lost_is_sent_again() {
    let home = Home::settled();
    home.fill();
    home.push();
    home.vault.chunks.lock().unwrap().clear();
    assert!(home.push() > 200);
    home.check_newest();
    assert_eq!(home.push(), 0);
}

#[test]
fn a_box_that_forgets_more_than_once_is_sent_everything_again() {
    let home = Home::settled();
    home.write("a.txt", &[1; 9000]);
    home.vault.power_cuts.store(2, Relaxed);
    home.push();
    let cuts = 100;
    home.vault.power_cuts.store(cuts, Relaxed);
    let pushed = home.try_push();
    assert!(pushed.is_err_and(|trouble| trouble.is_missing_chunks()));
    assert!(cuts - home.vault.power_cuts.load(Relaxed) < 9, "it does not go on for ever");
}

#[test]
fn a_push_that_broke_off_goes_on_where_it_stopped() {
    let home = Home::settled();
    for n in 0..40u8 {
        home.write(format!("{n}"), &[n].repeat(3_000_000));
    }
    *home.vault.breaks_after.lock().unwrap() = Some(5);
    assert_eq!(home.try_push().unwrap_err().exit_code(), 4);
    assert!(home.vault.snapshots.lock().unwrap().is_empty());
    let arrived = home.vault.chunks.lock().unwrap().len() as u64;
    assert!(arrived > 0);
    *home.vault.breaks_after.lock().unwrap() = None;
    home.push();
    let before = home.vault.chunks.lock().unwrap().len() as u64;
    assert_eq!(home.push(), 0);
    assert_eq!(home.vault.chunks.lock().unwrap().len() as u64, before);
    home.check_newest();
}

#[test]
fn excludes_leave_out_what_they_name_and_nothing_else() {
    let mut home = Home::settled();
    home.options.exclude = vec!["*.iso".into(), "/top-only".into(), "!keep.iso".into()];
    for path in
        ["a.iso", "keep.iso", "sub/b.iso", "top-only/x", "sub/top-only/x", "sub/.gitignore", "sub/notes"]
    {
        home.write(path, path.as_bytes());
    }
    home.write("sub/.gitignore", b"notes\n");
    home.write("ign/.larderignore", b"*.log\n!important.log\n/build/\n");
    for path in ["ign/a.log", "ign/important.log", "ign/build/x", "ign/deep/build/x", "ign/deep/b.log"] {
        home.write(path, path.as_bytes());
    }
    home.write("ign/deep/.larderignore", b"!b.log\n");
    home.write("cached/CACHEDIR.TAG", b"Signature: 8a477f597d28d172789f06886806bc55\n# a cache");
    home.write("cached/large", b"made again at will");
    home.write("fake/CACHEDIR.TAG", b"not the signature");
    home.write("fake/file", b"kept");
    home.push();
    let target = home.folder.path().join("target");
    let wanted = Selection { source: "laptop/home", when: "newest", path: b"" };
    restore(&home.vault, &wanted, &target, &RestoreOptions::default(), &TransferProgress::default()).unwrap();
    let files: Vec<String> = tree::look(&target)
        .into_iter()
        .filter(|(_, found)| found.kind == rustix::fs::FileType::RegularFile)
        .map(|(path, _)| path.into_string().unwrap())
        .collect();
    let expected = [
        "cached/CACHEDIR.TAG",
        "fake/CACHEDIR.TAG",
        "fake/file",
        "ign/.larderignore",
        "ign/deep/.larderignore",
        "ign/deep/b.log",
        "ign/deep/build/x",
        "ign/important.log",
        "keep.iso",
        "sub/.gitignore",
        "sub/notes",
        "sub/top-only/x",
    ];
    assert_eq!(files, expected);
}

/// A folder of so many files that its record is in several parts.
#[test]
fn a_very_full_folder_is_remembered_too() {
    let home = Home::settled();
    for n in 0..6000 {
        home.write(format!("full/a name that is rather long so that the record grows {n:05}"), b"");
    }
    home.push();
    assert_eq!(home.push(), 0);
    home.write("full/a name that is rather long so that the record grows 03000", b"no longer empty");
    let new = home.push();
    assert!(new <= 6, "{new} chunks for one file");
    home.check_newest();
    fs::remove_file(home.source().join("full/a name that is rather long so that the record grows 05999"))
        .unwrap();
    home.push();
    home.check_newest();
    assert_eq!(home.push(), 0);
}

/// A disk image in which a page changes costs a page, not a megabyte.
#[test]
fn a_page_of_an_image_costs_a_page() {
    let home = Home::settled();
    let mut image = vec![0; 40 << 20];
    blake3::Hasher::new().finalize_xof().fill(&mut image);
    let path = home.write("disk.qcow2", &image);
    home.push();
    let file = fs::File::options().write(true).open(&path).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"a changed page", 20_000_000).unwrap();
    home.vault.uploaded_bytes.store(0, Relaxed);
    home.push();
    let sent = home.vault.uploaded_bytes.load(Relaxed);
    assert!(sent < 150_000, "{sent} bytes for one page");
    home.check_newest();
}

#[derive(Debug, Clone)]
enum Edit {
    Write(u8, u16),
    Append(u8),
    Remove(u8),
    Rename(u8, u8),
    Chmod(u8, u32),
    Folder(u8, u8),
    Link(u8, u8),
}

fn any_edit() -> impl Strategy<Value = Edit> {
    let file = || 0u8..24;
    prop_oneof![
        4 => (file(), any::<u16>()).prop_map(|(file, content)| Edit::Write(file, content)),
        2 => file().prop_map(Edit::Append),
        2 => file().prop_map(Edit::Remove),
        2 => (file(), file()).prop_map(|(from, to)| Edit::Rename(from, to)),
        1 => (file(), 0o400u32..0o1000).prop_map(|(file, mode)| Edit::Chmod(file, mode | 0o600)),
        1 => (file(), file()).prop_map(|(from, to)| Edit::Folder(from, to)),
        1 => (file(), file()).prop_map(|(from, to)| Edit::Link(from, to)),
    ]
}

/// Four folders, one in another, of six names each.
fn place(source: &Path, number: u8) -> PathBuf {
    let folder = ["", "a", "a/b", "c"][usize::from(number / 6)];
    source.join(folder).join(format!("file {}", number % 6))
}

fn apply(source: &Path, edit: &Edit) {
    for folder in ["a/b", "c"] {
        let _ = fs::create_dir_all(source.join(folder));
    }
    let at = |number: &u8| place(source, *number);
    // What cannot be done in the present state is simply not done.
    let _ = match edit {
        Edit::Write(file, content) => fs::write(at(file), content.to_le_bytes()),
        Edit::Append(file) => {
            fs::File::options().append(true).open(at(file)).and_then(|mut file| file.write_all(b"more"))
        }
        Edit::Remove(file) => fs::remove_file(at(file)),
        Edit::Rename(from, to) => fs::rename(at(from), at(to)),
        Edit::Chmod(file, mode) => fs::set_permissions(at(file), fs::Permissions::from_mode(*mode)),
        Edit::Folder(from, to) => {
            fs::rename(at(from).parent().unwrap().join("x"), at(to).parent().unwrap().join("y"))
                .or_else(|_| fs::create_dir(at(from).parent().unwrap().join("x")))
        }
        Edit::Link(from, to) => fs::hard_link(at(from), at(to)),
    };
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    /// Pushes with a cache see every edit: each snapshot is the folder as it is, and equals one made without cache.
    #[test]
    fn no_series_of_edits_outwits_the_cache(rounds in prop::collection::vec(prop::collection::vec(any_edit(), 0..6), 1..6)) {
        let home = Home::at_present();
        for edits in rounds {
            edits.iter().for_each(|edit| apply(&home.source(), edit));
            home.push();
            let with_cache = home.vault.newest_root();
            let options = PushOptions { cache: None, ..home.options.clone() };
            push(&home.vault, "laptop/home", &home.source(), &options, &TransferProgress::default()).unwrap();
            prop_assert_eq!(home.vault.newest_root(), with_cache);
            home.check_newest();
        }
    }
}
