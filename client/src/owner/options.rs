//! Options that every command understands.

use super::{
    progress::announce,
    screen::{is_watched, say},
};
use crate::{
    ClientError, Connection, PairedAppliance,
    link::{announced::LISTEN_FOR, moved::search},
};
use clap::Args;
use jiff::{Timestamp, Zoned, tz::TimeZone};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// What every command understands.
#[derive(Debug, Args)]
pub(super) struct GlobalOptions {
    /// Answer in JSON, for programs
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// The pairing to use instead of this account's own
    #[arg(long, global = true, value_name = "FILE")]
    appliance: Option<PathBuf>,
}

impl GlobalOptions {
    /// For a program without a person: this pairing, and words for people.
    pub(super) fn with_pairing(pairing: PathBuf) -> Self {
        Self { json: false, appliance: Some(pairing) }
    }

    /// Where the pairing lies.
    pub(super) fn pairing_path(&self) -> Result<PathBuf, ClientError> {
        self.appliance.clone().map_or_else(PairedAppliance::default_path, Ok)
    }

    /// Files and folders that may hold the key of this computer: the named pairing, and the account's own folder.
    pub(super) fn key_places(&self) -> Result<Vec<PathBuf>, ClientError> {
        let own = PairedAppliance::default_path().ok().and_then(|path| path.parent().map(PathBuf::from));
        Ok(self.appliance.iter().cloned().chain(own).collect())
    }

    /// A connection to the paired appliance, with retries for as long as a box takes to start. A person hears within
    /// seconds that nobody answers at all; a timer that runs while the network comes up gets its backup.
    pub(super) fn connect(&self) -> Result<Connection, ClientError> {
        let path = self.pairing_path()?;
        let pairing = PairedAppliance::load(&path)?;
        let connection = Connection::new(&pairing).asked_at(now());
        let connection = connection.searched_by(move |asked| search_for(&pairing, &path, asked));
        let connection = if is_watched() { connection.awaited() } else { connection };
        let connection = connection.telling_outages(|trouble, waiting| {
            say(told_of_outage(trouble, waiting));
        });
        if !self.json {
            announce(&connection);
        }
        Ok(connection)
    }

    /// A connection to the paired appliance, for a question of a waiting person.
    pub(super) fn ask(&self) -> Result<Connection, ClientError> {
        self.connect().map(Connection::without_retries)
    }
}

/// Searches for an appliance that does not answer where it was asked, and says where it is.
fn search_for(pairing: &PairedAppliance, path: &Path, asked: &str) -> Option<String> {
    let paired = &pairing.address;
    // What is on this very computer stays there, and announces itself to nobody.
    if is_this_computer(paired) {
        return None;
    }
    let Some(found) = search(&pairing.keys, LISTEN_FOR) else {
        // A name may lead there again, also out of a network where nothing is announced.
        return (!is_number(paired)).then(|| paired.clone());
    };
    let now = format!("https://{found}");
    if asked == now {
        return None;
    }
    say(format_args!("The appliance is not at {asked} any more, but at {now}: it has the same key."));
    // A name may be right again tomorrow, in another network; a number was given by the router, and so is the new one.
    if is_number(paired) && is_still_paired(pairing, path) {
        let moved = PairedAppliance { address: now.clone(), keys: pairing.keys.clone() };
        // What cannot be written is found again the next time.
        let _ = moved.store(path);
    }
    Some(now)
}

/// Whether the pairing there has the same keys: a watch goes on for months, and the only copy of a newer pairing's key
/// would be written over.
fn is_still_paired(pairing: &PairedAppliance, path: &Path) -> bool {
    let own = pairing.keys.own.public();
    PairedAppliance::load(path)
        .is_ok_and(|there| there.keys.appliance == pairing.keys.appliance && there.keys.own.public() == own)
}

fn is_number(address: &str) -> bool {
    number(address).is_some()
}

fn is_this_computer(address: &str) -> bool {
    address.starts_with("https://localhost:")
        || number(address).is_some_and(|number| number.ip().to_canonical().is_loopback())
}

fn number(address: &str) -> Option<SocketAddr> {
    address.strip_prefix("https://")?.parse().ok()
}

fn told_of_outage(trouble: &ClientError, waiting: Duration) -> String {
    let what = super::words::problem_of(trouble).what;
    format!("{what} Trying again for {} minutes.", waiting.as_secs() / 60)
}

/// This moment in the zone of this computer: every typed time is meant so, as every printed time is.
pub(super) fn now() -> Zoned {
    Timestamp::try_from(SystemTime::now()).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(TimeZone::system())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::PairedKeys;
    use larder_trust::SecretKey;

    #[test]
    fn addresses_are_told_apart() {
        let check = |address, expect| {
            assert_eq!((is_number(address), is_this_computer(address)), expect, "{address}")
        };
        check("https://192.168.1.20:8477", (true, false));
        check("https://[fd00::20]:8477", (true, false));
        check("https://127.0.0.1:8477", (true, true));
        check("https://[::1]:8477", (true, true));
        check("https://localhost:8477", (false, true));
        check("https://larder.local:8477", (false, false));
    }

    #[test]
    fn a_newer_pairing_is_not_written_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("appliance.toml");
        let appliance = SecretKey::generate().expect("random").public();
        let pairing = |address: &str| {
            let own = SecretKey::generate().expect("random");
            PairedAppliance { address: address.to_owned(), keys: PairedKeys { appliance, own } }
        };
        let old = pairing("https://192.168.1.20:8477");
        assert!(!is_still_paired(&old, &path), "it was taken away");
        old.store(&path).expect("stored");
        assert!(is_still_paired(&old, &path));
        let moved =
            PairedAppliance { address: "https://192.168.1.21:8477".to_owned(), keys: old.keys.clone() };
        moved.store(&path).expect("stored");
        assert!(is_still_paired(&old, &path), "only the address is another");
        pairing("https://192.168.1.20:8477").store(&path).expect("stored");
        assert!(!is_still_paired(&old, &path));
    }
}
