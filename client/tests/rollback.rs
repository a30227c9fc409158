//! A folder becomes what it was, and nothing goes that is not in the backup.

#![allow(clippy::unwrap_used, reason = "in a test, an error is a failure and its text says which")]

mod home;
mod tree;
mod vault;

use home::Home;
use larder_client::{
    ClientError, FolderPart, Past, PushOptions, RestoreOptions, Rollback, RollbackPlan, RolledBack,
    SpecialEntries, TransferProgress,
};
use larder_format::{
    ChunkRef,
    tree::{
        Kind, Node,
        read::{OneChunk, node},
    },
};
use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// How the home is pushed: with the memory of the last push.
fn options(home: &Home) -> PushOptions {
    PushOptions { cache: Some(home.folder.path().join("cache")), ..PushOptions::default() }
}

/// A folder of the past week: what a push saw long before it is asked for.
fn age(path: &Path) {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_600_000_000);
    for entry in fs::read_dir(path).unwrap().map(|entry| entry.unwrap()) {
        if entry.file_type().unwrap().is_dir() {
            age(&entry.path());
        } else if entry.file_type().unwrap().is_file() {
            fs::File::open(entry.path()).unwrap().set_modified(time).unwrap();
        }
    }
    fs::File::open(path).unwrap().set_modified(time).unwrap();
}

/// Letters and pictures, pushed as snapshot 1.
fn home() -> Home {
    let home = Home::new();
    for number in 0..6 {
        home.write(format!("letters/{number}.odt"), format!("letter {number}").as_bytes());
        home.write(format!("pictures/deep/{number}.jpg"), &vec![number; 50_000]);
    }
    home.write("notes.txt", b"as it was");
    symlink("notes.txt", home.source().join("link")).unwrap();
    fs::hard_link(home.source().join("notes.txt"), home.source().join("letters/same as notes")).unwrap();
    fs::create_dir(home.source().join("empty")).unwrap();
    fs::set_permissions(home.source().join("letters"), PermissionsExt::from_mode(0o750)).unwrap();
    age(&home.source());
    home.push_with(&options(&home));
    home
}

/// Renames most files, writes over others, leaves a note.
fn attack(home: &Home) {
    for number in 0..5 {
        let path = home.source().join(format!("letters/{number}.odt"));
        fs::write(&path, format!("scrambled {number}")).unwrap();
        fs::rename(&path, path.with_extension("odt.locked")).unwrap();
    }
    fs::write(home.source().join("pictures/deep/2.jpg"), b"scrambled in place").unwrap();
    fs::remove_file(home.source().join("link")).unwrap();
    fs::remove_dir(home.source().join("empty")).unwrap();
    home.write("RANSOM/READ ME.txt", b"pay");
    home.write("RANSOM/deep/er/READ ME.txt", b"pay");
    fs::set_permissions(home.source().join("letters"), PermissionsExt::from_mode(0o777)).unwrap();
}

struct Run<'a> {
    home: &'a Home,
    options: PushOptions,
    when: &'a str,
    path: &'a [u8],
}

impl<'a> Run<'a> {
    fn to(home: &'a Home, when: &'a str) -> Self {
        Self { home, options: options(home), when, path: b"" }
    }

    fn rollback(&self) -> Rollback<'_> {
        let root = self.home.vault.snapshot("laptop/home", self.when).unwrap().root;
        let folder = self.home.source();
        let part = FolderPart { folder: &folder, path: self.path };
        Rollback::new(&self.home.vault, root, part, &self.options).unwrap()
    }

    fn plan(&self) -> RollbackPlan {
        self.rollback().plan(&TransferProgress::default()).unwrap()
    }

    /// Backs the present up, does `meanwhile`, then rolls back.
    fn run_after(&self, meanwhile: impl FnOnce()) -> Result<RolledBack, ClientError> {
        let rollback = self.rollback();
        let plan = rollback.plan(&TransferProgress::default())?;
        let pushed = self.home.push_with(&self.options);
        assert_eq!(pushed.skipped.count, 0);
        meanwhile();
        let options = RestoreOptions { special: SpecialEntries::Restore, ..RestoreOptions::default() };
        let present = self.home.vault.newest_root();
        rollback.run(plan, &present, &options, &TransferProgress::default())
    }

    fn run(&self) -> RolledBack {
        self.run_after(|| {}).unwrap()
    }
}

