//! `larder discover`: appliances that announce themselves on this network; also for a pairing without an address.

use super::{
    options::GlobalOptions,
    output::{CommandError, Output},
    screen::say,
    table::{Column, print_table},
};
use crate::{
    ClientError, NoAnswer, PairedAppliance,
    link::{
        announced::{AnnouncedAppliance, AnnouncedAppliances, LISTEN_FOR, find_announced},
        moved::KeyProofs,
    },
    settings::PairedKeys,
};
use clap::Args;
use larder_format::mdns::AnnouncedLevel;
use serde_json::{Value, json};
use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

#[derive(Debug, Args)]
pub(super) struct DiscoverArgs {
    /// How long to listen
    #[arg(long, value_name = "SECONDS", default_value_t = LISTEN_FOR.as_secs(), value_parser = clap::value_parser!(u64).range(1..=60))]
    wait: u64,
}

/// What an announced appliance is to this computer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PairedStanding {
    /// Not the one that this computer is paired with.
    Other,
    /// The paired one: it proved its key just now.
    Paired,
    /// It announces the paired key, and does not prove it.
    Unproven,
}

impl PairedStanding {
    fn words(self) -> &'static str {
        match self {
            Self::Other => "",
            Self::Paired => "paired with this computer",
            Self::Unproven => "announces the key of this computer's appliance, and does not prove it",
        }
    }
}

pub(super) fn discover(
    args: &DiscoverArgs,
    global: &GlobalOptions,
    output: &mut Output,
) -> Result<u8, CommandError> {
    let found = find(Duration::from_secs(args.wait))?;
    // Without a pairing nothing is marked; `larder discover` is what a person runs before the first one.
    let paired = global.pairing_path().and_then(|path| PairedAppliance::load(&path)).ok();
    let keys = paired.as_ref().map(|pairing| &pairing.keys);
    let found = with_standing(found, keys);
    if output.is_json() {
        output.json(&found.iter().map(|(standing, one)| in_json(*standing, one)).collect::<Vec<_>>())?;
    } else {
        let rows = found.iter().map(|(standing, one)| row(*standing, one)).collect();
        table(rows, output)?;
        if paired.is_none() {
            output.line("This computer is not paired yet: run `larderd pair` on the appliance, then `larder pair` here.")?;
        }
    }
    Ok(0)
}

/// Finds appliances; none is a failure.
fn find(wait: Duration) -> Result<AnnouncedAppliances, ClientError> {
    let found = find_announced(wait, |_| false)?;
    if found.is_empty() {
        let cause = format!("nothing was announced within {} s", wait.as_secs());
        return Err(ClientError::Unreachable { address: String::new(), why: NoAnswer::NotAnnounced, cause });
    }
    Ok(found)
}

/// The address of the only appliance on this network; where there are several, they are listed.
pub(super) fn the_only_one(output: &mut Output) -> Result<String, CommandError> {
    let found: Vec<_> = find(LISTEN_FOR)?.into_values().collect();
    if let [one] = &found[..] {
        let key = one.key_start.as_deref().unwrap_or("unknown");
        say(format_args!("Found \"{}\" at {} (its key begins with {key}).", one.name, one.address()));
        return Ok(one.address().to_string());
    }
    if !output.is_json() {
        table(found.iter().map(|one| row(PairedStanding::Other, one)).collect(), output)?;
    }
    let what = format!("There are {} appliances on this network.", found.len());
    let remedy = "Say which one: `larder pair ADDRESS`, with one of the addresses of `larder discover`.";
    Err(ClientError::WrongKind { what, remedy }.into())
}

/// What each is to a computer with this pairing.
fn with_standing(
    found: AnnouncedAppliances,
    paired: Option<&PairedKeys>,
) -> Vec<(PairedStanding, AnnouncedAppliance)> {
    let Some(keys) = paired else {
        return found.into_values().map(|one| (PairedStanding::Other, one)).collect();
    };
    let mut proofs = KeyProofs::of(keys);
    proofs.ask(&found);
    let (paired, others): (Vec<_>, Vec<_>) = found.into_values().partition(|one| proofs.seems_to_be(one));
    let is_at = |one: &AnnouncedAppliance, proven: &BTreeSet<SocketAddr>| {
        one.addresses.iter().any(|address| proven.contains(address))
    };
    proofs.wait_until(|proven| paired.iter().all(|one| is_at(one, proven)));
    let proven = proofs.proven();
    let standing = |one: &AnnouncedAppliance| {
        if is_at(one, proven) { PairedStanding::Paired } else { PairedStanding::Unproven }
    };
    let paired = paired.into_iter().map(|one| (standing(&one), one));
    paired.chain(others.into_iter().map(|one| (PairedStanding::Other, one))).collect()
}

fn table(rows: Vec<Vec<String>>, output: &mut Output) -> std::io::Result<()> {
    use Column::Left;
    print_table(&[Left("APPLIANCE"), Left("ADDRESS"), Left("SAYS"), Left("KEY"), Left("")], rows, output)
}

fn row(standing: PairedStanding, one: &AnnouncedAppliance) -> Vec<String> {
    let level = match one.level {
        Some(AnnouncedLevel::Fine) => "fine",
        Some(AnnouncedLevel::NeedsYou) => "needs you",
        Some(AnnouncedLevel::Alarm) => "alarm",
        None => "unknown",
    };
    let key = one.key_start.clone().unwrap_or_else(|| "unknown".to_owned());
    vec![one.name.clone(), one.address().to_string(), level.to_owned(), key, standing.words().to_owned()]
}

fn in_json(standing: PairedStanding, one: &AnnouncedAppliance) -> Value {
    let addresses: Vec<String> = one.addresses.iter().map(ToString::to_string).collect();
    json!({
        "name": one.name,
        "address": addresses[0],
        "addresses": addresses,
        "level": one.level.map(|level| level.word().replace('-', "_")),
        "version": one.version,
        "key_start": one.key_start,
        "paired": standing == PairedStanding::Paired,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_of_a_newer_appliance_is_not_taken_for_fine() {
        let mut one = AnnouncedAppliance {
            name: "Attic".to_owned(),
            addresses: vec!["192.168.1.20:8477".parse().unwrap()],
            level: None,
            version: String::new(),
            key_start: None,
        };
        assert_eq!(
            row(PairedStanding::Other, &one),
            ["Attic", "192.168.1.20:8477", "unknown", "unknown", ""]
        );
        assert_eq!(in_json(PairedStanding::Other, &one)["level"], Value::Null);
        one.level = Some(AnnouncedLevel::NeedsYou);
        assert_eq!(row(PairedStanding::Other, &one)[2], "needs you");
        // As in `larder status --json`.
        assert_eq!(in_json(PairedStanding::Other, &one)["level"], "needs_you");
    }
}
