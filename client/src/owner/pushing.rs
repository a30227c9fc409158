//! `larder push`: each folder becomes a snapshot of its own source.

use super::{
    options::GlobalOptions,
    output::{CommandError, Output, counted, size},
    progress::{measured, with_bar},
    source_name::{name_at, require_different, typed_name},
    words::{self, say},
};
use crate::{
    ClientError, Connection, PushOptions, Pushed, Remote, TransferProgress,
    link::questions::ledger_entry,
    push::{named_folder, push as push_folder, start},
    settings::{self, SeenHead},
    source_name_for,
};
use clap::Args;
use larder_format::wire::Identity;
use std::{
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
    time::Instant,
};

/// Files named in a `.larderignore`, contents of folders with a CACHEDIR.TAG and the kernel's own filesystems (/proc,
/// /sys) are left out; what a .gitignore names is not.
#[derive(Debug, Args)]
pub(super) struct PushArgs {
    /// The folders to back up
    #[arg(required = true)]
    folders: Vec<PathBuf>,
    /// Name of the source; the folder's own name if left out
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Leave out what matches, by the rules of a .gitignore; may be given several times
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,
    /// Leave folders empty that lie on another filesystem
    #[arg(long)]
    one_filesystem: bool,
    /// The folder of this source is at another place now, or its computer has another name
    #[arg(long)]
    moved: bool,
}

