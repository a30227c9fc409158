//! `larder ls`: a folder as it was, alone or with everything below.
//!
//! A list is printed while it arrives. Where the list breaks off, what was printed stays, and the exit code tells. Not
//! here: reading the list (`link::listing`).

use super::{
    options::GlobalOptions,
    output::{CommandError, Output, counted, moment, permissions, size},
    screen::say,
    spot::{AtOption, Spot},
    table::{Column, LongTable},
};
use crate::link::listing::{self, FolderList, ListedPlace};
use clap::Args;
use larder_format::wire::{EntryInfo, ListingLine};
use std::{ffi::OsString, io};

use Column::{Left, Right};

#[derive(Debug, Args)]
pub(super) struct LsArgs {
    /// SOURCE[@WHEN][:PATH]
    place: OsString,
    #[command(flatten)]
    at: AtOption,
    /// List everything below too, each with its path; with --json a line for each
    #[arg(short = 'R', long)]
    recursive: bool,
}

pub(super) fn ls(args: &LsArgs, global: &GlobalOptions, output: &mut Output) -> Result<u8, CommandError> {
    let spot = Spot::parse_at(&args.place, &args.at)?;
    let connection = global.ask()?;
    let source = spot.full_source(&connection)?;
    let place = ListedPlace { source: &source, when: &spot.when, path: &spot.path };
    let listed = if args.recursive {
        below(listing::list_below(&connection, place)?, output)
    } else {
        folder(listing::list(&connection, place)?, output)
    };
    match listed {
        // The reader of the pipe has seen enough.
        Err(CommandError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(0),
        listed => listed,
    }
}

const HEADS: [Column; 6] =
    [Left("MODE"), Left("USER"), Left("GROUP"), Right("SIZE"), Left("CHANGED"), Left("NAME")];

fn folder(list: FolderList<'_>, output: &mut Output) -> Result<u8, CommandError> {
    if output.is_json() {
        output.json_list::<EntryInfo, CommandError>(|each| list.entries(each))?;
        return Ok(0);
    }
    let mut table = LongTable::new(&HEADS);
    list.entries(&mut |entry| Ok::<_, CommandError>(table.row(row(&entry.name, &entry), output)?))?;
    table.end(output)?;
    Ok(0)
}

fn below(list: FolderList<'_>, output: &mut Output) -> Result<u8, CommandError> {
    let mut table = LongTable::new(&HEADS);
    let end = list.paths::<CommandError>(&mut |line| {
        match line {
            line if output.is_json() => output.json_line(line)?,
            ListingLine::Entry { path, entry } => table.row(row(path, entry), output)?,
            ListingLine::End { .. } => {}
        }
        Ok(())
    })?;
    if !output.is_json() {
        table.end(output)?;
    }
    if end.unreadable == 0 {
        return Ok(0);
    }
    output.flush()?;
    let unreadable = counted(end.unreadable, "folder, or part of one,", "folders, or parts of folders,");
    say(format_args!("{unreadable} cannot be read: damaged on every disk, with what is below."));
    say("Everything else is listed, and the files elsewhere are not touched by that.");
    say(
        "Look at an older or newer snapshot, and run `larderd scrub` on the appliance: it names what is lost.",
    );
    Ok(6)
}

fn row(name: &str, entry: &EntryInfo) -> Vec<String> {
    let mut name = name.to_owned();
    if let Some(target) = &entry.target {
        name = format!("{name} -> {target}");
    } else if entry.kind == "directory" {
        name.push('/');
    }
    let mode = format!("{}{}", kind_letter(&entry.kind), permissions(entry.mode));
    vec![mode, entry.user.clone(), entry.group.clone(), size(entry.bytes), moment(&entry.modified), name]
}

fn kind_letter(kind: &str) -> char {
    match kind {
        "directory" => 'd',
        "symlink" => 'l',
        "fifo" => 'p',
        "socket" => 's',
        "char_device" => 'c',
        "block_device" => 'b',
        _ => '-',
    }
}
