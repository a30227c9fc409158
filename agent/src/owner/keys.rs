//! Keys of computers: making, listing and ending them. Only on the box itself, over the local socket.

use super::asking::ask;
use super::disks::name_those_without;
use super::output::{hint, say};
use super::which::Which;
use super::words::Trouble;
use crate::edge::http::control::{Key, Revoked};
use larder_format::Hash;
use larder_format::ledger::{Role, is_plain_name};
use std::process::ExitCode;

pub(crate) fn token(which: &Which, device: &str, role: Role, json: bool) -> Result<ExitCode, Trouble> {
    if !is_plain_name(device) {
        let what = format!("\"{device}\" cannot be a computer's name.");
        let remedy = format!(
            "Use only a to z, A to Z, 0 to 9, `-`, `_` and `.`, at most 64 of them and no dot in front, such as {}.",
            plain_name_like(device)
        );
        return Err(Trouble::new(2, what, remedy, ""));
    }
    let body = serde_json::json!({ "device": device, "role": role });
    let value: serde_json::Value = ask(which, "/v1/control/tokens", Some(body))?;
    let key = value["token"].as_str().unwrap_or_default();
    let said = if json { say(&value) } else { say(key) };
    said.map_err(|trouble| {
        let digits = Hash::of(key.as_bytes()).short();
        let remedy = format!(
            "Nobody saw the key: end it with `larderd revoke {device} --key {digits}`. Then make room where the output goes, \
             and make another."
        );
        Trouble { remedy, ..trouble }
    })?;
    if !json {
        hint(format_args!("This key is shown once. On {device}, run `larder pair ADDRESS` and paste it."));
    }
    Ok(ExitCode::SUCCESS)
}

/// An allowed name, as near as can be to the typed name.
fn plain_name_like(typed: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
    let words: Vec<_> = typed.split(|c| !plain(c)).filter(|word| !word.is_empty()).collect();
    let name: String = words.join("-").trim_start_matches('.').chars().take(64).collect();
    if is_plain_name(&name) { name } else { "laptop".to_owned() }
}

pub(crate) fn list(which: &Which, json: bool) -> Result<ExitCode, Trouble> {
    let keys: Vec<Key> = ask(which, "/v1/control/keys", None)?;
    if json {
        say(serde_json::to_string(&keys).expect("plain values encode"))?;
    } else if keys.is_empty() {
        say("No computer has a key yet. `larderd token --device NAME` makes one.")?;
    } else {
        print_keys(&keys)?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn revoke(
    which: &Which,
    device: &str,
    key: Option<&str>,
    json: bool,
) -> Result<ExitCode, Trouble> {
    let revoked = Revoked { device: device.to_owned(), key: key.map(str::to_owned) };
    let body = serde_json::to_value(revoked).expect("plain values encode");
    let ended: Vec<Key> = ask(which, "/v1/control/revoke", Some(body))?;
    if json {
        say(serde_json::to_string(&ended).expect("plain values encode"))?;
    } else {
        print_keys(&ended)?;
        say(format_args!("These keys open nothing any more. What {device} backed up is kept as before."))?;
    }
    name_those_without(which, json, "let the keys in again")?;
    Ok(ExitCode::SUCCESS)
}

fn print_keys(keys: &[Key]) -> Result<(), Trouble> {
    let width = keys.iter().map(|key| key.device.len()).max().unwrap_or(0).max(6);
    say(format_args!("{:width$}  ROLE   KEY", "DEVICE"))?;
    for Key { device, role, key } in keys {
        let role = match role {
            Role::Push => "push",
            Role::Read => "read",
            Role::Admin => "admin",
        };
        say(format_args!("{device:width$}  {role:5}  {key}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_suggested_is_allowed() {
        let check = |typed: &str, expect: &str| assert_eq!(plain_name_like(typed), expect, "{typed}");
        check("my laptop", "my-laptop");
        check("Ada's PC (old)", "Ada-s-PC-old");
        check(".hidden", "hidden");
        check("a/b", "a-b");
        for hopeless in ["", "   ", "äöü", "..."] {
            check(hopeless, "laptop");
        }
        assert!(is_plain_name(&plain_name_like(&"long name ".repeat(20))));
    }
}
