//! The node of a folder, merged from the record of the last push and new entries.
//!
//! Names come in order, and the record is read alongside. While the two are equal, only a counter moves. At the first
//! difference the equal part is taken over, and from there on node and new record are made entry by entry. Not here:
//! finding out which entries are new (`walker`).

use crate::{
    push::batch::{Batcher, Stopped},
    push::cache::{Cache, CachedEntry, Folded, FolderKey, KnownEntry, RecordReader, RecordWriter},
    push::entry::NewEntry,
};
use larder_format::tree::{Entry, Made, NodeBuilder, Owner};
use std::cmp::Ordering;

/// Why a folder's node was not made.
pub(crate) enum MergeError {
    Stopped,
    /// The cache contradicts itself.
    BadCache,
}

impl From<Stopped> for MergeError {
    fn from(Stopped: Stopped) -> Self {
        Self::Stopped
    }
}

/// Known and new entries, merged in the order of names.
pub(crate) struct NodeMerge<'a> {
    cache: &'a Cache,
    key: FolderKey,
    known: Option<RecordReader<'a>>,
    /// Nothing while the entries so far are the first `same` entries of the record.
    new: Option<(NodeBuilder, RecordWriter)>,
    same: usize,
}

impl<'a> NodeMerge<'a> {
    pub(crate) fn new(cache: &'a Cache, key: FolderKey, known: Option<RecordReader<'a>>) -> Self {
        let new = known.is_none().then(|| (NodeBuilder::new(), RecordWriter::new(key)));
        Self { cache, key, known, new, same: 0 }
    }

    /// The known entry called `name`. Names must be asked for in order.
    pub(crate) fn find(
        &mut self,
        name: &[u8],
        trees: &mut Batcher<'_>,
    ) -> Result<Option<CachedEntry<'_>>, MergeError> {
        loop {
            let order = self.known.as_mut().and_then(|known| known.peek()).map(|entry| entry.name.cmp(name));
            match order {
                Some(Ordering::Less) => {
                    // The known entry was deleted.
                    self.differ(trees)?;
                    self.known.iter_mut().for_each(RecordReader::step);
                }
                Some(Ordering::Equal) => return Ok(self.known.as_mut().and_then(|known| known.peek())),
                Some(Ordering::Greater) | None => return Ok(None),
            }
        }
    }

    /// Keeps the entry that `find` found.
    pub(crate) fn take_known(&mut self, trees: &mut Batcher<'_>) -> Result<(), MergeError> {
        let Some(known) = &mut self.known else { return Err(MergeError::BadCache) };
        if let Some((builder, writer)) = &mut self.new {
            copy_known(known, builder, writer, trees)?;
        } else {
            self.same += 1;
        }
        known.step();
        Ok(())
    }

    /// A new or changed entry.
    pub(crate) fn put(&mut self, fresh: NewEntry, trees: &mut Batcher<'_>) -> Result<(), MergeError> {
        self.differ(trees)?;
        if let Some(known) = &mut self.known
            && known.peek().is_some_and(|cached| cached.name == fresh.entry.name)
        {
            known.step();
        }
        let Some((builder, writer)) = &mut self.new else { return Err(MergeError::BadCache) };
        let NewEntry { entry, owner, fingerprint, racy, fixed_size } = fresh;
        writer.push(&KnownEntry { entry: &entry, owner: &owner, fingerprint, racy, fixed_size }, self.cache);
        Ok(push_entry(builder, entry, &owner, trees)?)
    }

    /// From here on the folder differs from the record: the equal part so far is taken over.
    fn differ(&mut self, trees: &mut Batcher<'_>) -> Result<(), MergeError> {
        if self.new.is_some() {
            return Ok(());
        }
        let (mut builder, mut writer) = (NodeBuilder::new(), RecordWriter::new(self.key));
        if let Some(known) = &mut self.known {
            known.rewind().ok_or(MergeError::BadCache)?;
            for _ in 0..self.same {
                copy_known(known, &mut builder, &mut writer, trees)?;
                known.step();
            }
        }
        self.new = Some((builder, writer));
        Ok(())
    }

    pub(crate) fn finish(mut self, trees: &mut Batcher<'_>) -> Result<Folded, MergeError> {
        if self.known.as_mut().is_some_and(|known| known.peek().is_some()) {
            self.differ(trees)?;
        }
        match (self.new, self.known) {
            (None, Some(known)) => {
                known.keep();
                Ok(known.folded)
            }
            (None, None) => Err(MergeError::BadCache),
            (Some((builder, writer)), _) => {
                let (node, totals) = builder.finish(&mut |made: Made| trees.add(&made).map(|_| ()))?;
                let folded = Folded { node, totals };
                writer.finish(&folded, self.cache);
                Ok(folded)
            }
        }
    }
}

fn copy_known(
    known: &mut RecordReader<'_>,
    builder: &mut NodeBuilder,
    writer: &mut RecordWriter,
    trees: &mut Batcher<'_>,
) -> Result<(), MergeError> {
    let cached = known.peek().ok_or(MergeError::BadCache)?;
    let (fingerprint, racy, fixed_size) = (cached.fingerprint, cached.racy, cached.fixed_size);
    let entry = cached.decode().ok_or(MergeError::BadCache)?;
    let owner = known.owners.get(entry.owner as usize).cloned().ok_or(MergeError::BadCache)?;
    let cache = known.cache();
    writer.push(&KnownEntry { entry: &entry, owner: &owner, fingerprint, racy, fixed_size }, cache);
    Ok(push_entry(builder, entry, &owner, trees)?)
}

fn push_entry(
    builder: &mut NodeBuilder,
    entry: Entry,
    owner: &Owner,
    trees: &mut Batcher<'_>,
) -> Result<(), Stopped> {
    builder.push(entry, owner, &mut |made: Made| trees.add(&made).map(|_| ()))
}
