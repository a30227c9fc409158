//! Opening a vault, or making one on empty disks.

use crate::core::Core;
use crate::disks::members::Members;
use crate::disks::refusals::foreign;
use crate::ledger::files;
use crate::locks::Mutex;
use crate::membership::{opening, resync, standing};
use crate::packs::catalog::Catalog;
use crate::packs::pins::Holder;
use crate::packs::{growing, on_disk};
use crate::past::brought::{self, BroughtWalk};
use crate::take::unsealed;
use crate::upkeep::repair::{finish, lost};
use crate::vault::{Opened, Options, Vault};
use crate::{Result, StoreError};
use larder_format::layout;
use larder_format::ledger::{Event, Head};
use std::collections::BTreeMap;

/// Opening waits for a disk that lacks at most so many bytes: the usual gap after a power cut between two disks.
const CAUGHT_UP_AT_ONCE_BYTES: u64 = 256 * 1024 * 1024;

impl Vault {
    /// Opens the vault on these disks, or makes a vault on empty disks; brings back unsealed packs of a killed agent.
    ///
    /// # Errors
    /// `Foreign` for disks of different vaults; `Disk` or `Full` when a disk does not do its part.
    pub fn open(options: Options) -> Result<(Self, Opened)> {
        let Options { disks, index, mut random, reserve_bytes, stamp } = options;
        let new_vault = random();
        let (members, id) = opening::open(disks, new_vault, random)?;
        let ledger = files::load(&members)?;
        finish::finish(&members, &ledger.swept);
        members.settle(&ledger.disks)?;
        let is_new = ledger.head == Head::EMPTY && ledger.gaps.is_empty();
        if is_new {
            require_nothing_kept(&members)?;
        }
        let (catalog, index_rebuilt) = Catalog::open((index, id), &members, &ledger)?;
        let core = Core::new(id, reserve_bytes, members, catalog, ledger);
        lost::remember_lost(&core);
        if let Err(error) = resync::catch_up(&core, CAUGHT_UP_AT_ONCE_BYTES) {
            tracing::warn!(%error, "a disk could not catch up yet");
        }
        let salvaged_packs = if core.require_own_format().is_ok() { salvage(&core)? } else { 0 };
        if is_new {
            core.append(stamp, Event::VaultCreated { vault: id })?;
        }
        standing::enter_disks(&core, stamp);
        let mut walk = BroughtWalk::default();
        brought::begin_at_once(&core, &mut walk);
        let vault = Self { core, sweeps: Mutex::default(), brought: Mutex::new(walk) };
        Ok((vault, Opened { index_rebuilt, salvaged_packs }))
    }
}

/// Brings back chunks that a killed agent had received and not sealed.
fn salvage(core: &Core) -> Result<usize> {
    let mut sealed = Vec::new();
    let salvaged = unsealed::salvage(&core.members, &core.catalog, &mut sealed);
    let enter = |pack: &growing::Sealed| {
        core.enter(pack, &BTreeMap::from([(Holder::EarlierRun, pack.len)]));
    };
    sealed.iter().for_each(enter);
    match salvaged {
        // The remaining chunks were promised to no device and stay in place; kept backups can be restored meanwhile.
        Err(StoreError::Full { .. }) => {}
        salvaged => salvaged?,
    }
    Ok(sealed.len())
}

/// Before a ledger is begun: a disk during its fill has packs and no entry yet, and the source disk has the past that
/// a new ledger would contradict.
fn require_nothing_kept(members: &Members) -> Result<()> {
    for member in members.all().iter().filter(|member| member.is_readable()) {
        let is_empty = on_disk::names_on(member.disk.as_ref()).map(|packs| packs.is_empty());
        if !is_empty.map_err(|source| member.failed(layout::PACKS, source))? {
            let why = "it has packs and no ledger, as one that was being filled; connect the disk that it was \
                       filled from, or read it as it is with `larder rescue`";
            return Err(foreign(member.disk.as_ref(), why));
        }
    }
    Ok(())
}
