//! `larder schedule`: has folders backed up by themselves, shows how that goes, and ends it.
//!
//! Not here: the timers and services (`schedule`), and one run of a scheduled push (`scheduled_run`).

use super::{
    around::AroundArgs,
    choice::ChoiceArgs,
    options::GlobalOptions,
    output::{CommandError, Output, moment},
    pushing::typed_source,
    schedule_state::{json_of, last_of, next_of, result_of},
    scheduled_run::run,
    source_name::{handle_for, require_different},
    table::{Column, print_table},
    words::problem_of,
};
use crate::{
    ClientError, PairedAppliance,
    platform::{config_folder, own_ids},
    programs::{InstalledPrograms, Programs},
    push::{check_patterns, named_folder},
    schedule::{
        Every, LoggedOut, MeteredLine, PowerWish, PushJob, ScheduledPush, ScheduledPushes, Scheduler,
        Systemd, TimeOfDay, UnitScope, is_metered,
    },
    settings::home,
};
use clap::Args;
use std::{
    env,
    path::{Path, PathBuf, absolute},
};

#[derive(Debug, Args)]
pub(super) struct ScheduleArgs {
    /// The folders to back up by themselves; none: show what is scheduled
    folders: Vec<PathBuf>,
    /// How often: 15m, 20m, 30m, 1h, 2h, 3h, 4h, 6h, 8h, 12h, daily or weekly; every hour if left out
    #[arg(long, value_name = "SPAN")]
    every: Option<Every>,
    /// The time of day for daily and weekly (Mondays); from midnight on, as soon as it can be, if left out
    #[arg(long, value_name = "HH:MM")]
    at: Option<TimeOfDay>,
    /// Send what changes within seconds, with a snapshot every quarter-hour at most
    #[arg(long, conflicts_with_all = ["every", "at", "before", "after"])]
    watch: bool,
    /// Also while the computer runs on its battery
    #[arg(long)]
    on_battery: bool,
    /// Also over a connection that costs by volume, such as a phone
    #[arg(long)]
    metered: bool,
    /// Name of the source; the folder's own name if left out
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    #[command(flatten)]
    choice: ChoiceArgs,
    #[command(flatten)]
    around: AroundArgs,
    /// Back these folders up by themselves no longer; without a folder, none of all
    #[arg(long, conflicts_with_all = ["every", "at", "watch", "on_battery", "metered", "source", "exclude", "include_caches",
        "no_default_excludes", "one_filesystem", "limit", "before", "after"])]
    remove: bool,
    /// What the timer or service runs: the scheduled push called so
    #[arg(long, hide = true, value_name = "NAME", exclusive = true)]
    run: Option<String>,
}

pub(super) fn schedule(
    args: &ScheduleArgs,
    global: &GlobalOptions,
    output: &mut Output,
) -> Result<u8, CommandError> {
    if let Some(name) = &args.run {
        return run(name, output);
    }
    let programs = InstalledPrograms;
    let is_root = own_ids().user == 0;
    let scheduler = Systemd::of_account(&programs, is_root, &home(config_folder())?);
    let desk =
        ScheduleDesk { pushes: ScheduledPushes::of_account()?, scheduler: &scheduler, programs: &programs };
    if args.remove {
        return desk.remove(&args.folders, output);
    }
    if args.folders.is_empty() {
        if args.has_wishes() {
            return Err(ClientError::Usage("no folder is named that is to be scheduled".to_owned()).into());
        }
        return desk.show(output);
    }
    let wanted = args.wanted(global)?;
    desk.add(&wanted, scheduler.scope, output)
}

impl ScheduleArgs {
    fn has_wishes(&self) -> bool {
        let is_timed =
            self.every.is_some() || self.at.is_some() || self.watch || self.on_battery || self.metered;
        is_timed || !self.push_words(self.source.as_deref()).is_empty()
    }

