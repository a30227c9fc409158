//! Which packs there are, and where each chunk lies: packs and index together.
//!
//! The index is only ever a hint. When it breaks it is replaced by one made from the packs' own tables, right here,
//! and no caller need know. Not here: packs that still grow (`ingest`).

use crate::Result;
use crate::index::{Broken, Index, IndexPlace, Records};
use crate::ingest::Sealed;
use crate::members::{Member, MemberState, Members};
use crate::packs::{self, Packs, Place};
use larder_format::pack::Table;
use larder_format::{ChunkId, Hash};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, PoisonError, RwLock};

/// Records that are gathered before the index takes them in, some 15 MB of memory: each of its buckets is then touched
/// once for two records.
const RECORDS_GATHERED: usize = 500_000;

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
        let on_each = list(members)?;
        mark_behind(members, &on_each);
        let mut found: BTreeMap<Hash, u64> = on_each.into_iter().flatten().collect();
        for (number, name) in catalog.ask(members, Index::packs) {
            if let Some(len) = found.remove(&name) {
                catalog.packs.add(number, name, len);
            }
        }
        let mut records = Records::default();
        for (name, len) in found {
            match packs::read_table(members, &name) {
                Ok(table) => {
                    let number = catalog.packs.next_number();
                    catalog.packs.add(number, name, len);
                    records.add(number, name, &table.chunks);
                }
                Err(error) => {
                    tracing::error!(pack = %name, %error, "a pack's table cannot be read");
                    catalog.unreadable.push(name);
                }
            }
            if records.len() >= RECORDS_GATHERED {
                catalog.insert(members, std::mem::take(&mut records));
            }
        }
        catalog.insert(members, records);
        Ok((catalog, is_new))
    }

    /// Makes a sealed pack findable.
    pub(crate) fn enter(&self, members: &Members, pack: &Sealed) {
        let _one_at_a_time = self.entering.lock().unwrap_or_else(PoisonError::into_inner);
        let number = self.packs.next_number();
        self.packs.add(number, pack.name, pack.len);
        self.insert(members, Records::of(number, pack.name, &pack.table.chunks));
    }

    fn insert(&self, members: &Members, records: Records) {
        let mut guard = self.index.write().unwrap_or_else(PoisonError::into_inner);
        let index = guard.as_mut().expect("taken out only to be replaced");
        if let Err(broken) = index.insert(records) {
            drop(guard);
            // The new index is made from all packs, these among them.
            self.replace(members, &broken);
        }
    }

    /// Where the index says that a chunk lies, confirmed by the pack itself: a place that is not known to be damaged,
    /// if there is one.
    pub(crate) fn locate(&self, members: &Members, id: &ChunkId) -> Option<Place> {
        let mut damaged = None;
        for hint in self.ask(members, |index| index.hints(id)) {
            match self.packs.confirm(members, hint, id) {
                Some(place) if !self.packs.is_damaged(place) => return Some(place),
                Some(place) => drop(damaged.get_or_insert(place)),
                None => {}
            }
        }
        damaged
    }

    /// Where a durable chunk lies that can be given back, as far as is known; nothing for any other.
    pub(crate) fn held(&self, members: &Members, id: &ChunkId) -> Option<Place> {
        self.locate(members, id).filter(|place| !self.packs.is_damaged(*place))
    }

    /// Chunks that were found damaged and of which no other copy has come.
    pub(crate) fn damaged(&self, members: &Members) -> usize {
        self.packs.damage.chunks().iter().filter(|id| self.held(members, id).is_none()).count()
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
        let mut records = Records::default();
        for (number, name) in self.packs.all() {
            match packs::read_table(members, &name) {
                Ok(Table { chunks, .. }) => records.add(number, name, &chunks),
                Err(error) => tracing::error!(pack = %name, %error, "a pack's table cannot be read"),
            }
            if records.len() >= RECORDS_GATHERED {
                index.insert(std::mem::take(&mut records))?;
            }
        }
        index.insert(records)?;
        index.flush()
    }
}

/// Marks every disk that lacks packs which another one has.
fn mark_behind(members: &Members, on_each: &[HashMap<Hash, u64>]) {
    let all: HashSet<_> = on_each.iter().flat_map(HashMap::keys).collect();
    for (member, packs) in members.all().iter().zip(on_each) {
        member.lacks_packs((all.len() - packs.len()) as u64);
    }
}

/// The packs on each disk, by name, with their lengths.
fn list(members: &Members) -> Result<Vec<HashMap<Hash, u64>>> {
    let list = |member: &Member| {
        let disk = member.disk.as_ref();
        let found = packs::names_on(disk).and_then(|found| {
            // A killed agent may have published names that a power cut would still take away.
            let folders: HashSet<_> =
                found.keys().map(|name| format!("packs/{}", &name.to_string()[..2])).collect();
            if member.state() == MemberState::Healthy {
                folders.iter().try_for_each(|folder| disk.sync_folder(folder))?;
            }
            Ok(found)
        });
        found.map_err(|source| member.failed("packs", source))
    };
    members.all().iter().map(list).collect()
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
