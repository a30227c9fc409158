//! `larderd keep` and `larderd unkeep`: one snapshot that stays whatever the rule says. Not here: the rule and holds
//! (`letting_go`).

use super::asking::ask;
use super::output::say;
use super::which::Which;
use super::words::Trouble;
use crate::edge::http::labels::{KeepRequest, UnkeepRequest};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use larder_format::when::end_in_words;
use larder_format::wire::SnapshotInfo;
use std::process::ExitCode;

/// The typed wish.
pub(crate) fn request(
    snapshot: u64,
    label: Option<String>,
    until: Option<&str>,
) -> Result<KeepRequest, Trouble> {
    Ok(KeepRequest { snapshot, label, until: until.map(end_of).transpose()? })
}

/// The end of a typed day.
fn end_of(day: &str) -> Result<Timestamp, Trouble> {
    let next = day.trim().parse::<Date>().and_then(|date| date.checked_add(1.day()));
    let midnight = next.and_then(|date| date.to_zoned(TimeZone::system()));
    midnight.map(|midnight| midnight.timestamp()).map_err(|error| {
        let what = format!("{day:?} is no day.");
        Trouble::new(2, what, "Write year, month and day, such as 2030-12-31.", error)
    })
}

pub(crate) fn keep(which: &Which, request: KeepRequest, json: bool) -> Result<ExitCode, Trouble> {
    let body = serde_json::to_value(request).expect("plain values encode");
    let kept: SnapshotInfo = ask(which, "/v1/control/keep", Some(body))?;
    if json {
        say(serde_json::to_string(&kept).expect("plain values encode"))?;
        return Ok(ExitCode::SUCCESS);
    }
    say(format_args!("{} is kept {}.", named(&kept), until(&kept)))?;
    say(format_args!("`larderd unkeep {}` ends that, three days later.", kept.snapshot))?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn unkeep(
    which: &Which,
    snapshot: u64,
    until_day: Option<&str>,
    json: bool,
) -> Result<ExitCode, Trouble> {
    let request_until = until_day.map(end_of).transpose()?;
    let request = UnkeepRequest { snapshot, until: request_until };
    let body = serde_json::to_value(request).expect("plain values encode");
    let kept: SnapshotInfo = ask(which, "/v1/control/unkeep", Some(body))?;
    if json {
        say(serde_json::to_string(&kept).expect("plain values encode"))?;
        return Ok(ExitCode::SUCCESS);
    }
    say(ended(&kept, request_until, &TimeZone::system()))?;
    say(format_args!(
        "By the owner's wish and the rule together, it stays {}. Lamp, status and dashboards say what is to come.",
        until(&kept)
    ))?;
    say(format_args!("`larderd keep {snapshot}` takes that back."))?;
    Ok(ExitCode::SUCCESS)
}

/// How long the owner's wish still keeps a snapshot.
fn ended(kept: &SnapshotInfo, until: Option<Timestamp>, zone: &TimeZone) -> String {
    let until = until.map(|until| format!("until {} and ", end_in_words(until, zone))).unwrap_or_default();
    format!("{} stays {until}for 72 hours at least; from then on as long as the rule says.", named(kept))
}

fn named(kept: &SnapshotInfo) -> String {
    let label = kept.label.iter().map(|label| format!(", \"{label}\"")).collect::<String>();
    format!("Snapshot {} of {}{label},", kept.snapshot, kept.source)
}

/// By rule and label together.
fn until(kept: &SnapshotInfo) -> String {
    let until = kept.kept_until.as_ref().map(|until| until.parse::<Timestamp>());
    match until {
        None => "for ever".to_owned(),
        Some(Ok(until)) => format!("at least until {}", end_in_words(until, &TimeZone::system())),
        Some(Err(_)) => "for a while".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_kept_to_its_end() {
        let until = request(12, None, Some("2030-12-31")).unwrap().until.unwrap();
        let there = until.to_zoned(TimeZone::system());
        assert_eq!(there.strftime("%Y-%m-%d %H:%M").to_string(), "2031-01-01 00:00");
        assert_eq!(request(12, None, None).unwrap().until, None);
        assert_eq!(request(12, None, Some("next year")).unwrap_err().exit, 2);
    }

    /// An owner who named a day would take "72 hours" for all that is left.
    #[test]
    fn an_end_on_a_day_is_told_with_the_day() {
        let kept = serde_json::from_value(serde_json::json!({
            "source": "a/b", "snapshot": 7, "time": "2026-03-31T10:00:00Z", "skipped": 0,
            "root": { "id": larder_format::Hash::ZERO, "len": 0 },
            "totals": { "files": 1, "directories": 0, "bytes": 1 },
            "reasons": [], "kept_until": null, "label": "v1",
        }));
        let kept: SnapshotInfo = kept.unwrap();
        let told = ended(&kept, Some("2031-01-01T00:00:00Z".parse().unwrap()), &TimeZone::UTC);
        assert!(
            told.contains("\"v1\", stays until the end of 2030-12-31 (UTC) and for 72 hours at least"),
            "{told}"
        );
        assert!(ended(&kept, None, &TimeZone::UTC).contains("\"v1\", stays for 72 hours at least"));
    }
}
