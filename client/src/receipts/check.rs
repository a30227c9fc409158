//! Receipts held against a ledger, whoever reads the ledger: an appliance, or a pulled disk.
//!
//! The entries come in the order of their numbers, one at a time; the receipts, at most some ten thousand, are in memory. Not here:
//! reading a ledger (`at_box`, `on_disk`), words (`owner::verifying`).

use super::KeptReceipt;
use larder_format::{Hash, ledger::Head};
use larder_trust::PublicKey;

/// Faults that are named; more are only counted.
const FAULTS_NAMED_MAX: usize = 1000;

/// What is wrong with one receipt, or with the ledger behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReceiptFault {
    /// The receipt itself does not bear a good signature of the appliance.
    NotSigned,
    /// The entry is nowhere, or does not follow the one before it.
    Missing,
    /// Another entry has its number.
    Exchanged,
    /// The entry is another snapshot than the receipt says.
    OtherSnapshot,
    /// The snapshot is not kept, and no entry says that it was let go of.
    Unaccounted,
}

/// A receipt that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FaultyReceipt {
    pub(crate) snapshot: u64,
    pub(crate) source: String,
    pub(crate) fault: ReceiptFault,
}

/// Snapshots that one entry let go of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LetGoBy {
    /// Number of the entry.
    pub(crate) entry: u64,
    /// When, RFC 3339.
    pub(crate) time: String,
    pub(crate) why: String,
    /// Rising.
    pub(crate) snapshots: Vec<u64>,
}

/// What came out.
#[derive(Debug, Default)]
pub(crate) struct ReceiptFindings {
    /// Receipts whose entry is where it should be.
    pub(crate) whole: u64,
    /// Of those, the ones whose snapshot is kept.
    pub(crate) kept: u64,
    /// Receipts of the time before receipts were signed.
    pub(crate) unsigned: u64,
    /// Receipts for entries behind the end of the ledger.
    pub(crate) beyond: u64,
    /// The rest of those whose entry is where it should be, by the entry that let go of them.
    pub(crate) let_go: Vec<LetGoBy>,
    pub(crate) faults: Vec<FaultyReceipt>,
    pub(crate) fault_count: u64,
    /// Numbers of entries that are missing or do not follow, as first and last of each run.
    pub(crate) broken: Vec<(u64, u64)>,
    /// The last entry that was seen.
    pub(crate) newest: Option<Head>,
    /// Entries that were looked at.
    pub(crate) entries: u64,
}

impl ReceiptFindings {
    /// Whether the past is another one than was promised.
    pub(crate) fn is_changed(&self) -> bool {
        self.fault_count > 0 || !self.broken.is_empty()
    }

    pub(crate) fn add_fault(&mut self, kept: &KeptReceipt, fault: ReceiptFault) {
        self.fault_count += 1;
        if self.faults.len() < FAULTS_NAMED_MAX {
            let (snapshot, source) = (kept.receipt.snapshot, kept.receipt.source.clone());
            self.faults.push(FaultyReceipt { snapshot, source, fault });
        }
    }

    /// A snapshot whose entry is whole was let go of.
    pub(crate) fn add_let_go(&mut self, snapshot: u64, entry: u64, time: &str, why: &str) {
        match self.let_go.iter_mut().find(|by| by.entry == entry) {
            Some(by) => by.snapshots.push(snapshot),
            None => {
                let (time, why) = (time.to_owned(), why.to_owned());
                self.let_go.push(LetGoBy { entry, time, why, snapshots: vec![snapshot] });
            }
        }
    }

    fn add_broken(&mut self, from: u64, to: u64) {
        let is_full = self.broken.len() >= FAULTS_NAMED_MAX;
        match self.broken.last_mut() {
            // The last of too many runs stands for all that follow.
            Some((_, last)) if last.checked_add(1) == Some(from) || is_full => *last = to,
            _ => self.broken.push((from, to)),
        }
    }
}

/// A check under way.
pub(crate) struct ReceiptCheck<'a> {
    /// By rising numbers.
    receipts: Vec<&'a KeptReceipt>,
    next: usize,
    pub(crate) findings: ReceiptFindings,
    /// Receipts whose entry is where it should be, by rising numbers.
    pub(crate) whole: Vec<&'a KeptReceipt>,
}

impl<'a> ReceiptCheck<'a> {
    /// Begins with the receipts themselves: those that the key did not sign count for nothing.
    pub(crate) fn of(receipts: impl Iterator<Item = &'a KeptReceipt>, key: &PublicKey) -> Self {
        let mut findings = ReceiptFindings::default();
        let mut good = Vec::new();
        for kept in receipts {
            match kept.is_signed(key) {
                Some(true) => good.push(kept),
                Some(false) => findings.add_fault(kept, ReceiptFault::NotSigned),
                None => {
                    findings.unsigned += 1;
                    // The word of before: a head that may lie behind the snapshot's own entry says less.
                    good.extend((kept.receipt.head.sequence == kept.receipt.snapshot).then_some(kept));
                }
            }
        }
        good.sort_by_key(|kept| kept.receipt.snapshot);
        // A push that was repeated has two.
        good.dedup_by(|later, earlier| later.receipt.head == earlier.receipt.head);
        Self { receipts: good, next: 0, findings, whole: Vec::new() }
    }

