//! The text of the unit files of a scheduled push (systemd.service(5), systemd.timer(5)).

use super::{PowerWish, PushJob, PushTimes, ScheduledStart};
use crate::schedule::times::Every;

/// Whose systemd runs the units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnitScope {
    /// The account's own.
    User,
    /// The system's; for root.
    System,
}

const MADE_BY: &str = "# Made by `larder schedule`, which also changes and removes it.\n";

/// The service that a timer starts, or that runs all the time.
pub(super) fn service(job: &PushJob, scope: UnitScope) -> String {
    let mut text = format!("{MADE_BY}[Unit]\nDescription={}\n", plain(&job.about));
    if scope == UnitScope::System {
        // An account's own systemd does not know when there is a network; there the push waits by itself.
        text.push_str("Wants=network-online.target\nAfter=network-online.target\n");
    }
    let is_watch = job.start == ScheduledStart::Watching;
    // A watch sees for itself when the power comes and goes.
    if job.power == PowerWish::Mains && !is_watch {
        text.push_str("ConditionACPower=true\n");
    }
    text.push_str(if is_watch { "\n[Service]\nType=exec\n" } else { "\n[Service]\nType=oneshot\n" });
    for (name, value) in &job.variables {
        text.push_str(&format!("Environment={}\n", quoted(&format!("{name}={value}"))));
    }
    let program = quoted(&job.program.display().to_string());
    text.push_str(&format!("ExecStart={program} schedule --run={}\n", job.name));
    // 3: the backup is made, and some files were skipped, which `larder schedule` tells.
    text.push_str("SuccessExitStatus=3\nNice=10\nIOSchedulingClass=idle\n");
    if is_watch {
        // 2: a wrong word, which no further try puts right.
        text.push_str("Restart=on-failure\nRestartSec=5min\nRestartPreventExitStatus=2\n");
        let target = if scope == UnitScope::System { "multi-user.target" } else { "default.target" };
        text.push_str(&format!("\n[Install]\nWantedBy={target}\n"));
    }
    text
}

/// The times.
pub(super) fn timer(about: &str, times: PushTimes) -> String {
    // Several folders, and several computers of a home, must not all begin in the same second.
    let delay_min = if matches!(times.every, Every::Minutes(_)) { 1 } else { 5 };
    format!(
        "{MADE_BY}[Unit]\nDescription={}\n\n[Timer]\nOnCalendar={}\nPersistent=true\nRandomizedDelaySec={delay_min}min\n\
         \n[Install]\nWantedBy=timers.target\n",
        plain(&format!("Times of: {about}")),
        times.calendar(),
    )
}

/// Text for people: a line, in which a percent sign is only a percent sign.
fn plain(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    line.trim_end_matches('\\').replace('%', "%%")
}

/// A word of a command line or a variable.
fn quoted(text: &str) -> String {
    let mut word = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => word.extend(['\\', c]),
            '%' => word.push_str("%%"),
            c if c.is_ascii_control() => word.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => word.push(c),
        }
    }
    word.push('"');
    word
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::schedule) fn photos() -> PushJob {
        PushJob {
            name: "Photos".to_owned(),
            about: "Larder backs up /home/ada/100% \"mine\"\\".to_owned(),
            program: "/opt/my programs/100%/larder".into(),
            start: ScheduledStart::At(daily()),
            power: PowerWish::Mains,
            variables: vec![("XDG_STATE_HOME".to_owned(), "/home/ada/my \"state\"\n".to_owned())],
        }
    }

    fn daily() -> PushTimes {
        PushTimes { every: Every::Day, at: Some("12:30".parse().expect("a time")) }
    }

    #[test]
    fn a_watch_runs_from_the_start_of_the_system_and_again_after_a_failure() {
        let watch = PushJob { start: ScheduledStart::Watching, ..photos() };
        let text = service(&watch, UnitScope::User);
        assert!(text.contains("Type=exec\n") && text.contains("Restart=on-failure\n"), "{text}");
        assert!(
            text.ends_with("[Install]\nWantedBy=default.target\n") && !text.contains("ACPower"),
            "{text}"
        );
        assert!(service(&watch, UnitScope::System).contains("WantedBy=multi-user.target\n"));
    }

    #[test]
    fn a_service_says_what_to_run_when() {
        let text = service(&photos(), UnitScope::User);
        assert_eq!(
            text,
            "# Made by `larder schedule`, which also changes and removes it.\n\
             [Unit]\n\
             Description=Larder backs up /home/ada/100%% \"mine\"\n\
             ConditionACPower=true\n\
             \n\
             [Service]\n\
             Type=oneshot\n\
             Environment=\"XDG_STATE_HOME=/home/ada/my \\\"state\\\"\\x0a\"\n\
             ExecStart=\"/opt/my programs/100%%/larder\" schedule --run=Photos\n\
             SuccessExitStatus=3\n\
             Nice=10\n\
             IOSchedulingClass=idle\n"
        );
        let text = service(&PushJob { power: PowerWish::Any, ..photos() }, UnitScope::System);
        assert!(
            text.contains("After=network-online.target\n") && !text.contains("ConditionACPower"),
            "{text}"
        );
    }

    #[test]
    fn a_timer_makes_up_for_missed_times() {
        let text = timer("Photos", daily());
        assert!(text.contains("OnCalendar=*-*-* *:30:00\nPersistent=true\n"), "{text}");
        let calendar = |every: &str| PushTimes { every: every.parse().expect("a span"), at: None }.calendar();
        assert_eq!(
            ["15m", "1h", "6h", "weekly"].map(calendar),
            ["*-*-* *:00/15:00", "*-*-* *:00:00", "*-*-* 00/6:00:00", "*-*-* *:00:00"]
        );
    }
}
