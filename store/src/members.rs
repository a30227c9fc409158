//! The disks of one vault: each a complete copy for what it holds.
//!
//! Everything is written to every disk that is healthy, and read from any that answers. A disk that fails once is
//! suspect and gets nothing more until the next start: after a failed sync its cache may show bytes that it does not
//! have. Receipts name the disks that hold a commit. Not here: filling a disk that lags (`catch_up`).

use crate::disk::{Disk, is_full, make_folders, read_whole, sync_names, write_whole};
use crate::{Result, StoreError};
use serde::{Deserialize, Serialize};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What a filesystem that is full needs for the next pack; it does not say how much it lacks.
const FULL: StoreError = StoreError::Full { missing_mib: larder_format::pack::PACK_BYTES_AIM >> 20 };
const DISK_FILE: &str = "disk.json";
/// A second copy of it.
const FACTS_COPY: &str = "scrub/disk.json";
/// Made and taken away at each start, to see whether the disk may be written to.
const PROBE: &str = "open/probe.part";
const DISK_FILE_BYTES_MAX: u64 = 64 * 1024;
const FORMAT: u16 = larder_format::FORMAT_VERSION;

/// What a pulled disk says to whoever finds it.
const READ_ME: &str = "\
This folder is a Larder backup. It can be read without the box that wrote it.

packs/   the content: files named by the BLAKE3 of their bytes (check one with b3sum)
ledger/  everything that was ever committed, in order, each entry holding the hash of the one before
index/   made from the two above; it may be deleted at any time

Nothing in here is ever changed once written. To get files back, connect the disk to a Larder; or mount it, read-only if
you like, on any Linux computer with the program `larder`, and type

  larder rescue DISK --list        what is on it; DISK is the folder where it is mounted
  larder rescue DISK --to DIR      everything back into the folder DIR

That needs no box and no settings, and writes nothing here. FORMAT.md of the Larder project tells how to read the files
without any of its programs; tests/independent/larder_read.py is a reader of 300 lines.
";

/// Facts that a disk tells about itself; written once, when the disk joins the vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct DiskFacts {
    format: u16,
    oldest_reader: u16,
    vault: String,
    disk: String,
    /// BLAKE3 of the other fields, so that a flipped bit does not make another disk of it.
    check: String,
}

impl DiskFacts {
    fn new(vault: &[u8; 16], disk: [u8; 16]) -> Self {
        let facts = Self {
            format: FORMAT,
            oldest_reader: FORMAT,
            vault: hex(vault),
            disk: hex(&disk),
            check: String::new(),
        };
        Self { check: facts.computed_check(), ..facts }
    }

    fn computed_check(&self) -> String {
        let Self { format, oldest_reader, vault, disk, .. } = self;
        larder_format::Hash::of(format!("{format} {oldest_reader} {vault} {disk}").as_bytes()).to_string()
    }
}

/// How far a disk can be trusted at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberState {
    /// Reads and writes.
    Healthy,
    /// Lacks so many packs and ledger entries that another disk has: it is read from, and not written to until it has
    /// caught up.
    Behind(u64),
    /// Failed; what it said since its last good sync is not believed.
    Suspect(String),
}

/// One disk as the owner sees it.
#[derive(Debug, Clone)]
pub struct MemberView {
    /// Random name in hex, for ever the same.
    pub id: String,
    /// Where it is.
    pub path: String,
    /// How far it can be trusted.
    pub state: MemberState,
    /// Bytes in all and free; nothing when the disk does not say.
    pub space: Option<crate::disk::Space>,
}

pub(crate) struct Member {
    pub(crate) id: String,
    pub(crate) disk: Arc<dyn Disk>,
    state: Mutex<MemberState>,
    packs_lacking: AtomicU64,
}

