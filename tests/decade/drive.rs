//! One physical disk: its medium, whether it is honest, how it may be damaged, and an image that somebody made of it.
//!
//! What is whole on it is found by reading the medium itself, behind the back of the store, with nothing but the
//! hashes that the format promises. Not here: which disk is in which slot (`appliance`).

use harness::model::Mark;
use larder_format::Hash;
use larder_format::ledger::Entry;
use larder_store::disk::{Dice, Disk, MemoryDisk};
use std::collections::BTreeSet;

/// A disk, in a slot or on a shelf.
#[derive(Clone)]
pub(crate) struct Drive {
    pub(crate) name: String,
    /// What the vault calls it; none before it has joined.
    pub(crate) id: Option<String>,
    pub(crate) medium: MemoryDisk,
    /// Its syncs say yes and do nothing.
    pub(crate) is_liar: bool,
    /// What was promised by the time when its caches were empty last.
    pub(crate) settled: Mark,
    pub(crate) is_dead: bool,
    /// It will die in the coming days, so nothing may rely on it.
    pub(crate) is_doomed: bool,
    /// The disk as it was once.
    pub(crate) image: Option<MemoryDisk>,
}

impl Drive {
    pub(crate) fn new(name: String) -> Self {
        let medium = MemoryDisk::named(&name);
        let (settled, image) = (Mark::START, None);
        Self { name, id: None, medium, is_liar: false, settled, is_dead: false, is_doomed: false, image }
    }

    /// Whether what is on it now will be there tomorrow.
    pub(crate) fn is_reliable(&self) -> bool {
        !(self.is_dead || self.is_doomed || self.is_liar)
    }

    /// Paths of packs and entries on it: those that are what they should be, and those that are not.
    pub(crate) fn survey(&self) -> (BTreeSet<String>, BTreeSet<String>) {
        let files = self.medium.files().into_iter().map(|(path, _)| path);
        let kept = files.filter(|path| path.ends_with(".pack") || path.ends_with(".entry"));
        let kept = kept.filter(|path| path.starts_with("packs/") || path.starts_with("ledger/"));
        kept.partition(|path| self.is_whole(path))
    }

    fn is_whole(&self, path: &str) -> bool {
        let Ok(file) = self.medium.open(path) else { return false };
        let Ok(len) = file.len() else { return false };
        let mut bytes = vec![0; usize::try_from(len).expect("small files")];
        if file.read_at(0, &mut bytes).is_err() {
            return false;
        }
        let name = path.rsplit('/').next().unwrap_or_default();
        match name.strip_suffix(".pack") {
            Some(hex) => Hash::of(&bytes).to_string() == hex,
            None => Entry::decode(&bytes).is_ok_and(|(_, _, read)| read == bytes.len()),
        }
    }

    /// Time does something to one of `paths`; returns what.
    pub(crate) fn rot(&self, paths: &[String], dice: &mut Dice) -> Option<String> {
        let path = paths.get(dice.below(paths.len()))?;
        let len = usize::try_from(self.medium.open(path).and_then(|file| file.len()).ok()?).ok()?;
        let at = dice.below(len);
        let done = match dice.below(4) {
            0 => self.medium.lose(path).then_some("vanished"),
            1 => self.medium.make_unreadable(path, at..at + 64).then_some("cannot be read"),
            2 => self
                .medium
                .scramble(path, at..at + dice.below(400) + 1, dice.roll())
                .then_some("was overwritten"),
            _ => self.medium.flip(path, at, 3).then_some("has a wrong bit"),
        };
        done.map(|what| format!("{path} {what}"))
    }
}
