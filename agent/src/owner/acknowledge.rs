//! `larderd acknowledge`: the owner has seen what is wrong.

use super::asking::ask;
use super::output::say;
use super::which::Which;
use super::words::Trouble;
use crate::edge::http::acknowledge::{Acknowledged, SeenWords};
use std::process::ExitCode;

pub(crate) fn acknowledge(which: &Which, json: bool) -> Result<ExitCode, Trouble> {
    let seen: Acknowledged = ask(which, "/v1/control/acknowledge", Some(serde_json::json!({})))?;
    if !seen.is_heard {
        let what = "The appliance is busy and has not taken note yet.";
        return Err(Trouble::new(1, what, "Run `larderd acknowledge` again in a moment.", ""));
    }
    if json {
        say(serde_json::to_string(&seen).expect("plain values encode"))?;
        return Ok(ExitCode::SUCCESS);
    }
    for line in told(&seen) {
        say(line)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn told(seen: &Acknowledged) -> Vec<String> {
    if seen.conditions.is_empty() {
        return vec!["Nothing is wrong, so there is nothing to take note of.".to_owned()];
    }
    let in_words = |SeenWords { what, remedy, .. }: &SeenWords| format!("  {what}\n  {remedy}");
    let mut lines = vec!["You have seen:".to_owned()];
    lines.extend(seen.conditions.iter().map(in_words));
    lines.push("None of it is mended by that. The lamp is quiet until something new happens.".to_owned());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seen_is_not_called_mended() {
        let seen = |conditions| told(&Acknowledged { conditions, is_heard: true }).join("\n");
        assert!(seen(Vec::new()).contains("Nothing is wrong"));
        let what = "A disk is away.".to_owned();
        let told = seen(vec![SeenWords { code: 4, what, remedy: "Connect it.".to_owned() }]);
        assert!(told.contains("A disk is away.") && told.contains("None of it is mended"), "{told}");
    }
}