impl Member {
    pub(crate) fn state(&self) -> MemberState {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_state(&self, state: MemberState) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    pub(crate) fn is_behind(&self) -> bool {
        matches!(self.state(), MemberState::Behind(_))
    }

    /// Notes how many packs it lacks.
    pub(crate) fn lacks_packs(&self, packs: u64) {
        let before = self.packs_lacking.swap(packs, Ordering::SeqCst);
        match self.state() {
            MemberState::Healthy if packs > 0 => self.set_state(MemberState::Behind(packs)),
            MemberState::Behind(files) => {
                self.set_state(MemberState::Behind(files + packs - before.min(files)))
            }
            _ => {}
        }
    }

    /// Forgets which ledger entries it lacks, before they are counted anew.
    pub(crate) fn forget_entries(&self) {
        if self.is_behind() {
            let packs = self.packs_lacking.load(Ordering::SeqCst);
            self.set_state(if packs > 0 { MemberState::Behind(packs) } else { MemberState::Healthy });
        }
    }

    /// Notes that it lacks one ledger entry more.
    pub(crate) fn miss_entry(&self) {
        match self.state() {
            MemberState::Healthy => self.set_state(MemberState::Behind(1)),
            MemberState::Behind(entries) => self.set_state(MemberState::Behind(entries + 1)),
            MemberState::Suspect(_) => {}
        }
    }

    /// Notes a failure, and turns it into what the caller returns.
    pub(crate) fn failed(&self, path: &str, source: io::Error) -> StoreError {
        if is_full(&source) {
            return FULL;
        }
        tracing::error!(disk = %self.disk.name(), path, error = %source, "the backup disk failed");
        self.set_state(MemberState::Suspect(source.to_string()));
        StoreError::Disk { path: format!("{}/{path}", self.disk.name()), source }
    }
}

/// The disks, and the number of the next `.part` file on them. It belongs to the vault: two of them in one process
/// must not move each other's names, or a simulated disk would not do the same again.
pub(crate) struct Members(Vec<Member>, AtomicU64);

impl Members {
    /// Reads who the disks are. A disk without `disk.json` joins the vault of the others, or `new_vault`; `random`
    /// makes its name.
    pub(crate) fn open(
        disks: Vec<Arc<dyn Disk>>,
        new_vault: [u8; 16],
        mut random: impl FnMut() -> [u8; 16],
    ) -> Result<(Self, [u8; 16])> {
        let mut known = Vec::new();
        for disk in &disks {
            if let Err(error) = mend_facts(disk.as_ref()) {
                tracing::warn!(%error, disk = disk.name(), "its disk.json could not be repaired");
            }
            known.push(facts_of(disk.as_ref())?);
        }
        let vault = match known.iter().flatten().next() {
            Some(facts) => {
                unhex(&facts.vault).ok_or_else(|| foreign(disks[0].as_ref(), "its disk.json is damaged"))?
            }
            None => new_vault,
        };
        let mut members = Vec::new();
        for (disk, facts) in disks.into_iter().zip(known) {
            let (facts, state) = match facts {
                Some(facts) if facts.vault == hex(&vault) => {
                    (facts, made_ready(disk.as_ref()).map_err(|source| at(disk.as_ref(), "open", source))?)
                }
                Some(_) => return Err(foreign(disk.as_ref(), "it belongs to another vault")),
                None => (join(disk.as_ref(), &vault, random())?, MemberState::Healthy),
            };
            let packs_lacking = AtomicU64::new(0);
            members.push(Member { id: facts.disk, disk, state: Mutex::new(state), packs_lacking });
        }
        for (position, member) in members.iter().enumerate() {
            if let Some(twin) = members[..position].iter().find(|other: &&Member| other.id == member.id) {
                let why = format!(
                    "it is a copy of the disk at {}; empty it, and it joins as a disk of its own",
                    twin.disk.name()
                );
                return Err(foreign(member.disk.as_ref(), &why));
            }
        }
        Ok((Self(members, AtomicU64::new(1)), vault))
    }

    pub(crate) fn all(&self) -> &[Member] {
        &self.0
    }

    /// A number for a `.part` file that no other has.
    pub(crate) fn next_part(&self) -> u64 {
        self.1.fetch_add(1, Ordering::Relaxed)
    }

    /// Notes that there is a `.part` file of an earlier run with this number.
    pub(crate) fn skip_parts(&self, number: u64) {
        self.1.fetch_max(number.saturating_add(1), Ordering::Relaxed);
    }

    /// Does the same on every healthy disk; at least one must succeed. Returns the positions that did.
    ///
    /// # Errors
    /// `Full` as soon as one disk is; the last disk's error when none succeeds.
    pub(crate) fn on_each(
        &self,
        path: &str,
        mut action: impl FnMut(&Member) -> io::Result<()>,
    ) -> Result<Vec<usize>> {
        let mut done = Vec::new();
        let mut error = None;
        for (position, member) in self.0.iter().enumerate() {
            if member.state() != MemberState::Healthy {
                continue;
            }
            match action(member) {
                Ok(()) => done.push(position),
                Err(source) => match member.failed(path, source) {
                    full @ StoreError::Full { .. } => return Err(full),
                    other => error = Some(other),
                },
            }
        }
        if done.is_empty() { Err(error.unwrap_or_else(|| self.none_left(path))) } else { Ok(done) }
    }

    pub(crate) fn none_left(&self, path: &str) -> StoreError {
        StoreError::Disk { path: path.to_owned(), source: io::Error::other("no healthy disk is left") }
    }

    /// The least room on any healthy disk.
    pub(crate) fn free(&self) -> u64 {
        let healthy = self.0.iter().filter(|member| member.state() == MemberState::Healthy);
        healthy.filter_map(|member| member.disk.space().ok()).map(|space| space.free).min().unwrap_or(0)
    }