fn skipped(done: &RolledBack) -> Vec<String> {
    let all = done.restored.skipped.named.iter().chain(&done.not_removed.named);
    all.map(|file| format!("{}: {}", file.path, file.why)).collect()
}

fn names(tally: &larder_client::Tally) -> Vec<&str> {
    tally.named.iter().map(String::as_str).collect()
}

#[test]
fn after_an_attack_the_folder_is_what_it_was_and_the_attack_can_be_had_again() {
    let home = home();
    let before = tree::look(&home.source());
    attack(&home);
    let attacked = tree::look(&home.source());
    let plan = Run::to(&home, "1").plan();
    assert_eq!(tree::look(&home.source()), attacked, "a plan changes nothing");
    let back = [
        "empty/",
        "letters/0.odt",
        "letters/1.odt",
        "letters/2.odt",
        "letters/3.odt",
        "letters/4.odt",
        "link",
    ];
    assert_eq!(names(&plan.back), back);
    assert_eq!(names(&plan.changed), ["pictures/deep/2.jpg"]);
    assert_eq!((plan.go.files, plan.go.folders), (7, 3), "{:?}", plan.go);
    assert_eq!(plan.same.files, 8);
    let done = Run::to(&home, "1").run();
    assert_eq!(skipped(&done), [""; 0]);
    assert_eq!((done.removed.files, done.removed.folders), (7, 3));
    assert_eq!((done.restored.files, done.restored.already, done.restored.replaced), (15, 8, 1));
    assert_eq!(tree::look(&home.source()), before);
    assert!(Run::to(&home, "1").plan().is_empty());
    // The second snapshot is the present that was pushed first.
    Run::to(&home, "2").run();
    let again = tree::look(&home.source());
    assert_eq!(again.keys().collect::<Vec<_>>(), attacked.keys().collect::<Vec<_>>());
    assert!(again.iter().all(|(path, found)| found.content == attacked[path].content && found.mode == attacked[path].mode));
}

/// The present is in the backup only as the push saw it.
#[test]
fn what_changes_between_the_push_and_its_turn_stays_and_is_named() {
    let home = home();
    attack(&home);
    let extra = home.write("extra.txt", b"first words");
    let quiet = home.write("quiet.txt", b"first words");
    age(&home.source());
    let changed = home.source().join("pictures/deep/2.jpg");
    let done = Run::to(&home, "1").run_after(|| {
        fs::write(&extra, b"other words, and more of them").unwrap();
        // As many bytes, and the same time: only the system's own time of change tells.
        let time = fs::metadata(&quiet).unwrap().modified().unwrap();
        fs::write(&quiet, b"other words").unwrap();
        fs::File::open(&quiet).unwrap().set_modified(time).unwrap();
        fs::write(&changed, b"a day of work").unwrap();
        home.write("RANSOM/new.txt", b"made meanwhile");
    });
    let done = done.unwrap();
    assert_eq!(fs::read(&extra).unwrap(), b"other words, and more of them");
    assert_eq!(fs::read(&quiet).unwrap(), b"other words");
    assert_eq!(fs::read(&changed).unwrap(), b"a day of work");
    assert_eq!(fs::read(home.source().join("RANSOM/new.txt")).unwrap(), b"made meanwhile");
    let mut named = skipped(&done);
    named.sort();
    let paths: Vec<_> = named.iter().map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(paths, ["RANSOM/new.txt", "extra.txt", "pictures/deep/2.jpg", "quiet.txt"], "{named:?}");
    // The next time they are in the backup.
    let done = Run::to(&home, "1").run();
    assert_eq!(skipped(&done), [""; 0]);
    assert!(!extra.exists() && !quiet.exists() && !home.source().join("RANSOM").exists());
}

