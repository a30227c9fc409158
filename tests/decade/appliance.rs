//! The box: disks in slots, one on a shelf elsewhere, the vault while it is open, and what the agent and its owner do
//! about it each day.
//!
//! `chores` is the one function in which the box looks after itself. Not here: what happens to it (`life`).

use crate::clock::Clock;
use crate::drive::Drive;
use crate::keeping::Keeping;
use harness::model::Model;
use larder_store::disk::{Disk, Fault, FaultyDisk, On, Planned, When};
use larder_store::{IndexPlace, MemberState, Options, StoreError, Vault};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

/// Bytes copied to a lagging disk at a time, so that a cut finds it half filled.
const CATCH_UP_STEP_BYTES: u64 = 20_000;
/// Longest chain of steps that filling a disk may take in these lives.
const CATCH_UP_STEPS_MAX: usize = 100_000;

/// A night's share of a round over everything, and of the sidecars that are still to be made.
const NIGHTS_A_ROUND: u64 = 25;
const PARITY_BYTES: u64 = 100_000;
/// What the scrub counts for a small file besides its bytes.
const FILE_COST_BYTES: u64 = 64 * 1024;

/// Sidecars for new packs, then a part of each disk is read back and repaired. What a disk does not let be done
/// tonight is done on another night; whether it was is seen by what can be restored.
fn scrub(vault: &Vault, clock: &Clock) {
    let stamp = clock.stamp(vault.ledger().newest.map(|newest| newest.time_ms));
    let _ = vault.write_parity(PARITY_BYTES);
    let files = vault.ledger().head.sequence * 3;
    for view in vault.scrubs().iter().filter(|view| view.is_readable) {
        let share = (view.round.total + files * FILE_COST_BYTES) / NIGHTS_A_ROUND + FILE_COST_BYTES;
        let _ = vault.scrub(&view.disk, share, stamp);
    }
}

/// The box and everything that belongs to it.
pub(crate) struct Appliance {
    /// What is plugged in, dead disks among them.
    pub(crate) slots: Vec<Drive>,
    /// What lies elsewhere.
    pub(crate) offsite: Drive,
    pub(crate) vault: Option<Vault>,
    /// The disks as the open vault sees them, by name.
    wired: BTreeMap<String, FaultyDisk>,
    /// Names in the vault of disks that somebody pulled and will plug in again.
    pub(crate) pulled: BTreeSet<String>,
    /// Disks that are to be forgotten, and since which day.
    pub(crate) leaving: BTreeMap<String, u32>,
    /// For names that no other disk has, of drives and in the vault.
    names: Rc<Cell<u64>>,
    /// What happened in words, newest last; taken away by whoever tells the story.
    pub(crate) story: Vec<String>,
    pub(crate) counts: BTreeMap<&'static str, u64>,
}

impl Appliance {
    pub(crate) fn new() -> Self {
        let drive = |name: &str| Drive::new(name.to_owned());
        Self {
            slots: vec![drive("disk-1"), drive("disk-2")],
            offsite: drive("offsite-3"),
            vault: None,
            wired: BTreeMap::new(),
            pulled: BTreeSet::new(),
            leaving: BTreeMap::new(),
            names: Rc::new(Cell::new(4)),
            story: Vec::new(),
            counts: BTreeMap::new(),
        }
    }

    pub(crate) fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    pub(crate) fn tell(&mut self, what: String) {
        self.story.push(what);
    }

    pub(crate) fn new_drive(&self) -> Drive {
        Drive::new(format!("disk-{}", self.next_name()))
    }

    fn next_name(&self) -> u64 {
        let next = self.names.get();
        self.names.set(next + 1);
        next
    }

