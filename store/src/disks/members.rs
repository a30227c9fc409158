//! The disks of one vault: each a complete copy for the packs and entries on it.
//!
//! Every file is written to every healthy disk, and read from any disk that answers. A disk that fails once gets no
//! more writes until a new check: after a failed sync its cache may show bytes missing on the medium. After a second
//! failure the disk waits for a person. Receipts name the disks with a commit. Not here: how a disk joins and leaves
//! (`arrival`), filling a lagging disk (`resync`).

use crate::disk::Disk;
use crate::disks::known::KnownDisks;
use crate::disks::member::{FAILURES_MAX, Member, MemberState, MemberView, failed_before};
use crate::disks::slot::Slot;
use crate::locks::{RwLock, rank};
use crate::{Result, StoreError};
use larder_format::ledger::DiskId;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The disks, and the number of the next `.part` file. The number belongs to the vault: two vaults in one process must
/// not move each other's names, or a simulated disk would not repeat a run. The list only ever grows, so that a
/// position means one disk for as long as the vault is open.
pub(crate) struct Members(RwLock<Arc<[Arc<Member>]>, { rank::MEMBERS }>, AtomicU64);

impl Members {
    /// These disks, and no earlier disk.
    pub(crate) fn new(members: Vec<Arc<Member>>) -> Self {
        Self(RwLock::new(members.into()), AtomicU64::new(1))
    }

    /// A step of the start failed on a disk: no reason to stop, as long as another disk works.
    ///
    /// # Errors
    /// The failure itself when no healthy disk is left.
    pub(crate) fn go_on_without(&self, failure: StoreError) -> Result<()> {
        if !self.is_any_healthy() {
            return Err(failure);
        }
        tracing::warn!(%failure, "going on without this disk");
        Ok(())
    }

    /// Makes room for the absent disks of the ledger, and applies the ledger's facts about the present disks.
    pub(crate) fn settle(&self, known: &KnownDisks) -> Result<()> {
        for (key, disk) in known {
            let Some(member) = self.find(*key) else {
                if !disk.retired {
                    let member = Member::new(*key, Slot::empty(disk.path.clone()), MemberState::Away);
                    member.set_role(disk.role);
                    self.add(Arc::new(member));
                }
                continue;
            };
            member.set_role(disk.role);
            if disk.retired {
                member.set_state(MemberState::Retired);
                member.disk.take();
            } else if disk.failures >= FAILURES_MAX
                && member.state() != MemberState::Forked
                && !member.state().is_read_only()
            {
                member.set_state(failed_before());
            }
        }
        if self.all().iter().any(|member| member.is_readable()) {
            return Ok(());
        }
        let what = "the disks that are here were all retired".to_owned();
        Err(StoreError::Foreign { what })
    }

    /// Whether every disk of the vault, apart from retired ones, can be asked: a pack missing everywhere is then
    /// lost.
    pub(crate) fn are_all_here(&self) -> bool {
        self.all().iter().all(|member| member.is_readable() || member.state() == MemberState::Retired)
    }

    pub(crate) fn is_any_healthy(&self) -> bool {
        self.count_healthy() > 0
    }

    pub(crate) fn count_healthy(&self) -> usize {
        self.all().iter().filter(|member| member.is_healthy()).count()
    }

    pub(crate) fn all(&self) -> Arc<[Arc<Member>]> {
        self.0.read().clone()
    }

    pub(crate) fn add(&self, member: Arc<Member>) {
        let mut members = self.0.write();
        *members = members.iter().cloned().chain([member]).collect();
    }

    pub(crate) fn find(&self, key: DiskId) -> Option<Arc<Member>> {
        self.all().iter().find(|member| member.key == key).cloned()
    }

    /// An unused number for a `.part` file.
    pub(crate) fn next_part(&self) -> u64 {
        self.1.fetch_add(1, Ordering::Relaxed)
    }

