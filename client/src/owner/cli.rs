//! The command line: the commands, and a call for each command.

use super::{
    comparing, discovering, finding, getting, getting_all, help, keeping, listing, looking,
    options::GlobalOptions,
    output::{CommandError, Output},
    pairing, pushing, rescuing, rolling_back, scheduling,
    screen::say_last,
    sizes, snapshots, source, status, verifying, watching, words,
};
use crate::{ClientError, platform::on_interrupt};
use clap::{CommandFactory, Parser, Subcommand};
use std::{ffi::OsString, process::ExitCode};

/// Backs this computer up to a Larder appliance at home, and gets everything back.
#[derive(Debug, Parser)]
#[command(name = "larder", version, max_term_width = 100, after_help = help::PLACES)]
struct Typed {
    #[command(subcommand)]
    command: TypedCommand,
    #[command(flatten)]
    global: GlobalOptions,
}

#[derive(Debug, Subcommand)]
enum TypedCommand {
    /// List the appliances on this network
    Discover(discovering::DiscoverArgs),
    /// Connect this computer with an appliance; asks for the code that `larderd pair` shows there, or its lamp
    Pair(pairing::PairArgs),
    /// Back up folders, each as a source of its own
    Push(pushing::PushArgs),
    /// Have folders backed up by themselves, at times or with each change; without a folder, show what is scheduled
    ///
    /// Each folder gets a timer of its own (systemd), or with --watch a service. A time that the computer slept through
    /// is made up for after wake-up; a daily or weekly backup that could not be made is tried again every hour until it
    /// is made.
    Schedule(scheduling::ScheduleArgs),
    /// List what is protected
    Sources,
    /// Show what is expected of a source, set its rhythm, or retire it
    Source(source::SourceArgs),
    /// List the kept snapshots of a source, the newest first, and how long each stays at least
    #[command(after_help = help::SNAPSHOTS)]
    Snapshots(snapshots::SnapshotsArgs),
    /// List a folder as it was
    #[command(after_help = help::WHEN)]
    Ls(listing::LsArgs),
    /// List every kept version of one file
    #[command(after_help = help::VERSIONS)]
    Versions {
        /// SOURCE:PATH
        place: OsString,
    },
    /// Show what takes the room in a folder as it was: the folders in it, the largest last
    #[command(after_help = help::WHEN)]
    Du(sizes::DuArgs),
    /// Show what changed between two snapshots, or with --live between a snapshot and a folder of this computer
    #[command(after_help = help::WHEN)]
    Diff(comparing::DiffArgs),
    /// Keep a snapshot whatever the rule says, under a name of your own
    #[command(after_help = help::WHEN)]
    Keep(keeping::KeepArgs),
    /// Find a name over all kept snapshots, deleted files too: since when, until when, and how to get it back
    Find(finding::FindArgs),
    /// Bring files back into a folder, with every attribute
    #[command(after_help = help::WHEN)]
    Restore(getting::RestoreArgs),
    /// Make a folder of this computer what it was; shows the plan first, and backs up what is there now
    #[command(after_help = help::ROLLBACK)]
    Rollback(rolling_back::RollbackArgs),
    /// Write one file to the standard output
    #[command(after_help = help::WHEN)]
    Cat(getting::CatArgs),
    /// Read a disk that was pulled out of an appliance: no box, no agent, nothing is written to it
    #[command(after_help = help::WHEN)]
    Rescue(rescuing::RescueArgs),
    /// Check this computer's receipts: whether the appliance's record of the past is still the one that was promised
    ///
    /// Each backup gave this computer a receipt that the appliance signed. Here each is held against the appliance, or with
    /// --disk against a disk that was pulled out of it. Snapshots that the rule let go of are told as such. Exit code 6 says that
    /// the past was changed.
    Verify(verifying::VerifyArgs),
    /// Answer the four questions to ask of any backup, from facts
    Answers {
        /// SOURCE; all of them if left out
        source: Option<String>,
    },
    /// Show how the appliance is: what its lamp shows, in full
    Status(status::StatusArgs),
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
    if let Some(last_words) = last_words(&command) {
        on_interrupt(move || say_last(last_words));
    }
    let ended = run(command, &global, &mut output).and_then(|code| {
        output.flush()?;
        Ok(code)
    });
    match ended {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            // What was listed before comes before the trouble; without a reader the exit code still tells.
            let _ = output.flush();
            words::report(&failure.into_trouble(), &mut output)
        }
    }
}

/// What Ctrl-C means for the files.
fn last_words(command: &TypedCommand) -> Option<&'static str> {
    match command {
        // A watch ends by itself when it is asked to, and tells so.
        TypedCommand::Push(args) if args.watch => None,
        TypedCommand::Push(_) => Some(
            "Stopped. No new snapshot was made; what was sent already is not sent again when you run this again.",
        ),
        TypedCommand::Restore(_) | TypedCommand::Rescue(_) => Some(
            "Stopped. Files that are back are whole; run this again as it was, and it goes on where it stopped.",
        ),
        TypedCommand::Rollback(_) => Some(
            "Stopped. Every file that is there is whole, and what was there before is in the backup once its number was \
             told; the line told then goes on where this stopped.",
        ),
        TypedCommand::Pair(_) => Some("Stopped. The pairing of this computer is as it was."),
        _ => None,
    }
}

fn run(command: TypedCommand, global: &GlobalOptions, output: &mut Output) -> Result<u8, CommandError> {
    match command {
        TypedCommand::Discover(args) => discovering::discover(&args, global, output),
        TypedCommand::Pair(args) => pairing::pair(&args, global, output),
        TypedCommand::Push(args) if args.watch => watching::watch(&args, global, output),
        TypedCommand::Push(args) => pushing::push(&args, global, output),
        TypedCommand::Schedule(args) => scheduling::schedule(&args, global, output),
        TypedCommand::Sources => source::sources(global, output),
        TypedCommand::Source(args) => source::source(&args, global, output),
        TypedCommand::Snapshots(args) => snapshots::snapshots(&args, global, output),
        TypedCommand::Ls(args) => listing::ls(&args, global, output),
        TypedCommand::Versions { place } => looking::versions(&place, global, output),
        TypedCommand::Du(args) => sizes::du(&args, global, output),
        TypedCommand::Diff(args) => comparing::diff(&args, global, output),
        TypedCommand::Keep(args) => keeping::keep(&args, global, output),
        TypedCommand::Find(args) => finding::find(&args, global, output),
        TypedCommand::Restore(args) if args.all => getting_all::restore_all(&args, global, output),
        TypedCommand::Restore(args) => getting::restore(&args, global, output),
        TypedCommand::Rollback(args) => rolling_back::rollback(&args, global, output),
        TypedCommand::Cat(args) => getting::cat(&args, global, output),
        TypedCommand::Rescue(args) => rescuing::rescue(&args, output),
        TypedCommand::Verify(args) => verifying::verify(&args, global, output),
        TypedCommand::Answers { source } => looking::answers(source.as_deref(), global, output),
        TypedCommand::Status(args) => status::status(args, global, output),
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
