//! The text of the unit files of a scheduled push (systemd.service(5), systemd.timer(5)).

use super::{PowerWish, PushTimer};
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

/// The service that a timer starts.
pub(super) fn service(timer: &PushTimer, scope: UnitScope) -> String {
    let mut text = format!("{MADE_BY}[Unit]\nDescription={}\n", plain(&timer.about));
    if scope == UnitScope::System {
        // An account's own systemd does not know when there is a network; there the push waits by itself.
        text.push_str("Wants=network-online.target\nAfter=network-online.target\n");
    }
    if timer.power == PowerWish::Mains {
        text.push_str("ConditionACPower=true\n");
    }
    text.push_str("\n[Service]\nType=oneshot\n");
    for (name, value) in &timer.variables {
        text.push_str(&format!("Environment={}\n", quoted(&format!("{name}={value}"))));
    }
    let program = quoted(&timer.program.display().to_string());
    text.push_str(&format!("ExecStart={program} schedule --run={}\n", timer.name));
    // 3: the backup is made, and some files were skipped, which `larder schedule` tells.
    text.push_str("SuccessExitStatus=3\nNice=10\nIOSchedulingClass=idle\n");
    text
}

/// The times.
pub(super) fn timer(timer: &PushTimer) -> String {
    // Several folders, and several computers of a home, must not all begin in the same second.
    let delay_min = if matches!(timer.times.every, Every::Minutes(_)) { 1 } else { 5 };
    format!(
        "{MADE_BY}[Unit]\nDescription={}\n\n[Timer]\nOnCalendar={}\nPersistent=true\nRandomizedDelaySec={delay_min}min\n\
         \n[Install]\nWantedBy=timers.target\n",
        plain(&format!("Times of: {}", timer.about)),
        timer.times.calendar(),
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
    use crate::schedule::PushTimes;

    pub(in crate::schedule) fn photos() -> PushTimer {
        PushTimer {
            name: "Photos".to_owned(),
            about: "Larder backs up /home/ada/100% \"mine\"\\".to_owned(),
            program: "/opt/my programs/100%/larder".into(),
            times: PushTimes { every: Every::Day, at: Some("12:30".parse().expect("a time")) },
            power: PowerWish::Mains,
            variables: vec![("XDG_STATE_HOME".to_owned(), "/home/ada/my \"state\"\n".to_owned())],
        }
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
        let text = service(&PushTimer { power: PowerWish::Any, ..photos() }, UnitScope::System);
        assert!(
            text.contains("After=network-online.target\n") && !text.contains("ConditionACPower"),
            "{text}"
        );
    }

    #[test]
    fn a_timer_makes_up_for_missed_times() {
        let text = timer(&photos());
        assert!(text.contains("OnCalendar=*-*-* *:30:00\nPersistent=true\n"), "{text}");
        let calendar = |every: &str| PushTimes { every: every.parse().expect("a span"), at: None }.calendar();
        assert_eq!(
            ["15m", "1h", "6h", "weekly"].map(calendar),
            ["*-*-* *:00/15:00", "*-*-* *:00:00", "*-*-* 00/6:00:00", "*-*-* *:00:00"]
        );
    }
}
