//! Cost of looking into a long past on a real disk: each call is a separate process, with a separate peak memory.
//!
//!     past make FOLDER FILES SNAPSHOTS CHANGES    a source of so many files; each snapshot replaces CHANGES of their names
//!     past names FOLDER                           tells the index of names
//!     past find FOLDER TEXT                       finds at most 1,000 names
//!     past versions FOLDER PATH                   every version of one path
//!
//! Prints one line of `name value` pairs. Files have holes for contents, since only trees are read. `bench/past` calls the
//! program in turn. Not here: the agent and the client around the vault (`bench/run`).

use hot_paths::index::open;
use hot_paths::process::peak_mib;
use larder_format::block::Encoder;
use larder_format::ledger::{Pairing, Role, Sees, Snapshot, WallStamp};
use larder_format::tree::{Entry, Kind, NodeBuilder, Owner, Piece, Time, Totals};
use larder_format::{ChunkRef, Hash};
use larder_store::disk::RealDisk;
use larder_store::{NameQuery, NamesBudget, Scope, Vault};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;
use std::{fs, io};

const SOURCE: &str = "laptop/home";
/// Files of one folder.
const FOLDER_FILES: u64 = 500;
/// Folders of one area; the root has the areas.
const AREA_FOLDERS: u64 = 50;
/// A file that changes in every snapshot.
const DIARY: &str = "diary.txt";
/// As the agent answers.
const HITS_MAX: usize = 1000;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["make", folder, numbers @ ..] => {
            let numbers: Option<Vec<u64>> = numbers.iter().map(|number| number.parse().ok()).collect();
            match numbers.as_deref() {
                Some([files, snapshots, changes]) => make(Path::new(folder), *files, *snapshots, *changes),
                _ => return usage(),
            }
        }
        ["names", folder] => tell_names(Path::new(folder)),
        ["find", folder, text] => find(Path::new(folder), text),
        ["versions", folder, path] => versions(Path::new(folder), path),
        _ => return usage(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("past: {error}");
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    eprintln!(
        "usage: past make FOLDER FILES SNAPSHOTS CHANGES | names FOLDER | find FOLDER TEXT | versions FOLDER PATH"
    );
    ExitCode::from(2)
}

fn vault(folder: &Path) -> io::Result<Vault> {
    let disk = folder.join("disk");
    fs::create_dir_all(&disk)?;
    Ok(open(Arc::new(RealDisk::open(&disk)?), folder))
}

fn laptop() -> Scope {
    let (device, key) = ("laptop".to_owned(), Hash::ZERO);
    Scope::device(&Pairing { device, role: Role::Admin, key, sees: Sees::Everything })
}

fn make(folder: &Path, files: u64, snapshots: u64, changes: u64) -> io::Result<()> {
    let vault = vault(folder)?;
    let by = laptop();
    let mut home = Home::new(files / FOLDER_FILES);
    let mut names = files;
    for number in 1..=snapshots {
        if number > 1 {
            names += home.replace(changes / FOLDER_FILES);
        }
        let mut chunks = Vec::new();
        let (root, totals) = home.tree(number, &mut chunks);
        let mut encoder = Encoder::new();
        for chunk in chunks {
            let len = u32::try_from(chunk.len()).map_err(io::Error::other)?;
            vault.by(&by).receive(&encoder.encode(&chunk, vec![len])).map_err(io::Error::other)?;
        }
        let mut push = [0; 16];
        push.copy_from_slice(&Hash::of(&number.to_le_bytes()).0[..16]);
        let day_s = number * 86_400;
        let time_ms = 1_790_000_000_000 + i64::try_from(day_s * 1000).map_err(io::Error::other)?;
        let stamp = WallStamp { time_ms, trusted: true, powered_on_s: day_s };
        let snapshot = Snapshot::new(SOURCE, push, root, totals);
        vault.by(&by).commit(snapshot, stamp).map_err(io::Error::other)?;
    }
    println!("snapshots {snapshots} files {files} names {names}");
    Ok(())
}

fn tell_names(folder: &Path) -> io::Result<()> {
    let vault = vault(folder)?;
    let index = vault.name_index(folder.join("names"));
    let budget = NamesBudget {
        folders_max: u64::MAX,
        node_bytes_max: u64::MAX,
        file_bytes_max: u64::MAX,
        go_on: &|| true,
    };
    let started = Instant::now();
    while vault.tell_names(&index, SOURCE, &budget).map_err(io::Error::other)? {}
    let seconds = started.elapsed().as_secs_f64();
    let mut bytes = 0;
    for entry in fs::read_dir(folder.join("names"))? {
        bytes += entry?.metadata()?.len();
    }
    println!("seconds {seconds:.3} peak_mib {:.1} bytes {bytes}", peak_mib());
    Ok(())
}

