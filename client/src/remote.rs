//! What a push or a restore needs of the far end, and nothing more.
//!
//! The implementation for real life is `Connection`; tests put a vault in memory behind the same traits. No call here
//! deletes or overwrites, because the protocol has no word for either.

use crate::ClientError;
use larder_format::{
    ChunkId,
    wire::{Commit, Identity, Neighbours, PushStart, PushWelcome, Receipt, Received, SnapshotInfo},
};

/// The reading half: chunks by name, and snapshots by time. An appliance offers this half, and a pulled disk too
/// (`rescue`). Every call may come from several threads at once.
pub trait Past: Sync {
    /// Fetches chunks (at most `wire::IDS_MAX`) and hands each block to `each`, whole and unverified. After an error
    /// some blocks may have been handed over already: ask again for the rest.
    ///
    /// # Errors
    /// Any but `Local` and `Usage`.
    fn fetch(
        &self,
        names: &[ChunkId],
        neighbours: Neighbours,
        each: &mut dyn FnMut(&[u8]),
    ) -> Result<(), ClientError>;

    /// The place of each of `names` (at most `wire::IDS_MAX`) as a number: chunks of one block share a number, and
    /// numbers grow in the best order of reading. `wire::NOWHERE` stands for a missing chunk.
    ///
    /// # Errors
    /// Any but `Local` and `Usage`.
    fn places(&self, names: &[ChunkId]) -> Result<Vec<u64>, ClientError>;

    /// The snapshot of `source` at the time `when`.
    ///
    /// # Errors
    /// `Refused` with `not_found`.
    fn snapshot(&self, source: &str, when: &str) -> Result<SnapshotInfo, ClientError>;
}

/// The far end of a push. Every call may come from several threads at once.
pub trait Remote: Past {
    /// The name and role of this computer at the appliance, and the name of the vault.
    ///
    /// # Errors
    /// `Unreachable`, `NotPaired`.
    fn identity(&self) -> Result<Identity, ClientError>;

    /// Asks whether a push may become a snapshot of `source`, before a byte is sent. Only where `Identity::features` has
    /// `wire::SOURCE_ORIGIN`.
    ///
    /// # Errors
    /// `Refused` with `other_folder` when the source is another folder.
    fn start(&self, source: &str, start: &PushStart) -> Result<PushWelcome, ClientError>;

    /// Names among `names` (at most `wire::IDS_MAX`) that the vault does not hold, in order.
    ///
    /// # Errors
    /// Any but `Local` and `Usage`.
    fn missing(&self, names: &[ChunkId]) -> Result<Vec<ChunkId>, ClientError>;

    /// Sends blocks, at most `wire::UPLOAD_BYTES_MAX` together.
    ///
    /// # Errors
    /// Any but `Local` and `Usage`.
    fn upload(&self, blocks: &[&[u8]]) -> Result<Received, ClientError>;

    /// Asks for a snapshot of `source`.
    ///
    /// # Errors
    /// `Refused` with `missing_chunks` when the vault lacks a part of the tree, with `other_folder` as `start`.
    fn commit(&self, source: &str, commit: &Commit) -> Result<Receipt, ClientError>;
}
