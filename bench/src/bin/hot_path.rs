//! `hot_path NAME ROUNDS`: prepares one hot path and runs the given rounds; without arguments lists the names. For
//! counting instructions: the difference between two numbers of rounds is the work alone.

use hot_paths::HOT_PATHS;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.as_slice() {
        [] => HOT_PATHS.iter().for_each(|path| println!("{}", path.name)),
        [name, rounds] => {
            let path = HOT_PATHS.iter().find(|path| path.name == name);
            let (Some(path), Ok(rounds)) = (path, rounds.parse::<u32>()) else { return usage() };
            let mut work = (path.prepare)();
            (0..rounds).for_each(|_| work());
        }
        _ => return usage(),
    }
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("usage: hot_path [NAME ROUNDS]   (without arguments: the names)");
    ExitCode::from(2)
}
