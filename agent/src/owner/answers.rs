//! The four questions to ask of any backup, and the answers, as a person reads them.

use super::asking::ask;
use super::output::say;
use super::which::Which;
use super::words::Trouble;
use crate::edge::control::ControlError;
use crate::report::{Answers, SourceAnswers};
use larder_format::ledger::{composed, is_source_name};
use percent_encoding::NON_ALPHANUMERIC;
use std::process::ExitCode;

pub(crate) fn answers(which: &Which, source: Option<&str>, json: bool) -> Result<ExitCode, Trouble> {
    let source = source.map(composed);
    if let Some(source) = source.as_ref().filter(|source| !is_source_name(source)) {
        let what = format!("`{source}` is no source: a source is named DEVICE/NAME.");
        return Err(Trouble::new(2, what, "`larderd answers` without a name answers for all of them.", ""));
    }
    let path = source.map_or_else(|| "/v1/answers".to_owned(), |source| answers_path(&source));
    let value: serde_json::Value = ask(which, &path, None)?;
    if json {
        say(&value)?;
        return Ok(ExitCode::SUCCESS);
    }
    let all: Vec<SourceAnswers> =
        serde_json::from_value(value).map_err(|error| ControlError::Broken(error.to_string()))?;
    if all.is_empty() {
        say("No computer has made a backup yet, so there is nothing to answer.")?;
    }
    for SourceAnswers { source, answers } in &all {
        print_answers(source, answers)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Where the answers for one source are asked for.
pub(crate) fn answers_path(source: &str) -> String {
    // Other characters would have another meaning in an address.
    format!("/v1/answers?source={}", percent_encoding::utf8_percent_encode(source, NON_ALPHANUMERIC))
}

/// The four questions and their answers, for people. `larder answers` asks them in the same words.
pub(crate) fn print_answers(source: &str, answers: &Answers) -> Result<(), Trouble> {
    say(source)?;
    for (question, answer) in [
        ("Can I restore deleted files?", &answers.deleted_files),
        ("Can I recover older versions?", &answers.older_versions),
        ("How long are versions kept?", &answers.kept_how_long),
        ("What happens if a bad edit reaches every device?", &answers.bad_edit),
    ] {
        say(format_args!("  {question}\n    {answer}"))?;
    }
    Ok(())
}
