//! The broker as a witness: what the appliance itself said last of its ledger, read back before it says something new.
//!
//! After each start the retained head is awaited for a few seconds, and nothing is shown at its topic before. One that bears a
//! good signature of the appliance's own key for its own vault is handed up and compared with the ledger; where the ledger
//! does not have it, it is not overwritten until somebody at the box has said that this is right. Anything else, from whomever,
//! is passed over: no broker can ring an alarm with what the appliance did not sign. Pure; time comes in. Not here: the
//! comparison (`state::gather`), its meaning (`decide`).

use jiff::Timestamp;
use larder_format::Hash;
use larder_format::ledger::Head;
use larder_format::statement::{Statement, StatementKind, vault_name};
use larder_trust::{PublicKey, from_hex};
use std::time::Duration;
use tokio::time::Instant;

use crate::report::{HeadReport, RetainedHead};

/// How long a retained head is awaited. Brokers send it with the subscription, so this is generous.
const AWAITED_FOR: Duration = Duration::from_secs(5);
/// Ours has some 500 bytes.
const HEAD_BYTES_MAX: usize = 4096;

/// Whose head it is: without both, another box's or another vault's past would be taken for ours.
#[derive(Debug, Clone)]
pub(crate) struct HeadOwner {
    /// The appliance's own key.
    pub(crate) key: PublicKey,
    /// Random name of the vault, in hex.
    pub(crate) vault: String,
}

/// How far the reading back has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HeadStage {
    /// No connection yet, or it broke before an answer could come.
    Unheard,
    /// Awaited until then.
    Awaited(Instant),
    /// Whatever was there has come.
    Heard,
    /// Our own head is shown, so what stands at the broker is ours.
    Shown,
}

/// The reading back.
#[derive(Debug)]
pub(super) struct HeadWitness {
    owner: HeadOwner,
    stage: HeadStage,
    retained: Option<RetainedHead>,
}

impl HeadWitness {
    /// Nothing is awaited from a broker that is the agent's own: it remembers nothing from before.
    pub(super) fn new(owner: HeadOwner, is_own_broker: bool) -> Self {
        let stage = if is_own_broker { HeadStage::Shown } else { HeadStage::Unheard };
        Self { owner, stage, retained: None }
    }

    /// A connection was made, and its subscriptions are on their way.
    pub(super) fn connected(&mut self, now: Instant) {
        if self.stage == HeadStage::Unheard {
            self.stage = HeadStage::Awaited(now + AWAITED_FOR);
        }
    }

    /// The connection is gone, and with it what was still to come.
    pub(super) fn connection_is_down(&mut self) {
        if matches!(self.stage, HeadStage::Awaited(_)) {
            self.stage = HeadStage::Unheard;
        }
    }

    /// The retained head came, in whatever state.
    pub(super) fn take(&mut self, payload: &[u8]) {
        if matches!(self.stage, HeadStage::Awaited(_)) {
            (self.stage, self.retained) = (HeadStage::Heard, self.read(payload));
        }
    }

    /// When `on_time` has to be called next.
    pub(super) fn due(&self) -> Option<Instant> {
        if let HeadStage::Awaited(until) = self.stage { Some(until) } else { None }
    }

    /// After its time nothing comes any more.
    pub(super) fn on_time(&mut self, now: Instant) {
        if self.due().is_some_and(|until| until <= now) {
            self.stage = HeadStage::Heard;
        }
    }

    /// A good head found at the broker, as long as it stands there.
    pub(super) fn retained(&self) -> Option<RetainedHead> {
        self.retained
    }

    /// Whether the head of a report may be shown; from the first one on, each may.
    pub(super) fn may_show(&mut self, head: &HeadReport) -> bool {
        // A report from before the comparison knows nothing of what was found.
        if self.stage == HeadStage::Heard && head.answers == self.retained && !head.is_withheld {
            (self.stage, self.retained) = (HeadStage::Shown, None);
        }
        self.stage == HeadStage::Shown
    }

