//! Timers and services of systemd: the account's own, or the system's where root schedules.
//!
//! A timer counts by the calendar and makes up for missed times (`Persistent`), so a push that slept through its time
//! comes after wake-up. An account's timers end with its last session unless the account lingers. Not here: the text
//! of the units (`units`).

use super::{JobState, LoggedOut, PushJob, ScheduledStart, Scheduler, units, units::UnitScope};
use crate::{ClientError, programs::ProgramAnswer, programs::Programs, settings::replace_public};
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The systemd of an account or of the system.
pub(crate) struct Systemd<'a> {
    pub(crate) programs: &'a dyn Programs,
    pub(crate) scope: UnitScope,
    /// Folder of the unit files.
    pub(crate) units: PathBuf,
}

/// Before the names of our units.
const PREFIX: &str = "larder-push-";

impl<'a> Systemd<'a> {
    /// For this account: the system's own where the account is root.
    pub(crate) fn of_account(programs: &'a dyn Programs, is_root: bool, config: &Path) -> Self {
        if is_root {
            return Self { programs, scope: UnitScope::System, units: "/etc/systemd/system".into() };
        }
        Self { programs, scope: UnitScope::User, units: config.join("systemd/user") }
    }

    /// The kind of unit that has the push called `name` run; none without any.
    fn kind_of(&self, name: &str) -> Option<&'static str> {
        ["timer", "service"].into_iter().find(|kind| self.path(name, kind).exists())
    }

    fn path(&self, name: &str, kind: &str) -> PathBuf {
        self.units.join(format!("{PREFIX}{name}.{kind}"))
    }

    /// Asks `systemctl`; an answer of failure is an error.
    fn tell(&self, args: &[&str]) -> Result<String, ClientError> {
        let answer = self.ask("systemctl", args)?;
        if answer.success { Ok(answer.out) } else { Err(refused(args, &answer.err)) }
    }

    fn ask(&self, program: &str, args: &[&str]) -> Result<ProgramAnswer, ClientError> {
        let scope: &[&str] = match (program, self.scope) {
            ("systemctl", UnitScope::User) => &["--user"],
            _ => &[],
        };
        self.programs.ask(program, &[scope, &["--no-ask-password"], args].concat()).map_err(|error| {
            let cause = if error.kind() == io::ErrorKind::NotFound {
                io::Error::other("this computer has no systemd; let cron run `larder push FOLDER` instead")
            } else {
                error
            };
            ClientError::local("asking the system to run it", program, cause)
        })
    }
}

fn refused(args: &[&str], answer: &str) -> ClientError {
    let first = answer.lines().next().unwrap_or_default();
    let cause = if answer.contains("onnect to bus") {
        // `su` and `sudo` make no session of their own.
        format!(
            "no systemd of this account answers ({first}); log in as this account itself, then schedule again, or \
             let cron run `larder push FOLDER` instead"
        )
    } else {
        first.to_owned()
    };
    let what = format!("systemctl {}", args.join(" "));
    ClientError::local("asking the system to run it", what, io::Error::other(cause))
}

