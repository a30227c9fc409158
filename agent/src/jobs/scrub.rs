//! Reading every disk back by rotation, and making the parity that repairs are computed from.
//!
//! Pushes and restores come first: one step at a time, and less often while they are busy. How fast otherwise is
//! `decide::pace`; a round that the owner asked for goes on without rests. Not here: reading and repairing
//! (`larder_store`).

use crate::decide::pace::{FIRST_AFTER, STEP_BYTES, pace};
use crate::state::Appliance;
use larder_store::{MemberState, ScrubView, StoreError};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;

/// Between two looks while nothing is due.
const REST: Duration = Duration::from_secs(5);
/// Between two steps while a push or a restore is under way.
const GIVE_WAY: Duration = Duration::from_secs(1);
/// After a disk did not let itself be read or written.
const AFTER_ERROR: Duration = Duration::from_secs(60);

/// What the job remembers between two steps.
#[derive(Default)]
struct Plan {
    /// Nothing is done on a disk before that second of the appliance's life.
    not_before_s: HashMap<String, u64>,
    /// Bytes and disks when every pack had its sidecar.
    has_parity: Option<(u64, Vec<MemberState>)>,
    parity_not_before_s: u64,
}

/// Scrubs until the agent stops.
pub(crate) async fn run(appliance: Arc<Appliance>, mut stop: watch::Receiver<bool>) {
    let mut plan = Plan::default();
    loop {
        let stepped = appliance.blocking(move |appliance| {
            let rest = step(appliance, &mut plan);
            (plan, rest)
        });
        let rest;
        (plan, rest) = match stepped.await {
            Ok((plan, rest)) => (plan, rest),
            Err(error) => {
                tracing::error!(%error, "a step of the scrub ended badly; it begins again");
                (Plan::default(), AFTER_ERROR)
            }
        };
        tokio::select! {
            () = tokio::time::sleep(rest) => {}
            () = appliance.activity.scrub_wanted.came.notified() => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// Does a little of what is due, and says how long to rest.
fn step(appliance: &Appliance, plan: &mut Plan) -> Duration {
    let mut did = write_parity(appliance, plan) | try_again(appliance);
    let disks = appliance.vault.scrubs();
    appliance.activity.scrub_wanted.keep_connected(&disks);
    for disk in disks {
        did |= scrub(appliance, plan, &disk);
    }
    let is_busy = [&appliance.activity.receiving, &appliance.activity.restoring]
        .iter()
        .any(|counter| counter.load(Ordering::SeqCst) > 0);
    match (did, is_busy) {
        (true, false) => Duration::ZERO,
        (true, true) => GIVE_WAY,
        (false, _) => REST,
    }
}

/// Says whether there was something to do.
fn write_parity(appliance: &Appliance, plan: &mut Plan) -> bool {
    let stands = (appliance.vault.stored_bytes(), appliance.vault.disk_states());
    let now_s = appliance.stamp().powered_on_s;
    if now_s < plan.parity_not_before_s || plan.has_parity.as_ref() == Some(&stands) {
        return false;
    }
    match appliance.vault.write_parity(STEP_BYTES) {
        Ok(0) => plan.has_parity = Some(stands),
        Ok(_) => return true,
        Err(error) => {
            plan.parity_not_before_s = now_s.saturating_add(AFTER_ERROR.as_secs());
            match error {
                // The owner hears of that anyway.
                StoreError::Full { .. } => tracing::debug!("no room for parity"),
                error => tracing::warn!(%error, "parity could not be written; it is tried again"),
            }
        }
    }
    false
}

/// Looks after a start, and later once an hour, whether what could not be read or was given up can be had by now. Says
/// whether there was something to do.
fn try_again(appliance: &Appliance) -> bool {
    let vault = &appliance.vault;
    let tried =
        vault.read_suspects_again(appliance.stamp()).and_then(|_| vault.search_quarantines(STEP_BYTES));
    tried.unwrap_or_else(|error| {
        tracing::warn!(%error, "what could not be read before cannot be read now either");
        false
    })
}

fn scrub(appliance: &Appliance, plan: &mut Plan, disk: &ScrubView) -> bool {
    let is_wanted = appliance.activity.scrub_wanted.has(&disk.disk);
    let now = appliance.stamp();
    let pace = pace(disk, &now);
    let is_new = disk.last.is_none() && disk.round.started.is_none();
    let first_s = now.powered_on_s.saturating_add(if is_new { FIRST_AFTER.as_secs() } else { 0 });
    let is_due = *plan.not_before_s.entry(disk.disk.clone()).or_insert(first_s) <= now.powered_on_s;
    let is_due = is_wanted || disk.is_alarmed || (is_due && pace.bytes > 0);
    if !disk.is_readable {
        // Otherwise whoever waits for it would wait for ever.
        appliance.activity.scrub_wanted.done(&disk.disk);
        return false;
    }
    if !is_due {
        return false;
    }
    match appliance.vault.scrub(&disk.disk, STEP_BYTES, now) {
        Ok(round) => {
            let is_over = appliance
                .vault
                .scrubs()
                .iter()
                .any(|after| after.disk == disk.disk && after.round.started.is_none());
            if is_over {
                tracing::info!(?round, disk = disk.path, "a disk was read from end to end");
                appliance.activity.scrub_wanted.done(&disk.disk);
            }
            plan.not_before_s.insert(disk.disk.clone(), now.powered_on_s.saturating_add(pace.rest.as_secs()));
            is_wanted || pace.rest < REST
        }
        Err(error) => {
            tracing::warn!(%error, disk = disk.path, "a disk could not be read back; it is tried again");
            appliance.activity.scrub_wanted.done(&disk.disk);
            plan.not_before_s
                .insert(disk.disk.clone(), now.powered_on_s.saturating_add(AFTER_ERROR.as_secs()));
            false
        }
    }
}
