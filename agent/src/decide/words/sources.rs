//! Words about what is expected of a source.

use crate::decide::facts::{LettingGo, SourceFacts};
use crate::decide::rhythm::SourceRhythm;
use crate::phrase::{counted, span};
use crate::report::SourceStanding;
use larder_format::ledger::typed;

/// How often a source is expected to push, in a few words.
pub(crate) fn expected(source: &SourceFacts, rhythm: &SourceRhythm) -> String {
    let within = rhythm.overdue_after_s.map(|limit_s| format!("within {}", span(limit_s)));
    match (rhythm.standing, within) {
        (SourceStanding::Expected, Some(within)) if rhythm.is_learnt => format!("{within} (learnt)"),
        (SourceStanding::Retiring, _) => format!("no longer in {}", hours(source.retires_in_s)),
        (SourceStanding::Retired, _) => "no longer (retired)".to_owned(),
        (SourceStanding::Revoked, _) => "no longer (its computer's keys were ended)".to_owned(),
        (_, Some(within)) => within,
        (_, None) => "never".to_owned(),
    }
}

fn hours(left_s: Option<u64>) -> String {
    counted(left_s.unwrap_or(0).div_ceil(3600), "hour", "hours")
}

/// A source that somebody retires.
pub(super) fn retiring(source: &str, left_s: u64) -> [String; 3] {
    [
        format!(
            "Somebody with an admin key retired {source}; in {} nobody waits for it any more.",
            hours(Some(left_s))
        ),
        "What it backed up is kept as before. If it falls silent then, nobody is told.".to_owned(),
        format!("Nothing, if it was you. If not: `larder source {} --unretire`.", typed(source, "")),
    ]
}

/// What somebody at the box lets go of.
pub(super) fn letting_go(source: &str, what: LettingGo, on_hold: bool) -> [String; 3] {
    let backups = counted(what.snapshots, "backup", "backups");
    let when = match what.left_s {
        _ if on_hold => "as soon as no hold keeps them".to_owned(),
        0 => "within a day".to_owned(),
        left_s => format!("in {}", hours(Some(left_s))),
    };
    let go = if what.snapshots == 1 { "goes" } else { "go" };
    [
        format!("Somebody at the box lets go of {source}: {backups} {go} {when}."),
        "Until then all of it is kept and can be restored; after that, none of it can.".to_owned(),
        format!("Nothing, if it was you. If not, at the box: `larderd let-go {} --undo`.", typed(source, "")),
    ]
}
