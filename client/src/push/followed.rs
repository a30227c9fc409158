//! Pushes that a watch follows: files sent ahead of a snapshot, and snapshots of what really changed.
//!
//! Files go ahead within seconds, so that little is left to send when the next snapshot is due. Chunks that were sent
//! and not committed are kept for a day by the appliance (docs/why/014-unfinished-uploads.md), much longer than the
//! quarter-hour between two snapshots. Not here: when to do which (`watch`).

use super::{Attempt, PushOptions, PushPlan, Pushed, cache::Cache, guide::WalkGuide, with_attempts};
use crate::{ClientError, Past, Remote, SkippedList, TransferProgress};
use larder_format::{
    ChunkId, ChunkRef,
    wire::{Commit, Identity, Neighbours, PushStart, PushWelcome, Receipt, Received, SnapshotInfo},
};
use std::{path::Path, sync::Mutex};

/// A push whose walk is followed.
pub(crate) struct FollowedPush<'a> {
    pub(crate) remote: &'a dyn Remote,
    pub(crate) source: &'a str,
    pub(crate) folder: &'a Path,
    pub(crate) options: &'a PushOptions,
    pub(crate) progress: &'a TransferProgress,
    pub(crate) guide: &'a dyn WalkGuide,
}

impl FollowedPush<'_> {
    /// Sends what the guide wants of the folder, without a snapshot.
    ///
    /// # Errors
    /// As `push`.
    pub(crate) fn ahead(&self) -> Result<(), ClientError> {
        let remote = StoppableRemote { remote: self.remote, guide: self.guide };
        let attempt = self.attempt(&remote, PushPlan::Ahead(self.guide))?;
        let cache = self.options.cache.as_deref().map_or_else(Cache::none, Cache::open_unchanging);
        // The next snapshot names what cannot be read.
        attempt.send_tree(&cache, &Mutex::new(SkippedList::default())).map(drop)
    }

    /// Makes a snapshot, unless the tree has still the root `last`.
    ///
    /// # Errors
    /// As `push`.
    pub(crate) fn snapshot(&self, last: Option<ChunkRef>) -> Result<Option<Pushed>, ClientError> {
        let remote = StoppableRemote { remote: self.remote, guide: self.guide };
        let attempt = self.attempt(&remote, PushPlan::Snapshot(Some(self.guide)))?;
        with_attempts(self.options, self.progress, |cache| attempt.run_unless(cache, last))
    }

    fn attempt<'b>(&'b self, remote: &'b dyn Remote, plan: PushPlan<'b>) -> Result<Attempt<'b>, ClientError> {
        let attempt = Attempt::new(remote, self.source, self.folder, self.options, self.progress)?;
        Ok(Attempt { plan, ..attempt })
    }
}

/// Asks nothing more of the appliance once the guide has stopped.
struct StoppableRemote<'a> {
    remote: &'a dyn Remote,
    guide: &'a dyn WalkGuide,
}

impl StoppableRemote<'_> {
    fn unless_stopped(&self) -> Result<&dyn Remote, ClientError> {
        if self.guide.is_stopped() { Err(super::stopped()) } else { Ok(self.remote) }
    }
}

impl Past for StoppableRemote<'_> {
    fn fetch(
        &self,
        names: &[ChunkId],
        neighbours: Neighbours,
        each: &mut dyn FnMut(&[u8]),
    ) -> Result<(), ClientError> {
        self.unless_stopped()?.fetch(names, neighbours, each)
    }

    fn places(&self, names: &[ChunkId]) -> Result<Vec<u64>, ClientError> {
        self.unless_stopped()?.places(names)
    }

    fn snapshot(&self, source: &str, when: &str) -> Result<SnapshotInfo, ClientError> {
        self.unless_stopped()?.snapshot(source, when)
    }
}

impl Remote for StoppableRemote<'_> {
    fn identity(&self) -> Result<Identity, ClientError> {
        self.unless_stopped()?.identity()
    }

    fn start(&self, source: &str, start: &PushStart) -> Result<PushWelcome, ClientError> {
        self.unless_stopped()?.start(source, start)
    }

    fn missing(&self, names: &[ChunkId]) -> Result<Vec<ChunkId>, ClientError> {
        self.unless_stopped()?.missing(names)
    }

    fn upload(&self, blocks: &[&[u8]]) -> Result<Received, ClientError> {
        self.unless_stopped()?.upload(blocks)
    }

    fn commit(&self, source: &str, commit: &Commit) -> Result<Receipt, ClientError> {
        self.unless_stopped()?.commit(source, commit)
    }
}