    /// The pushes that were asked for, each checked as far as can be without the appliance.
    fn wanted(&self, global: &GlobalOptions) -> Result<Vec<ScheduledPush>, ClientError> {
        let every = self.every.unwrap_or(if self.at.is_some() { Every::Day } else { Every::Hours(1) });
        if self.at.is_some() && !matches!(every, Every::Day | Every::Week) {
            return Err(ClientError::Usage(format!("--at is for daily and weekly, not for every {every}")));
        }
        check_patterns(&self.choice.exclude)?;
        let folders: Vec<PathBuf> =
            self.folders.iter().map(|folder| named_folder(folder)).collect::<Result<_, _>>()?;
        if let Some(odd) = folders.iter().find(|folder| folder.to_str().is_none()) {
            return Err(ClientError::Usage(format!(
                "the name of {} is no text that a schedule can hold; rename the folder",
                odd.display()
            )));
        }
        let source = typed_source(self.source.as_deref(), &folders)?;
        // Without an appliance the timer would fail from its first run on, and nobody would see it.
        let pairing =
            absolute(global.pairing_path()?).map_err(|error| ClientError::local("reading", "", error))?;
        PairedAppliance::load(&pairing)?;
        let scheduled = folders.into_iter().map(|folder| ScheduledPush {
            name: handle_for(source.as_deref(), &folder),
            folder,
            push: self.push_words(source.as_deref()),
            every: (!self.watch).then(|| every.to_string()),
            at: self.at.map(|at| at.to_string()),
            on_battery: self.on_battery,
            on_metered: self.metered,
            pairing: pairing.clone(),
        });
        let wanted: Vec<ScheduledPush> = scheduled.collect();
        require_different(wanted.iter().map(|scheduled| &scheduled.name))?;
        Ok(wanted)
    }

    /// The words of `larder push` for one folder, without the folder.
    fn push_words(&self, source: Option<&str>) -> Vec<String> {
        // Only a typed name: without one the appliance is asked at each run which name the folder has there.
        let source = source.map(|name| format!("--source={name}"));
        source.into_iter().chain(self.choice.words()).chain(self.around.words()).collect()
    }
}

/// The schedule of this account, and who keeps its times.
struct ScheduleDesk<'a> {
    pushes: ScheduledPushes,
    scheduler: &'a dyn Scheduler,
    programs: &'a dyn Programs,
}

