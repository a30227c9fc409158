//! The identity of a disk: the file `disk.json`, valid wherever the disk is connected.
//!
//! Never a device name or a serial number: a device name changes with the socket, and cheap bridges share serial
//! numbers. The file is written once, when the disk joins the vault. Not here: whether the vault wants the disk
//! (`members`, `arrival`).

use crate::Result;
use crate::disk::quarantine::set_aside;
use crate::disk::{Disk, make_folders, read_whole, write_whole};
use crate::disks::refusals::{at, foreign};
use larder_format::layout::{self, unfinished};
use larder_format::ledger::DiskId;
use serde::{Deserialize, Serialize};
use std::io;

const DISK_FILE_BYTES_MAX: u64 = 64 * 1024;

const FORMAT: u16 = layout::DISK_VERSION;

/// A pulled disk's message to its finder.
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
    /// BLAKE3 of the other fields: without the check a flipped bit would make another disk.
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

    fn identity(&self) -> Option<Identity> {
        Some(Identity { vault: unhex(&self.vault)?, disk: unhex(&self.disk)? })
    }

    fn computed_check(&self) -> String {
        let Self { format, oldest_reader, vault, disk, .. } = self;
        larder_format::Hash::of(format!("{format} {oldest_reader} {vault} {disk}").as_bytes()).to_string()
    }
}

const NEWER: &str = "it was written by a newer Larder";

/// Which disk of which vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// Random name of the vault.
    pub vault: [u8; 16],
    /// Random name of the disk.
    pub disk: DiskId,
}

/// The identity of the disk; `None` for an empty disk.
///
/// # Errors
/// `Foreign` when the disk has packs and no name, or an unreadable name; `Disk` when the disk does not answer.
pub fn identity_of(disk: &dyn Disk) -> Result<Option<Identity>> {
    facts_of(disk, layout::DISK_FILE).or_else(|error| {
        let is_newer = |path| whole_facts(disk, path).is_some_and(|facts| facts.oldest_reader > FORMAT);
        if is_newer(layout::DISK_FILE) || is_newer(layout::DISK_FILE_COPY) {
            // Whole, so no repair is due.
            return Err(foreign(disk, NEWER));
        }
        // The next opening of the vault repairs the file.
        let copy = whole_facts(disk, layout::DISK_FILE_COPY).and_then(|facts| facts.identity());
        copy.map(Some).ok_or(error)
    })
}

fn facts_of(disk: &dyn Disk, path: &str) -> Result<Option<Identity>> {
    let bytes = match read_whole(disk, path, DISK_FILE_BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // Packs without a disk.json: not ours to make a new vault of.
            let orphan = disk.list(layout::PACKS).map_err(|source| at(disk, layout::PACKS, source))?;
            return if orphan.is_empty() { Ok(None) } else { Err(foreign(disk, "its disk.json is missing")) };
        }
        Err(source) => return Err(at(disk, path, source)),
    };
    let damaged = || foreign(disk, "its disk.json is damaged");
    let facts: DiskFacts = serde_json::from_slice(&bytes).map_err(|_| damaged())?;
    if facts.check != facts.computed_check() {
        return Err(damaged());
    }
    if facts.oldest_reader > FORMAT {
        return Err(foreign(disk, NEWER));
    }
    facts.identity().map(Some).ok_or_else(damaged)
}

/// Whether the disk still has a readable identity.
pub(crate) fn is_named(disk: &dyn Disk) -> bool {
    facts_of(disk, layout::DISK_FILE).is_ok_and(|identity| identity.is_some())
}

/// Whether the disk gives any byte at all. Read from the medium: a pulled disk lives on for a while in the system's
/// cache.
pub(crate) fn is_answering(disk: &dyn Disk) -> bool {
    let read = |path: &str| {
        let file = disk.open(path)?;
        file.forget_cached();
        file.read_at(0, &mut [0])
    };
    match read(layout::DISK_FILE) {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::NotFound => true,
        // One bad sector is not the whole disk.
        Err(_) => read(layout::DISK_FILE_COPY).is_ok(),
    }
}

/// Gives an empty disk its name in the vault.
pub(crate) fn join(disk: &dyn Disk, identity: Identity) -> Result<()> {
    let facts = DiskFacts::new(&identity.vault, identity.disk);
    let bytes = serde_json::to_vec_pretty(&facts).expect("plain values encode");
    let write = || {
        for folder in [layout::OPEN, layout::PACKS, layout::LEDGER] {
            make_folders(disk, folder)?;
        }
        match write_whole(disk, unfinished::READ_ME, layout::READ_ME_FILE, READ_ME.as_bytes()) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        write_whole(disk, unfinished::DISK, layout::DISK_FILE, &bytes)?;
        keep_copy_of_facts(disk, identity)
    };
    write().map_err(|source| at(disk, layout::DISK_FILE, source))
}

/// Keeps a second copy of the identity: without the first file the disk would be unknown, and would not be opened.
pub(crate) fn keep_copy_of_facts(disk: &dyn Disk, identity: Identity) -> io::Result<()> {
    if whole_facts(disk, layout::DISK_FILE_COPY).is_some() {
        return Ok(());
    }
    let facts = DiskFacts::new(&identity.vault, identity.disk);
    let bytes = serde_json::to_vec_pretty(&facts).expect("plain values encode");
    set_aside(disk, layout::DISK_FILE_COPY)?;
    write_whole(disk, unfinished::DISK, layout::DISK_FILE_COPY, &bytes)
}

/// Writes `disk.json` anew from its copy where the file is damaged or missing; a damaged file is set aside. A power
/// cut in between leaves the copy, and the next opening begins again.
pub(crate) fn mend_facts(disk: &dyn Disk) -> io::Result<()> {
    let Some(facts) = whole_facts(disk, layout::DISK_FILE_COPY) else { return Ok(()) };
    if whole_facts(disk, layout::DISK_FILE).is_some() {
        return Ok(());
    }
    let bytes = serde_json::to_vec_pretty(&facts).expect("plain values encode");
    set_aside(disk, layout::DISK_FILE)?;
    write_whole(disk, unfinished::DISK, layout::DISK_FILE, &bytes)
}

fn whole_facts(disk: &dyn Disk, path: &str) -> Option<DiskFacts> {
    let bytes = read_whole(disk, path, DISK_FILE_BYTES_MAX).ok()?;
    serde_json::from_slice(&bytes).ok().filter(|facts: &DiskFacts| facts.check == facts.computed_check())
}

/// A random name as people read it.
pub fn hex(bytes: &[u8; 16]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<[u8; 16]> {
    u128::from_str_radix(text, 16).ok().filter(|_| text.len() == 32).map(u128::to_be_bytes)
}
