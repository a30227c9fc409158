//! `larder rollback`: a folder of this computer becomes what it was.
//!
//! In this order: the plan is shown, the owner says yes, the present is backed up, and only then something is replaced or
//! removed. If the backup of the present is not whole, nothing is. Not here: the plan and the doing (`rollback`), the
//! words of a plan (`rollback_words`).

use super::{
    choice::ChoiceArgs,
    getting::TargetWishes,
    options::GlobalOptions,
    output::{CommandError, Output, counted, size},
    past_watch::PastWatch,
    progress::with_bar,
    rollback_place::{folder_of, present_source},
    rollback_words::{ToldPlan, skipped_of},
    screen::{ask_yes, may_ask, say},
    skipped::{Loudness, name_skipped},
    spot::{AtOption, NEWEST, Spot},
    words,
};
use crate::{
    ClientError, Connection, Existing, Past, PushOptions, Remote, RoomCheck, TransferProgress,
    push::{push as push_folder, start},
    rollback::{FolderPart, Rollback, RollbackPlan},
    settings,
};
use clap::Args;
use larder_format::wire::{Identity, SnapshotInfo};
use std::{ffi::OsString, path::PathBuf, time::Instant};

#[derive(Debug, Args)]
pub(super) struct RollbackArgs {
    /// SOURCE[@WHEN][:PATH]; with PATH only that file or folder is touched
    place: OsString,
    #[command(flatten)]
    at: AtOption,
    /// The folder to roll back, where it is not the one that the source is a backup of
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
    /// Do it without asking, for scripts
    #[arg(long)]
    yes: bool,
    /// Show the plan alone
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    #[command(flatten)]
    choice: ChoiceArgs,
    #[command(flatten)]
    target: TargetWishes,
    #[command(flatten)]
    loudness: Loudness,
}

/// A roll-back that is about to be planned.
struct Wish<'a> {
    args: &'a RollbackArgs,
    connection: &'a Connection,
    identity: Identity,
    /// The snapshot to go back to.
    old: SnapshotInfo,
    path: Vec<u8>,
    folder: PathBuf,
    /// The source that the present is backed up as.
    present: String,
    push: PushOptions,
}

pub(super) fn rollback(
    args: &RollbackArgs,
    global: &GlobalOptions,
    output: &mut Output,
) -> Result<u8, CommandError> {
    if args.loudness.quiet {
        output.hush();
    }
    let spot = Spot::parse_at(&args.place, &args.at)?;
    let connection = global.connect()?;
    let wish = Wish::new(args, global, &connection, spot)?;
    let part = FolderPart { folder: &wish.folder, path: &wish.path };
    let rollback = Rollback::new(&connection, wish.old.root, part, &wish.push)?;
    let progress = TransferProgress::default();
    let plan = with_bar(&progress, output, None, || rollback.plan(&progress))?;
    let told = ToldPlan { source: &wish.old.source, old: &wish.old, folder: &wish.folder, plan: &plan };
    let damaged = plan.damaged.count;
    let code = words::exit_code(damaged, 0, 0);
    if plan.is_empty() {
        return Ok(told.nothing_to_do(output).map(|()| code)?);
    }
    let asks = !args.yes && !args.dry_run && may_ask() && !output.is_json();
    if !output.is_json() && (!args.yes || !output.is_quiet()) {
        told.show(&wish.present, args.loudness, output)?;
        output.flush()?;
    }
    let wants_room = args.target.options(Existing::Keep, output).room == RoomCheck::First;
    if wants_room {
        rollback.check_room(&plan)?;
    }
    if args.dry_run {
        if output.is_json() {
            output.json(&told.json())?;
        } else {
            output.line("This was a dry run: nothing was changed.")?;
        }
        return Ok(code);
    }
    if !args.yes && !asks {
        return needs_a_yes(&told, output);
    }
    if asks && !ask_yes("Make it what it was?") {
        output.line("Nothing was changed.")?;
        return Ok(0);
    }
    wish.do_it(&rollback, plan, output)
}

/// Nobody can be asked, and nobody said yes beforehand.
fn needs_a_yes(told: &ToldPlan<'_>, output: &mut Output) -> Result<u8, CommandError> {
    let refused = ClientError::WrongKind {
        what: "Nothing was changed: a roll-back needs a yes, and nobody can be asked here.".to_owned(),
        remedy: "Look at the plan, then run it again with --yes.",
    };
    if !output.is_json() {
        return Err(refused.into());
    }
    let mut value = told.json();
    value["problem"] = serde_json::json!(words::problem_of(&refused));
    output.json(&value)?;
    Ok(refused.exit_code())
}

