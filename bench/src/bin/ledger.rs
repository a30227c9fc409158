//! Cost of a start with a growing ledger on a real disk: each call is a separate process, with a separate peak memory.
//!
//!     ledger make FOLDER ENTRIES     writes a household's ledger: a push an hour of five folders, and the rule's tombstones
//!     ledger seal FOLDER             seals its chapters
//!     ledger open FOLDER             opens the vault; the caller drops the system's caches before
//!
//! Prints one line of `name value` pairs. Entries are written without a sync each, since only reading is measured.
//! `bench/ledger` calls the program in turn.

use hot_paths::index::open;
use hot_paths::process::peak_mib;
use larder_format::ledger::{Entry, Event, Origin, Rule, Snapshot, WallStamp};
use larder_format::tree::Totals;
use larder_format::{ChunkRef, Hash, layout};
use larder_store::Vault;
use larder_store::disk::RealDisk;
use larder_store::prune::plan;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;
use std::{fs, io};

const SOURCES: [&str; 5] = ["laptop/docs", "laptop/photos", "desk/projects", "desk/mail", "phone/camera"];
/// Seconds between two pushes.
const APART_S: u64 = 3600 / SOURCES.len() as u64;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["make", folder, entries] => match entries.parse() {
            Ok(entries) => make(Path::new(folder), entries),
            Err(_) => return usage(),
        },
        ["seal", folder] => seal(Path::new(folder)),
        ["open", folder] => measure(Path::new(folder)),
        _ => return usage(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ledger: {error}");
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: ledger make FOLDER ENTRIES | ledger seal FOLDER | ledger open FOLDER");
    ExitCode::from(2)
}

fn vault(folder: &Path) -> io::Result<Vault> {
    let disk = folder.join("disk");
    fs::create_dir_all(&disk)?;
    Ok(open(Arc::new(RealDisk::open(&disk)?), folder))
}

/// The entries of one household, in order.
struct Household {
    folder: std::path::PathBuf,
    view: larder_store::LedgerView,
    pushes: u64,
}

impl Household {
    fn stamp(&self) -> WallStamp {
        let seconds = self.pushes * APART_S;
        let time_ms = 1_790_000_000_000 + i64::try_from(seconds * 1000).unwrap_or(i64::MAX);
        WallStamp { time_ms, trusted: true, powered_on_s: seconds }
    }

    fn write(&mut self, event: Event) -> io::Result<()> {
        let sequence = self.view.head.sequence + 1;
        let entry = Entry { sequence, previous: self.view.head.hash, stamp: self.stamp(), event };
        let (bytes, hash) = entry.encode();
        let path = self.folder.join(layout::entry(sequence));
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(path, bytes)?;
        self.view.take_in(entry, hash);
        Ok(())
    }

    fn push(&mut self) -> io::Result<()> {
        let source = SOURCES[usize::try_from(self.pushes).unwrap_or(0) % SOURCES.len()];
        self.pushes += 1;
        let id = Hash::of(&self.pushes.to_le_bytes());
        let mut push = [0; 16];
        push.copy_from_slice(&id.0[..16]);
        let totals = Totals { files: 60_000, directories: 4000, bytes: 80 << 30 };
        let parent = self.view.snapshots(source).last().map(|record| record.sequence);
        let path = format!("/home/ada/{source}");
        let snapshot = Snapshot {
            parent,
            origin: Some(Origin { computer: "ada-thinkpad".to_owned(), path }),
            zone: Some("Europe/Berlin".to_owned()),
            ..Snapshot::new(source, push, ChunkRef { id, len: 90 }, totals)
        };
        self.write(Event::Snapshot(snapshot))
    }

    /// Tombstones of a day's prune.
    fn prune(&mut self) -> io::Result<()> {
        let now = self.view.at(self.stamp());
        let plan = plan(&self.view, &now, larder_store::clock::ClockVerdict::MayLetGo);
        let snapshots: Vec<u64> = plan.snapshots.iter().map(|going| going.sequence).collect();
        if snapshots.is_empty() {
            return Ok(());
        }
        self.write(Event::Pruned { snapshots, why: "older than 30 days".to_owned() })
    }
}

fn make(folder: &Path, entries: u64) -> io::Result<()> {
    let vault = vault(folder)?;
    let view = vault.ledger().clone();
    drop(vault);
    let mut household = Household { folder: folder.join("disk"), view, pushes: 0 };
    household.write(Event::RetentionSet(Rule::default()))?;
    let a_day = 24 * SOURCES.len() as u64;
    while household.view.head.sequence < entries {
        household.push()?;
        if household.pushes.is_multiple_of(a_day) {
            household.prune()?;
        }
    }
    let kept: usize = household.view.sources.values().map(Vec::len).sum();
    println!("entries {entries} kept {kept}");
    Ok(())
}

fn seal(folder: &Path) -> io::Result<()> {
    let vault = vault(folder)?;
    let mut chapters = 0;
    while vault.seal_chapter().map_err(io::Error::other)? {
        chapters += 1;
    }
    println!("chapters {chapters}");
    Ok(())
}

fn measure(folder: &Path) -> io::Result<()> {
    let started = Instant::now();
    let vault = vault(folder)?;
    let seconds = started.elapsed().as_secs_f64();
    println!("seconds {seconds:.3} peak_mib {} entries {}", peak_mib(), vault.ledger().head.sequence);
    Ok(())
}
