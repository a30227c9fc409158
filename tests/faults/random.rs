//! Several faults in one life, chosen by a seed. What fails is cut down to the fewest faults and steps that still fail,
//! and printed as a line that replays it.
//!
//! `LARDER_RANDOM_LIVES=5000` lives more of them; `LARDER_REPLAY='NAME;STEPS;SCHEDULE'` lives one again.

use crate::workload::{self, Lived, Workload, verdict};
use harness::model::Model;
use harness::plain;
use harness::shrink::shrink;
use larder_store::MemberState;
use larder_store::disk::{Dice, Disk, Fault, FaultyDisk, Fired, MemoryDisk, On, Planned, Schedule, When};
use std::collections::BTreeMap;
use std::sync::Arc;

const LIVES: u64 = 4000;
const SHRINK_RUNS_MAX: usize = 400;

/// Lives in which a box may go on without what the newer disk knows, because that did not answer twice at a start: one
/// in so many at most, and none in each test run, or a ledger that forks by mistake would be excused.
const LIVES_PER_SECOND_PAST: usize = 20_000;

/// How all promises of a life are kept.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kept {
    Together,
    /// The disks have two pasts (docs/evidence.md): one is followed, the other one's disk gives back the rest alone.
    Apart,
}

/// What can be left out of a life without changing the rest.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Part {
    Step(usize),
    Fault(Planned),
}

fn schedule(seed: u64) -> Schedule {
    let mut dice = Dice::of(seed, 1);
    let faults = (0..dice.below(4) + 2).map(|_| {
        let at = dice.below(200) as u64;
        let (on, fault) = match dice.below(8) {
            0 => (On::Syncs, Fault::SyncLost),
            1 => (On::Changes, Fault::Full),
            2 => (On::All, Fault::ErrorAfter),
            3 => (On::Reads, Fault::Error),
            4 => (On::Reads, Fault::Rot),
            5 => (On::Reads, Fault::Elsewhere),
            6 => (On::Changes, Fault::PowerCut),
            _ => (On::Changes, Fault::Error),
        };
        let when = match fault {
            Fault::PowerCut => When::At(at),
            Fault::Full if dice.one_in(2) => When::From(at),
            _ if dice.one_in(3) => When::OneIn(30 + at),
            _ => When::At(at),
        };
        Planned { on, when, fault }
    });
    let faults: Vec<_> = faults.collect();
    Schedule::new(seed, faults)
}

fn live(workload: &Workload, schedule: &Schedule) -> Lived {
    let mut disks: Vec<FaultyDisk> = Vec::new();
    for below in &workload.disks {
        let below = below.after_clean_stop();
        let disk = disks.first().map(|first| first.beside(below.clone()));
        disks.push(disk.unwrap_or_else(|| FaultyDisk::new(below, schedule.clone())));
    }
    workload.live_on(disks)
}

/// Lives it and pulls the plug in the end; what happened, and what is wrong if anything.
fn judge(workload: &Workload, schedule: &Schedule) -> (Vec<Fired>, Result<Kept, String>) {
    let lived = live(workload, schedule);
    let disks =
        (1..).zip(&lived.disks).map(|(number, disk)| disk.below().after_power_cut(schedule.seed + number));
    let disks: Vec<_> = disks.collect();
    let kept = match verdict(&lived.model, answering(&disks)) {
        Ok(_) => Ok(Kept::Together),
        Err(_) if is_kept_apart(&lived.model, &disks) => Ok(Kept::Apart),
        Err(why) => Err(why),
    };
    (lived.disks[0].story(), kept)
}

fn answering(disks: &[MemoryDisk]) -> Vec<Arc<dyn Disk>> {
    disks.iter().map(|disk| Arc::new(disk.after_clean_stop()) as Arc<dyn Disk>).collect()
}

/// Whether the disks have two pasts, and each promise comes back from one that has it in its own.
fn is_kept_apart(model: &Model, disks: &[MemoryDisk]) -> bool {
    let is_forked = plain::open(answering(disks))
        .is_ok_and(|vault| vault.disks().iter().any(|disk| disk.state == MemberState::Forked));
    let comes_back = |push: u128| {
        disks.chunks(1).filter_map(|disk| plain::open(answering(disk)).ok()).any(|vault| {
            let checked = model.check(&vault, |promise| promise.push == push);
            checked.is_ok_and(|checked| checked.restored > checked.lucky)
        })
    };
    is_forked && model.promises().all(|promise| comes_back(promise.push))
}

fn only(workload: &Workload, parts: &[Part], seed: u64) -> (Workload, Schedule) {
    let steps = parts.iter().filter_map(|part| match part {
        Part::Step(number) => Some(workload.steps[*number].clone()),
        Part::Fault(_) => None,
    });
    let faults = parts.iter().filter_map(|part| match part {
        Part::Fault(planned) => Some(*planned),
        Part::Step(_) => None,
    });
    let schedule = Schedule::new(seed, faults.collect::<Vec<_>>());
    (Workload { steps: steps.collect(), ..workload.clone() }, schedule)
}

