//! The state of the ledger: the sum of its entries, in memory, to answer every query.
//!
//! Entries are applied in their order and no other input counts, so two boxes with the same ledger agree. A rule that
//! promises less, and the end of a hold, come into force only after a while: an intruder with an hour in the box has
//! not shortened any promise yet. Not here: files (`files`), what a rule keeps (`retention`).

use crate::disks::identity;
use crate::disks::known::{self, KnownDisks};
use crate::ledger::clock::{Lifetime, SHORTEN_DELAY_S, TrustedTime};
use crate::ledger::labels::{self, Labels};
use crate::ledger::origins::Origins;
use crate::ledger::retention::{Moment, Rule, Runs, longest};
use crate::ledger::wishes::{self, SourceWish, SourceWishes};
use larder_format::Hash;
use larder_format::ledger::{
    Entry, Event, Head, Newer, Origin, Pairing, Scrubbed, Snapshot, WallStamp, Without,
};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

mod devices;
mod judged;

/// So long after a snapshot was let go of its content is still there: a restore begun just before gets every file.
pub const PRUNE_GRACE_S: i64 = 7 * 24 * 3600;

/// A snapshot with its number and time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotRecord {
    /// Number of the ledger entry.
    pub sequence: u64,
    /// Time of the commit.
    pub stamp: WallStamp,
    /// Seconds that the appliance had lived for certain by then.
    pub lived_s: u64,
    /// Place among the days, weeks and months of the source.
    pub runs: Runs,
    /// The committed snapshot, without `origin` (`LedgerView::origin` has it) and without `contents` (the ledger's files have
    /// them): a device may say kilobytes of either with each push.
    pub snapshot: Snapshot,
}

impl SnapshotRecord {
    /// The fields that retention needs.
    pub fn moment(&self) -> Moment {
        Moment { sequence: self.sequence, mark: self.mark(), runs: self.runs }
    }

    /// Time of the commit, as the appliance lived it.
    pub fn mark(&self) -> TrustedTime {
        TrustedTime { stamp: self.stamp, lived_s: self.lived_s }
    }
}

/// Permissions of this version on the disks, after writes of a newer Larder. Ordered: the later, the less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Everything.
    Full,
    /// Take backups and give them back, but let go of nothing.
    KeepEverything {
        /// Ledger layout with a content unknown to this version.
        since: u16,
    },
    /// Give back only.
    ReadOnly {
        /// Layout with a content unknown to this version.
        since: u16,
    },
}

/// A stop on letting go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// `DEVICE/NAME`, or every source.
    pub source: Option<String>,
    /// In the owner's words.
    pub reason: String,
    /// Time of the clearing at the box; the hold ends a while later.
    pub cleared: Option<TrustedTime>,
}

/// Snapshots that were let go of together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LetGo {
    /// Number of the entry that says so.
    pub entry: u64,
    /// When.
    pub at: TrustedTime,
    /// In words.
    pub why: String,
    /// Their numbers, rising.
    pub snapshots: Vec<u64>,
    /// Their records, as long as the content has to be there still.
    pub(crate) records: Vec<Arc<SnapshotRecord>>,
}

/// The rule in force at some moment, and its coming change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleInForce {
    /// The present rule: the longest of all recent rules.
    pub rule: Rule,
    /// A rule that promises less in some part, and the seconds until its start.
    pub shorter: Option<(Rule, i64)>,
}

