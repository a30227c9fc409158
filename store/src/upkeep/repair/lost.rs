//! What is lost: which pieces of which files and snapshots, remembered until a device brings them.
//!
//! The record lies beside the damaged file in the quarantine of every disk, since what is lost must not be forgotten
//! with the agent's memory: a device believes that it need not send again what it sent once. Only the first thousand
//! files are named in it; the pieces are all there. Which snapshots are not whole follows from the pieces, so it is found
//! anew after a start. Not here: the walk that finds it (`survey`), asking the devices (`complete`, which looks at everything
//! again as long as something is lost).

use crate::Result;
use crate::core::Core;
use crate::core::maintenance::Wholeness;
use crate::ledger::view::Fact;
use crate::upkeep::repair::losses::{FILES_NAMED_MAX, Lost, read_all, write};
use crate::upkeep::repair::strays;
use crate::upkeep::repair::survey::{Scope, Survey, Surveyed};
use larder_format::care::LostFile;
use larder_format::{ChunkId, Hash};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// A kept snapshot that cannot be restored whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedSnapshot {
    /// `DEVICE/NAME`.
    pub source: String,
    /// Its number.
    pub snapshot: u64,
    /// Whether something of it is lost; otherwise it could not be read, and is tried again.
    pub is_lost: bool,
}

/// How a look for losses ended.
pub(crate) enum Look {
    /// What is lost and was not known to be.
    Found(Lost),
    /// The index was made anew meanwhile, so that what was not found may be there.
    Unsteady,
    /// A disk did not answer for something, or it was stopped.
    Unfinished,
}

/// Takes up what records say was lost before, so that devices are asked for it.
pub(crate) fn remember_lost(core: &Core) {
    let lost = read_all(&core.members);
    core.trouble().give_up(lost.chunks);
    core.maintenance.note_lost(&lost.files);
}

/// Versions of files that cannot be given back whole, as far as scrubs found out: at most ten thousand.
pub(crate) fn lost_files(core: &Core) -> Vec<LostFile> {
    let trouble = core.trouble();
    let is_lost = |file: &LostFile| trouble.is_given_up(&file.piece) && !core.is_held(&file.piece);
    let mut files = core.maintenance.lost_files();
    files.retain(is_lost);
    files
}

/// Every kept snapshot that cannot be restored whole, in the order of sources and numbers, as the last look found it.
/// One stays in the list until the next look after its pieces came back.
pub(crate) fn damaged_snapshots(core: &Core) -> Vec<DamagedSnapshot> {
    let known = core.maintenance.damaged_snapshots();
    if known.is_empty() {
        return Vec::new();
    }
    let view = core.ledger();
    let facts = view.sources.values().flatten();
    let damaged = |fact: &Arc<Fact>| {
        let is_lost = matches!(known.get(&fact.sequence)?, Wholeness::Lost(_));
        let source = fact.snapshot.source.clone();
        Some(DamagedSnapshot { source, snapshot: fact.sequence, is_lost })
    };
    facts.filter_map(damaged).collect()
}

/// Numbers of those of `facts`, rising, that cannot be restored whole, as the last look found it.
pub(crate) fn damaged_among(core: &Core, facts: &[Arc<Fact>]) -> Vec<u64> {
    let known = core.maintenance.damaged_snapshots();
    facts.iter().map(|fact| fact.sequence).filter(|number| known.contains_key(number)).collect()
}

/// Whether everything that is kept was looked at since the start, and every disk answered.
pub(crate) fn is_surveyed(core: &Core) -> bool {
    core.maintenance.is_surveyed()
}

/// Whether a piece that a snapshot was not whole for has come back, so that the next look may find it whole.
pub(crate) fn has_what_was_missed(core: &Core) -> bool {
    let known = core.maintenance.damaged_snapshots();
    let pieces: HashSet<_> = known.values().filter_map(|state| state.piece()).collect();
    pieces.iter().any(|piece| core.is_held(piece))
}

