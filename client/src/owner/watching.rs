//! `larder push --watch`: the loop that waits, sends and tells.
//!
//! One thread waits for the system's events, for Ctrl-C and for the next due moment of any folder, and does one thing
//! after the other. An appliance that is away is told once and tried again with growing pauses. Not here: when what is
//! due (`watch`), and the walks (`push`).

use super::{
    changed::{changed_json, new_in_words},
    last_result::remember_result,
    left_out::left_out_json,
    options::{GlobalOptions, now as wall_clock},
    output::{CommandError, Output, counted, moment, or_nobody_reads, size},
    past_watch::PastWatch,
    pushing::{PushArgs, typed_source},
    screen::say,
    skipped::skipped_json,
    source_name::{handle_for, name_at},
    walk_time::WalkTime,
    watched_source::WatchedSource,
    words,
};
use crate::{
    ClientError, Connection, PairedAppliance, PushOptions, Pushed, Remote, TransferProgress,
    platform::{ChangeEvents, FolderEvent, StopRequest, SystemError, since_boot, wait_for_event},
    programs::InstalledPrograms,
    push::{followed::FollowedPush, guide::WalkGuide, named_folder, start},
    schedule::{BELIEVED, LastPush, LastPushes, PowerAndLine, PushOutcome, WaitsFor},
    watch::{AheadGuide, ChangedFolders, SnapshotWish, TreeWatch, WatchStep, WholeGuide},
};
use jiff::Timestamp;
use larder_format::wire::Identity;
use std::{io, path::PathBuf, time::Duration};

/// Waits end at least so often: the clock of a wait stands still while the computer sleeps.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// Events are gathered for so long before anybody looks at them.
const GATHERING: Duration = Duration::from_millis(200);

struct Watching<'a> {
    args: &'a PushArgs,
    global: &'a GlobalOptions,
    connection: Connection,
    last_pushes: LastPushes,
    stop: StopRequest,
    events: Option<ChangeEvents>,
    sources: Vec<WatchedSource>,
    /// The typed name of the source.
    typed: Option<String>,
    /// Who the appliance takes this computer for; asked anew for each snapshot.
    identity: Option<Identity>,
    is_unreachable: bool,
    past_was_changed: bool,
    power_and_line: PowerAndLine<'a>,
    /// What was told to be waited for.
    waits_for: Option<WaitsFor>,
}

pub(super) fn watch(
    args: &PushArgs,
    global: &GlobalOptions,
    output: &mut Output,
) -> Result<u8, CommandError> {
    // First of all: the connection begins a thread.
    let stop = StopRequest::listen()
        .map_err(|error| ClientError::local("listening for the end of the watch", "", error))?;
    let folders: Vec<PathBuf> =
        args.folders.iter().map(|folder| named_folder(folder)).collect::<Result<_, _>>()?;
    let typed = typed_source(args.source.as_deref(), &args.folders)?;
    if args.loudness.quiet {
        output.hush();
    }
    let connection = global.ask()?.with_limit(args.around.limit);
    let last_pushes = LastPushes::to(&PairedAppliance::load(&global.pairing_path()?)?.keys.appliance)?;
    let told_blind = |error: &SystemError| {
        say("This system tells of no changes: each folder is looked through every quarter-hour.");
        say(format_args!("details: {error}"));
    };
    let events = ChangeEvents::open().inspect_err(told_blind).ok();
    let sources = folders
        .into_iter()
        .map(|folder| {
            let handle = handle_for(typed.as_deref(), &folder);
            WatchedSource::new(folder, handle, &last_pushes, events.is_some())
        })
        .collect();
    let mut watching = Watching {
        args,
        global,
        connection,
        last_pushes,
        stop,
        events,
        sources,
        typed,
        identity: None,
        is_unreachable: false,
        past_was_changed: false,
        power_and_line: PowerAndLine::new(&InstalledPrograms, args.on_battery, args.on_metered),
        waits_for: None,
    };
    watching.run(output)
}