/// The ledger in memory: the source of every answer.
#[derive(Debug, Clone)]
pub struct LedgerView {
    /// The newest entry.
    pub head: Head,
    /// Time of the newest entry; none in an empty ledger.
    pub newest: Option<WallStamp>,
    /// Kept snapshots by source, oldest first. A source has at least one.
    pub sources: BTreeMap<String, Vec<Arc<SnapshotRecord>>>,
    /// Devices that may talk, by the hash of their key.
    pub pairings: HashMap<Hash, Pairing>,
    /// Holds, by the number of the entry that set the hold.
    pub holds: BTreeMap<u64, Hold>,
    /// Snapshots that were let go of, oldest first.
    pub let_go: Vec<LetGo>,
    /// Time and findings of each disk's last full read; by the disk's random name in hex.
    pub scrubs: BTreeMap<String, (WallStamp, Scrubbed)>,
    /// Present, former and retiring disks of the vault.
    pub disks: KnownDisks,
    /// Numbers of entries missing or damaged on every disk: the past was touched.
    pub gaps: Vec<u64>,
    /// Gaps of unknown content; the content of the other gaps is known in memory only.
    pub(crate) unread: Vec<u64>,
    /// Time, as told by the stamps of the entries.
    pub lifetime: Lifetime,
    access: Access,
    rules: Vec<(TrustedTime, Rule)>,
    /// What the owner wishes of sources.
    wishes: SourceWishes,
    /// Labels, by the number of their snapshot; also those that keep nothing any more.
    pub(crate) labels: Labels,
    /// Names of all devices that ever had a key.
    devices: BTreeSet<String>,
    /// When each key in force was made.
    keys_made: HashMap<Hash, WallStamp>,
    /// Snapshots that no derived view looks at, and why.
    set_aside: BTreeMap<u64, String>,
    /// Swept packs, with the time of the sweep.
    pub(crate) swept: HashMap<Hash, TrustedTime>,
    /// Salt of new packs, so that no new pack gets the name of a swept pack.
    pub(crate) salt: u32,
    pushes: HashMap<[u8; 16], Arc<SnapshotRecord>>,
    /// From which folder each snapshot came.
    pub(crate) origins: Origins,
}

impl LedgerView {
    pub(crate) fn new() -> Self {
        Self {
            head: Head::EMPTY,
            newest: None,
            sources: BTreeMap::new(),
            pairings: HashMap::new(),
            holds: BTreeMap::new(),
            let_go: Vec::new(),
            scrubs: BTreeMap::new(),
            disks: KnownDisks::new(),
            gaps: Vec::new(),
            unread: Vec::new(),
            lifetime: Lifetime::default(),
            access: Access::Full,
            rules: Vec::new(),
            wishes: SourceWishes::new(),
            labels: Labels::new(),
            devices: BTreeSet::new(),
            keys_made: HashMap::new(),
            set_aside: BTreeMap::new(),
            swept: HashMap::new(),
            salt: 0,
            pushes: HashMap::new(),
            origins: Origins::default(),
        }
    }

    /// Permissions that entries of a newer Larder leave to this version.
    pub fn access(&self) -> Access {
        self.access
    }

    /// The snapshot of a push, if the push was committed before and the snapshot is kept.
    pub fn push(&self, id: &[u8; 16]) -> Option<&Arc<SnapshotRecord>> {
        self.pushes.get(id)
    }

    /// Snapshots of a source, oldest first; empty for a source that never pushed.
    pub fn snapshots(&self, source: &str) -> &[Arc<SnapshotRecord>] {
        self.sources.get(source).map_or(&[], Vec::as_slice)
    }

    /// Snapshots of a source for history, differences and versions, oldest first: without the snapshots set aside at
    /// the box.
    pub fn looked_at(&self, source: &str) -> Vec<Arc<SnapshotRecord>> {
        let records = self.snapshots(source).iter();
        records.filter(|record| !self.is_set_aside(record.sequence)).cloned().collect()
    }

    /// Whether no derived view looks at the snapshot. It is kept, swept and restored like any other.
    pub fn is_set_aside(&self, sequence: u64) -> bool {
        self.set_aside.contains_key(&sequence)
    }

    /// The reason for setting the snapshot aside, in the owner's words; `None` for other snapshots.
    pub fn why_set_aside(&self, sequence: u64) -> Option<&str> {
        self.set_aside.get(&sequence).map(String::as_str)
    }

    /// What the owner wishes of a source.
    pub fn wish(&self, source: &str) -> SourceWish {
        self.wishes.get(source).cloned().unwrap_or_default()
    }

