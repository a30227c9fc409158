//! `larder pair`: a computer becomes known to an appliance by the code that the appliance shows.
//!
//! The secret of a pairing lies on this computer alone. So a pairing is replaced only when that is meant: the old key would
//! be gone.

use super::{
    discovering::the_only_one,
    options::GlobalOptions,
    output::{CommandError, Output},
    screen::{ask_yes, may_ask},
};
use crate::{
    ClientError, PairedAppliance,
    link::pairing::{CODE_DIGITS, pair_by_code},
    platform::{HiddenInput, computer_name},
    settings::{SeenHead, state_path},
};
use clap::Args;
use larder_format::ledger::{Role, Sees, is_plain_name};
use std::{
    io::{IsTerminal, Write},
    net::Ipv6Addr,
    path::Path,
};

#[derive(Debug, Args)]
pub(super) struct PairArgs {
    /// Where the appliance is, for example 192.168.1.20; without it, the one on this network
    address: Option<String>,
    /// Put the new pairing in the place of one that is there, without asking; the old key is gone then
    #[arg(long)]
    replace: bool,
    /// This computer's name at the appliance, where the appliance's owner has said none; without it, the computer's own name
    #[arg(long)]
    name: Option<String>,
}

const PORT: u16 = 8477;

pub(super) fn pair(args: &PairArgs, global: &GlobalOptions, output: &mut Output) -> Result<u8, CommandError> {
    let typed = args.address.as_deref().map(full_address).transpose()?;
    let name = args.name.clone().map(checked_name).transpose()?.or_else(own_name);
    let path = global.pairing_path()?;
    if !args.replace {
        may_replace(&path, |question| may_ask() && ask_yes(question))?;
    }
    let address = typed.map_or_else(|| the_only_one(output), Ok)?;
    let code = ask_for_code()?;
    let (pairing, identity) = pair_by_code(&format!("https://{address}"), &code, name.as_deref())?;
    pairing.store(&path)?;
    // Pairing again says that this is the right appliance, also after an old disk was put back.
    SeenHead { head: identity.head, receipt: None, root: None, signed: identity.signed.clone() }
        .store(&state_path(&identity.vault)?)
        .map_err(|error| ClientError::local("remembering the appliance", &path, error))?;
    if output.is_json() {
        output.json(&identity)?;
    } else {
        output.line(format!(
            "This computer is paired with \"{}\" as {}.",
            identity.appliance, identity.device
        ))?;
        let sees = identity.sees.unwrap_or_else(|| Sees::usual(identity.role));
        output.line(rights(identity.role, &sees))?;
        output.line(next_step(identity.role))?;
    }
    Ok(0)
}

fn checked_name(name: String) -> Result<String, ClientError> {
    if is_plain_name(&name) {
        return Ok(name);
    }
    Err(ClientError::Usage(format!(
        "{name:?} cannot be the name of a computer: it has at most 64 of a to z, A to Z, 0 to 9, dots, - and _, and no dot at its start"
    )))
}

/// This computer's own name, as far as an appliance can have it. `localhost` is the name of a computer that has none: the second such
/// computer would be taken for the first.
fn own_name() -> Option<String> {
    name_of_host(computer_name()?)
}

fn name_of_host(host: Vec<u8>) -> Option<String> {
    let host = String::from_utf8(host).ok()?;
    let name = host.split('.').next()?.to_owned();
    (is_plain_name(&name) && name != "localhost").then_some(name)
}

/// Asks whether a pairing that is there may go; where nobody can be asked, it stays.
fn may_replace(path: &Path, ask: impl FnOnce(&str) -> bool) -> Result<(), ClientError> {
    // A file that cannot be understood may still hold the only copy of a key.
    if !path.exists() {
        return Ok(());
    }
    let with = PairedAppliance::load(path).map_or_else(|_| "an appliance".to_owned(), |old| old.address);
    let question =
        format!("This computer is paired with {with} already. Replace that? Its key is shown nowhere again.");
    if ask(&question) {
        return Ok(());
    }
    Err(ClientError::WrongKind {
        what: format!("This computer is paired with {with} already, and stays so."),
        remedy: "Add --replace if the new pairing is to take the place of that one.",
    })
}

