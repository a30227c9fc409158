//! The command line: the commands, and a call for each command.

use super::{
    finding, getting, looking,
    options::GlobalOptions,
    output::{CommandError, Output},
    pairing, pushing, rescuing, words,
};
use crate::ClientError;
use clap::{CommandFactory, Parser, Subcommand};
use std::{ffi::OsString, process::ExitCode};

/// Backs this computer up to a Larder appliance at home, and gets everything back.
#[derive(Debug, Parser)]
#[command(name = "larder", version, max_term_width = 100, after_help = AFTER_HELP)]
struct Typed {
    #[command(subcommand)]
    command: TypedCommand,
    #[command(flatten)]
    global: GlobalOptions,
}

const AFTER_HELP: &str = "\
A place is SOURCE[@WHEN][:PATH], for example laptop/photos@2026-03-31:2024/cat.jpg
  SOURCE  DEVICE/NAME; NAME alone where it is clear
  WHEN    a snapshot number, a date, a time with its date, \"2 weeks ago\"; the newest if left out
  PATH    names with slashes between; \\xNN stands for a byte that cannot be typed

Exit codes: 0 fine, 1 failed, 2 wrong usage, 3 done but some files were skipped (each is named) or
came back without their owner or some attribute, 4 not reachable or not paired, 5 refused by the
appliance, 6 damaged data met.";

#[derive(Debug, Subcommand)]
enum TypedCommand {
    /// Connect this computer with an appliance; asks for the key that the appliance made for it
    Pair(pairing::PairArgs),
    /// Back up folders, each as a source of its own
    Push(pushing::PushArgs),
    /// List what is protected
    Sources,
    /// List the kept snapshots of a source, and how long each stays at least
    Snapshots {
        /// SOURCE
        source: String,
    },
    /// List a folder as it was
    Ls {
        /// SOURCE[@WHEN][:PATH]
        place: OsString,
    },
    /// List every kept version of one file
    Versions {
        /// SOURCE:PATH
        place: OsString,
    },
    /// Show what changed between two snapshots
    Diff {
        /// SOURCE[@WHEN]; alone and without WHEN, the snapshot before the newest
        from: OsString,
        /// SOURCE[@WHEN]; the newest if left out
        to: Option<OsString>,
    },
    /// Find a name over all kept snapshots, deleted files too: since when, until when, and how to get it back
    Find(finding::FindArgs),
    /// Bring files back into a folder, with every attribute
    Restore(getting::RestoreArgs),
    /// Write one file to the standard output
    Cat {
        /// SOURCE[@WHEN]:PATH
        place: OsString,
    },
    /// Read a disk that was pulled out of an appliance: no box, no agent, nothing is written to it
    Rescue(rescuing::RescueArgs),
    /// Answer the four questions to ask of any backup, from facts
    Answers {
        /// SOURCE; all of them if left out
        source: Option<String>,
    },
    /// Show how the appliance is: what its lamp shows, in full
    Status,
    /// Show how long a source's snapshots are kept, and why
    Retention {
        /// SOURCE
        source: String,
    },
    /// Print a completion script for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Print a manual page
    Man {
        /// The command that it is about; without one, all commands in short
        command: Option<String>,
    },
}

/// Runs the typed command.
pub fn main() -> ExitCode {
    // clap prints its own errors and exits with 2, the code for wrong usage.
    let Typed { command, global } = Typed::parse();
    let mut output = Output::new(global.json);
    let ended = run(command, &global, &mut output).and_then(|code| {
        output.flush()?;
        Ok(code)
    });
    match ended {
        Ok(code) => ExitCode::from(code),
        Err(failure) => words::report(&failure.into_trouble(), global.json),
    }
}

fn run(command: TypedCommand, global: &GlobalOptions, output: &mut Output) -> Result<u8, CommandError> {
    match command {
        TypedCommand::Pair(args) => pairing::pair(&args, global, output),
        TypedCommand::Push(args) => pushing::push(&args, global, output),
        TypedCommand::Sources => looking::sources(global, output),
        TypedCommand::Snapshots { source } => looking::snapshots(&source, global, output),
        TypedCommand::Ls { place } => looking::ls(&place, global, output),
        TypedCommand::Versions { place } => looking::versions(&place, global, output),
        TypedCommand::Diff { from, to } => looking::diff(&from, to.as_deref(), global, output),
        TypedCommand::Find(args) => finding::find(&args, global, output),
        TypedCommand::Restore(args) => getting::restore(&args, global, output),
        TypedCommand::Cat { place } => getting::cat(&place, global, output),
        TypedCommand::Rescue(args) => rescuing::rescue(&args, output),
        TypedCommand::Answers { source } => looking::answers(source.as_deref(), global, output),
        TypedCommand::Status => looking::status(global, output),
        TypedCommand::Retention { source } => looking::retention(&source, global, output),
        TypedCommand::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Typed::command(), "larder", &mut script);
            output.bytes(&script)
        }
        TypedCommand::Man { command } => man(command.as_deref(), output),
    }
}

fn man(about: Option<&str>, output: &mut Output) -> Result<u8, CommandError> {
    let mut all = Typed::command();
    all.build();
    let found = about.map_or(Some(&all), |name| all.find_subcommand(name));
    let Some(command) = found else {
        let what = format!("There is no command `{}`.", about.unwrap_or_default());
        return Err(ClientError::WrongKind { what, remedy: "`larder --help` lists them." }.into());
    };
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    output.bytes(&page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Typed::command().debug_assert();
    }
}