impl Scheduler for Systemd<'_> {
    fn install(&self, job: &PushJob) -> Result<(), ClientError> {
        let timer = match job.start {
            ScheduledStart::At(times) => Some(("timer", units::timer(&job.about, times))),
            ScheduledStart::Watching => None,
        };
        let kind = if timer.is_some() { "timer" } else { "service" };
        // A watch must not go on beside a timer, nor a timer beside a watch.
        if self.kind_of(&job.name).is_some_and(|before| before != kind) {
            self.remove(&job.name)?;
        }
        for (kind, text) in [("service", units::service(job, self.scope))].into_iter().chain(timer) {
            let path = self.path(&job.name, kind);
            replace_public(&path, text.as_bytes())
                .map_err(|error| ClientError::local("writing the unit", &path, error))?;
        }
        self.tell(&["daemon-reload"])?;
        let unit = format!("{PREFIX}{}.{kind}", job.name);
        self.tell(&["enable", &unit])?;
        // Also where it runs already: with new times or wishes it must forget the old.
        self.tell(&["restart", &unit]).map(drop)
    }

    fn remove(&self, name: &str) -> Result<(), ClientError> {
        let kind = self.kind_of(name);
        let unit = format!("{PREFIX}{name}.{}", kind.unwrap_or("timer"));
        let is_there = kind.is_some();
        let disabled = if is_there { self.tell(&["disable", "--now", &unit]).map(drop) } else { Ok(()) };
        if kind == Some("timer") {
            // The time of its last run stays otherwise, and has a timer of this name run at once years later. An older systemd
            // refuses, and nothing depends on it.
            let _ = self.ask("systemctl", &["clean", "--what=state", &unit]);
        }
        for kind in ["timer", "service"] {
            let path = self.path(name, kind);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(ClientError::local("removing the unit", &path, error));
                }
                _ => {}
            }
        }
        // Without the files the timer ends with the session at the latest, whatever systemd answered.
        disabled?;
        self.tell(&["daemon-reload"])?;
        if is_there {
            // A push that failed last would stay in the list of failed units until the next start. Refused where none failed.
            let _ = self.ask("systemctl", &["reset-failed", &format!("{PREFIX}{name}.service")]);
        }
        Ok(())
    }

    fn state(&self, name: &str) -> Result<JobState, ClientError> {
        let show = |kind: &str, properties: &str| {
            self.tell(&["show", &format!("{PREFIX}{name}.{kind}"), "--property", properties])
        };
        if self.kind_of(name) == Some("service") {
            let service = show("service", "ActiveState,SubState")?;
            // Between a failure and the next try it is activating.
            let is_active = matches!(property(&service, "ActiveState"), Some("active" | "activating"));
            let is_retrying = property(&service, "SubState") == Some("auto-restart");
            return Ok(JobState { is_active, is_retrying, ..JobState::default() });
        }
        let timer = show("timer", "ActiveState,NextElapseUSecRealtime")?;
        let service = show("service", "ConditionResult,ConditionTimestamp")?;
        let is_passed_over = property(&service, "ConditionResult") == Some("no")
            && property(&service, "ConditionTimestamp").is_some_and(|time| !time.is_empty());
        Ok(JobState {
            is_active: property(&timer, "ActiveState") == Some("active"),
            next: property(&timer, "NextElapseUSecRealtime").and_then(moment),
            waits_for_mains: is_passed_over,
            is_retrying: false,
        })
    }

    fn run_logged_out(&self) -> LoggedOut {
        if self.scope == UnitScope::System {
            return LoggedOut::Runs;
        }
        match self.ask("loginctl", &["enable-linger"]) {
            Ok(ProgramAnswer { success: true, .. }) => LoggedOut::Runs,
            Ok(answer) => LoggedOut::Waits(answer.err.lines().next().unwrap_or_default().to_owned()),
            Err(trouble) => LoggedOut::Waits(trouble.to_string()),
        }
    }
}

/// The value of a property in the answer of `systemctl show`.
fn property<'t>(answer: &'t str, name: &str) -> Option<&'t str> {
    answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
}

