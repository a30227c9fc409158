//! `larder push`: each folder becomes a snapshot of its own source.

use super::{
    around::{AroundArgs, AroundPush, told_after},
    changed::{changed_json, new_in_words},
    choice::ChoiceArgs,
    help::LEFT_OUT,
    left_out::{left_out_json, told_of_left_out},
    offering::offer_schedule,
    options::GlobalOptions,
    output::{CommandError, Output, counted, size},
    past_watch::PastWatch,
    progress::with_bar,
    push_preview::FolderPreview,
    skipped::{Loudness, name_skipped, skipped_json},
    source_name::{name_at, require_different, typed_name},
    words,
};
use crate::{
    ClientError, Connection, PushOptions, Pushed, Remote, TransferProgress,
    push::{measured, named_folder, preview_push, push as push_folder, start},
    settings, source_name_for,
};
use clap::Args;
use larder_format::wire::Identity;
use std::{
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
    time::Instant,
};

#[derive(Debug, Args)]
#[command(after_help = LEFT_OUT)]
pub(super) struct PushArgs {
    /// The folders to back up
    #[arg(required = true)]
    pub(super) folders: Vec<PathBuf>,
    /// Name of the source; the folder's own name if left out
    #[arg(long, value_name = "NAME")]
    pub(super) source: Option<String>,
    #[command(flatten)]
    choice: ChoiceArgs,
    /// The folder of this source is at another place now, or its computer has another name
    #[arg(long)]
    moved: bool,
    /// A folder that has backups is empty now on purpose; otherwise it is taken for a disk that is not mounted
    #[arg(long)]
    empty: bool,
    /// Send nothing: tell what would be in the backup, what changed since the last one, and what would be left out
    #[arg(long, conflicts_with_all = ["watch", "before", "after"])]
    dry_run: bool,
    /// Go on until interrupted: send what changes within seconds, with a snapshot every quarter-hour at most
    #[arg(long, conflicts_with_all = ["before", "after"])]
    pub(super) watch: bool,
    /// With --watch: also while the computer runs on its battery
    #[arg(long, requires = "watch")]
    pub(super) on_battery: bool,
    /// With --watch: also over a connection that costs by volume, such as a phone
    #[arg(long = "metered", requires = "watch")]
    pub(super) on_metered: bool,
    #[command(flatten)]
    pub(super) around: AroundArgs,
    #[command(flatten)]
    pub(super) loudness: Loudness,
}

impl PushArgs {
    /// The same with `--watch`.
    pub(super) fn watching(self, on_battery: bool, on_metered: bool) -> Self {
        Self { watch: true, on_battery, on_metered, ..self }
    }

    /// How to push a folder as `source`.
    pub(super) fn options_for(
        &self,
        source: &str,
        identity: &Identity,
        global: &GlobalOptions,
    ) -> Result<PushOptions, ClientError> {
        Ok(PushOptions {
            exclude: self.choice.exclude.clone(),
            default_excludes: self.choice.default_excludes(),
            own_keys: global.key_places()?,
            one_filesystem: self.choice.one_filesystem,
            cache: Some(settings::cache_path(&identity.vault, source)?),
            moved: self.moved,
            may_be_empty: self.empty,
            features: identity.features.clone(),
            ..PushOptions::default()
        })
    }
}

pub(super) fn push(args: &PushArgs, global: &GlobalOptions, output: &mut Output) -> Result<u8, CommandError> {
    // Before any request: a wrong name among many must not leave half of the folders pushed.
    args.folders.iter().try_for_each(|folder| named_folder(folder).map(drop))?;
    let typed = typed_source(args.source.as_deref(), &args.folders)?;
    if args.loudness.quiet {
        output.hush();
    }
    let connection = global.connect()?.with_limit(args.around.limit);
    let identity = connection.identity()?;
    let names = source_names(args, typed, &connection, &identity)?;
    if args.dry_run {
        return PushDryRun { args, connection: &connection, identity: &identity, global }.tell(names, output);
    }
    let mut watch = PastWatch::start(&connection, &identity)?;
    let mut pushes = Vec::new();
    for (folder, name) in args.folders.iter().zip(names) {
        let source = format!("{}/{name}", identity.device);
        let options = args.options_for(&source, &identity, global)?;
        // Likewise for another folder under the name of a source.
        start(&connection, &source, folder, &options)?;
        pushes.push(One { connection: &connection, source, folder, options, args });
    }
    let mut worst = 0;
    let mut told = Vec::new();
    for push in pushes {
        let done = match push.run(output) {
            // Without this a program would not learn of the folders that are safe already.
            Err(trouble) if output.is_json() && !told.is_empty() => {
                output.json(&serde_json::json!({
                    "pushes": told,
                    "past_was_changed": watch.alarm,
                    "problem": words::problem_of(&trouble),
                }))?;
                return Ok(trouble.exit_code());
            }
            other => other?,
        };
        // Before any output: printing may fail.
        watch.saw(&done.pushed);
        if !output.is_json() {
            push.tell(&done, output)?;
        }
        worst = match (told_after(&done.after, output.is_json()), done.pushed.skipped.count) {
            (failed @ 1.., _) => failed,
            (0, 1..) if worst == 0 => 3,
            _ => worst,
        };
        told.push(done.json());
    }
    if watch.is_first {
        offer_schedule(&args.folders, output)?;
    }
    if output.is_json() {
        output.json(&serde_json::json!({ "pushes": told, "past_was_changed": watch.alarm }))?;
    }
    Ok(if watch.alarm { 6 } else { worst })
}

