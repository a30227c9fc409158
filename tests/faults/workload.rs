//! The lives that every fault is tried on: pushes of several packs, two sources, keys, holds, a disk that is filled,
//! one that comes back, and opening itself. Each is a list of steps; what was acknowledged goes into the model.
//!
//! Whoever gets an error asks once more, as a client does, and goes on with the next step.

use harness::model::Model;
use harness::plain::{self, Files, files, push, stamp};
use larder_format::Hash;
use larder_format::ledger::{Event, Pairing, Role, Sees};
use larder_store::disk::{Disk, Fault, FaultyDisk, MemoryDisk, Plan};
use larder_store::{Committed, MemberState, Result, StoreError, Vault};
use std::sync::Arc;

/// Folders above the deepest file of these lives, the root included.
const FOLDERS_DEEP: usize = 4;

/// One thing that happens to an open vault.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Source, files, number of the push.
    Push(&'static str, Arc<Files>, u128),
    /// As `Push`, with a pack of its own for every two blocks.
    PushInPacks(&'static str, Arc<Files>, u128),
    Pair(u8),
    Revoke(u8),
    Hold,
    /// Ends the newest hold.
    ClearHold,
    CatchUp,
    /// The agent is stopped in good order and started again.
    Restart,
}

/// A life: the disks as they are before it, and what happens then.
#[derive(Clone)]
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) disks: Vec<MemoryDisk>,
    pub(crate) model: Model,
    pub(crate) steps: Vec<Step>,
}

/// A life that was lived, maybe through faults.
pub(crate) struct Lived {
    pub(crate) model: Model,
    /// The disks as they are now, with what is still pending on them.
    pub(crate) disks: Vec<FaultyDisk>,
    /// Steps that were acknowledged, and those that were not.
    pub(crate) done: usize,
    pub(crate) failed: usize,
    /// How far the vault trusted each disk in the end; nothing if it never opened.
    pub(crate) states: Vec<MemberState>,
    /// What the disks are called; nothing if it never opened.
    pub(crate) ids: Vec<String>,
}

/// Every life.
pub(crate) fn all() -> Vec<Workload> {
    let empty = |count| (0..count).map(|_| MemoryDisk::new()).collect::<Vec<_>>();
    let fresh = |name, count, steps| Workload { name, disks: empty(count), model: Model::default(), steps };
    let lived = quiet(&fresh("", 1, days()));
    let pair = quiet(&fresh("", 2, days()));
    let ahead =
        quiet(&Workload { disks: pair.disks[..1].to_vec(), model: pair.model, name: "", steps: later() });
    vec![
        fresh("days", 1, days()),
        fresh("several packs", 1, in_packs()),
        fresh("keys and holds", 1, keys_and_holds()),
        fresh("two disks", 2, days()),
        Workload {
            name: "a disk is filled",
            disks: vec![lived.disks[0].clone(), MemoryDisk::new()],
            ..joining(&lived)
        },
        Workload {
            name: "a disk comes back",
            disks: vec![ahead.disks[0].clone(), pair.disks[1].clone()],
            ..joining(&ahead)
        },
        opening(&lived),
    ]
}

/// The shortest life, for what is tried most often.
pub(crate) fn days_on(disks: usize) -> Workload {
    let disks = (0..disks).map(|_| MemoryDisk::new()).collect();
    Workload { name: "days", disks, model: Model::default(), steps: days() }
}

impl Workload {
    /// Lives it with the faults of `schedule`, counted over all disks together.
    pub(crate) fn live(&self, plan: Option<Plan>) -> Lived {
        let mut disks: Vec<FaultyDisk> = Vec::new();
        for below in &self.disks {
            let below = below.after_clean_stop();
            let disk = disks.first().map(|first| first.beside(below.clone()));
            disks.push(disk.unwrap_or_else(|| FaultyDisk::new(below, plan)));
        }
        self.live_on(disks)
    }

    /// Lives it on these disks.
    pub(crate) fn live_on(&self, disks: Vec<FaultyDisk>) -> Lived {
        let (model, states, ids) = (self.model.clone(), Vec::new(), Vec::new());
        let mut life = Lived { model, disks, done: 0, failed: 0, states, ids };
        let mut vault = life.open();
        for step in &self.steps {
            if matches!(step, Step::Restart) {
                drop(vault.take());
                vault = life.open();
            }
            let is_done = vault.as_ref().is_some_and(|vault| take(step, vault, &mut life.model));
            *(if is_done { &mut life.done } else { &mut life.failed }) += 1;
        }
        let views = vault.map(|vault| vault.disks()).unwrap_or_default();
        (life.ids, life.states) = views.into_iter().map(|view| (view.id, view.state)).unzip();
        life
    }

