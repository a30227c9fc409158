//! Errors in three parts: what happened, what it means for the files, the one thing to do; details for support.
//!
//! Every line for the standard error goes through `say`. Not here: the standard output (`output`).

use super::output::counted;
use crate::{ClientError, SkippedList};
use larder_format::wire::Problem;
use std::{fmt::Display, io::Write, path::Path, process::ExitCode};

const UNTOUCHED: &str = "Nothing that is already in the backup changed.";

/// Prints a line to the standard error. Without a reader (`larder push … 2>&1 | head`) the work goes on: a panic
/// would end the work between a snapshot and the saving of its receipt.
pub(super) fn say(line: impl Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Prints a trouble and gives the exit code.
pub(super) fn report(trouble: &ClientError, json: bool) -> ExitCode {
    let problem = problem_of(trouble);
    if json {
        let text = serde_json::json!({ "problem": problem });
        // The reader may be gone already; the exit code still tells.
        let _ = writeln!(std::io::stdout(), "{text:#}");
    } else {
        say(format_args!("{}\n{}\n{}", problem.what, problem.meaning, problem.remedy));
        if !problem.details.is_empty() {
            say(format_args!("details: {}", problem.details));
        }
    }
    ExitCode::from(trouble.exit_code())
}

/// A trouble in the owner's words.
pub fn problem_of(trouble: &ClientError) -> Problem {
    let problem = |code: &str, what: String, meaning: &str, remedy: &str, details: String| Problem {
        code: code.to_owned(),
        what,
        meaning: meaning.to_owned(),
        remedy: remedy.to_owned(),
        details,
    };
    match trouble {
        ClientError::Unreachable { address, cause } => problem(
            "unreachable",
            format!("The appliance at {address} does not answer."),
            UNTOUCHED,
            "Check that it has power and network, then run this again: it goes on where it stopped.",
            cause.clone(),
        ),
        ClientError::Strange { address, cause } => problem(
            "strange",
            format!("What answers at {address} is no Larder appliance, or a newer one."),
            UNTOUCHED,
            "Check the address; `larder pair` sets it.",
            cause.clone(),
        ),
        ClientError::NotPaired { cause } => problem(
            "unauthorized",
            "This computer is not paired with an appliance.".to_owned(),
            "Nothing on this computer is being backed up. What is already in a backup did not change.",
            "Run `larder pair ADDRESS` and enter the key that the appliance made for this computer.",
            cause.clone(),
        ),
        ClientError::Refused(problem) => Problem::clone(problem),
        ClientError::Damaged(details) => problem(
            "damaged",
            "Damaged data was met.".to_owned(),
            "What is damaged was not used. Other files and other snapshots are not touched by it.",
            "Look at `larder status`; if the appliance says that all is fine, check this computer's memory and cable.",
            details.clone(),
        ),
        ClientError::Local { what, path, cause } => problem(
            "local",
            format!("On this computer something failed while {}.", doing(what, path)),
            UNTOUCHED,
            &format!("Put this right, then run it again: {}.", plain_cause(cause)),
            format!("{}: {cause}", path.display()),
        ),
        ClientError::Unwritten { path, cause } => problem(
            "unwritten",
            format!("On this computer something failed while {}.", doing("writing the restored files", path)),
            "Some of them may be damaged or empty. Nothing that is already in the backup changed.",
            &format!("Put this right, then restore once more into an empty folder: {}.", plain_cause(cause)),
            format!("{}: {cause}", path.display()),
        ),
        ClientError::NotThere { what, remedy } => {
            problem("not_found", what.clone(), UNTOUCHED, remedy, String::new())
        }
        ClientError::WrongKind { what, remedy } => {
            problem("usage", what.clone(), UNTOUCHED, remedy, String::new())
        }
        ClientError::Usage(why) => problem(
            "usage",
            format!("That cannot be done as written: {why}."),
            UNTOUCHED,
            "Write it another way; `larder --help` shows how.",
            String::new(),
        ),
    }
}

/// The call that failed, with its object.
fn doing(what: &str, path: &Path) -> String {
    if path.as_os_str().is_empty() { what.to_owned() } else { format!("{what} ({})", path.display()) }
}

/// The system's words, without the number that only support can read.
fn plain_cause(cause: &str) -> &str {
    cause.split_once(" (os error ").map_or(cause, |(words, _)| words)
}

/// Names every skipped file on the standard error, then the meaning and the remedy.
pub(super) fn name_skipped(skipped: &SkippedList, what_it_means: &str, remedy: &str) {
    if skipped.count == 0 {
        return;
    }
    say(format_args!("{} not as it should be:", counted(skipped.count, "file is", "files are")));
    for file in &skipped.named {
        say(format_args!("  {}: {}", file.path, file.why));
    }
    let unnamed = skipped.count.saturating_sub(skipped.named.len() as u64);
    if unnamed > 0 {
        say(format_args!("  and {} more", counted(unnamed, "file", "files")));
    }
    say(format_args!("{what_it_means}\n{remedy}"));
}

/// The exit code of a restore, from a box or a pulled disk: 3 where a file came back different, even if only its
/// owner differs. A script that only looks at the code must not take such a restore for the whole past.
pub(super) fn exit_code(damaged: u64, skipped: u64, left_out: u64) -> u8 {
    match (damaged, skipped + left_out) {
        (1.., _) => 6,
        (0, 1..) => 3,
        (0, 0) => 0,
    }
}

/// Tells of attributes of restored files that could not be put back.
pub(super) fn left_out(owners: u64, attributes: u64) -> impl Iterator<Item = String> {
    let owners = (owners > 0).then(|| {
        let belong = counted(owners, "of them belongs", "of them belong");
        format!("{belong} to you now: only root can give files to others.")
    });
    let attributes = (attributes > 0).then(|| {
        let were = counted(attributes, "attribute was", "attributes were");
        format!(
            "{were} not taken by the target's filesystem or need root: permissions, times or extended ones."
        )
    });
    owners.into_iter().chain(attributes)
}

/// Skipped files as JSON.
pub(super) fn skipped_json(skipped: &SkippedList) -> serde_json::Value {
    let named: Vec<_> =
        skipped.named.iter().map(|file| serde_json::json!({ "path": file.path, "why": file.why })).collect();
    serde_json::json!({ "count": skipped.count, "files": named })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restore_is_fine_only_when_all_is_as_it_was() {
        let check = |given: (u64, u64, u64), expect| assert_eq!(exit_code(given.0, given.1, given.2), expect);
        check((0, 0, 0), 0);
        check((0, 1, 0), 3);
        check((0, 0, 1), 3);
        check((1, 5, 5), 6);
    }

    #[test]
    fn one_and_many_are_told_apart() {
        let told: Vec<String> = left_out(1, 2).collect();
        assert!(told[0].starts_with("1 of them belongs to you"), "{told:?}");
        assert!(told[1].starts_with("2 attributes were"), "{told:?}");
        assert_eq!(left_out(0, 0).count(), 0);
    }
}
