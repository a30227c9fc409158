//! Messages: what happened, the meaning for the files, the one thing to do; then details for support.

use crate::edge::control::ControlError;
use crate::edge::dashboard::PasswordProblem;
use crate::edge::disks::DiskProblem;
use crate::phrase::{causes, full_disk, hand_over, is_forbidden, sentence, size_of_mib};
use crate::run::StartError;
use crate::state::opening::OpenError;
use larder_store::StoreError;
use std::borrow::Cow;
use std::io;

/// The end of a command, in the owner's words.
#[derive(Debug)]
pub(crate) struct Trouble {
    /// What happened.
    pub(crate) what: String,
    /// What it means for their files.
    pub(crate) meaning: Cow<'static, str>,
    /// The one thing to do.
    pub(crate) remedy: String,
    /// For support.
    pub(crate) details: String,
    /// As in product.md: 1 failed, 2 wrong usage, 4 not reachable, 5 refused, 6 damaged.
    pub(crate) exit: u8,
}

const UNTOUCHED: &str = "Nothing that is kept was touched.";

impl Trouble {
    pub(crate) fn new(
        exit: u8,
        what: impl Into<String>,
        remedy: impl Into<String>,
        details: impl ToString,
    ) -> Self {
        let (what, remedy, details) = (what.into(), remedy.into(), details.to_string());
        Self { what, meaning: UNTOUCHED.into(), remedy, details, exit }
    }
}

impl From<OpenError> for Trouble {
    fn from(error: OpenError) -> Self {
        let details = causes(&error);
        match error {
            OpenError::Disk(DiskProblem::NotMounted { path }) => Self::new(
                1,
                format!("No disk is mounted at {}.", path.display()),
                "Connect and mount the backup disk there, or correct `vault.disks` in the settings. \
                 To keep backups on the system's own disk after all, set `vault.allow_root_filesystem = true`.",
                details,
            ),
            OpenError::Missing { missing } => Self::new(
                1,
                format!(
                    "No disk that is here holds backups, and no disk is mounted at {}.",
                    missing.display()
                ),
                "Connect and mount the disks that the settings name. One that was taken in with `larderd adopt` has to be in \
                 `vault.disks` as well. A new vault is begun only when all of them are there.",
                details,
            ),
            OpenError::Disk(DiskProblem::InUse { path }) => Self::new(
                1,
                format!("Another larderd is already using {}.", path.display()),
                "Use the one that is running, or stop it first.",
                details,
            ),
            OpenError::Disk(problem @ DiskProblem::Io { .. }) if is_forbidden(&problem) => Self::new(
                1,
                format!("larderd may not write to the backup folder {}.", problem.path().display()),
                format!(
                    "Give it to the agent's user: {}. Then start the agent again.",
                    hand_over(problem.path())
                ),
                details,
            ),
            OpenError::Disk(DiskProblem::Io { path, .. } | DiskProblem::Empty { path }) => Self::new(
                1,
                format!("The backup folder {} cannot be opened.", path.display()),
                "Check that the disk is connected and that larderd may write there.",
                details,
            ),
            // Its content is unknown, and may be the last of the backups.
            OpenError::Disk(DiskProblem::Strange { path, what }) => {
                let remedy = format!(
                    "What it holds can be read: `larder rescue {} --list`. If it is from a newer Larder, install that one.",
                    path.display()
                );
                Self {
                    meaning: "Nothing on it was touched.".into(),
                    ..Self::new(1, sentence(&what), remedy, details)
                }
            }
            OpenError::Vault(error) => Self { details, ..Self::from(error) },
            OpenError::Key(_) | OpenError::Certificate(_) => Self::new(
                1,
                "This box gives no random numbers, and a key cannot be made without.",
                "Start it again; if it says so once more, update its system.",
                details,
            ),
        }
    }
}

impl From<StartError> for Trouble {
    fn from(error: StartError) -> Self {
        let details = causes(&error);
        match error {
            StartError::Open(error) => Self::from(error),
            StartError::Listen { address, source } => Self::new(
                1,
                format!("The address {address} cannot be used{}.", in_use(&source)),
                "Stop the program that uses it, or choose another with `network.listen` in the settings.",
                details,
            ),
            StartError::Control(_) => Self::new(
                1,
                "The agent cannot make its control socket in the backup folder.",
                "Check that larderd may write there and that the path is not longer than 100 characters.",
                details,
            ),
            StartError::Password(PasswordProblem { path, .. }) => Self::new(
                1,
                format!("The broker's password cannot be read from {}.", path.display()),
                "Put the password, and nothing else, into that file, readable by larderd alone.",
                details,
            ),
        }
    }
}

fn in_use(error: &io::Error) -> &'static str {
    if error.kind() == io::ErrorKind::AddrInUse { ": another program uses it" } else { "" }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        let details = causes(&error);
        match error {
            StoreError::Full { disk, missing_mib, free_mib, .. } => Self::new(
                5,
                format!(
                    "{}: at least {} must become free there.",
                    full_disk(&disk, free_mib),
                    size_of_mib(missing_mib)
                ),
                "Put a larger disk in its place; `larderd space` shows what takes the room.",
                details,
            ),
            StoreError::Damaged { .. } => Self {
                meaning: "Some versions of some files cannot be read whole; others are not affected.".into(),
                ..Self::new(
                    6,
                    "Stored pieces are damaged.",
                    "Push again from every computer, then replace the disk.",
                    details,
                )
            },
            StoreError::Foreign { what } => {
                Self::new(1, sentence(&what), "Connect the disks that belong to this appliance.", details)
            }
            other => Self::new(
                1,
                sentence(&other.to_string()),
                "Check the backup disk's cable and power, then try again.",
                details,
            ),
        }
    }
}

impl From<ControlError> for Trouble {
    fn from(error: ControlError) -> Self {
        let details = causes(&error);
        match error {
            ControlError::NotRunning(_) => Self::new(
                4,
                "No agent is running on this backup folder.",
                "Start it with `sudo systemctl start larderd` or `larderd run`, or name the settings that it uses with --config FILE.",
                details,
            ),
            ControlError::NotAllowed(_) => Self::new(
                4,
                "You may not give orders to the agent on this box.",
                "Run this again with `sudo`.",
                details,
            ),
            ControlError::Refused(problem) => Self {
                exit: refused(&problem.code),
                what: problem.what,
                remedy: problem.remedy,
                details: problem.details,
                meaning: problem.meaning.into(),
            },
            ControlError::Broken(_) => Self::new(
                1,
                "The running agent gave an answer that could not be read.",
                "Restart the agent.",
                details,
            ),
        }
    }
}

/// The exit code of a refusal.
fn refused(code: &str) -> u8 {
    match code {
        "not_found" => 1,
        "damaged" => 6,
        _ => 5,
    }
}

#[cfg(feature = "demo")]
impl From<larder_client::ClientError> for Trouble {
    fn from(trouble: larder_client::ClientError) -> Self {
        let problem = larder_client::owner::problem_of(&trouble);
        Self {
            what: problem.what,
            meaning: problem.meaning.into(),
            remedy: problem.remedy,
            details: problem.details,
            exit: trouble.exit_code(),
        }
    }
}
