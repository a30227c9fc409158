//! `larder rescue`: lists the content of a pulled disk, and restores from the disk.
//!
//! The owner who types this has lost the box. So a command without any SOURCE brings back the newest snapshot of
//! every source, damage is named and never stops the rest, and the last lines tell where the owner stands.

use super::{
    getting::TargetWishes,
    options::now,
    output::{CommandError, Output, count, counted, moment, size},
    progress::with_bar,
    rescued::{Sum, not_looked_at, tell, tell_about_disk},
    skipped::{Loudness, skipped_json},
    spot::{NEWEST, Spot},
    table::{Column, print_table},
    words,
};
use crate::{
    ClientError, Existing, FoundSnapshot, KeptSnapshot, Past, Rescue, RoomCheck, Selection, SnapshotStanding,
    TransferProgress,
    platform::device_of,
    restore::{check_room, restore as bring_back},
};
use clap::Args;
use jiff::Timestamp;
use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
    time::Instant,
};

use Column::{Left, Right};

#[derive(Debug, Args)]
#[command(override_usage = "larder rescue [OPTIONS] <DISK>... [--list]\n       \
                            larder rescue [OPTIONS] <DISK>... --to <DIR> [SOURCE[@WHEN][:PATH]]...")]
pub(super) struct RescueArgs {
    /// Where the disk is mounted, or a folder with what is left of one; several disks of one vault help each other
    #[arg(required = true, value_name = "DISK")]
    disks: Vec<PathBuf>,
    /// List the snapshots on it; so does the DISK alone
    #[arg(long, conflicts_with = "to")]
    list: bool,
    /// Restore into DIR: the newest snapshot of every source, or each SOURCE[@WHEN][:PATH]
    #[arg(long, num_args = 1.., value_names = ["DIR", "SOURCE"])]
    to: Option<Vec<OsString>>,
    /// Look for snapshots that no ledger entry names; takes long, and happens by itself where the ledger is gone
    #[arg(long)]
    search: bool,
    #[command(flatten)]
    target: TargetWishes,
    #[command(flatten)]
    loudness: Loudness,
}

pub(super) fn rescue(args: &RescueArgs, output: &mut Output) -> Result<u8, CommandError> {
    if args.loudness.quiet {
        output.hush();
    }
    let mut rescue = Rescue::open(&args.disks, now())?;
    let progress = TransferProgress::local();
    // Before the disk is read for minutes: a visible mistake is told at once.
    if let Some([to, ..]) = args.to.as_deref() {
        is_elsewhere(Path::new(to), &rescue)?;
    }
    with_bar(&progress, output, None, || rescue.settle(&progress));
    if args.search || rescue.snapshots().is_empty() {
        with_bar(&progress, output, None, || rescue.search(&progress));
    }
    match args.to.as_deref() {
        Some([to, sources @ ..]) => {
            with_bar(&progress, output, None, || rescue.look_through(&progress));
            let wishes =
                RescueWishes { to: Path::new(to), sources, target: args.target, loudness: args.loudness };
            restore(&rescue, &wishes, output)
        }
        _ => list(&rescue, args.loudness, output),
    }
}

/// Refuses a target on a pulled disk: no byte may be written to a pulled disk.
fn is_elsewhere(to: &Path, rescue: &Rescue) -> Result<(), ClientError> {
    let whole =
        std::path::absolute(to).map_err(|cause| ClientError::local("looking for the target", to, cause))?;
    let existing = whole.ancestors().find_map(|path| path.canonicalize().ok());
    let within = |disk: &Path| {
        let disk = disk.canonicalize().map(|disk| whole_disk(&disk, is_mount_point).to_owned());
        disk.is_ok_and(|disk| existing.as_deref().is_some_and(|to| to.starts_with(disk)))
    };
    match rescue.disks().iter().find(|disk| within(&disk.path)) {
        Some(disk) => Err(ClientError::Usage(format!(
            "{} lies on the disk at {}, to which nothing is written",
            to.display(),
            disk.path.display()
        ))),
        None => Ok(()),
    }
}

