//! Cost of a growing vault on a real disk: each call is a separate process, with a separate peak memory.
//!
//!     growth fill FOLDER FROM COUNT    takes in small chunks; ends as a killed process does
//!     growth open FOLDER COUNT         opens the vault of a killed process, then asks for known and new chunks
//!     growth rebuild FOLDER            opens without an index
//!
//! Prints one line of `name value` pairs. Chunks are tiny, so ten million fit: the measure is growth with the number of
//! chunks, not with their bytes. `bench/growth` calls the program in turn and draws the curves.

use hot_paths::index::{id, open, small_chunks};
use hot_paths::process::{peak_mib, written_bytes};
use larder_store::{Scope, Vault, disk::RealDisk};
use std::{
    fs,
    path::Path,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

/// Chunks made and taken in at a time, so the making is not measured and takes little memory.
const STEP: u32 = 50_000;
/// Chunks asked for at once, as a client does.
const ASKED: u32 = 1024;
const QUESTIONS: u32 = 200;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse::<u32>().ok();
    match words.as_slice() {
        ["fill", folder, from, count] => match (number(from), number(count)) {
            (Some(from), Some(count)) => fill(Path::new(folder), from, count),
            _ => return usage(),
        },
        ["open", folder, count] => match number(count) {
            Some(count) => ask(Path::new(folder), count),
            None => return usage(),
        },
        ["rebuild", folder] => rebuild(Path::new(folder)),
        _ => return usage(),
    }
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("usage: growth fill FOLDER FROM COUNT | growth open FOLDER COUNT | growth rebuild FOLDER");
    ExitCode::from(2)
}

fn vault(folder: &Path) -> Vault {
    let disk = folder.join("disk");
    fs::create_dir_all(&disk).expect("a folder");
    open(Arc::new(RealDisk::open(&disk).expect("the folder is a disk")), folder)
}

fn fill(folder: &Path, from: u32, count: u32) {
    let vault = vault(folder);
    let written = written_bytes();
    let mut busy = Duration::ZERO;
    for start in (from..from + count).step_by(STEP as usize) {
        let blocks = small_chunks(start, STEP.min(from + count - start));
        let started = Instant::now();
        for block in &blocks {
            vault.by(&Scope::appliance()).receive(block).expect("blocks of our own");
        }
        busy += started.elapsed();
    }
    let started = Instant::now();
    vault.seal_all().expect("the disk takes all");
    busy += started.elapsed();
    println!(
        "chunks {count} chunks_per_s {:.0} peak_mib {:.1} written_bytes_per_chunk {:.0}",
        f64::from(count) / busy.as_secs_f64(),
        peak_mib(),
        (written_bytes() - written) as f64 / f64::from(count),
    );
    // A killed process flushes nothing and cleans up nothing.
    std::process::exit(0);
}

fn ask(folder: &Path, count: u32) {
    let started = Instant::now();
    let vault = vault(folder);
    let opened = started.elapsed();
    let rate = |number: &dyn Fn(u32, u32) -> u32| {
        let mut busy = Duration::ZERO;
        for question in 0..QUESTIONS {
            let ids: Vec<_> = (0..ASKED).map(|n| id(number(question, n))).collect();
            let started = Instant::now();
            vault.by(&Scope::appliance()).missing(&ids);
            busy += started.elapsed();
        }
        f64::from(QUESTIONS) * f64::from(ASKED) / busy.as_secs_f64()
    };
    // First as a device asks for files pushed before; then spread over every chunk; then for chunks never pushed.
    let in_order = rate(&|question, n| (question.wrapping_mul(2_654_435_761) % count + n) % count);
    let spread =
        |question: u32, n: u32| question.wrapping_mul(2_654_435_761).wrapping_add(n.wrapping_mul(7_919_993));
    let scattered = rate(&|question, n| spread(question, n) % count);
    let new = rate(&|question, n| count + spread(question, n) % (u32::MAX / 4));
    println!(
        "chunks {count} open_s {:.2} in_order_per_s {in_order:.0} scattered_per_s {scattered:.0} new_per_s {new:.0} peak_mib {:.1} index_bytes {}",
        opened.as_secs_f64(),
        peak_mib(),
        size_of(&folder.join("index")),
    );
}

fn rebuild(folder: &Path) {
    fs::remove_dir_all(folder.join("index")).expect("there is an index");
    let started = Instant::now();
    let vault = vault(folder);
    println!(
        "open_s {:.2} peak_mib {:.1} bytes {}",
        started.elapsed().as_secs_f64(),
        peak_mib(),
        vault.stored_bytes()
    );
}

fn size_of(folder: &Path) -> u64 {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).map(|meta| meta.len()).sum()
}
