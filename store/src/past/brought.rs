//! Finding out anew what each device brought: a walk through its kept snapshots.
//!
//! Needed where the table was lost, and where a disk brings packs that this box did not see grow; until then a device is asked
//! for what it has sent before. What a walk finds is entered at once, so no walk is in vain. A part that cannot be read is
//! left out: its device is asked to send it, which heals the damage. Another device may send it first: the walk notes what it
//! found nowhere (`Owners::note_gap`), and is repeated when that comes. Not here: the table (`packs::owners`), when the work is
//! done (the agent).

use crate::core::Core;
use crate::ledger::view::LedgerView;
use crate::packs::marks::Marks;
use crate::packs::owners::Knowledge;
use crate::packs::pins::Holder;
use crate::{Result, StoreError};
use larder_format::ChunkRef;
use larder_format::tree::Reference;
use larder_format::tree::read::{DepthFirst, Descend, Unread};
use std::collections::BTreeMap;

/// Chunks looked up while a vault opens: a small vault knows everything at once, a large one does not start later.
const AT_ONCE: u64 = 2_000;

/// The walk under way.
#[derive(Default)]
pub(crate) struct BroughtWalk {
    devices: Vec<DeviceWalk>,
    is_begun: bool,
    /// `Owners::losses` at the beginning.
    losses: u64,
}

/// The walk through the snapshots of one device.
struct DeviceWalk {
    holder: Holder,
    /// Roots to be walked, the newest last.
    roots: Vec<ChunkRef>,
    rest: DepthFirst,
    /// Two sets, as a file with the bytes of a node shares its chunk.
    nodes: Marks,
    lists: Marks,
}

impl BroughtWalk {
    /// Begins with every kept snapshot; later ones are committed under the table's eyes.
    fn begin(view: &LedgerView, losses: u64) -> Self {
        let mut roots: BTreeMap<&str, Vec<(u64, ChunkRef)>> = BTreeMap::new();
        for (source, records) in &view.sources {
            let Some((device, _)) = source.split_once('/') else { continue };
            let all = records.iter().map(|record| (record.sequence, record.snapshot.root));
            roots.entry(device).or_default().extend(all);
        }
        let walk = |(device, mut roots): (&str, Vec<(u64, ChunkRef)>)| {
            roots.sort_unstable_by_key(|(sequence, _)| *sequence);
            DeviceWalk {
                holder: Holder::Device(device.to_owned()),
                roots: roots.into_iter().map(|(_, root)| root).collect(),
                rest: DepthFirst::default(),
                nodes: Marks::default(),
                lists: Marks::default(),
            }
        };
        Self { devices: roots.into_iter().map(walk).collect(), is_begun: true, losses }
    }
}

/// Looks up about `chunks_max` chunks more. Returns whether more are left.
///
/// # Errors
/// `Disk` when no disk answers.
pub(crate) fn step(core: &Core, walk: &mut BroughtWalk, chunks_max: u64) -> Result<bool> {
    if core.owners().knowledge() == Knowledge::Whole {
        return Ok(false);
    }
    if core.catalog.pending_count() > 0 {
        // What the index does not know yet would be left out.
        return Ok(true);
    }
    if !walk.is_begun {
        // Asked first: what is lost while the ledger is read counts as lost since.
        let losses = core.owners().begin_walk();
        *walk = BroughtWalk::begin(&core.ledger(), losses);
    }
    let mut left = chunks_max;
    while let Some(device) = walk.devices.last_mut() {
        if left == 0 {
            return Ok(true);
        }
        if device.go_on(core, &mut left)? {
            walk.devices.pop();
        }
    }
    let losses = std::mem::take(walk).losses;
    Ok(!core.end_owners_walk(losses))
}

/// The same while a vault opens; a disk that does not answer keeps no vault from opening.
pub(crate) fn begin_at_once(core: &Core, walk: &mut BroughtWalk) {
    if let Err(error) = step(core, walk, AT_ONCE) {
        tracing::warn!(%error, "what each device brought is found out later");
    }
}

impl DeviceWalk {
    /// Looks up at most `left` chunks, or a node's. Returns whether every snapshot is walked.
    fn go_on(&mut self, core: &Core, left: &mut u64) -> Result<bool> {
        while *left > 0 {
            if let Some(unread) = self.rest.pop() {
                self.read(core, unread, left)?;
            } else if let Some(root) = self.roots.pop() {
                if self.reference(core, &Reference::Node(root)) == Descend::Into {
                    self.rest.push(root);
                }
            } else {
                return Ok(true);
            }
        }
        Ok(self.rest.is_empty() && self.roots.is_empty())
    }

    fn read(&mut self, core: &Core, unread: Unread, left: &mut u64) -> Result<()> {
        *left = left.saturating_sub(1);
        let read_chunk = unread.of.chunk().id;
        let mut rest = std::mem::take(&mut self.rest);
        let read = rest.read(core, unread, &mut |reference| {
            *left = left.saturating_sub(1);
            Ok(self.reference(core, reference))
        });
        self.rest = rest;
        match read {
            Err(StoreError::Damaged { .. } | StoreError::NotFound { .. } | StoreError::Refused(_)) => {
                core.owners().note_gap(read_chunk);
                Ok(())
            }
            read => read,
        }
    }

    /// Enters a chunk named by a tree; returns whether to walk the chunk in turn.
    fn reference(&mut self, core: &Core, reference: &Reference) -> Descend {
        let (_, places) = core.catalog.every_place(&core.members, &reference.chunk().id);
        let places: Vec<_> = places.into_iter().map(|place| (place.pack, place.slot)).collect();
        let mut owners = core.owners();
        owners.note(&self.holder, places.iter().copied());
        if places.is_empty() {
            owners.note_gap(reference.chunk().id);
        }
        drop(owners);
        let walked = match reference {
            Reference::Node(_) => &mut self.nodes,
            Reference::List(_) => &mut self.lists,
            Reference::Bytes(_) => return Descend::Past,
        };
        if places.is_empty() || places.iter().any(|at| walked.has(*at)) {
            return Descend::Past;
        }
        places.into_iter().for_each(|at| walked.set(at));
        Descend::Into
    }
}
