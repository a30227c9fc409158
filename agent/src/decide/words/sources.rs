//! Words about what is expected of a source.

use crate::decide::facts::{LettingGo, SourceFacts};
use crate::decide::rhythm::SourceRhythm;
use crate::phrase::{counted, span};
use crate::report::SourceStanding;
use larder_format::ledger::{Expect, typed};

/// How often a source is expected to push, in a few words.
pub(crate) fn expected(source: &SourceFacts, rhythm: &SourceRhythm) -> String {
    let within = rhythm.overdue_after_s.map(|limit_s| format!("within {}", span(limit_s)));
    // Without a word on where it comes from, a rhythm that was set reads like the one that it took the place of.
    let origin = match source.expect {
        Expect::Within(_) => source.expect.word().unwrap_or("set"),
        Expect::Learn | Expect::Never => "learnt",
    };
    let has_origin = rhythm.is_learnt || matches!(source.expect, Expect::Within(_));
    match (rhythm.standing, within) {
        (SourceStanding::Expected, Some(within)) if has_origin => format!("{within} ({origin})"),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::rhythm;
    use crate::decide::tests::source;
    use larder_firmware_config::Settings;

    /// "daily" is as long as the settings' own limit: in the same words, the answer to it would be that nothing was set.
    #[test]
    fn a_rhythm_that_was_set_is_told_apart_from_one_that_was_not() {
        let check = |given: fn(&mut SourceFacts), expect: &str| {
            let mut source = source(1);
            given(&mut source);
            assert_eq!(expected(&source, &rhythm::of(&source, &Settings::default())), expect);
        };
        check(|_| {}, "within 2 days");
        check(|source| source.expect = Expect::parse("daily").unwrap(), "within 2 days (daily)");
        check(|source| source.expect = Expect::parse("weekly").unwrap(), "within 9 days (weekly)");
        check(|source| source.expect = Expect::parse("10 days").unwrap(), "within 10 days (set)");
        check(|source| source.longest_gap_s = Some(72 * 3600), "within 90 hours (learnt)");
        check(|source| source.expect = Expect::Never, "never");
    }
}
