//! Words about one disk: what happened, the meaning for the files, the one thing to do.

use crate::decide::causes::{DiskFault, DiskName};
use crate::decide::facts::WhyRejected;
use crate::phrase::counted;

const DAY_S: u64 = 86_400;

/// `is_last`: no other disk takes backups, so nobody may read of other disks.
pub(super) fn fault(disk: &DiskName, fault: DiskFault, is_last: bool) -> [String; 3] {
    let meanwhile =
        if is_last { "new backups are refused" } else { "new backups go to the other disks alone" };
    match fault {
        DiskFault::ReadOnly => read_only(disk),
        DiskFault::Failed => failed(disk, meanwhile),
        DiskFault::Suspect => suspect(disk),
        DiskFault::Away { is_released } => away(disk, is_released, meanwhile),
        DiskFault::OffsiteOverdue { age_s } => overdue(disk, age_s),
        DiskFault::Behind { files, is_older_copy } => behind(disk, files, is_older_copy, meanwhile),
        DiskFault::Full => full(disk, meanwhile),
        DiskFault::Forked => forked(disk),
        DiskFault::Silent => silent(disk),
    }
}

pub(super) fn rejected(path: &str, why: &WhyRejected) -> [String; 3] {
    let why = match why {
        WhyRejected::EmptyInPlaceOfAnother => {
            "it is empty, and another disk belongs there; `larderd adopt PATH` takes it in"
        }
        WhyRejected::Problem(problem) => problem,
    };
    [
        format!("The disk that is connected at {path} is not used: {why}."),
        "Nothing on it was touched. The other disks are not affected.".to_owned(),
        "Connect the disk that belongs there, or see what `larderd disks` says of it.".to_owned(),
    ]
}

pub(super) fn few_copies(copies: u64, wanted: u64) -> [String; 3] {
    let are = if copies == 1 { "is" } else { "are" };
    [
        format!("There {are} {} of your backups, not {wanted}.", counted(copies, "copy", "copies")),
        "If the disks that are left fail, backups are lost.".to_owned(),
        "Connect another backup disk.".to_owned(),
    ]
}

fn failed(disk: &DiskName, meanwhile: &str) -> [String; 3] {
    [
        format!("The backup disk at {} failed.", disk.path),
        format!("It is opened and read anew. Until it has caught up, {meanwhile}."),
        "Check its cable and power. If it was once only, this heals itself.".to_owned(),
    ]
}

/// The system does this to a damaged filesystem. Cables are not to blame, and no restart mends the filesystem.
fn read_only(disk: &DiskName) -> [String; 3] {
    [
        format!("The backup disk at {} can only be read: the system stopped writing to it.", disk.path),
        "What it holds can be given back; nothing new is written to it.".to_owned(),
        "Restore what only it has. Then stop the agent, unmount the disk, have its filesystem checked (`e2fsck`) and mount \
         it again. If it comes again, replace the disk."
            .to_owned(),
    ]
}

fn silent(disk: &DiskName) -> [String; 3] {
    [
        format!("The backup disk at {} does not say how much room it has.", disk.path),
        "What it holds is not affected as far as anybody knows; new backups may be refused.".to_owned(),
        "Check its cable and power. If it was once only, this heals itself.".to_owned(),
    ]
}

fn suspect(disk: &DiskName) -> [String; 3] {
    let folder = disk.path.strip_suffix("/larder").unwrap_or(&disk.path);
    [
        format!("The backup disk at {} failed more than once.", disk.path),
        "Nothing more is written to it; what it already holds may still be readable.".to_owned(),
        format!(
            "Check its cable and power. If you trust it again: `larderd adopt {folder}`; if not, replace it. \
             A restart does not help."
        ),
    ]
}

fn away(disk: &DiskName, is_released: bool, meanwhile: &str) -> [String; 3] {
    let (what, remedy) = if is_released {
        ("was let go of and may be unplugged", "Unplug it, and connect it again whenever you like.")
    } else {
        ("is not connected", "Connect it again; nothing else is needed.")
    };
    [
        format!("The backup disk at {} {what}.", disk.path),
        format!("What it holds stays on it. Until it is back, {meanwhile}."),
        format!("{remedy} If it will never come back: `larderd forget {}`.", &disk.id[..8]),
    ]
}

fn overdue(disk: &DiskName, age_s: Option<u64>) -> [String; 3] {
    let days = |age_s: u64| counted(age_s / DAY_S, "day", "days");
    let when =
        age_s.map_or("never been filled".to_owned(), |age| format!("not been filled for {}", days(age)));
    [
        format!("The offsite disk {} has {when}.", &disk.id[..8]),
        "What it holds stays on it; what came since then is only at home.".to_owned(),
        "Bring it home and connect it; the lamp says when you may unplug it again.".to_owned(),
    ]
}

fn behind(disk: &DiskName, files: u64, is_older_copy: bool, meanwhile: &str) -> [String; 3] {
    let older =
        if is_older_copy { " It is an older copy of itself: it once had more than it has now." } else { "" };
    let files = counted(files, "file", "files");
    [
        format!("The backup disk at {} lacks {files} that the others have.{older}", disk.path),
        format!("It is being filled. Until it has everything, {meanwhile}."),
        "Nothing, this heals itself. If the number does not fall, see whether the disk has room.".to_owned(),
    ]
}

fn full(disk: &DiskName, meanwhile: &str) -> [String; 3] {
    [
        format!("The backup disk at {} is full, and newer backups are not on it.", disk.path),
        format!("What it holds stays on it, and as long as it is full, {meanwhile}."),
        format!(
            "Take a larger disk in its place (`larderd adopt PATH`, then `larderd forget {}`). When enough is let go of, it is \
             filled by itself.",
            &disk.id[..8]
        ),
    ]
}

fn forked(disk: &DiskName) -> [String; 3] {
    [
        format!(
            "The backup disk at {} has another past than the others: it was used apart from them.",
            disk.path
        ),
        "It is left as it is and not written to. What is on the others is not affected.".to_owned(),
        "What only it has can be read with `larder rescue`; then empty it and adopt it anew.".to_owned(),
    ]
}

pub(super) fn leaving(disk: &DiskName) -> [String; 3] {
    [
        format!("Somebody at the box asked to forget the backup disk at {}.", disk.path),
        "After 72 hours it no longer counts as a copy. What is on it stays on it.".to_owned(),
        format!("If it was not you: `larderd forget {} --undo`.", &disk.id[..8]),
    ]
}