    /// Starts the agent on every disk that is plugged in and alive: dead ones, the owner has taken out of the settings.
    ///
    /// # Errors
    /// The vault does not open.
    pub(crate) fn start(&mut self, model: &mut Model, clock: &Clock) -> Result<(), String> {
        self.stop();
        let mut first: Option<FaultyDisk> = None;
        let mut disks: Vec<Arc<dyn Disk>> = Vec::new();
        for drive in self.slots.iter().filter(|drive| !drive.is_dead) {
            let medium = drive.medium.clone();
            let disk = match &first {
                Some(first) => first.on_same_power(medium),
                None => FaultyDisk::new(medium, None),
            };
            if drive.is_liar {
                disk.plan(Planned { on: On::Syncs, when: When::From(0), fault: Fault::SyncLies });
            }
            first.get_or_insert_with(|| disk.clone());
            disks.push(Arc::new(disk.clone()));
            self.wired.insert(drive.name.clone(), disk);
        }
        if disks.is_empty() {
            return Ok(());
        }
        let names = self.names.clone();
        let random = move || {
            names.set(names.get() + 1);
            u128::from(names.get()).to_be_bytes()
        };
        let stamp = clock.stamp(None);
        let options =
            Options { disks, index: IndexPlace::Memory, random: Box::new(random), reserve_bytes: 0, stamp };
        match Vault::open(options) {
            Ok((vault, _)) => {
                let views = vault.disks();
                for drive in &mut self.slots {
                    let view =
                        views.iter().find(|view| view.path == drive.name && view.state != MemberState::Away);
                    drive.id = view.map(|view| view.id.clone()).or(drive.id.take());
                }
                model.believe_healthy(&vault);
                self.vault = Some(vault);
                self.count("vault opened");
                Ok(())
            }
            // A new disk cannot join while there is no room on it; nobody was promised anything about it.
            Err(StoreError::Full { .. }) => Ok(()),
            Err(error) => Err(format!("the vault does not open: {error:?}")),
        }
    }

    /// Stops the agent; what it wrote stays in the caches of the machine.
    pub(crate) fn stop(&mut self) {
        self.note_faults();
        self.vault = None;
        self.wired.clear();
        // What was planned for it is forgotten with the wires.
        self.slots.iter_mut().for_each(|drive| drive.is_doomed = false);
    }

    /// The disks are unmounted in good order, or the box is shut down.
    pub(crate) fn unmount(&mut self, model: &Model) {
        self.stop();
        for drive in self.slots.iter_mut().filter(|drive| !drive.is_dead) {
            drive.medium = drive.medium.after_clean_stop();
            drive.settled = model.mark();
        }
    }

    /// The power is gone: each disk keeps what was durable on it and some of the rest.
    pub(crate) fn lose_power(&mut self, model: &mut Model, seed: u64) {
        self.stop();
        let honest = self.honest_ids();
        for (number, drive) in (1..).zip(self.slots.iter_mut()).filter(|(_, drive)| !drive.is_dead) {
            if drive.is_liar {
                // Its own cache was small and long written out, unless there is an honest disk to make good for it.
                let is_covered = |from| model.since(from).all(|promise| model.must_keep(promise, &honest));
                if !is_covered(drive.settled) {
                    drive.medium.write_back();
                    drive.settled = model.mark();
                }
            }
            drive.medium = drive.medium.after_power_cut(seed.wrapping_mul(number).wrapping_add(number));
            if drive.is_liar
                && let Some(id) = &drive.id
            {
                model.disk_may_lack(id, drive.settled);
            }
            drive.settled = model.mark();
        }
    }

    pub(crate) fn power_is_gone(&self) -> bool {
        self.wired.values().any(FaultyDisk::is_off)
    }

    /// Something is to go wrong with a disk later today.
    pub(crate) fn plan(&mut self, slot: usize, planned: Planned) {
        let drive = self.slots.get(slot).map(|drive| drive.name.clone());
        if let Some(disk) = drive.and_then(|name| self.wired.get(&name)) {
            disk.plan(planned);
        }
    }

    /// Takes the faults that happened since the last look into the story.
    pub(crate) fn note_faults(&mut self) {
        let mut dead = Vec::new();
        let mut told = Vec::new();
        for (name, disk) in &self.wired {
            for fired in disk.story().into_iter().filter(|fired| fired.fault != Fault::SyncLies) {
                if fired.fault == Fault::Dies {
                    dead.push(name.clone());
                }
                told.push(format!("{name}: {fired}"));
            }
            disk.forget_story();
        }
        for drive in self.slots.iter_mut().filter(|drive| dead.contains(&drive.name)) {
            drive.is_dead = true;
        }
        told.into_iter().for_each(|line| self.tell(line));
    }

    fn honest_ids(&self) -> Vec<String> {
        let honest = self.slots.iter().filter(|drive| !drive.is_dead && !drive.is_liar);
        honest.filter_map(|drive| drive.id.clone()).collect()
    }

    /// Whether everything that is kept stays whole on honest disks when the one in `slot` is gone.
    pub(crate) fn can_do_without(&self, slot: usize, model: &Model) -> bool {
        let stay = |position: &usize, drive: &Drive| *position != slot && drive.is_reliable();
        let (mut whole, mut wanted) = (BTreeSet::new(), BTreeSet::new());
        let mut ids = Vec::new();
        for (position, drive) in self.slots.iter().enumerate().filter(|(_, drive)| !drive.is_dead) {
            let (good, bad) = drive.survey();
            if stay(&position, drive) {
                whole.extend(good.iter().cloned());
                ids.extend(drive.id.clone());
            }
            wanted.extend(good);
            wanted.extend(bad);
        }
        let kept = model.promises().filter(|promise| model.must_keep(promise, &self.ids()));
        wanted.is_subset(&whole) && kept.into_iter().all(|promise| model.must_keep(promise, &ids))
    }

