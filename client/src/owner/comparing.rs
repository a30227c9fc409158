//! `larder diff`: what changed between two snapshots, or between a snapshot and a folder of this computer.
//!
//! Differences from a folder here are printed while they are found; those of two snapshots once all are known, so that
//! what was moved is told once. Not here: finding them (the appliance, `live`).

use super::{
    choice::ChoiceArgs,
    left_out::told_of_left_out,
    moves::{HELD_BYTES_MAX, HELD_MAX, bytes_of, with_moves},
    options::GlobalOptions,
    output::{CommandError, Output, count, moment},
    progress::with_bar_unless,
    screen::say,
    skipped::{Loudness, name_files},
    spot::{AtOption, NEWEST, Spot},
};
use crate::{
    ClientError, Connection, Past, PushOptions, Remote, TransferProgress,
    link::{
        changes,
        listing::{self, ListedPlace},
        questions,
    },
    live::{ContentLook, LiveEnd, LiveWish, compare_live},
    platform::{computer_name, path_of_bytes},
    settings,
};
use clap::Args;
use larder_format::wire::{Change, ChangeKind, EntryInfo, Origin, SnapshotInfo, escape_name, unescape_name};
use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
};

#[derive(Debug, Args)]
pub(super) struct DiffArgs {
    /// SOURCE[@WHEN][:PATH]; alone and without WHEN, the snapshot before the newest
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
    let path = from.path.clone();
    let Some(span) = span(from, to, &source, &connection)? else {
        if output.is_json() {
            output.json(&Vec::<Change>::new())?;
        } else {
            output.line(format!("{source} has one snapshot, so there is nothing to compare yet."))?;
        }
        return Ok(0);
    };
    let when = span.each_ref().map(|snapshot| snapshot.snapshot.to_string());
    let list = changes::changes(&connection, &source, &when)?;
    let (progress, mut end) = (TransferProgress::default(), SpanEnd::default());
    if output.is_json() {
        output.json_list::<Change, CommandError>(|each| {
            end = each_of(list, &path, &progress, each)?;
            Ok(())
        })?;
    } else {
        let [since, until] = span.each_ref().map(named);
        let part = if path.is_empty() { String::new() } else { format!(":{}", escape_name(&path)) };
        output.line(format!("{source}{part}, from {since} to {until}:"))?;
        let look = || each_of(list, &path, &progress, &mut |change| tell(&change, output));
        end = with_bar_unless(false, &progress, None, look)?;
    }
    if end.changes == 0 {
        require_there(&connection, &source, &when, &path)?;
        if !output.is_json() {
            output.line("Nothing changed.")?;
        }
    }
    if end.is_long {
        let told = format!(
            "There are {} differences, too many to look for what was moved: that is shown as deleted and added.",
            count(end.changes)
        );
        // The list of a program is a list of differences, and nothing else.
        if output.is_json() { say(told) } else { output.line(told)? }
    }
    Ok(0)
}

/// The end of a list of differences.
#[derive(Debug, Default)]
struct SpanEnd {
    changes: u64,
    /// Whether there were too many to look for what was moved.
    is_long: bool,
    /// Whether they are no longer held back.
    is_streaming: bool,
}

/// Whether the content of what is new or gone is not named, although there is some.
fn is_nameless(change: &Change) -> bool {
    let has_content = |entry: &EntryInfo| entry.kind == "file" && entry.bytes > 0;
    match (&change.before, &change.after, &change.content) {
        (None, Some(entry), None) | (Some(entry), None, None) => has_content(entry),
        _ => false,
    }
}

