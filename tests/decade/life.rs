//! One life of an appliance: day by day through a calendar, with every promise held against the model.
//!
//! Depends on nothing but the calendar: same list, same life, whatever ran before. What would leave no whole copy is
//! not done but counted as held back, since no store could survive it; the fire alone is done, and what the offsite
//! disk had not seen is lost with the house. Not here: what can happen (`calendar`), the box itself (`appliance`).

use crate::appliance::Appliance;
use crate::calendar::{Event, Happening};
use crate::clock::{Clock, DAY_MS};
use crate::devices::{Device, devices};
use crate::drive::Drive;
use crate::keeping::Keeping;
use crate::misfortunes::Later;
use harness::model::{Checked, Model};
use harness::plain::{self, Files};
use larder_format::ledger::DiskRole;
use larder_store::disk::Dice;
use larder_store::retention::Rule;
use larder_store::{Committed, MemberState, StoreError};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How often a device asks again in one evening: what is damaged shows folder by folder.
const TRIES: usize = 6;
/// The box is started anew every third day for a disk that failed; with bad luck in between, this is long enough.
const LAGGING_DAYS_MAX: u32 = 12;
/// Old snapshots that are restored each day, besides the newest of each source.
const SAMPLE: usize = 3;

/// A life in the middle of it.
pub(crate) struct Life {
    pub(crate) appliance: Appliance,
    pub(crate) model: Model,
    pub(crate) clock: Clock,
    pub(crate) day: u32,
    pub(crate) devices: Vec<Device>,
    pub(crate) later: Vec<(u32, Later)>,
    /// The box is switched off until then.
    pub(crate) off_until: u32,
    /// What the next loss of power is: a kill, or a cut with a seed.
    pub(crate) next_cut: Option<Option<u64>>,
    keeping: Keeping,
    /// Days in a row on which some disk did not have everything, and nothing stood in its way.
    lagging_days: u32,
    pushes: u128,
    pub(crate) checked: Checked,
}

/// What a life was like.
pub(crate) struct Lived {
    pub(crate) counts: BTreeMap<&'static str, u64>,
    pub(crate) checked: Checked,
    pub(crate) promises: usize,
    pub(crate) lost_in_fire: usize,
    pub(crate) judged: u64,
    /// The line of each month, and what each day did.
    pub(crate) story: Vec<String>,
}

/// Lives through `days` days of `calendar`. `verbose` keeps the story of each day.
///
/// # Errors
/// What was lost, on which day, and the story of the days before.
pub(crate) fn live(calendar: &[Happening], days: u32, verbose: bool) -> Result<Lived, String> {
    let mut life = Life::new()?;
    let mut story = Vec::new();
    let mut happenings = calendar.iter().peekable();
    for day in 0..days {
        life.day = day;
        let mut today = Vec::new();
        while happenings.peek().is_some_and(|next| next.day == day) {
            today.extend(happenings.next());
        }
        let lived = life.one_day(&today);
        let told = std::mem::take(&mut life.appliance.story);
        if verbose || lived.is_err() {
            story.extend(told.into_iter().map(|line| format!("day {day}: {line}")));
        }
        lived.map_err(|why| format!("day {day}: {why}\n  {}", story.join("\n  ")))?;
        if verbose && day % 30 == 29 {
            story.push(life.month());
        }
    }
    life.the_end().map_err(|why| format!("at the end: {why}"))?;
    let lost_in_fire = life.model.promises().filter(|promise| promise.is_excused()).count();
    let (promises, judged) = (life.model.len(), life.keeping.judged);
    Ok(Lived { counts: life.appliance.counts, checked: life.checked, promises, lost_in_fire, judged, story })
}

impl Life {
    fn new() -> Result<Self, String> {
        let mut life = Self {
            appliance: Appliance::new(),
            model: Model::default(),
            clock: Clock::new(),
            day: 0,
            devices: devices(),
            later: Vec::new(),
            off_until: 0,
            next_cut: None,
            keeping: Keeping::default(),
            lagging_days: 0,
            pushes: 0,
            checked: Checked::default(),
        };
        life.start()?;
        Ok(life)
    }

    pub(crate) fn start(&mut self) -> Result<(), String> {
        self.appliance.start(&mut self.model, &self.clock)
    }

