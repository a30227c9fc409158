//! The power goes after every single operation on the disks, and of what was not synced a seed decides what survives.

use crate::workload::{self, Lived, Workload, check, check_promises};
use harness::model::Mark;
use larder_store::disk::{Disk, Fault, FaultyDisk, MemoryDisk, Plan, Schedule};
use std::sync::Arc;

/// A seeded sample over all lives together; the long run raises it by `LARDER_CRASH_STATES`.
const CRASH_STATES: u64 = 24_000;

fn live_until(workload: &Workload, at: u64) -> Lived {
    let lived = workload.live(Some(Plan { at, fault: Fault::PowerCut }));
    assert!(lived.disks[0].fired(), "{}: the planned cut at {at} never happened", workload.name);
    lived
}

/// Every disk as it is found afterwards; each loses something else.
fn found(lived: &Lived, seed: u64) -> Vec<MemoryDisk> {
    (1..)
        .zip(&lived.disks)
        .map(|(number, disk)| disk.below().after_power_cut(seed * number + number))
        .collect()
}

fn shared(disks: &[MemoryDisk]) -> Vec<Arc<dyn Disk>> {
    disks.iter().map(|disk| Arc::new(disk.clone()) as Arc<dyn Disk>).collect()
}

/// All together keep every promise; after that each of them does alone.
fn check_all(lived: &Lived, disks: &[MemoryDisk], context: &str) {
    check(&lived.model, shared(disks), context);
    if disks.len() > 1 {
        for (number, disk) in (1..).zip(disks) {
            let mut model = lived.model.clone();
            let vault = harness::plain::open(shared(disks)).expect("it opened before");
            model.believe_healthy(&vault);
            drop(vault);
            check(
                &model,
                vec![Arc::new(disk.after_power_cut(0))],
                &format!("{context}, disk {number} alone"),
            );
        }
    }
}

/// You can pull the plug at any moment, and every finished backup is still whole.
#[test]
fn pulling_the_plug_never_harms_a_finished_backup() {
    let wanted =
        std::env::var("LARDER_CRASH_STATES").ok().and_then(|text| text.parse().ok()).unwrap_or(CRASH_STATES);
    let workloads: Vec<_> = workload::all().into_iter().map(|life| (life.operations(), life)).collect();
    let operations: u64 = workloads.iter().map(|(operations, _)| operations).sum();
    let seeds = wanted.div_ceil(operations);
    let mut states = 0;
    for (operations, workload) in &workloads {
        for at in 0..*operations {
            let lived = live_until(workload, at);
            for seed in 0..seeds {
                let context = format!("{}: power cut at operation {at}, seed {seed}", workload.name);
                check_all(&lived, &found(&lived, seed * 1_000_003 + at), &context);
                states += 1;
            }
        }
        println!("{}: {operations} operations, {seeds} states each, 0 lost", workload.name);
    }
    println!("{states} crash states over {operations} operations: 0 lost");
    assert!(states >= wanted);
}

/// The plug is pulled again while the box comes back from the first time.
#[test]
fn pulling_the_plug_twice_harms_nothing_either() {
    let mut states = 0;
    for workload in workload::all() {
        for at in (0..workload.operations()).step_by(7) {
            let lived = live_until(&workload, at);
            let first = found(&lived, at);
            let recovery = Workload { disks: first.clone(), model: lived.model.clone(), ..opening_only() };
            let operations = recovery.live(None).disks[0].operations();
            for second in (0..operations).step_by(2) {
                let again = live_until(&recovery, second);
                check_all(
                    &again,
                    &found(&again, second),
                    &format!("{}: power cuts at {at} and {second}", workload.name),
                );
                states += 1;
            }
        }
    }
    println!("{states} double cuts: 0 lost");
    assert!(states > 500);
}

fn opening_only() -> Workload {
    Workload { name: "opening", steps: Vec::new(), ..workload::days_on(1) }
}

/// A killed agent, unlike a power cut, loses nothing that the system had taken.
#[test]
fn killing_the_agent_loses_nothing() {
    for workload in workload::all() {
        for at in 0..workload.operations() {
            let lived = live_until(&workload, at);
            let disks: Vec<_> = lived.disks.iter().map(|disk| disk.below().clone()).collect();
            check_all(&lived, &disks, &format!("{}: killed at operation {at}", workload.name));
        }
    }
}

/// A disk that says yes to every sync and does nothing may lose what its caches held. What the honest disk beside it
/// confirmed is there all the same, and the liar alone never gives wrong bytes.
#[test]
fn a_disk_that_lies_about_flushing_costs_nothing_that_an_honest_one_confirmed() {
    let nothing = Workload { steps: Vec::new(), ..workload::days_on(2) };
    let nothing = nothing.live(None);
    let joined: Vec<_> = nothing.disks.iter().map(|disk| disk.below().after_clean_stop()).collect();
    let lies: Schedule = "0:syncs@0+=lies".parse().expect("reads");
    let (mut states, mut lost) = (0, 0);
    for liar in 0..2 {
        let run = |plan: Option<Plan>| {
            let disk = |number: usize| {
                let schedule = if number == liar { lies.clone() } else { plan.into() };
                FaultyDisk::new(joined[number].after_clean_stop(), schedule)
            };
            workload::days_on(2).live_on(vec![disk(0), disk(1)])
        };
        let operations = run(None).disks[1 - liar].operations();
        for at in 0..=operations {
            let mut lived = run((at < operations).then_some(Plan { at, fault: Fault::PowerCut }));
            for seed in 0..8 {
                let disks = found(&lived, seed * 1_000_003 + at);
                lived.model.disk_may_lack(&nothing.ids[liar], Mark::START);
                let alone = vec![Arc::new(disks[liar].after_power_cut(0)) as Arc<dyn Disk>];
                if let Ok(vault) = harness::plain::open(alone) {
                    let checked =
                        lived.model.check(&vault, |_| true).unwrap_or_else(|error| panic!("{error}"));
                    lost += checked.excused;
                }
                let context = format!("disk {liar} lies, cut at {at}, seed {seed}");
                check_promises(&lived.model, shared(&disks), &context);
                states += 1;
            }
        }
    }
    println!("{states} power cuts beside a lying disk: nothing lost that an honest one confirmed");
    assert!(lost > 100, "a liar that loses nothing proves nothing: {lost}");
}

/// The agent is killed, and the next one is asked for the same again. What it finds may not have reached the disk yet, and
/// it answers for it only after that: then the power goes.
#[test]
fn nobody_relies_on_what_a_killed_agent_left_before_it_is_durable() {
    let mut states = 0;
    for workload in workload::all() {
        for at in 0..workload.operations() {
            let lived = live_until(&workload, at);
            let Some(step) = workload.steps.get(lived.done) else { continue };
            let (steps, model) = (vec![step.clone()], lived.model.clone());
            let next = Workload { steps, model, ..workload.clone() };
            let next =
                next.live_on(lived.disks.iter().map(|d| FaultyDisk::new(d.below().clone(), None)).collect());
            for seed in 0..4 {
                let context = format!("{}: killed at operation {at}, power cut {seed}", workload.name);
                check(&next.model, shared(&found(&next, seed * 1_000_003 + at)), &context);
                states += 1;
            }
        }
    }
    println!("{states} power cuts after a killed agent was followed by another: 0 lost");
    assert!(states > 1000);
}