impl Watching<'_> {
    fn run(&mut self, output: &mut Output) -> Result<u8, CommandError> {
        let names: Vec<_> = self.sources.iter().map(|source| source.folder.display().to_string()).collect();
        output.note(format!("Watching {}. Ctrl-C ends it.", names.join(", ")))?;
        output.flush()?;
        while !self.stop.is_asked() {
            self.take_events();
            let now = since_boot();
            let steps = self.sources.iter().map(|source| source.pacing.next(now)).enumerate();
            // The first that has something to do, or else the first that will have.
            let until = |step: &WatchStep| match step {
                WatchStep::Rest(until) => *until,
                WatchStep::Ahead | WatchStep::Snapshot(_) => Duration::ZERO,
            };
            let Some((number, step)) = steps.min_by_key(|(_, step)| until(step)) else { break };
            match step {
                WatchStep::Rest(until) => {
                    let at_most = until.saturating_sub(now).clamp(Duration::from_millis(10), WAIT_MAX);
                    wait_for_event(self.events.as_ref(), &self.stop, at_most);
                    // A program that writes without a pause would wake this one for every few bytes.
                    wait_for_event(None, &self.stop, GATHERING.min(at_most));
                }
                WatchStep::Ahead | WatchStep::Snapshot(_) if self.waits(number, now) => {
                    wait_for_event(None, &self.stop, BELIEVED);
                }
                WatchStep::Ahead => {
                    let ended = self.send_ahead(number);
                    self.settle(number, ended)?;
                }
                WatchStep::Snapshot(wish) => {
                    let ended = self.make_snapshot(number, wish, output);
                    self.settle(number, ended)?;
                }
            }
        }
        say("Stopped. What was sent is kept: the next push goes on from there.");
        Ok(if self.past_was_changed { 6 } else { 0 })
    }

    /// Whether nothing may be sent now for a source that has something to send; told once.
    fn waits(&mut self, number: usize, now: Duration) -> bool {
        let found = self.power_and_line.look(now);
        if std::mem::replace(&mut self.waits_for, found) != found {
            say(match found {
                Some(WaitsFor::Mains) => {
                    "This computer runs on its battery: nothing is sent until it is on the mains. --on-battery changes that."
                }
                Some(WaitsFor::FreeLine) => {
                    "This connection costs by volume: nothing is sent over it. --metered changes that."
                }
                None => "It goes on.",
            });
        }
        if let Some(found) = found.filter(|_| self.sources[number].before_trouble.is_none()) {
            self.remember_trouble(number, 0, found.in_words());
        }
        found.is_some()
    }

    fn remember_trouble(&mut self, number: usize, exit_code: u8, told: &str) {
        let before = self.last_pushes.load(&self.sources[number].handle);
        self.sources[number].before_trouble.get_or_insert(before);
        self.remember(number, exit_code, told, None);
    }

    /// Remembers a result for `larder schedule`. The moment of the last snapshot stays where there is no new one.
    fn remember(&self, number: usize, exit_code: u8, told: &str, succeeded: Option<Timestamp>) {
        let result = PushOutcome { exit_code, told, succeeded };
        remember_result(&self.last_pushes, &self.sources[number].handle, result);
    }

    fn take_events(&mut self) {
        let now = since_boot();
        for event in self.events.iter().flat_map(ChangeEvents::take) {
            match event {
                FolderEvent::Changed(spot) => {
                    if let Some(source) = self.sources.get_mut(spot.tree) {
                        source.changed(&spot.path, now);
                    }
                }
                FolderEvent::Lost => self.sources.iter_mut().for_each(|source| source.pacing.lost_sight()),
            }
        }
    }

    fn identity(&mut self) -> Result<Identity, ClientError> {
        let identity = self.connection.identity()?;
        self.identity = Some(identity.clone());
        Ok(identity)
    }

    /// Asks the appliance once which name the folder has there, and whether the folder may go on under that name.
    fn find_name(&mut self, number: usize, identity: &Identity) -> Result<(), ClientError> {
        if self.sources[number].name.is_some() {
            return Ok(());
        }
        let folder = &self.sources[number].folder;
        let name = self.typed.clone().map_or_else(|| name_at(&self.connection, identity, folder), Ok)?;
        let source = format!("{}/{name}", identity.device);
        let options = self.args.options_for(&source, identity, self.global)?;
        start(&self.connection, &source, folder, &options)?;
        self.sources[number].name = Some(source);
        Ok(())
    }

    fn send_ahead(&mut self, number: usize) -> Result<(), CommandError> {
        let identity = self.identity.clone().map_or_else(|| self.identity(), Ok)?;
        self.find_name(number, &identity)?;
        let walk = WalkTime::begin(&self.connection);
        let source = &mut self.sources[number];
        source.pacing.begin(WatchStep::Ahead);
        let changed = std::mem::take(&mut source.changed);
        let sent = self.following(number, &identity).and_then(|following| {
            let tree = following.tree();
            following.push(&AheadGuide { tree: &tree, changed: &changed }).ahead()
        });
        if let Err(trouble) = sent {
            // Otherwise the walk after the pause would look at nothing and take the appliance for reached.
            self.sources[number].changed = changed;
            return Err(trouble.into());
        }
        let (ended, took) = walk.end(&self.connection);
        self.sources[number].pacing.sent_ahead(ended, took);
        Ok(())
    }

    fn make_snapshot(
        &mut self,
        number: usize,
        wish: SnapshotWish,
        output: &mut Output,
    ) -> Result<(), CommandError> {
        let identity = self.identity()?;
        self.find_name(number, &identity)?;
        let mut past = PastWatch::start(&self.connection, &identity)?;
        self.past_was_changed |= past.alarm;
        let walk = WalkTime::begin(&self.connection);
        let source = &mut self.sources[number];
        source.pacing.begin(WatchStep::Snapshot(wish));
        source.changed = ChangedFolders::default();
        let last = source.root.filter(|_| wish == SnapshotWish::IfChanged);
        let following = self.following(number, &identity)?;
        let made = following.push(&WholeGuide(&following.tree())).snapshot(last)?;
        let progress = following.progress;
        let (ended, took) = walk.end(&self.connection);
        let source = &mut self.sources[number];
        let Some(made) = made else {
            source.pacing.found_nothing_new(ended, took);
            return Ok(());
        };
        // Before any output: printing may fail.
        past.saw(&made);
        source.root = Some(made.root);
        source.pacing.made_snapshot(ended, took);
        Ok(self.tell_snapshot(number, &made, &progress, output)?)
    }

    /// Remembers a snapshot and tells of it.
    fn tell_snapshot(
        &mut self,
        number: usize,
        pushed: &Pushed,
        progress: &TransferProgress,
        output: &mut Output,
    ) -> io::Result<()> {
        let Pushed { receipt, totals, skipped, left_out, changed, .. } = pushed;
        let (exit_code, told) =
            if skipped.count > 0 { (3, "backed up, without some files") } else { (0, "fine") };
        let at = wall_clock().timestamp();
        self.remember(number, exit_code, told, Some(at));
        let source = &mut self.sources[number];
        source.before_trouble = None;
        if output.is_json() {
            let told = serde_json::json!({
                "receipt": receipt,
                "totals": totals,
                "changed": changed_json(*changed),
                "new_bytes": progress.new_bytes(),
                "sent_bytes": progress.sent_bytes(),
                "skipped": skipped_json(skipped),
                "left_out": left_out_json(left_out),
                "past_was_changed": self.past_was_changed,
            });
            or_nobody_reads(output.json_line(&told))?;
        } else {
            output.note(format!(
                "{} {}: snapshot {} with {}, {}. {}.",
                moment(&at.to_string()),
                receipt.source,
                receipt.snapshot,
                counted(totals.files, "file", "files"),
                size(totals.bytes),
                new_in_words(*changed, progress),
            ))?;
            source.tell_missing(pushed, self.args.loudness, output)?;
        }
        output.flush()
    }

    fn following(&self, number: usize, identity: &Identity) -> Result<WatchedPush<'_>, ClientError> {
        let name = self.sources[number].name.clone().unwrap_or_default();
        let options = self.args.options_for(&name, identity, self.global)?;
        Ok(WatchedPush { watching: self, number, name, options, progress: TransferProgress::default() })
    }

    /// Takes what became of a step: nothing but a wrong key or wrong words ends the watch.
    fn settle(&mut self, number: usize, ended: Result<(), CommandError>) -> Result<(), CommandError> {
        let source = &mut self.sources[number];
        source.tell_if_blinded();
        let trouble = match ended {
            Ok(()) => {
                source.told = None;
                self.is_unreachable = false;
                // What the last snapshot lacked is still so.
                if let Some(before) = source.before_trouble.take() {
                    let is_made = before.as_ref().is_some_and(|it| it.succeeded.is_some());
                    let good = if is_made { "fine" } else { "sent ahead, no snapshot yet" };
                    let before = before.filter(LastPush::is_good);
                    let (exit_code, told) = before.map_or((0, good.to_owned()), |it| (it.exit_code, it.told));
                    self.remember(number, exit_code, &told, None);
                }
                return Ok(());
            }
            Err(CommandError::Output(error)) => return Err(error.into()),
            Err(CommandError::ClientError(trouble)) => trouble,
        };
        if self.stop.is_asked() {
            return Ok(());
        }
        if is_final(&trouble) {
            self.remember_trouble(number, trouble.exit_code(), &words::problem_of(&trouble).what);
            return Err(trouble.into());
        }
        source.pacing.failed(since_boot());
        let problem = words::problem_of(&trouble);
        let is_new = if trouble.is_passing() {
            !std::mem::replace(&mut self.is_unreachable, true)
        } else {
            source.told.replace(problem.what.clone()).as_ref() != Some(&problem.what)
        };
        if is_new {
            let remedy = if trouble.is_passing() {
                "What changes meanwhile stays on this computer. It is tried again by itself; nothing needs to be done."
            } else {
                &problem.remedy
            };
            [&*problem.what, &problem.meaning, remedy].into_iter().for_each(say);
            if !problem.details.is_empty() {
                say(format_args!("details: {}", problem.details));
            }
        }
        if is_new || self.sources[number].before_trouble.is_none() {
            self.remember_trouble(number, trouble.exit_code(), &problem.what);
        }
        Ok(())
    }
}

/// Whether trying again would change nothing.
fn is_final(trouble: &ClientError) -> bool {
    matches!(trouble, ClientError::NotPaired { .. } | ClientError::Usage(_))
        || ["forbidden", "other_folder", "too_many_sources"].iter().any(|code| trouble.has_code(code))
}

/// A push of one watched folder.
struct WatchedPush<'a> {
    watching: &'a Watching<'a>,
    number: usize,
    /// `DEVICE/NAME`.
    name: String,
    options: PushOptions,
    progress: TransferProgress,
}

impl WatchedPush<'_> {
    fn source(&self) -> &WatchedSource {
        &self.watching.sources[self.number]
    }

    fn tree(&self) -> TreeWatch<'_> {
        let WatchedSource { folder, blinded, .. } = self.source();
        let Watching { events, stop, .. } = self.watching;
        TreeWatch { tree: self.number, folder, events: events.as_ref(), stop, blinded }
    }

    fn push<'a>(&'a self, guide: &'a dyn WalkGuide) -> FollowedPush<'a> {
        FollowedPush {
            remote: &self.watching.connection,
            source: &self.name,
            folder: &self.source().folder,
            options: &self.options,
            progress: &self.progress,
            guide,
        }
    }
}