    pub(crate) fn views(&self) -> Vec<MemberView> {
        let view = |member: &Member| MemberView {
            id: member.id.clone(),
            path: member.disk.name(),
            state: member.state(),
            space: member.disk.space().ok(),
        };
        self.0.iter().map(view).collect()
    }
}

/// Makes a known disk ready to be written to. One that the system lets nobody write to is only read: that is how a
/// dying disk ends, and the time when its backups are wanted most.
fn made_ready(disk: &dyn Disk) -> io::Result<MemberState> {
    let make = || {
        // A copy made by hand may lack it, since nothing is in it while the agent rests.
        make_folders(disk, "open")?;
        // An agent that was killed may have made folders that a power cut would still take away.
        ["packs", "ledger", ""].into_iter().try_for_each(|folder| sync_names(disk, folder))?;
        drop(disk.create(PROBE)?);
        disk.remove(PROBE)
    };
    match make() {
        // Full is no reason not to open, and a probe that a killed agent left tells as much as a new one.
        Err(error) if is_full(&error) || error.kind() == io::ErrorKind::AlreadyExists => {
            Ok(MemberState::Healthy)
        }
        Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => {
            Ok(MemberState::Suspect(error.to_string()))
        }
        Err(error) => Err(error),
        Ok(()) => Ok(MemberState::Healthy),
    }
}

/// Whether the disk still says who it is.
pub(crate) fn is_named(disk: &dyn Disk) -> bool {
    facts_of(disk).is_ok_and(|facts| facts.is_some())
}

fn facts_of(disk: &dyn Disk) -> Result<Option<DiskFacts>> {
    let bytes = match read_whole(disk, DISK_FILE, DISK_FILE_BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // Packs without a disk.json: not ours to make a new vault of.
            let orphan = disk.list("packs").map_err(|source| at(disk, "packs", source))?;
            return if orphan.is_empty() { Ok(None) } else { Err(foreign(disk, "its disk.json is missing")) };
        }
        Err(source) => return Err(at(disk, DISK_FILE, source)),
    };
    let facts: DiskFacts =
        serde_json::from_slice(&bytes).map_err(|_| foreign(disk, "its disk.json is damaged"))?;
    if facts.check != facts.computed_check() {
        return Err(foreign(disk, "its disk.json is damaged"));
    }
    if facts.oldest_reader > FORMAT {
        return Err(foreign(disk, "it was written by a newer Larder"));
    }
    Ok(Some(facts))
}

fn join(disk: &dyn Disk, vault: &[u8; 16], id: [u8; 16]) -> Result<DiskFacts> {
    let facts = DiskFacts::new(vault, id);
    let bytes = serde_json::to_vec_pretty(&facts).expect("plain values encode");
    let write = || {
        for folder in ["open", "packs", "ledger"] {
            make_folders(disk, folder)?;
        }
        match write_whole(disk, "open/readme.part", "READ-ME-FIRST.txt", READ_ME.as_bytes()) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        write_whole(disk, "open/disk.part", DISK_FILE, &bytes)
    };
    write().map_err(|source| at(disk, DISK_FILE, source))?;
    Ok(facts)
}

/// Keeps a second copy of who the disk is: without the first nobody could tell, and the disk would not be opened.
pub(crate) fn keep_copy_of_facts(member: &Member, vault: &[u8; 16]) -> io::Result<()> {
    let disk = member.disk.as_ref();
    if whole_facts(disk, FACTS_COPY).is_some() {
        return Ok(());
    }
    let id = unhex(&member.id).ok_or(io::ErrorKind::InvalidData)?;
    let bytes = serde_json::to_vec_pretty(&DiskFacts::new(vault, id)).expect("plain values encode");
    crate::repair::set_aside(disk, FACTS_COPY)?;
    write_whole(disk, "open/disk.part", FACTS_COPY, &bytes)
}

/// Writes `disk.json` anew from its copy where it is damaged or missing; the damaged one is set aside. A power cut in
/// between leaves the copy, and the next opening begins again.
pub(crate) fn mend_facts(disk: &dyn Disk) -> io::Result<()> {
    let Some(facts) = whole_facts(disk, FACTS_COPY) else { return Ok(()) };
    if whole_facts(disk, DISK_FILE).is_some() {
        return Ok(());
    }
    let bytes = serde_json::to_vec_pretty(&facts).expect("plain values encode");
    crate::repair::set_aside(disk, DISK_FILE)?;
    write_whole(disk, "open/disk.part", DISK_FILE, &bytes)
}

fn whole_facts(disk: &dyn Disk, path: &str) -> Option<DiskFacts> {
    let bytes = read_whole(disk, path, DISK_FILE_BYTES_MAX).ok()?;
    serde_json::from_slice(&bytes).ok().filter(|facts: &DiskFacts| facts.check == facts.computed_check())
}

fn at(disk: &dyn Disk, path: &str, source: io::Error) -> StoreError {
    if is_full(&source) {
        return FULL;
    }
    StoreError::Disk { path: format!("{}/{path}", disk.name()), source }
}

fn foreign(disk: &dyn Disk, why: &str) -> StoreError {
    StoreError::Foreign { what: format!("the disk at {} cannot be used: {why}", disk.name()) }
}

pub(crate) fn hex(bytes: &[u8; 16]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn unhex(text: &str) -> Option<[u8; 16]> {
    u128::from_str_radix(text, 16).ok().filter(|_| text.len() == 32).map(u128::to_be_bytes)
}