/// Looks through everything that is kept for what no pack holds although nobody saw it go: a disk that lied about
/// flushing, a file that somebody deleted. It is named and remembered, and asked for at the next push. Returns how many
/// pieces it was; nothing where it could not be seen, because the index is being made anew or a disk does not answer.
pub(crate) fn look_for_loss(core: &Core, go_on: &dyn Fn() -> bool) -> Result<Option<usize>> {
    if core.trouble().newer_layout().is_some() {
        return Ok(None);
    }
    let Look::Found(found) = find_lost(core, &Scope::default(), go_on)? else { return Ok(None) };
    // Asked afterwards, since the last disk may go meanwhile: what is away is not lost.
    if core.require_answering().is_err() {
        return Ok(None);
    }
    if found.chunks.is_empty() {
        return Ok(Some(0));
    }
    tracing::error!(pieces = found.chunks.len(), "pieces of kept backups are in no pack");
    core.trouble().give_up(found.chunks.iter().copied());
    // A disk that is away may have it, and then it is not lost.
    if core.members.are_all_here() {
        let mut pieces: Vec<_> = found.chunks.iter().map(|id| id.0).collect();
        pieces.sort_unstable();
        // Of no pack that anybody knows.
        write(&core.members, &Hash::of(pieces.as_flattened()), &found)?;
    }
    Ok(Some(found.chunks.len()))
}

/// Looks again at the snapshots that were not whole. Returns whether it came to its end.
pub(crate) fn look_at_damaged(core: &Core, go_on: &dyn Fn() -> bool) -> bool {
    let known = core.maintenance.damaged_snapshots();
    let mut sources = core.ledger().sources.clone();
    for facts in sources.values_mut() {
        facts.retain(|fact| known.contains_key(&fact.sequence));
    }
    let scope = Scope::default();
    let found = Survey::new(core, &scope, go_on).walk(&sources);
    let is_complete = found.is_complete;
    remember(core, found);
    is_complete
}

/// Everything that a snapshot names and that no pack holds and nobody knew to be lost. Where not all can be looked at,
/// what is `listed` and not held counts as lost too. Packs that were set aside are asked first.
pub(crate) fn find_lost(core: &Core, scope: &Scope<'_>, go_on: &dyn Fn() -> bool) -> Result<Look> {
    let times_anew = core.catalog.times_anew();
    let is_steady = || core.catalog.times_anew() == times_anew && core.catalog.pending_count() == 0;
    // An index that is empty for a moment knows of nothing, and everything would seem lost.
    if !is_steady() {
        return Ok(Look::Unsteady);
    }
    let sources: BTreeMap<_, _> = core.ledger().sources.clone();
    let is_going_on = || go_on() && is_steady();
    let found = Survey::new(core, scope, &is_going_on).walk(&sources);
    if !is_steady() {
        return Ok(Look::Unsteady);
    }
    if !found.is_complete || found.is_unanswered {
        remember(core, found);
        return Ok(Look::Unfinished);
    }
    let mut lost = found.lost.clone();
    if found.is_cut_short {
        lost.extend(scope.listed.into_iter().flatten().filter(|id| !core.is_held(id)));
    }
    if !lost.is_empty()
        && (is_listed_elsewhere(core, &lost, scope) || strays::fetch_from_strays(core, &lost)? > 0)
    {
        return Ok(Look::Unsteady);
    }
    let mut files = found.files.clone();
    remember(core, found);
    files.retain(|file| lost.contains(&file.piece));
    files.truncate(FILES_NAMED_MAX);
    Ok(Look::Found(Lost { chunks: lost, files }))
}

/// Whether a pack lists some of these though the index has no word of it: the index is then made anew.
fn is_listed_elsewhere(core: &Core, lost: &HashSet<ChunkId>, scope: &Scope<'_>) -> bool {
    let ids: Vec<_> = lost.iter().copied().collect();
    let found = core.catalog.find(&core.members, &ids);
    found.iter().any(|(place, _)| Some(place.pack) != scope.pack)
}

fn remember(core: &Core, found: Surveyed) {
    let trouble = core.trouble();
    let is_certain = !found.is_unanswered;
    let state = |state| match state {
        Wholeness::Lost(piece) if !is_certain && !trouble.is_given_up(&piece) => Wholeness::Unread(piece),
        state => state,
    };
    let snapshots = found.snapshots.into_iter().map(|(number, of_it)| (number, state(of_it)));
    if found.is_complete {
        core.maintenance.set_damaged(snapshots.collect(), is_certain);
    }
    if found.is_complete && is_certain {
        core.maintenance.set_lost(found.files);
    } else {
        core.maintenance.note_lost(&found.files);
    }
}
