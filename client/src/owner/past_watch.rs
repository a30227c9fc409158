//! The appliance's past, as this computer saw it last: it may only ever grow.
//!
//! Not here: the file that remembers (`settings`).

use super::screen::say;
use crate::{
    ClientError, Connection, Pushed,
    link::questions::ledger_entry,
    settings::{self, SeenHead},
};
use larder_format::wire::Identity;
use std::path::PathBuf;

/// Watches that the appliance's past only ever grows.
pub(super) struct PastWatch {
    path: PathBuf,
    pub(super) alarm: bool,
    /// Whether this computer has no receipt of this vault yet.
    pub(super) is_first: bool,
}

impl PastWatch {
    pub(super) fn start(connection: &Connection, identity: &Identity) -> Result<Self, ClientError> {
        let path = settings::state_path(&identity.vault)?;
        let seen = SeenHead::load(&path);
        // An old disk that was put back may have grown past the last seen number: then the entry of that number
        // differs.
        let same_number = match &seen {
            Some(seen) if seen.head.sequence < identity.head.sequence => {
                ledger_entry(connection, seen.head.sequence)?
            }
            _ => None,
        };
        let now = same_number.unwrap_or(identity.head);
        let alarm = seen.as_ref().is_some_and(|seen| seen.contradicts(&now));
        let is_first = seen.as_ref().is_none_or(|seen| seen.receipt.is_none());
        if let (true, Some(seen)) = (alarm, seen) {
            say("ALARM: the appliance's record of the past is not the one that this computer saw before.");
            say("Older snapshots may be missing or exchanged. This push goes on, so that today is safe.");
            say(format_args!(
                "If you put an old disk back into \"{}\", run `larder pair` again; if not, trust none of it.",
                identity.appliance,
            ));
            say(format_args!(
                "details: seen entry {} {}, now {} {}",
                seen.head.sequence,
                seen.head.hash.short(),
                now.sequence,
                now.hash.short(),
            ));
        }
        Ok(Self { path, alarm, is_first })
    }

    /// Remembers the newest receipt.
    pub(super) fn saw(&mut self, pushed: &Pushed) {
        let seen = SeenHead { head: pushed.receipt.head, receipt: Some(pushed.receipt.clone()) };
        // An alarm is not forgotten by the next push: the old head stays until the computer is paired again.
        if !self.alarm
            && let Err(error) = seen.store(&self.path)
        {
            say(format_args!(
                "details: the receipt could not be remembered in {}: {error}",
                self.path.display()
            ));
        }
    }
}