/// `--dry-run`: the same folders, and nothing is sent.
struct PushDryRun<'a> {
    args: &'a PushArgs,
    connection: &'a Connection,
    identity: &'a Identity,
    global: &'a GlobalOptions,
}

impl PushDryRun<'_> {
    /// Tells what the push would do, folder by folder.
    fn tell(&self, names: Vec<String>, output: &mut Output) -> Result<u8, CommandError> {
        let Self { args, connection, identity, global } = *self;
        let (mut worst, mut told) = (0, Vec::new());
        for (folder, name) in args.folders.iter().zip(names) {
            let source = format!("{}/{name}", identity.device);
            let options = args.options_for(&source, identity, global)?;
            let look = || preview_push(connection, &source, folder, &options);
            let seen = with_bar(&TransferProgress::default(), output, None, look)?;
            let preview = FolderPreview { source: &source, folder, loudness: args.loudness, seen };
            worst = worst.max(preview.exit_code());
            if output.is_json() {
                told.push(preview.json());
            } else {
                preview.tell(output)?;
            }
        }
        if output.is_json() {
            output.json(&serde_json::json!({ "pushes": told, "dry_run": true }))?;
        } else {
            output.line("This was a dry run: nothing was sent.")?;
        }
        Ok(worst)
    }
}

/// The typed name, if any. Before any request: a wrong name must not cost a connection.
pub(super) fn typed_source(typed: Option<&str>, folders: &[PathBuf]) -> Result<Option<String>, ClientError> {
    let Some(name) = typed else {
        let names = folders.iter().map(|folder| named_folder(folder).map(|folder| source_name_for(&folder)));
        let names: Vec<_> = names.collect::<Result<_, _>>()?;
        return require_different(names.iter().flatten()).map(|()| None);
    };
    if folders.len() > 1 {
        return Err(ClientError::Usage(
            "--source names one source, and there are several folders".to_owned(),
        ));
    }
    typed_name(name).map(Some)
}

/// The name of each folder's source at this appliance.
fn source_names(
    args: &PushArgs,
    typed: Option<String>,
    connection: &Connection,
    identity: &Identity,
) -> Result<Vec<String>, ClientError> {
    if let Some(name) = typed {
        return Ok(vec![name]);
    }
    let names = args.folders.iter().map(|folder| name_at(connection, identity, folder));
    let names: Vec<_> = names.collect::<Result<_, _>>()?;
    require_different(&names)?;
    Ok(names)
}

struct One<'a> {
    connection: &'a Connection,
    source: String,
    folder: &'a Path,
    options: PushOptions,
    args: &'a PushArgs,
}

/// The result of a push.
struct Done {
    pushed: Pushed,
    after: Result<(), ClientError>,
    progress: TransferProgress,
    seconds: f64,
}