/// Hands over each difference at `path` and below; what was moved once.
fn each_of(
    list: changes::ChangeList<'_>,
    path: &[u8],
    progress: &TransferProgress,
    each: &mut dyn FnMut(Change) -> Result<(), CommandError>,
) -> Result<SpanEnd, CommandError> {
    let path = escape_name(path);
    let is_in = |changed: &str| {
        path.is_empty()
            || changed.strip_prefix(&path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let (mut held, mut held_bytes, mut end) = (Vec::new(), 0, SpanEnd::default());
    list.each::<CommandError>(&mut |change| {
        if !is_in(&change.path) {
            return Ok(());
        }
        end.changes += 1;
        progress.add_files(1);
        if end.is_streaming {
            return each(change);
        }
        held_bytes += bytes_of(&change);
        // An older appliance names no content, and nothing can be paired.
        let is_blind = is_nameless(&change);
        held.push(change);
        if is_blind || held.len() > HELD_MAX || held_bytes > HELD_BYTES_MAX {
            (end.is_long, end.is_streaming) = (!is_blind, true);
            held.drain(..).try_for_each(&mut *each)?;
        }
        Ok(())
    })?;
    with_moves(held).into_iter().try_for_each(each)?;
    Ok(end)
}

/// A path that neither snapshot has is a mistake of whoever typed it, and not a part without differences.
fn require_there(
    connection: &Connection,
    source: &str,
    span: &[String; 2],
    path: &[u8],
) -> Result<(), ClientError> {
    if path.is_empty() {
        return Ok(());
    }
    let mut missing = None;
    for when in span {
        match listing::list(connection, ListedPlace { source, when, path }) {
            Ok(_) => return Ok(()),
            Err(trouble) => missing = Some(trouble),
        }
    }
    missing.map_or(Ok(()), Err)
}

/// A snapshot by its number and its time. `newest` alone would say nothing a day later, and nothing to somebody else.
fn named(snapshot: &SnapshotInfo) -> String {
    format!("snapshot {} ({})", snapshot.snapshot, moment(&snapshot.time))
}

/// The two snapshots to compare; nothing for a single snapshot. Without a typed WHEN, the newest is compared with the
/// snapshot before: compared with itself, the newest would always be equal.
fn span(
    from: Spot,
    to: Option<Spot>,
    source: &str,
    connection: &Connection,
) -> Result<Option<[SnapshotInfo; 2]>, ClientError> {
    if to.as_ref().is_some_and(|to| !to.path.is_empty() && to.path != from.path) {
        let why = "one path is compared at two moments; write the path once, behind the first";
        return Err(ClientError::Usage(why.to_owned()));
    }
    let both = |to: &str| -> Result<_, ClientError> {
        Ok(Some([connection.snapshot(source, &from.when)?, connection.snapshot(source, to)?]))
    };
    match to {
        Some(to) if to.full_source(connection)? != source => {
            Err(ClientError::Usage("both snapshots must be of the same source".to_owned()))
        }
        Some(to) => both(&to.when),
        None if from.when == NEWEST => {
            let newest = questions::newest_snapshots(connection, source, 2)?.snapshots;
            Ok(newest.last_chunk().cloned())
        }
        None => both(NEWEST),
    }
}

fn with_folder(args: &DiffArgs, global: &GlobalOptions, output: &mut Output) -> Result<u8, CommandError> {
    let spot = Spot::parse_at(&args.from, &args.at)?;
    let connection = global.connect()?;
    let source = spot.full_source(&connection)?;
    let snapshot = connection.snapshot(&source, &spot.when)?;
    let folder = match &args.to {
        Some(folder) => PathBuf::from(folder),
        // Where the source lives now: the snapshot may be of a time before the folder moved.
        None => backed_up_folder(&connection.snapshot(&source, NEWEST)?, &spot.path)?,
    };
    let options = options(args, global, &connection, &source, &folder)?;
    let look = if args.contents { ContentLook::Always } else { ContentLook::WhereUnsure };
    let wish = LiveWish { root: snapshot.root, path: &spot.path, options: &options, look };
    let progress = TransferProgress::default();
    let end = if output.is_json() {
        let mut end = LiveEnd::default();
        output.json_list::<Change, CommandError>(|each| {
            end = compare_live(&connection, &folder, &wish, &progress, each)?;
            Ok(())
        })?;
        end
    } else {
        output.line(format!("{source}, from {} to {} now:", named(&snapshot), folder.display()))?;
        let compare = || {
            let mut told = |change| tell(&change, output);
            compare_live::<CommandError>(&connection, &folder, &wish, &progress, &mut told)
        };
        with_bar_unless(false, &progress, None, compare)?
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
    if !top.is_dir() {
        return Err(ClientError::NotThere {
            what: format!(
                "{} is a backup of {}, and no such folder is there any more.",
                snapshot.source,
                top.display()
            ),
            remedy: "If its disk is not mounted, mount it. If it has moved, name it: `larder diff SOURCE --live FOLDER`; after \
                     `larder push FOLDER --source NAME --moved` it is found by itself.",
        });
    }
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
    let word = change_word(&change.change);
    let line = match &change.from {
        Some(from) => format!("{word}  {from} -> {}", change.path),
        None => format!("{word}  {}", change.path),
    };
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
        ChangeKind::Moved => "moved      ",
        ChangeKind::Other(word) => word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_format::{ChunkRef, tree::Totals};

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
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("a\\b");
        std::fs::create_dir(&folder).unwrap();
        let path = escape_name(folder.as_os_str().as_encoded_bytes());
        let here = snapshot(Some(Origin { computer, path }));
        assert_eq!(backed_up_folder(&here, b"").unwrap(), folder);
        assert_eq!(backed_up_folder(&here, b"c/d").unwrap(), folder.join("c/d"));
        std::fs::rename(&folder, place.path().join("moved")).unwrap();
        let moved = backed_up_folder(&here, b"").unwrap_err();
        let told = super::super::words::problem_of(&moved);
        assert!(told.what.contains("no such folder is there any more"), "{told:?}");
        assert!(told.remedy.contains("--live FOLDER") && told.remedy.contains("--moved"), "{told:?}");
        let there = Origin { computer: "another computer".to_owned(), path: "/home".to_owned() };
        for unknown in [snapshot(Some(there)), snapshot(None)] {
            assert_eq!(backed_up_folder(&unknown, b"").unwrap_err().exit_code(), 1);
        }
    }

    #[test]
    fn kinds_of_change_are_words_on_the_wire_and_a_newer_one_is_shown() {
        use ChangeKind::{Added, Attributes, Content, Kind, Moved, Other, Removed};
        let words = [
            (Added, "added"),
            (Removed, "removed"),
            (Content, "content"),
            (Attributes, "attributes"),
            (Kind, "kind"),
            (Moved, "moved"),
            (Other("renamed".into()), "renamed"),
        ];
        for (kind, word) in words {
            assert_eq!(serde_json::to_value(&kind).expect("a word"), word);
            assert_eq!(serde_json::from_value::<ChangeKind>(word.into()).expect("a kind"), kind);
        }
        assert_eq!(change_word(&Other("renamed".into())), "renamed");
    }
}
