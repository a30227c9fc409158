//! The receipts of this computer: the appliance's signed words that each snapshot exists, kept where the appliance cannot reach.
//!
//! One file for each appliance, by its key: a line for each receipt, each line with a checksum, added at the end and never changed.
//! A line has some 500 bytes. Ten years of a snapshot every quarter-hour would be 170 MB, so once the file has 12 MiB it is thinned
//! out (`thin`): an old receipt proves little that a later one does not, since each entry holds the hash of the one before. Not
//! here: what the receipts are held against (`check`, `at_box`, `on_disk`), words (`owner::verifying`).

pub(crate) mod at_box;
pub(crate) mod check;
pub(crate) mod on_disk;
mod thin;

use crate::{
    ClientError,
    platform::state_folder,
    settings::{append_line, home, locked, replace},
};
use larder_format::{
    ChunkRef, Hash,
    ledger::Head,
    statement::{Statement, StatementKind, vault_name},
    wire::{Receipt, SignedWord},
};
use larder_trust::{PublicKey, from_hex};
use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::PathBuf,
};

/// From this length on the file is thinned out: more than twice what stays.
const FILE_BYTES_MAX: u64 = 12 * 1024 * 1024;
/// A receipt that names 64 disks has 4 KiB; a longer line is none.
const LINE_BYTES_MAX: u64 = 64 * 1024;

/// A receipt, with what it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeptReceipt {
    /// Random name of the vault, in hex.
    pub(crate) vault: String,
    pub(crate) root: ChunkRef,
    pub(crate) receipt: Receipt,
}

impl KeptReceipt {
    /// When the appliance said so; 0 where it did not say.
    fn said_ms(&self) -> i64 {
        self.receipt.signed.as_ref().map_or(0, |word| word.said_ms)
    }

    /// The appliance's word, as far as it is there: whether the signature is good.
    pub(crate) fn is_signed(&self, key: &PublicKey) -> Option<bool> {
        let Self { vault, root, receipt } = self;
        let said = StatementKind::Snapshot { source: &receipt.source, root };
        // The word is on the snapshot's own entry; a head beyond it would be another one.
        let is_own = receipt.head.sequence == receipt.snapshot;
        let word = receipt.signed.as_ref()?;
        Some(is_own && is_signed(key, vault, receipt.head, said, word))
    }

    fn line(&self) -> String {
        let Self { vault, root, receipt } = self;
        let text = serde_json::json!({ "vault": vault, "root": root, "receipt": receipt }).to_string();
        format!("{} {text}", Hash::of(text.as_bytes()).short())
    }

    fn of_line(line: &str) -> Option<Self> {
        let (check, text) = line.split_once(' ')?;
        if Hash::of(text.as_bytes()).short() != check {
            return None;
        }
        let mut told: serde_json::Value = serde_json::from_str(text).ok()?;
        Some(Self {
            vault: told["vault"].as_str()?.to_owned(),
            root: serde_json::from_value(told["root"].take()).ok()?,
            receipt: serde_json::from_value(told["receipt"].take()).ok()?,
        })
    }
}

/// Whether a word of the appliance bears a good signature of its key.
pub(crate) fn is_signed(
    key: &PublicKey,
    vault: &str,
    entry: Head,
    kind: StatementKind<'_>,
    SignedWord { said_ms, signature }: &SignedWord,
) -> bool {
    let (Some(vault), Some(signature)) = (vault_name(vault), from_hex(signature)) else { return false };
    key.has_signed(&Statement { vault, entry, said_ms: *said_ms, kind }.encode(), &signature)
}

/// What the file has.
#[derive(Debug, Default)]
pub(crate) struct ReadReceipts {
    /// As they were added.
    pub(crate) receipts: Vec<KeptReceipt>,
    /// Numbers of the lines that are damaged.
    pub(crate) damaged: Vec<u64>,
}

/// The file with the receipts of one appliance.
pub(crate) struct ReceiptBook {
    path: PathBuf,
}

impl ReceiptBook {
    /// Of the appliance with this key: its address and its vault may change.
    ///
    /// # Errors
    /// `Usage` when this account has no home.
    pub(crate) fn of(appliance: &PublicKey) -> Result<Self, ClientError> {
        let folder = home(state_folder())?.join("larder/receipts");
        Ok(Self { path: folder.join(format!("{appliance}.receipts")) })
    }

    /// Where the file lies.
    pub(crate) fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// Adds a receipt: on the disk on return.
    ///
    /// # Errors
    /// Errors of the file.
    pub(crate) fn add(&self, receipt: &KeptReceipt) -> io::Result<()> {
        self.add_within(receipt, FILE_BYTES_MAX)
    }

    fn add_within(&self, receipt: &KeptReceipt, bytes_max: u64) -> io::Result<()> {
        // Another push may be about to thin the file out, and its rename would lose our line.
        let _alone = locked(&self.path.with_extension("lock"))?;
        if append_line(&self.path, &receipt.line())? <= bytes_max {
            return Ok(());
        }
        let ReadReceipts { receipts, .. } = self.read()?;
        let lines: String = thin::thin(receipts).iter().map(|kept| kept.line() + "\n").collect();
        replace(&self.path, lines.as_bytes())
    }