impl<'a> Wish<'a> {
    fn new(
        args: &'a RollbackArgs,
        global: &GlobalOptions,
        connection: &'a Connection,
        spot: Spot,
    ) -> Result<Self, ClientError> {
        let source = spot.full_source(connection)?;
        let old = connection.snapshot(&source, &spot.when)?;
        let newest = connection.snapshot(&source, NEWEST)?;
        let folder = folder_of(&newest, args.to.as_deref())?;
        let identity = connection.identity()?;
        let present = present_source(connection, &identity, &newest, &folder)?;
        let choice = args.choice.clone().with_scheduled(&folder);
        let push = PushOptions {
            exclude: choice.exclude.clone(),
            default_excludes: choice.default_excludes(),
            own_keys: global.key_places()?,
            one_filesystem: choice.one_filesystem,
            cache: Some(settings::cache_path(&identity.vault, &present)?),
            features: identity.features.clone(),
            // Whoever rolls back may have lost everything.
            may_be_empty: true,
            ..PushOptions::default()
        };
        if !args.dry_run {
            // Before anybody reads a plan: without a backup of the present nothing will be done.
            start(connection, &present, &folder, &push)?;
        }
        Ok(Self { args, connection, identity, old, path: spot.path, folder, present, push })
    }

    /// Backs the present up, then does what was planned.
    fn do_it(
        &self,
        rollback: &Rollback<'_>,
        plan: RollbackPlan,
        output: &mut Output,
    ) -> Result<u8, CommandError> {
        let started = Instant::now();
        let mut watch = PastWatch::start(self.connection, &self.identity)?;
        if watch.alarm {
            say("Nothing was rolled back: first it must be clear what the appliance's record is.");
            return Ok(6);
        }
        let progress = TransferProgress::default();
        let made = with_bar(&progress, output, None, || {
            push_folder(self.connection, &self.present, &self.folder, &self.push, &progress)
        });
        let pushed = made.inspect_err(|_| {
            say("What is there now could not be backed up, so nothing was replaced or removed.");
        })?;
        watch.saw(&pushed);
        let present = pushed.receipt.snapshot;
        if pushed.skipped.count > 0 {
            return self.stop_at_skipped(&pushed.skipped, present, output);
        }
        let again = Spot::typed(&self.old.source, self.old.snapshot, &self.path);
        if !output.is_json() {
            output.note(format!(
                "What is there now is snapshot {present} of {}: {}, {}.",
                self.present,
                counted(pushed.totals.files, "file", "files"),
                size(pushed.totals.bytes)
            ))?;
            output.note(format!("If this breaks off, `larder rollback {again}` goes on."))?;
        }
        output.flush()?;
        let damaged = plan.damaged.clone();
        let options = self.args.target.options(Existing::Keep, output);
        let progress = TransferProgress::default();
        let done =
            with_bar(&progress, output, None, || rollback.run(plan, &pushed.root, &options, &progress));
        let done = done.inspect_err(|_| {
            say(format_args!(
                "The roll-back broke off. What was there before is snapshot {present} of {}; `larder rollback {again}` goes on.",
                self.present
            ));
        })?;
        let undo = Spot::typed(&self.present, present, b"");
        let end = super::rollback_words::RollbackEnd {
            folder: &self.folder,
            old: &self.old,
            present: (&self.present, present),
            undo: &undo,
            damaged: &damaged,
            done: &done,
            seconds: started.elapsed().as_secs_f64(),
        };
        Ok(end.tell(self.args.loudness, output)?)
    }

    /// What could not be read is not in the backup, so nothing may go.
    fn stop_at_skipped(
        &self,
        skipped: &crate::SkippedList,
        present: u64,
        output: &mut Output,
    ) -> Result<u8, CommandError> {
        if output.is_json() {
            output.json(&serde_json::json!({
                "source": self.old.source,
                "snapshot": self.old.snapshot,
                "present": { "source": self.present, "snapshot": present },
                "rolled_back": false,
                "skipped": skipped_of(skipped),
            }))?;
            return Ok(1);
        }
        output.flush()?;
        name_skipped(
            skipped,
            self.args.loudness,
            "Those are not in the backup as they are now, so nothing was replaced or removed.",
            "Mend what is said beside each name, or have it left as it is with --exclude; then run this again.",
        );
        Ok(1)
    }
}