impl One<'_> {
    fn run(&self, output: &Output) -> Result<Done, ClientError> {
        let folder = named_folder(self.folder)?;
        let around = AroundPush { args: &self.args.around, source: &self.source, folder: &folder };
        around.before()?;
        let progress = TransferProgress::default();
        let started = Instant::now();
        let measure = |done: &AtomicBool| measured(self.folder, &self.options, done);
        let pushed = with_bar(&progress, output, Some(&measure), || {
            push_folder(self.connection, &self.source, self.folder, &self.options, &progress)
        });
        let measure = || measure(&AtomicBool::new(false)).map(|found| found.bytes);
        let pushed = pushed.map_err(|trouble| with_what_was_to_come(trouble, measure, &progress));
        let seconds = started.elapsed().as_secs_f64();
        let after = around.after(pushed.as_ref());
        match pushed {
            Ok(pushed) => Ok(Done { pushed, after, progress, seconds }),
            Err(trouble) => {
                told_after(&after, output.is_json());
                Err(trouble)
            }
        }
    }

    fn tell(&self, done: &Done, output: &mut Output) -> std::io::Result<()> {
        let Done { pushed, progress, seconds, .. } = done;
        let Pushed { receipt, totals, skipped, left_out, .. } = pushed;
        output.note(format!(
            "{}: snapshot {} with {} in {}, {}.",
            self.source,
            receipt.snapshot,
            counted(totals.files, "file", "files"),
            counted(totals.directories, "folder", "folders"),
            size(totals.bytes),
        ))?;
        output.note(format!(
            "{}; {seconds:.1} s. Kept on {}.",
            new_in_words(pushed.changed, progress),
            counted(receipt.disks.len() as u64, "disk", "disks"),
        ))?;
        for line in told_of_left_out(left_out) {
            output.note(line)?;
        }
        if !receipt.degraded.is_empty() {
            lacking(&receipt.degraded).iter().try_for_each(|line| output.line(line))?;
        }
        output.flush()?;
        name_skipped(
            skipped,
            self.args.loudness,
            &format!("Everything else ({}) is in the backup.", counted(totals.files, "file", "files")),
            "Mend what is said beside each name and push again, or leave them out with --exclude.",
        );
        Ok(())
    }
}

/// A refusal for want of room, with how much of the folder was still to come. The appliance knows only what had been sent, so
/// its number alone would be taken for all that is missing.
fn with_what_was_to_come(
    trouble: ClientError,
    measure: impl FnOnce() -> Option<u64>,
    progress: &TransferProgress,
) -> ClientError {
    let ClientError::Refused(mut problem) = trouble else { return trouble };
    if problem.code == "full"
        && let Some(all) = measure()
    {
        let left = all.saturating_sub(progress.passed_bytes());
        // All of a small folder is read before the first answer comes, and none of it may have arrived.
        if left > 0 {
            let (all, left) = (size(all), size(left));
            problem.what =
                format!("{} Of the {all} in this folder up to {left} were still to come.", problem.what);
        }
    }
    ClientError::Refused(problem)
}

/// Tells of disks that lack a backup. The appliance tells why: a disk may be away, or still being filled.
fn lacking(degraded: &[String]) -> [String; 4] {
    let disks = counted(degraded.len() as u64, "disk does", "disks do");
    [
        format!("{disks} not have this backup yet."),
        "Your files are safe on the disks that have it.".to_owned(),
        "`larder status` says why; a disk that is being filled needs nothing.".to_owned(),
        format!("details: {}", degraded.join(", ")),
    ]
}

impl Done {
    fn json(&self) -> serde_json::Value {
        let Self { pushed, after, progress, seconds } = self;
        let Pushed { receipt, totals, skipped, left_out, changed, .. } = pushed;
        serde_json::json!({
            "receipt": receipt,
            "totals": totals,
            "changed": changed_json(*changed),
            "new_bytes": progress.new_bytes(),
            "sent_bytes": progress.sent_bytes(),
            "seconds": seconds,
            "skipped": skipped_json(skipped),
            "left_out": left_out_json(left_out),
            "after_failed": after.as_ref().err().map(words::problem_of),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_format::wire::Problem;

    /// Told that 58 MiB are missing, nobody knows that 340 are.
    #[test]
    fn a_full_disk_is_told_with_what_was_still_to_come() {
        let progress = TransferProgress::default();
        progress.pass(300);
        let told = |code: &str| {
            let problem = Problem {
                code: code.to_owned(),
                what: "The disk is full.".to_owned(),
                meaning: String::new(),
                remedy: String::new(),
                details: String::new(),
            };
            match with_what_was_to_come(ClientError::Refused(Box::new(problem)), || Some(900), &progress) {
                ClientError::Refused(told) => told.what,
                other => panic!("{other:?}"),
            }
        };
        let all = "The disk is full. Of the 900 B in this folder up to 600 B were still to come.";
        assert_eq!(told("full"), all);
        assert_eq!(told("forbidden"), "The disk is full.");
        progress.pass(600);
        assert_eq!(told("full"), "The disk is full.", "nothing is known to be to come");
    }

    #[test]
    fn a_disk_without_the_backup_is_not_called_missing() {
        let told = lacking(&["0011".to_owned()]);
        assert_eq!(told[0], "1 disk does not have this backup yet.");
        let told = lacking(&["0011".to_owned(), "2233".to_owned()]);
        assert_eq!(told[0], "2 disks do not have this backup yet.");
        let told = told.join("\n");
        assert!(
            !told.contains("onnect") && !told.contains("missing") && told.contains("larder status"),
            "{told}"
        );
    }
}