    /// Names in the vault of the disks that are plugged in and alive.
    pub(crate) fn ids(&self) -> Vec<String> {
        self.slots.iter().filter(|drive| !drive.is_dead).filter_map(|drive| drive.id.clone()).collect()
    }

    /// What the agent does each day, and what its owner does about what it says. Everything that looks after the
    /// vault belongs here.
    ///
    /// # Errors
    /// A disk that could catch up and does not, an audit that cannot be made, or a promise that would be broken.
    pub(crate) fn chores(
        &mut self,
        (model, keeping): (&mut Model, &mut Keeping),
        clock: &Clock,
        day: u32,
    ) -> Result<(), String> {
        self.catch_up(model)?;
        // The owner is told of a disk that failed, and starts the box anew; the machine's caches do not survive that.
        if self.has_suspect_disk() && day.is_multiple_of(3) {
            self.unmount(model);
            self.start(model, clock)?;
            self.count("started anew for a disk that failed");
            self.catch_up(model)?;
        }
        let Some(vault) = &self.vault else { return Ok(()) };
        vault.flush_index();
        scrub(vault, clock);
        self.tend_disks(clock, day);
        self.let_go(model, keeping, clock)?;
        if day % 60 == 59 {
            self.look_for_damage(model, clock)?;
        }
        Ok(())
    }

    fn has_suspect_disk(&self) -> bool {
        let states = self.vault.as_ref().map(Vault::disk_states).unwrap_or_default();
        states.iter().any(|state| matches!(state, MemberState::Suspect(_) | MemberState::Failed(_)))
    }

    fn catch_up(&mut self, model: &mut Model) -> Result<(), String> {
        let Some(vault) = &self.vault else { return Ok(()) };
        let is_behind = || vault.disk_states().iter().any(|state| matches!(state, MemberState::Behind(_)));
        if !is_behind() {
            return Ok(());
        }
        let mut why_not = None;
        for _ in 0..CATCH_UP_STEPS_MAX {
            match vault.catch_up(CATCH_UP_STEP_BYTES) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error @ (StoreError::Full { .. } | StoreError::Disk { .. })) => {
                    why_not = Some(format!("a disk could not catch up: {error:?}"));
                    break;
                }
                Err(error) => return Err(format!("catching up: {error:?}")),
            }
        }
        model.believe_healthy(vault);
        why_not.into_iter().for_each(|why| self.tell(why));
        self.count("disk caught up");
        Ok(())
    }

    /// Reads everything. A disk with damage gets a successor beside it, which takes what is whole from all of them,
    /// and is then retired.
    fn look_for_damage(&mut self, model: &mut Model, clock: &Clock) -> Result<(), String> {
        let Some(vault) = &self.vault else { return Ok(()) };
        let audit = vault.audit().map_err(|error| format!("the audit: {error:?}"))?;
        self.count("audited");
        let damaged = |drive: &Drive| {
            audit
                .damaged
                .iter()
                .any(|path| path.strip_prefix(&drive.name).is_some_and(|rest| rest.starts_with('/')))
        };
        let Some(slot) = self.slots.iter().position(|drive| !drive.is_dead && damaged(drive)) else {
            return Ok(());
        };
        let successor = self.new_drive();
        self.tell(format!("{} has damage; {} takes its place", self.slots[slot].name, successor.name));
        self.unmount(model);
        self.slots.push(successor);
        self.start(model, clock)?;
        self.catch_up(model)?;
        self.unmount(model);
        if self.can_do_without(slot, model) {
            let retired = self.slots.remove(slot);
            self.forget(&retired, model);
            self.count("damaged disk retired");
        } else {
            self.slots.pop();
        }
        self.start(model, clock)
    }

    /// Nobody is held to what a dead disk promised: what counts is that it was more than one.
    pub(crate) fn bury(&mut self, model: &mut Model) {
        self.note_faults();
        for drive in self.slots.iter().filter(|drive| drive.is_dead) {
            self.forget(drive, model);
        }
    }

    /// The disk is gone for ever.
    pub(crate) fn forget(&self, drive: &Drive, model: &mut Model) {
        if let Some(id) = &drive.id {
            model.disk_may_lack(id, harness::model::Mark::START);
        }
    }
}
