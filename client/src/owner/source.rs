//! `larder sources` and `larder source`: what is protected, what is expected of it, and words to change that.

use super::{
    looking::NOTHING_YET,
    options::GlobalOptions,
    output::{CommandError, Output, count, moment, size},
    spot::full_source,
    table::{
        Column::{Left, Right},
        print_table,
    },
};
use crate::{ClientError, link::questions};
use clap::Args;
use larder_format::{
    ledger::{Expect, typed},
    wire::{Origin, SourceExpectation, SourceInfo},
};

/// Without an option: shows what is expected of it. A computer's own key may shorten the time that its sources may be
/// silent; a longer time, `never` and --retire need a key of the role admin.
#[derive(Debug, Args)]
pub(super) struct SourceArgs {
    /// DEVICE/NAME each; NAME alone where it is clear
    #[arg(required = true)]
    sources: Vec<String>,
    /// How often it makes a backup: daily, weekly, monthly, never, learn, or a span such as "10 days"
    #[arg(long, value_name = "HOW OFTEN", conflicts_with_all = ["retire", "unretire"])]
    expect: Option<String>,
    /// It will push no more: its backups are kept as before, and after three days nobody waits for it
    #[arg(long, conflicts_with = "unretire")]
    retire: bool,
    /// Wait for it again
    #[arg(long)]
    unretire: bool,
}

pub(super) fn sources(global: &GlobalOptions, output: &mut Output) -> Result<u8, CommandError> {
    let sources = questions::sources(&global.ask()?)?;
    if output.is_json() {
        output.json(&sources)?;
        return Ok(0);
    }
    if sources.is_empty() {
        output.line(NOTHING_YET)?;
        return Ok(0);
    }
    let row = |source: &SourceInfo| {
        let SourceInfo { source, snapshots, newest, oldest, expectation } = source;
        vec![
            source.clone(),
            count(*snapshots),
            moment(&newest.time),
            moment(oldest),
            count(newest.totals.files),
            size(newest.totals.bytes),
            expectation.as_ref().map(|it| it.expected.clone()).unwrap_or_default(),
            newest.origin.as_ref().map(Origin::in_words).unwrap_or_default(),
        ]
    };
    let heads = [
        Left("SOURCE"),
        Right("SNAPSHOTS"),
        Left("NEWEST"),
        Left("OLDEST"),
        Right("FILES"),
        Right("SIZE"),
        Left("EXPECTED"),
        Left("FOLDER"),
    ];
    print_table(&heads, sources.iter().map(row).collect(), output)?;
    Ok(0)
}

pub(super) fn source(
    args: &SourceArgs,
    global: &GlobalOptions,
    output: &mut Output,
) -> Result<u8, CommandError> {
    let expect = args.expect.as_deref().map(read_expect).transpose()?;
    let connection = global.ask()?;
    // Before anything is said: a wrong name among many must not leave half of them changed.
    let sources: Vec<_> =
        args.sources.iter().map(|source| full_source(source, &connection)).collect::<Result<_, _>>()?;
    if expect.is_some() || args.retire || args.unretire {
        sources.iter().try_for_each(|source| questions::expectation(&connection, source).map(drop))?;
    }
    let mut told = Vec::new();
    for source in &sources {
        let said = match (expect, args.retire, args.unretire) {
            (Some(expect), ..) => questions::expect(&connection, source, expect)?,
            (None, true, _) => questions::retire(&connection, source, true)?,
            (None, false, true) => questions::retire(&connection, source, false)?,
            (None, false, false) => questions::expectation(&connection, source)?,
        };
        if !output.is_json() {
            lines(&said).into_iter().try_for_each(|line| output.line(line))?;
        }
        told.push(said);
    }
    match &told[..] {
        _ if !output.is_json() => {}
        [one] => output.json(one)?,
        several => output.json(&several)?,
    }
    Ok(0)
}

fn read_expect(text: &str) -> Result<Expect, ClientError> {
    Expect::parse(text).ok_or_else(|| {
        ClientError::Usage(format!(
            "{text:?} is no rhythm: write daily, weekly, monthly, never, learn, or a span of one hour to ten years, such as \
             \"10 days\""
        ))
    })
}

/// What is expected, and what follows.
fn lines(told: &SourceExpectation) -> Vec<String> {
    let SourceExpectation { source, expected, standing, .. } = told;
    let undo = typed(source, "");
    let mut lines = vec![format!("{source}: expected {expected}.")];
    match standing.as_str() {
        "retiring" => {
            lines.push("What it backed up is kept as before.".to_owned());
            lines.push(format!("`larder source {undo} --unretire` takes it back; so does a push."));
        }
        "retired" => lines.push(format!("`larder source {undo} --unretire`, or a push, takes it back.")),
        "revoked" => lines.push("What it backed up is kept as before.".to_owned()),
        "never" => lines.push("Nobody is told when it falls silent.".to_owned()),
        _ => {}
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rhythm_that_nobody_understands_is_wrong_usage() {
        assert_eq!(read_expect("weekly").unwrap(), Expect::Within(9 * 86_400));
        for nonsense in ["", "often", "5 minutes"] {
            assert_eq!(read_expect(nonsense).unwrap_err().exit_code(), 2, "{nonsense}");
        }
    }

    #[test]
    fn a_retirement_says_how_it_is_taken_back() {
        let told = |standing: &str| {
            lines(&SourceExpectation {
                source: "laptop/My Files".to_owned(),
                expected: "no longer in 72 hours".to_owned(),
                standing: standing.to_owned(),
                overdue_after_s: None,
            })
        };
        assert!(told("retiring").join("\n").contains("larder source 'laptop/My Files' --unretire"));
        assert_eq!(told("a word of a newer appliance").len(), 1);
    }
}
