//! Losses: lost pieces with their files and snapshots, remembered until a device brings the pieces.
//!
//! The record lies beside the damaged file in the quarantine of every disk. A loss must not be forgotten with the
//! agent's memory: a device does not expect to send a chunk a second time. A record names only the first thousand
//! files, but every piece. Damaged snapshots follow from the pieces, so a survey finds the snapshots anew after a
//! start. Not here: the survey (`survey`), asking the devices (`complete`, with a full check of each tree while losses
//! remain).

use crate::Result;
use crate::core::Core;
use crate::core::maintenance::Wholeness;
use crate::ledger::view::SnapshotRecord;
use crate::upkeep::repair::losses::{FILES_NAMED_MAX, Lost, read_all, write};
use crate::upkeep::repair::strays;
use crate::upkeep::repair::survey::{LossScope, Survey, SurveyResult};
use larder_format::care::LostFile;
use larder_format::{ChunkId, Hash};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// A kept snapshot that cannot be restored whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedSnapshot {
    /// `DEVICE/NAME`.
    pub source: String,
    /// Snapshot number.
    pub snapshot: u64,
    /// Whether a piece is lost; otherwise a read failed, and is tried again.
    pub is_lost: bool,
}

/// Outcome of a look for losses.
pub(crate) enum Look {
    /// Losses not known before.
    Found(Lost),
    /// The index was rebuilt meanwhile, so missing pieces may exist.
    Unsteady,
    /// A disk did not answer, or the look was stopped.
    Unfinished,
}

/// Reads the records of former losses, so devices are asked for the pieces.
pub(crate) fn remember_lost(core: &Core) {
    let lost = read_all(&core.members);
    core.trouble().give_up(lost.chunks);
    core.maintenance.note_lost(&lost.files);
}

/// Versions of files not restorable whole, as far as scrubs found out: at most ten thousand.
pub(crate) fn lost_files(core: &Core) -> Vec<LostFile> {
    let trouble = core.trouble();
    let is_lost = |file: &LostFile| trouble.is_given_up(&file.piece) && !core.is_held(&file.piece);
    let mut files = core.maintenance.lost_files();
    files.retain(is_lost);
    files
}

/// Every kept snapshot not restorable whole, in the order of sources and numbers, as of the last look. A snapshot stays
/// in the list until the next look after its pieces came back.
pub(crate) fn damaged_snapshots(core: &Core) -> Vec<DamagedSnapshot> {
    let known = core.maintenance.damaged_snapshots();
    if known.is_empty() {
        return Vec::new();
    }
    let view = core.ledger();
    let records = view.sources.values().flatten();
    let damaged = |record: &Arc<SnapshotRecord>| {
        let is_lost = matches!(known.get(&record.sequence)?, Wholeness::Lost(_));
        let source = record.snapshot.source.clone();
        Some(DamagedSnapshot { source, snapshot: record.sequence, is_lost })
    };
    records.filter_map(damaged).collect()
}

/// Rising numbers of the snapshots in `records` not restorable whole, as of the last look.
pub(crate) fn damaged_among(core: &Core, records: &[Arc<SnapshotRecord>]) -> Vec<u64> {
    let known = core.maintenance.damaged_snapshots();
    records.iter().map(|record| record.sequence).filter(|number| known.contains_key(number)).collect()
}

/// Whether every kept snapshot was surveyed since the start, with an answer from every disk.
pub(crate) fn is_surveyed(core: &Core) -> bool {
    core.maintenance.is_surveyed()
}

/// Whether a missed piece has come back, so the next look may find the snapshot whole.
pub(crate) fn has_what_was_missed(core: &Core) -> bool {
    let known = core.maintenance.damaged_snapshots();
    let pieces: HashSet<_> = known.values().filter_map(|state| state.piece()).collect();
    pieces.iter().any(|piece| core.is_held(piece))
}

/// Searches every kept snapshot for chunks missing from every pack without a known cause: a disk with a false flush, a
/// file deleted by hand. Losses are named, recorded and asked for at the next push. Returns the number of pieces;
/// `None` during a rebuild of the index or without an answer from a disk.
pub(crate) fn look_for_loss(core: &Core, go_on: &dyn Fn() -> bool) -> Result<Option<usize>> {
    if core.trouble().newer_layout().is_some() {
        return Ok(None);
    }
    let Look::Found(found) = find_lost(core, &LossScope::default(), go_on)? else { return Ok(None) };
    // Asked afterwards, since the last disk may go meanwhile: chunks on an absent disk are not lost.
    if core.require_answering().is_err() {
        return Ok(None);
    }
    if found.chunks.is_empty() {
        return Ok(Some(0));
    }
    tracing::error!(pieces = found.chunks.len(), "pieces of kept backups are in no pack");
    core.trouble().give_up(found.chunks.iter().copied());
    // A piece on an absent disk is not lost.
    if core.members.are_all_here() {
        let mut pieces: Vec<_> = found.chunks.iter().map(|id| id.0).collect();
        pieces.sort_unstable();
        // Named after no known pack.
        write(&core.members, &Hash::of(pieces.as_flattened()), &found)?;
    }
    Ok(Some(found.chunks.len()))
}

/// Surveys the damaged snapshots again. Returns whether the survey reached its end.
pub(crate) fn look_at_damaged(core: &Core, go_on: &dyn Fn() -> bool) -> bool {
    let known = core.maintenance.damaged_snapshots();
    let mut sources = core.ledger().sources.clone();
    for records in sources.values_mut() {
        records.retain(|record| known.contains_key(&record.sequence));
    }
    let scope = LossScope::default();
    let found = Survey::new(core, &scope, go_on).walk(&sources);
    let is_complete = found.is_complete;
    remember(core, found);
    is_complete
}

/// Every chunk named by a snapshot, missing from every pack and not known as lost. After a partial survey, a chunk in
/// `listed` and not held counts as lost too. Packs set aside are asked first.
pub(crate) fn find_lost(core: &Core, scope: &LossScope<'_>, go_on: &dyn Fn() -> bool) -> Result<Look> {
    let times_anew = core.catalog.times_anew();
    let is_steady = || core.catalog.times_anew() == times_anew && core.catalog.pending_count() == 0;
    // An index empty for a moment would make every chunk seem lost.
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

/// Whether a pack lists a lost chunk missing from the index: the index is then rebuilt.
fn is_listed_elsewhere(core: &Core, lost: &HashSet<ChunkId>, scope: &LossScope<'_>) -> bool {
    let ids: Vec<_> = lost.iter().copied().collect();
    let found = core.catalog.find(&core.members, &ids);
    found.iter().any(|(place, _)| Some(place.pack) != scope.pack)
}

fn remember(core: &Core, found: SurveyResult) {
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
