//! What is done with a pack that cannot be made whole: its whole blocks move to a new pack, what is missing then is
//! named and remembered, and the damaged file is set aside.
//!
//! In this order, so that a power cut leaves a chunk twice rather than not at all. What was lost counts as not there,
//! so a device that still has it is asked for it at its next push. Nothing is called lost that a disk did not answer for,
//! or that lies in a pack that was set aside (`quarantine`).

use super::blocks;
use super::lost::{self, Look, Lost};
use super::mend::{self, Copies, Mended};
use super::place;
use super::survey::Scope;
use crate::disk::{Disk, DiskFile};
use crate::ingest::{OpenPack, Sealed};
use crate::members::Member;
use crate::vault::Vault;
use crate::{Result, packs};
use larder_format::{ChunkId, Hash};
use std::collections::HashSet;

/// How often it is looked what is lost while the index changes, or blocks come back from the quarantine.
const LOOKS_MAX: usize = 4;

/// Whether what cannot be read at this moment is read again later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// It is: nothing is given up as long as a disk does not answer.
    Waits,
    /// It was tried often enough: it counts as damaged.
    AtAnEnd,
}

impl Vault {
    /// Gives up a pack that no disk has whole and no parity brings back. Returns what was lost with it; nothing when a disk
    /// did not answer for something, and then the pack is as it was.
    ///
    /// # Errors
    /// `Full` or `Disk`: the pack is then as it was, damaged and in its place.
    pub(super) fn give_up(&self, member: &Member, name: &Hash, patience: Patience) -> Result<Option<Lost>> {
        let number = self.catalog.packs.number(name);
        let copies = Copies::open(&self.members, member, name);
        // Readers go on using what is whole in it meanwhile; only `held` sees past it.
        number.into_iter().for_each(|number| self.catalog.packs.damage.condemn(number));
        let given_up = self.empty(&copies, name, patience);
        if !matches!(given_up, Ok(Some(_))) {
            number.into_iter().for_each(|number| self.catalog.packs.damage.reprieve(number));
        }
        let Some(lost) = given_up? else { return Ok(None) };
        // Taking it apart takes a while, and a disk that has it whole may have come meanwhile.
        if mend::mend(&self.members, member, name, self.reserve_bytes / 2)? == Mended::Whole {
            self.is_whole_again(name);
            return Ok(Some(Lost::default()));
        }
        self.care.retire(*name);
        self.is_suspected_no_longer(name);
        // Nobody lacks it any more: what was whole in it lies elsewhere, and the rest was named.
        if let Some(number) = number {
            self.catalog.retire(number, name, copies.len().unwrap_or(0));
        }
        // The others keep theirs: what is there is not believed, and they are not written to.
        for member in self.members.all().iter().filter(|member| member.is_healthy() || member.is_behind()) {
            let disk = member.disk.as_ref();
            place::set_aside(disk, &packs::path(name))
                .map_err(|source| member.failed("quarantine", source))?;
            place::set_aside(disk, &crate::parity::path(name))
                .map_err(|source| member.failed("quarantine", source))?;
        }
        Ok(Some(lost))
    }

    /// Moves what is whole elsewhere, and writes down what is not.
    fn empty(&self, copies: &Copies, name: &Hash, patience: Patience) -> Result<Option<Lost>> {
        let table = packs::read_table(&self.members, name).ok();
        let candidates: Option<HashSet<_>> = table.map(|table| table.chunks.into_iter().collect());
        let moved = self.move_whole_blocks(|moving| moving.all_of(copies, candidates.as_ref()))?;
        if copies.is_unread() && patience == Patience::Waits {
            return Ok(None);
        }
        // A table that is whole may be that of another pack, which stands in the place of this one.
        let damage = &self.catalog.packs.damage;
        let is_all_here = self.members.are_all_here() && !damage.is_any_gone_without();
        let scope = Scope {
            candidates: candidates.as_ref().filter(|_| !is_all_here),
            listed: candidates.as_ref(),
            pack: self.catalog.packs.number(name),
        };
        let Some(found) = self.look_until_steady(&scope)? else { return Ok(None) };
        if !found.chunks.is_empty() || !copies.packs.is_empty() {
            lost::write(&self.members, name, &found)?;
        }
        damage.give_up(found.chunks.iter().copied());
        tracing::error!(pack = %name, moved, lost = found.chunks.len(), "a pack could not be repaired");
        Ok(Some(found))
    }

