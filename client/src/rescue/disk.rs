//! The files on a pulled disk: packs, ledger entries, and the names of vault and disk.
//!
//! A disk is a mount point, the folder `larder` on the mount point, or any folder with a copy of the remains. A name
//! of FORMAT.md tells the kind of a file; a file that a filesystem check renamed is known by its first bytes. Not
//! here: the content of the files.

use super::{
    damage::DamageLog,
    reading::{is_folder, names, open, read},
};
use crate::{ClientError, platform::path_of_bytes};
use larder_format::{Hash, layout, ledger::LEDGER_MAGIC, pack::PACK_MAGIC};
use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
};

fn is_lost_and_found(folder: &Path) -> bool {
    folder.file_name().is_some_and(|name| name == "lost+found")
}

/// Levels of folders that are looked through; a disk of ours has two.
const LEVELS_MAX: usize = 3;
/// Folders without confirmed data, and without use for a reader.
const PASSED_BY: [&[u8]; 2] = [b"index", b"open"];
/// Folders whose names say nothing: the finds of a filesystem check, and files that an agent set aside.
const NAMELESS: [&[u8]; 2] = [b"lost+found", SET_ASIDE.as_bytes()];
/// The folder for files that an agent set aside.
const SET_ASIDE: &str = "quarantine";
const DISK_FILE_BYTES_MAX: usize = 64 * 1024;

/// A pulled disk.
#[derive(Debug, Clone)]
pub struct PulledDisk {
    /// The path as the owner typed the path.
    pub path: PathBuf,
    /// The folder with packs and ledger.
    pub(crate) folder: PathBuf,
    /// Random name of the vault; nothing where `disk.json` is gone or damaged.
    pub vault: Option<String>,
    /// Random name of the disk, likewise.
    pub disk: Option<String>,
    /// Whether the disk says that reading needs a newer Larder.
    pub is_newer: bool,
}

/// A file that may be of use.
pub(crate) enum DiskItem {
    /// A pack under its own name, in the right place.
    Pack(Hash),
    /// A pack somewhere else.
    StrayPack(PathBuf),
    /// A chapter of the ledger.
    Chapter(PathBuf),
    /// A ledger entry, with the number in the name of the file.
    Entry(PathBuf, Option<u64>),
}

impl PulledDisk {
    pub(crate) fn open(path: &Path, damage: &DamageLog) -> Result<Self, ClientError> {
        if !path.exists() {
            return Err(ClientError::NotThere {
                what: format!("There is nothing at {}.", path.display()),
                remedy: "Mount the disk, read-only if you like, and name the folder where it is mounted.",
            });
        }
        // The owner may have named a link to the disk; from here on no link is followed.
        let whole =
            path.canonicalize().map_err(|cause| ClientError::local("opening the disk", path, cause))?;
        let below = whole.join("larder");
        let folder = if is_folder(&below) { below } else { whole };
        names(&folder).map_err(|cause| ClientError::local("opening the disk", &folder, cause))?;
        damage.passes_over(folder.join(SET_ASIDE));
        let mut disk = Self { path: path.to_owned(), folder, vault: None, disk: None, is_newer: false };
        disk.read_facts(damage);
        Ok(disk)
    }

    fn read_facts(&mut self, damage: &DamageLog) {
        let path = self.folder.join(layout::DISK_FILE);
        // A folder with a few packs need not have the file, and no restored file depends on the file.
        let Ok(bytes) = read(&path, DISK_FILE_BYTES_MAX) else { return };
        match DiskJson::read(&bytes) {
            Some(facts) => {
                self.is_newer = facts.oldest_reader > layout::DISK_VERSION.into();
                (self.vault, self.disk) = (Some(facts.vault), Some(facts.disk));
            }
            None => damage.file(&path, "it is damaged; nothing that comes back depends on it"),
        }
    }

    /// The path of a pack under its own name.
    pub(crate) fn pack_path(&self, name: &Hash) -> PathBuf {
        let name = name.to_string();
        self.folder.join("packs").join(&name[..2]).join(format!("{name}.pack"))
    }

    /// Hands over every file that may be of use.
    pub(crate) fn items(&self, damage: &DamageLog, each: &mut dyn FnMut(DiskItem)) {
        let mut folders = vec![(self.folder.clone(), 0, false)];
        let lost = self.folder.parent().map(|top| top.join("lost+found")).filter(|lost| is_folder(lost));
        if self.folder.ends_with("larder") {
            folders.extend(lost.map(|lost| (lost, 0, true)));
        }
        while let Some((folder, level, is_nameless)) = folders.pop() {
            let listing = match names(&folder) {
                Ok(listing) => listing,
                // Every ext4 has the folder, for root alone, and the vault never wrote there.
                Err(cause) if cause.kind() == ErrorKind::PermissionDenied && is_lost_and_found(&folder) => {
                    damage.not_looked_at(folder);
                    continue;
                }
                Err(cause) => {
                    damage.file(&folder, format!("this folder cannot be read: {cause}"));
                    continue;
                }
            };
            for position in 0..listing.len() {
                let name = listing.name(position);
                let path = folder.join(path_of_bytes(name));
                if let Some(item) = self.item(&path, name, is_nameless) {
                    each(item);
                } else if level < LEVELS_MAX && !PASSED_BY.contains(&name) && is_folder(&path) {
                    folders.push((path, level + 1, is_nameless || NAMELESS.contains(&name)));
                }
            }
        }
    }

    fn item(&self, path: &Path, name: &[u8], is_nameless: bool) -> Option<DiskItem> {
        let text = str::from_utf8(name).unwrap_or_default();
        if let Some(stem) = text.strip_suffix(".pack") {
            let own = (stem.len() == 64).then(|| Hash::from_hex(stem)).flatten();
            let own = own.filter(|name| self.pack_path(name) == path);
            return Some(own.map_or_else(|| DiskItem::StrayPack(path.to_owned()), DiskItem::Pack));
        }
        if layout::chapter_number(text).is_some() {
            return Some(DiskItem::Chapter(path.to_owned()));
        }
        if let Some(stem) = text.strip_suffix(".entry") {
            // A foreign name says nothing about the number of the entry; the entry itself does.
            let is_own = stem.len() == 12 && stem.bytes().all(|byte| byte.is_ascii_digit());
            let number = is_own.then(|| stem.parse().ok()).flatten();
            return Some(DiskItem::Entry(path.to_owned(), number));
        }
        let (file, _) = if is_nameless { open(path).ok()? } else { return None };
        let mut start = [0; 8];
        super::reading::Bytes::fill(&file, &mut start, 0).ok()?;
        match &start {
            PACK_MAGIC => Some(DiskItem::StrayPack(path.to_owned())),
            LEDGER_MAGIC => Some(DiskItem::Entry(path.to_owned(), None)),
            _ => None,
        }
    }
}

/// The content of `disk.json`.
pub(crate) struct DiskJson {
    oldest_reader: u64,
    vault: String,
    disk: String,
}

impl DiskJson {
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let json: serde_json::Value = serde_json::from_slice(bytes).ok()?;
        let number = |key: &str| json.get(key)?.as_u64();
        let text = |key: &str| json.get(key)?.as_str().map(str::to_owned);
        let (format, oldest_reader) = (number("format")?, number("oldest_reader")?);
        let (vault, disk) = (text("vault")?, text("disk")?);
        let checked = format!("{format} {oldest_reader} {vault} {disk}");
        (Hash::of(checked.as_bytes()).to_string() == text("check")?).then_some(Self {
            oldest_reader,
            vault,
            disk,
        })
    }
}
