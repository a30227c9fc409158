//! How much room the unfinished uploads of one device may hold once other devices need room.
//!
//! There are no quotas in the ledger yet. Quotas would take the place of this function. Not here: bytes per holder
//! (`pins`), the handling of devices above their share (`unfinished`).

/// Bytes that a device may bring without a commit, where `room_bytes` was the room for all uploads together when its bytes
/// began to count.
///
/// Half: whatever one device takes, the others find as much again, and the next device half of the rest. A fixed least
/// share would let a single device take a small disk's whole room.
pub(crate) const fn share_bytes(room_bytes: u64) -> u64 {
    room_bytes / 2
}
