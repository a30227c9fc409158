//! `larderd`: the agent. What happens in which order: `run`. What a person can type: `owner::cli`.

mod decide;
mod edge;
mod event;
mod jobs;
mod owner;
mod phrase;
mod report;
mod run;
mod state;

use std::process::ExitCode;

fn main() -> ExitCode {
    owner::cli::main()
}