    /// Operations that change a disk, when nothing goes wrong.
    pub(crate) fn operations(&self) -> u64 {
        let lived = self.live(None);
        assert_eq!((lived.failed, lived.done), (0, self.steps.len()), "{}: it fails by itself", self.name);
        lived.disks[0].operations()
    }
}

impl Lived {
    fn open(&mut self) -> Option<Vault> {
        let disks = self.disks.iter().map(|disk| Arc::new(disk.clone()) as Arc<dyn Disk>).collect();
        // A box that does not start is started again by systemd.
        let vault = plain::open(disks).ok()?;
        self.model.believe_healthy(&vault);
        Some(vault)
    }
}

/// Takes one step, twice if need be; whether it was acknowledged.
fn take(step: &Step, vault: &Vault, model: &mut Model) -> bool {
    (0..2).any(|_| try_step(step, vault, model).is_ok())
}

fn try_step(step: &Step, vault: &Vault, model: &mut Model) -> Result<()> {
    let pairing = |number: u8| Pairing {
        device: format!("device-{number}"),
        role: Role::Push,
        sees: Sees::Nothing,
        key: Hash::of(&[number]),
    };
    match step {
        Step::Push(source, files, number) => {
            let committed = push(vault, source, files, *number, hours(*number))?;
            confirm(model, &committed, *number, files);
            // A client that did not hear the answer asks again.
            let again = push(vault, source, files, *number, stamp(50))?;
            confirm(model, &again, *number, files);
        }
        Step::PushInPacks(source, files, number) => {
            let mut blocks = 0;
            let (root, totals) = plain::send(vault, files, |vault| {
                blocks += 1;
                if blocks % 2 == 0 { vault.seal_all() } else { Ok(()) }
            })?;
            let committed = vault
                .by(&plain::APPLIANCE)
                .commit(plain::snapshot(source, *number, root, totals), hours(*number))?;
            confirm(model, &committed, *number, files);
        }
        Step::Pair(number) => {
            let pairing = pairing(*number);
            vault.append(stamp(1), Event::DevicePaired(pairing.clone()))?;
            model.confirm_key(pairing.key, Some(pairing));
        }
        Step::Revoke(number) => {
            let key = pairing(*number).key;
            // From here on either answer is right until it is acknowledged.
            model.forget_key(&key);
            vault.append(stamp(1), Event::DeviceRevoked { key })?;
            model.confirm_key(key, None);
        }
        Step::Hold => {
            let (source, reason) = (Some("laptop/docs".to_owned()), "many files changed".to_owned());
            let head = vault.append(stamp(1), Event::HoldSet { source: source.clone(), reason })?;
            model.confirm_hold(head.sequence, source);
        }
        Step::ClearHold => {
            let newest = vault.ledger().holds.keys().next_back().copied();
            let Some(sequence) = newest else { return Ok(()) };
            model.forget_hold(sequence);
            vault.append(stamp(1), Event::HoldCleared { sequence })?;
            model.confirm_hold(sequence, None);
        }
        Step::CatchUp => {
            while vault.catch_up(1)? > 0 {}
            model.believe_healthy(vault);
        }
        Step::Restart => {}
    }
    Ok(())
}

fn confirm(model: &mut Model, committed: &Committed, number: u128, files: &Arc<Files>) {
    model.confirm(committed, number, files).expect("a receipt that makes sense");
}

/// The vault on these disks keeps every promise, the next push simply works, and no bit is wrong.
pub(crate) fn check(model: &Model, disks: Vec<Arc<dyn Disk>>, context: &str) {
    let vault = check_promises(model, disks, context);
    let audit = vault.audit();
    assert!(
        audit.as_ref().is_ok_and(|audit| audit.damaged.is_empty()),
        "{context}: the audit says {audit:?}"
    );
}

/// As `check`, where a disk may hold damaged files that nobody was promised. Returns the vault.
pub(crate) fn check_promises(model: &Model, disks: Vec<Arc<dyn Disk>>, context: &str) -> Vault {
    verdict(model, disks).unwrap_or_else(|error| panic!("{context}: {error}"))
}

