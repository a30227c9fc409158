//! The power goes after every single operation on the disk, and of what was not synced a seed decides what survives.

use crate::workload::{Promises, live};
use larder_store::disk::{Disk, Fault, FaultyDisk, MemoryDisk, Plan};
use std::sync::Arc;

/// A seeded sample; the long run raises it by `LARDER_CRASH_STATES`.
const CRASH_STATES: u64 = 20_000;

fn operations() -> u64 {
    let disk = Arc::new(FaultyDisk::new(MemoryDisk::new(), None));
    assert_eq!(live(vec![disk.clone()]).len(), 4);
    disk.operations()
}

fn live_until(at: u64, fault: Fault, below: &MemoryDisk) -> Promises {
    let disk = Arc::new(FaultyDisk::new(below.clone(), Some(Plan { at, fault })));
    let promises = live(vec![disk.clone()]);
    assert!(disk.fired(), "the planned fault at {at} never happened");
    promises
}

/// You can pull the plug at any moment, and every finished backup is still whole.
#[test]
fn pulling_the_plug_never_harms_a_finished_backup() {
    let wanted =
        std::env::var("LARDER_CRASH_STATES").ok().and_then(|text| text.parse().ok()).unwrap_or(CRASH_STATES);
    let operations = operations();
    let seeds = wanted.div_ceil(operations);
    let mut states = 0u64;
    for at in 0..operations {
        let disk = MemoryDisk::new();
        let promises = live_until(at, Fault::PowerCut, &disk);
        for seed in 0..seeds {
            let after: Arc<dyn Disk> = Arc::new(disk.after_power_cut(seed * 1_000_003 + at));
            promises.check(vec![after], &format!("power cut at operation {at}, seed {seed}"));
            states += 1;
        }
    }
    println!("{states} crash states over {operations} operations: 0 lost");
}

/// The plug is pulled again while the box comes back from the first time.
#[test]
fn pulling_the_plug_twice_harms_nothing_either() {
    let mut states = 0;
    for at in (0..operations()).step_by(3) {
        let disk = MemoryDisk::new();
        let promises = live_until(at, Fault::PowerCut, &disk);
        let found = disk.after_power_cut(at);
        let counting = Arc::new(FaultyDisk::new(found.after_power_cut(0), None));
        promises.check(vec![counting.clone()], "a quiet recovery");
        for second in 0..counting.operations().min(12) {
            let again = found.after_power_cut(0);
            let plan = Plan { at: second, fault: Fault::PowerCut };
            let _ = harness::plain::open(vec![Arc::new(FaultyDisk::new(again.clone(), Some(plan)))]);
            let context = format!("power cuts at {at} and {second}");
            promises.check(vec![Arc::new(again.after_power_cut(second))], &context);
            states += 1;
        }
    }
    println!("{states} double cuts: 0 lost");
}

/// A killed agent, unlike a power cut, loses nothing that the system had taken.
#[test]
fn killing_the_agent_loses_nothing() {
    for at in 0..operations() {
        let disk = MemoryDisk::new();
        let promises = live_until(at, Fault::PowerCut, &disk);
        promises.check(vec![Arc::new(disk)], &format!("killed at operation {at}"));
    }
}
