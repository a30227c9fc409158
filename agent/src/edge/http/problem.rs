//! Refusals: a status for programs and three sentences for people.

use crate::phrase::{causes, counted, full_disk, hand_over, is_forbidden, sentence, size_of_mib, span};
use crate::state::is_own_fault;
use axum::Json;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use larder_format::wire::Problem;
use larder_store::StoreError;

/// An answer other than the wished one.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    /// Boxed: nearly every answer is good, and need not carry the size of a refusal around.
    problem: Box<Problem>,
}

const NOTHING_HARMED: &str = "Nothing that is kept was touched.";

impl Refusal {
    pub(super) fn new(status: StatusCode, code: &str, [what, meaning, remedy]: [&str; 3]) -> Self {
        let [what, meaning, remedy] = [what, meaning, remedy].map(str::to_owned);
        let problem = Problem { code: code.to_owned(), what, meaning, remedy, details: String::new() };
        Self { status, problem: Box::new(problem) }
    }

    fn with_details(mut self, details: impl ToString) -> Self {
        self.problem.details = details.to_string();
        self
    }

    /// A device says something for ever too often; it may again in so many seconds.
    pub(crate) fn too_many_wishes(wait_s: u64) -> Self {
        let remedy = format!("Look for a program that asks again and again. It goes on in {}.", span(wait_s));
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too_many_wishes",
            [
                "This computer changed what is expected or kept too often for one day.",
                NOTHING_HARMED,
                &remedy,
            ],
        )
    }

    pub(crate) fn unauthorized() -> Self {
        let remedy = "Pair this computer: run `larderd pair` on the appliance, then `larder pair ADDRESS` here, and type the code.";
        Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            ["The appliance does not know this computer.", NOTHING_HARMED, remedy],
        )
    }

    pub(crate) fn forbidden(why: &str) -> Self {
        let what = format!("The appliance refused: {why}.");
        let remedy = "Pair again with the right role: `larderd pair --device NAME --role ROLE` on the appliance, then `larder pair ADDRESS` here.";
        Self::new(StatusCode::FORBIDDEN, "forbidden", [&what, NOTHING_HARMED, remedy])
    }

    pub(crate) fn not_found(what: &str, remedy: &str) -> Self {
        let what = format!("The appliance has no {what}.");
        Self::new(StatusCode::NOT_FOUND, "not_found", [&what, NOTHING_HARMED, remedy])
    }

    /// Present, and left out of comparisons.
    pub(crate) fn set_aside(snapshot: &str, why: &str) -> Self {
        let what = format!("Snapshot {snapshot} was set aside: {why}.");
        let meaning = "It is kept and can be restored; versions and differences leave it out.";
        let remedy = format!(
            "Compare another one, or run `larderd set-aside {snapshot} --undo` on the appliance first."
        );
        Self::new(StatusCode::NOT_FOUND, "not_found", [&what, meaning, &remedy])
    }

    /// The name may mean several disks, each with another outcome.
    pub(crate) fn ambiguous(what: &str, count: usize) -> Self {
        let what = format!("The appliance has more than one {what}: {count} of them.");
        let remedy = "Write more of the digits, as the list shows them.";
        Self::new(StatusCode::CONFLICT, "ambiguous", [&what, NOTHING_HARMED, remedy])
    }

    pub(crate) fn invalid(why: impl ToString) -> Self {
        let texts = [
            "The appliance did not understand the request.",
            "Nothing was stored, and nothing that is kept was touched.",
            "Use the version of `larder` that belongs to this appliance; if it does, please report this.",
        ];
        Self::new(StatusCode::BAD_REQUEST, "invalid", texts).with_details(why)
    }

    /// A moment read in another zone would give the files of another moment.
    pub(crate) fn unknown_zone(name: &str) -> Self {
        let name: String = name.chars().take(64).flat_map(char::escape_default).collect();
        let what = format!("The appliance knows no time zone \"{name}\".");
        let meaning = "No file was looked at: in another zone the same words mean another moment.";
        let remedy =
            "Name a zone like Europe/Berlin, or its distance from UTC like +02:00 (in an address %2B02:00).";
        Self::new(StatusCode::BAD_REQUEST, "unknown_zone", [&what, meaning, remedy])
    }

    pub(crate) fn too_large(limit_bytes: usize) -> Self {
        let mut refusal =
            Self::invalid(format!("a request may have {limit_bytes} bytes and must say how many it has"));
        refusal.status = StatusCode::PAYLOAD_TOO_LARGE;
        refusal
    }

    pub(crate) fn too_slow() -> Self {
        let texts = [
            "The connection was too slow and was given up.",
            "What had arrived is kept; the backup is not complete yet.",
            "Push again: it goes on where it stopped.",
        ];
        Self::new(StatusCode::REQUEST_TIMEOUT, "busy", texts)
    }

    /// One more connection would leave no room for further devices.
    pub(crate) fn crowded() -> Self {
        let texts = [
            "The appliance has too many connections at once.",
            NOTHING_HARMED,
            "Nothing, it is tried again in a moment. If it stays so, see which computer opens so many.",
        ];
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", texts)
    }

    /// The upload's memory was needed for other uploads.
    pub(crate) fn gave_way() -> Self {
        let texts = [
            "The connection was too slow while other computers waited for the appliance.",
            "What had arrived is kept; the backup is not complete yet.",
            "Nothing, the push goes on by itself. If this comes again and again, look at this computer's network.",
        ];
        Self::new(StatusCode::REQUEST_TIMEOUT, "busy", texts)
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        let details = causes(&error);
        let refusal = match &error {
            StoreError::Full { disk, missing_mib, free_mib, sent_mib, others_mib } => {
                let what = format!("{}: {}.", full_disk(disk, *free_mib), lacking(*missing_mib, *sent_mib));
                let remedy = what_makes_room(*missing_mib, *others_mib);
                Self::new(StatusCode::INSUFFICIENT_STORAGE, "full", [&what, not_complete(*sent_mib), remedy])
            }
            StoreError::NotYours { device, name } => {
                let owner = name.split('/').next().unwrap_or(name);
                return Self::forbidden(&format!("this key belongs to {device}, not to {owner}"));
            }
            StoreError::OtherFolder { .. } => other_folder(&error),
            StoreError::TooManySources { device, .. } => too_many_sources(device, &error),
            StoreError::TooManySnapshots { wait_s, .. } => too_many_snapshots(*wait_s, &error),
            StoreError::NotFound { what } => Self::not_found(
                &format!("{what} in its backups"),
                "Look what there is with `larder sources`.",
            ),
            StoreError::Missing { count, .. } => {
                let pieces = counted(*count as u64, "piece of this backup has", "pieces of this backup have");
                let what = format!("{pieces} not arrived.");
                let texts = [
                    &*what,
                    "Earlier backups are safe; this one is not complete.",
                    "Push again: only what is missing is sent.",
                ];
                Self::new(StatusCode::CONFLICT, "missing_chunks", texts)
            }
            StoreError::Refused(_) => {
                let mut refusal = Self::invalid("");
                refusal.status = StatusCode::UNPROCESSABLE_ENTITY;
                refusal
            }
            StoreError::Damaged { .. } => {
                let texts = [
                    "A stored piece of this file is damaged on every backup disk.",
                    "This version of the file cannot be given back whole; others may be.",
                    "Try another version: `larder versions SOURCE:PATH` lists them.",
                ];
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "damaged", texts)
            }
            error => of_the_box(error),
        };
        refusal.with_details(details)
    }
}

