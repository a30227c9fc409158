//! Receipts held against an appliance.
//!
//! The appliance reads every entry from the oldest receipt to its newest entry from its disks and gives their hashes, 8,192 at a
//! time; what became of the snapshots it says by their numbers. A million entries are 32 MB on the wire, and 256 KiB at once here.

use super::{
    KeptReceipt,
    check::{ReceiptCheck, ReceiptFault, ReceiptFindings},
};
use crate::{
    ClientError, Connection, TransferProgress,
    link::questions::{ledger_links, standings},
};
use larder_format::{
    Hash,
    ledger::Head,
    wire::{LINKS_MAX, LetGoWord, ReceiptStanding, STANDINGS_MAX, StandingWord},
};
use larder_trust::PublicKey;

/// What an appliance is asked.
pub(crate) trait AskedLedger {
    /// As `questions::ledger_links`.
    fn links(&self, first: u64) -> Result<Vec<Hash>, ClientError>;
    /// As `questions::standings`.
    fn standings(&self, snapshots: &[u64]) -> Result<Vec<ReceiptStanding>, ClientError>;
}

impl AskedLedger for Connection {
    fn links(&self, first: u64) -> Result<Vec<Hash>, ClientError> {
        ledger_links(self, first).map_err(too_old)
    }

    fn standings(&self, snapshots: &[u64]) -> Result<Vec<ReceiptStanding>, ClientError> {
        standings(self, snapshots).map_err(too_old)
    }
}

/// Every appliance of this version has both routes.
fn too_old(trouble: ClientError) -> ClientError {
    if trouble.has_code("not_found") {
        return ClientError::NotThere {
            what: "The appliance is older than this program and cannot be asked for its record.".to_owned(),
            remedy: "Update larderd on the appliance. Meanwhile each push still compares the newest entry.",
        };
    }
    trouble
}

/// Holds receipts of one vault against the ledger that ends with `head`.
pub(crate) fn check<'a>(
    asked: &dyn AskedLedger,
    head: Head,
    receipts: impl Iterator<Item = &'a KeptReceipt>,
    key: &PublicKey,
    progress: &TransferProgress,
) -> Result<ReceiptFindings, ClientError> {
    let mut check = ReceiptCheck::of(receipts, key);
    if let Some(first) = check.first().filter(|first| *first <= head.sequence) {
        walk(asked, first, head, &mut check, progress)?;
    }
    check.end();
    let ReceiptCheck { mut findings, whole, .. } = check;
    for some in whole.chunks(STANDINGS_MAX) {
        let numbers: Vec<_> = some.iter().map(|kept| kept.receipt.snapshot).collect();
        let told = asked.standings(&numbers)?;
        for (place, kept) in some.iter().enumerate() {
            take(&mut findings, kept, told.get(place));
        }
    }
    Ok(findings)
}

fn walk(
    asked: &dyn AskedLedger,
    first: u64,
    head: Head,
    check: &mut ReceiptCheck<'_>,
    progress: &TransferProgress,
) -> Result<(), ClientError> {
    progress.expect_bytes((head.sequence - first).saturating_add(1).saturating_mul(32));
    let mut next = first;
    while next <= head.sequence {
        let links = asked.links(next)?;
        let bytes = links.len() as u64 * 32;
        progress.pass(bytes);
        progress.add_sent_bytes(bytes);
        let is_last = links.len() < LINKS_MAX;
        for link in links {
            // What was written since it told its newest entry is for the next time.
            if next > head.sequence {
                return Ok(());
            }
            // The appliance vouches with its signature for the last one, and for the rest by reading it.
            let is_told = link != Hash::ZERO && (next < head.sequence || link == head.hash);
            check.step(next, is_told.then_some(link), |_| true);
            next += 1;
        }
        if is_last {
            break;
        }
    }
    // It ended before the entry that it called its newest.
    check.miss(next, head.sequence);
    Ok(())
}

