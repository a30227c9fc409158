//! What lies on a pulled disk: which files are packs, which are ledger entries, whose they are.
//!
//! A disk is a mount point, the folder `larder` on it, or any folder into which somebody copied what was left. Where the
//! names are those of FORMAT.md they tell what a file is; files that a filesystem check gave other names are known by
//! their first bytes. Not here: what is in the files.

use super::{
    damage::DamageLog,
    reading::{is_folder, names, open, read},
};
use crate::{ClientError, platform::path_of_bytes};
use larder_format::{Hash, layout, ledger::LEDGER_MAGIC, pack::PACK_MAGIC};
use std::path::{Path, PathBuf};

/// Folders in folders that are looked through; a disk of ours has two.
const LEVELS_MAX: usize = 3;
/// Nothing in here was ever confirmed, or helps a reader.
const PASSED_BY: [&[u8]; 2] = [b"index", b"open"];
/// Where names say nothing: what a filesystem check brings together, and what an agent set aside.
const NAMELESS: [&[u8]; 2] = [b"lost+found", SET_ASIDE.as_bytes()];
/// What an agent set aside.
const SET_ASIDE: &str = "quarantine";
const DISK_FILE_BYTES_MAX: usize = 64 * 1024;

/// One pulled disk.
#[derive(Debug, Clone)]
pub struct PulledDisk {
    /// As the owner named it.
    pub path: PathBuf,
    /// The folder with packs and ledger.
    pub(crate) folder: PathBuf,
    /// Random name of the vault; nothing where `disk.json` is gone or damaged.
    pub vault: Option<String>,
    /// Random name of the disk, likewise.
    pub disk: Option<String>,
    /// Whether it says itself that it needs a newer Larder.
    pub is_newer: bool,
}

/// A file that may be of use.
pub(crate) enum DiskItem {
    /// A pack under its own name, where it should lie.
    Pack(Hash),
    /// A pack somewhere else.
    StrayPack(PathBuf),
    /// A chapter of the ledger.
    Chapter(PathBuf),
    /// A ledger entry, with the number that its name says.
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
        // The owner may have named a link to it; from here on none is followed.
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
        let path = self.folder.join("disk.json");
        // A folder with some packs in it need not have one, and no file comes back because of it.
        let Ok(bytes) = read(&path, DISK_FILE_BYTES_MAX) else { return };
        match DiskJson::read(&bytes) {
            Some(facts) => {
                self.is_newer = facts.oldest_reader > layout::DISK_VERSION.into();
                (self.vault, self.disk) = (Some(facts.vault), Some(facts.disk));
            }
            None => damage.file(&path, "it is damaged; nothing that comes back depends on it"),
        }
    }

    /// Where a pack under its own name lies.
    pub(crate) fn pack_path(&self, name: &Hash) -> PathBuf {
        let name = name.to_string();
        self.folder.join("packs").join(&name[..2]).join(format!("{name}.pack"))
    }

    /// Hands over everything that may be of use.
    pub(crate) fn items(&self, damage: &DamageLog, each: &mut dyn FnMut(DiskItem)) {
        let mut folders = vec![(self.folder.clone(), 0, false)];
        let lost = self.folder.parent().map(|top| top.join("lost+found")).filter(|lost| is_folder(lost));
        if self.folder.ends_with("larder") {
            folders.extend(lost.map(|lost| (lost, 0, true)));
        }
        while let Some((folder, level, is_nameless)) = folders.pop() {
            let listing = match names(&folder) {
                Ok(listing) => listing,
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
            // A name that is not ours says nothing about which entry it is; the entry does.
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

/// What `disk.json` says.
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
