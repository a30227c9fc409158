//! What a push or a restore needs of an appliance, and nothing more.
//!
//! The one implementation for real life is `Connection`; tests put a vault in memory behind it. There is no word here
//! that deletes or overwrites, because the protocol has none.

use crate::ClientError;
use larder_format::{
    ChunkId,
    wire::{Commit, Identity, Neighbours, Receipt, Received, SnapshotInfo},
};

/// What a restore needs: chunks by their names, and which snapshot somebody means. An appliance has it, and so has a
/// pulled disk (`rescue`). Every call may come from several threads at once.
pub trait Past: Sync {
    /// Fetches chunks (at most `wire::IDS_MAX`); hands each block that arrives to `each`, whole and unverified.
    /// After an error some blocks may have been handed over already: ask again for the rest.
    ///
    /// # Errors
    /// Any but `Local` and `Usage`.
    fn fetch(
        &self,
        names: &[ChunkId],
        neighbours: Neighbours,
        each: &mut dyn FnMut(&[u8]),
    ) -> Result<(), ClientError>;

    /// Where each of `names` (at most `wire::IDS_MAX`) lies, as a number: the same one for chunks that come in one block,
    /// and in the order in which blocks are best read. `wire::NOWHERE` for what is not there.
    ///
    /// # Errors
    /// Any but `Local` and `Usage`.
    fn places(&self, names: &[ChunkId]) -> Result<Vec<u64>, ClientError>;

    /// The snapshot of `source` that `when` means.
    ///
    /// # Errors
    /// `Refused` with `not_found`.
    fn snapshot(&self, source: &str, when: &str) -> Result<SnapshotInfo, ClientError>;
}

/// The other end of a push. Every call may come from several threads at once.
pub trait Remote: Past {
    /// Who we are to the appliance, and which vault it keeps.
    ///
    /// # Errors
    /// `Unreachable`, `NotPaired`.
    fn identity(&self) -> Result<Identity, ClientError>;

    /// Those of `names` (at most `wire::IDS_MAX`) that the vault does not hold, in order.
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
    /// `Refused` with `missing_chunks` when the vault lacks a part of the tree.
    fn commit(&self, source: &str, commit: &Commit) -> Result<Receipt, ClientError>;
}
