//! The appliance's past, as this computer saw it last: it may only ever grow.
//!
//! What was seen bears the appliance's own signature, and so does what is shown now: where the two contradict each other, both are
//! put into a file, and whoever sees the file sees that the appliance, or somebody at its disks, changed the past. Not here: the
//! file that remembers (`settings`), the receipts one by one (`receipts`, `verifying`).

use super::screen::say;
use crate::{
    ClientError, Connection, Pushed,
    link::questions::ledger_entry,
    receipts::{KeptReceipt, ReceiptBook, is_signed},
    settings::{self, SeenHead, replace},
};
use larder_format::{
    ledger::Head,
    statement::StatementKind,
    wire::{EntryWord, Identity, SignedWord},
};
use larder_trust::PublicKey;
use std::{io, path::PathBuf};

/// Watches that the appliance's past only ever grows.
pub(super) struct PastWatch {
    path: PathBuf,
    vault: String,
    appliance: String,
    key: Option<PublicKey>,
    seen: Option<SeenHead>,
    now: ShownPast,
    pub(super) alarm: bool,
    /// Whether this computer has no receipt of this vault yet.
    pub(super) is_first: bool,
}

/// What the appliance shows in the place of what was seen.
struct ShownPast {
    /// The entry with the same number, or the newest where that is older; none where the entry is missing.
    entry: Option<Head>,
    signed: Option<SignedWord>,
    /// Whether the word is about the newest entry.
    is_newest: bool,
}

impl PastWatch {
    /// Compares, and says so on the spot where the past is another one; the push goes on.
    pub(super) fn start(connection: &Connection, identity: &Identity) -> Result<Self, ClientError> {
        let watch = Self::look(connection, identity)?;
        watch.tell("This push goes on, so that today is safe.");
        Ok(watch)
    }

    /// Compares.
    pub(super) fn look(connection: &Connection, identity: &Identity) -> Result<Self, ClientError> {
        let path = settings::state_path(&identity.vault)?;
        let seen = SeenHead::load(&path);
        // An old disk that was put back may have grown past the last seen number: then the entry of that number
        // differs.
        let now = match &seen {
            Some(seen) if seen.head.sequence < identity.head.sequence => {
                let found = ledger_entry(connection, seen.head.sequence)?;
                let (entry, signed) = found.map(|EntryWord { entry, signed }| (entry, signed)).unzip();
                ShownPast { entry, signed: signed.flatten(), is_newest: false }
            }
            _ => ShownPast { entry: Some(identity.head), signed: identity.signed.clone(), is_newest: true },
        };
        let contradicts = |seen: &SeenHead| now.entry.is_none_or(|now| seen.contradicts(&now));
        let alarm = seen.as_ref().is_some_and(contradicts);
        let is_first = seen.as_ref().is_none_or(|seen| seen.receipt.is_none());
        let (vault, appliance) = (identity.vault.clone(), identity.appliance.clone());
        Ok(Self { path, vault, appliance, key: connection.key().copied(), seen, now, alarm, is_first })
    }

    /// Says that the past is another one, if it is; `meanwhile` tells what becomes of the command.
    pub(super) fn tell(&self, meanwhile: &str) {
        let Some(seen) = self.seen.as_ref().filter(|_| self.alarm) else { return };
        say("ALARM: the appliance's record of the past is not the one that this computer saw before.");
        say(format_args!("Older snapshots may be missing or exchanged. {meanwhile}"));
        if let Some(evidence) = self.evidence(seen) {
            match self.keep(&evidence) {
                Ok(path) => say(format_args!(
                    "The appliance signed both records with its own key, so this is no mistake of this computer; both are kept in {}.",
                    path.display()
                )),
                Err(error) => say(format_args!("details: what proves it could not be written down: {error}")),
            }
        }
        say(format_args!(
            "If you put an old disk back into \"{}\", run `larder pair` again; if not, trust none of it. `larder verify` says \
             what is missing.",
            self.appliance,
        ));
        let now = self.now.entry.map_or_else(
            || "no such entry".to_owned(),
            |now| format!("{} {}", now.sequence, now.hash.short()),
        );
        say(format_args!("details: seen entry {} {}, now {now}", seen.head.sequence, seen.head.hash.short()));
    }

    /// Two words of the appliance that contradict each other, if both bear its signature. That an older entry is the newest now
    /// proves it by the appliance's clock; another entry under the same number needs no clock.
    fn evidence(&self, seen: &SeenHead) -> Option<serde_json::Value> {
        let key = self.key.as_ref()?;
        let (now, word) = (self.now.entry?, self.now.signed.as_ref()?);
        let said = if self.now.is_newest { StatementKind::Newest } else { StatementKind::Entry };
        let (before, before_said) = seen.word()?;
        let both = is_signed(key, &self.vault, seen.head, before_said, before)
            && is_signed(key, &self.vault, now, said, word);
        let name = |said| match said {
            StatementKind::Newest => "newest",
            StatementKind::Entry => "entry",
            StatementKind::Snapshot { .. } => "snapshot",
        };
        both.then(|| {
            serde_json::json!({
                "key": key.to_string(),
                "vault": self.vault,
                "before": { "said": name(before_said), "entry": seen.head, "word": before, "receipt": seen.receipt, "root": seen.root },
                "now": { "said": name(said), "entry": now, "word": word },
            })
        })
    }

    /// Writes down what proves that the past was changed. The first proof stays: the next one may show less.
    fn keep(&self, evidence: &serde_json::Value) -> io::Result<PathBuf> {
        let path = self.path.with_extension("changed.json");
        if !path.try_exists()? {
            replace(&path, &serde_json::to_vec_pretty(evidence)?)?;
        }
        Ok(path)
    }

    /// Remembers the newest entry, without a new receipt.
    pub(super) fn saw_newest(&self, identity: &Identity) {
        let (receipt, root) =
            self.seen.as_ref().map_or((None, None), |seen| (seen.receipt.clone(), seen.root));
        self.remember(&SeenHead { head: identity.head, receipt, root, signed: identity.signed.clone() });
    }

    /// Remembers the newest receipt.
    pub(super) fn saw(&mut self, pushed: &Pushed) {
        let Pushed { receipt, root, .. } = pushed;
        let kept = KeptReceipt { vault: self.vault.clone(), root: *root, receipt: receipt.clone() };
        if let Some(key) = &self.key {
            if kept.is_signed(key) == Some(false) {
                say("ALARM: the appliance's receipt for this backup does not bear its signature.");
                say("The backup was made as far as can be told; what proves it is missing.");
                say("Update `larder` here and larderd on the appliance; if both are, trust none of it.");
                self.alarm = true;
                return;
            }
            let added = ReceiptBook::of(key).and_then(|book| {
                book.add(&kept).map_err(|error| ClientError::local("keeping the receipt", book.path(), error))
            });
            if let Err(trouble) = added {
                say(format_args!("details: {trouble}"));
            }
        }
        // A push that was repeated has the receipt of the first time, and more may have been seen since.
        if self.seen.as_ref().is_some_and(|seen| seen.head.sequence > receipt.head.sequence) {
            return;
        }
        let (head, root) = (receipt.head, Some(*root));
        let seen = SeenHead { head, receipt: Some(receipt.clone()), root, signed: None };
        self.remember(&seen);
        // The next folder of the same run goes on from here.
        if !self.alarm {
            self.seen = Some(seen);
        }
    }

    fn remember(&self, seen: &SeenHead) {
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