    /// The number at which to begin; none without receipts.
    pub(crate) fn first(&self) -> Option<u64> {
        self.receipts.first().map(|kept| kept.receipt.snapshot)
    }

    /// Takes the next entry: its hash, or none where it is missing or does not follow the one before. `is_same` says whether it is
    /// the snapshot of a receipt, as far as the reader sees into it.
    pub(crate) fn step(&mut self, number: u64, hash: Option<Hash>, is_same: impl Fn(&KeptReceipt) -> bool) {
        self.findings.entries += 1;
        self.findings.newest = Some(Head { sequence: number, hash: hash.unwrap_or(Hash::ZERO) });
        if hash.is_none() {
            self.findings.add_broken(number, number);
        }
        self.pass(number, hash, is_same);
    }

    /// Takes it that the entries from `from` to `to` are missing. Not one by one: an appliance may tell any number for its newest.
    pub(crate) fn miss(&mut self, from: u64, to: u64) {
        if from <= to {
            self.findings.newest = Some(Head { sequence: to, hash: Hash::ZERO });
            self.findings.add_broken(from, to);
            self.pass(to, None, |_| true);
        }
    }

    fn pass(&mut self, number: u64, hash: Option<Hash>, is_same: impl Fn(&KeptReceipt) -> bool) {
        while let Some(kept) =
            self.receipts.get(self.next).copied().filter(|kept| kept.receipt.snapshot <= number)
        {
            self.next += 1;
            let fault = match hash.filter(|_| kept.receipt.snapshot == number) {
                None => Some(ReceiptFault::Missing),
                Some(hash) if hash != kept.receipt.head.hash => Some(ReceiptFault::Exchanged),
                Some(_) if !is_same(kept) => Some(ReceiptFault::OtherSnapshot),
                Some(_) => None,
            };
            match fault {
                Some(fault) => self.findings.add_fault(kept, fault),
                None => {
                    self.findings.whole += 1;
                    self.whole.push(kept);
                }
            }
        }
    }

    /// No entry follows. Receipts that are left are for entries behind the end.
    pub(crate) fn end(&mut self) -> &[&'a KeptReceipt] {
        let beyond = &self.receipts[self.next..];
        self.findings.beyond = beyond.len() as u64;
        beyond
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::receipt;
    use super::*;
    use larder_trust::SecretKey;

    fn hash(number: u64) -> Hash {
        Hash::of(&number.to_le_bytes())
    }

    fn faults(findings: &ReceiptFindings) -> Vec<(u64, ReceiptFault)> {
        findings.faults.iter().map(|faulty| (faulty.snapshot, faulty.fault)).collect()
    }

    #[test]
    fn each_kind_of_change_is_told_apart() {
        let key = SecretKey::generate().unwrap();
        let mut receipts: Vec<_> = [9, 2, 4, 5, 6, 8, 12].map(|number| receipt(&key, number, 5)).to_vec();
        receipts[0].root = larder_format::ChunkRef::to(b"other");
        let mut check = ReceiptCheck::of(receipts.iter(), &key.public());
        assert_eq!(check.first(), Some(2));
        for number in 2..=10 {
            let found = match number {
                4 => None,
                5 => Some(hash(77)),
                _ => Some(hash(number)),
            };
            check.step(number, found, |kept| kept.receipt.snapshot != 8);
        }
        let beyond: Vec<_> = check.end().iter().map(|kept| kept.receipt.snapshot).collect();
        let findings = check.findings;
        assert_eq!((beyond, findings.beyond), (vec![12], 1));
        use ReceiptFault::*;
        assert_eq!(faults(&findings), [(9, NotSigned), (4, Missing), (5, Exchanged), (8, OtherSnapshot)]);
        assert_eq!((findings.whole, findings.broken.clone(), findings.entries), (2, vec![(4, 4)], 9));
        assert!(findings.is_changed());
        let whole: Vec<_> = check.whole.iter().map(|kept| kept.receipt.snapshot).collect();
        assert_eq!(whole, [2, 6]);
    }

    #[test]
    fn entries_that_are_skipped_over_are_missing() {
        let key = SecretKey::generate().unwrap();
        let receipts = [3, 4].map(|number| receipt(&key, number, 5));
        let mut check = ReceiptCheck::of(receipts.iter(), &key.public());
        check.step(2, Some(hash(2)), |_| true);
        check.step(5, Some(hash(5)), |_| true);
        assert_eq!(faults(&check.findings), [(3, ReceiptFault::Missing), (4, ReceiptFault::Missing)]);
    }

    #[test]
    fn a_million_holes_are_a_few_runs() {
        let mut findings = ReceiptFindings::default();
        (1..1_000_000).filter(|number| number % 3 > 0).for_each(|number| findings.add_broken(number, number));
        assert_eq!(findings.broken.len(), FAULTS_NAMED_MAX);
        assert_eq!((findings.broken[0], findings.broken[999].1), ((1, 2), 999_998));
    }
}
