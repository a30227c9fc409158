//! `larder pair`: the address and the key of an appliance, checked before they are kept.

use super::{
    cli::Common,
    output::{Failure, Output},
};
use crate::{
    Appliance, Connection, Pairing, Trouble,
    settings::{Seen, state_path},
};
use clap::Args;
use std::io::{IsTerminal, Write};

#[derive(Debug, Args)]
pub(super) struct PairArgs {
    /// Where the appliance is, for example http://larder.local:8477
    address: String,
}

const PORT: u16 = 8477;

pub(super) fn pair(args: &PairArgs, common: &Common, output: &mut Output) -> Result<u8, Failure> {
    let address = full_address(&args.address)?;
    let token = ask_for_key()?;
    let pairing = Pairing { address, token };
    let identity = Connection::new(&pairing).impatient().identity()?;
    let path = common.pairing_path()?;
    pairing.store(&path)?;
    // Who pairs again says that this is the right appliance, also after an old disk was put back.
    Seen { head: identity.head, receipt: None }
        .store(&state_path(&identity.vault)?)
        .map_err(|error| Trouble::local("remembering the appliance", &path, error))?;
    if output.is_json() {
        output.json(&identity)?;
    } else {
        let role = format!("{:?}", identity.role).to_lowercase();
        output.line(format!(
            "This computer is paired with \"{}\" as {} (it may: {role}).",
            identity.appliance, identity.device
        ))?;
        output.line("Nothing is backed up yet.")?;
        output.line("Run `larder push FOLDER` to make the first backup.")?;
    }
    Ok(0)
}

/// `larder`, `larder:8477` and `http://larder:8477` all mean the same.
fn full_address(typed: &str) -> Result<String, Trouble> {
    let rest = typed.strip_prefix("http://").unwrap_or(typed).trim_end_matches('/');
    if rest.is_empty() || rest.contains("://") || rest.contains(['/', '@', ' ']) {
        return Err(Trouble::Usage(format!(
            "\"{typed}\" is not an address such as http://larder.local:{PORT}"
        )));
    }
    // A colon inside brackets belongs to an address of version 6.
    let has_port = rest.rfind(':').is_some_and(|colon| rest.rfind(']').is_none_or(|bracket| bracket < colon));
    Ok(if has_port { format!("http://{rest}") } else { format!("http://{rest}:{PORT}") })
}

fn ask_for_key() -> Result<String, Failure> {
    if std::io::stdin().is_terminal() {
        eprint!("Key for this computer (`larderd token` on the appliance makes one): ");
        std::io::stderr().flush()?;
    }
    let mut line = String::new();
    std::io::stdin()
        .read_line(&mut line)
        .map_err(|error| Trouble::local("reading the key", "standard input", error))?;
    let token = line.trim();
    if token.is_empty() || token.chars().any(|c| !c.is_ascii_graphic()) {
        return Err(Trouble::Usage("no key was entered".to_owned()).into());
    }
    Ok(token.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_completed() {
        for typed in ["larder.local", "larder.local:8477", "http://larder.local/", "http://larder.local:8477"]
        {
            assert_eq!(full_address(typed).unwrap(), "http://larder.local:8477", "{typed}");
        }
        assert_eq!(full_address("[fe80::1]").unwrap(), "http://[fe80::1]:8477");
        for typed in ["", "ftp://x", "http://a/b", "a b"] {
            assert!(full_address(typed).is_err(), "{typed}");
        }
    }
}