    /// Snapshots of a source that a wish at the box lets go of, oldest first; labelled ones among them stay for as long as
    /// they are labelled.
    pub fn letting_go<'a>(&'a self, source: &str) -> impl Iterator<Item = &'a Arc<SnapshotRecord>> + use<'a> {
        let wish = self.wishes.get(source).and_then(|wish| wish.let_go);
        let is_covered = move |record: &&Arc<SnapshotRecord>| {
            wish.is_some_and(|wish| wish.covers(record.sequence, record.stamp.time_ms))
        };
        // Hardly any source has a wish, and every look asks for each.
        let records = if wish.is_some() { self.snapshots(source) } else { &[] };
        records.iter().filter(is_covered)
    }

    /// When a key in force was made.
    pub fn key_made(&self, key: &Hash) -> Option<WallStamp> {
        self.keys_made.get(key).copied()
    }

    /// The moment of `now`.
    pub fn at(&self, now: WallStamp) -> TrustedTime {
        self.lifetime.at(now)
    }

    /// When and why a snapshot was let go of.
    pub fn let_go_of(&self, sequence: u64) -> Option<&LetGo> {
        self.let_go.iter().find(|gone| gone.snapshots.binary_search(&sequence).is_ok())
    }

    /// Whether a snapshot is of `source`, or was until it was let go of; no more once its record is gone, too.
    pub fn was_of(&self, sequence: u64, source: &str) -> bool {
        let let_go = self.let_go.iter().flat_map(|gone| &gone.records);
        let mut all = self.snapshots(source).iter().chain(let_go);
        all.any(|record| record.sequence == sequence && record.snapshot.source == source)
    }

    /// The folder that a snapshot came from, as its device said; nothing for one of a source that has moved often since.
    pub fn origin(&self, record: &SnapshotRecord) -> Option<&Origin> {
        self.origins.of(&record.snapshot.source, record.sequence)
    }

    /// The rule in force at `now`; `None` as long as the owner has set no rule, and then every snapshot is kept.
    pub fn rule(&self, now: &TrustedTime) -> Option<RuleInForce> {
        let is_old = |(mark, _): &(TrustedTime, Rule)| mark.age_s(now) >= SHORTEN_DELAY_S;
        // Without an old rule the first rule counts: a first rule shortens no promise.
        let first = self.rules.iter().rposition(is_old).unwrap_or(0);
        let (_, mut rule) = *self.rules.get(first)?;
        for (_, later) in &self.rules[first + 1..] {
            rule = longest(&rule, later);
        }
        let (set, wished) = self.rules.last()?;
        let shorter = (longest(&rule, wished) != *wished)
            .then(|| (*wished, SHORTEN_DELAY_S.saturating_sub(set.age_s(now)).max(0)));
        Some(RuleInForce { rule, shorter })
    }

    /// The last rule set, in force or not yet.
    pub fn rule_wished(&self) -> Option<&Rule> {
        self.rules.last().map(|(_, rule)| rule)
    }

    /// Holds in force at `now`, by number.
    pub fn holds_in_force<'a>(
        &'a self,
        now: &TrustedTime,
    ) -> impl Iterator<Item = (u64, &'a Hold)> + use<'a> {
        let now = *now;
        let holds = move |hold: &Hold| hold.cleared.is_none_or(|mark| mark.age_s(&now) < SHORTEN_DELAY_S);
        self.holds.iter().filter(move |(_, hold)| holds(hold)).map(|(number, hold)| (*number, hold))
    }

    /// Whether a hold keeps every snapshot of `source`.
    pub fn is_on_hold(&self, source: &str, now: &TrustedTime) -> bool {
        self.holds_in_force(now).any(|(_, hold)| hold.source.as_deref().is_none_or(|held| held == source))
    }

    /// Takes in the entry behind the head, just read back or written.
    pub fn take_in(&mut self, entry: Entry, hash: Hash) {
        self.apply(entry, hash);
    }

    pub(crate) fn apply(&mut self, entry: Entry, hash: Hash) {
        let Entry { sequence, stamp, event, .. } = entry;
        self.head = Head { sequence, hash };
        self.newest = Some(stamp);
        let mark = match event {
            Event::ClockConfirmed => self.lifetime.confirm(stamp),
            _ => self.lifetime.observe(stamp),
        };
        wishes::apply(&mut self.wishes, wishes::Told { sequence, mark }, &event);
        labels::apply(&mut self.labels, mark, &event);
        match event {
            Event::VaultCreated { .. }
            | Event::ClockConfirmed
            | Event::SourceExpected { .. }
            | Event::SourceRetired { .. }
            | Event::SourceReturned { .. }
            | Event::SourceLetGo { .. }
            | Event::SourceKept { .. }
            | Event::Labelled { .. }
            | Event::LabelEnded { .. } => {}
            Event::Newer(Newer { since, without, .. }) => {
                self.access = self.access.max(match without {
                    Without::StepOver => Access::Full,
                    Without::KeepEverything => Access::KeepEverything { since },
                    Without::ReadOnly => Access::ReadOnly { since },
                });
            }
            Event::Snapshot(snapshot) => self.add(sequence, mark, snapshot),
            Event::DevicePaired(pairing) => {
                self.devices.insert(pairing.device.clone());
                self.keys_made.insert(pairing.key, stamp);
                self.pairings.insert(pairing.key, pairing);
            }
            Event::DeviceRevoked { key } => {
                self.keys_made.remove(&key);
                self.pairings.remove(&key);
            }
            Event::HoldSet { source, reason } => {
                self.holds.insert(sequence, Hold { source, reason, cleared: None });
            }
            Event::HoldCleared { sequence } => {
                if let Some(hold) = self.holds.get_mut(&sequence) {
                    hold.cleared.get_or_insert(mark);
                }
            }
            Event::Scrubbed(found) => {
                self.scrubs.insert(identity::hex(&found.disk), (stamp, found));
            }
            Event::Disk(event) => known::apply(&mut self.disks, sequence, stamp, event),
            Event::Pruned { snapshots, why } => {
                self.let_go(LetGo { entry: sequence, at: mark, why, snapshots, records: Vec::new() })
            }
            Event::RetentionSet(rule) => self.rules.push((mark, rule)),
            Event::Swept { packs, salt } => {
                self.salt = self.salt.max(salt);
                self.swept.extend(packs.into_iter().map(|name| (name, mark)));
            }
            Event::SetAside { snapshot, why } => drop(self.set_aside.insert(snapshot, why)),
            Event::SetAsideCleared { snapshot } => drop(self.set_aside.remove(&snapshot)),
        }
    }

    fn add(&mut self, sequence: u64, mark: TrustedTime, mut snapshot: Snapshot) {
        self.origins.add(&snapshot.source, sequence, snapshot.origin.take());
        snapshot.contents = Vec::new();
        let records = self.sources.entry(snapshot.source.clone()).or_default();
        let runs = Runs::after(records.last().map(|record| (record.runs, record.stamp)), mark.stamp);
        let TrustedTime { stamp, lived_s } = mark;
        let record = Arc::new(SnapshotRecord { sequence, stamp, lived_s, runs, snapshot });
        records.push(record.clone());
        self.pushes.insert(record.snapshot.push, record);
    }

    fn let_go(&mut self, mut now: LetGo) {
        now.snapshots.sort_unstable();
        let is_gone =
            |record: &mut Arc<SnapshotRecord>| now.snapshots.binary_search(&record.sequence).is_ok();
        now.records = self.sources.values_mut().flat_map(|records| records.extract_if(.., is_gone)).collect();
        self.sources.retain(|_, records| !records.is_empty());
        self.origins.retain(|source| self.sources.contains_key(source));
        for record in &now.records {
            self.pushes.remove(&record.snapshot.push);
            self.set_aside.remove(&record.sequence);
        }
        let at = now.at;
        // A snapshot let go of long ago needs no more memory than its number.
        for old in &mut self.let_go {
            if old.at.is_past(PRUNE_GRACE_S, &at) {
                old.records = Vec::new();
            }
        }
        self.let_go.push(now);
    }
}

#[cfg(test)]
mod tests;