/// What this computer may do, in one line.
fn rights(role: Role, sees: &Sees) -> String {
    let seen = match sees {
        Sees::Nothing => String::new(),
        Sees::Devices(names) if names.is_empty() => "its own backups".to_owned(),
        Sees::Devices(names) => format!("its own backups and those of {}", names.join(", ")),
        Sees::Everything => "the backups of every computer".to_owned(),
    };
    match role {
        Role::Push => "Its key may add backups, and sees nothing of the past.".to_owned(),
        Role::User => format!("Its key may add backups, and list and restore {seen}."),
        Role::Read => {
            format!(
                "Its key may list and restore {seen}, and add nothing: this computer is not backed up with it."
            )
        }
        Role::Admin => {
            format!("Its key may add backups, list and restore {seen}, and keep backups for longer.")
        }
    }
}

/// What to do next.
fn next_step(role: Role) -> &'static str {
    match role {
        Role::Push => "Pairing alone backs up nothing. Run `larder push FOLDER` to make a backup.",
        Role::Read => "Run `larder sources` to see what there is.",
        Role::User | Role::Admin => {
            "Pairing alone backs up nothing. Run `larder push FOLDER` to make a backup, or `larder sources` to see what there is."
        }
    }
}

/// `larder`, `larder:8477` and `https://larder:8477` mean the same: host and port. An impossible address is told as such:
/// without an answer, the owner would go and look at the box.
fn full_address(typed: &str) -> Result<String, ClientError> {
    let wrong = || ClientError::Usage(format!("\"{typed}\" is not an address such as 192.168.1.20:{PORT}"));
    let bare = typed.strip_prefix("https://").or_else(|| typed.strip_prefix("http://"));
    let rest = bare.unwrap_or(typed).trim_end_matches('/');
    if rest.parse::<Ipv6Addr>().is_ok() {
        return Err(ClientError::Usage(format!(
            "an address of version 6 stands in brackets: [{rest}]:{PORT}"
        )));
    }
    // A colon inside brackets belongs to an address of version 6.
    let colon = rest.rfind(':').filter(|colon| rest.rfind(']').is_none_or(|bracket| bracket < *colon));
    let (host, port) = colon.map_or((rest, None), |colon| (&rest[..colon], Some(&rest[colon + 1..])));
    let is_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(host) => host.parse::<Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c)),
    };
    let port: u16 = port.map_or(Ok(PORT), str::parse).map_err(|_| wrong())?;
    if is_host && port > 0 { Ok(format!("{host}:{port}")) } else { Err(wrong()) }
}

fn ask_for_code() -> Result<String, CommandError> {
    let hidden = if std::io::stdin().is_terminal() { HiddenInput::begin() } else { None };
    if std::io::stdin().is_terminal() {
        // A person who does not see the question may still answer.
        let mut asked = std::io::stderr();
        let _ = write!(
            asked,
            "Code of the appliance (`larderd pair` on it shows one, or its lamp after its button was held for three seconds; what you \
             type is not shown here): "
        );
        let _ = asked.flush();
    }
    let mut line = String::new();
    let read = std::io::stdin().read_line(&mut line);
    drop(hidden);
    read.map_err(|error| ClientError::local("reading the code", "standard input", error))?;
    Ok(checked_code(&line)?)
}

