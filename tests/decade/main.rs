//! Ten years of an appliance, simulated: the real store on simulated disks under a simulated clock, every promise held
//! against a model that keeps plain copies of everything.
//!
//! Without arguments, as in each test run: the seeds that failed once (`seeds`), and a few more. `tests/decade/run
//! --seed N --years Y [--verbose] [--json] [--only LIST]` lives one life; a life that fails is cut down to the fewest
//! happenings that still fail, and the line that replays it is printed. The story of a life depends on its seed alone.

mod appliance;
mod calendar;
mod clock;
mod devices;
mod drive;
mod keeping;
mod letting_go;
mod life;
mod misfortunes;

use calendar::{Happening, calendar};
use harness::shrink::shrink;
use life::{Lived, live};
use std::process::ExitCode;

/// Lives that failed once: `SEED YEARS` a line.
const SEEDS: &str = include_str!("seeds");
/// Lives of each test run: seed and years.
const QUICK: [(u64, u32); 3] = [(1, 10), (2, 2), (3, 2)];
/// A life of ten years takes seconds, and so does each attempt to cut one down.
const SHRINK_RUNS_MAX: usize = 150;

struct Wanted {
    seed: u64,
    years: u32,
    only: Option<Vec<usize>>,
    is_json: bool,
    is_verbose: bool,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.iter().any(|arg| arg == "--list") {
        return ExitCode::SUCCESS;
    }
    match wanted(&args) {
        Ok(Some(wanted)) => one(&wanted),
        Ok(None) => several(),
        Err(what) => {
            eprintln!(
                "{what}\nusage: tests/decade/run --seed N [--years Y] [--verbose] [--json] [--only 1,2,3]"
            );
            ExitCode::from(2)
        }
    }
}

/// One life, or nothing for those of each test run. What the test runner says to every test is not for us.
fn wanted(args: &[String]) -> Result<Option<Wanted>, String> {
    let mut wanted = Wanted { seed: 0, years: 10, only: None, is_json: false, is_verbose: false };
    let mut is_one = false;
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        let mut number = || {
            let value = rest.next().ok_or(format!("{arg} needs a value"))?;
            value.parse::<u64>().map_err(|_| format!("{arg} needs a number, not {value}"))
        };
        match arg.as_str() {
            "--seed" => (wanted.seed, is_one) = (number()?, true),
            "--years" => wanted.years = u32::try_from(number()?).map_err(|_| "too many years".to_owned())?,
            "--only" => {
                let list =
                    rest.next().ok_or("--only needs a list")?.split(',').filter(|part| !part.is_empty());
                let list = list.map(|part| part.parse().map_err(|_| format!("no number: {part}")));
                wanted.only = Some(list.collect::<Result<_, _>>()?);
            }
            "--json" => wanted.is_json = true,
            "--verbose" => wanted.is_verbose = true,
            "--nocapture" | "--quiet" | "-q" => {}
            other if other.starts_with("--test-threads") => {}
            other => return Err(format!("what is {other}?")),
        }
    }
    Ok(is_one.then_some(wanted))
}

fn one(wanted: &Wanted) -> ExitCode {
    let mut happenings = calendar(wanted.seed, wanted.years * 365);
    if let Some(only) = &wanted.only {
        happenings.retain(|happening| only.contains(&happening.number));
    }
    match live(&happenings, wanted.years * 365, wanted.is_verbose) {
        Ok(lived) => {
            lived.story.iter().for_each(|line| eprintln!("{line}"));
            if wanted.is_json {
                println!("{}", json(wanted, &lived))
            } else {
                tell(wanted.seed, wanted.years, &lived)
            }
            ExitCode::SUCCESS
        }
        Err(why) => {
            report_failure(wanted.seed, wanted.years, &happenings, &why);
            ExitCode::FAILURE
        }
    }
}

fn several() -> ExitCode {
    let failed_once = SEEDS.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    let failed_once = failed_once.map(|line| {
        let mut numbers = line.split_whitespace().map(|word| word.parse::<u64>().expect("SEED YEARS"));
        let (seed, years) = (numbers.next().expect("a seed"), numbers.next().expect("years"));
        (seed, u32::try_from(years).expect("few years"))
    });
    let seeds: Vec<_> = QUICK.into_iter().chain(failed_once).collect();
    // The longest first, each life on a thread of its own.
    let lives: Vec<_> = std::thread::scope(|scope| {
        let begin = |(seed, years): (u64, u32)| {
            scope.spawn(move || live(&calendar(seed, years * 365), years * 365, false))
        };
        let begun: Vec<_> = seeds.iter().copied().map(begin).collect();
        begun.into_iter().map(|life| life.join().expect("a life does not panic")).collect()
    });
    let mut is_well = true;
    let (mut let_go, mut swept) = (0, 0);
    for ((seed, years), lived) in seeds.into_iter().zip(lives) {
        match lived {
            Ok(lived) => {
                let_go += lived.counts.get("snapshot let go of").unwrap_or(&0);
                swept += lived.counts.get("file of a swept pack removed").unwrap_or(&0);
                tell(seed, years, &lived);
            }
            Err(why) => {
                report_failure(seed, years, &calendar(seed, years * 365), &why);
                is_well = false;
            }
        }
    }
    if is_well && (let_go == 0 || swept == 0) {
        eprintln!("these lives never let go of anything: {let_go} snapshots, {swept} files");
        is_well = false;
    }
    if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn tell(seed: u64, years: u32, lived: &Lived) {
    let checked = &lived.checked;
    println!(
        "seed {seed}, {years} years: {} promises, 0 lost; {} restored byte by byte ({} files), {} reached, {} judged; \
         {} lost in a fire before the offsite disk saw them",
        lived.promises, checked.restored, checked.files, checked.reached, lived.judged, lived.lost_in_fire
    );
    let counts: Vec<_> = lived.counts.iter().map(|(what, times)| format!("{what}: {times}")).collect();
    println!("  {}", counts.join("; "));
}

fn json(wanted: &Wanted, lived: &Lived) -> serde_json::Value {
    serde_json::json!({
        "seed": wanted.seed,
        "years": wanted.years,
        "lost": 0,
        "promises": lived.promises,
        "lost_in_fire": lived.lost_in_fire,
        "snapshots_restored": lived.checked.restored,
        "files_compared": lived.checked.files,
        "snapshots_reached": lived.checked.reached,
        "verdicts_judged": lived.judged,
        "happened": lived.counts,
    })
}

/// Cuts the life down, and tells how to live it again.
fn report_failure(seed: u64, years: u32, happenings: &[Happening], why: &str) {
    eprintln!("seed {seed}, {years} years: {why}");
    let last_day = |list: &[Happening]| list.last().map_or(0, |last| last.day + 40).min(years * 365);
    let fewest = shrink(happenings, SHRINK_RUNS_MAX, |list| live(list, last_day(list), false).is_err());
    eprintln!("the fewest happenings that still fail:");
    for Happening { number, day, event, .. } in &fewest {
        eprintln!("  {number}: day {day}, {}", event.words());
    }
    let list: Vec<_> = fewest.iter().map(|happening| happening.number.to_string()).collect();
    if let Err(why) = live(&fewest, last_day(&fewest), true) {
        eprintln!("{why}");
    }
    eprintln!("replay: tests/decade/run --seed {seed} --years {years} --only {}", list.join(","));
    eprintln!("keep it: add the line `{seed} {years}` to tests/decade/seeds");
}
