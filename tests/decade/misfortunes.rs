//! What each kind of bad luck does to the box, and what comes of it days later.
//!
//! Not here: when (`calendar`), pushes and checks (`life`).

use crate::appliance::Appliance;
use crate::calendar::Event;
use crate::drive::Drive;
use crate::life::Life;
use larder_store::disk::{Dice, Disk, Fault, On, Planned, When};
use std::collections::BTreeSet;

/// 1 January 1970, and 2100.
const LONG_AGO_MS: i64 = 0;
const FAR_AHEAD_MS: i64 = 4_102_444_800_000;
/// An operation that fails is one of so many from now on: about what a day has.
const OPERATIONS_A_DAY: usize = 90;

/// What is due on some day.
pub(crate) enum Later {
    /// The disk is plugged in again.
    PutBack(Drive),
    /// A new disk is plugged in, and the dead ones are taken out.
    Replace,
    /// The offsite disk goes home.
    OffsiteLeaves,
    ClockRight,
    /// There is room again on the disk of this name.
    RoomAgain(String),
}

impl Life {
    /// What was put off until today.
    pub(crate) fn what_was_due(&mut self) -> Result<(), String> {
        let is_on = self.day >= self.off_until;
        let (due, later): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.later).into_iter().partition(|(day, _)| *day <= self.day && is_on);
        self.later = later;
        for (_, what) in due {
            self.come_true(what)?;
        }
        if is_on && self.appliance.vault.is_none() {
            self.start()?;
        }
        Ok(())
    }

    fn come_true(&mut self, what: Later) -> Result<(), String> {
        let Self { appliance, model, clock, .. } = self;
        match what {
            Later::ClockRight => clock.set_right(),
            Later::RoomAgain(name) => {
                for drive in appliance.slots.iter().filter(|drive| drive.name == name) {
                    drive.medium.limit(u64::MAX);
                }
            }
            Later::PutBack(drive) => {
                appliance.unmount(model);
                appliance.pulled.retain(|id| Some(id) != drive.id.as_ref());
                // Whoever plugs it in has made room on it.
                drive.medium.limit(u64::MAX);
                appliance.slots.push(drive);
                self.start()?;
            }
            Later::Replace => {
                appliance.unmount(model);
                appliance.slots.retain(|drive| !drive.is_dead);
                let drive = appliance.new_drive();
                appliance.slots.push(drive);
                self.start()?;
            }
            Later::OffsiteLeaves => {
                appliance.unmount(model);
                let here = appliance.slots.iter().position(|drive| drive.name == appliance.offsite.name);
                if let Some(slot) = here {
                    appliance.offsite = appliance.slots.remove(slot);
                }
                self.start()?;
            }
        }
        Ok(())
    }

    fn days_from_now(&self, dice: &mut Dice, at_most: usize) -> u32 {
        self.day + 1 + u32::try_from(dice.below(at_most)).expect("small")
    }

    /// Something other than a push.
    pub(crate) fn happen(&mut self, event: Event, dice: &mut Dice) -> Result<(), String> {
        // The offsite disk is the last in its slot, and nothing befalls it while it visits but what befalls the box.
        let slot = dice.below(2);
        if self
            .appliance
            .slots
            .get(slot)
            .is_none_or(|drive| drive.is_dead || drive.name == self.appliance.offsite.name)
        {
            self.appliance.count("held back: that disk was away");
            return Ok(());
        }
        let is_done = match event {
            Event::SwitchedOff | Event::ClockReset | Event::ClockJump | Event::Restarted => {
                self.befall_the_box(event, dice)?
            }
            Event::DiskPulled
            | Event::Offsite
            | Event::OldImage
            | Event::Emptied
            | Event::Fire
            | Event::Liar => self.befall_a_disk(event, slot, dice)?,
            Event::Full => self.fill(slot, dice),
            Event::Rot => rot(&mut self.appliance, slot, dice),
            _ => self.plan_fault(event, slot, dice),
        };
        // Faults of single operations count once they have happened.
        let counts_itself = matches!(event, Event::PowerCut | Event::Killed);
        if !is_done {
            self.appliance.count("held back: no whole copy would be left");
        } else if !counts_itself {
            self.appliance.count(event.words());
            self.appliance.tell(event.words().to_owned());
        }
        Ok(())
    }

    fn befall_the_box(&mut self, event: Event, dice: &mut Dice) -> Result<bool, String> {
        match event {
            Event::SwitchedOff => {
                self.appliance.unmount(&self.model);
                self.off_until = self.days_from_now(dice, 40);
            }
            Event::ClockReset | Event::ClockJump => {
                let shows_ms = if event == Event::ClockReset { LONG_AGO_MS } else { FAR_AHEAD_MS };
                self.clock.set_wrong(shows_ms, event == Event::ClockJump && dice.one_in(2));
                let right = self.days_from_now(dice, 20);
                self.later.push((right, Later::ClockRight));
            }
            _ => {
                self.appliance.unmount(&self.model);
                self.start()?;
            }
        }
        Ok(true)
    }

    fn befall_a_disk(&mut self, event: Event, slot: usize, dice: &mut Dice) -> Result<bool, String> {
        if event == Event::Offsite {
            return self.offsite_comes();
        }
        if event == Event::Fire {
            return self.fire();
        }
        if !self.appliance.can_do_without(slot, &self.model) {
            return Ok(false);
        }
        let back = self.days_from_now(dice, 25);
        let Self { appliance, model, .. } = self;
        appliance.unmount(model);
        match event {
            Event::DiskPulled => {
                let drive = appliance.slots.remove(slot);
                appliance.pulled.extend(drive.id.clone());
                self.later.push((back, Later::PutBack(drive)));
            }
            Event::OldImage => {
                appliance.forget(&appliance.slots[slot], model);
                let drive = &mut appliance.slots[slot];
                // The first time, somebody makes an image; the next time, it takes the place of the disk.
                let image = drive.medium.after_clean_stop();
                if let Some(old) = drive.image.replace(image) {
                    drive.medium = old;
                }
            }
            _ => {
                let mut drive = appliance.new_drive();
                std::mem::swap(&mut drive, &mut appliance.slots[slot]);
                appliance.forget(&drive, model);
                if event == Event::Liar {
                    // It lies from the first night on: one that forgets that it ever joined belongs to nobody.
                    self.start()?;
                    self.appliance.unmount(&self.model);
                    self.appliance.slots[slot].is_liar = true;
                }
            }
        }
        self.start()?;
        Ok(true)
    }

    fn offsite_comes(&mut self) -> Result<bool, String> {
        let Self { appliance, model, .. } = self;
        if appliance.slots.iter().any(|drive| drive.name == appliance.offsite.name) {
            return Ok(false);
        }
        appliance.unmount(model);
        appliance.slots.push(appliance.offsite.clone());
        self.later.push((self.day + 1, Later::OffsiteLeaves));
        self.start()?;
        Ok(true)
    }

    /// What is at home is gone. The offsite disk and a new one go on.
    fn fire(&mut self) -> Result<bool, String> {
        let Self { appliance, model, later, .. } = self;
        let offsite_is_here = appliance.slots.iter().any(|drive| drive.name == appliance.offsite.name);
        let some_are_away = later.iter().any(|(_, what)| matches!(what, Later::PutBack(_)));
        if offsite_is_here || some_are_away || appliance.offsite.id.is_none() {
            return Ok(false);
        }
        appliance.unmount(model);
        for drive in std::mem::take(&mut appliance.slots) {
            appliance.forget(&drive, model);
        }
        let new = [appliance.new_drive(), appliance.new_drive()];
        let [second, offsite] = new;
        appliance.slots = vec![std::mem::replace(&mut appliance.offsite, offsite), second];
        self.start()?;
        Ok(true)
    }

    fn fill(&mut self, slot: usize, dice: &mut Dice) -> bool {
        let room_again = self.days_from_now(dice, 12);
        let drive = &self.appliance.slots[slot];
        let Ok(space) = drive.medium.space() else { return false };
        drive.medium.limit(space.total - space.free);
        self.later.push((room_again, Later::RoomAgain(drive.name.clone())));
        true
    }

    /// One operation of the coming hours goes wrong.
    fn plan_fault(&mut self, event: Event, slot: usize, dice: &mut Dice) -> bool {
        let at = When::At(dice.below(OPERATIONS_A_DAY) as u64);
        let is_alone = self.appliance.slots.iter().filter(|drive| !drive.is_dead).count() < 2;
        let (on, fault) = match event {
            Event::DiskErrs if is_alone || dice.one_in(2) => (On::Changes, Fault::Error),
            Event::DiskErrs => {
                let faults = [Fault::ErrorAfter, Fault::Error, Fault::Rot, Fault::Elsewhere];
                (On::All, faults[dice.below(4)])
            }
            Event::SyncFails => (On::Syncs, Fault::SyncLost),
            Event::NoRoom => (On::Changes, Fault::Full),
            Event::DiskDies => (On::Changes, Fault::Dies),
            _ => (On::Changes, Fault::PowerCut),
        };
        if fault == Fault::Dies {
            if !self.appliance.can_do_without(slot, &self.model) {
                return false;
            }
            self.appliance.slots[slot].is_doomed = true;
            let replaced = self.days_from_now(dice, 20);
            self.later.push((replaced, Later::Replace));
        }
        if fault == Fault::PowerCut {
            self.next_cut = Some((event == Event::PowerCut).then(|| dice.roll()));
        }
        self.appliance.plan(slot, Planned { on, when: at, fault });
        true
    }
}

/// One of the files that lie whole on another honest disk too.
fn rot(appliance: &mut Appliance, slot: usize, dice: &mut Dice) -> bool {
    let others = appliance.slots.iter().enumerate();
    let others = others.filter(|(position, drive)| *position != slot && drive.is_reliable());
    let whole_elsewhere: BTreeSet<String> = others.flat_map(|(_, drive)| drive.survey().0).collect();
    let paths: Vec<_> = appliance.slots[slot].survey().0.intersection(&whole_elsewhere).cloned().collect();
    match appliance.slots[slot].rot(&paths, dice) {
        Some(what) => {
            appliance.tell(format!("{}: {what}", appliance.slots[slot].name));
            true
        }
        None => false,
    }
}
