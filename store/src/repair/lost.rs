//! What is lost: which pieces of which files and snapshots, remembered until a device brings them.
//!
//! The record lies beside the damaged file in the quarantine of every disk, since what is lost must not be forgotten
//! with the agent's memory: a device believes that it need not send again what it sent once. Only the first thousand
//! files are named in it; the pieces are all there. Which snapshots are not whole follows from the pieces, so it is found
//! anew after a start. Not here: the walk that finds it (`survey`), asking the devices (`check`, which looks at everything
//! again as long as something is lost).

use super::place::{self, QUARANTINE};
use super::survey::{Scope, State, Survey, Surveyed};
use crate::Result;
use crate::browse::Run;
use crate::disk::{Disk, read_whole, write_whole};
use crate::ledger::view::Fact;
use crate::members::Members;
use crate::vault::Vault;
use larder_format::care::{self, Losses, LostFile};
use larder_format::{ChunkId, Hash};
use std::collections::{BTreeMap, HashSet};
use std::io;
use std::sync::Arc;

/// Files that are named in one record, which stays small.
const FILES_NAMED_MAX: usize = 1000;
const PART: &str = "open/lost.part";

/// What was lost with one pack.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(crate) chunks: HashSet<ChunkId>,
    pub(crate) files: Vec<LostFile>,
}

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
pub(super) enum Look {
    /// What is lost and was not known to be.
    Found(Lost),
    /// The index was made anew meanwhile, so that what was not found may be there.
    Unsteady,
    /// A disk did not answer for something, or it was stopped.
    Unfinished,
}

/// Writes down what was lost with a pack, on every healthy disk.
pub(crate) fn write(members: &Members, name: &Hash, lost: &Lost) -> Result<()> {
    members.on_each(&path_of(name), |member| write_on(member.disk.as_ref(), name, lost)).map(drop)
}

/// The same on one disk.
pub(crate) fn write_on(disk: &dyn Disk, name: &Hash, lost: &Lost) -> io::Result<()> {
    let mut pieces: Vec<_> = lost.chunks.iter().copied().collect();
    pieces.sort();
    let bytes = care::encode(&Losses { files: lost.files.clone(), pieces });
    let path = path_of(name);
    // A repair that was begun anew after a power cut knows better than the first one.
    place::set_aside(disk, &path)?;
    write_whole(disk, PART, &path, &bytes)
}

fn path_of(name: &Hash) -> String {
    format!("{QUARANTINE}/{name}.lost")
}

/// All records of all disks.
fn read_all(members: &Members) -> Lost {
    let mut lost = Lost::default();
    for member in members.all().iter().filter(|member| member.is_readable()) {
        let disk = member.disk.as_ref();
        for item in disk.list(QUARANTINE).unwrap_or_default() {
            if !item.is_folder && item.name.contains(".lost") {
                match read_one(disk, &format!("{QUARANTINE}/{}", item.name)) {
                    Some(record) => {
                        lost.chunks.extend(record.pieces);
                        lost.files.extend(record.files);
                    }
                    None => tracing::warn!(
                        disk = disk.name(),
                        record = item.name,
                        "a record of losses is damaged"
                    ),
                }
            }
        }
    }
    lost
}

/// Packs of which a record says what was lost with them.
pub(crate) fn packs_given_up(members: &Members) -> HashSet<Hash> {
    let all = members.all();
    let readable = all.iter().filter(|member| member.is_readable());
    let items = readable.flat_map(|member| member.disk.list(QUARANTINE).unwrap_or_default());
    items.filter_map(|item| Hash::from_hex(item.name.split_once(".lost")?.0)).collect()
}

fn read_one(disk: &dyn Disk, path: &str) -> Option<Losses> {
    care::decode(&read_whole(disk, path, care::CARE_BYTES_MAX as u64).ok()?).ok()
}

impl Vault {
    /// Packs that no disk gives whole enough to find anything in them.
    pub fn unreadable_packs(&self) -> usize {
        self.catalog.unreadable().len() + usize::from(self.catalog.hides_some())
    }

    /// Chunks that were found damaged on every disk and that no push has brought again.
    pub fn damaged_chunks(&self) -> usize {
        self.catalog.damaged(&self.members)
    }