/// Another folder under the name of a source; the error names both.
fn other_folder(error: &StoreError) -> Refusal {
    let what = format!("{error}.");
    let meaning = "No backup was made, and what is kept is as it was. Under one name each folder would look as if the files of the \
                   other had been deleted.";
    let remedy = "Give this folder a name of its own with --source NAME. If it is the same folder and has moved, or its computer \
                  has a new name, say so with --moved.";
    Refusal::new(StatusCode::CONFLICT, "other_folder", [&what, meaning, remedy])
}

fn too_many_sources(device: &str, error: &StoreError) -> Refusal {
    let what = format!("{error}.");
    let meaning = "No backup of this folder was made. The backups of the other sources are safe, and go on.";
    let remedy = format!(
        "Push one folder above these folders instead, or let go of a source of {device} that nobody needs: `larderd let-go \
         SOURCE` on the appliance."
    );
    Refusal::new(StatusCode::CONFLICT, "too_many_sources", [&what, meaning, &remedy])
}

fn too_many_snapshots(wait_s: u64, error: &StoreError) -> Refusal {
    let what = format!("{error}.");
    let meaning = "No backup was made now. Those that were made are safe, and what was sent ahead is kept for the next.";
    let remedy = format!(
        "Something here backs up again and again: look for it. The next backup is taken in {} with the appliance's power on.",
        span(wait_s)
    );
    Refusal::new(StatusCode::TOO_MANY_REQUESTS, "too_many_snapshots", [&what, meaning, &remedy])
}

