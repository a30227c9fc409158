//! One run of a scheduled push, started by its timer: whether it is due, the push, and what became of it.

use super::{
    last_result::remember_result,
    options::{GlobalOptions, now},
    output::{CommandError, Output},
    pushing::{self, PushArgs},
    watching,
    words::problem_of,
};
use crate::{
    ClientError, PairedAppliance,
    programs::InstalledPrograms,
    schedule::{LastPushes, PowerAndLine, PushOutcome, ScheduledPush, ScheduledPushes, ScheduledStart},
};
use clap::Parser;
use std::{ffi::OsString, path::PathBuf, time::Duration};

/// The words of a schedule, read as those of a person are.
#[derive(Debug, Parser)]
#[command(name = "larder push", no_binary_name = true)]
struct PushWords {
    #[command(flatten)]
    push: PushArgs,
}

/// The push with these words and folders.
///
/// # Errors
/// `Usage` where a schedule was written by hand, or by another version.
pub(super) fn push_words(words: Vec<String>, folders: &[PathBuf]) -> Result<PushArgs, ClientError> {
    let folders = folders.iter().map(OsString::from);
    let all = words.into_iter().map(OsString::from).chain(["--".into()]).chain(folders);
    PushWords::try_parse_from(all).map(|words| words.push).map_err(|error| {
        let text = error.to_string();
        let first = text.lines().next().unwrap_or_default();
        ClientError::Usage(first.strip_prefix("error: ").unwrap_or(first).to_owned())
    })
}

/// Runs the scheduled push called `name`.
pub(super) fn run(name: &str, output: &mut Output) -> Result<u8, CommandError> {
    let Some(scheduled) = ScheduledPushes::of_account()?.load(name)? else {
        let what = format!("No backup called \"{name}\" is scheduled on this account.");
        return Err(ClientError::NotThere { what, remedy: "`larder schedule` lists what is." }.into());
    };
    let args = push_words(scheduled.push.clone(), std::slice::from_ref(&scheduled.folder))?;
    let times = match scheduled.start()? {
        ScheduledStart::Watching => {
            let args = args.watching(scheduled.on_battery, scheduled.on_metered);
            let global = GlobalOptions::with_pairing(scheduled.pairing.clone());
            return watching::watch(&args, &global, output).map_err(|failure| {
                let trouble = failure.into_trouble();
                keep_failure(&scheduled, &trouble);
                trouble.into()
            });
        }
        ScheduledStart::At(times) => times,
    };
    let pushes = LastPushes::to(&PairedAppliance::load(&scheduled.pairing)?.keys.appliance)?;
    let succeeded = pushes.load(name).and_then(|last| last.succeeded);
    if !times.is_due(&now(), succeeded) {
        output.line(format!("{} is backed up already; nothing is due.", scheduled.folder.display()))?;
        return Ok(0);
    }
    let keep = |result: PushOutcome<'_>| remember_result(&pushes, name, result);
    // The timer has waited for the mains already.
    if let Some(waits) =
        PowerAndLine::new(&InstalledPrograms, true, scheduled.on_metered).look(Duration::ZERO)
    {
        let told = waits.in_words();
        keep(PushOutcome { exit_code: 0, told, succeeded: None });
        output.line(format!("{}: {told}", scheduled.folder.display()))?;
        return Ok(0);
    }
    match pushing::push(&args, &GlobalOptions::with_pairing(scheduled.pairing), output) {
        Ok(code) => {
            let succeeded = Some(now().timestamp());
            keep(PushOutcome { exit_code: code, told: in_words(code), succeeded });
            Ok(code)
        }
        Err(failure) => {
            let trouble = failure.into_trouble();
            keep_trouble(&pushes, name, &trouble);
            Err(trouble.into())
        }
    }
}

/// Remembers why a watch ended: systemd starts it again and again, and `larder schedule` would show the last good result.
fn keep_failure(scheduled: &ScheduledPush, trouble: &ClientError) {
    let Ok(pairing) = PairedAppliance::load(&scheduled.pairing) else { return };
    let Ok(pushes) = LastPushes::to(&pairing.keys.appliance) else { return };
    keep_trouble(&pushes, &scheduled.name, trouble);
}

fn keep_trouble(pushes: &LastPushes, name: &str, trouble: &ClientError) {
    let told = problem_of(trouble).what;
    remember_result(
        pushes,
        name,
        PushOutcome { exit_code: trouble.exit_code(), told: &told, succeeded: None },
    );
}

/// What a push says with its exit code, once the snapshot is made.
fn in_words(code: u8) -> &'static str {
    match code {
        0 => "fine",
        1 => "backed up; the command after it failed",
        3 => "backed up, without some files",
        _ => "backed up; the appliance's past is not what it was",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_schedule_are_those_of_a_push() {
        let folder = [PathBuf::from("--exclude")];
        let words = ["--source=Photos", "--exclude=--odd", "--limit=2000000B/s", "--before=echo \"a b\""];
        let args = push_words(words.map(str::to_owned).to_vec(), &folder).expect("understood");
        assert_eq!(args.folders, folder);
        assert_eq!(args.around.before.as_deref(), Some("echo \"a b\""));
        let trouble = push_words(vec!["--wait=5".to_owned()], &folder).expect_err("no such word").to_string();
        assert!(trouble.contains("--wait"), "{trouble}");
    }
}
