//! A scheduled push as people and programs see it: what became of the last run, and when the next one comes.

use super::{options::now, output::moment};
use crate::{
    ClientError, PairedAppliance,
    schedule::{JobState, LastPush, LastPushes, ScheduledPush, ScheduledStart, WaitsFor},
};

/// What became of the last push, if there was one.
pub(super) fn last_of(scheduled: &ScheduledPush) -> Option<LastPush> {
    let pairing = PairedAppliance::load(&scheduled.pairing).ok()?;
    LastPushes::to(&pairing.keys.appliance).ok()?.load(&scheduled.name)
}

/// The last result in words.
pub(super) fn result_of(last: Option<&LastPush>, state: Option<&JobState>) -> String {
    if state.is_some_and(|state| state.waits_for_mains) {
        return WaitsFor::Mains.in_words().to_owned();
    }
    last.map_or_else(String::new, |last| last.told.clone())
}

/// The next time in words.
///
/// # Errors
/// `Usage` where the schedule was changed by hand and cannot be understood.
pub(super) fn next_of(
    scheduled: &ScheduledPush,
    last: Option<&LastPush>,
    state: Option<&JobState>,
) -> Result<String, ClientError> {
    let Some(state) = state else { return Ok("unknown".to_owned()) };
    let times = match scheduled.start()? {
        ScheduledStart::Watching if state.is_retrying => return Ok("again in some minutes".to_owned()),
        ScheduledStart::Watching if state.is_active => return Ok("with the next change".to_owned()),
        ScheduledStart::Watching => return Ok("never: its service is off".to_owned()),
        ScheduledStart::At(_) if !state.is_active => return Ok("never: its timer is off".to_owned()),
        ScheduledStart::At(times) => times,
    };
    let now = now();
    // A daily push that is done sees the timer every hour, and does nothing.
    let is_done = !times.is_due(&now, last.and_then(|last| last.succeeded));
    let next = times.next_due(&now).filter(|_| is_done).or(state.next);
    Ok(next.map_or_else(|| "soon".to_owned(), |next| moment(&next.to_string())))
}

/// A scheduled push for programs.
pub(super) fn json_of(
    scheduled: &ScheduledPush,
    last: Option<&LastPush>,
    state: Option<&JobState>,
) -> serde_json::Value {
    let ScheduledPush { name, folder, every, at, on_battery, on_metered, push, .. } = scheduled;
    let last = last.map(|last| {
        let LastPush { ended, exit_code, told, succeeded } = last;
        serde_json::json!({ "ended": ended, "exit_code": exit_code, "result": told, "succeeded": succeeded })
    });
    serde_json::json!({
        "name": name,
        "folder": folder.display().to_string(),
        "every": every,
        "watch": every.is_none(),
        "at": at,
        "on_battery": on_battery,
        "metered": on_metered,
        "push": push,
        "last": last,
        "timer_is_active": state.map(|state| state.is_active),
        "waits_for_mains": state.map(|state| state.waits_for_mains),
        "next": state.and_then(|state| state.next),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn daily() -> ScheduledPush {
        ScheduledPush {
            name: "Photos".to_owned(),
            folder: "/home/ada/Photos".into(),
            every: Some("daily".to_owned()),
            at: None,
            on_battery: false,
            on_metered: false,
            pairing: "/home/ada/.config/larder/appliance.toml".into(),
            push: Vec::new(),
        }
    }

    /// The timer of a daily push starts every hour; only the day after counts once the push is made.
    #[test]
    fn the_next_backup_is_told_and_not_the_next_start_of_the_timer() {
        let now = now().timestamp();
        let soon = now.checked_add(jiff::SignedDuration::from_mins(20)).expect("a time");
        let state = JobState { is_active: true, next: Some(soon), ..JobState::default() };
        let last = |succeeded| LastPush { ended: now, exit_code: 0, told: "fine".to_owned(), succeeded };
        let next = |last: &LastPush, state| next_of(&daily(), Some(last), state).expect("understood");
        let in_words = moment(&soon.to_string());
        assert_eq!(next(&last(None), Some(&state)), in_words, "not made yet");
        let done = next(&last(Some(now)), Some(&state));
        assert!(done.ends_with("00:00"), "{done}");
        assert_eq!(next(&last(None), None), "unknown");
        let off = JobState { is_active: false, ..state };
        assert!(next(&last(None), Some(&off)).starts_with("never"));
        let watched = ScheduledPush { every: None, ..daily() };
        let next_of_watched = |state| next_of(&watched, None, Some(state)).expect("understood");
        let failed = JobState { is_retrying: true, ..state };
        let expect = ["with the next change", "never: its service is off", "again in some minutes"];
        assert_eq!([&state, &off, &failed].map(next_of_watched), expect);
        let waits = JobState { waits_for_mains: true, ..state };
        assert_eq!(result_of(Some(&last(None)), Some(&waits)), "waits for the mains");
        assert_eq!(result_of(Some(&last(None)), Some(&state)), "fine");
    }
}
