//! Something else stands where a file of the vault should be: a FIFO, a folder, a link to a device, a socket. Opening one
//! the wrong way never ends, or gives bytes without end.

use crate::repair::noise;
use harness::plain::{self, files, push, restore, stamp};
use larder_store::disk::{Disk, RealDisk};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// A hang is one after so long; each case takes some milliseconds.
const TOO_LONG: Duration = Duration::from_secs(120);

#[derive(Debug, Clone, Copy)]
enum Strange {
    Fifo,
    Folder,
    LinkToZeros,
    LinkToNothing,
    Socket,
}

impl Strange {
    const ALL: [Self; 5] = [Self::Fifo, Self::Folder, Self::LinkToZeros, Self::LinkToNothing, Self::Socket];

    /// Puts it where the file was.
    fn stand_in_for(self, path: &Path) {
        let _ = fs::remove_file(path);
        fs::create_dir_all(path.parent().expect("in a folder")).expect("made");
        let node = |kind| mknodat(CWD, path, kind, Mode::RUSR | Mode::WUSR, 0).expect("made");
        match self {
            Self::Fifo => node(FileType::Fifo),
            Self::Socket => node(FileType::Socket),
            Self::Folder => fs::create_dir(path).expect("made"),
            Self::LinkToZeros => std::os::unix::fs::symlink("/dev/zero", path).expect("made"),
            Self::LinkToNothing => std::os::unix::fs::symlink("nothing", path).expect("made"),
        }
    }
}

/// Does it on a thread of its own, and waits no longer than is reasonable.
fn ends<T: Send + 'static>(context: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, answer) = mpsc::channel();
    std::thread::spawn(move || done.send(work()));
    answer.recv_timeout(TOO_LONG).unwrap_or_else(|_| panic!("{context}: it hangs"))
}

fn day() -> plain::Files {
    files([("a.txt", &noise(1, 900)), ("b/c.bin", &noise(2, 9000))])
}

/// A vault on real disks in `top`, with sidecars and the state of a scrub, and the box is off.
fn lived(top: &Path, count: usize) -> Vec<PathBuf> {
    let folders: Vec<_> = (0..count).map(|number| top.join(format!("disk{number}"))).collect();
    let disks =
        folders.iter().map(|folder| Arc::new(RealDisk::open(folder).expect("a disk")) as Arc<dyn Disk>);
    let vault = plain::open(disks.collect()).expect("opens");
    push(&vault, "laptop/docs", &day(), 1, stamp(1)).expect("a push");
    vault.write_parity(u64::MAX).expect("parity");
    for disk in vault.disks() {
        vault.scrub(&disk.id, 1, stamp(2)).expect("a step of a scrub");
    }
    folders
}

/// Opens the disks, and does everything that reads files of the vault. Whether it works is not asked.
fn use_all(folders: &[PathBuf]) {
    let disks: Result<Vec<_>, _> = folders.iter().map(|folder| RealDisk::open(folder)).collect();
    let Ok(disks) = disks else { return };
    let disks = disks.into_iter().map(|disk| Arc::new(disk) as Arc<dyn Disk>).collect();
    let Ok(vault) = plain::open(disks) else { return };
    let newest = vault.ledger().snapshots("laptop/docs").last().cloned();
    let _ = newest.map(|record| restore(&vault, record.snapshot.root));
    for hour in [3, 4] {
        for disk in vault.disks() {
            let _ = vault.begin_scrub(&disk.id, stamp(hour));
            let _ = vault.scrub(&disk.id, u64::MAX, stamp(hour));
        }
    }
    let _ = vault.look_for_loss(&|| true);
    let _ = push(&vault, "laptop/docs", &day(), 2, stamp(5));
    let _ = push(&vault, "laptop/docs", &files([("new.txt", b"new")]), 3, stamp(6));
    let _ = vault.write_parity(u64::MAX);
}

/// Paths of the files of which one is to be replaced, below the folder of a disk.
fn files_of(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut rest = vec![folder.to_owned()];
    while let Some(folder) = rest.pop() {
        for entry in fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            if entry.is_dir() {
                rest.push(entry);
            } else {
                found.insert(entry);
            }
        }
    }
    let more = ["open/7.part", "open/probe.part", "open/ledger.part", "open/scrub.part", "quarantine/x.pack"];
    found.extend(more.map(|path| folder.join(path)));
    found.iter().map(|path| path.strip_prefix(folder).expect("below it").to_owned()).collect()
}

/// Each file of a disk, each kind of thing in its place, at the start and while everything goes on.
#[test]
fn nothing_in_a_files_place_hangs_the_vault() {
    let mut cases = 0;
    let top = tempfile::tempdir().expect("a folder");
    let whole = lived(top.path(), 1).remove(0);
    for path in files_of(&whole) {
        for strange in Strange::ALL {
            let top = tempfile::tempdir().expect("a folder");
            let folder = lived(top.path(), 1).remove(0);
            // The names of packs and entries are the same each time; that of the disk is not in any name.
            strange.stand_in_for(&folder.join(&path));
            let context = format!("{strange:?} at {}", path.display());
            let used = [folder.clone()];
            ends(&context, move || use_all(&used));
            cases += 1;
        }
    }
    println!("{cases} strange things in the place of files: 0 hang");
    assert!(cases > 60);
}

/// With a second disk nothing is lost, and the box goes on.
#[test]
fn a_second_disk_makes_good_what_is_no_file_on_the_first() {
    let top = tempfile::tempdir().expect("a folder");
    let whole = lived(top.path(), 2).remove(0);
    for path in files_of(&whole) {
        for strange in [Strange::Fifo, Strange::LinkToZeros] {
            let top = tempfile::tempdir().expect("a folder");
            let folders = lived(top.path(), 2);
            strange.stand_in_for(&folders[0].join(&path));
            let context = format!("{strange:?} at {}", path.display());
            let given_back = ends(&context, move || {
                use_all(&folders);
                let disks = folders
                    .iter()
                    .map(|folder| Arc::new(RealDisk::open(folder).expect("a disk")) as Arc<dyn Disk>);
                let vault = plain::open(disks.collect()).expect("opens");
                let root = vault.ledger().snapshots("laptop/docs")[0].snapshot.root;
                restore(&vault, root).expect("whole")
            });
            assert!(given_back == day(), "{context}");
        }
    }
}

/// The mode of a device that a link in the place of a pack points to stays as it is when the link is set aside.
#[test]
fn what_a_link_points_to_is_left_alone() {
    use std::os::unix::fs::PermissionsExt;
    let top = tempfile::tempdir().expect("a folder");
    let folder = lived(top.path(), 1).remove(0);
    let other = top.path().join("somebody's");
    fs::write(&other, b"own").expect("written");
    fs::set_permissions(&other, fs::Permissions::from_mode(0o640)).expect("set");
    let pack = files_of(&folder).into_iter().find(|path| path.extension().is_some_and(|e| e == "pack"));
    let pack = folder.join(pack.expect("a pack"));
    fs::remove_file(&pack).expect("removed");
    std::os::unix::fs::symlink(&other, &pack).expect("made");
    use_all(&[folder]);
    let mode = fs::metadata(&other).expect("it is there").permissions().mode() & 0o7777;
    assert_eq!((mode, fs::read(&other).expect("read")), (0o640, b"own".to_vec()));
}
