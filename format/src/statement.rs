//! What an appliance says of its ledger, as the bytes that its key signs.
//!
//! Whoever has two such statements of one key can show both: a key that signed two different entries under one number, or a
//! newest entry and later an older one, has signed that its past was changed. The bytes begin with a magic of their own, so
//! no signature of another exchange (TLS 1.3 signs 64 spaces first) is one of these, and each kind has a number, so that the word
//! on an old entry never passes for the word on the newest. They are only made, never read: whoever checks a signature makes the
//! bytes anew from what was told. Bytes: FORMAT.md, "Statement". Not here: keys (`larder-trust`), who signs when (`agent`).

use crate::{ChunkRef, ledger::Head};

/// First bytes of every statement.
pub const STATEMENT_MAGIC: &[u8; 8] = b"LRDRSAY1";

/// The kind of a statement, and what it says beyond the entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatementKind<'a> {
    /// The entry is the newest of the ledger.
    Newest,
    /// The entry is in the ledger.
    Entry,
    /// The entry is this snapshot.
    Snapshot {
        /// `DEVICE/NAME`.
        source: &'a str,
        /// The root node.
        root: &'a ChunkRef,
    },
}

/// A statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statement<'a> {
    /// Random name of the vault: another vault of the same box is another past.
    pub vault: [u8; 16],
    /// Number and hash of the entry.
    pub entry: Head,
    /// When it was said, by the appliance's clock, in milliseconds since 1970.
    pub said_ms: i64,
    /// The rest.
    pub kind: StatementKind<'a>,
}

impl Statement<'_> {
    /// The signed bytes.
    pub fn encode(&self) -> Vec<u8> {
        let Self { vault, entry, said_ms, kind } = self;
        let number: u8 = match kind {
            StatementKind::Newest => 1,
            StatementKind::Entry => 2,
            StatementKind::Snapshot { .. } => 3,
        };
        let mut bytes = STATEMENT_MAGIC.to_vec();
        bytes.push(number);
        bytes.extend_from_slice(vault);
        bytes.extend_from_slice(&entry.sequence.to_le_bytes());
        bytes.extend_from_slice(&entry.hash.0);
        bytes.extend_from_slice(&said_ms.to_le_bytes());
        if let StatementKind::Snapshot { source, root } = kind {
            bytes.extend_from_slice(&root.id.0);
            bytes.extend_from_slice(&root.len.to_le_bytes());
            // Last, so that no other field can begin where it ends.
            bytes.extend_from_slice(source.as_bytes());
        }
        bytes
    }
}

/// The random name of a vault out of its 32 hex digits, as both ends and every disk write them.
pub fn vault_name(text: &str) -> Option<[u8; 16]> {
    let is_hex = text.len() == 32 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_hex.then(|| u128::from_str_radix(text, 16).ok()).flatten().map(u128::to_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Hash;
    use std::collections::BTreeSet;

    /// A signature under one statement must be none under another.
    #[test]
    fn no_two_statements_have_the_same_bytes() {
        let (root, other_root) = (ChunkRef::to(b"root"), ChunkRef::to(b"other"));
        let mut all = Vec::new();
        for vault in [[1; 16], [2; 16]] {
            for (sequence, hash) in [(1, Hash::of(b"one")), (1, Hash::of(b"two")), (256, Hash::of(b"one"))] {
                for said_ms in [0, -1, 1] {
                    for kind in [
                        StatementKind::Newest,
                        StatementKind::Entry,
                        StatementKind::Snapshot { source: "a/b", root: &root },
                        StatementKind::Snapshot { source: "a/bc", root: &root },
                        StatementKind::Snapshot { source: "a/b", root: &other_root },
                    ] {
                        all.push(Statement { vault, entry: Head { sequence, hash }, said_ms, kind }.encode());
                    }
                }
            }
        }
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
        assert!(all.iter().all(|bytes| bytes.starts_with(STATEMENT_MAGIC)));
    }

    #[test]
    fn a_vault_is_called_by_32_hex_digits() {
        assert_eq!(vault_name("000102030405060708090a0b0c0d0e0f").map(|name| name[15]), Some(15));
        for none in ["", "+00102030405060708090a0b0c0d0e0f", "00", &"0".repeat(33), &"g".repeat(32)] {
            assert_eq!(vault_name(none), None, "{none}");
        }
    }
}