/// A time such as `Wed 2026-12-02 12:30:00 UTC`; the programs are asked in UTC.
fn moment(text: &str) -> Option<Timestamp> {
    let mut words = text.split(' ').skip(1);
    let time: DateTime = format!("{}T{}", words.next()?, words.next()?).parse().ok()?;
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::units::tests::photos;
    use std::sync::Mutex;

    /// Writes down every call, and gives the answer that is written for its first words.
    #[derive(Default)]
    struct PlantedPrograms {
        calls: Mutex<Vec<String>>,
        answers: Vec<(&'static str, ProgramAnswer)>,
        is_missing: bool,
    }

    impl Programs for PlantedPrograms {
        fn ask(&self, program: &str, args: &[&str]) -> io::Result<ProgramAnswer> {
            let call = [&[program], args].concat().join(" ");
            let answer = self.answers.iter().find(|(start, _)| call.starts_with(start));
            self.calls.lock().expect("whole").push(call.clone());
            if self.is_missing {
                return Err(io::ErrorKind::NotFound.into());
            }
            Ok(answer.map_or(ProgramAnswer { success: true, ..ProgramAnswer::default() }, |(_, told)| {
                told.clone()
            }))
        }
    }

    fn told(out: &str) -> ProgramAnswer {
        ProgramAnswer { success: true, out: out.to_owned(), err: String::new() }
    }

    fn failed(err: &str) -> ProgramAnswer {
        ProgramAnswer { success: false, out: String::new(), err: err.to_owned() }
    }

    fn user<'a>(programs: &'a PlantedPrograms, folder: &Path) -> Systemd<'a> {
        Systemd::of_account(programs, false, folder)
    }

    #[test]
    fn a_timer_is_written_loaded_and_started_and_taken_away_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let programs = PlantedPrograms::default();
        let systemd = user(&programs, folder.path());
        systemd.install(&photos()).expect("installed");
        let text = fs::read_to_string(folder.path().join("systemd/user/larder-push-Photos.service"));
        assert!(text.expect("written").contains("schedule --run=Photos"));
        systemd.remove("Photos").expect("removed");
        systemd.remove("Photos").expect("nothing is there any more");
        assert_eq!(fs::read_dir(folder.path().join("systemd/user")).expect("a folder").count(), 0);
        let calls = programs.calls.lock().expect("whole");
        assert_eq!(
            *calls,
            [
                "systemctl --user --no-ask-password daemon-reload",
                "systemctl --user --no-ask-password enable larder-push-Photos.timer",
                "systemctl --user --no-ask-password restart larder-push-Photos.timer",
                "systemctl --user --no-ask-password disable --now larder-push-Photos.timer",
                "systemctl --user --no-ask-password clean --what=state larder-push-Photos.timer",
                "systemctl --user --no-ask-password daemon-reload",
                "systemctl --user --no-ask-password reset-failed larder-push-Photos.service",
                "systemctl --user --no-ask-password daemon-reload",
            ]
        );
    }

    #[test]
    fn a_watch_and_a_timer_take_each_others_place() {
        let folder = tempfile::tempdir().expect("a folder");
        let answers = vec![(
            "systemctl --user --no-ask-password show larder-push-Photos.service",
            told("ActiveState=activating\nSubState=auto-restart"),
        )];
        let programs = PlantedPrograms { answers, ..PlantedPrograms::default() };
        let systemd = user(&programs, folder.path());
        systemd.install(&photos()).expect("installed");
        systemd.install(&PushJob { start: ScheduledStart::Watching, ..photos() }).expect("installed");
        let state = systemd.state("Photos").expect("an answer");
        assert!(state.is_active && state.is_retrying);
        systemd.install(&photos()).expect("installed");
        systemd.remove("Photos").expect("removed");
        let calls = programs.calls.lock().expect("whole");
        let turned: Vec<_> = calls.iter().filter(|call| call.contains("able ")).collect();
        let turn = |word: &str, kind: &str| {
            format!("systemctl --user --no-ask-password {word} larder-push-Photos.{kind}")
        };
        assert_eq!(
            turned,
            [
                &turn("enable", "timer"),
                &turn("disable --now", "timer"),
                &turn("enable", "service"),
                &turn("disable --now", "service"),
                &turn("enable", "timer"),
                &turn("disable --now", "timer"),
            ]
        );
    }

    #[test]
    fn a_refusal_is_told_in_words() {
        let folder = tempfile::tempdir().expect("a folder");
        let bus = failed("Failed to connect to bus: No medium found");
        let programs = PlantedPrograms { answers: vec![("systemctl", bus)], ..PlantedPrograms::default() };
        let trouble = user(&programs, folder.path()).install(&photos()).expect_err("refused").to_string();
        assert!(trouble.contains("log in as this account itself"), "{trouble}");
        user(&programs, folder.path()).remove("Photos").expect_err("refused too");
        assert_eq!(
            fs::read_dir(folder.path().join("systemd/user")).expect("a folder").count(),
            0,
            "no half is left"
        );
        let programs = PlantedPrograms { is_missing: true, ..PlantedPrograms::default() };
        let trouble = user(&programs, folder.path()).install(&photos()).expect_err("missing").to_string();
        assert!(trouble.contains("no systemd"), "{trouble}");
    }

    #[test]
    fn the_state_is_read_from_systemds_own_words() {
        let folder = tempfile::tempdir().expect("a folder");
        let timer = told("ActiveState=active\nNextElapseUSecRealtime=Wed 2026-12-02 12:30:00 UTC");
        let service = told("ConditionResult=no\nConditionTimestamp=Wed 2026-12-02 11:30:02 UTC");
        let answers = vec![
            ("systemctl --user --no-ask-password show larder-push-Photos.timer", timer),
            ("systemctl --user --no-ask-password show larder-push-Photos.service", service),
            (
                "systemctl --user --no-ask-password show larder-push-New.timer",
                told("ActiveState=inactive\nNextElapseUSecRealtime="),
            ),
            (
                "systemctl --user --no-ask-password show larder-push-New.service",
                told("ConditionResult=no\nConditionTimestamp="),
            ),
        ];
        let programs = PlantedPrograms { answers, ..PlantedPrograms::default() };
        let state = user(&programs, folder.path()).state("Photos").expect("an answer");
        let next = Some("2026-12-02T12:30:00Z".parse().expect("a time"));
        assert_eq!(state, JobState { is_active: true, next, waits_for_mains: true, is_retrying: false });
        let state = user(&programs, folder.path()).state("New").expect("an answer");
        assert_eq!(state, JobState::default(), "a service that never began is not waiting");
    }

    #[test]
    fn an_account_lingers_where_it_may_and_root_need_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let refused = failed("Could not enable linger: Access denied");
        let programs = PlantedPrograms { answers: vec![("loginctl", refused)], ..PlantedPrograms::default() };
        let waits = LoggedOut::Waits("Could not enable linger: Access denied".to_owned());
        assert_eq!(user(&programs, folder.path()).run_logged_out(), waits);
        assert_eq!(*programs.calls.lock().expect("whole"), ["loginctl --no-ask-password enable-linger"]);
        let programs = PlantedPrograms::default();
        assert_eq!(user(&programs, folder.path()).run_logged_out(), LoggedOut::Runs);
        let root = Systemd::of_account(&programs, true, folder.path());
        assert_eq!((root.run_logged_out(), root.scope), (LoggedOut::Runs, UnitScope::System));
        assert_eq!(programs.calls.lock().expect("whole").len(), 1, "the system's timers need no account");
    }
}
