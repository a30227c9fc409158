//! What the box lets go of each night: old snapshots by its rule, and a little at a time the room that they took.
//!
//! A disk that will not come back is struck off by the owner, as the agent's advice says, or nothing would ever be freed.
//! Not here: whether a snapshot may go (`keeping`).

use crate::appliance::Appliance;
use crate::clock::Clock;
use crate::keeping::Keeping;
use harness::model::Model;
use larder_format::ledger::{DiskChange, DiskEvent, DiskRole, Event, WallStamp};
use larder_store::retention::Rule;
use larder_store::{MemberState, StoreError, Vault};
use std::collections::BTreeMap;

/// So little a night that pushes, cuts and disks that come and go fall into the middle of a round.
const STEPS_A_NIGHT: usize = 8;
const CHUNKS_A_STEP: u64 = 400;
/// Between asking to forget a disk and its being forgotten.
const FORGET_DAYS: u32 = 3;

impl Appliance {
    /// Prunes as the rule says, then goes on with the sweep.
    ///
    /// # Errors
    /// Something would go that is promised.
    pub(crate) fn let_go(
        &mut self,
        model: &mut Model,
        keeping: &mut Keeping,
        clock: &Clock,
    ) -> Result<(), String> {
        let Some(vault) = self.vault.take() else { return Ok(()) };
        let done = self.prune(&vault, (model, keeping, clock));
        self.sweep(&vault, stamp(&vault, clock));
        self.vault = Some(vault);
        done
    }

    fn prune(
        &mut self,
        vault: &Vault,
        (model, keeping, clock): (&mut Model, &mut Keeping, &Clock),
    ) -> Result<(), String> {
        let now = stamp(vault, clock);
        if vault.ledger().rule_wished().is_none() {
            // On a disk that takes nothing just now it is set on another night.
            let _ = vault.append(now, Event::RetentionSet(Rule::default()));
        }
        let plan = vault.plan_prune(now);
        if plan.locked.is_some() {
            self.count("nothing was let go of: clock or ledger in doubt");
            return Ok(());
        }
        if plan.snapshots.is_empty() {
            return Ok(());
        }
        let may_go = keeping.check(vault, clock, &Rule::default())?;
        let pushes: BTreeMap<u64, u128> = {
            let view = vault.ledger();
            let records = view.sources.values().flatten();
            records.map(|record| (record.sequence, u128::from_be_bytes(record.snapshot.push))).collect()
        };
        for going in &plan.snapshots {
            if !may_go.contains(&going.sequence) {
                return Err(format!("a prune lets go of snapshot {} that the rule keeps", going.sequence));
            }
            // Before it is tried: a cut in the middle leaves some of them gone.
            model.let_go(pushes[&going.sequence]);
            self.count("snapshot let go of");
        }
        match vault.prune(&plan, now) {
            // It waits where an entry that had failed turns out to exist: the plan was made without it.
            Ok(()) | Err(StoreError::Full { .. } | StoreError::Disk { .. } | StoreError::Waits { .. }) => {
                Ok(())
            }
            Err(error) => Err(format!("a prune: {error:?}")),
        }
    }

    fn sweep(&mut self, vault: &Vault, now: WallStamp) {
        while vault.index_pending() > 0 {}
        for _ in 0..STEPS_A_NIGHT {
            match vault.sweep_step(now, CHUNKS_A_STEP) {
                Ok(swept) => {
                    *self.counts.entry("pack swept").or_default() += swept.packs;
                    *self.counts.entry("file of a swept pack removed").or_default() += swept.files_removed;
                    if !swept.is_under_way {
                        return;
                    }
                }
                // Damage, or a disk that fails: nothing is freed, and what is kept is seen by what can be restored.
                Err(error) => {
                    self.tell(format!("the sweep stopped: {error:?}"));
                    self.count("sweep stopped by damage or a failing disk");
                    return;
                }
            }
        }
    }

    /// Says which disk is the offsite one, and strikes off those that will not come back.
    pub(crate) fn tend_disks(&mut self, clock: &Clock, day: u32) {
        let Some(vault) = self.vault.take() else { return };
        self.label_disks(&vault, clock);
        let mine = self.slots.iter().chain([&self.offsite]).filter(|drive| !drive.is_dead);
        let known: Vec<_> = mine.filter_map(|drive| drive.id.clone()).chain(self.pulled.clone()).collect();
        for view in vault.disks() {
            if view.state != MemberState::Away || known.contains(&view.id) {
                self.leaving.remove(&view.id);
                continue;
            }
            let now = stamp(&vault, clock);
            match self.leaving.get(&view.id) {
                None if vault.begin_forgetting(&view.id, false, now).is_ok() => {
                    self.leaving.insert(view.id, day);
                }
                Some(since) if day >= since + FORGET_DAYS && vault.retire(&view.id, now).is_ok() => {
                    self.leaving.remove(&view.id);
                    self.count("disk struck off");
                }
                // While no other disk is whole it waits.
                _ => {}
            }
        }
        self.vault = Some(vault);
    }

    fn label_disks(&self, vault: &Vault, clock: &Clock) {
        for view in vault.disks().into_iter().filter(|view| view.state == MemberState::Healthy) {
            let role = DiskRole::of(view.path == self.offsite.name);
            let Ok(disk) = u128::from_str_radix(&view.id, 16) else { continue };
            if view.role != role {
                let what = DiskChange::Adopted { path: view.path, role };
                let event = Event::Disk(DiskEvent { disk: disk.to_be_bytes(), what });
                // In force from the next start on; said again until then.
                let _ = vault.append(stamp(vault, clock), event);
            }
        }
    }
}

fn stamp(vault: &Vault, clock: &Clock) -> WallStamp {
    clock.stamp(vault.ledger().newest.map(|newest| newest.time_ms))
}