    /// Takes up what records say was lost before, so that devices are asked for it.
    pub(crate) fn remember_lost(&self) {
        let lost = read_all(&self.members);
        self.catalog.packs.damage.give_up(lost.chunks);
        self.care.note_lost(&lost.files);
    }

    /// Pieces that were given up and did not come back.
    pub(super) fn lost_chunks(&self) -> HashSet<ChunkId> {
        let mut lost = self.catalog.packs.damage.given_up();
        lost.retain(|id| !self.is_held(id));
        lost
    }

    /// Versions of files that cannot be given back whole, as far as scrubs found out: at most ten thousand.
    pub fn lost_files(&self) -> Vec<LostFile> {
        let damage = &self.catalog.packs.damage;
        let is_lost = |file: &LostFile| damage.is_given_up(&file.piece) && !self.is_held(&file.piece);
        let mut files = self.care.lost_files();
        files.retain(is_lost);
        files
    }

    /// Every kept snapshot that cannot be restored whole, in the order of sources and numbers, as the last look found it.
    /// One stays in the list until the next look after its pieces came back.
    pub fn damaged_snapshots(&self) -> Vec<DamagedSnapshot> {
        let known = self.care.damaged_snapshots();
        if known.is_empty() {
            return Vec::new();
        }
        let view = self.ledger();
        let facts = view.sources.values().flatten();
        let damaged = |fact: &Arc<Fact>| {
            let is_lost = matches!(known.get(&fact.sequence)?, State::Lost(_));
            let source = fact.snapshot.source.clone();
            Some(DamagedSnapshot { source, snapshot: fact.sequence, is_lost })
        };
        facts.filter_map(damaged).collect()
    }

    /// Numbers of those of `facts`, rising, that cannot be restored whole, as the last look found it.
    pub fn damaged_among(&self, facts: &[Arc<Fact>]) -> Vec<u64> {
        let known = self.care.damaged_snapshots();
        facts.iter().map(|fact| fact.sequence).filter(|number| known.contains_key(number)).collect()
    }

    /// Whether everything that is kept was looked at since the start, and every disk answered.
    pub fn is_surveyed(&self) -> bool {
        self.care.is_surveyed()
    }

    /// Whether a piece that a snapshot was not whole for has come back, so that the next look may find it whole.
    pub fn has_what_was_missed(&self) -> bool {
        let known = self.care.damaged_snapshots();
        let pieces: HashSet<_> = known.values().filter_map(|state| state.piece()).collect();
        pieces.iter().any(|piece| self.is_held(piece))
    }

    /// Notes which versions cannot be given back whole.
    pub(crate) fn judge_runs(&self, runs: &mut [Run]) {
        // Without any damage there is nothing to look for.
        if self.damaged_chunks() == 0 && self.unreadable_packs() == 0 {
            return;
        }
        let scope = Scope::default();
        let mut survey = Survey::new(self, &scope, &|| true);
        for run in runs {
            if let Some(found) = &run.found {
                run.is_whole = survey.state_of(&found.entry.kind) == State::Whole;
            }
        }
    }

    /// Looks through everything that is kept for what no pack holds although nobody saw it go: a disk that lied about
    /// flushing, a file that somebody deleted. It is named and remembered, and asked for at the next push. Returns how many
    /// pieces it was; nothing where it could not be seen, because the index is being made anew or a disk does not answer.
    ///
    /// # Errors
    /// `Disk` when it could not be written down; it is remembered until the next start.
    pub fn look_for_loss(&self, go_on: &dyn Fn() -> bool) -> Result<Option<usize>> {
        if self.catalog.newer_packs().is_some() {
            return Ok(None);
        }
        let Look::Found(found) = self.find_lost(&Scope::default(), go_on)? else { return Ok(None) };
        // Asked afterwards, since the last disk may go meanwhile: what is away is not lost.
        if self.require_answering().is_err() {
            return Ok(None);
        }
        if found.chunks.is_empty() {
            return Ok(Some(0));
        }
        tracing::error!(pieces = found.chunks.len(), "pieces of kept backups are in no pack");
        self.catalog.packs.damage.give_up(found.chunks.iter().copied());
        // A disk that is away may have it, and then it is not lost.
        if self.members.are_all_here() {
            let mut pieces: Vec<_> = found.chunks.iter().map(|id| id.0).collect();
            pieces.sort_unstable();
            // Of no pack that anybody knows.
            write(&self.members, &Hash::of(pieces.as_flattened()), &found)?;
        }
        Ok(Some(found.chunks.len()))
    }