    /// Every receipt that can be read; no file is no receipt.
    ///
    /// # Errors
    /// Errors of the file.
    pub(crate) fn read(&self) -> io::Result<ReadReceipts> {
        let mut found = ReadReceipts::default();
        let mut file = match File::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
            opened => BufReader::new(opened?),
        };
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            if file.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line)? == 0 {
                break;
            }
            let text = str::from_utf8(line.trim_ascii_end()).ok();
            match text.and_then(KeptReceipt::of_line) {
                Some(receipt) => found.receipts.push(receipt),
                None => found.damaged.push(number),
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_trust::{SecretKey, to_hex};
    use std::fs;

    const VAULT: &str = "000102030405060708090a0b0c0d0e0f";
    const DAY_MS: i64 = 86_400_000;

    pub(crate) fn receipt(key: &SecretKey, snapshot: u64, said_ms: i64) -> KeptReceipt {
        let head = Head { sequence: snapshot, hash: Hash::of(&snapshot.to_le_bytes()) };
        let (source, root) = ("laptop/data", ChunkRef::to(b"root"));
        let vault = vault_name(VAULT).unwrap();
        let said = StatementKind::Snapshot { source, root: &root };
        let signature = to_hex(&key.sign(&Statement { vault, entry: head, said_ms, kind: said }.encode()));
        let signed = Some(SignedWord { said_ms, signature });
        let receipt =
            Receipt { source: source.to_owned(), snapshot, head, disks: vec![], degraded: vec![], signed };
        KeptReceipt { vault: VAULT.to_owned(), root, receipt }
    }

    fn book() -> (ReceiptBook, tempfile::TempDir, SecretKey) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/key.receipts");
        (ReceiptBook { path }, folder, SecretKey::generate().unwrap())
    }

    #[test]
    fn a_receipt_is_good_for_what_it_says_and_nothing_else() {
        let key = SecretKey::generate().unwrap();
        let good = receipt(&key, 7, DAY_MS);
        assert_eq!(good.is_signed(&key.public()), Some(true));
        assert_eq!(good.is_signed(&SecretKey::generate().unwrap().public()), Some(false));
        let changes: [fn(&mut KeptReceipt); 7] = [
            |it| it.vault = "f".repeat(32),
            |it| it.root = ChunkRef::to(b"other"),
            |it| it.receipt.source = "laptop/other".to_owned(),
            |it| it.receipt.head.hash = Hash::of(b"other"),
            |it| it.receipt.head.sequence = 8,
            |it| it.receipt.snapshot = 8,
            |it| it.receipt.signed.as_mut().unwrap().said_ms += 1,
        ];
        for change in changes {
            let mut changed = good.clone();
            change(&mut changed);
            assert_eq!(changed.is_signed(&key.public()), Some(false), "{changed:?}");
        }
        let mut unsigned = good;
        unsigned.receipt.signed = None;
        assert_eq!(unsigned.is_signed(&key.public()), None);
    }

    #[test]
    fn receipts_come_back_and_a_damaged_line_costs_no_other() {
        let (book, _folder, key) = book();
        assert!(book.read().unwrap().receipts.is_empty());
        let all: Vec<_> = (1..=4).map(|number| receipt(&key, number, DAY_MS)).collect();
        all.iter().for_each(|one| book.add(one).unwrap());
        assert_eq!(book.read().unwrap().receipts, all);
        let text = fs::read_to_string(&book.path).unwrap();
        fs::write(&book.path, text.replacen("\"snapshot\":2", "\"snapshot\":9", 1)).unwrap();
        let found = book.read().unwrap();
        assert_eq!((found.receipts.len(), &found.damaged[..]), (3, &[2][..]));
        // The power went in the middle of a line.
        fs::write(&book.path, &text[..text.len() - 40]).unwrap();
        book.add(&receipt(&key, 5, DAY_MS)).unwrap();
        let found = book.read().unwrap();
        let numbers: Vec<_> = found.receipts.iter().map(|kept| kept.receipt.snapshot).collect();
        assert_eq!((numbers, found.damaged), (vec![1, 2, 3, 5], vec![4]));
        fs::write(&book.path, [255; 200_000]).unwrap();
        assert!(book.read().unwrap().receipts.is_empty());
    }

    #[test]
    fn a_long_file_is_thinned_out_and_goes_on() {
        let (book, _folder, key) = book();
        let one = receipt(&key, 1, DAY_MS).line().len() as u64;
        for number in 1..=50 {
            book.add_within(&receipt(&key, number, DAY_MS * number as i64), 20 * one).unwrap();
        }
        let found = book.read().unwrap();
        assert_eq!(found.receipts.last().unwrap().receipt.snapshot, 50);
        assert!(found.damaged.is_empty() && found.receipts.len() == 50, "fewer than are always kept");
    }
}
