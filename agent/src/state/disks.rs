//! The arrival and the departure of disks.
//!
//! Settings and ledger say where to look; the disk itself says its identity. One round looks for departures and
//! arrivals; rounds come every few seconds and after each command. Not here: which disk the vault takes
//! (`larder_store`), the meaning for the owner (`decide`).

use crate::decide::facts::WhyRejected;
use crate::decide::words;
use crate::edge::disks::{self, DiskProblem, FOLDER, Mount};
use crate::edge::random::random;
use crate::edge::{box_key, browser_certificate};
use crate::event::AgentEvent;
use crate::phrase::causes;
use crate::state::Appliance;
use crate::state::registry::places;
use larder_format::layout;
use larder_format::ledger::DiskRole;
use larder_store::{IndexPlace, MemberState, StoreError};
use std::path::Path;
use std::sync::Arc;

/// A connected offsite disk is noted to be complete so often, in milliseconds.
const NOTED_EVERY_MS: i64 = 24 * 3600 * 1000;
/// A disk that comes and goes every minute is not noted each time.
const NOTED_AGAIN_MS: i64 = 3600 * 1000;

impl Appliance {
    /// One round: departures, failures, arrivals. Returns whether the set of disks changed.
    pub(crate) fn look_at_disks(&self) -> bool {
        let _alone = self.registry.moving();
        let before = (self.registry.paths(), self.vault.disk_states());
        self.part_with_gone();
        self.look_at_failed();
        for (path, role) in places(&self.settings.vault, &self.vault) {
            self.look_at_place(&path, role);
        }
        self.vault.enter_disks(self.stamp());
        self.note_complete();
        self.end_forgetting();
        self.keep_primary();
        before != (self.registry.paths(), self.vault.disk_states())
    }

    fn part_with_gone(&self) {
        let here = self.registry.mounts().here.clone();
        for (id, mount) in here.iter().filter(|(_, mount)| !mount.is_there()) {
            tracing::warn!(disk = %mount.path.display(), "a backup disk is gone");
            self.vault.detach(id);
            self.registry.mounts().here.remove(id);
        }
        self.registry.mounts().released.retain(|_, mount| mount.is_there());
    }

    /// A failed disk that is still connected failed by itself. After a first failure the disk is opened anew and
    /// read; a second failure is a pattern.
    fn look_at_failed(&self) {
        for disk in self.vault.disks() {
            if matches!(disk.state, MemberState::Suspect(_)) {
                self.vault.try_again(&disk.id);
            }
            if !matches!(disk.state, MemberState::Failed(_)) {
                continue;
            }
            match self.vault.distrust(&disk.id, self.stamp()) {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => tracing::warn!(%error, "a disk's failure could not be written down"),
            }
            let is_suspect = |known: &larder_store::MemberView| {
                known.id == disk.id && matches!(known.state, MemberState::Suspect(_))
            };
            if !self.vault.disks().iter().any(is_suspect) {
                self.registry.mounts().here.remove(&disk.id);
                self.vault.detach(&disk.id);
            }
        }
    }

    fn look_at_place(&self, path: &Path, role: DiskRole) {
        if self.registry.is_taken(path) {
            return;
        }
        match self.come(path, role) {
            Ok(Some((id, mount))) => self.enter(id, mount),
            Ok(None) => drop(self.registry.mounts().rejected.remove(path)),
            Err(why) => {
                let before = self.registry.mounts().rejected.insert(path.to_owned(), why.clone());
                if before.as_ref() != Some(&why) {
                    let path = path.display().to_string();
                    tracing::error!("{}", words::rejected(&path, &why));
                }
            }
        }
    }

    fn enter(&self, id: String, mount: Mount) {
        self.registry.enter(id, mount);
        let folders = self.registry.folders(&self.vault).concat();
        box_key::keep(&folders, &self.box_key);
        browser_certificate::keep(&folders, &self.browser_identity);
    }