    fn one_day(&mut self, today: &[&Happening]) -> Result<(), String> {
        self.what_was_due()?;
        for happening in today {
            let mut dice = Dice::new(happening.seed);
            if self.day < self.off_until && happening.event != Event::Fire {
                self.appliance.count("missed: the box was off");
                continue;
            }
            match happening.event {
                Event::Push => self.day_of_work(&mut dice)?,
                Event::Flood => self.flood(&mut dice)?,
                event => self.happen(event, &mut dice)?,
            }
            self.clock.pass(3600 * 1000, self.day >= self.off_until);
        }
        if self.day >= self.off_until {
            self.chores(self.day)?;
            self.after_work()?;
            self.settle_liars();
            self.check_health()?;
            self.check_today()?;
        }
        let rest = DAY_MS - i64::try_from(self.day_ms_gone(today.len())).expect("a day");
        self.clock.pass(rest, self.day >= self.off_until);
        Ok(())
    }

    fn chores(&mut self, day: u32) -> Result<(), String> {
        self.appliance.chores((&mut self.model, &mut self.keeping), &self.clock, day)
    }

    /// Each happening takes an hour; no day is longer than others.
    fn day_ms_gone(&self, happenings: usize) -> u64 {
        (happenings as u64 * 3600 * 1000).min(DAY_MS.unsigned_abs())
    }

    /// The caches inside a disk empty themselves within minutes, whatever it says about flushing.
    fn settle_liars(&mut self) {
        let mark = self.model.mark();
        for drive in self.appliance.slots.iter_mut().filter(|drive| drive.is_liar && !drive.is_dead) {
            drive.medium.write_back();
            drive.settled = mark;
        }
    }

    /// Sees what the last operations did to the box: who died, whether the power went; starts it again if so.
    pub(crate) fn after_work(&mut self) -> Result<bool, String> {
        let was_cut = self.appliance.power_is_gone();
        self.appliance.bury(&mut self.model);
        if was_cut {
            match self.next_cut.take().flatten() {
                Some(seed) => {
                    self.appliance.count(Event::PowerCut.words());
                    self.appliance.lose_power(&mut self.model, seed);
                }
                None => {
                    self.appliance.count(Event::Killed.words());
                    self.appliance.stop();
                }
            }
            self.start()?;
        }
        Ok(was_cut)
    }

    fn day_of_work(&mut self, dice: &mut Dice) -> Result<(), String> {
        let number = dice.below(self.devices.len());
        let device = &mut self.devices[number];
        device.work(dice);
        let (source, files) = (device.source, device.files.clone());
        let is_done = self.push(source, &files)?;
        self.appliance.count(if is_done { Event::Push.words() } else { "push refused" });
        Ok(())
    }

    /// Somebody who took a device over tries to push the good versions out.
    fn flood(&mut self, dice: &mut Dice) -> Result<(), String> {
        let number = dice.below(self.devices.len());
        let source = self.devices[number].source;
        self.appliance.count(Event::Flood.words());
        for _ in 0..10 + dice.below(30) {
            let garbage = self.devices[number].garbage(dice);
            self.push(source, &garbage)?;
            self.clock.pass(60_000, true);
        }
        Ok(())
    }

    /// One push, asked for again as a device does; whether it was acknowledged.
    fn push(&mut self, source: &str, files: &Arc<Files>) -> Result<bool, String> {
        self.pushes += 1;
        let push = self.pushes;
        let mut failures = 0;
        for _ in 0..TRIES {
            let Some(vault) = &self.appliance.vault else { return Ok(false) };
            let stamp = self.clock.stamp(vault.ledger().newest.map(|newest| newest.time_ms));
            let pushed = plain::push(vault, source, files, push, stamp);
            if let Ok(committed) = &pushed {
                self.confirm(committed, push, files)?;
            }
            let was_cut = self.after_work()?;
            match pushed {
                Ok(_) => return Ok(true),
                Err(StoreError::Missing { .. }) => {}
                Err(_) if was_cut => {}
                Err(StoreError::Full { .. } | StoreError::Disk { .. } | StoreError::Damaged { .. }) => {
                    failures += 1
                }
                Err(error) => return Err(format!("a push is refused: {error:?}")),
            }
            if failures == 2 {
                return Ok(false);
            }
        }
        Ok(false)
    }

    fn confirm(&mut self, committed: &Committed, push: u128, files: &Arc<Files>) -> Result<(), String> {
        self.model.confirm(committed, push, files)?;
        let named: BTreeSet<_> = committed.disks.iter().chain(&committed.degraded).collect();
        let views = self.appliance.vault.as_ref().map(|vault| vault.disks()).unwrap_or_default();
        // An offsite disk is meant to be away, and is missed by nobody then.
        let meant =
            views.iter().filter(|view| !(view.role == DiskRole::Offsite && view.state == MemberState::Away));
        if named != meant.map(|view| &view.id).collect() {
            return Err(format!("the receipt of push {push} does not tell of every disk"));
        }
        if !committed.degraded.is_empty() {
            self.appliance.count("receipt said degraded");
        }
        self.keeping.made(push, &self.clock);
        Ok(())
    }