#[test]
fn a_symlink_in_the_place_of_a_folder_leads_nowhere() {
    let home = home();
    let outside = home.folder.path().join("outside");
    fs::create_dir_all(outside.join("deep")).unwrap();
    for name in ["0.odt", "victim.txt", "deep/2.jpg", "READ ME.txt"] {
        fs::write(outside.join(name), b"none of its business").unwrap();
    }
    let untouched = tree::look(&outside);
    // Before the push: an entry like any other, and in the way.
    fs::rename(home.source().join("letters"), home.folder.path().join("old letters")).unwrap();
    symlink(&outside, home.source().join("letters")).unwrap();
    let plan = Run::to(&home, "1").plan();
    assert_eq!(names(&plan.go), ["letters"]);
    assert_eq!((plan.back.folders, plan.back.files), (1, 7));
    let done = Run::to(&home, "1").run();
    assert_eq!(skipped(&done), [""; 0]);
    assert_eq!(tree::look(&outside), untouched);
    assert_eq!(fs::read(home.source().join("letters/0.odt")).unwrap(), b"letter 0");
    // After the push: in the place of a folder that goes, and of a folder that comes back.
    attack(&home);
    let done = Run::to(&home, "1").run_after(|| {
        for name in ["RANSOM", "pictures"] {
            fs::rename(home.source().join(name), home.folder.path().join(name)).unwrap();
            symlink(&outside, home.source().join(name)).unwrap();
        }
    });
    let done = done.unwrap();
    assert_eq!(tree::look(&outside), untouched);
    assert!(home.source().join("pictures").is_symlink(), "it is not in the backup: {:?}", skipped(&done));
    assert!(skipped(&done).iter().any(|line| line.starts_with("pictures: ")), "{:?}", skipped(&done));
}

#[test]
fn what_no_push_takes_is_neither_replaced_nor_removed() {
    let home = home();
    let scratch = home.write(".larder-restore-4711-0", b"half");
    home.write("RANSOM/.larderignore", b"*.iso\n");
    let ignored = home.write("RANSOM/big.iso", b"left out by a file");
    let globbed = home.write("letters/0.odt", b"changed, and left out by a word");
    let key = home.write("keys/appliance.toml", b"secret");
    let options = PushOptions {
        exclude: vec!["/letters/0.odt".into(), "/letters/9.odt".into()],
        own_keys: vec![home.source().join("keys")],
        ..options(&home)
    };
    let missing = home.source().join("letters/9.odt");
    let run = Run { options, ..Run::to(&home, "1") };
    let plan = run.plan();
    assert!(
        !plan.go.named.iter().any(|name| name.contains("iso") || name.contains("appliance")),
        "{:?}",
        plan.go
    );
    assert!(plan.changed.named.is_empty(), "{:?}", plan.changed);
    let done = run.run();
    for (path, content) in [
        (&scratch, &b"half"[..]),
        (&ignored, b"left out by a file"),
        (&globbed, b"changed, and left out by a word"),
        (&key, b"secret"),
    ] {
        assert_eq!(fs::read(path).unwrap(), content, "{}", path.display());
    }
    assert!(!missing.exists());
    assert!(
        !home.source().join("RANSOM/.larderignore").exists(),
        "it is in the backup: {:?}",
        skipped(&done)
    );
}

#[test]
fn a_file_and_a_folder_that_exchanged_places_exchange_them_again() {
    let home = home();
    let before = tree::look(&home.source());
    fs::remove_dir_all(home.source().join("pictures")).unwrap();
    fs::write(home.source().join("pictures"), b"a file now").unwrap();
    fs::remove_file(home.source().join("link")).unwrap();
    home.write("link/below/file", b"in a folder now");
    let done = Run::to(&home, "1").run();
    assert_eq!(skipped(&done), [""; 0]);
    assert_eq!(tree::look(&home.source()), before);
}

/// The time of change of a file moves when one of its names goes.
#[test]
fn files_with_several_names_change_and_go_like_all_others() {
    let home = home();
    let before = tree::look(&home.source());
    fs::write(home.source().join("notes.txt"), b"other words under both names").unwrap();
    let one = home.write("new/one", b"one file");
    fs::hard_link(&one, home.source().join("new/two")).unwrap();
    fs::hard_link(&one, home.source().join("three")).unwrap();
    let plan = Run::to(&home, "1").plan();
    assert_eq!(names(&plan.changed), ["letters/same as notes", "notes.txt"]);
    let done = Run::to(&home, "1").run();
    assert_eq!(skipped(&done), [""; 0]);
    assert_eq!(tree::look(&home.source()), before);
}