/// The disk of a named folder `larder`. Where the parent is no mount point, the folder is a copy of the remains, and
/// the room beside is like any other.
fn whole_disk(named: &Path, is_mount_point: impl Fn(&Path) -> bool) -> &Path {
    match named.parent() {
        Some(above) if named.ends_with("larder") && is_mount_point(above) => above,
        _ => named,
    }
}

/// The root folder is no mount point here: a folder directly in the root is not taken for a disk.
fn is_mount_point(path: &Path) -> bool {
    path.parent().is_some_and(|above| match (device_of(path), device_of(above)) {
        (Ok(here), Ok(above)) => here != above,
        _ => false,
    })
}

const NOTHING: &str = "No snapshot can be made out on this disk.";

/// The wishes of the owner for files that come back.
struct RescueWishes<'a> {
    to: &'a Path,
    sources: &'a [OsString],
    target: TargetWishes,
    loudness: Loudness,
}

fn list(rescue: &Rescue, loudness: Loudness, output: &mut Output) -> Result<u8, CommandError> {
    let damage = rescue.damage();
    if output.is_json() {
        output.json(&serde_json::json!({
            "disks": disks_json(rescue),
            "snapshots": rescue.snapshots().iter().map(kept_json).collect::<Vec<_>>(),
            "found": rescue.found().iter().map(found_json).collect::<Vec<_>>(),
            "missing_entries": rescue.missing_entries(),
            "ledger_is_gone": rescue.is_ledger_gone(),
            "too_new": rescue.too_new(),
            "damage": skipped_json(&damage),
            "not_looked_at": not_looked_at(rescue),
        }))?;
    } else {
        if !rescue.snapshots().is_empty() {
            snapshot_table(rescue.snapshots(), output)?;
        }
        if !rescue.found().is_empty() {
            found_table(rescue.found(), output)?;
        }
        if rescue.snapshots().is_empty() && rescue.found().is_empty() {
            output.line(NOTHING)?;
        } else {
            let note = "Bring them back with `larder rescue DISK --to DIR [SOURCE[@WHEN][:PATH]]`.";
            output.line(note)?;
        }
        output.flush()?;
        tell_about_disk(rescue, loudness);
    }
    let nothing = rescue.snapshots().is_empty() && rescue.found().is_empty();
    Ok(if damage.count > 0 || nothing || !rescue.missing_entries().is_empty() { 6 } else { 0 })
}

fn snapshot_table(snapshots: &[KeptSnapshot], output: &mut Output) -> std::io::Result<()> {
    let row = |kept: &KeptSnapshot| {
        vec![
            kept.source.clone(),
            kept.snapshot.to_string(),
            moment(&time(kept.time_ms)) + if kept.is_time_trusted { "" } else { " ?" },
            count(kept.totals.files),
            size(kept.totals.bytes),
            if kept.skipped > 0 { count(kept.skipped) } else { String::new() },
            kept.label.iter().map(|label| format!("\"{label}\"")).collect(),
            standing(kept.standing).to_owned(),
        ]
    };
    let heads = [
        Left("SOURCE"),
        Right("SNAPSHOT"),
        Left("ARRIVED"),
        Right("FILES"),
        Right("SIZE"),
        Right("SKIPPED"),
        Left("LABEL"),
        Left(""),
    ];
    print_table(&heads, snapshots.iter().map(row).collect(), output)?;
    if snapshots.iter().any(|kept| !kept.is_time_trusted) {
        output.line("?  the appliance was not sure of its clock")?;
    }
    Ok(())
}

fn standing(standing: SnapshotStanding) -> &'static str {
    match standing {
        SnapshotStanding::KeptSnapshot => "",
        SnapshotStanding::LetGo => "let go of, still there",
        SnapshotStanding::NotHere => "not on this disk: damaged, or let go of by a newer Larder",
    }
}

