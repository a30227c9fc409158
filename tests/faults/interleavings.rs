//! Pushes in their steps, restores in theirs, prunes, sweeps, room made for refused pushes and power cuts in any order, against
//! the plainest model there is: a list of what was acknowledged and not let go of.

use harness::plain::{self, Files, Push, restore, stamp};
use larder_format::block::Encoder;
use larder_format::ledger::{Event, Rule};
use larder_format::pack::PACK_BYTES_AIM;
use larder_format::wire::Neighbours;
use larder_store::disk::{Dice, Disk, MemoryDisk};
use larder_store::{Fetch, StoreError, Vault};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Histories in a quick run; the long run raises it by `LARDER_INTERLEAVINGS`.
const HISTORIES: u64 = 12_000;
const STEPS: u64 = 60;
/// Everything but the newest goes at the next prune.
const NEWEST_ONLY: Rule =
    Rule { everything_days: 0, daily_days: 0, weekly_days: 0, monthly_days: Some(0), newest: 1 };
const SOURCES: [&str; 2] = ["laptop/docs", "phone/dcim"];
/// A push that took no longer than this, without a restart, must find all that it was told of.
const RELIED_HOURS: u64 = 24;

/// Room for uploads beside a pack: in most histories more than anybody brings, in some less than one push needs.
const ROOM_BYTES: u64 = 100 << 20;
const LITTLE_ROOM_BYTES: u64 = 20_000;

/// A push that has asked and not yet committed.
struct Begun {
    push: Push,
    files: Files,
    source: &'static str,
    hour: u64,
    sent: bool,
    is_new_run: bool,
}

struct History {
    dice: Dice,
    disks: Vec<MemoryDisk>,
    vault: Vault,
    hour: u64,
    pushes: u128,
    kept: BTreeMap<u64, (&'static str, Files)>,
    begun: Vec<Begun>,
    /// Plans of restores that are under way: number of the snapshot and steps left.
    restoring: Vec<(u64, Vec<Fetch>)>,
    room_bytes: u64,
    let_go: u64,
    swept: u64,
    made_room: u64,
    asked_again: u64,
}

fn disks(all: &[MemoryDisk]) -> Vec<Arc<dyn Disk>> {
    all.iter().map(|disk| Arc::new(disk.clone()) as Arc<dyn Disk>).collect()
}

impl History {
    fn new(seed: u64) -> Self {
        let all: Vec<_> = (0..1 + seed % 2).map(|_| MemoryDisk::new()).collect();
        let vault = plain::open(disks(&all)).expect("opens");
        vault.append(stamp(0), Event::RetentionSet(NEWEST_ONLY)).expect("written");
        let mut history = Self {
            dice: Dice::new(seed),
            disks: all,
            vault,
            hour: 0,
            pushes: 0,
            kept: BTreeMap::new(),
            begun: Vec::new(),
            restoring: Vec::new(),
            room_bytes: if seed.is_multiple_of(5) { LITTLE_ROOM_BYTES } else { ROOM_BYTES },
            let_go: 0,
            swept: 0,
            made_room: 0,
            asked_again: 0,
        };
        history.wait(30);
        history
    }

    fn wait(&mut self, hours: u64) {
        // The agent looks all the time; a step of less than a day is no jump.
        for _ in 0..hours.div_ceil(12) {
            self.hour += 12.min(hours);
            self.vault.look_at_clock(stamp(self.hour));
        }
    }

    /// Files that share much with what others push.
    fn some_files(&mut self) -> Files {
        let mut files = Files::new();
        for name in ["a", "b", "c/d", "c/e"] {
            let fill = u8::try_from(self.dice.number_below(6)).expect("small");
            let bytes = usize::try_from(self.dice.number_below(900)).expect("small");
            files.insert(name.to_owned(), vec![fill; 400 + bytes / 450 * 450]);
        }
        files
    }

    /// From now on every disk has so much room besides what uploads are never given.
    fn leave_room(&self, bytes: u64) {
        for disk in &self.disks {
            let used: u64 = disk.files().iter().map(|(_, len)| len).sum();
            disk.limit(used + bytes);
        }
    }

