//! Errors in three parts: what happened, what it means for the files, the one thing to do; details for support.
//!
//! Not here: printing (`screen`, `output`), the names of skipped files (`skipped`).

use super::{
    output::{Output, counted, size},
    screen::say,
};
use crate::{ClientError, NoAnswer, NotWritten, PairingLack};
use larder_format::wire::Problem;
use std::{path::Path, process::ExitCode};

const UNTOUCHED: &str = "Nothing that is already in the backup changed.";

/// Prints a trouble and gives the exit code.
pub(super) fn report(trouble: &ClientError, output: &mut Output) -> ExitCode {
    let problem = problem_of(trouble);
    if output.is_json() {
        // The reader may be gone already; the exit code still tells.
        let _ = output.json(&serde_json::json!({ "problem": problem })).and_then(|()| output.flush());
    } else {
        tell(trouble);
    }
    ExitCode::from(trouble.exit_code())
}

/// Prints a trouble for a person.
pub(super) fn tell(trouble: &ClientError) {
    let problem = problem_of(trouble);
    [&problem.what, &problem.meaning, &problem.remedy].into_iter().for_each(say);
    if !problem.details.is_empty() {
        say(format_args!("details: {}", problem.details));
    }
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
        ClientError::Unreachable { address, why, cause } => {
            let (what, remedy) = no_answer(address, *why);
            problem("unreachable", what, UNTOUCHED, remedy, cause.clone())
        }
        ClientError::Strange { address, cause } => problem(
            "strange",
            format!("What answers at {address} is no Larder appliance, or a newer one."),
            UNTOUCHED,
            "Check the address. If it is the appliance's, update `larder` on this computer; if not, pair with the right one: `larder pair \
             ADDRESS --replace`.",
            cause.clone(),
        ),
        ClientError::NotPaired { lack, cause } => {
            let (what, remedy) = not_paired(*lack);
            let meaning =
                "Nothing on this computer is being backed up. What is already in a backup did not change.";
            problem("unauthorized", what.to_owned(), meaning, remedy, cause.clone())
        }
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
            &put_right(cause),
            format!("{}: {cause}", path.display()),
        ),
        ClientError::Unwritten { path, why } => unwritten(path, why),
        ClientError::NothingWanted { of } => problem(
            "not_found",
            format!("Nothing in {of} is wanted by --include and --exclude."),
            UNTOUCHED,
            "Check the patterns; `larder ls -R SOURCE` shows every path, and `--dry-run` what would come back.",
            String::new(),
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

/// The remedy for a failed call of this computer, by the system's words.
fn put_right(cause: &str) -> String {
    let words = plain_cause(cause);
    match words {
        "Permission denied" | "Operation not permitted" => {
            "This account may not do that: choose another place, or run it as the user who may.".to_owned()
        }
        "No such file or directory" => {
            "Check the name, and that the disk it lies on is mounted; then run it again.".to_owned()
        }
        "Read-only file system" => {
            "That place is mounted so that nothing can be written: choose another, or mount it for writing."
                .to_owned()
        }
        _ => format!("Put this right, then run it again: {words}."),
    }
}

/// The system's words, without the number that only support can read.
fn plain_cause(cause: &str) -> &str {
    cause.split_once(" (os error ").map_or(cause, |(words, _)| words)
}

/// What is missing, and the one thing to do.
fn not_paired(lack: PairingLack) -> (&'static str, &'static str) {
    let anew =
        "Run `larderd pair` on the appliance, then `larder pair` here, and type the code that it shows.";
    let again = "Run `larderd pair` on the appliance, then `larder pair --replace` here, and type the code that it shows.";
    match lack {
        PairingLack::Pairing => ("This computer is not paired with an appliance.", anew),
        PairingLack::KnownKey => {
            ("The appliance does not know the key of this computer: it was ended there.", again)
        }
        PairingLack::Encryption => (
            "This computer was paired when nothing was encrypted yet; that pairing opens nothing any more.",
            again,
        ),
    }
}

/// What happened, and the one thing to do.
fn no_answer(address: &str, why: NoAnswer) -> (String, &'static str) {
    match why {
        NoAnswer::UnknownName => (
            format!("No computer with the name in {address} can be found on this network."),
            "Check how the name is written, or use the appliance's number, such as 192.168.1.20: `larder pair ADDRESS`.",
        ),
        NoAnswer::NothingListens => (
            format!("The computer at {address} is there, but Larder does not answer on it."),
            "Look whether it runs there (`systemctl status larderd`), and whether network.listen in its larder.toml names \
             another port, or that box alone.",
        ),
        NoAnswer::NoWay => (
            format!("There is no way to {address} from here, or nobody there."),
            "Check that this computer is on the same network, that the appliance is switched on, and its address.",
        ),
        NoAnswer::TooSlow => (
            format!("The appliance at {address} did not answer in time."),
            "Check its address, that it has power and network, and that no firewall stands between; then run this again.",
        ),
        NoAnswer::NoEncryption => (
            format!(
                "What answers at {address} is no Larder appliance, or an older one: it does not speak our encryption."
            ),
            "Nothing was sent. Check the address and the port. If an older appliance is there, update larderd on it, then pair anew: \
             `larderd pair` there, `larder pair ADDRESS --replace` here.",
        ),
        NoAnswer::OtherAppliance => (
            format!(
                "What answers at {address} is not the appliance that this computer was paired with: it has another key."
            ),
            "Nothing was sent. If the appliance is a new one, pair again with `larder pair ADDRESS --replace`; if not, somebody \
             in your network passes for it.",
        ),
        NoAnswer::NotAnnounced => (
            "No appliance was found on this network.".to_owned(),
            "Check that it is switched on and that this computer is on the same network; a network for guests and a VPN keep \
             computers apart. Or name its address: `larder pair ADDRESS`.",
        ),
        NoAnswer::BrokenOff | NoAnswer::Between => (
            format!("The appliance at {address} does not answer."),
            "Check that it has power and network, then run this again: it goes on where it stopped.",
        ),
    }
}

fn unwritten(path: &Path, why: &NotWritten) -> Problem {
    let at = path.display();
    let (what, meaning, remedy) = match why {
        NotWritten::NoRoom { needed, free } => (
            format!(
                "There is no room for this in {at}: {} are to come back, and {} are free.",
                size(*needed),
                size(*free)
            ),
            "Nothing was written, and nothing that is already in the backup changed.".to_owned(),
            "Make room, or name another folder with --to. Files with holes take less than their size: if that is so, add \
             --no-room-check."
                .to_owned(),
        ),
        NotWritten::Full { needed, files, bytes } => (
            format!("The disk became full while files came back into {at}."),
            format!(
                "Of {} {} back and whole, {}; the rest is still in the backup. A folder that is not complete yet \
                 stays closed to others.",
                size(*needed),
                counted(*files, "file is", "files are"),
                size(*bytes),
            ),
            "Make room, then run the same command again: it goes on where it stopped.".to_owned(),
        ),
        NotWritten::Unsure { cause } => (
            format!("On this computer something failed while writing the restored files ({at})."),
            "Some of them may be damaged or empty. Nothing that is already in the backup changed.".to_owned(),
            format!("Put this right, then restore once more into an empty folder: {}.", plain_cause(cause)),
        ),
    };
    let code = if matches!(why, NotWritten::Unsure { .. }) { "unwritten" } else { "no_room" };
    Problem { code: code.to_owned(), what, meaning, remedy, details: format!("{at}: {why}") }
}

/// `1 file in 2 folders, 19 B, is back`.
pub(super) fn are_back(files: u64, folders: u64, bytes: u64) -> String {
    let within =
        if folders > 0 { format!(" in {}", counted(folders, "folder", "folders")) } else { String::new() };
    let is = if files == 1 { "is" } else { "are" };
    format!("{}{within}, {}, {is} back", counted(files, "file", "files"), size(bytes))
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
    fn every_missing_answer_has_a_cause_and_a_remedy_of_its_own() {
        use NoAnswer::{Between, BrokenOff, NoEncryption, NoWay, NothingListens, TooSlow, UnknownName};
        let told: Vec<Problem> =
            [UnknownName, NothingListens, NoWay, TooSlow, NoEncryption, BrokenOff, Between]
                .map(|why| ClientError::Unreachable {
                    address: "https://box:8477".into(),
                    why,
                    cause: "c".into(),
                })
                .iter()
                .map(problem_of)
                .collect();
        assert!(
            told.iter()
                .all(|problem| problem.what.contains("https://box:8477") && problem.code == "unreachable")
        );
        let remedies: std::collections::HashSet<_> = told.iter().map(|problem| &problem.remedy).collect();
        assert_eq!(remedies.len(), 6, "only the last two are one");
        assert!(told[1].remedy.contains("network.listen"), "{:?}", told[1]);
    }

    #[test]
    fn a_full_disk_says_how_much_is_needed_and_what_is_back() {
        let told = |why| problem_of(&ClientError::Unwritten { path: "/mnt".into(), why });
        let first = told(NotWritten::NoRoom { needed: 57_000_000, free: 20_000_000 });
        assert!(first.what.contains("57.0 MB") && first.what.contains("20.0 MB"), "{first:?}");
        assert!(first.meaning.starts_with("Nothing was written"), "{first:?}");
        let late = told(NotWritten::Full { needed: 57_000_000, files: 1, bytes: 9_000_000 });
        assert!(late.meaning.starts_with("Of 57.0 MB 1 file is back and whole, 9.0 MB;"), "{late:?}");
    }

    #[test]
    fn one_and_many_are_told_apart() {
        assert_eq!(are_back(1, 0, 19), "1 file, 19 B, is back");
        assert_eq!(are_back(2, 1, 2000), "2 files in 1 folder, 2.0 kB, are back");
        let told: Vec<String> = left_out(1, 2).collect();
        assert!(told[0].starts_with("1 of them belongs to you"), "{told:?}");
        assert!(told[1].starts_with("2 attributes were"), "{told:?}");
        assert_eq!(left_out(0, 0).count(), 0);
    }
}
