//! Other programs: the owner's commands around a push, and the programs of the system's scheduler.
//!
//! Behind a trait, so that tests see the calls instead of making them. Not here: which programs are called, and the
//! meaning of their answers (`schedule`, `owner`).

use crate::platform::starting_program;
use std::{
    ffi::OsString,
    io,
    process::{Command, ExitStatus, Stdio},
};

/// The answer of a program that ran to its end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ProgramAnswer {
    /// Whether the program says that all went well.
    pub(crate) success: bool,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs programs.
pub(crate) trait Programs {
    /// Runs a program to its end, in English and with times in UTC.
    ///
    /// # Errors
    /// `NotFound` where there is no such program.
    fn ask(&self, program: &str, args: &[&str]) -> io::Result<ProgramAnswer>;
}

/// The programs of this computer.
pub(crate) struct InstalledPrograms;

impl Programs for InstalledPrograms {
    fn ask(&self, program: &str, args: &[&str]) -> io::Result<ProgramAnswer> {
        #[allow(
            clippy::disallowed_methods,
            reason = "the scheduler has no other way in without a bus of our own"
        )]
        let mut command = Command::new(program);
        // The answers are read by this program.
        command.args(args).env("LC_ALL", "C").env("TZ", "UTC").stdin(Stdio::null());
        let answer = command.output()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        Ok(ProgramAnswer {
            success: answer.status.success(),
            out: text(&answer.stdout),
            err: text(&answer.stderr),
        })
    }
}

/// Runs a command line of the owner with these variables. The command's own output goes to the standard error, since
/// the standard output may carry JSON. Nobody answers questions: a timer has no keyboard.
///
/// # Errors
/// Errors of starting the shell.
pub(crate) fn run_in_shell(line: &str, variables: &[(&str, OsString)]) -> io::Result<ExitStatus> {
    #[allow(clippy::disallowed_methods, reason = "the owner asked for this command")]
    let mut command = Command::new("sh");
    command.arg("-c").arg(line).envs(variables.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null()).stdout(io::stderr());
    starting_program(|| command.spawn())?.wait()
}
