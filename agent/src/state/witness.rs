//! The appliance as witness of its own past: what it says, and whether its disks still have what it once said.
//!
//! Only what the ledger in memory holds is signed, and that is durable on every healthy disk. The key is there whenever an agent
//! runs: where none could be read, another one was made, which nobody has pinned, so words under it prove nothing to anybody,
//! and backups run all the same. Not here: signing (`signer`), the meaning of a loss (`decide`).

use super::Appliance;
use super::signer::{NewestEntry, SignedHead};
use crate::decide::facts::RetainedStanding;
use crate::report::SignedParts;
use jiff::Timestamp;
use larder_format::ledger::Head;
use larder_format::wire::SignedWord;
use larder_store::SnapshotRecord;

impl Appliance {
    /// The newest entry with the appliance's word on it. Needs no disk.
    pub(crate) fn signed_head(&self) -> SignedHead {
        self.signer.newest(self.stamp().time_ms, || {
            let view = self.vault.ledger();
            NewestEntry { head: view.head, written_ms: view.newest.map(|stamp| stamp.time_ms) }
        })
    }

    /// The appliance's word that an entry, just read, is in its ledger.
    pub(crate) fn signed_entry(&self, entry: Head) -> SignedWord {
        self.signer.entry(self.stamp().time_ms, entry)
    }

    /// The entry of a committed snapshot, and the appliance's word on it; none where a repeated push meets a disk that does not
    /// give the entry now.
    pub(crate) fn signed_receipt(&self, record: &SnapshotRecord) -> Option<(Head, SignedWord)> {
        let hash = self.vault.entry_hash(record.sequence)?;
        let entry = Head { sequence: record.sequence, hash };
        Some((entry, self.signer.receipt(self.stamp().time_ms, entry, &record.snapshot)))
    }

    /// The parts of a word that are shown beside the entry.
    pub(super) fn signed_parts(&self, SignedWord { said_ms, signature }: SignedWord) -> SignedParts {
        SignedParts {
            vault: Some(self.vault.id()),
            said: Timestamp::from_millisecond(said_ms).ok(),
            key: Some(self.box_key.public().to_string()),
            signature: Some(signature),
        }
    }

    /// Whether the ledger has an entry that this appliance once called its newest.
    pub(super) fn standing_of(&self, seen: Head) -> RetainedStanding {
        let (newest, is_gap) = {
            let view = self.vault.ledger();
            let newest = view.gaps.last().copied().unwrap_or(0).max(view.head.sequence);
            (newest, view.gaps.binary_search(&seen.sequence).is_ok())
        };
        // A hole in the ledger is told as such.
        if is_gap || seen == Head::EMPTY {
            return RetainedStanding::InLedger;
        }
        if seen.sequence > newest {
            return RetainedStanding::Ahead;
        }
        match self.vault.entry_hash(seen.sequence) {
            Some(hash) if hash == seen.hash => RetainedStanding::InLedger,
            Some(_) => RetainedStanding::AnotherEntry,
            None => RetainedStanding::Unread,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;
    use larder_format::Hash;
    use larder_format::ledger::Event;

    #[test]
    fn what_the_ledger_has_is_told_from_what_it_lost() {
        let folder = tempfile::tempdir().unwrap();
        let appliance = sample::appliance(folder.path());
        let first = appliance.signed_head().newest.head;
        let second = appliance.vault.append(appliance.stamp(), Event::ClockConfirmed).unwrap();
        assert_eq!(appliance.signed_head().newest.head, second);
        let other = |head: Head| Head { hash: Hash::of(b"other"), ..head };
        let beyond = Head { sequence: second.sequence + 1, ..second };
        for (seen, expect) in [
            (Head::EMPTY, RetainedStanding::InLedger),
            (first, RetainedStanding::InLedger),
            (second, RetainedStanding::InLedger),
            (other(first), RetainedStanding::AnotherEntry),
            (other(second), RetainedStanding::AnotherEntry),
            (beyond, RetainedStanding::Ahead),
        ] {
            assert_eq!(appliance.standing_of(seen), expect, "{seen:?}");
        }
    }
}
