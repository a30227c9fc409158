//! `larder restore` and `larder cat`: files come back.

use super::{
    options::GlobalOptions,
    output::{CommandError, Output},
    previewing::{self, PreviewTold},
    progress::with_bar,
    screen::{ask_yes, may_ask},
    skipped::{Loudness, name_skipped, skipped_json},
    spot::{AtOption, Spot},
    words,
};
use crate::{
    ClientError, Existing, RestoreChoice, RestoreOptions, Restored, RoomCheck, Selection, SpecialEntries,
    TransferProgress, preview, read_file, restore as bring_back, restore::check_room,
};
use clap::Args;
use std::{
    ffi::OsString,
    io::{self, Write},
    path::PathBuf,
    time::Instant,
};

#[derive(Debug, Args)]
pub(super) struct RestoreArgs {
    /// SOURCE[@WHEN][:PATH]; without PATH everything, straight into DIR; with PATH, DIR gets that file or folder
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    place: Option<OsString>,
    /// Everything that this key may read: each source into DIR/DEVICE/NAME, as it is now or as it was at --at WHEN
    #[arg(long)]
    pub(super) all: bool,
    /// With --all: only what this device has backed up
    #[arg(long, value_name = "DEVICE", requires = "all")]
    pub(super) device: Option<String>,
    #[command(flatten)]
    pub(super) at: AtOption,
    /// The folder to restore into; it is made if it is not there
    #[arg(long, value_name = "DIR")]
    pub(super) to: PathBuf,
    /// Replace files in DIR that have the same names; without this they stay, and where they differ they are named
    #[arg(long)]
    overwrite: bool,
    /// Bring back only what matches, by the rules of a .gitignore below the source's folder; may be given several times
    #[arg(long, value_name = "GLOB")]
    include: Vec<String>,
    /// Leave out what matches, by the same rules, whatever --include says; may be given several times
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,
    /// Write nothing: say what would be made, replaced, left as it is, and what is in the way
    #[arg(long)]
    pub(super) dry_run: bool,
    #[command(flatten)]
    target: TargetWishes,
    #[command(flatten)]
    pub(super) loudness: Loudness,
}

impl RestoreArgs {
    /// The options of the library.
    pub(super) fn options(&self, output: &Output) -> RestoreOptions {
        let existing = if self.overwrite { Existing::Replace } else { Existing::Keep };
        let choice = RestoreChoice { include: self.include.clone(), exclude: self.exclude.clone() };
        RestoreOptions { choice, ..self.target.options(existing, output) }
    }
}

/// What a restore and a rescue may do to this computer.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct TargetWishes {
    /// As root: also make devices, set-user and set-group programs, and files with rights of their own, without asking;
    /// only for a backup that you trust as you trust root
    #[arg(long)]
    special: bool,
    /// Start even if the files seem to need more room than is free
    #[arg(long)]
    no_room_check: bool,
}

impl TargetWishes {
    /// The options of the library. `output` tells whether a person can be asked.
    pub(super) fn options(self, existing: Existing, output: &Output) -> RestoreOptions {
        let special = match self.special {
            true => SpecialEntries::Restore,
            false if may_ask() && !output.is_quiet() => SpecialEntries::Ask(ask_for_special),
            false => SpecialEntries::LeaveOut,
        };
        let room = if self.no_room_check { RoomCheck::Never } else { RoomCheck::First };
        RestoreOptions { existing, special, room, choice: RestoreChoice::default() }
    }
}

fn ask_for_special() -> bool {
    ask_yes(
        "This backup has devices, programs that run as another user, or files with rights of their own. Whoever made \
         it could take over this computer with them. Make them?",
    )
}

