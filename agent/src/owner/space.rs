//! `larderd space`: what takes the room on each disk, and what becomes free by itself.

use super::asking::ask;
use super::output::say;
use super::which::Which;
use super::words::Trouble;
use crate::edge::http::space::{DiskRoom, PendingRoom, SpaceReport};
use crate::phrase::{counted, size};
use jiff::tz::TimeZone;
use std::process::ExitCode;

pub(crate) fn space(which: &Which, json: bool) -> Result<ExitCode, Trouble> {
    let report: SpaceReport = ask(which, "/v1/control/space", None)?;
    if json {
        say(serde_json::to_string(&report).expect("plain values encode"))?;
    } else {
        for line in lines(&report) {
            say(line)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn lines(report: &SpaceReport) -> Vec<String> {
    let mut lines = Vec::new();
    for disk in &report.disks {
        match &disk.room {
            Some(room) => lines.extend(of_disk(&disk.path, room, report.reserve_bytes)),
            None => lines.push(format!("{}: not connected, or it does not answer", disk.path)),
        }
    }
    if report.disks.iter().filter(|disk| disk.room.is_some()).count() > 1 {
        lines.push(
            "Each disk gets a copy of everything as long as it has room: disks of one size together have the room of one. \
             `larderd disks` says what a disk lacks."
                .to_owned(),
        );
    }
    for push in &report.unfinished {
        lines.push(format!(
            "unfinished: {} sent {} that no backup names yet; it comes back after a day or two unless its push is finished",
            push.device,
            size(push.bytes)
        ));
    }
    lines.extend(report.let_go.iter().map(of_let_go));
    if !report.sources.is_empty() {
        lines.push("The newest backup of each source; backups share what did not change:".to_owned());
    }
    for source in &report.sources {
        let kept = counted(source.snapshots as u64, "backup is", "backups are");
        lines.push(format!("  {:>10}  {}, of which {kept} kept", size(source.newest_bytes), source.source));
    }
    lines
}

fn of_disk(path: &str, room: &DiskRoom, reserve_bytes: u64) -> Vec<String> {
    let row = |bytes: u64, what: &str| format!("  {:>10}  {what}", size(bytes));
    let usable = room.free_bytes.saturating_sub(reserve_bytes);
    let mut lines = vec![
        format!("{path}: {} in all", size(room.total_bytes)),
        row(usable, "free for backups"),
        row(room.free_bytes - usable, "in reserve, so that letting go works on a full disk"),
        row(room.packs_bytes, "backups"),
        row(room.parity_bytes, "parity, against bad sectors"),
    ];
    let rare = [
        (room.open_bytes, "being written"),
        (room.quarantine_bytes, "damaged files that were set aside"),
        (room.records_bytes, "ledger, index and the like"),
        (room.other_bytes, "other files, and what the filesystem takes for itself"),
    ];
    lines.extend(rare.iter().filter(|(bytes, _)| *bytes > 0).map(|(bytes, what)| row(*bytes, what)));
    lines
}

fn of_let_go(gone: &PendingRoom) -> String {
    let count = counted(gone.snapshots as u64, "backup", "backups");
    let from = gone.free_from.map_or_else(
        || "some days after the clock is right".to_owned(),
        |at| format!("{} at the earliest", at.to_zoned(TimeZone::system()).strftime("%Y-%m-%d")),
    );
    format!("let go of: {count} ({}); what only they had is free from {from}", gone.why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::http::space::DiskSpace;

    const GB: u64 = 1_000_000_000;

    /// An owner adds up the rows: a reserve that is also told as free would be room that nobody has.
    #[test]
    fn the_rows_of_a_disk_add_up_to_its_size() {
        let room = DiskRoom {
            total_bytes: 100 * GB,
            free_bytes: 10 * GB,
            packs_bytes: 70 * GB,
            parity_bytes: 10 * GB,
            open_bytes: 0,
            quarantine_bytes: 0,
            records_bytes: GB,
            other_bytes: 9 * GB,
        };
        let sum = |reserve_bytes: u64| -> f64 {
            let lines = of_disk("/mnt/a", &room, reserve_bytes);
            let gb = |line: &String| line.trim().split(' ').next().and_then(|text| text.parse::<f64>().ok());
            lines[1..].iter().filter_map(gb).sum()
        };
        assert_eq!((sum(GB), sum(64 * GB)), (100.0, 100.0));
    }

    #[test]
    fn a_disk_that_is_away_has_no_figures() {
        let disks = vec![DiskSpace { disk: "ab".into(), path: "/mnt/b".into(), room: None }];
        let report = SpaceReport {
            disks,
            reserve_bytes: GB,
            unfinished: Vec::new(),
            let_go: Vec::new(),
            sources: Vec::new(),
        };
        assert_eq!(lines(&report), ["/mnt/b: not connected, or it does not answer"]);
        let value = serde_json::to_value(&report).expect("plain values encode");
        assert!(value["disks"][0].get("free_bytes").is_none(), "unknown is not 0: {value}");
        let back: SpaceReport = serde_json::from_value(value).expect("it is read back");
        assert!(back.disks[0].room.is_none());
    }
}
