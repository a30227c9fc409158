//! Which disk is connected where. Not here: arrivals and departures (`disks`).

use crate::decide::facts::{RegistryView, WhyRejected};
use crate::edge::disks::{FOLDER, Mount};
use larder_firmware_config::VaultSettings;
use larder_format::ledger::DiskRole;
use larder_store::Vault;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The disks' places.
#[derive(Default)]
pub(crate) struct DiskRegistry {
    mounts: Mutex<Mounts>,
    /// One look or move of disks at a time. Apart from the mounts, since reading a disk takes long, and a question
    /// about mounts must not wait for the reading.
    moving: Mutex<()>,
}

#[derive(Default)]
pub(super) struct Mounts {
    /// Disks that are connected, by id.
    pub(super) here: BTreeMap<String, Mount>,
    /// Disks released by a person and still plugged in.
    pub(super) released: BTreeMap<String, Mount>,
    /// What stands at a disk's place and is not taken, and why.
    pub(super) rejected: BTreeMap<PathBuf, WhyRejected>,
    /// Disks that came back, before the ledger knows them complete again.
    pub(super) owed: BTreeSet<String>,
    /// The disk that holds the index and the powered-on count.
    pub(super) primary: PathBuf,
}

impl DiskRegistry {
    /// The disks that the vault was opened on.
    pub(crate) fn new(here: BTreeMap<String, Mount>, primary: PathBuf) -> Self {
        Self { mounts: Mutex::new(Mounts { here, primary, ..Mounts::default() }), moving: Mutex::default() }
    }

    pub(super) fn mounts(&self) -> MutexGuard<'_, Mounts> {
        self.mounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn moving(&self) -> MutexGuard<'_, ()> {
        self.moving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a disk of ours is known to be at `path`, in use or let go of.
    pub(super) fn is_taken(&self, path: &Path) -> bool {
        let mounts = self.mounts();
        mounts.here.values().chain(mounts.released.values()).any(|mount| mount.path == *path)
    }

    pub(super) fn enter(&self, id: String, mount: Mount) {
        let mut mounts = self.mounts();
        mounts.released.remove(&id);
        mounts.rejected.remove(&mount.path);
        mounts.owed.insert(id.clone());
        mounts.here.insert(id, mount);
    }

    pub(crate) fn view(&self) -> RegistryView {
        let mounts = self.mounts();
        let rejected = mounts.rejected.iter().map(|(path, why)| (path.display().to_string(), why.clone()));
        RegistryView { released: mounts.released.keys().cloned().collect(), rejected: rejected.collect() }
    }

    /// The disk with the agent's own files.
    pub(crate) fn primary(&self) -> PathBuf {
        self.mounts().primary.clone()
    }

    /// The vault's folders on the connected disks that stay at home; on the others where no such disk is connected. What an
    /// offsite disk remembers is old, and was in the hands of others.
    pub(crate) fn home_folders(&self, vault: &Vault) -> Vec<PathBuf> {
        let [home, offsite] = self.folders(vault);
        if home.is_empty() { offsite } else { home }
    }

    /// The vault's folders on the connected disks: on those that stay at home, and on the others.
    pub(crate) fn folders(&self, vault: &Vault) -> [Vec<PathBuf>; 2] {
        let disks = vault.disks();
        let is_away_mostly =
            |id: &str| disks.iter().any(|disk| disk.id == id && disk.role == DiskRole::Offsite);
        let mounts = self.mounts();
        let (offsite, home): (Vec<_>, Vec<_>) =
            mounts.here.iter().partition(|(id, _)| is_away_mostly(id.as_str()));
        [home, offsite].map(|chosen| chosen.into_iter().map(|(_, mount)| mount.path.join(FOLDER)).collect())
    }

    /// Where disks are connected at this moment.
    pub(crate) fn paths(&self) -> BTreeSet<PathBuf> {
        self.mounts().here.values().map(|mount| mount.path.clone()).collect()
    }
}

/// Each possible place of a disk, and whether the disk is meant to be away.
pub(crate) fn places(settings: &VaultSettings, vault: &Vault) -> BTreeMap<PathBuf, DiskRole> {
    // The settings come last and so win about the role of a disk at a place in the settings.
    let ledger = vault.ledger();
    let known = ledger.disks.values().filter(|disk| !disk.retired);
    let adopted = known.filter_map(|disk| Some((Path::new(&disk.path).parent()?.to_owned(), disk.role)));
    let named = settings.disks.iter().map(|path| (path.clone(), DiskRole::Home));
    adopted
        .chain(named)
        .chain(settings.offsite.iter().map(|path| (path.clone(), DiskRole::Offsite)))
        .collect()
}