fn find(folder: &Path, text: &str) -> io::Result<()> {
    let vault = vault(folder)?;
    let index = vault.name_index(folder.join("names"));
    let before_mib = peak_mib();
    let started = Instant::now();
    let query = NameQuery { typed: text, is_deleted: false, limit: HITS_MAX, go_on: &|| true };
    let found = vault.by(&laptop()).find_names(&index, SOURCE, &query).map_err(io::Error::other)?;
    let seconds = started.elapsed().as_secs_f64();
    if !found.is_complete {
        return Err(io::Error::other("the index of names is not complete"));
    }
    println!(
        "seconds {seconds:.3} peak_mib {:.1} before_mib {before_mib:.1} hits {}",
        peak_mib(),
        found.hits.len()
    );
    Ok(())
}

fn versions(folder: &Path, path: &str) -> io::Result<()> {
    let vault = vault(folder)?;
    let records = vault.ledger().snapshots(SOURCE).to_vec();
    let started = Instant::now();
    let runs = vault.by(&laptop()).versions(&records, path.as_bytes()).map_err(io::Error::other)?;
    let seconds = started.elapsed().as_secs_f64();
    println!("seconds {seconds:.3} peak_mib {:.1} versions {}", peak_mib(), runs.len());
    Ok(())
}

/// A folder of a household: areas with folders with files.
struct Home {
    /// How often all names of each folder were replaced, with its node as of the last tree.
    folders: Vec<(u64, Option<(ChunkRef, Totals)>)>,
    /// The folder replaced next.
    next: usize,
}

impl Home {
    fn new(folders: u64) -> Self {
        let folders = usize::try_from(folders).unwrap_or(1).max(1);
        Self { folders: vec![(0, None); folders], next: 0 }
    }

    /// Replaces every name of `count` folders. Returns how many names are new.
    fn replace(&mut self, count: u64) -> u64 {
        for _ in 0..count {
            let (times, node) = &mut self.folders[self.next];
            (*times, *node) = (*times + 1, None);
            // Not one after the other: neighbours do not change together.
            self.next = (self.next + 7) % self.folders.len();
        }
        count * FOLDER_FILES
    }

    fn tree(&mut self, snapshot: u64, chunks: &mut Vec<Vec<u8>>) -> (ChunkRef, Totals) {
        let mut areas: Vec<(Vec<u8>, Kind)> = Vec::new();
        let per_area = usize::try_from(AREA_FOLDERS).unwrap_or(1);
        let mut number = 0;
        for (area, folders) in self.folders.chunks_mut(per_area).enumerate() {
            let mut inside = Vec::new();
            for (times, node) in folders {
                let (node, totals) = *node.get_or_insert_with(|| folder_node(number, *times, chunks));
                inside.push((format!("folder {number:05}").into_bytes(), Kind::Directory { node, totals }));
                number += 1;
            }
            let (node, totals) = built(inside, chunks);
            areas.push((format!("area {area:04}").into_bytes(), Kind::Directory { node, totals }));
        }
        areas.push((DIARY.as_bytes().to_vec(), file(snapshot)));
        let (node, totals) = built(areas, chunks);
        let root = built(vec![(Vec::new(), Kind::Directory { node, totals })], chunks);
        (root.0, totals)
    }
}

fn folder_node(folder: u64, times: u64, chunks: &mut Vec<Vec<u8>>) -> (ChunkRef, Totals) {
    let names = (0..FOLDER_FILES).map(|at| (name(folder, times, at).into_bytes(), file(at)));
    let mut entries: Vec<_> = names.collect();
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    built(entries, chunks)
}

/// A name as cameras, offices and people give them; no two are the same.
fn name(folder: u64, times: u64, at: u64) -> String {
    let number = times * 1_000_000 + folder * FOLDER_FILES + at;
    match at % 5 {
        0 | 1 => format!("IMG_2026{:04}_{number:09}.jpg", at * 7 % 1231),
        2 => format!("Rechnung {number} – Ätherische Öle.pdf"),
        3 => format!("scan-{number:x}.tif"),
        // As macOS writes an umlaut: the letter, then the dots.
        _ => format!("Bu\u{308}cher und Notizen {number}.odt"),
    }
}

fn file(size: u64) -> Kind {
    Kind::File { size: size + 1, pieces: vec![Piece::Hole(size + 1)] }
}

fn built(entries: Vec<(Vec<u8>, Kind)>, chunks: &mut Vec<Vec<u8>>) -> (ChunkRef, Totals) {
    let owner = Owner { uid: 1000, gid: 1000, user: "ada".to_owned(), group: "ada".to_owned() };
    let modified = Time { seconds: 1_700_000_000, nanos: 0 };
    let mut keep = |made: Vec<u8>| {
        chunks.push(made);
        Ok::<(), std::convert::Infallible>(())
    };
    let mut builder = NodeBuilder::new();
    for (name, kind) in entries {
        let entry = Entry { name, owner: 0, mode: 0o644, modified, hard_link: 0, xattrs: Vec::new(), kind };
        let Ok(()) = builder.push(entry, &owner, &mut keep);
    }
    let Ok(made) = builder.finish(&mut keep);
    made
}
