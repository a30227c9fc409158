//! Opening the vault on the connected disks.
//!
//! One disk of the vault is enough. A new vault is made only with every disk of the settings connected and empty:
//! with a disk away, a new vault could not be told from an old vault whose disk is missing. Not here: disks that come
//! later (`registry`).

use crate::edge::box_key;
use crate::edge::browser_certificate::{self, NoCertificate};
use crate::edge::clock::Clock;
use crate::edge::disks::{self, DiskProblem, FOLDER, Mount};
use crate::edge::random::random;
use crate::state::registry::{self, DiskRegistry};
use larder_firmware_config::Settings;
use larder_store::disk::{Disk, RealDisk};
use larder_store::{
    Identity, IndexPlace, KnownDisks, MemberState, MemberView, Opened, Options, StoreError, Vault,
    disks_known_to, identity_of,
};
use larder_trust::{BrowserIdentity, SecretKey, TrustError};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why there is no vault.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// A disk of the vault.
    #[error(transparent)]
    Disk(#[from] DiskProblem),
    /// There is no vault yet, and a disk for a new vault is missing.
    #[error("no backups are on the disks that are here, and {} is not here", missing.display())]
    Missing {
        /// The first missing disk.
        missing: PathBuf,
    },
    /// The vault on the disks.
    #[error(transparent)]
    Vault(#[from] StoreError),
    /// The appliance has no key, and none can be made.
    #[error("the appliance cannot make its key: {0}")]
    Key(#[from] TrustError),
    /// Likewise the certificate for browsers.
    #[error(transparent)]
    Certificate(#[from] NoCertificate),
}

/// A vault that is open.
pub(crate) struct Opening {
    pub(crate) vault: Vault,
    pub(crate) registry: DiskRegistry,
    pub(crate) clock: Clock,
    pub(crate) box_key: SecretKey,
    pub(crate) browser_identity: BrowserIdentity,
    pub(crate) opened: Opened,
}

/// The vault on the disks of the settings, and the clock that counts beside it.
pub(crate) fn open_vault(settings: &Settings) -> Result<Opening, OpenError> {
    let disks = disks_to_open(settings)?;
    let primary = disks[0].0.clone();
    let folder = primary.join(FOLDER);
    let clock = Clock::open(&folder, 0);
    let mounts = disks.iter().map(|(path, disk)| (path.clone(), Mount::of(disk, path))).collect::<Vec<_>>();
    let disks: Vec<Arc<dyn Disk>> = disks.into_iter().map(|(_, disk)| Arc::new(disk) as _).collect();
    let options = Options {
        disks: disks.clone(),
        index: IndexPlace::Folder(settings.vault.index.clone().unwrap_or(folder.clone()).join("index")),
        random: Box::new(random),
        reserve_bytes: settings.vault.reserve_bytes,
        stamp: clock.stamp(None),
    };
    let (vault, opened) = Vault::open(options)?;
    vault.set_copies(settings.vault.copies.try_into().unwrap_or(usize::MAX));
    // From here on the count of running time is compared with the ledger's.
    let known_s = |vault: &Vault| vault.ledger().newest.map_or(0, |stamp| stamp.powered_on_s);
    let clock = Clock::open(&folder, known_s(&vault));
    let mut here = BTreeMap::new();
    let members = vault.disks();
    for (disk, (path, mount)) in disks.iter().zip(mounts) {
        let mount = mount.map_err(|source| DiskProblem::Io { path, source })?;
        // The disk itself is not asked again: a dying disk may not answer.
        let is_it = |member: &&MemberView| member.path == disk.name() && member.state != MemberState::Away;
        if let Some(member) = members.iter().find(is_it) {
            here.insert(member.id.clone(), mount);
        }
    }
    take_known(settings, &vault, &clock, &mut here);
    // A disk attached since may know more.
    let (registry, clock) = (DiskRegistry::new(here, primary), Clock::open(&folder, known_s(&vault)));
    let folders = registry.folders(&vault).concat();
    let box_key = box_key::load_or_make(&folders)?;
    let browser_identity = browser_certificate::load_or_make(&folders, &box_key.public())?;
    Ok(Opening { vault, registry, clock, box_key, browser_identity, opened })
}

/// A disk known to the ledger alone may know more than the opened disks; a commit without it would begin another
/// past.
fn take_known(settings: &Settings, vault: &Vault, clock: &Clock, here: &mut BTreeMap<String, Mount>) {
    for path in registry::places(&settings.vault, vault).into_keys() {
        if here.values().any(|mount| mount.path == path) {
            continue;
        }
        let Ok(disk) = disks::open(&path, settings.vault.allow_root_filesystem) else { continue };
        let Ok(mount) = Mount::of(&disk, &path) else { continue };
        // A refused disk is reported later, by the look at the disks.
        let stamp = clock.stamp(vault.ledger().newest.map(|stamp| stamp.time_ms));
        if let Ok(attached) = vault.attach(Arc::new(disk), stamp) {
            here.insert(attached.id, mount);
        }
    }
}

/// The disks of the vault; every disk of the settings where there is none yet.
fn disks_to_open(settings: &Settings) -> Result<Vec<(PathBuf, RealDisk)>, OpenError> {
    let vault = &settings.vault;
    let mut known = Vec::new();
    let mut problems = Vec::new();
    for path in vault.disks.iter().chain(&vault.offsite) {
        match disks::open(path, vault.allow_root_filesystem) {
            Ok(disk) => match identity_of(&disk) {
                Ok(Some(identity)) => known.push((identity, path.clone(), disk)),
                Ok(None) => problems.push((path, DiskProblem::Empty { path: path.clone() })),
                Err(StoreError::Foreign { what }) => {
                    problems.push((path, DiskProblem::Strange { path: path.clone(), what }));
                }
                Err(error) => {
                    let source = std::io::Error::other(error);
                    problems.push((path, DiskProblem::Io { path: path.clone(), source }));
                }
            },
            // The process that holds this disk holds the vault, and a vault has one process.
            Err(problem @ DiskProblem::InUse { .. }) => return Err(problem.into()),
            Err(problem) => problems.push((path, problem)),
        }
    }
    if !known.is_empty() {
        return of_one_vault(known);
    }
    let is_away = |problem: &DiskProblem| !matches!(problem, DiskProblem::Empty { .. });
    let is_only = vault.disks.len() == 1;
    for (path, problem) in problems {
        if is_away(&problem) && vault.disks.contains(path) {
            let is_mount = matches!(problem, DiskProblem::NotMounted { .. });
            let missing = path.clone();
            return Err(if is_only || !is_mount { problem.into() } else { OpenError::Missing { missing } });
        }
    }
    let make = |path: &PathBuf| Ok((path.clone(), disks::make(path, vault.allow_root_filesystem)?));
    vault.disks.iter().map(make).collect()
}

/// Picks our disks among disks of different vaults: the vault with most disks in their known places. A wrong disk
/// connected just when the power comes back must not keep the box from starting; the look at the disks reports it.
fn of_one_vault(known: Vec<(Identity, PathBuf, RealDisk)>) -> Result<Vec<(PathBuf, RealDisk)>, OpenError> {
    let mut claims: BTreeMap<[u8; 16], usize> = BTreeMap::new();
    let is_one = known.iter().all(|(identity, ..)| identity.vault == known[0].0.vault);
    for (identity, path, disk) in &known {
        let io = |source| DiskProblem::Io { path: path.clone(), source };
        let members = if is_one { KnownDisks::new() } else { disks_known_to(disk).map_err(io)? };
        let itself = members.get(&identity.disk);
        let is_in_place =
            itself.is_some_and(|disk| !disk.retired && Path::new(&disk.path) == path.join(FOLDER));
        *claims.entry(identity.vault).or_default() += usize::from(is_in_place);
    }
    let most = claims.values().max().copied().unwrap_or(0);
    let mut ours = claims.iter().filter(|(_, claim)| **claim == most).map(|(vault, _)| *vault);
    let (Some(vault), None) = (ours.next(), ours.next()) else {
        let at: Vec<_> = known.iter().map(|(_, path, _)| path.display().to_string()).collect();
        let what = format!(
            "the disks at {} belong to different appliances; connect only those of one",
            at.join(" and ")
        );
        return Err(StoreError::Foreign { what }.into());
    };
    let (ours, others): (Vec<_>, Vec<_>) = known.into_iter().partition(|(of, ..)| of.vault == vault);
    for (_, path, _) in others {
        tracing::error!(path = %path.display(), "the disk that is connected here belongs to another appliance");
    }
    Ok(ours.into_iter().map(|(_, path, disk)| (path, disk)).collect())
}