pub(super) fn push(args: &PushArgs, global: &GlobalOptions, output: &mut Output) -> Result<u8, CommandError> {
    // Before any request: a wrong name among many must not leave half of the folders pushed.
    args.folders.iter().try_for_each(|folder| named_folder(folder).map(drop))?;
    let typed = typed_source(args)?;
    let connection = global.connect()?;
    let identity = connection.identity()?;
    let names = source_names(args, typed, &connection, &identity)?;
    let mut watch = PastWatch::start(&connection, &identity)?;
    let mut pushes = Vec::new();
    for (folder, name) in args.folders.iter().zip(names) {
        let source = format!("{}/{name}", identity.device);
        let options = PushOptions {
            exclude: args.exclude.clone(),
            one_filesystem: args.one_filesystem,
            cache: Some(settings::cache_path(&identity.vault, &source)?),
            moved: args.moved,
            features: identity.features.clone(),
            ..PushOptions::default()
        };
        // Likewise for another folder under the name of a source.
        start(&connection, &source, folder, &options)?;
        pushes.push(One { connection: &connection, source, folder, options });
    }
    let mut worst = 0;
    let mut told = Vec::new();
    for push in pushes {
        let done = match push.run(output.is_json()) {
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
        if done.pushed.skipped.count > 0 {
            worst = 3;
        }
        told.push(done.json());
    }
    if output.is_json() {
        output.json(&serde_json::json!({ "pushes": told, "past_was_changed": watch.alarm }))?;
    }
    Ok(if watch.alarm { 6 } else { worst })
}

/// The typed name, if any. Before any request: a wrong name must not cost a connection.
fn typed_source(args: &PushArgs) -> Result<Option<String>, ClientError> {
    let Some(name) = &args.source else {
        let names =
            args.folders.iter().map(|folder| named_folder(folder).map(|folder| source_name_for(&folder)));
        let names: Vec<_> = names.collect::<Result<_, _>>()?;
        return require_different(names.iter().flatten()).map(|()| None);
    };
    if args.folders.len() > 1 {
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
}

/// The result of a push.
struct Done {
    pushed: Pushed,
    progress: TransferProgress,
    seconds: f64,
}

impl One<'_> {
    fn run(&self, is_json: bool) -> Result<Done, ClientError> {
        let progress = TransferProgress::default();
        let started = Instant::now();
        let pushed = with_bar(&progress, is_json, Some(self.folder), || {
            push_folder(self.connection, &self.source, self.folder, &self.options, &progress)
        });
        let pushed = pushed.map_err(|trouble| with_what_was_to_come(trouble, self.folder, &progress))?;
        Ok(Done { pushed, progress, seconds: started.elapsed().as_secs_f64() })
    }

    fn tell(&self, done: &Done, output: &mut Output) -> std::io::Result<()> {
        let Done { pushed: Pushed { receipt, totals, skipped }, progress, seconds } = done;
        output.line(format!(
            "{}: snapshot {} with {} in {}, {}.",
            self.source,
            receipt.snapshot,
            counted(totals.files, "file", "files"),
            counted(totals.directories, "folder", "folders"),
            size(totals.bytes),
        ))?;
        output.line(format!(
            "New: {}; sent: {}; {seconds:.1} s. Kept on {}.",
            size(progress.new_bytes()),
            size(progress.sent_bytes()),
            counted(receipt.disks.len() as u64, "disk", "disks"),
        ))?;
        if !receipt.degraded.is_empty() {
            output.line(lacking(&receipt.degraded))?;
        }
        output.flush()?;
        words::name_skipped(
            skipped,
            &format!("Everything else ({}) is in the backup.", counted(totals.files, "file", "files")),
            "Mend what is said beside each name and push again, or leave them out with --exclude.",
        );
        Ok(())
    }
}

/// A refusal for want of room, with how much of the folder was still to come. The appliance knows only what had been sent, so
/// its number alone would be taken for all that is missing.
fn with_what_was_to_come(trouble: ClientError, folder: &Path, progress: &TransferProgress) -> ClientError {
    let ClientError::Refused(mut problem) = trouble else { return trouble };
    if problem.code == "full"
        && let Some(all) = measured(folder, &AtomicBool::new(false))
    {
        let left = all.saturating_sub(progress.bytes());
        let (all, left) = (size(all), size(left));
        problem.what =
            format!("{} Of the {all} in this folder up to {left} were still to come.", problem.what);
    }
    ClientError::Refused(problem)
}

/// Tells of disks that lack a backup. The appliance tells why: a disk may be away, or still being filled.
fn lacking(degraded: &[String]) -> String {
    format!(
        "{} not have this backup yet.\n\
         Your files are safe on the disks that have it.\n\
         `larder status` says why; a disk that is being filled needs nothing.\ndetails: {}",
        counted(degraded.len() as u64, "disk does", "disks do"),
        degraded.join(", "),
    )
}

impl Done {
    fn json(&self) -> serde_json::Value {
        let Self { pushed: Pushed { receipt, totals, skipped }, progress, seconds } = self;
        serde_json::json!({
            "receipt": receipt,
            "totals": totals,
            "new_bytes": progress.new_bytes(),
            "sent_bytes": progress.sent_bytes(),
            "seconds": seconds,
            "skipped": words::skipped_json(skipped),
        })
    }
}

/// Watches that the appliance's past only ever grows.
struct PastWatch {
    path: PathBuf,
    alarm: bool,
}

impl PastWatch {
    fn start(connection: &Connection, identity: &Identity) -> Result<Self, ClientError> {
        let path = settings::state_path(&identity.vault)?;
        let seen = SeenHead::load(&path);
        // An old disk that was put back may have grown past the last seen number: then the entry of that number
        // differs.
        let same_number = match &seen {
            Some(seen) if seen.head.sequence < identity.head.sequence => {
                ledger_entry(connection, seen.head.sequence)?
            }
            _ => None,
        };
        let now = same_number.unwrap_or(identity.head);
        let alarm = seen.as_ref().is_some_and(|seen| seen.contradicts(&now));
        if let (true, Some(seen)) = (alarm, seen) {
            say(format_args!(
                "ALARM: the appliance's record of the past is not the one that this computer saw before.\n\
                 Older snapshots may be missing or exchanged. This push goes on, so that today is safe.\n\
                 If you put an old disk back into \"{}\", run `larder pair` again; if not, trust none of it.\n\
                 details: seen entry {} {}, now {} {}",
                identity.appliance,
                seen.head.sequence,
                seen.head.hash.short(),
                now.sequence,
                now.hash.short(),
            ));
        }
        Ok(Self { path, alarm })
    }

    /// Remembers the newest receipt.
    fn saw(&mut self, pushed: &Pushed) {
        let seen = SeenHead { head: pushed.receipt.head, receipt: Some(pushed.receipt.clone()) };
        // An alarm is not forgotten by the next push: the old head stays until the computer is paired again.
        if !self.alarm
            && let Err(error) = seen.store(&self.path)
        {
            say(format_args!(
                "details: the receipt could not be remembered in {}: {error}",
                self.path.display()
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_format::wire::Problem;

    /// Told that 58 MiB are missing, nobody knows that 340 are.
    #[test]
    fn a_full_disk_is_told_with_what_was_still_to_come() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("below")).expect("a folder");
        std::fs::write(folder.path().join("below/a"), [0; 900]).expect("written");
        let progress = TransferProgress::default();
        progress.add_bytes(300);
        let told = |code: &str| {
            let problem = Problem {
                code: code.to_owned(),
                what: "The disk is full.".to_owned(),
                meaning: String::new(),
                remedy: String::new(),
                details: String::new(),
            };
            match with_what_was_to_come(ClientError::Refused(Box::new(problem)), folder.path(), &progress) {
                ClientError::Refused(told) => told.what,
                other => panic!("{other:?}"),
            }
        };
        let all = "The disk is full. Of the 900 B in this folder up to 600 B were still to come.";
        assert_eq!(told("full"), all);
        assert_eq!(told("forbidden"), "The disk is full.");
    }

    #[test]
    fn a_disk_without_the_backup_is_not_called_missing() {
        let told = lacking(&["0011".to_owned()]);
        assert!(told.starts_with("1 disk does not have this backup yet.\n"), "{told}");
        let told = lacking(&["0011".to_owned(), "2233".to_owned()]);
        assert!(told.starts_with("2 disks do not have this backup yet.\n"), "{told}");
        assert!(
            !told.contains("onnect") && !told.contains("missing") && told.contains("larder status"),
            "{told}"
        );
    }
}