fn take(findings: &mut ReceiptFindings, kept: &KeptReceipt, told: Option<&ReceiptStanding>) {
    let snapshot = kept.receipt.snapshot;
    let Some(told) = told.filter(|told| told.snapshot == snapshot) else {
        return findings.add_fault(kept, ReceiptFault::Unaccounted);
    };
    match (&told.standing, &told.let_go) {
        _ if told.entry.is_some_and(|hash| hash != kept.receipt.head.hash) => {
            findings.add_fault(kept, ReceiptFault::Exchanged);
        }
        (StandingWord::Kept, _) => findings.kept += 1,
        (StandingWord::LetGo, Some(LetGoWord { entry, time, why })) => {
            findings.add_let_go(snapshot, *entry, time, why);
        }
        _ => findings.add_fault(kept, ReceiptFault::Unaccounted),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::receipt;
    use super::*;
    use larder_trust::SecretKey;
    use std::cell::RefCell;

    /// An appliance with so many entries, of which some are gone, and what it says of snapshots.
    struct Told {
        newest: u64,
        gone: Vec<u64>,
        unknown: Vec<u64>,
        asked: RefCell<Vec<u64>>,
    }

    fn hash(number: u64) -> Hash {
        Hash::of(&number.to_le_bytes())
    }

    impl AskedLedger for Told {
        fn links(&self, first: u64) -> Result<Vec<Hash>, ClientError> {
            self.asked.borrow_mut().push(first);
            let link = |number| if self.gone.contains(&number) { Hash::ZERO } else { hash(number) };
            Ok((first..=self.newest).take(LINKS_MAX).map(link).collect())
        }

        fn standings(&self, snapshots: &[u64]) -> Result<Vec<ReceiptStanding>, ClientError> {
            assert!(snapshots.len() <= STANDINGS_MAX);
            let standing = |number: &u64| {
                let let_go = number.is_multiple_of(2).then(|| LetGoWord {
                    entry: 19_999,
                    time: "2026-01-01T00:00:00Z".to_owned(),
                    why: "the rule".to_owned(),
                });
                let standing = match &let_go {
                    _ if self.unknown.contains(number) => StandingWord::Unknown,
                    Some(_) => StandingWord::LetGo,
                    None => StandingWord::Kept,
                };
                ReceiptStanding { snapshot: *number, entry: Some(hash(*number)), standing, let_go }
            };
            Ok(snapshots.iter().map(standing).collect())
        }
    }

    fn found(told: &Told, head: Head) -> ReceiptFindings {
        let key = SecretKey::generate().unwrap();
        let receipts: Vec<_> = (10..=2500).map(|number| receipt(&key, number * 8, 5)).collect();
        check(told, head, receipts.iter(), &key.public(), &TransferProgress::default()).unwrap()
    }

    #[test]
    fn a_ledger_is_walked_to_its_newest_entry_and_what_was_let_go_of_is_no_loss() {
        let told = Told { newest: 20_003, gone: vec![], unknown: vec![], asked: RefCell::default() };
        let findings = found(&told, Head { sequence: 20_001, hash: hash(20_001) });
        assert!(!findings.is_changed(), "{findings:?}");
        assert_eq!(*told.asked.borrow(), [80, 8272, 16_464]);
        assert_eq!((findings.whole, findings.kept, findings.entries), (2491, 0, 20_001 - 79));
        assert_eq!((findings.let_go.len(), findings.let_go[0].snapshots.len()), (1, 2491));
        assert_eq!(findings.newest.unwrap().sequence, 20_001);
    }

    #[test]
    fn a_removed_entry_a_short_ledger_and_a_snapshot_without_a_word_are_told() {
        let (gone, unknown) = (vec![800, 801, 900], vec![1600]);
        let told = Told { newest: 19_000, gone, unknown, asked: RefCell::default() };
        let findings = found(&told, Head { sequence: 20_001, hash: hash(20_001) });
        assert_eq!(findings.broken, [(800, 801), (900, 900), (19_001, 20_001)]);
        let is =
            |snapshot, fault| findings.faults.iter().any(|it| (it.snapshot, it.fault) == (snapshot, fault));
        assert!(is(800, ReceiptFault::Missing) && is(1600, ReceiptFault::Unaccounted));
        assert!(is(19_008, ReceiptFault::Missing) && !is(808, ReceiptFault::Missing));
        // Another newest entry than the one that it signed.
        let told = Told { newest: 20_001, gone: vec![], unknown: vec![], asked: RefCell::default() };
        let findings = found(&told, Head { sequence: 20_001, hash: hash(1) });
        assert_eq!(findings.broken, [(20_001, 20_001)]);
    }

    /// A box that was taken over may tell any number, and this computer must not count up to it.
    #[test]
    fn a_newest_entry_that_nobody_can_reach_ends_the_walk() {
        let told = Told { newest: 20_000, gone: vec![], unknown: vec![], asked: RefCell::default() };
        let findings = found(&told, Head { sequence: u64::MAX, hash: hash(1) });
        assert_eq!(findings.broken, [(20_001, u64::MAX)]);
        assert_eq!((findings.whole, findings.entries), (2491, 20_000 - 79));
    }

    #[test]
    fn receipts_beyond_the_newest_entry_are_counted() {
        let told = Told { newest: 5, gone: vec![], unknown: vec![], asked: RefCell::default() };
        let findings = found(&told, Head { sequence: 5, hash: hash(5) });
        assert_eq!((findings.beyond, findings.whole), (2491, 0));
        assert!(told.asked.borrow().is_empty());
    }
}
