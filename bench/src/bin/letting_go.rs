//! Cost of letting go, and its effect on pushes, on a real disk.
//!
//!     letting_go FOLDER FILES DAYS
//!
//! A source of FILES files of 50 KB, a tenth changing each day, is backed up for DAYS days of a simulated clock. Then
//! only the newest backup stays, and the freed room is swept without a rest, while small pushes run one after another:
//! the agent itself takes a step a second meanwhile. Prints one line of `name value` pairs. Not here: spreading a round
//! over the day (the agent's job), proof against losses (`tests/faults`).

use harness::plain::{Files, files, push, stamp};
use hot_paths::process::{peak_mib, written_bytes};
use larder_format::ledger::{Event, Rule};
use larder_store::{Vault, disk::RealDisk};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const NEWEST_ONLY: Rule =
    Rule { everything_days: 0, daily_days: 0, weekly_days: 0, monthly_days: Some(0), newest: 1 };
const FILE_BYTES: u32 = 50_000;
/// The agent's value.
const STEP_CHUNKS: u64 = 5_000;
/// Content stays a week after its backup went, and a little more.
const WAIT_HOURS: u64 = 8 * 24;
/// Small pushes timed while the vault is idle.
const QUIET_PUSHES: u32 = 200;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [folder, files, days] = words.as_slice() else { return usage() };
    let (Ok(files), Ok(days)) = (files.parse(), days.parse()) else { return usage() };
    measure(Path::new(folder), files, days);
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("usage: letting_go FOLDER FILES DAYS");
    ExitCode::from(2)
}

fn measure(folder: &Path, files: u32, days: u32) {
    let mut hour = fill(folder, files, days);
    // Pushes of the run before would keep their packs for a day or two.
    let vault = open(folder);
    let waits = vault.sweep_step(stamp(hour), STEP_CHUNKS).expect("a step").waits;
    assert!(waits.is_some(), "after a start the sweep waits for pushes that an earlier run answered");
    wait(&vault, &mut hour, 48);
    let mut number = 1_000_000;
    let quiet = Pauses::of((0..QUIET_PUSHES).map(|_| small_push(&vault, &mut number, hour)));
    let started = Instant::now();
    let plan = vault.plan_prune(stamp(hour));
    vault.prune(&plan, stamp(hour)).expect("obeyed");
    let pruned = started.elapsed();
    wait(&vault, &mut hour, WAIT_HOURS);
    let (stored, written) = (vault.stored_bytes(), written_bytes());
    let (swept, beside) = sweep_beside_pushes(&vault, &mut number, hour);
    wait(&vault, &mut hour, 30);
    let removed = sweep(&vault, hour);
    println!(
        "snapshots {} prune_s {:.3} stored_mb {:.0} swept_mb {:.0} written_mb {:.0} sweep_s {:.1} longest_step_s {:.3} \
         removed_files {} push_ms {:.1} slowest_ms {:.0} push_beside_ms {:.1} slowest_beside_ms {:.0} pushes_beside {} peak_mib {:.0}",
        plan.snapshots.len(),
        pruned.as_secs_f64(),
        stored as f64 / 1e6,
        swept.bytes as f64 / 1e6,
        (written_bytes() - written) as f64 / 1e6,
        swept.took.as_secs_f64(),
        swept.longest_step.as_secs_f64(),
        removed.files,
        quiet.median_ms(),
        quiet.longest_ms(),
        beside.median_ms(),
        beside.longest_ms(),
        beside.0.len(),
        peak_mib(),
    );
}

fn open(folder: &Path) -> Vault {
    let disk = folder.join("disk");
    std::fs::create_dir_all(&disk).expect("a folder");
    hot_paths::index::open(Arc::new(RealDisk::open(&disk).expect("the folder is a disk")), folder)
}

/// Advances the simulated clock, and reads the clock every hour as the agent does.
fn wait(vault: &Vault, hour: &mut u64, hours: u64) {
    for _ in 0..hours {
        *hour += 1;
        vault.look_at_clock(stamp(*hour));
    }
}

/// Backs up day after day; returns the hour.
fn fill(folder: &Path, count: u32, days: u32) -> u64 {
    let vault = open(folder);
    vault.append(stamp(0), Event::RetentionSet(NEWEST_ONLY)).expect("written");
    let mut hour = 0;
    let mut current = Files::new();
    for day in 0..days {
        wait(&vault, &mut hour, 24);
        for number in 0..count {
            if day == 0 || dice(day, number).is_multiple_of(10) {
                current.insert(format!("{:02}/{number}", number % 100), content(day, number));
            }
        }
        push(&vault, "laptop/docs", &current, day.into(), stamp(hour)).expect("a push");
    }
    hour
}

fn dice(day: u32, number: u32) -> u32 {
    let mixed = (u64::from(day) << 32 | u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    u32::try_from(mixed >> 32).expect("32 bits are left")
}

/// Bytes unlike any file of any day, and hardly compressible.
fn content(day: u32, number: u32) -> Vec<u8> {
    let mut bytes = vec![0; FILE_BYTES as usize];
    let seed = blake3::hash(&(u64::from(day) << 32 | u64::from(number)).to_le_bytes());
    blake3::Hasher::new_keyed(seed.as_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// Time of a push of one small file, from the question to the receipt.
fn small_push(vault: &Vault, number: &mut u32, hour: u64) -> Duration {
    *number += 1;
    let note = files([("note.txt", &content(0, *number)[..3000])]);
    let started = Instant::now();
    push(vault, "phone/notes", &note, (*number).into(), stamp(hour)).expect("a push");
    started.elapsed()
}

/// Sorted.
struct Pauses(Vec<Duration>);

impl Pauses {
    fn of(pauses: impl Iterator<Item = Duration>) -> Self {
        let mut pauses: Vec<_> = pauses.collect();
        pauses.sort();
        Self(pauses)
    }

    fn median_ms(&self) -> f64 {
        self.0.get(self.0.len() / 2).map_or(0.0, |pause| pause.as_secs_f64() * 1e3)
    }

    fn longest_ms(&self) -> f64 {
        self.0.last().map_or(0.0, |pause| pause.as_secs_f64() * 1e3)
    }
}

#[derive(Default)]
struct Round {
    bytes: u64,
    files: u64,
    took: Duration,
    longest_step: Duration,
}

/// Steps of the sweep, one after another, until a round has ended with nothing to do.
fn sweep(vault: &Vault, hour: u64) -> Round {
    let (mut round, started) = (Round::default(), Instant::now());
    loop {
        let begun = Instant::now();
        let swept = vault.sweep_step(stamp(hour), STEP_CHUNKS).expect("a step");
        assert_eq!(swept.waits, None);
        round.longest_step = round.longest_step.max(begun.elapsed());
        round.bytes += swept.bytes;
        round.files += swept.files_removed;
        if !swept.is_under_way {
            round.took = started.elapsed();
            return round;
        }
        if swept.gives_way {
            std::thread::yield_now();
        }
    }
}

fn sweep_beside_pushes(vault: &Vault, number: &mut u32, hour: u64) -> (Round, Pauses) {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let round = scope.spawn(|| {
            let round = sweep(vault, hour);
            is_over.store(true, Ordering::SeqCst);
            round
        });
        let pushes =
            std::iter::from_fn(|| (!is_over.load(Ordering::SeqCst)).then(|| small_push(vault, number, hour)));
        let pauses = Pauses::of(pushes);
        (round.join().expect("it does not panic"), pauses)
    })
}