/// The failure in as few words as it takes.
fn report(workload: &Workload, seed: u64, fired: &[Fired], why: &str) -> String {
    let steps = (0..workload.steps.len()).map(Part::Step);
    let all: Vec<_> = steps.chain(fired.iter().map(|fired| Part::Fault(fired.planned()))).collect();
    let fails = |parts: &[Part]| {
        let (workload, schedule) = only(workload, parts, seed);
        judge(&workload, &schedule).1.is_err()
    };
    let fewest = shrink(&all, SHRINK_RUNS_MAX, fails);
    let (small, schedule) = only(workload, &fewest, seed);
    let (fired, verdict) = judge(&small, &schedule);
    let story: Vec<_> = fired.iter().map(|fired| format!("  {fired}\n")).collect();
    let numbers = fewest.iter().filter_map(|part| match part {
        Part::Step(number) => Some(number.to_string()),
        Part::Fault(_) => None,
    });
    let numbers: Vec<_> = numbers.collect();
    let why = verdict.err().unwrap_or_else(|| format!("{why} (with chance only)"));
    let line = format!("LARDER_REPLAY='{};{};{schedule}'", workload.name, numbers.join(","));
    format!("seed {seed}, {}: {why}\n{}replay: {line}", workload.name, story.concat())
}

/// Whatever goes wrong together: nothing that was confirmed is lost.
#[test]
fn several_faults_in_one_life_cost_nothing() {
    let lives = std::env::var("LARDER_RANDOM_LIVES").ok().and_then(|text| text.parse().ok()).unwrap_or(LIVES);
    let workloads = workload::all();
    let mut happened: BTreeMap<String, u64> = BTreeMap::new();
    let mut apart = Vec::new();
    for seed in 0..lives {
        let workload = &workloads[Dice::of(seed, 0).below(workloads.len())];
        let (fired, verdict) = judge(workload, &schedule(seed));
        match verdict {
            Ok(Kept::Together) => {}
            Ok(Kept::Apart) => apart.push(seed),
            Err(why) => panic!("{}", report(workload, seed, &fired, &why)),
        }
        for fired in fired {
            *happened.entry(fired.fault.to_string()).or_default() += 1;
        }
    }
    println!("{lives} lives with several faults, 0 lost, {} in two pasts: {happened:?}", apart.len());
    let is_rare = (apart.len() * LIVES_PER_SECOND_PAST) as u64 <= lives;
    assert!(is_rare, "too many of {lives} lives ended in two pasts, with seeds {apart:?}");
    assert!(happened.len() >= 6 && happened.values().all(|times| *times > lives / 20), "{happened:?}");
}

#[test]
fn a_line_replays_a_life() {
    let line =
        std::env::var("LARDER_REPLAY").unwrap_or("two disks;0,2;5:all@70=error,syncs@30=lost".to_owned());
    let mut parts = line.splitn(3, ';');
    let mut next = || parts.next().expect("NAME;STEPS;SCHEDULE");
    let (name, steps, schedule) = (next(), next(), next().parse::<Schedule>().expect("a schedule"));
    let workload =
        workload::all().into_iter().find(|workload| workload.name == name).expect("a life of that name");
    let steps = steps.split(',').filter(|number| !number.is_empty());
    let mut all: Vec<_> = steps.map(|number| Part::Step(number.parse().expect("a number"))).collect();
    all.extend(schedule.faults.iter().map(|planned| Part::Fault(*planned)));
    let (workload, schedule) = only(&workload, &all, schedule.seed);
    let (fired, verdict) = judge(&workload, &schedule);
    fired.iter().for_each(|fired| println!("{fired}"));
    assert_eq!(judge(&workload, &schedule).0, fired, "the same line is the same life");
    assert!(!fired.is_empty(), "a replay in which nothing happens proves nothing");
    let kept = verdict.unwrap_or_else(|why| panic!("{why}"));
    println!("kept: {kept:?}");
}

/// The newer disk does not say which entries it has, however often it is asked, just when the older one comes back.
#[test]
fn what_is_confirmed_in_a_second_past_comes_back_from_its_own_disk() {
    let workloads = workload::all();
    let workload = workloads.iter().find(|workload| workload.name == "a disk comes back").expect("a life");
    let mut apart = 0;
    for (first, errors) in (30..45).flat_map(|first| (2..8).map(move |errors| (first, errors))) {
        let faults = (first..first + errors).map(|at| format!("all@{at}=error")).collect::<Vec<_>>();
        let line = format!("1:{}", faults.join(","));
        match judge(workload, &line.parse().expect("a schedule")).1 {
            Ok(kept) => apart += u32::from(kept == Kept::Apart),
            Err(why) => panic!("{line}: {why}"),
        }
    }
    println!("{apart} of 90 lives ended in two pasts, 0 lost");
    assert!(apart > 0);
}
