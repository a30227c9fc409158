//! Swept packs: no longer in the list, with their files still on a disk for a while.

use crate::ledger::clock::TrustedTime;
use crate::packs::registry::Packs;
use larder_format::Hash;
use std::collections::HashMap;
use std::sync::atomic::Ordering;

impl Packs {
    /// Number, name and length of every pack.
    pub(crate) fn with_lengths(&self) -> Vec<(u32, Hash, u64)> {
        let registry = self.registry.read();
        registry.names.iter().map(|(number, name)| (*number, *name, registry.numbers[name].1)).collect()
    }

    /// The salt of new packs, so that no new pack gets the name of a swept pack.
    pub(crate) fn salt(&self) -> u32 {
        self.salt.load(Ordering::SeqCst)
    }

    /// From now on new packs carry at least `salt`.
    pub(crate) fn raise_salt(&self, salt: u32) {
        self.salt.fetch_max(salt, Ordering::SeqCst);
    }

    /// Takes packs out of the list, and leaves their files to be removed.
    pub(crate) fn forget(&self, numbers: &[u32]) {
        let mut registry = self.registry.write();
        for number in numbers {
            let Some(name) = registry.names.remove(number) else { continue };
            let (_, len) = registry.numbers.remove(&name).expect("both name it");
            registry.bytes = registry.bytes.saturating_sub(len);
            registry.swept.insert(name);
        }
        drop(registry);
        // Also closes the packs' files: an open file keeps its room on the disk.
        numbers.iter().for_each(|number| self.reopen(*number));
    }

    /// Takes the swept packs out of `there`, the packs on a disk, and leaves their files to be removed.
    pub(crate) fn leave_to_sweep(&self, there: &mut HashMap<Hash, u64>, swept: &HashMap<Hash, TrustedTime>) {
        let mut registry = self.registry.write();
        registry.swept.extend(there.keys().filter(|name| swept.contains_key(name)));
        there.retain(|name, _| !swept.contains_key(name));
    }

    /// Names of packs whose files may be removed, in order.
    pub(crate) fn left_to_sweep(&self) -> Vec<Hash> {
        self.registry.read().swept.iter().copied().collect()
    }

    pub(crate) fn is_left_to_sweep(&self, name: &Hash) -> bool {
        self.registry.read().swept.contains(name)
    }

    /// The file of the pack is not left to be removed any more: the pack is on no disk, or belongs to the vault
    /// again.
    pub(crate) fn no_longer_left(&self, name: &Hash) {
        self.registry.write().swept.remove(name);
    }
}