/// What is wrong with the vault on these disks, if anything.
pub(crate) fn verdict(model: &Model, disks: Vec<Arc<dyn Disk>>) -> Result<Vault, String> {
    let vault = plain::open(disks).map_err(|error| format!("the vault does not open: {error:?}"))?;
    model.check(&vault, |_| true)?;
    model.check_keys_and_holds(&vault)?;
    let again = || push(&vault, "laptop/docs", &first_day(), 999, stamp(99));
    // What is told to be missing is sent, as a device does: damage below a folder shows once that is whole again.
    let mut next = again();
    for _ in 0..FOLDERS_DEEP {
        if matches!(next, Err(StoreError::Missing { .. })) {
            next = again();
        }
    }
    next.map_err(|error| format!("the next push fails: {error:?}"))?;
    Ok(vault)
}

fn hours(number: u128) -> larder_format::ledger::WallStamp {
    stamp(u64::try_from(number).expect("few pushes"))
}

fn long(seed: u8, len: u32) -> Vec<u8> {
    (0..len).map(|n| (n % 251) as u8 ^ seed).collect()
}

fn first_day() -> Files {
    let photos = [long(1, 3000), long(2, 3000)];
    files([("a.txt", b"first"), ("photos/cat.jpg", &photos[0]), ("photos/old/dog.jpg", &photos[1])])
}

/// Pushes, an edit, a second source, a deletion.
fn days() -> Vec<Step> {
    let first = first_day();
    let mut edited = first.clone();
    edited.insert("a.txt".to_owned(), b"edited".to_vec());
    let mut deleted = edited.clone();
    deleted.remove("photos/cat.jpg");
    let other = files([("music/song.ogg", &long(3, 3000)), ("b.txt", b"first")]);
    vec![
        Step::Push("laptop/docs", first.into(), 1),
        Step::Push("laptop/docs", edited.into(), 2),
        Step::Push("phone/dcim", other.into(), 3),
        Step::Push("laptop/docs", deleted.into(), 4),
    ]
}

fn in_packs() -> Vec<Step> {
    let first = files([("film.mkv", &long(7, 4200)), ("a.txt", b"one")]);
    let second = files([("film.mkv", &long(8, 3500)), ("a.txt", b"one"), ("b.txt", b"two")]);
    vec![
        Step::PushInPacks("laptop/films", first.into(), 11),
        Step::PushInPacks("laptop/films", second.into(), 12),
        Step::Restart,
        Step::Push("phone/dcim", first_day().into(), 13),
    ]
}

fn keys_and_holds() -> Vec<Step> {
    let files = Arc::new(files([("a.txt", b"one")]));
    vec![
        Step::Pair(1),
        Step::Pair(2),
        Step::Push("laptop/docs", files.clone(), 21),
        Step::Hold,
        Step::Revoke(1),
        Step::ClearHold,
        Step::Hold,
        Step::Push("laptop/docs", files, 22),
    ]
}

/// What happens while one of the disks is away.
fn later() -> Vec<Step> {
    let diary = |text: &[u8]| Arc::new(files([("diary.txt", text), ("photos/cat.jpg", &long(9, 2500))]));
    vec![
        Step::Push("laptop/diary", diary(b"monday"), 31),
        Step::Push("laptop/diary", diary(b"tuesday"), 32),
        Step::Pair(3),
    ]
}

/// Another disk is there, and the days go on.
fn joining(before: &Workload) -> Workload {
    let diary = Arc::new(files([("diary.txt", b"sunday"), ("photos/cat.jpg", &long(10, 2500))]));
    let steps = vec![Step::CatchUp, Step::Push("laptop/diary", diary, 41)];
    Workload { steps, ..before.clone() }
}

/// The agent was killed in the middle of a push; what it left is salvaged.
fn opening(before: &Workload) -> Workload {
    let in_the_middle = Workload { steps: in_packs(), ..before.clone() };
    let killed = in_the_middle.live(Some(Plan { at: 40, fault: Fault::PowerCut }));
    let disks = killed.disks.iter().map(|disk| disk.below().after_clean_stop()).collect();
    Workload { name: "opening after a kill", disks, model: killed.model, steps: vec![Step::Restart] }
}

/// The same life some time later, without any fault.
fn quiet(workload: &Workload) -> Workload {
    let lived = workload.live(None);
    let disks = lived.disks.iter().map(|disk| disk.below().after_clean_stop()).collect();
    Workload { disks, model: lived.model, ..workload.clone() }
}