    fn step(&mut self) {
        self.leave_room(PACK_BYTES_AIM + self.room_bytes);
        match self.dice.number_below(24) {
            0 | 1 => {
                let files = self.some_files();
                let source = SOURCES[usize::try_from(self.dice.number_below(2)).expect("small")];
                let push = Push::ask(&self.vault, plain::device_of(source), &files);
                let hour = self.hour;
                self.begun.push(Begun { push, files, source, hour, sent: false, is_new_run: false });
            }
            2..=4 => self.go_on_pushing(),
            5 | 13 | 15 => {
                let hours = [6, 12, 60, 200, 200][usize::try_from(self.dice.number_below(5)).expect("small")];
                self.wait(hours);
            }
            6 | 14 => self.prune(),
            7..=9 | 16..=19 => self.sweep(),
            10 => self.begin_restore(),
            11 => self.go_on_restoring(),
            20..=23 => self.make_room(),
            _ => self.cut_power(),
        }
    }

    fn go_on_pushing(&mut self) {
        if self.begun.is_empty() {
            return;
        }
        let at = usize::try_from(self.dice.number_below(self.begun.len() as u64)).expect("small");
        if !self.begun[at].sent {
            match self.begun[at].push.send(&self.vault, |_| Ok(())) {
                Err(StoreError::Full { .. }) if self.is_tight() => {}
                sent => sent.expect("there is room"),
            }
            self.begun[at].sent = true;
            return;
        }
        let begun = self.begun.swap_remove(at);
        self.pushes += 1;
        let committed = begun.push.commit(&self.vault, begun.source, self.pushes, stamp(self.hour));
        let committed = match committed {
            Err(StoreError::Missing { .. }) => {
                let relied = self.hour - begun.hour < RELIED_HOURS && !begun.is_new_run && !self.is_tight();
                assert!(!relied, "a push was told that a chunk is held, and it was swept");
                self.asked_again += 1;
                self.leave_room(PACK_BYTES_AIM + ROOM_BYTES);
                plain::push(&self.vault, begun.source, &begun.files, self.pushes, stamp(self.hour))
            }
            committed => committed,
        };
        let sequence = committed.expect("it is complete").record.sequence;
        self.kept.insert(sequence, (begun.source, begun.files));
    }

    fn prune(&mut self) {
        let now = stamp(self.hour);
        let plan = self.vault.plan_prune(now);
        if self.vault.prune(&plan, now).is_err() {
            return;
        }
        for going in plan.snapshots {
            let (source, _) = self.kept.remove(&going.sequence).expect("only what is kept can go");
            assert_eq!(source, going.source);
            self.let_go += 1;
        }
    }

    fn sweep(&mut self) {
        for _ in 0..self.dice.number_below(60) {
            let swept = self.vault.sweep_step(stamp(self.hour), 8).expect("nothing fails");
            self.swept += swept.packs;
            if !swept.is_under_way {
                break;
            }
        }
    }

    /// Whether devices are above their share with a single push, so that what they were told may go.
    fn is_tight(&self) -> bool {
        self.room_bytes == LITTLE_ROOM_BYTES
    }

    /// Somebody is refused, or the box only looks; then some steps, maybe not all of a round.
    fn make_room(&mut self) {
        if !self.dice.one_in(3) {
            self.vault.seal_all().expect("there is room");
            self.leave_room(PACK_BYTES_AIM - 1);
            let tablet = plain::device_of("tablet");
            let new = self.pushes.to_le_bytes().repeat(8);
            let block = Encoder::new().encode(&new, vec![128]);
            let refused = self.vault.by(&tablet).receive(&block);
            assert!(matches!(refused, Err(StoreError::Full { .. })), "{refused:?}");
            self.leave_room(PACK_BYTES_AIM + self.room_bytes);
        }
        for _ in 0..self.dice.number_below(40) {
            let swept = self.vault.sweep_unfinished_step(stamp(self.hour), 8).expect("nothing fails");
            self.made_room += swept.packs;
            if !swept.is_under_way {
                break;
            }
        }
    }