    /// Looks again at the snapshots that were not whole. Returns whether it came to its end.
    pub fn look_at_damaged(&self, go_on: &dyn Fn() -> bool) -> bool {
        let known = self.care.damaged_snapshots();
        let mut sources = self.ledger().sources.clone();
        for facts in sources.values_mut() {
            facts.retain(|fact| known.contains_key(&fact.sequence));
        }
        let scope = Scope::default();
        let found = Survey::new(self, &scope, go_on).walk(&sources);
        let is_complete = found.is_complete;
        self.remember(found);
        is_complete
    }

    /// Everything that a snapshot names and that no pack holds and nobody knew to be lost. Where not all can be looked at,
    /// what is `listed` and not held counts as lost too. Packs that were set aside are asked first.
    pub(super) fn find_lost(&self, scope: &Scope<'_>, go_on: &dyn Fn() -> bool) -> Result<Look> {
        let times_anew = self.catalog.times_anew();
        let is_steady = || self.catalog.times_anew() == times_anew && self.catalog.pending_count() == 0;
        // An index that is empty for a moment knows of nothing, and everything would seem lost.
        if !is_steady() {
            return Ok(Look::Unsteady);
        }
        let sources: BTreeMap<_, _> = self.ledger().sources.clone();
        let is_going_on = || go_on() && is_steady();
        let found = Survey::new(self, scope, &is_going_on).walk(&sources);
        if !is_steady() {
            return Ok(Look::Unsteady);
        }
        if !found.is_complete || found.is_unanswered {
            self.remember(found);
            return Ok(Look::Unfinished);
        }
        let mut lost = found.lost.clone();
        if found.is_cut_short {
            lost.extend(scope.listed.into_iter().flatten().filter(|id| !self.is_held(id)));
        }
        if !lost.is_empty() && (self.is_listed_elsewhere(&lost, scope) || self.fetch_from_strays(&lost)? > 0)
        {
            return Ok(Look::Unsteady);
        }
        let mut files = found.files.clone();
        self.remember(found);
        files.retain(|file| lost.contains(&file.piece));
        files.truncate(FILES_NAMED_MAX);
        Ok(Look::Found(Lost { chunks: lost, files }))
    }

    /// Whether a pack lists some of these though the index has no word of it: the index is then made anew.
    fn is_listed_elsewhere(&self, lost: &HashSet<ChunkId>, scope: &Scope<'_>) -> bool {
        let ids: Vec<_> = lost.iter().copied().collect();
        let found = self.catalog.find(&self.members, &ids);
        found.iter().any(|(place, _)| Some(place.pack) != scope.pack)
    }

    fn remember(&self, found: Surveyed) {
        let damage = &self.catalog.packs.damage;
        let is_certain = !found.is_unanswered;
        let state = |state| match state {
            State::Lost(piece) if !is_certain && !damage.is_given_up(&piece) => State::Unread(piece),
            state => state,
        };
        let snapshots = found.snapshots.into_iter().map(|(number, of_it)| (number, state(of_it)));
        if found.is_complete {
            self.care.set_damaged(snapshots.collect(), is_certain);
        }
        if found.is_complete && is_certain {
            self.care.set_lost(found.files);
        } else {
            self.care.note_lost(&found.files);
        }
    }

    /// Whether there are packs, besides the one called `pack`, of which nobody can tell what is in them, and which may be
    /// there.
    pub(super) fn has_hidden_packs(&self, pack: Option<u32>) -> bool {
        let name = pack.and_then(|pack| self.catalog.packs.name(pack));
        let unreadable: Vec<_> = self.catalog.unreadable().iter().copied().collect();
        let may_be_there = |name: &Hash| {
            let all = self.members.all();
            let mut readable = all.iter().filter(|member| member.is_readable());
            readable.any(|member| place::may_be_there(member.disk.as_ref(), &crate::packs::path(name)))
        };
        self.catalog.hides_some() || unreadable.iter().filter(|other| Some(**other) != name).any(may_be_there)
    }
}