fn found_table(found: &[FoundSnapshot], output: &mut Output) -> std::io::Result<()> {
    output.line("Found without a ledger entry; what they were called and when they arrived is lost:")?;
    let row = |found: &FoundSnapshot| {
        vec![
            found.name.clone(),
            moment(&found.modified),
            count(found.totals.files),
            size(found.totals.bytes),
            found.names.join(", "),
        ]
    };
    let heads = [Left("SOURCE"), Left("FOLDER CHANGED"), Right("FILES"), Right("SIZE"), Left("BEGINS WITH")];
    print_table(&heads, found.iter().map(row).collect(), output)
}

fn time(time_ms: i64) -> String {
    Timestamp::from_millisecond(time_ms).unwrap_or(Timestamp::UNIX_EPOCH).to_string()
}

fn disks_json(rescue: &Rescue) -> Vec<serde_json::Value> {
    let json = |disk: &crate::PulledDisk| {
        let path = disk.path.display().to_string();
        serde_json::json!({ "path": path, "vault": disk.vault, "disk": disk.disk, "newer": disk.is_newer })
    };
    rescue.disks().iter().map(json).collect()
}

fn kept_json(kept: &KeptSnapshot) -> serde_json::Value {
    serde_json::json!({
        "source": kept.source,
        "snapshot": kept.snapshot,
        "time": time(kept.time_ms),
        "time_trusted": kept.is_time_trusted,
        "root": kept.root,
        "totals": kept.totals,
        "skipped": kept.skipped,
        "label": kept.label,
        "standing": match kept.standing {
            SnapshotStanding::KeptSnapshot => "kept",
            SnapshotStanding::LetGo => "let_go",
            SnapshotStanding::NotHere => "not_here",
        },
    })
}

fn found_json(found: &FoundSnapshot) -> serde_json::Value {
    let FoundSnapshot { name, root, modified, totals, names } = found;
    serde_json::json!({
        "source": name, "root": root, "modified": modified, "totals": totals, "names": names
    })
}

fn restore(rescue: &Rescue, wishes: &RescueWishes<'_>, output: &mut Output) -> Result<u8, CommandError> {
    let RescueWishes { to, sources: typed, target, loudness } = *wishes;
    let spots = spots(rescue, typed)?;
    let started = Instant::now();
    let mut sum = Sum::default();
    // Decided before any write: a mistyped second SOURCE must not end the run half way.
    let folders = folders(rescue, to, &spots, typed.is_empty())?;
    let options = target.options(Existing::Keep, output);
    if options.room == RoomCheck::First {
        check_room(to, bytes_of(rescue, &spots)?)?;
    }
    for (spot, folder) in spots.iter().zip(&folders) {
        let wanted = Selection { source: &spot.source, when: &spot.when, path: &spot.path };
        let progress = TransferProgress::local();
        let restored =
            with_bar(&progress, output, None, || bring_back(rescue, &wanted, folder, &options, &progress));
        let name = if folder == to { String::new() } else { spot.source.clone() };
        sum.add(&name, restored)?;
    }
    let seconds = started.elapsed().as_secs_f64();
    if output.is_json() {
        output.json(&sum.json(rescue, seconds))?;
    } else if spots.is_empty() {
        output.line(NOTHING)?;
        output.flush()?;
        tell_about_disk(rescue, loudness);
    } else {
        let what = counted(spots.len() as u64, "snapshot", "snapshots");
        let back = words::are_back(sum.files, sum.folders, sum.bytes);
        output.note(format!("{back} in {}, of {what}; {seconds:.1} s.", to.display()))?;
        output.flush()?;
        tell(&sum, rescue, loudness);
    }
    // A script that only looks at the code must not take the restored files for everything.
    Ok(if spots.is_empty() { 6 } else { sum.exit_code(rescue) })
}

