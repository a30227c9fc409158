//! `larderd`: the agent. What happens in which order: `run`. What a person can type: `owner::cli`.

mod appliance;
mod decide;
mod edge;
mod event;
mod gather;
mod history;
mod jobs;
mod keeping;
mod opening;
mod owner;
mod phrase;
mod report;
mod run;
mod shelf;

use std::process::ExitCode;

fn main() -> ExitCode {
    owner::cli::main()
}