    /// What is lost; nothing when a disk does not answer for something.
    fn look_until_steady(&self, scope: &Scope<'_>) -> Result<Option<Lost>> {
        for _ in 0..LOOKS_MAX {
            // What the index does not know yet must not be taken for lost.
            self.catalog.enter_pending(&self.members, usize::MAX);
            match self.find_lost(scope, &|| true)? {
                Look::Found(lost) => return Ok(Some(lost)),
                Look::Unfinished => return Ok(None),
                Look::Unsteady => {}
            }
        }
        Ok(None)
    }

    /// Moves whole blocks to new packs, as `choose` takes them. Returns how many chunks were moved.
    pub(super) fn move_whole_blocks(
        &self,
        choose: impl FnOnce(&mut Moving<'_>) -> Result<()>,
    ) -> Result<usize> {
        let mut moving = Moving { vault: self, seen: HashSet::new(), open: None, sealed: Vec::new() };
        let moved = choose(&mut moving).and_then(|()| moving.seal());
        moved.inspect_err(|_| moving.abandon())?;
        let Moving { seen, sealed, .. } = moving;
        sealed.iter().for_each(|pack| self.enter_made_apart(pack));
        Ok(seen.len())
    }

    pub(super) fn is_held(&self, id: &ChunkId) -> bool {
        self.catalog.held(&self.members, id).is_some()
    }
}

/// New packs for the whole blocks of one that is given up.
pub(super) struct Moving<'a> {
    vault: &'a Vault,
    seen: HashSet<ChunkId>,
    open: Option<OpenPack>,
    sealed: Vec<Sealed>,
}

impl Moving<'_> {
    /// Also from packs that were swept and whose files are still there: what was merged into this one lies in them.
    fn all_of(&mut self, copies: &Copies, candidates: Option<&HashSet<ChunkId>>) -> Result<()> {
        for file in &copies.packs {
            self.blocks_of(file.as_ref(), |_| true)?;
        }
        for name in self.vault.catalog.packs.left_to_sweep() {
            let all = self.vault.members.all();
            let readable = all.iter().filter(|member| member.is_readable());
            for file in readable.filter_map(|member| member.disk.open(&packs::path(&name)).ok()) {
                self.blocks_of(file.as_ref(), |id| candidates.is_none_or(|lost| lost.contains(id)))?;
            }
        }
        Ok(())
    }

    /// Takes the whole blocks of one file that hold a wanted chunk which is not to be had elsewhere.
    pub(super) fn blocks_of(
        &mut self,
        file: &dyn DiskFile,
        is_wanted: impl Fn(&ChunkId) -> bool,
    ) -> Result<()> {
        blocks::for_each_whole(file, |block, names| {
            // What another pack lists may be damaged there, and this copy is in hand.
            let is_had = |id: &ChunkId| self.vault.is_held(id) && self.vault.read_wherever(id).is_ok();
            if !names.iter().any(|id| is_wanted(id) && !self.seen.contains(id) && !is_had(id)) {
                return Ok(());
            }
            self.seen.extend(names.iter().copied());
            if self.open.as_ref().is_some_and(|pack| pack.is_full(names.len())) {
                self.seal()?;
            }
            let members = &self.vault.members;
            let pack = match &mut self.open {
                Some(pack) => pack,
                None => self.open.insert(OpenPack::create(members, self.vault.catalog.packs.salt())?),
            };
            pack.append(members, block, names)
        })
    }

    fn seal(&mut self) -> Result<()> {
        let sealed = self.open.take().map(|pack| pack.seal(&self.vault.members)).transpose()?;
        self.sealed.extend(sealed);
        Ok(())
    }

    /// On a full disk what was begun takes the room that others are to work in.
    fn abandon(&mut self) {
        if let Some(open) = self.open.take() {
            open.abandon(&self.vault.members);
        }
    }
}
