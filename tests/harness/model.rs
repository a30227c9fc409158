//! The naive reference: a plain copy of everything that was confirmed, and which disks confirmed it.
//!
//! It knows nothing of packs, chunks or entries, so it cannot be wrong in the same way as the store. After any fault
//! it says what must be there: a promise must be kept as long as one disk is at hand that made it and has no excuse.
//! Excuses are told to it by whoever broke the disk. Whatever the excuse, wrong bytes are never one.
//! Not here: faults (`store::disk`), time and retention (`tests/decade`).

use crate::plain::{APPLIANCE, Files, restore};
use larder_format::ledger::Pairing;
use larder_format::tree::{Kind, Piece};
use larder_format::{ChunkRef, Hash};
use larder_store::{Committed, MemberState, Vault};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

/// A snapshot that was acknowledged, and what it must give back for ever.
#[derive(Debug, Clone)]
pub struct Promise {
    /// The push that was acknowledged.
    pub push: u128,
    /// `DEVICE/NAME`.
    pub source: String,
    /// What the receipt named.
    pub root: ChunkRef,
    /// Number of the ledger entry.
    pub sequence: u64,
    /// What was pushed.
    pub files: Arc<Files>,
    /// Disks that confirmed it and have no excuse.
    disks: BTreeSet<String>,
    /// Retention let go of it.
    is_let_go: bool,
}

/// Everything that was confirmed.
#[derive(Debug, Clone, Default)]
pub struct Model {
    promises: Vec<Promise>,
    keys: BTreeMap<Hash, Option<Pairing>>,
    holds: BTreeMap<u64, Option<String>>,
}

/// A moment in the life of the vault: how much had been promised by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(usize);

impl Mark {
    /// Before anything was promised.
    pub const START: Self = Self(0);
}

/// What a check found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Checked {
    /// Snapshots restored, byte by byte.
    pub restored: u64,
    /// Files compared.
    pub files: u64,
    /// Snapshots of which every piece was read and hashed, those that they share only once.
    pub reached: u64,
    /// Snapshots that came back although their loss would have been excused.
    pub lucky: u64,
    /// Snapshots that did not come back, and need not.
    pub excused: u64,
}

impl Promise {
    /// No disk is left that made it and has no excuse.
    pub fn is_excused(&self) -> bool {
        self.disks.is_empty()
    }
}

impl Checked {
    /// Both together.
    pub fn add(&mut self, other: Self) {
        self.restored += other.restored;
        self.files += other.files;
        self.reached += other.reached;
        self.lucky += other.lucky;
        self.excused += other.excused;
    }
}

impl Model {
    /// A push was acknowledged.
    ///
    /// # Errors
    /// A receipt that contradicts an earlier one.
    pub fn confirm(&mut self, committed: &Committed, push: u128, files: &Arc<Files>) -> Result<(), String> {
        let record = &committed.record;
        let disks: BTreeSet<_> = committed.disks.iter().cloned().collect();
        if disks.is_empty() {
            return Err(format!("push {push} was acknowledged by no disk"));
        }
        if committed.degraded.iter().any(|disk| disks.contains(disk)) {
            return Err(format!("push {push}: a disk both has it and has it not"));
        }
        if let Some(known) = self.promises.iter_mut().rev().find(|known| known.push == push) {
            // Asked again. Whoever lost it for good reason got it again under a new number.
            let is_same = known.sequence == record.sequence && known.root == record.snapshot.root;
            if !(is_same || known.disks.is_empty()) {
                return Err(format!("push {push} became two snapshots"));
            }
            (known.sequence, known.root, known.files) =
                (record.sequence, record.snapshot.root, files.clone());
            known.disks.extend(disks);
            return Ok(());
        }
        self.promises.push(Promise {
            push,
            source: record.snapshot.source.clone(),
            root: record.snapshot.root,
            sequence: record.sequence,
            files: files.clone(),
            disks,
            is_let_go: false,
        });
        Ok(())
    }

    /// A key was acknowledged as valid, or as ended.
    pub fn confirm_key(&mut self, key: Hash, pairing: Option<Pairing>) {
        self.keys.insert(key, pairing);
    }

    /// A hold was acknowledged as set by entry `sequence`, or as cleared (no source then).
    pub fn confirm_hold(&mut self, sequence: u64, source: Option<String>) {
        self.holds.insert(sequence, source);
    }

    /// The key is about to change: until that is acknowledged, either answer is right.
    pub fn forget_key(&mut self, key: &Hash) {
        self.keys.remove(key);
    }

    /// The hold is about to be cleared: until that is acknowledged, either answer is right.
    pub fn forget_hold(&mut self, sequence: u64) {
        self.holds.remove(&sequence);
    }

    /// Retention lets go of what a push became; whoever calls this has checked that it may.
    pub fn let_go(&mut self, push: u128) {
        let gone = self.promises.iter_mut().filter(|promise| promise.push == push);
        gone.for_each(|promise| promise.is_let_go = true);
    }

    /// This moment, for `disk_may_lack`.
    pub fn mark(&self) -> Mark {
        Mark(self.promises.len())
    }

    /// The vault shows these disks as healthy, so each of them says that it has everything that any of them has.
    pub fn believe_healthy(&mut self, vault: &Vault) {
        let views = here(vault);
        let healthy: Vec<_> = views.iter().filter(|view| view.state == MemberState::Healthy).collect();
        for promise in &mut self.promises {
            // What no disk at hand has cannot have been brought to another one.
            if views.iter().any(|view| promise.disks.contains(&view.id)) {
                promise.disks.extend(healthy.iter().map(|view| view.id.clone()));
            }
        }
    }