    /// A head that this appliance signed for this vault; nothing for anything else.
    fn read(&self, payload: &[u8]) -> Option<RetainedHead> {
        if payload.len() > HEAD_BYTES_MAX {
            return None;
        }
        let told: serde_json::Value = serde_json::from_slice(payload).ok()?;
        let text = |key: &str| told.get(key)?.as_str();
        if text("vault")? != self.owner.vault {
            return None;
        }
        let (sequence, hash) = (told.get("sequence")?.as_u64()?, Hash::from_hex(text("hash")?)?);
        let said: Timestamp = text("said")?.parse().ok()?;
        let head = Head { sequence, hash };
        let (vault, said_ms) = (vault_name(&self.owner.vault)?, said.as_millisecond());
        let statement = Statement { vault, entry: head, said_ms, kind: StatementKind::Newest };
        let signature = from_hex(text("signature")?)?;
        let is_ours = self.owner.key.has_signed(&statement.encode(), &signature);
        is_ours.then_some(RetainedHead { head, said })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{sample, topics};
    use super::*;
    use larder_trust::{SecretKey, to_hex};

    const VAULT: &str = "000102030405060708090a0b0c0d0e0f";

    fn signed(key: &SecretKey, vault: &str, sequence: u64) -> HeadReport {
        let said: Timestamp = "2026-05-02T03:04:05.678Z".parse().unwrap();
        let head = Head { sequence, hash: Hash::of(b"an entry") };
        let (name, said_ms) = (vault_name(vault).unwrap(), said.as_millisecond());
        let statement = Statement { vault: name, entry: head, said_ms, kind: StatementKind::Newest };
        let mut report = sample::report().head;
        (report.sequence, report.hash) = (sequence, head.hash.to_string());
        report.signed.vault = Some(vault.to_owned());
        report.signed.said = Some(said);
        report.signed.key = Some(key.public().to_string());
        report.signed.signature = Some(to_hex(&key.sign(&statement.encode())));
        report
    }

    fn witness(key: &SecretKey) -> (HeadWitness, Instant) {
        let (owner, now) = (HeadOwner { key: key.public(), vault: VAULT.to_owned() }, Instant::now());
        let mut witness = HeadWitness::new(owner, false);
        witness.connected(now);
        (witness, now)
    }

    fn found(key: &SecretKey, payload: &[u8]) -> Option<u64> {
        let (mut witness, _) = witness(key);
        witness.take(payload);
        witness.retained().map(|retained| retained.head.sequence)
    }

    #[test]
    fn only_what_the_appliance_signed_for_this_vault_is_believed() {
        let (key, other) = (SecretKey::generate().unwrap(), SecretKey::generate().unwrap());
        let ours = topics::json(&signed(&key, VAULT, 7));
        assert_eq!(found(&key, ours.as_bytes()), Some(7));
        let changed = |from: &str, to: &str| {
            let changed = ours.replace(from, to);
            assert_ne!(changed, ours, "{from}");
            assert_eq!(found(&key, changed.as_bytes()), None, "{changed}");
        };
        changed("\"sequence\":7", "\"sequence\":8");
        changed("\"sequence\":7", "\"sequence\":-7");
        changed("\"sequence\":7", "\"sequence\":18446744073709551616");
        changed("05.678Z", "05.679Z");
        changed("\"signature\":\"", "\"signature\":\"00");
        changed("\"signature\"", "\"unsigned\"");
        changed(VAULT, "100102030405060708090a0b0c0d0e0f");
        // Signed by somebody else, whatever key is written beside it; or for the vault of before.
        assert_eq!(found(&key, topics::json(&signed(&other, VAULT, 7)).as_bytes()), None);
        let pretends = topics::json(&signed(&other, VAULT, 7));
        let pretends = pretends.replace(&other.public().to_string(), &key.public().to_string());
        assert_eq!(found(&key, pretends.as_bytes()), None);
        let of_before = topics::json(&signed(&key, "ff0102030405060708090a0b0c0d0e0f", 7));
        assert_eq!(found(&key, of_before.as_bytes()), None);
        // The word on an older entry is not the word on the newest.
        let long = format!("{}{}", " ".repeat(HEAD_BYTES_MAX), ours);
        for nothing in
            [&b""[..], b"{}", b"[7]", b"\xff\xfe", long.as_bytes(), &ours.as_bytes()[..ours.len() / 2]]
        {
            assert_eq!(found(&key, nothing), None);
        }
    }

    #[test]
    fn nothing_is_shown_before_what_was_there_has_come() {
        let key = SecretKey::generate().unwrap();
        let (mut witness, now) = witness(&key);
        let own = signed(&key, VAULT, 6);
        assert!(!witness.may_show(&own));
        witness.connection_is_down();
        assert_eq!(witness.due(), None);
        witness.connected(now + AWAITED_FOR);
        witness.on_time(now + AWAITED_FOR);
        assert!(!witness.may_show(&own), "awaited anew");
        witness.on_time(now + 2 * AWAITED_FOR);
        assert!(witness.may_show(&own) && witness.due().is_none());
        witness.take(topics::json(&signed(&key, VAULT, 9)).as_bytes());
        assert_eq!(witness.retained(), None, "what comes later is no memory of ours");
    }

    #[test]
    fn at_the_own_broker_the_head_is_shown_at_once() {
        let key = SecretKey::generate().unwrap();
        let owner = HeadOwner { key: key.public(), vault: VAULT.to_owned() };
        let mut witness = HeadWitness::new(owner, true);
        witness.connected(Instant::now());
        assert!(witness.may_show(&signed(&key, VAULT, 6)) && witness.due().is_none());
    }

    #[test]
    fn a_head_that_is_found_stays_until_a_report_answers_to_it() {
        let key = SecretKey::generate().unwrap();
        let (mut witness, _) = witness(&key);
        witness.take(topics::json(&signed(&key, VAULT, 9)).as_bytes());
        let retained = witness.retained();
        assert!(retained.is_some());
        let own = signed(&key, VAULT, 6);
        assert!(!witness.may_show(&own), "a report from before");
        let withheld = HeadReport { answers: retained, is_withheld: true, ..own.clone() };
        assert!(!witness.may_show(&withheld));
        assert!(witness.may_show(&HeadReport { answers: retained, ..own.clone() }));
        assert!(witness.may_show(&own) && witness.retained().is_none(), "from then on it is ours");
    }
}