    /// Every living disk with room has everything again after a few days, by itself.
    fn check_health(&mut self) -> Result<(), String> {
        let is_full = self.later.iter().any(|(_, what)| matches!(what, Later::RoomAgain(_)));
        let states = self.appliance.vault.as_ref().map(|vault| vault.disks()).unwrap_or_default();
        let living =
            |name: &str| self.appliance.slots.iter().any(|drive| drive.name == name && !drive.is_dead);
        let lagging = states.iter().find(|view| view.state != MemberState::Healthy && living(&view.path));
        self.lagging_days = if lagging.is_some() && !is_full { self.lagging_days + 1 } else { 0 };
        match lagging {
            Some(view) if self.lagging_days > LAGGING_DAYS_MAX => {
                Err(format!("{} is still {:?} after {LAGGING_DAYS_MAX} days", view.path, view.state))
            }
            _ => Ok(()),
        }
    }

    /// The newest of each source and a few of the past; once a month everything, and what retention would do.
    fn check_today(&mut self) -> Result<(), String> {
        let Some(vault) = &self.appliance.vault else { return Ok(()) };
        let ids = self.appliance.ids();
        let held: Vec<_> = self.model.promises().filter(|promise| !promise.is_excused()).collect();
        let mut wanted: BTreeMap<&str, u128> = BTreeMap::new();
        for promise in &held {
            wanted.insert(&promise.source, promise.push);
        }
        let mut dice = Dice::of(7, self.day.into());
        let mut pushes: Vec<u128> = wanted.into_values().collect();
        pushes
            .extend((0..SAMPLE).filter_map(|_| held.get(dice.below(held.len()))).map(|promise| promise.push));
        let checked = self.model.check_with(vault, &ids, |promise| pushes.contains(&promise.push))?;
        self.checked.add(checked);
        if self.day % 30 == 29 {
            self.checked.add(self.model.check_reachable(vault, &ids)?);
            self.keeping.check(vault, &self.clock, &Rule::default())?;
        }
        Ok(())
    }

    /// Everything, byte by byte: from all disks together, and from each of them alone.
    fn the_end(&mut self) -> Result<(), String> {
        self.appliance.bury(&mut self.model);
        self.appliance.unmount(&self.model);
        self.start()?;
        self.chores(0)?;
        if let Some(vault) = &self.appliance.vault {
            let all = self.model.check_with(vault, &self.appliance.ids(), |promise| !promise.is_excused())?;
            self.checked.add(all);
            self.keeping.check(vault, &self.clock, &Rule::default())?;
        }
        self.appliance.unmount(&self.model);
        let mut drives = std::mem::take(&mut self.appliance.slots);
        drives.push(self.appliance.offsite.clone());
        for drive in drives.into_iter().filter(|drive| !drive.is_dead && drive.id.is_some()) {
            self.check_alone(drive)?;
        }
        Ok(())
    }

    fn check_alone(&mut self, drive: Drive) -> Result<(), String> {
        let name = drive.name.clone();
        let (_, damaged) = drive.survey();
        // A disk with damage is held to no promise alone, but it gives no wrong bytes either.
        let ids = if damaged.is_empty() { drive.id.clone().into_iter().collect() } else { Vec::new() };
        self.appliance.slots = vec![drive];
        self.start().map_err(|why| format!("{name} alone: {why}"))?;
        let Some(vault) = &self.appliance.vault else { return Err(format!("{name} alone does not open")) };
        let is_wanted =
            |promise: &harness::model::Promise| ids.is_empty() || self.model.must_keep(promise, &ids);
        let checked =
            self.model.check_with(vault, &ids, is_wanted).map_err(|why| format!("{name} alone: {why}"))?;
        self.checked.add(checked);
        self.appliance.count("disk read alone at the end");
        Ok(())
    }

    fn month(&self) -> String {
        let disks = self.appliance.vault.as_ref().map(|vault| vault.disks()).unwrap_or_default();
        let disks: Vec<_> = disks.iter().map(|view| format!("{} {:?}", view.path, view.state)).collect();
        format!(
            "year {} month {}: {} promises, {} restored so far; {}",
            self.day / 365 + 1,
            self.day % 365 / 30 + 1,
            self.model.len(),
            self.checked.restored,
            disks.join(", ")
        )
    }
}