    /// The disk has an excuse for everything that was promised since `mark`: its flushes were lies and the power went,
    /// or it was swapped for an older image, or emptied.
    pub fn disk_may_lack(&mut self, disk: &str, mark: Mark) {
        for promise in self.promises.iter_mut().skip(mark.0) {
            promise.disks.remove(disk);
        }
    }

    /// Everything that was promised and not let go of, oldest first.
    pub fn promises(&self) -> impl DoubleEndedIterator<Item = &Promise> {
        self.promises.iter().filter(|promise| !promise.is_let_go)
    }

    /// Those that were made since `mark`.
    pub fn since(&self, mark: Mark) -> impl Iterator<Item = &Promise> {
        self.promises.iter().skip(mark.0).filter(|promise| !promise.is_let_go)
    }

    /// How many of them.
    pub fn len(&self) -> usize {
        self.promises().count()
    }

    /// Whether nothing was promised.
    pub fn is_empty(&self) -> bool {
        self.promises.is_empty()
    }

    /// Whether a promise must be kept with only these disks at hand.
    pub fn must_keep(&self, promise: &Promise, disks: &[String]) -> bool {
        disks.iter().any(|disk| promise.disks.contains(disk))
    }

    /// Compares those promises that `wanted` chooses with what the vault gives back.
    ///
    /// # Errors
    /// What was lost, or wrong bytes.
    pub fn check(&self, vault: &Vault, wanted: impl Fn(&Promise) -> bool) -> Result<Checked, String> {
        let disks: Vec<_> = here(vault).into_iter().map(|view| view.id).collect();
        self.check_with(vault, &disks, wanted)
    }

    /// As `check`, where only some of the disks are to be held to their word.
    ///
    /// # Errors
    /// What was lost, or wrong bytes.
    pub fn check_with(
        &self,
        vault: &Vault,
        disks: &[String],
        wanted: impl Fn(&Promise) -> bool,
    ) -> Result<Checked, String> {
        let mut checked = Checked::default();
        for promise in self.promises().filter(|promise| wanted(promise)) {
            let Promise { push, source, sequence, .. } = promise;
            let name = format!("snapshot {sequence} of {source} (push {push})");
            let must = self.must_keep(promise, disks);
            let record = vault.ledger().push(&push.to_be_bytes()).cloned();
            if must && record.is_none_or(|record| record.snapshot.root != promise.root) {
                return Err(format!("{name} is not in the ledger"));
            }
            match restore(vault, promise.root) {
                Ok(found) if found == *promise.files => {
                    checked.restored += 1;
                    checked.files += found.len() as u64;
                    checked.lucky += u64::from(!must);
                }
                Ok(_) => return Err(format!("{name} gives other bytes")),
                Err(error) if must => return Err(format!("{name} is lost: {error:?}")),
                Err(_) => checked.excused += 1,
            }
        }
        Ok(checked)
    }

    /// Reads every piece of every promise that must be kept, those that several share only once. A root is the hash of
    /// all that is below it, so what is reached from the right root is what was pushed.
    ///
    /// # Errors
    /// What was lost.
    pub fn check_reachable(&self, vault: &Vault, disks: &[String]) -> Result<Checked, String> {
        let mut seen = BTreeSet::new();
        let mut checked = Checked::default();
        for promise in self.promises().filter(|promise| self.must_keep(promise, disks)) {
            reach(vault, promise.root, &mut seen).map_err(|error| {
                format!(
                    "snapshot {} of {} (push {}) is lost: {error:?}",
                    promise.sequence, promise.source, promise.push
                )
            })?;
            checked.reached += 1;
        }
        Ok(checked)
    }

    /// Compares the keys and holds that were acknowledged with the ledger.
    ///
    /// # Errors
    /// The first that differs.
    pub fn check_keys_and_holds(&self, vault: &Vault) -> Result<(), String> {
        let view = vault.ledger();
        for (key, pairing) in &self.keys {
            if view.pairings.get(key) != pairing.as_ref() {
                return Err(format!("key {} is not as it was acknowledged: {pairing:?}", key.short()));
            }
        }
        for (sequence, source) in &self.holds {
            let found = view
                .holds
                .get(sequence)
                .filter(|hold| hold.cleared.is_none())
                .and_then(|hold| hold.source.clone());
            if found != *source {
                return Err(format!("hold {sequence} is not as it was acknowledged: {source:?}"));
            }
        }
        Ok(())
    }
}

/// Reads everything below a node that was not read before.
fn reach(vault: &Vault, root: ChunkRef, seen: &mut BTreeSet<Hash>) -> larder_store::Result<()> {
    let mut nodes = vec![root];
    while let Some(node) = nodes.pop() {
        if !seen.insert(node.id) {
            continue;
        }
        for entry in vault.by(&APPLIANCE).entries(node) {
            match entry?.entry.kind {
                Kind::Directory { node, .. } => nodes.push(node),
                Kind::File { size, pieces } => {
                    let is_new =
                        |piece: &Piece| !matches!(piece, Piece::Chunk(chunk) if seen.contains(&chunk.id));
                    if pieces.iter().any(is_new) {
                        vault
                            .by(&APPLIANCE)
                            .file_bytes(&pieces, 0..size, &mut |_| ControlFlow::Continue(()))?;
                        seen.extend(pieces.iter().filter_map(|piece| match piece {
                            Piece::Chunk(chunk) => Some(chunk.id),
                            _ => None,
                        }));
                    }
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// Disks that are connected: one that is away can be held to nothing now.
fn here(vault: &Vault) -> Vec<larder_store::MemberView> {
    vault.disks().into_iter().filter(|view| view.state != MemberState::Away).collect()
}