    fn begin_restore(&mut self) {
        let records: Vec<_> = self.vault.ledger().sources.values().flatten().cloned().collect();
        if records.is_empty() {
            return;
        }
        let record = &records[usize::try_from(self.dice.number_below(records.len() as u64)).expect("small")];
        let (_, files) = &self.kept[&record.sequence];
        let push = Push::ask(&self.vault, plain::APPLIANCE.clone(), files);
        self.restoring.push((record.sequence, self.vault.by(&plain::APPLIANCE).plan_fetch(&push.names)));
    }

    /// A plan that was made before a sweep still gives every chunk, as long as its snapshot is kept.
    fn go_on_restoring(&mut self) {
        let Some((sequence, mut steps)) = self.restoring.pop() else { return };
        if let Some(step) = steps.pop() {
            let fetched = self.vault.by(&plain::APPLIANCE).fetch(&step, Neighbours::Unwanted);
            assert!(
                fetched.is_ok() || !self.kept.contains_key(&sequence),
                "a restore broke off: {fetched:?}"
            );
            self.restoring.push((sequence, steps));
        }
    }

    fn cut_power(&mut self) {
        let seed = self.dice.number_below(u64::MAX);
        for disk in &mut self.disks {
            *disk = disk.after_power_cut(seed);
        }
        self.vault = plain::open(disks(&self.disks)).expect("it opens again");
        while self.vault.catch_up(1 << 20).expect("there is room") > 0 {}
        self.restoring.clear();
        self.begun.iter_mut().for_each(|begun| begun.is_new_run = true);
        self.check();
    }

    fn check(&self) {
        for (sequence, (source, files)) in &self.kept {
            let record =
                self.vault.ledger().snapshots(source).iter().find(|f| f.sequence == *sequence).cloned();
            let record = record.unwrap_or_else(|| panic!("snapshot {sequence} is lost"));
            let found = restore(&self.vault, record.snapshot.root);
            let found = found.unwrap_or_else(|error| panic!("snapshot {sequence} is not whole: {error:?}"));
            assert!(found == *files, "snapshot {sequence} gives other bytes");
        }
        let listed: usize = self.vault.ledger().sources.values().map(Vec::len).sum();
        assert_eq!(listed, self.kept.len(), "nothing else is listed");
    }
}

fn live(seed: u64) -> History {
    let mut history = History::new(seed);
    for _ in 0..STEPS {
        history.step();
    }
    history.check();
    history.cut_power();
    history
}

/// Whatever happens in whatever order, what is kept stays whole, and what a push was told of is there.
#[test]
fn no_order_of_things_loses_what_is_kept() {
    let wanted = std::env::var("LARDER_INTERLEAVINGS").ok().and_then(|text| text.parse().ok());
    let histories: u64 = wanted.unwrap_or(HISTORIES);
    let [let_go, swept, made_room, asked_again] = [(); 4].map(|()| AtomicU64::new(0));
    std::thread::scope(|scope| {
        for first in 0..2 {
            let (let_go, swept, made_room) = (&let_go, &swept, &made_room);
            let asked_again = &asked_again;
            scope.spawn(move || {
                for seed in (first..histories).step_by(2) {
                    let run = std::panic::catch_unwind(|| live(seed));
                    let history = run.unwrap_or_else(|_| panic!("history {seed} failed, see above"));
                    let_go.fetch_add(history.let_go, Ordering::Relaxed);
                    swept.fetch_add(history.swept, Ordering::Relaxed);
                    made_room.fetch_add(history.made_room, Ordering::Relaxed);
                    asked_again.fetch_add(history.asked_again, Ordering::Relaxed);
                }
            });
        }
    });
    let [let_go, swept, made_room, asked_again] =
        [let_go, swept, made_room, asked_again].map(AtomicU64::into_inner);
    println!(
        "{histories} histories: {let_go} snapshots let go of, {swept} packs swept, {made_room} to make room, \
         {asked_again} pushes asked again, 0 lost"
    );
    assert!(let_go > histories / 10 && swept > histories / 100, "the test must let go: {let_go}, {swept}");
    assert!(made_room > histories / 100, "and make room: {made_room}");
}