fn checked_code(line: &str) -> Result<String, ClientError> {
    let typed = line.trim();
    // Read aloud and written down, a code comes in groups.
    let code: String = typed.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
    if code.len() == CODE_DIGITS && code.bytes().all(|digit| digit.is_ascii_digit()) {
        return Ok(code);
    }
    let what = if typed.is_empty() {
        "No code was entered."
    } else {
        "What was entered is no code: a code has eight digits."
    };
    let remedy = "Get one with `larderd pair` on the appliance, then run this again and type it.";
    Err(ClientError::WrongKind { what: what.to_owned(), remedy })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::PairedKeys;
    use larder_trust::SecretKey;

    #[test]
    fn each_role_is_told_what_it_can_do() {
        let check = |role, command, other| {
            let told = next_step(role);
            assert!(told.contains(command) && !told.contains(other), "{told}");
        };
        check(Role::Push, "larder push", "larder sources");
        check(Role::Read, "larder sources", "larder push");
        assert!(
            next_step(Role::User).contains("larder push") && next_step(Role::User).contains("larder sources")
        );
    }

    #[test]
    fn a_computer_hears_whose_backups_it_may_see() {
        let old = Sees::Devices(vec!["desk".to_owned(), "old".to_owned()]);
        assert_eq!(
            rights(Role::User, &old),
            "Its key may add backups, and list and restore its own backups and those of desk, old."
        );
        let own = rights(Role::User, &Sees::usual(Role::User));
        assert_eq!(own, "Its key may add backups, and list and restore its own backups.");
        assert!(rights(Role::Admin, &Sees::Everything).contains("of every computer"));
        assert!(!rights(Role::Push, &Sees::Nothing).contains("restore"));
    }

    #[test]
    fn a_computer_brings_its_own_name_where_it_has_one() {
        let brought = |host: &str| name_of_host(host.as_bytes().to_vec());
        assert_eq!(brought("laptop.example.org").as_deref(), Some("laptop"));
        assert_eq!(brought("Max-PC").as_deref(), Some("Max-PC"));
        for host in ["localhost", "localhost.localdomain", "", ".laptop", "b\u{fc}ro", "a b"] {
            assert_eq!(brought(host), None, "{host}");
        }
        assert_eq!(name_of_host(vec![0xff]), None);
        let told = checked_name("a/b\u{1b}[1m".to_owned()).expect_err("no name").to_string();
        assert!(told.contains("a/b") && !told.contains('\u{1b}'), "{told}");
    }

    #[test]
    fn a_missing_code_is_told_as_such() {
        assert_eq!(checked_code("1234 5678\n").expect("a code"), "12345678");
        assert_eq!(checked_code("1234-5678").expect("a code"), "12345678");
        // As it was before there was encryption.
        let key = "00ff".repeat(16);
        for (typed, word) in [
            ("\n", "No code"),
            ("", "No code"),
            ("two words", "no code"),
            ("\u{1b}[A", "no code"),
            ("1234567", "no code"),
            ("123456789", "no code"),
            ("1234-56789", "no code"),
            (&key, "no code"),
        ] {
            let trouble = checked_code(typed).expect_err("no code");
            assert!(trouble.to_string().contains(word) && trouble.exit_code() == 2, "{trouble}");
        }
    }

    #[test]
    fn a_pairing_is_not_replaced_unasked() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("appliance.toml");
        assert!(may_replace(&path, |_| false).is_ok(), "nothing to replace");
        let own = SecretKey::generate().expect("random");
        let keys = PairedKeys { appliance: own.public(), own: own.clone() };
        let pairing = PairedAppliance { address: "https://old:8477".into(), keys };
        pairing.store(&path).expect("stored");
        assert!(may_replace(&path, |_| true).is_ok(), "confirmed");
        let told = may_replace(&path, |_| false).expect_err("it stays").to_string();
        assert!(told.contains("https://old:8477") && !told.contains(&own.to_hex()), "{told}");
    }

    #[test]
    fn addresses_are_completed() {
        for typed in ["larder.local", "larder.local:8477", "http://larder.local/", "http://larder.local:8477"]
        {
            assert_eq!(full_address(typed).unwrap(), "larder.local:8477", "{typed}");
        }
        assert_eq!(full_address("[fe80::1]").unwrap(), "[fe80::1]:8477");
        assert_eq!(full_address("https://[fe80::1]:80/").unwrap(), "[fe80::1]:80");
        assert_eq!(full_address("192.168.1.7").unwrap(), "192.168.1.7:8477");
        let no_ports = ":84777|:8477|larder:84777|larder:0|larder:x|larder:|[fe80::1]8477";
        let no_hosts = "|ftp://x|http://a/b|a b|a@b|[fe80::1|[larder]|a:b:c|fe80::1|http://fe80::1|larder?";
        for typed in [no_ports, no_hosts].iter().flat_map(|list| list.split('|')) {
            assert_eq!(full_address(typed).map_err(|trouble| trouble.exit_code()), Err(2), "{typed}");
        }
        assert!(full_address("fe80::1").unwrap_err().to_string().contains("[fe80::1]:8477"));
    }
}
