//! `larderd let-go`: everything of a source that was pushed by mistake, or belongs to nobody any more.

use super::answers::answers_path;
use super::asking::ask;
use super::output::say;
use super::which::Which;
use super::words::Trouble;
use crate::edge::http::letting_go::{LetGoAnswer, LetGoRequest};
use crate::phrase::counted;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use larder_format::ledger::{composed, is_source_name, typed};
use std::process::ExitCode;

/// The typed wish.
pub(crate) fn request(source: &str, before: Option<&str>, undo: bool) -> Result<LetGoRequest, Trouble> {
    let source = composed(source);
    if !is_source_name(&source) {
        let what = format!("{source:?} is no source: a source is named DEVICE/NAME.");
        return Err(Trouble::new(2, what, "`larder sources` lists what there is.", ""));
    }
    let before = before.map(|day| {
        let midnight = day.trim().parse::<Date>().and_then(|date| date.to_zoned(TimeZone::system()));
        midnight.map(|midnight| midnight.timestamp()).map_err(|error| {
            let what = format!("{day:?} is no day.");
            Trouble::new(2, what, "Write year, month and day, such as 2026-03-31.", error)
        })
    });
    Ok(LetGoRequest { source, before: before.transpose()?, undo })
}

pub(crate) fn let_go(which: &Which, requests: Vec<LetGoRequest>, json: bool) -> Result<ExitCode, Trouble> {
    // A wrong name among many must not leave half of them changed.
    for request in &requests {
        ask::<serde_json::Value>(which, &answers_path(&request.source), None)?;
    }
    let mut answers = Vec::new();
    for request in requests {
        let undo = request.undo;
        let body = serde_json::to_value(request).expect("plain values encode");
        let answer: LetGoAnswer = ask(which, "/v1/control/let-go", Some(body))?;
        if !json {
            told(&answer, undo).into_iter().try_for_each(say)?;
        }
        answers.push(answer);
    }
    let text = match &answers[..] {
        _ if !json => return Ok(ExitCode::SUCCESS),
        [one] => serde_json::to_string(one),
        several => serde_json::to_string(several),
    };
    say(text.expect("plain values encode"))?;
    Ok(ExitCode::SUCCESS)
}

fn told(answer: &LetGoAnswer, undo: bool) -> Vec<String> {
    let LetGoAnswer { source, snapshots, stay, hours, labelled, on_hold } = answer;
    let stay = counted(*stay, "backup stays", "backups stay");
    if undo {
        return vec![format!("{source} is kept: {stay} as long as the rule says.")];
    }
    if *snapshots == 0 && *labelled == 0 {
        return vec![format!("Nothing of {source} is that old: its {stay}.")];
    }
    let goes = match snapshots {
        0 => format!("Nothing of {source} goes; {stay}."),
        some => {
            let goes = counted(*some, "backup of", "backups of");
            let go = if *some == 1 { "goes" } else { "go" };
            format!("{goes} {source} {go} in {}; {stay}.", counted(*hours, "hour", "hours"))
        }
    };
    let mut lines = vec![
        goes,
        "Until then all of it can be restored, and lamp, status and dashboards say what is to go. Later pushes are kept."
            .to_owned(),
        format!("`larderd let-go {} --undo` keeps it.", typed(source, "")),
    ];
    if *labelled > 0 {
        let (stay, have) =
            if *labelled == 1 { ("stays", "it has a label") } else { ("stay", "they have labels") };
        lines.push(format!(
            "{} {stay} since {have}: `larder snapshots` names what is kept by the owner, `larderd unkeep` ends that.",
            counted(*labelled, "backup", "backups")
        ));
    }
    if *on_hold {
        lines.push("A hold keeps it all the same; `larder status` names the hold.".to_owned());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_is_understood_or_refused_before_anything_is_asked() {
        let day = request("laptop/Bo\u{308}se", Some("2026-03-31"), false).unwrap();
        assert_eq!(day.source, "laptop/B\u{f6}se");
        let midnight = day.before.unwrap().to_zoned(TimeZone::system());
        assert_eq!(midnight.strftime("%Y-%m-%d %H:%M").to_string(), "2026-03-31 00:00");
        assert_eq!(request("laptop/a", None, true).unwrap().before, None);
        assert_eq!(request("laptop", None, false).unwrap_err().exit, 2);
        assert_eq!(request("laptop/a", Some("last year"), false).unwrap_err().exit, 2);
    }

    #[test]
    fn what_goes_and_what_stays_are_both_told() {
        let of = |snapshots, labelled, on_hold| {
            let (source, stay, hours) = ("laptop/proc".to_owned(), 1, 72);
            told(&LetGoAnswer { source, snapshots, stay, hours, labelled, on_hold }, false).join("\n")
        };
        let answer = |snapshots, on_hold| of(snapshots, 0, on_hold);
        assert!(of(2, 1, false).contains("1 backup stays since it has a label"), "{}", of(2, 1, false));
        assert!(of(0, 2, false).contains("2 backups stay since they have labels"), "{}", of(0, 2, false));
        let goes = answer(2, false);
        assert!(goes.starts_with("2 backups of laptop/proc go in 72 hours; 1 backup stays."), "{goes}");
        assert!(goes.contains("--undo") && !goes.contains("hold"), "{goes}");
        assert!(answer(2, true).contains("A hold keeps it"));
        assert!(answer(0, false).contains("Nothing of laptop/proc is that old"));
    }
}