impl ScheduleDesk<'_> {
    fn add(
        &self,
        wanted: &[ScheduledPush],
        scope: UnitScope,
        output: &mut Output,
    ) -> Result<u8, CommandError> {
        for scheduled in wanted {
            if let Some(other) =
                self.pushes.load(&scheduled.name)?.filter(|other| other.folder != scheduled.folder)
            {
                return Err(ClientError::Usage(format!(
                    "\"{}\" is scheduled for {} already; name another source for {} with --source",
                    scheduled.name,
                    other.folder.display(),
                    scheduled.folder.display()
                ))
                .into());
            }
        }
        let (program, variables) = (this_program()?, variables(scope));
        for scheduled in wanted {
            let job = PushJob {
                name: scheduled.name.clone(),
                about: format!("Larder backs up {}", scheduled.folder.display()),
                program: program.clone(),
                start: scheduled.start()?,
                power: scheduled.power(),
                variables: variables.clone(),
            };
            let is_new = self.pushes.load(&scheduled.name)?.is_none();
            // Before the first run of the timer, which reads this.
            self.pushes.store(scheduled)?;
            if let Err(trouble) = self.scheduler.install(&job) {
                if is_new {
                    // What never runs must not be listed. The first trouble is the one to tell.
                    let _ = self.scheduler.remove(&scheduled.name);
                    self.pushes.remove(&scheduled.name)?;
                }
                return Err(trouble.into());
            }
        }
        let logged_out = self.scheduler.run_logged_out();
        self.tell_added(wanted, scope, &logged_out, output)
    }

    fn tell_added(
        &self,
        added: &[ScheduledPush],
        scope: UnitScope,
        logged_out: &LoggedOut,
        output: &mut Output,
    ) -> Result<u8, CommandError> {
        let metered = is_metered(self.programs);
        if output.is_json() {
            let told: Vec<_> = added.iter().map(|scheduled| json_of(scheduled, None, None)).collect();
            output.json(&serde_json::json!({
                "scheduled": told,
                "runs_logged_out": *logged_out == LoggedOut::Runs,
                "metered_is_known": metered != MeteredLine::Unknown,
            }))?;
            return Ok(0);
        }
        for scheduled in added {
            let (folder, times) = (scheduled.folder.display(), scheduled.start()?.in_words());
            output.line(format!("{folder} is backed up {times} from now on."))?;
        }
        if added.iter().any(|scheduled| scheduled.power() == PowerWish::Mains) {
            output.line("On battery it waits for the mains (--on-battery: it does not).")?;
        }
        if added.iter().any(|scheduled| !scheduled.on_metered) {
            output.line(match metered {
                MeteredLine::Unknown => {
                    "Whether a connection costs by volume cannot be told on this computer, since NetworkManager does not \
                     answer: it runs over any connection."
                }
                _ => "Over a connection that costs by volume it waits (--metered: it does not).",
            })?;
        }
        match (logged_out, scope) {
            (LoggedOut::Runs, UnitScope::System) => output.line("It runs as root, whoever is logged in.")?,
            (LoggedOut::Runs, UnitScope::User) => output.line("It runs also while you are logged out.")?,
            (LoggedOut::Waits(why), _) => {
                output.line(format!(
                    "It runs only while you are logged in. `sudo loginctl enable-linger {}` changes that.",
                    env::var("USER").unwrap_or_else(|_| "ACCOUNT".to_owned())
                ))?;
                output.line(format!("details: {why}"))?;
            }
        }
        output.line("`larder schedule` shows how it goes; `larder schedule --remove` ends it.")?;
        Ok(0)
    }

    fn show(&self, output: &mut Output) -> Result<u8, CommandError> {
        let (mut rows, mut told, mut unknown) = (Vec::new(), Vec::new(), None);
        for scheduled in self.pushes.all()? {
            let last = last_of(&scheduled);
            let state = self.scheduler.state(&scheduled.name).map_err(|trouble| unknown = Some(trouble)).ok();
            told.push(json_of(&scheduled, last.as_ref(), state.as_ref()));
            rows.push(vec![
                scheduled.folder.display().to_string(),
                scheduled.start()?.in_words(),
                last.as_ref().map_or_else(|| "never".to_owned(), |last| moment(&last.ended.to_string())),
                result_of(last.as_ref(), state.as_ref()),
                next_of(&scheduled, last.as_ref(), state.as_ref())?,
            ]);
        }
        if output.is_json() {
            let problem = unknown.as_ref().map(problem_of);
            output.json(&serde_json::json!({ "scheduled": told, "problem": problem }))?;
        } else if rows.is_empty() {
            output.line("Nothing is scheduled on this account. `larder schedule FOLDER` backs a folder up every hour.")?;
        } else {
            let heads = ["FOLDER", "WHEN", "LAST", "RESULT", "NEXT"].map(Column::Left);
            print_table(&heads, rows, output)?;
        }
        match unknown {
            Some(trouble) if !output.is_json() => {
                output.flush()?;
                Err(trouble.into())
            }
            Some(trouble) => Ok(trouble.exit_code()),
            None => Ok(0),
        }
    }

    fn remove(&self, folders: &[PathBuf], output: &mut Output) -> Result<u8, CommandError> {
        let all = self.pushes.all()?;
        let mut going = Vec::new();
        for folder in folders {
            // The folder itself may be gone.
            let path = named_folder(folder).or_else(|_| absolute(folder)).unwrap_or_else(|_| folder.clone());
            let is_meant = |scheduled: &&ScheduledPush| {
                scheduled.folder == path || Path::new(&scheduled.name) == folder.as_path()
            };
            let Some(found) = all.iter().find(is_meant) else {
                let what = format!("{} is not scheduled.", folder.display());
                return Err(ClientError::NotThere { what, remedy: "`larder schedule` lists what is." }.into());
            };
            going.push(found);
        }
        if folders.is_empty() {
            going.extend(&all);
        }
        for scheduled in &going {
            self.scheduler.remove(&scheduled.name)?;
            self.pushes.remove(&scheduled.name)?;
            if !output.is_json() {
                output
                    .line(format!("{} is not backed up by itself any more.", scheduled.folder.display()))?;
            }
        }
        if output.is_json() {
            let names: Vec<_> = going.iter().map(|scheduled| &scheduled.name).collect();
            output.json(&serde_json::json!({ "removed": names }))?;
        } else if going.is_empty() {
            output.line("Nothing is scheduled on this account.")?;
        } else {
            output.line("Every backup that was made is kept.")?;
        }
        Ok(0)
    }
}

fn this_program() -> Result<PathBuf, ClientError> {
    let program =
        env::current_exe().map_err(|error| ClientError::local("looking for this program", "", error))?;
    if program.is_file() && program.to_str().is_some() {
        return Ok(program);
    }
    let cause = std::io::Error::other("it was moved or replaced while it runs; run this again");
    Err(ClientError::local("looking for this program", program, cause))
}

/// Variables without which the timer would look for pairing and cache in other places than this program.
fn variables(scope: UnitScope) -> Vec<(String, String)> {
    let names: &[&str] = match scope {
        // The system's services have no home of their own.
        UnitScope::System => &["HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"],
        UnitScope::User => &["XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"],
    };
    names.iter().filter_map(|name| Some(((*name).to_owned(), env::var(name).ok()?))).collect()
}
