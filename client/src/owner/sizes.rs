//! `larder du`: what takes the room in a folder as it was.
//!
//! A folder carries the size of everything in it, so one list of a folder tells the sizes of the folders in it, and nothing
//! below is read. Rows are sorted, so they wait in memory: the largest of them, as many as somebody can read. Not here: the
//! room on the appliance's disks, where equal files lie once (`larderd space`).

use super::{
    options::GlobalOptions,
    output::{CommandError, Output, count, counted, size},
    screen::say,
    spot::{AtOption, Spot},
    table::{Column, print_table},
};
use crate::link::listing::{ListedPlace, list_levels};
use clap::Args;
use larder_format::wire::{EntryInfo, ListingLine};
use std::{cmp::Reverse, collections::BinaryHeap, ffi::OsString};

use Column::{Left, Right};

/// Rows that wait at most: a folder may have a million folders.
const ROWS_MAX: usize = 10_000;

#[derive(Debug, Args)]
pub(super) struct DuArgs {
    /// SOURCE[@WHEN][:PATH]
    place: OsString,
    #[command(flatten)]
    at: AtOption,
    /// How far down: 1 for the folders in it, 2 for those in these too, 0 for the sum alone
    #[arg(short, long, value_name = "LEVELS", default_value_t = 1, value_parser = clap::value_parser!(u16).range(0..=2048))]
    depth: u16,
    /// Files too
    #[arg(short, long)]
    all: bool,
}

/// A folder or file with its size. Ordered by size.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct SizeRow {
    bytes: u64,
    /// In the source, as it is typed.
    path: String,
    /// None from an appliance that does not say.
    files: Option<u64>,
}

impl SizeRow {
    fn json(&self) -> serde_json::Value {
        let mut row = serde_json::json!({ "bytes": self.bytes, "path": self.path });
        if let Some(files) = self.files {
            row["files"] = files.into();
        }
        row
    }
}

/// The largest rows and the sum.
#[derive(Debug, Default)]
struct FolderSizes {
    largest: BinaryHeap<Reverse<SizeRow>>,
    /// Rows that were smaller.
    smaller: u64,
    total: EntrySum,
}

/// The entries of the folder itself, added up with all that is in them.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct EntrySum {
    bytes: u64,
    files: u64,
    /// Whether each folder said how many files it has.
    counts_files: bool,
}

impl FolderSizes {
    fn add(&mut self, row: SizeRow) {
        self.largest.push(Reverse(row));
        if self.largest.len() > ROWS_MAX {
            self.largest.pop();
            self.smaller += 1;
        }
    }
}

pub(super) fn du(args: &DuArgs, global: &GlobalOptions, output: &mut Output) -> Result<u8, CommandError> {
    let spot = Spot::parse_at(&args.place, &args.at)?;
    let connection = global.ask()?;
    let source = spot.full_source(&connection)?;
    let place = ListedPlace { source: &source, when: &spot.when, path: &spot.path };
    let top = larder_format::wire::escape_name(&spot.path);
    let mut sizes = FolderSizes {
        total: EntrySum { counts_files: true, ..EntrySum::default() },
        ..FolderSizes::default()
    };
    let list = list_levels(&connection, place, usize::from(args.depth.max(1)))?;
    let end = list.paths::<CommandError>(&mut |line| {
        if let ListingLine::Entry { path, entry } = line {
            look_at(args, &top, EntryLine { path, entry }, &mut sizes);
        }
        Ok(())
    })?;
    tell(&top, sizes, output)?;
    if end.unreadable == 0 {
        return Ok(0);
    }
    output.flush()?;
    let unreadable = counted(end.unreadable, "folder, or part of one,", "folders, or parts of folders,");
    say(format_args!(
        "{unreadable} cannot be read: damaged on every disk. What is in there is missing in the sums."
    ));
    say(
        "Look at an older or newer snapshot, and run `larderd scrub` on the appliance: it names what is lost.",
    );
    Ok(6)
}

/// A line of the list.
struct EntryLine<'a> {
    path: &'a str,
    entry: &'a EntryInfo,
}

fn look_at(args: &DuArgs, top: &str, listed: EntryLine<'_>, sizes: &mut FolderSizes) {
    let EntryLine { path, entry } = listed;
    let below = path.strip_prefix(top).unwrap_or(path).trim_start_matches('/');
    let level = below.split('/').count();
    let is_folder = entry.kind == "directory";
    if level == 1 {
        let EntrySum { bytes, files, counts_files } = &mut sizes.total;
        *bytes = bytes.saturating_add(entry.bytes);
        *files = files.saturating_add(if is_folder { entry.files.unwrap_or(0) } else { 1 });
        *counts_files &= !is_folder || entry.files.is_some();
    }
    // An older appliance lists what is deeper, too.
    if level <= usize::from(args.depth) && (is_folder || args.all) {
        sizes.add(SizeRow {
            bytes: entry.bytes,
            path: path.to_owned(),
            files: entry.files.filter(|_| is_folder),
        });
    }
}

