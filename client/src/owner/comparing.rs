//! `larder diff`: what changed between two snapshots, or between a snapshot and a folder of this computer.
//!
//! Differences are printed while they are found. Not here: finding them (the appliance, `live`).

use super::{
    choice::ChoiceArgs,
    left_out::told_of_left_out,
    options::GlobalOptions,
    output::{CommandError, Output},
    screen::say,
    skipped::{Loudness, name_files},
    spot::{AtOption, NEWEST, Spot},
};
use crate::{
    ClientError, Connection, Past, PushOptions, Remote,
    link::{changes, questions},
    live::{ContentLook, LiveEnd, LiveWish, compare_live},
    platform::{computer_name, path_of_bytes},
    settings,
};
use clap::Args;
use larder_format::wire::{Change, ChangeKind, Origin, SnapshotInfo, escape_name, unescape_name};
use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
};

#[derive(Debug, Args)]
pub(super) struct DiffArgs {
    /// SOURCE[@WHEN]; alone and without WHEN, the snapshot before the newest; with --live SOURCE[@WHEN][:PATH]
    from: OsString,
    /// SOURCE[@WHEN]; the newest if left out; with --live a folder of this computer, the one that was backed up if left out
    to: Option<OsString>,
    #[command(flatten)]
    at: AtOption,
    /// Compare with a folder of this computer as it is now
    #[arg(long)]
    live: bool,
    /// With --live: read every file, not only those whose size is the same and whose time is not
    #[arg(long, requires = "live")]
    contents: bool,
    #[command(flatten)]
    choice: ChoiceArgs,
    /// Name every file that could not be read, not only the first twenty
    #[arg(short, long)]
    verbose: bool,
}

