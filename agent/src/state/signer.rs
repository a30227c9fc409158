//! The appliance's signed words on its ledger.
//!
//! The word on the newest entry is signed once for each entry and kept; two words of one run never contradict each other, whichever
//! way the clock goes. Time and ledger come in. Not here: the signed bytes (`larder_format::statement`), who is told (`witness`).

use larder_format::ledger::{Head, Snapshot};
use larder_format::statement::{Statement, StatementKind};
use larder_format::wire::SignedWord;
use larder_trust::{SecretKey, to_hex};
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// Words on older entries that are kept: each computer asks for the one that it saw last.
const WORDS_KEPT: usize = 32;

/// The newest entry as the ledger has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NewestEntry {
    pub(crate) head: Head,
    /// When the entry was written; none in an empty ledger.
    pub(crate) written_ms: Option<i64>,
}

/// The newest entry, and the word on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SignedHead {
    pub(crate) newest: NewestEntry,
    pub(crate) word: SignedWord,
}

/// Signs with the appliance's key for one vault.
pub(crate) struct HeadSigner {
    key: SecretKey,
    vault: [u8; 16],
    late: Mutex<SaidOfLate>,
}

/// What was signed of late.
#[derive(Debug, Default)]
struct SaidOfLate {
    newest: Option<SignedHead>,
    entries: VecDeque<(Head, SignedWord)>,
    /// The clock may be put back between two words; a later word is never older.
    last_ms: i64,
}

impl HeadSigner {
    pub(crate) fn new(key: SecretKey, vault: [u8; 16]) -> Self {
        Self { key, vault, late: Mutex::default() }
    }

    /// The word on the newest entry, which `read` gives. Read under the lock: a word on an older entry after that on a newer one
    /// would look like a past that was changed.
    pub(crate) fn newest(&self, now_ms: i64, read: impl FnOnce() -> NewestEntry) -> SignedHead {
        let mut late = self.late.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = read();
        if let Some(known) = late.newest.as_ref().filter(|known| known.newest.head == newest.head) {
            return known.clone();
        }
        let word = self.word(&mut late, newest.head, StatementKind::Newest, now_ms);
        let signed = SignedHead { newest, word };
        late.newest = Some(signed.clone());
        signed
    }

    /// The word that an entry, just read, is in the ledger.
    pub(crate) fn entry(&self, now_ms: i64, entry: Head) -> SignedWord {
        let mut late = self.late.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, word)) = late.entries.iter().find(|(known, _)| *known == entry) {
            return word.clone();
        }
        let word = self.word(&mut late, entry, StatementKind::Entry, now_ms);
        late.entries.truncate(WORDS_KEPT - 1);
        late.entries.push_front((entry, word.clone()));
        word
    }

    /// The word that a durable entry is this snapshot.
    pub(crate) fn receipt(
        &self,
        now_ms: i64,
        entry: Head,
        Snapshot { source, root, .. }: &Snapshot,
    ) -> SignedWord {
        let mut late = self.late.lock().unwrap_or_else(PoisonError::into_inner);
        self.word(&mut late, entry, StatementKind::Snapshot { source, root }, now_ms)
    }

    fn word(&self, late: &mut SaidOfLate, entry: Head, kind: StatementKind<'_>, now_ms: i64) -> SignedWord {
        let said_ms = now_ms.max(late.last_ms);
        late.last_ms = said_ms;
        let statement = Statement { vault: self.vault, entry, said_ms, kind };
        SignedWord { said_ms, signature: to_hex(&self.key.sign(&statement.encode())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_format::Hash;
    use larder_trust::from_hex;

    fn signer() -> HeadSigner {
        HeadSigner::new(SecretKey::generate().unwrap(), [7; 16])
    }

    fn newest(sequence: u64) -> NewestEntry {
        NewestEntry { head: Head { sequence, hash: Hash::of(&sequence.to_le_bytes()) }, written_ms: Some(5) }
    }

    fn is_signed(signer: &HeadSigner, entry: Head, kind: StatementKind<'_>, word: &SignedWord) -> bool {
        let statement = Statement { vault: signer.vault, entry, said_ms: word.said_ms, kind };
        signer.key.public().has_signed(&statement.encode(), &from_hex(&word.signature).unwrap())
    }

    /// Asked a thousand times, the box signs once for each entry; a clock that is put back makes no word older than the one before.
    #[test]
    fn the_word_on_the_newest_entry_is_signed_once() {
        let signer = signer();
        let first = signer.newest(1000, || newest(1));
        assert!(is_signed(&signer, newest(1).head, StatementKind::Newest, &first.word));
        assert!(!is_signed(&signer, newest(1).head, StatementKind::Entry, &first.word), "another kind");
        assert_eq!(signer.newest(2000, || newest(1)), first);
        let second = signer.newest(500, || newest(2));
        assert!(is_signed(&signer, newest(2).head, StatementKind::Newest, &second.word));
        assert_eq!((first.word.said_ms, second.word.said_ms), (1000, 1000));
    }

    #[test]
    fn words_on_older_entries_are_kept_within_bounds() {
        let signer = signer();
        let first = signer.entry(1, newest(1).head);
        assert!(is_signed(&signer, newest(1).head, StatementKind::Entry, &first));
        assert_eq!(signer.entry(9, newest(1).head), first);
        (2..100).for_each(|number| drop(signer.entry(9, newest(number).head)));
        assert_eq!(signer.late.lock().unwrap().entries.len(), WORDS_KEPT);
    }
}
