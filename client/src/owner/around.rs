//! Around a push: the limit on its bytes, and the owner's commands before and after.
//!
//! A command before makes the folder ready (a dump of a database); a command after tells somebody how it went. Not
//! here: running a shell (`programs`), holding the limit (`link::limit`).

use super::words;
use crate::{ClientError, Pushed, link::limit::ByteRate, programs::run_in_shell};
use clap::Args;
use larder_format::wire::Problem;
use std::{ffi::OsString, path::Path};

/// Options of a push that a schedule has too.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct AroundArgs {
    /// Send no faster than this, for example 2MB/s or 16Mbit/s
    #[arg(long, value_name = "RATE")]
    pub(super) limit: Option<ByteRate>,
    /// Run this command before each folder; if it fails, the folder is not backed up and the exit code is 1
    #[arg(long, value_name = "COMMAND")]
    pub(super) before: Option<String>,
    /// Run this command after each folder, also after a failure; if it fails, the exit code is 1
    #[arg(long, value_name = "COMMAND", long_help = AFTER)]
    pub(super) after: Option<String>,
}

/// The help of `--after`.
pub(super) const AFTER: &str = "\
Run this command after each folder, also after a failure; if it fails, the exit code is 1.

Both commands run in `sh` and know LARDER_SOURCE and LARDER_FOLDER. The command after knows also LARDER_RESULT (ok, \
skipped or failed), LARDER_EXIT_CODE and, where there is one, LARDER_SNAPSHOT.";

impl AroundArgs {
    /// The same as words of `larder push`.
    pub(super) fn words(&self) -> Vec<String> {
        let Self { limit, before, after } = self;
        let mut words = Vec::new();
        words.extend(limit.map(|limit| format!("--limit={limit}")));
        words.extend(before.as_ref().map(|line| format!("--before={line}")));
        words.extend(after.as_ref().map(|line| format!("--after={line}")));
        words
    }
}

/// A push of one folder, as the commands around it see it.
#[derive(Clone, Copy)]
pub(super) struct AroundPush<'a> {
    pub(super) args: &'a AroundArgs,
    pub(super) source: &'a str,
    pub(super) folder: &'a Path,
}

impl AroundPush<'_> {
    /// Runs the command before the push.
    ///
    /// # Errors
    /// `Refused` with `before_failed`: then nothing may be pushed.
    pub(super) fn before(&self) -> Result<(), ClientError> {
        let Some(line) = &self.args.before else { return Ok(()) };
        run(line, &self.variables()).map_err(|cause| {
            refused(Problem {
                code: "before_failed".to_owned(),
                what: format!("The command before the backup of {} failed: {cause}.", self.folder.display()),
                meaning: "Nothing of this folder was backed up this time. What is already in the backup did not change."
                    .to_owned(),
                remedy: "Run the command by hand to see why, then push again.".to_owned(),
                details: line.clone(),
            })
        })
    }

    /// Runs the command after the push.
    ///
    /// # Errors
    /// `Refused` with `after_failed`.
    pub(super) fn after(&self, pushed: Result<&Pushed, &ClientError>) -> Result<(), ClientError> {
        let Some(line) = &self.args.after else { return Ok(()) };
        let mut variables = self.variables();
        let (result, code) = match pushed {
            Ok(pushed) if pushed.skipped.count > 0 => ("skipped", 3),
            Ok(_) => ("ok", 0),
            Err(trouble) => ("failed", trouble.exit_code()),
        };
        variables.push(("LARDER_RESULT", result.into()));
        variables.push(("LARDER_EXIT_CODE", code.to_string().into()));
        if let Ok(pushed) = pushed {
            variables.push(("LARDER_SNAPSHOT", pushed.receipt.snapshot.to_string().into()));
        }
        let meaning = match pushed {
            Ok(_) => "The backup itself is made and safe.",
            Err(_) => "The backup failed before that, for the reason that is told too.",
        };
        run(line, &variables).map_err(|cause| {
            refused(Problem {
                code: "after_failed".to_owned(),
                what: format!("The command after the backup of {} failed: {cause}.", self.folder.display()),
                meaning: meaning.to_owned(),
                remedy: "Run the command by hand to see why.".to_owned(),
                details: line.clone(),
            })
        })
    }

    fn variables(&self) -> Vec<(&'static str, OsString)> {
        vec![("LARDER_SOURCE", self.source.into()), ("LARDER_FOLDER", self.folder.into())]
    }
}

/// Tells a failed command after a push; the exit code that the push now has at least.
pub(super) fn told_after(after: &Result<(), ClientError>, is_json: bool) -> u8 {
    let Err(trouble) = after else { return 0 };
    if !is_json {
        words::tell(trouble);
    }
    trouble.exit_code()
}

fn refused(problem: Problem) -> ClientError {
    ClientError::Refused(Box::new(problem))
}

/// Runs a command; a failure is told in words.
fn run(line: &str, variables: &[(&'static str, OsString)]) -> Result<(), String> {
    match run_in_shell(line, variables) {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(match status.code() {
            Some(code) => format!("it ended with {code}"),
            None => "it was ended from outside".to_owned(),
        }),
        Err(error) => Err(format!("no shell could be started ({error})")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PairingLack;

    fn around<R>(args: &AroundArgs, test: impl FnOnce(AroundPush<'_>) -> R) -> R {
        test(AroundPush { args, source: "laptop/Photos", folder: Path::new("/home/ada/My Photos") })
    }

    #[test]
    fn a_command_that_fails_before_is_told_with_its_code() {
        let args = AroundArgs { before: Some("exit 7".to_owned()), ..AroundArgs::default() };
        let trouble = around(&args, |push| push.before()).expect_err("it failed");
        assert_eq!(trouble.exit_code(), 1);
        let told = words::problem_of(&trouble);
        assert_eq!(
            told.what,
            "The command before the backup of /home/ada/My Photos failed: it ended with 7."
        );
        assert_eq!(told.details, "exit 7");
        let args = AroundArgs { before: Some("kill -9 $$".to_owned()), ..AroundArgs::default() };
        let told = around(&args, |push| push.before()).expect_err("it was killed").to_string();
        assert!(told.contains("it was ended from outside"), "{told}");
        around(&AroundArgs::default(), |push| push.before()).expect("there is none");
    }

    #[test]
    fn a_command_after_knows_what_became_of_the_push() {
        let folder = tempfile::tempdir().expect("a folder");
        let told = folder.path().join("told");
        let line = format!(
            "echo $LARDER_SOURCE $LARDER_FOLDER $LARDER_RESULT $LARDER_EXIT_CODE ${{LARDER_SNAPSHOT-none}} > {}",
            told.display()
        );
        let args = AroundArgs { after: Some(line), ..AroundArgs::default() };
        let trouble = ClientError::NotPaired { lack: PairingLack::KnownKey, cause: "planted".to_owned() };
        around(&args, |push| push.after(Err(&trouble))).expect("the command went well");
        let told = std::fs::read_to_string(told).expect("told");
        assert_eq!(told, "laptop/Photos /home/ada/My Photos failed 4 none\n");
    }
}