/// The meaning of the typed words; without words, the newest snapshot of every source.
fn spots(rescue: &Rescue, typed: &[OsString]) -> Result<Vec<Spot>, ClientError> {
    if typed.is_empty() {
        let sources: BTreeMap<&str, ()> =
            rescue.snapshots().iter().map(|kept| (kept.source.as_str(), ())).collect();
        let all = sources.into_keys().map(str::to_owned);
        let all: Vec<String> = all.chain(rescue.found().iter().map(|found| found.name.clone())).collect();
        return Ok(all.into_iter().map(newest).collect());
    }
    let mut spots = typed.iter().map(|typed| Spot::parse(typed)).collect::<Result<Vec<_>, _>>()?;
    for spot in &mut spots {
        spot.source = full_name(rescue, &spot.source)?;
    }
    Ok(spots)
}

fn newest(source: String) -> Spot {
    Spot { source, when: NEWEST.to_owned(), path: Vec::new() }
}

fn full_name(rescue: &Rescue, typed: &str) -> Result<String, ClientError> {
    let is_meant =
        |name: &&str| *name == typed || name.split_once('/').is_some_and(|(_, half)| half == typed);
    let kept = rescue.snapshots().iter().map(|kept| kept.source.as_str());
    let mut named: Vec<&str> =
        kept.chain(rescue.found().iter().map(|found| found.name.as_str())).filter(is_meant).collect();
    named.sort_unstable();
    named.dedup();
    match named.as_slice() {
        [one] => Ok((*one).to_owned()),
        [] => Err(ClientError::NotThere {
            what: format!("There is no source called \"{typed}\" on this disk."),
            remedy: "`larder rescue DISK --list` shows what there is.",
        }),
        several => Err(ClientError::Usage(format!(
            "\"{typed}\" could be {}; write the one you mean",
            several.join(" or ")
        ))),
    }
}

/// Bytes of the files of all these snapshots; what is a part of a snapshot is measured when it comes back.
fn bytes_of(rescue: &Rescue, spots: &[Spot]) -> Result<u64, ClientError> {
    let mut whole = spots.iter().filter(|spot| spot.path.is_empty());
    whole.try_fold(0u64, |sum, spot| {
        Ok(sum.saturating_add(rescue.snapshot(&spot.source, &spot.when)?.totals.bytes))
    })
}

/// The target of each restore: a single typed source goes straight into the target, several sources go into folders
/// of their own.
fn folders(rescue: &Rescue, to: &Path, spots: &[Spot], is_all: bool) -> Result<Vec<PathBuf>, ClientError> {
    let numbers = spots
        .iter()
        .map(|spot| Ok(rescue.snapshot(&spot.source, &spot.when)?.snapshot))
        .collect::<Result<Vec<u64>, ClientError>>()?;
    let is_alone = spots.len() == 1 && !is_all;
    Ok(spots
        .iter()
        .zip(&numbers)
        .map(|(spot, number)| {
            let others = spots.iter().zip(&numbers).filter(|(other, _)| other.source == spot.source);
            if is_alone {
                to.to_owned()
            } else if others.clone().any(|(_, other)| other != number) {
                to.join(format!("{}@{number}", spot.source))
            } else {
                to.join(&spot.source)
            }
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn naming_a_folder_of_a_disk_means_the_whole_disk() {
        let is_mount_point = |path: &Path| path == Path::new("/mnt/disk");
        let check = |named: &str, expect: &str| {
            assert_eq!(whole_disk(Path::new(named), is_mount_point), Path::new(expect));
        };
        check("/mnt/disk/larder", "/mnt/disk");
        check("/mnt/disk", "/mnt/disk");
        check("/home/ada/larder", "/home/ada/larder");
        check("/mnt/disk/copy", "/mnt/disk/copy");
        check("/", "/");
        assert!(!super::is_mount_point(Path::new("/")));
    }
}
