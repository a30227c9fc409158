//! Which packs there are, and where each chunk lies: packs and index together.
//!
//! The index is only ever a hint. When it breaks it is replaced by one made from the packs' own tables, right here,
//! and no caller need know. Not here: packs that still grow (`ingest`).

use crate::Result;
use crate::disk::Item;
use crate::index::{Broken, Index, IndexPlace};
use crate::ingest::Sealed;
use crate::members::Members;
use crate::packs::{self, Packs, Place};
use larder_format::pack::Table;
use larder_format::{ChunkId, Hash};
use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, PoisonError, RwLock};

pub(crate) struct Catalog {
    pub(crate) packs: Packs,
    place: IndexPlace,
    vault: [u8; 16],
    /// Taken out only to be replaced.
    index: RwLock<Option<Index>>,
    /// A number is given to one pack only.
    entering: Mutex<()>,
    /// Packs that are there but whose table no disk gives whole: their content is not lost, but not found either.
    pub(crate) unreadable: Vec<Hash>,
}

impl Catalog {
    /// Finds every pack on the disks. Returns also whether the index had to be made anew.
    pub(crate) fn open(place: IndexPlace, vault: [u8; 16], members: &Members) -> Result<(Self, bool)> {
        let (index, is_new) = open_index(&place, &vault);
        let index = RwLock::new(Some(index));
        let (packs, entering, unreadable) = (Packs::default(), Mutex::new(()), Vec::new());
        let mut catalog = Self { packs, place, vault, index, entering, unreadable };
        let mut found = list(members)?;
        for (number, name) in catalog.ask(members, Index::packs) {
            if let Some(len) = found.remove(&name) {
                catalog.packs.add(number, name, len);
            }
        }
        for (name, len) in found {
            match packs::read_table(members, &name) {
                Ok(table) => catalog.enter(members, &Sealed { name, len, table }),
                Err(error) => {
                    tracing::error!(pack = %name, %error, "a pack's table cannot be read");
                    catalog.unreadable.push(name);
                }
            }
        }
        Ok((catalog, is_new))
    }

    /// Makes a sealed pack findable.
    pub(crate) fn enter(&self, members: &Members, pack: &Sealed) {
        let _one_at_a_time = self.entering.lock().unwrap_or_else(PoisonError::into_inner);
        let number = self.packs.next_number();
        self.packs.add(number, pack.name, pack.len);
        let mut guard = self.index.write().unwrap_or_else(PoisonError::into_inner);
        let index = guard.as_mut().expect("taken out only to be replaced");
        if let Err(broken) = index.insert(number, pack.name, &pack.table.chunks) {
            drop(guard);
            // The new index is made from all packs, this one among them.
            self.replace(members, &broken);
        }
    }

    /// Where the index says that a chunk lies, confirmed by the pack itself.
    pub(crate) fn locate(&self, members: &Members, id: &ChunkId) -> Option<Place> {
        self.ask(members, |index| index.hints(id))
            .into_iter()
            .find_map(|hint| self.packs.confirm(members, hint, id))
    }

    /// Like `locate` for many, but an index that has no word of a chunk is not believed. What no pack holds is left
    /// out.
    pub(crate) fn find(&self, members: &Members, ids: &[ChunkId]) -> Vec<(Place, ChunkId)> {
        let mut places = Vec::with_capacity(ids.len());
        let mut unknown = HashSet::new();
        for id in ids {
            match self.locate(members, id) {
                Some(place) => places.push((place, *id)),
                None => drop(unknown.insert(*id)),
            }
        }
        if !unknown.is_empty() {
            let found = self.packs.search(members, &unknown);
            if !found.is_empty() {
                self.replace(members, &Broken::because("it lacks a chunk that a pack holds"));
            }
            places.extend(found);
        }
        places
    }

    pub(crate) fn flush(&self, members: &Members) {
        self.ask(members, Index::flush);
    }

    fn ask<T>(&self, members: &Members, question: impl Fn(&Index) -> Result<T, Broken>) -> T {
        loop {
            let guard = self.index.read().unwrap_or_else(PoisonError::into_inner);
            match question(guard.as_ref().expect("taken out only to be replaced")) {
                Ok(answer) => return answer,
                Err(broken) => {
                    drop(guard);
                    self.replace(members, &broken);
                }
            }
        }
    }

    /// Makes a new index from the packs' tables. Ends with one in memory when none can be had on a disk.
    pub(crate) fn replace(&self, members: &Members, broken: &Broken) {
        tracing::warn!(%broken, "making the index anew; nothing is lost");
        let mut guard = self.index.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(old) = guard.take() {
            old.abandon();
        }
        let mut index = match Index::discard(&self.place) {
            Ok(()) => open_index(&self.place, &self.vault).0,
            Err(error) => {
                tracing::error!(%error, "the broken index cannot be moved aside; going on without one on disk");
                memory_index(&self.vault)
            }
        };
        if self.fill(members, &mut index).is_err() {
            index.abandon();
            index = memory_index(&self.vault);
            self.fill(members, &mut index).expect("memory does not break");
        }
        *guard = Some(index);
    }

    fn fill(&self, members: &Members, index: &mut Index) -> Result<(), Broken> {
        for (number, name) in self.packs.all() {
            match packs::read_table(members, &name) {
                Ok(Table { chunks, .. }) => index.insert(number, name, &chunks)?,
                Err(error) => tracing::error!(pack = %name, %error, "a pack's table cannot be read"),
            }
        }
        index.flush()
    }
}

/// Every pack on any disk, by name, with its length.
fn list(members: &Members) -> Result<BTreeMap<Hash, u64>> {
    let mut found = BTreeMap::new();
    for member in members.all() {
        let folder = |path: &str| member.disk.list(path).map_err(|source| member.failed(path, source));
        for Item { name, .. } in folder("packs")?.into_iter().filter(|item| item.is_folder) {
            let path = format!("packs/{name}");
            // A killed agent may have published names that a power cut would still take away.
            member.disk.sync_folder(&path).map_err(|source| member.failed(&path, source))?;
            for item in folder(&path)? {
                if let Some(name) = item.name.strip_suffix(".pack").and_then(Hash::from_hex) {
                    found.insert(name, item.len);
                }
            }
        }
    }
    Ok(found)
}

/// An index that works, whatever it takes; tells whether it had to be started anew.
fn open_index(place: &IndexPlace, vault: &[u8; 16]) -> (Index, bool) {
    let broken = match Index::open(place, vault) {
        Ok(index) => return (index, false),
        Err(broken) => broken,
    };
    tracing::warn!(%broken, "making the index anew; nothing is lost");
    let again = Index::discard(place).ok().and_then(|()| Index::open(place, vault).ok());
    (again.unwrap_or_else(|| memory_index(vault)), true)
}

fn memory_index(vault: &[u8; 16]) -> Index {
    Index::open(&IndexPlace::Memory, vault).expect("memory does not break")
}