fn tell(top: &str, sizes: FolderSizes, output: &mut Output) -> Result<(), CommandError> {
    let FolderSizes { largest, smaller, total } = sizes;
    // The largest last, where the eye is; what is in a folder is no larger, and so stands above it.
    let mut rows: Vec<SizeRow> = largest.into_iter().map(|Reverse(row)| row).collect();
    rows.sort();
    let path = if top.is_empty() { ".".to_owned() } else { top.to_owned() };
    let sum = SizeRow { bytes: total.bytes, path, files: total.counts_files.then_some(total.files) };
    if output.is_json() {
        let folders: Vec<_> = rows.iter().map(SizeRow::json).collect();
        let value =
            serde_json::json!({ "folders": folders, "total": sum.json(), "smaller_left_out": smaller });
        output.json(&value)?;
        return Ok(());
    }
    if smaller > 0 {
        output.line(format!("{} smaller are not shown.", count(smaller)))?;
    }
    let cells =
        |row: &SizeRow| vec![size(row.bytes), row.files.map(count).unwrap_or_default(), row.path.clone()];
    let all: Vec<_> = rows.iter().chain([&sum]).map(cells).collect();
    print_table(&[Right("SIZE"), Right("FILES"), Left("FOLDER")], all, output)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(kind: &str, bytes: u64, files: Option<u64>) -> EntryInfo {
        let (name, text) = (String::new(), String::new);
        let (modified, user, group) = (text(), text(), text());
        EntryInfo { name, kind: kind.to_owned(), bytes, mode: 0, modified, user, group, files, target: None }
    }

    fn args(depth: u16, all: bool) -> DuArgs {
        use clap::Parser;
        #[derive(Parser)]
        struct Typed {
            #[command(flatten)]
            args: DuArgs,
        }
        DuArgs { depth, all, ..Typed::parse_from(["du", "a/b"]).args }
    }

    fn sizes_of(args: &DuArgs, top: &str, listed: &[(&str, EntryInfo)]) -> (Vec<String>, EntrySum) {
        let mut sizes = FolderSizes {
            total: EntrySum { counts_files: true, ..EntrySum::default() },
            ..FolderSizes::default()
        };
        listed.iter().for_each(|(path, entry)| look_at(args, top, EntryLine { path, entry }, &mut sizes));
        let mut rows: Vec<SizeRow> = sizes.largest.into_iter().map(|Reverse(row)| row).collect();
        rows.sort();
        (rows.into_iter().map(|row| row.path).collect(), sizes.total)
    }

    #[test]
    fn folders_are_sorted_by_size_and_the_sum_counts_each_once() {
        let listed = [
            ("docs/a", entry("directory", 70, Some(3))),
            ("docs/b", entry("directory", 500, Some(1))),
            ("docs/file", entry("file", 9, None)),
            ("docs/a/deep", entry("directory", 60, Some(2))),
            ("docs/a/deep/deeper", entry("directory", 50, Some(1))),
        ];
        let total = EntrySum { bytes: 579, files: 5, counts_files: true };
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let of = |depth, all| sizes_of(&args(depth, all), "docs", &listed);
        assert_eq!(of(0, false), (Vec::new(), total));
        assert_eq!(of(1, false), (names(&["docs/a", "docs/b"]), total));
        assert_eq!(of(1, true), (names(&["docs/file", "docs/a", "docs/b"]), total));
        assert_eq!(of(2, false), (names(&["docs/a/deep", "docs/a", "docs/b"]), total));
        let old = [("a", entry("directory", 70, None)), ("f", entry("file", 1, None))];
        assert!(!sizes_of(&args(1, false), "", &old).1.counts_files, "an older appliance does not say");
    }

    #[test]
    fn a_million_folders_cost_no_more_memory_than_a_few() {
        let mut sizes = FolderSizes::default();
        for number in 0..50_000u64 {
            sizes.add(SizeRow { bytes: number.reverse_bits() >> 40, path: String::new(), files: None });
        }
        assert_eq!((sizes.largest.len(), sizes.smaller), (ROWS_MAX, 40_000));
        let smallest = sizes.largest.peek().map(|Reverse(row)| row.bytes).unwrap();
        let larger = (0..50_000u64).filter(|number| number.reverse_bits() >> 40 > smallest).count();
        assert!(larger < ROWS_MAX, "the largest stay");
    }
}