pub(super) fn restore(
    args: &RestoreArgs,
    global: &GlobalOptions,
    output: &mut Output,
) -> Result<u8, CommandError> {
    if args.loudness.quiet {
        output.hush();
    }
    let Some(place) = &args.place else {
        return Err(ClientError::Usage("name a SOURCE, or --all".to_owned()).into());
    };
    let spot = Spot::parse_at(place, &args.at)?;
    let connection = global.connect()?;
    let source = spot.full_source(&connection)?;
    let wanted = Selection { source: &source, when: &spot.when, path: &spot.path };
    let options = args.options(output);
    if args.dry_run {
        let progress = TransferProgress::default();
        let look = || preview(&connection, &wanted, &args.to, &options, &progress);
        let seen = with_bar(&progress, output, None, look)?;
        let told = PreviewTold { source: &source, to: &args.to, loudness: args.loudness };
        let code = previewing::show(&told, &seen, output)?;
        if options.room == RoomCheck::First {
            output.flush()?;
            check_room(&args.to, seen.bytes_to_come())?;
        }
        return Ok(code);
    }
    let (progress, started) = (TransferProgress::default(), Instant::now());
    let restored = with_bar(&progress, output, None, || {
        bring_back(&connection, &wanted, &args.to, &options, &progress)
    })?;
    let seconds = started.elapsed().as_secs_f64();
    if output.is_json() {
        output.json(&serde_json::json!({
            "source": source,
            "files": restored.files,
            "folders": restored.folders,
            "bytes": restored.bytes,
            "received_bytes": progress.sent_bytes(),
            "seconds": seconds,
            "damaged": restored.damaged,
            "owners_left_out": restored.owners_left_out,
            "attributes_left_out": restored.attributes_left_out,
            "skipped": skipped_json(&restored.skipped),
        }))?;
    } else {
        tell(&restored, args, seconds, output)?;
    }
    let left_out = restored.owners_left_out + restored.attributes_left_out;
    Ok(words::exit_code(restored.damaged, restored.skipped.count, left_out))
}

fn tell(restored: &Restored, args: &RestoreArgs, seconds: f64, output: &mut Output) -> io::Result<()> {
    let to = args.to.display();
    let brought_nothing = restored.files == 0 && restored.skipped.count > 0;
    if brought_nothing {
        output.line(format!("No file was brought back into {to}; {seconds:.1} s."))?;
    } else {
        let back = words::are_back(restored.files, restored.folders, restored.bytes);
        output.note(format!("{back} in {to}; {seconds:.1} s."))?;
    }
    for line in words::left_out(restored.owners_left_out, restored.attributes_left_out) {
        output.line(line)?;
    }
    output.flush()?;
    let remedy = if restored.damaged > 0 {
        "Take the damaged ones from another snapshot: `larder versions SOURCE:PATH` lists them."
    } else {
        "Mend what is said beside each name and run it again; what is in the way stays unless you add --overwrite."
    };
    let meaning = if brought_nothing {
        "Files that were in that folder before are as they were."
    } else {
        "Everything else is back."
    };
    name_skipped(&restored.skipped, args.loudness, meaning, remedy);
    Ok(())
}

#[derive(Debug, Args)]
pub(super) struct CatArgs {
    /// SOURCE[@WHEN]:PATH
    place: OsString,
    #[command(flatten)]
    at: AtOption,
}

pub(super) fn cat(args: &CatArgs, global: &GlobalOptions, output: &mut Output) -> Result<u8, CommandError> {
    let spot = Spot::parse_at(&args.place, &args.at)?;
    let connection = global.connect()?;
    let source = spot.full_source(&connection)?;
    let wanted = Selection { source: &source, when: &spot.when, path: &spot.path };
    let mut pipe = Pipe { out: output.writer(), is_closed: false };
    let written = read_file(&connection, &wanted, &mut pipe, &TransferProgress::default());
    match written {
        // The reader of the pipe has seen enough of the file.
        Err(ClientError::Local { .. }) if pipe.is_closed => return Ok(0),
        other => drop(other?),
    }
    output.settle()?;
    Ok(0)
}

/// Remembers that the reader of the pipe went away: to the library a closed pipe is an error like any other.
struct Pipe<'a> {
    out: &'a mut dyn Write,
    is_closed: bool,
}

impl Write for Pipe<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes).inspect_err(|error| self.is_closed |= error.kind() == io::ErrorKind::BrokenPipe)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
