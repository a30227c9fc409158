//! `larder restore` and `larder cat`: files come back.

use super::{
    cli::Common,
    output::{Failure, Output, counted, size},
    progress::with_bar,
    spot::Spot,
    words,
};
use crate::{
    Existing, Progress, RestoreOptions, Restored, Trouble, Wanted, read_file, restore as bring_back,
};
use clap::Args;
use std::{
    ffi::{OsStr, OsString},
    path::PathBuf,
    time::Instant,
};

#[derive(Debug, Args)]
pub(super) struct RestoreArgs {
    /// SOURCE[@WHEN][:PATH]; without PATH everything, straight into DIR; with PATH, DIR gets that file or folder
    place: OsString,
    /// The folder to restore into; it is made if it is not there
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Replace files in DIR that have the same names; without this they stay and are named
    #[arg(long)]
    overwrite: bool,
}

pub(super) fn restore(args: &RestoreArgs, common: &Common, output: &mut Output) -> Result<u8, Failure> {
    let spot = Spot::parse(&args.place)?;
    let connection = common.connect()?;
    let source = spot.full_source(&connection)?;
    let wanted = Wanted { source: &source, when: &spot.when, path: &spot.path };
    let existing = if args.overwrite { Existing::Replace } else { Existing::Keep };
    let (progress, started) = (Progress::default(), Instant::now());
    let restored = with_bar(&progress, output.is_json(), None, || {
        bring_back(&connection, &wanted, &args.to, &RestoreOptions { existing }, &progress)
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
            "skipped": words::skipped_json(&restored.skipped),
        }))?;
    } else {
        tell(&restored, args, seconds, output)?;
    }
    Ok(match &restored {
        Restored { damaged: 1.., .. } => 6,
        Restored { skipped, .. } if skipped.count > 0 => 3,
        _ => 0,
    })
}

fn tell(restored: &Restored, args: &RestoreArgs, seconds: f64, output: &mut Output) -> std::io::Result<()> {
    output.line(format!(
        "{} in {}, {}, are back in {}; {seconds:.1} s.",
        counted(restored.files, "file", "files"),
        counted(restored.folders, "folder", "folders"),
        size(restored.bytes),
        args.to.display(),
    ))?;
    if restored.owners_left_out > 0 {
        output.line(format!(
            "{} to you now: only root can give files to others.",
            counted(restored.owners_left_out, "of them belongs", "of them belong"),
        ))?;
    }
    if restored.attributes_left_out > 0 {
        output.line(format!(
            "{} not taken by the target's filesystem or need root.",
            counted(restored.attributes_left_out, "extended attribute was", "extended attributes were"),
        ))?;
    }
    output.flush()?;
    let remedy = if restored.damaged > 0 {
        "Take the damaged ones from another snapshot: `larder versions SOURCE:PATH` lists them."
    } else {
        "Restore into an empty folder, or replace what is there with --overwrite."
    };
    words::name_skipped(&restored.skipped, "Everything else is back.", remedy);
    Ok(())
}

pub(super) fn cat(place: &OsStr, common: &Common, output: &mut Output) -> Result<u8, Failure> {
    let spot = Spot::parse(place)?;
    let connection = common.connect()?;
    let source = spot.full_source(&connection)?;
    let wanted = Wanted { source: &source, when: &spot.when, path: &spot.path };
    let written = read_file(&connection, &wanted, output.writer(), &Progress::default());
    match written {
        // The file's reader is gone; the library only sees that writing failed.
        Err(Trouble::Local { .. })
            if output.flush().is_err_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe) =>
        {
            Ok(0)
        }
        other => Ok(other.map(|_| 0)?),
    }
}
