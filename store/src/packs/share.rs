//! How much room the unfinished uploads of one device may hold once others need it.
//!
//! There are no quotas in the ledger yet. When there are, they take the place of this one function. Not here: who holds how
//! much (`pins`), what becomes of devices above their share (`unfinished`).

/// Bytes that a device may bring without a commit, where `room_bytes` was what all uploads together could still bring when
/// its bytes began to count.
///
/// Half: whatever one device takes, the others find as much again, and the one after that half of the rest. A fixed least
/// share would let a single device take a small disk's whole room.
pub(crate) const fn share_bytes(room_bytes: u64) -> u64 {
    room_bytes / 2
}