    /// Takes the disk at `path`, if it belongs to the vault; none where no disk is.
    fn come(&self, path: &Path, role: DiskRole) -> Result<Option<(String, Mount)>, WhyRejected> {
        let allow = self.settings.vault.allow_root_filesystem;
        let disk = match disks::open(path, allow) {
            Ok(disk) => disk,
            Err(DiskProblem::NotMounted { .. } | DiskProblem::InUse { .. }) => return Ok(None),
            Err(DiskProblem::Empty { .. }) => return self.come_empty(path, role),
            Err(problem) => return Err(problem_of(&problem)),
        };
        let mount = Mount::of(&disk, path).map_err(|error| WhyRejected::Problem(error.to_string()))?;
        match larder_store::identity_of(&disk) {
            Ok(None) => return self.come_empty(path, role),
            // A disk that left a moment ago may still be closing.
            Err(error) => return Err(problem_of(&error)),
            Ok(Some(_)) => {}
        }
        let attached = self.vault.attach(Arc::new(disk), self.stamp());
        attached.map(|attached| Some((attached.id, mount))).map_err(|error| problem_of(&error))
    }

    /// A new disk at a place named by the settings and never used before joins by itself: the name was the owner's
    /// word. At the place of a known disk a new disk may be a mistake, and takes `larderd adopt`.
    fn come_empty(&self, path: &Path, role: DiskRole) -> Result<Option<(String, Mount)>, WhyRejected> {
        let settings = &self.settings.vault;
        let is_named = settings.disks.iter().chain(&settings.offsite).any(|named| named == path);
        let is_there = disks::is_mount_point(path);
        if self.is_place_of_known(path) {
            return if is_there { Err(WhyRejected::EmptyInPlaceOfAnother) } else { Ok(None) };
        }
        if !is_named || !(is_there || settings.allow_root_filesystem) {
            return Ok(None);
        }
        self.take_in(path, role).map(Some).map_err(|error| problem_of(&error))
    }

    fn is_place_of_known(&self, path: &Path) -> bool {
        let ledger = self.vault.ledger();
        ledger.disks.values().any(|disk| !disk.retired && Path::new(&disk.path) == path.join(FOLDER))
    }

    fn take_in(&self, path: &Path, role: DiskRole) -> Result<(String, Mount), StoreError> {
        let failed = |source| StoreError::Disk { path: path.display().to_string(), source };
        let disk = disks::make(path, self.settings.vault.allow_root_filesystem)
            .map_err(|problem| failed(std::io::Error::other(problem)))?;
        let mount = Mount::of(&disk, path).map_err(failed)?;
        let id = self.vault.adopt(Arc::new(disk), random(), role, self.stamp())?;
        Ok((id, mount))
    }

    /// Takes in an empty disk, or a known disk, on the word of a person at the box.
    pub(crate) fn adopt(&self, path: &Path, role: DiskRole) -> Result<String, StoreError> {
        let foreign = |why: &str| StoreError::Foreign {
            what: format!("the disk at {} cannot be used: {why}", path.display()),
        };
        let _alone = self.registry.moving();
        let here = self
            .registry
            .mounts()
            .here
            .iter()
            .find(|(_, mount)| mount.path == *path)
            .map(|(id, _)| id.clone());
        if here.is_none() {
            let io = |source| StoreError::Disk { path: path.display().to_string(), source };
            let is_empty = !path.join(FOLDER).join(layout::DISK_FILE).exists();
            if is_empty && !disks::is_unused(path).map_err(io)? {
                return Err(foreign("it holds other files, and nothing is ever emptied; use an empty disk"));
            }
        }
        // A connected disk is opened anew: a distrusted disk comes back this way.
        if let Some(id) = here {
            self.registry.mounts().here.remove(&id);
            self.vault.detach(&id);
        }
        let (id, mount) = self.take_in(path, role)?;
        self.enter(id.clone(), mount);
        Ok(id)
    }

    /// Brings a disk up to date and releases the disk.
    pub(crate) fn release(&self, id: &str) -> Result<(), StoreError> {
        let _alone = self.registry.moving();
        self.vault.release(id, self.stamp())?;
        let mut mounts = self.registry.mounts();
        if let Some(mount) = mounts.here.remove(id) {
            mounts.released.insert(id.to_owned(), mount);
        }
        drop(mounts);
        self.keep_primary();
        Ok(())
    }