#[test]
fn a_roll_back_that_broke_off_is_run_again_and_finishes() {
    let home = home();
    let before = tree::look(&home.source());
    attack(&home);
    let mut broken = 0;
    for fetches in 0..60 {
        *home.vault.fetches_until_break.lock().unwrap() = None;
        let run = Run::to(&home, "1");
        let ended = run.run_after(|| *home.vault.fetches_until_break.lock().unwrap() = Some(fetches));
        *home.vault.fetches_until_break.lock().unwrap() = None;
        for (path, found) in tree::look(&home.source()) {
            let is_whole = before.get(&path).is_some_and(|was| was.content == found.content)
                || found.content.starts_with(b"scrambled")
                || found.content == b"pay";
            assert!(is_whole || found.content.is_empty(), "half a file: {path:?}");
        }
        match ended {
            Err(_) => broken += 1,
            Ok(_) => break,
        }
    }
    assert!(broken > 1, "it broke off {broken} times");
    Run::to(&home, "1").run();
    assert_eq!(tree::look(&home.source()), before);
}

#[test]
fn only_the_path_that_was_named_is_touched() {
    let home = home();
    attack(&home);
    let attacked = tree::look(&home.source());
    let run = Run { path: b"pictures/deep/2.jpg", ..Run::to(&home, "1") };
    let plan = run.plan();
    assert_eq!(
        (names(&plan.changed), plan.go.count(), plan.back.count()),
        (vec!["pictures/deep/2.jpg"], 0, 0)
    );
    run.run();
    let after = tree::look(&home.source());
    for (path, found) in &attacked {
        if path != "pictures/deep/2.jpg" && path != "pictures/deep" {
            assert_eq!(after.get(path), Some(found), "{path:?}");
        }
    }
    assert_eq!(fs::read(home.source().join("pictures/deep/2.jpg")).unwrap(), vec![2; 50_000]);
    let run = Run { path: b"letters", ..Run::to(&home, "1") };
    run.run();
    assert!(
        home.source().join("letters/3.odt").exists() && !home.source().join("letters/3.odt.locked").exists()
    );
    assert_eq!(fs::metadata(home.source().join("letters")).unwrap().mode() & 0o777, 0o750);
    assert!(home.source().join("RANSOM/READ ME.txt").exists());
    let nowhere = Run { path: b"RANSOM", ..Run::to(&home, "1") };
    let refused = nowhere.rollback().plan(&TransferProgress::default()).unwrap_err();
    assert!(refused.has_code("not_found"), "{refused:?}");
}

fn folder_node(home: &Home, path: &[&str]) -> ChunkRef {
    let mut at = home.vault.newest_root();
    for name in [&[""], path].concat() {
        let bytes = home.vault.chunk(&at);
        let Node::Leaf { entries, .. } = node(&OneChunk(&bytes), &at).unwrap() else {
            panic!("a small folder")
        };
        let entry = entries.into_iter().find(|entry| entry.name == name.as_bytes()).unwrap();
        let Kind::Directory { node, .. } = entry.kind else { panic!("{name} is no folder") };
        at = node;
    }
    at
}

/// The names that cannot be told may be the names that would go.
#[test]
fn in_a_folder_whose_names_are_lost_nothing_goes() {
    let home = home();
    let letters = folder_node(&home, &["letters"]);
    attack(&home);
    home.push_with(&options(&home));
    home.vault.rotten.lock().unwrap().push(letters.id);
    let plan = Run::to(&home, "1").plan();
    assert_eq!(plan.damaged.count, 1);
    assert!(plan.go.named.iter().all(|name| !name.contains("locked")), "{:?}", plan.go);
    let done = Run::to(&home, "1").run();
    assert_eq!(done.restored.damaged, 1);
    assert!(home.source().join("letters/3.odt.locked").exists(), "{:?}", skipped(&done));
    assert!(!home.source().join("RANSOM").exists());
}

#[test]
fn without_knowing_what_was_pushed_nothing_is_touched() {
    let home = home();
    attack(&home);
    let attacked = tree::look(&home.source());
    let forgetful = Run { options: PushOptions::default(), ..Run::to(&home, "1") };
    let refused = forgetful.run_after(|| {}).unwrap_err();
    assert!(matches!(refused, ClientError::Local { .. }), "{refused:?}");
    // Neither by what another push saw.
    let old: PathBuf = home.folder.path().join("cache");
    let stale = fs::read(&old).unwrap();
    let refused = Run::to(&home, "1").run_after(|| fs::write(&old, stale).unwrap()).unwrap_err();
    assert!(matches!(refused, ClientError::Local { .. }), "{refused:?}");
    assert_eq!(tree::look(&home.source()), attacked);
}