/// Trouble of the box or its disks, not of the request.
fn of_the_box(error: &StoreError) -> Refusal {
    match error {
        StoreError::Foreign { what } => {
            let what = sentence(what);
            let texts =
                [&*what, NOTHING_HARMED, "`larderd disks` shows each disk, its id and what it lacks."];
            Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "failed", texts)
        }
        StoreError::ReadOnly { .. } => {
            let texts = [
                "The backup disks were used by a newer Larder than this appliance runs.",
                "Everything on them is safe, and what this version understands can be restored; nothing new is taken.",
                "Update larderd on the appliance, then run this again.",
            ];
            Refusal::new(StatusCode::CONFLICT, "failed", texts)
        }
        StoreError::Waits { why } => {
            let what = format!("Nothing is let go of now: {why}.");
            let texts = [&*what, "Everything is kept.", "Try again later."];
            Refusal::new(StatusCode::CONFLICT, "failed", texts)
        }
        StoreError::Disk { path, .. } if is_forbidden(error) => {
            let what = format!("larderd may not write to {path}.");
            let remedy = format!(
                "On the appliance, give it to the agent's user: {}. Then run this again.",
                hand_over(path.as_ref())
            );
            let texts = [&*what, "Nothing new was confirmed; nothing that is kept was touched.", &remedy];
            Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "failed", texts)
        }
        error if is_own_fault(error) => {
            let texts = [
                "Something went wrong inside the agent.",
                "What was confirmed before is safe; this was not finished.",
                "Run it again: it goes on where it stopped. If it comes again, look at `journalctl -u larderd` on the box.",
            ];
            Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "failed", texts)
        }
        // Each by name: a new error must not tell the owner to look at a cable.
        StoreError::Disk { .. }
        | StoreError::Damaged { .. }
        | StoreError::Full { .. }
        | StoreError::Missing { .. }
        | StoreError::NotFound { .. }
        | StoreError::NotYours { .. }
        | StoreError::OtherFolder { .. }
        | StoreError::TooManySources { .. }
        | StoreError::TooManySnapshots { .. }
        | StoreError::Refused(_) => {
            let texts = [
                "The backup disk stopped answering.",
                "Nothing new was confirmed; what was confirmed before is on the disk.",
                "Check the disk's cable and power; `larder status` tells more. Then run this again.",
            ];
            Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "failed", texts)
        }
    }
}

/// The room that must become free on a full disk. A disk takes the smallest backup only while a whole pack fits, so that
/// room is no size of a backup; only the pushing computer knows how much more it would have sent.
fn lacking(missing_mib: u64, sent_mib: u64) -> String {
    let must_become_free = format!("at least {} must become free there", size_of_mib(missing_mib));
    match sent_mib {
        0 => format!("{must_become_free} before it takes any backup, however small"),
        sent_mib => format!(
            "{must_become_free} before it takes more than the {} that this computer has sent already",
            size_of_mib(sent_mib)
        ),
    }
}

/// What a refusal for want of room means. A device's bytes without a snapshot are among the first to be let go of then.
fn not_complete(sent_mib: u64) -> &'static str {
    match sent_mib {
        0 => "Everything backed up so far is safe; this backup was not made.",
        _ => {
            "Everything backed up so far is safe; this backup is not complete. What it sent may be let go of at once to make \
             room; a later push sends it again by itself."
        }
    }
}

