//! Words about stored pieces: lost, damaged, repaired, unread.

use crate::decide::causes::{DamageFacts, DiskName};

/// Files named in one message; `larderd scrub` lists the rest.
const NAMED_MAX: usize = 3;
/// The meaning of damage without names, where names are secret or unknown.
pub(super) const UNNAMED: &str = "Some versions of some files are damaged; a restore names them.";

pub(super) fn ledger_gap(entries: usize, away_at: Option<&str>) -> [String; 3] {
    if let Some(path) = away_at {
        return [
            format!(
                "Something of the past is not on the disks that are here, maybe only on the one that was at {path}."
            ),
            "Some backups may be missing until it is back; every other one can be restored.".to_owned(),
            "Connect that disk; nothing else is needed if it has them.".to_owned(),
        ];
    }
    let are = if entries == 1 { "entry of the backup ledger is" } else { "entries of the backup ledger are" };
    [
        format!("{entries} {are} missing or damaged."),
        "Some backups may be gone; every other one can be restored. Somebody or something touched the disk."
            .to_owned(),
        "Connect the second backup disk if there is one, and keep this one as it is.".to_owned(),
    ]
}

pub(super) fn damage(damage: &DamageFacts) -> [String; 3] {
    [
        "Stored pieces could not be read back whole, and could not be repaired.".to_owned(),
        what_is_damaged(damage).unwrap_or_else(|| UNNAMED.to_owned()),
        "Push from every computer: what it still has heals. Then replace the disk.".to_owned(),
    ]
}

/// Damaged files and damaged backups by name; none where no name is known.
fn what_is_damaged(damage: &DamageFacts) -> Option<String> {
    let backups = damage.snapshots.iter().map(|(source, snapshot)| format!("{source}@{snapshot}")).collect();
    let files = match names_of(&damage.files) {
        names if names.is_empty() => None,
        names => Some(format!("Versions of these files are damaged: {names}.")),
    };
    let backups = match listed(backups) {
        names if names.is_empty() => None,
        names => Some(format!("These snapshots cannot be given back whole: {names}.")),
    };
    let told = [files, backups].into_iter().flatten().collect::<Vec<_>>().join(" ");
    (!told.is_empty()).then(|| format!("{told} All others are whole."))
}

/// The first few files, with their sources.
pub(in crate::decide) fn names_of(files: &[(String, String)]) -> String {
    let named = files.iter().map(|(source, path)| match path.as_str() {
        "/" => format!("everything of {source}"),
        path => format!("{path} of {source}"),
    });
    listed(named.collect())
}

fn listed(names: Vec<String>) -> String {
    let more = names.len().saturating_sub(NAMED_MAX);
    let named = names.into_iter().take(NAMED_MAX).collect::<Vec<_>>().join(", ");
    if more == 0 { named } else { format!("{named}, and {more} more") }
}

pub(super) fn unread(disk: &DiskName) -> [String; 3] {
    [
        format!("Stored pieces on the backup disk at {} could not be read.", disk.path),
        "Nothing is given up: they are read again for a day. Until then a restore may miss some versions of some files."
            .to_owned(),
        "Check the disk's cable and power. Then push from every computer: what it still has heals.".to_owned(),
    ]
}

pub(super) fn unrepaired(disk: &DiskName) -> [String; 3] {
    [
        format!("Damaged files on the backup disk at {} wait for their repair.", disk.path),
        "What is whole can be restored; the damaged bytes cannot be used as long as they wait.".to_owned(),
        "See that the disk has room, and connect the other backup disk if there is one.".to_owned(),
    ]
}

pub(super) fn repaired(disk: &DiskName, files: u64) -> [String; 3] {
    let (files, were) = match files {
        1 => ("1 damaged file".to_owned(), "was"),
        count => (format!("{count} damaged files"), "were"),
    };
    [
        format!("{files} on the backup disk at {} {were} repaired.", disk.path),
        "Nothing was lost. The disk is read again from end to end to see whether there is more.".to_owned(),
        "If this comes again within a few weeks, replace the disk; this message goes after a clean round."
            .to_owned(),
    ]
}

pub(super) fn not_read_back(disk: &DiskName) -> [String; 3] {
    [
        format!("The backup disk at {} was not read back for more than a month.", disk.path),
        "Its backups may be fine, but nobody has looked.".to_owned(),
        "Leave the appliance and the disk on for some days, or run `larderd scrub` on it.".to_owned(),
    ]
}