    /// Notes a `.part` file of an earlier run with this number.
    pub(crate) fn skip_parts(&self, number: u64) {
        self.1.fetch_max(number.saturating_add(1), Ordering::Relaxed);
    }

    /// Disks from which `member` may be filled.
    pub(crate) fn others(&self, member: &Member) -> Vec<Arc<Member>> {
        let all = self.all();
        all.iter().filter(|other| other.key != member.key && other.is_readable()).cloned().collect()
    }

    /// The disk with this id in hex, unless retired.
    ///
    /// # Errors
    /// `NotFound`.
    pub(crate) fn in_use(&self, id: &str) -> Result<Arc<Member>> {
        let all = self.all();
        let found = all.iter().find(|member| member.id == id && member.state() != MemberState::Retired);
        found.cloned().ok_or_else(|| StoreError::NotFound { what: format!("disk {id}") })
    }

    /// The disk with this id in hex.
    pub(crate) fn named(&self, id: &str) -> Option<Arc<Member>> {
        self.all().iter().find(|member| member.id == id).cloned()
    }

    /// Runs `action` on every healthy disk; at least one must succeed. Returns the positions of the successes.
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
        for (position, member) in self.all().iter().enumerate() {
            if !member.is_healthy() {
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

    /// Takes the healthy disks with less than `wanted` free bytes out of new backups, where `copies` disks with the room
    /// are left. Returns whether a disk stepped aside.
    pub(crate) fn leave_out_full(&self, wanted: u64, copies: usize) -> bool {
        let all = self.all();
        let told = all.iter().filter(|member| member.is_healthy()).filter_map(|member| {
            let free = member.disk.space().ok()?.free;
            Some((member, free))
        });
        let (roomy, full): (Vec<_>, Vec<_>) = told.partition(|(_, free)| *free >= wanted);
        if full.is_empty() || roomy.len() < copies.max(1) {
            return false;
        }
        for (member, free) in full {
            tracing::warn!(
                disk = member.disk.name(),
                free,
                "the disk is full; new backups go to the others alone"
            );
            member.step_aside();
        }
        true
    }

    /// The room on each of the `copies` healthy disks with the most; on each healthy disk where there are not so many. `None`
    /// when no such disk tells its room.
    pub(crate) fn free_for(&self, copies: usize) -> Option<u64> {
        let members = self.all();
        let healthy = members.iter().filter(|member| member.is_healthy());
        let mut free: Vec<_> = healthy.filter_map(|member| Some(member.disk.space().ok()?.free)).collect();
        free.sort_unstable_by(|a, b| b.cmp(a));
        free.get(copies.clamp(1, free.len().max(1)) - 1).copied()
    }

    /// The least room on any healthy disk.
    pub(crate) fn free(&self) -> u64 {
        self.tightest().map_or(0, |(_, free)| free)
    }

    /// The healthy disk with the least room, with its free bytes; `None` when no such disk tells its room.
    pub(crate) fn tightest(&self) -> Option<(String, u64)> {
        let members = self.all();
        let healthy = members.iter().filter(|member| member.is_healthy());
        let free = healthy.filter_map(|member| Some((member, member.disk.space().ok()?.free)));
        free.min_by_key(|(_, free)| *free).map(|(member, free)| (member.disk.name(), free))
    }

    pub(crate) fn views(&self, known: &KnownDisks) -> Vec<MemberView> {
        let view = |member: &Arc<Member>| MemberView {
            id: member.id.clone(),
            path: member.disk.name(),
            state: member.state(),
            space: member.disk.space().ok(),
            role: member.role(),
            is_older_copy: member.is_older_copy.load(Ordering::SeqCst),
            complete: known
                .get(&member.key)
                .filter(|known| known.complete.0 > 0)
                .map(|known| known.complete.1),
            leaving: known.get(&member.key).and_then(|known| known.leaving),
            is_full: member.is_full(),
        };
        self.all().iter().filter(|member| member.state() != MemberState::Retired).map(view).collect()
    }
}