/// The one thing to do about a full disk.
fn what_makes_room(missing_mib: u64, others_mib: u64) -> &'static str {
    if others_mib >= missing_mib {
        // How much is other computers' business.
        return "Push again in an hour: unfinished backups of other computers take room that comes back unless they are finished.";
    }
    "Leave out what needs no backup with --exclude, or put a larger disk in the place of this one; on the box `larderd space` \
     shows what takes the room."
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(*self.problem)).into_response()
    }
}

pub(crate) async fn no_such_route(uri: Uri) -> Refusal {
    Refusal::not_found("such page", "See /v1/openapi.json for what there is.").with_details(uri.path())
}

pub(crate) async fn no_such_verb(method: Method, uri: Uri) -> Refusal {
    let mut refusal = Refusal::invalid(format!("{method} {}", uri.path()));
    refusal.status = StatusCode::METHOD_NOT_ALLOWED;
    refusal
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::broke_off;

    /// A reader of "58 MiB are missing", after sending 800 in vain, would think that 58 are enough; a reader with a letter of
    /// 8 kB would not believe a word. Told that the bytes stay for a day, the reader would look for them after a second.
    #[test]
    fn a_full_disk_is_named_with_what_is_known_to_be_missing() {
        let full = |sent_mib, others_mib| {
            let (disk, free_mib) = ("/mnt/small".to_owned(), (sent_mib > 0).then_some(1100));
            *Refusal::from(StoreError::Full { disk, missing_mib: 58, free_mib, sent_mib, others_mib }).problem
        };
        let told = full(831, 0);
        assert_eq!(
            told.what,
            "The backup disk at /mnt/small is full but for 1.2 GB, most of it a reserve that letting go needs: at least \
             60.8 MB must become free there before it takes more than the 871.4 MB that this computer has sent already."
        );
        assert_eq!(told.code, "full");
        assert!(
            told.meaning.contains("may be let go of at once") && !told.meaning.contains("day"),
            "{told:?}"
        );
        assert!(told.meaning.contains("not complete") && told.remedy.contains("--exclude"), "{told:?}");
        let told = full(0, 700);
        assert!(
            told.what.ends_with(
                "at least 60.8 MB must become free there before it takes any backup, however small."
            ),
            "{}",
            told.what
        );
        assert!(!told.meaning.contains("sent"), "nothing was: {}", told.meaning);
        assert!(
            told.remedy.contains("in an hour")
                && !told.remedy.contains("734")
                && !told.remedy.contains("larger disk"),
            "{}",
            told.remedy
        );
    }

    /// An owner who reads of a cable when the agent made a mistake pulls at the wrong cable.
    #[test]
    fn a_mistake_of_the_agent_is_blamed_on_no_disk() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let broken = runtime.block_on(async {
            let task = tokio::spawn(std::future::pending::<()>());
            task.abort();
            task.await.expect_err("it was ended")
        });
        let told = Refusal::from(broke_off(broken)).problem;
        assert_eq!(told.what, "Something went wrong inside the agent.");
        assert!(!told.remedy.contains("cable"), "{}", told.remedy);
        let disk = StoreError::Disk { path: "/a/packs".to_owned(), source: std::io::ErrorKind::Other.into() };
        let told = Refusal::from(disk).problem;
        assert!(told.what.contains("disk") && !told.remedy.contains("restart"), "{told:?}");
    }

    /// A new disk belongs to root: looking at its cable does not help.
    #[test]
    fn a_folder_of_somebody_else_is_blamed_on_no_cable() {
        let denied = || std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        let problem = crate::edge::disks::DiskProblem::Io { path: "/mnt/new".into(), source: denied() };
        for source in [denied(), std::io::Error::other(problem)] {
            let told = Refusal::from(StoreError::Disk { path: "/mnt/new".to_owned(), source }).problem;
            assert!(
                told.remedy.contains("chown larder:larder /mnt/new") && !told.remedy.contains("cable"),
                "{told:?}"
            );
        }
    }
}
