//! Permissions of the moment, and the reasons against a step.

use crate::core::Core;
use crate::disks::member::{Member, MemberState};
use crate::ledger::view::Access;
use crate::{Result, StoreError};
use larder_format::pack::PACK_BYTES_AIM;
use larder_format::{ChunkId, Hash, layout};
use std::collections::HashSet;
use std::sync::atomic::Ordering;

impl Core {
    /// Whether the pack was swept, so that no thread may bring it back.
    pub(crate) fn is_let_go(&self, name: &Hash) -> bool {
        self.ledger().swept.contains_key(name) || self.catalog.packs.is_left_to_sweep(name)
    }

    /// The reason, in words, for which need cannot be told at this moment.
    pub(crate) fn why_in_doubt(&self) -> Option<String> {
        if !self.ledger().gaps.is_empty() {
            return Some("the ledger has gaps, so nobody knows what is needed".to_owned());
        }
        if self.access() != Access::Full {
            return Some("a newer Larder has written what this one does not know".to_owned());
        }
        // A full disk lacks only what the others have, and would get no room as long as nothing is let go of.
        let is_missed = |member: &Member| !member.is_healthy() && member.is_missed() && !member.is_full();
        if self.members.all().iter().any(|member| is_missed(member)) {
            return Some("a disk lacks something, failed or is away".to_owned());
        }
        // Trees below a lost folder look unneeded, and the absent disk may have the folder.
        let is_away = |member: &Member| member.state() == MemberState::Away;
        if self.damaged_chunks() > 0 && self.members.all().iter().any(|member| is_away(member)) {
            return Some("something is lost that a disk which is away may have".to_owned());
        }
        (self.catalog.pending_count() > 0).then(|| "the index is being made anew".to_owned())
    }

    /// Whether the pack's content is unknown, or partly unreadable.
    pub(crate) fn is_doubtful(&self, pack: u32, name: &Hash) -> bool {
        self.trouble().is_unreadable(name) || self.trouble().is_in(pack)
    }

    /// Fails at once when there is no disk to read from, before the start of an answer that could only stay empty.
    ///
    /// # Errors
    /// `Disk`.
    pub(crate) fn require_readable(&self) -> Result<()> {
        let may_be_read = self.catalog.packs.may_be_read(&self.members);
        if may_be_read { Ok(()) } else { Err(self.members.none_left(layout::PACKS)) }
    }

    /// The same after a search without a result: asks the disks.
    ///
    /// # Errors
    /// `Disk`.
    pub(crate) fn require_answering(&self) -> Result<()> {
        let is_any = self.catalog.packs.is_any_answering(&self.members);
        if is_any { Ok(()) } else { Err(self.members.none_left(layout::PACKS)) }
    }

    /// How often a disk failed since a person last vouched for the disk.
    pub(crate) fn failures_of(&self, member: &Member) -> u32 {
        let noted = self.ledger().disks.get(&member.key).map_or(0, |known| known.failures);
        noted.saturating_add(member.unnoted_failures.load(Ordering::SeqCst))
    }

    /// Whether the counted disks lack a file that another disk has or may have.
    pub(crate) fn lacks_what_another_disk_has(&self) -> bool {
        self.trouble().is_any_gone_without() || self.trouble().hides_packs()
    }

    /// Bytes left free before an upload is refused: the reserve, and a pack that an upload may fill.
    pub(crate) fn kept_free_bytes(&self) -> u64 {
        self.reserve_bytes.saturating_add(PACK_BYTES_AIM)
    }

    /// Bytes that uploads can still bring before a refusal; 0 where no disk tells its room.
    pub(crate) fn room_for_uploads(&self) -> u64 {
        self.told_room_for_uploads().unwrap_or(0)
    }

    /// The same; `None` where no disk tells its room.
    pub(crate) fn told_room_for_uploads(&self) -> Option<u64> {
        let free = self.members.free_for(self.copies.load(Ordering::Relaxed))?;
        Some(free.saturating_sub(self.kept_free_bytes()))
    }

    /// Packs without a readable table on any disk.
    pub(crate) fn unreadable_packs(&self) -> usize {
        self.trouble().unreadable_count()
    }

    /// Chunks damaged on every disk and not brought again by a push.
    pub(crate) fn damaged_chunks(&self) -> usize {
        self.catalog.damaged(&self.members)
    }

    /// Chunks that were given up and did not come back.
    pub(crate) fn lost_chunks(&self) -> HashSet<ChunkId> {
        let mut lost = self.trouble().given_up();
        lost.retain(|id| !self.is_held(id));
        lost
    }

    pub(crate) fn is_held(&self, id: &ChunkId) -> bool {
        self.catalog.held(&self.members, id).is_some()
    }

    /// Refuses to write into disks that a newer Larder has changed in ways unknown to this version.
    ///
    /// # Errors
    /// `ReadOnly`.
    pub(crate) fn require_own_format(&self) -> Result<()> {
        match self.access() {
            Access::ReadOnly { since } => Err(StoreError::ReadOnly { since }),
            Access::Full | Access::KeepEverything { .. } => Ok(()),
        }
    }

    /// Permissions of this version on the disks in their present state.
    pub(crate) fn access(&self) -> Access {
        let of_packs = self.trouble().newer_layout().map_or(Access::Full, |since| Access::ReadOnly { since });
        self.ledger().access().max(of_packs)
    }
}