pub(super) fn diff(args: &DiffArgs, global: &GlobalOptions, output: &mut Output) -> Result<u8, CommandError> {
    let compared = if args.live { with_folder(args, global, output) } else { two(args, global, output) };
    match compared {
        // The reader of the pipe has seen enough.
        Err(CommandError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(0),
        compared => compared,
    }
}

fn two(args: &DiffArgs, global: &GlobalOptions, output: &mut Output) -> Result<u8, CommandError> {
    let from = Spot::parse_at(&args.from, &args.at)?;
    let to = args.to.as_deref().map(Spot::parse).transpose()?;
    let connection = global.ask()?;
    let source = from.full_source(&connection)?;
    let Some(span) = span(from, to, &source, &connection)? else {
        if output.is_json() {
            output.json(&Vec::<Change>::new())?;
        } else {
            output.line(format!("{source} has one snapshot, so there is nothing to compare yet."))?;
        }
        return Ok(0);
    };
    let list = changes::changes(&connection, &source, &span)?;
    if output.is_json() {
        output.json_list::<Change, CommandError>(|each| list.each(each))?;
        return Ok(0);
    }
    let [since, until] = &span;
    output.line(format!("{source}, from {since} to {until}:"))?;
    let mut found = false;
    list.each::<CommandError>(&mut |change| {
        found = true;
        tell(&change, output)
    })?;
    if !found {
        output.line("Nothing changed.")?;
    }
    Ok(0)
}

/// The two snapshots to compare; nothing for a single snapshot. Without a typed WHEN, the newest is compared with the
/// snapshot before: compared with itself, the newest would always be equal.
fn span(
    from: Spot,
    to: Option<Spot>,
    source: &str,
    connection: &Connection,
) -> Result<Option<[String; 2]>, ClientError> {
    if !from.path.is_empty() || to.as_ref().is_some_and(|to| !to.path.is_empty()) {
        return Err(ClientError::Usage("snapshots are compared as a whole; leave out the path".to_owned()));
    }
    match to {
        Some(to) if to.full_source(connection)? != source => {
            Err(ClientError::Usage("both snapshots must be of the same source".to_owned()))
        }
        Some(to) => Ok(Some([from.when, to.when])),
        None if from.when == NEWEST => {
            let newest = questions::newest_snapshots(connection, source, 2)?.snapshots;
            Ok(newest.last_chunk().map(|two: &[_; 2]| two.each_ref().map(|one| one.snapshot.to_string())))
        }
        None => Ok(Some([from.when, NEWEST.to_owned()])),
    }
}

fn with_folder(args: &DiffArgs, global: &GlobalOptions, output: &mut Output) -> Result<u8, CommandError> {
    let spot = Spot::parse_at(&args.from, &args.at)?;
    let connection = global.connect()?;
    let source = spot.full_source(&connection)?;
    let snapshot = connection.snapshot(&source, &spot.when)?;
    let folder = match &args.to {
        Some(folder) => PathBuf::from(folder),
        None => backed_up_folder(&snapshot, &spot.path)?,
    };
    let options = options(args, global, &connection, &source, &folder)?;
    let look = if args.contents { ContentLook::Always } else { ContentLook::WhereUnsure };
    let wish = LiveWish { root: snapshot.root, path: &spot.path, options: &options, look };
    let end = if output.is_json() {
        let mut end = LiveEnd::default();
        output.json_list::<Change, CommandError>(|each| {
            end = compare_live(&connection, &folder, &wish, each)?;
            Ok(())
        })?;
        end
    } else {
        let number = snapshot.snapshot;
        output.line(format!("{source}, from {number} to {} now:", folder.display()))?;
        compare_live::<CommandError>(&connection, &folder, &wish, &mut |change| tell(&change, output))?
    };
    told_at_the_end(&end, args, output)
}

fn options(
    args: &DiffArgs,
    global: &GlobalOptions,
    connection: &Connection,
    source: &str,
    folder: &Path,
) -> Result<PushOptions, ClientError> {
    let choice = args.choice.clone().with_scheduled(folder);
    Ok(PushOptions {
        default_excludes: choice.default_excludes(),
        own_keys: global.key_places()?,
        one_filesystem: choice.one_filesystem,
        exclude: choice.exclude,
        cache: Some(settings::cache_path(&connection.identity()?.vault, source)?),
        ..PushOptions::default()
    })
}

/// The folder that the snapshot was made of, if that was on this computer.
fn backed_up_folder(snapshot: &SnapshotInfo, path: &[u8]) -> Result<PathBuf, ClientError> {
    let unknown = |what: String| ClientError::NotThere {
        what,
        remedy: "Name the folder to compare with: `larder diff SOURCE --live FOLDER`.",
    };
    let Some(Origin { computer, path: top }) = &snapshot.origin else {
        return Err(unknown(format!(
            "Snapshot {} does not say which folder it was made of.",
            snapshot.snapshot
        )));
    };
    if *computer != escape_name(&computer_name().unwrap_or_default()) {
        return Err(unknown(format!(
            "Snapshot {} was made on another computer, {computer}.",
            snapshot.snapshot
        )));
    }
    let top =
        unescape_name(top).ok_or_else(|| unknown(format!("The folder {top} cannot be read as a path.")))?;
    let top = path_of_bytes(&top);
    Ok(if path.is_empty() { top.into_owned() } else { top.join(path_of_bytes(path)) })
}

fn told_at_the_end(end: &LiveEnd, args: &DiffArgs, output: &mut Output) -> Result<u8, CommandError> {
    let is_unsure = end.skipped.count > 0 || end.damaged.count > 0;
    if !output.is_json() {
        if end.changes == 0 && !is_unsure {
            output.line("Nothing changed.")?;
        }
        for line in told_of_left_out(&end.left_out) {
            output.line(line)?;
        }
    }
    output.flush()?;
    let loudness = if args.verbose { Loudness::ALL_NAMES } else { Loudness::default() };
    if end.damaged.count > 0 {
        say("The snapshot is damaged; this could not be compared:");
        name_files(&end.damaged, loudness, ["folder or file", "folders or files"]);
        say(
            "Run `larderd scrub` on the appliance: it names what is lost. A push from this computer heals what is here.",
        );
        return Ok(6);
    }
    if end.skipped.count > 0 {
        say("This could not be read here, and was not compared:");
        name_files(&end.skipped, loudness, ["file or folder", "files or folders"]);
        say("Nothing that is kept is touched by that. Run this as a user who may read it.");
        return Ok(3);
    }
    Ok(0)
}

fn tell(change: &Change, output: &mut Output) -> Result<(), CommandError> {
    let line = format!("{}  {}", change_word(&change.change), change.path);
    // For nobody, nothing is fetched.
    Ok(output.line_or_stop(line)?)
}

fn change_word(change: &ChangeKind) -> &str {
    match change {
        ChangeKind::Added => "added      ",
        ChangeKind::Removed => "deleted    ",
        ChangeKind::Content => "changed    ",
        ChangeKind::Attributes => "attributes ",
        ChangeKind::Kind => "other kind ",
        ChangeKind::Other(word) => word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_format::{ChunkRef, tree::Totals};
    use std::path::Path;

    fn snapshot(origin: Option<Origin>) -> SnapshotInfo {
        SnapshotInfo {
            source: "a/b".to_owned(),
            snapshot: 7,
            time: String::new(),
            root: ChunkRef::to(b""),
            totals: Totals::default(),
            skipped: 0,
            reasons: Vec::new(),
            kept_until: None,
            set_aside: None,
            label: None,
            damaged: false,
            origin,
        }
    }

    /// Compared with a folder of the same name on another computer, everything would be called deleted.
    #[test]
    fn the_folder_is_that_of_this_computer_or_named() {
        let computer = escape_name(&computer_name().unwrap_or_default());
        let here = snapshot(Some(Origin { computer, path: "/home/a\\\\b".to_owned() }));
        assert_eq!(backed_up_folder(&here, b"").unwrap(), Path::new("/home/a\\b"));
        assert_eq!(backed_up_folder(&here, b"c/d").unwrap(), Path::new("/home/a\\b/c/d"));
        let there = Origin { computer: "another computer".to_owned(), path: "/home".to_owned() };
        for unknown in [snapshot(Some(there)), snapshot(None)] {
            assert_eq!(backed_up_folder(&unknown, b"").unwrap_err().exit_code(), 1);
        }
    }

    #[test]
    fn kinds_of_change_are_words_on_the_wire_and_a_newer_one_is_shown() {
        use ChangeKind::{Added, Attributes, Content, Kind, Other, Removed};
        let words = [
            (Added, "added"),
            (Removed, "removed"),
            (Content, "content"),
            (Attributes, "attributes"),
            (Kind, "kind"),
            (Other("moved".into()), "moved"),
        ];
        for (kind, word) in words {
            assert_eq!(serde_json::to_value(&kind).expect("a word"), word);
            assert_eq!(serde_json::from_value::<ChangeKind>(word.into()).expect("a kind"), kind);
        }
        assert_eq!(change_word(&Other("moved".into())), "moved");
    }
}