    /// Releases every offsite disk that is at home, and tells if each of them, and at least one, may be unplugged now.
    pub(crate) fn release_offsite(&self) {
        let is_here = |disk: &larder_store::MemberView| {
            disk.role == DiskRole::Offsite
                && matches!(disk.state, MemberState::Healthy | MemberState::Behind(_))
        };
        let here: Vec<_> = self.vault.disks().into_iter().filter(is_here).collect();
        let mut is_released = !here.is_empty();
        for disk in here {
            match self.release(&disk.id) {
                Ok(()) => tracing::info!(disk = disk.path, "released by the button: it may be unplugged"),
                Err(error) => {
                    is_released = false;
                    let cause = causes(&error);
                    tracing::warn!(cause, disk = disk.path, "held at the button, and could not be released");
                }
            }
        }
        if is_released {
            self.tell(AgentEvent::OffsiteReleased);
            self.disks_changed.notify_one();
        }
    }

    fn note_complete(&self) {
        let now = self.stamp();
        for disk in self.vault.disks().iter().filter(|disk| disk.state == MemberState::Healthy) {
            let age_ms = disk.complete.map_or(i64::MAX, |at| now.time_ms.saturating_sub(at.time_ms));
            let is_owed = self.registry.mounts().owed.contains(&disk.id);
            let wait_ms = match (is_owed, disk.role == DiskRole::Offsite, disk.is_older_copy) {
                (true, _, true) => 0,
                (true, ..) => NOTED_AGAIN_MS,
                (false, true, _) => NOTED_EVERY_MS,
                _ => continue,
            };
            let noted = if age_ms < wait_ms { Ok(()) } else { self.vault.note_complete(&disk.id, now) };
            match noted {
                Ok(()) => drop(self.registry.mounts().owed.remove(&disk.id)),
                Err(error) => tracing::warn!(%error, "could not write down that a disk is complete"),
            }
        }
    }

    fn end_forgetting(&self) {
        for disk in self.vault.disks().into_iter().filter(|disk| disk.leaving.is_some()) {
            match self.vault.retire(&disk.id, self.stamp()) {
                Ok(()) => drop(self.registry.mounts().here.remove(&disk.id)),
                Err(StoreError::Waits { .. }) => {}
                Err(error) => tracing::warn!(%error, "a disk cannot be let go of yet"),
            }
        }
    }

    /// Index and powered-on count move with the first connected disk when their own disk is away.
    fn keep_primary(&self) {
        let mut mounts = self.registry.mounts();
        if mounts.here.values().any(|mount| mount.path == mounts.primary) {
            return;
        }
        let disks = self.vault.disks();
        let healthy = disks.iter().filter(|disk| disk.state == MemberState::Healthy);
        let Some(primary) =
            healthy.filter_map(|disk| mounts.here.get(&disk.id)).map(|mount| mount.path.clone()).next()
        else {
            return;
        };
        mounts.primary.clone_from(&primary);
        drop(mounts);
        self.clock.move_to(&primary.join(FOLDER));
        if self.settings.vault.index.is_none() {
            self.vault.move_index(IndexPlace::Folder(primary.join(FOLDER).join("index")));
        }
    }

    /// The one disk meant by `name`, its path or the first digits of its id; none where no disk matches.
    pub(crate) fn disk_named(&self, name: &str) -> Result<Option<String>, StoreError> {
        let disks = self.vault.disks();
        let is_meant = |disk: &&larder_store::MemberView| {
            let path = Path::new(&disk.path);
            path == Path::new(name) || path.parent() == Some(Path::new(name)) || disk.id.starts_with(name)
        };
        let mut meant = disks.iter().filter(is_meant).filter(|_| !name.is_empty());
        match (meant.next(), meant.next()) {
            (Some(disk), None) => Ok(Some(disk.id.clone())),
            (Some(_), Some(_)) => {
                Err(StoreError::Foreign { what: format!("\"{name}\" means more than one disk") })
            }
            _ => Ok(None),
        }
    }
}

fn problem_of(error: &dyn std::error::Error) -> WhyRejected {
    WhyRejected::Problem(causes(error))
}
