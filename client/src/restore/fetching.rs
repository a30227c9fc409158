//! Fetching planned chunks in groups, and writing each chunk on arrival.

use super::{
    growing::{FileFailure, GrowingFile},
    site::Site,
};
use crate::{Past, past::fetch::Fetcher};
use larder_format::{ChunkId, ChunkRef};
use std::sync::{Arc, Mutex, PoisonError, mpsc::Receiver};

/// The place of a chunk in a file.
pub(crate) struct Write {
    pub(crate) chunk: ChunkRef,
    pub(crate) file: Arc<GrowingFile>,
    pub(crate) offset: u64,
}

/// Chunks that are fetched together.
pub(crate) type FetchGroup = Vec<Write>;

/// Fetches groups until the planner is done.
pub(crate) fn write_groups(past: &dyn Past, site: &Site<'_>, groups: &Mutex<Receiver<FetchGroup>>) {
    let mut fetcher = Fetcher::new(past, site.progress);
    loop {
        let group = groups.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(mut group) = group else { return };
        // A chunk that belongs in many places is asked for once; sorting brings the places together.
        group.sort_by_key(|write| write.chunk.id);
        write_group(&mut fetcher, site, &group);
    }
}

fn write_group(fetcher: &mut Fetcher<'_>, site: &Site<'_>, group: &[Write]) {
    let mut names: Vec<ChunkId> = group.iter().map(|write| write.chunk.id).collect();
    names.dedup();
    let mut arrived = vec![false; names.len()];
    let fetched = if site.is_stopped() {
        Ok(Vec::new())
    } else {
        fetcher.fetch(&names, &mut |chunk, bytes| {
            arrived[names.partition_point(|name| name < chunk)] = true;
            for write in places_of(group, chunk) {
                write.file.write(site, bytes, write.offset);
                write.file.written(site);
            }
        })
    };
    // First: a folder whose files fail because of the error must be known as unfinished.
    if let Err(trouble) = fetched {
        site.stop(trouble);
    }
    // Every planned write comes to an end, or the file would stay behind under the name beside.
    for (name, _) in names.iter().zip(&arrived).filter(|(_, arrived)| !**arrived) {
        for write in places_of(group, name) {
            write.file.fail(FileFailure::Damaged);
            write.file.written(site);
        }
    }
}

fn places_of<'g>(group: &'g [Write], chunk: &ChunkId) -> impl Iterator<Item = &'g Write> {
    let from = group.partition_point(|write| write.chunk.id < *chunk);
    let to = group.partition_point(|write| write.chunk.id <= *chunk);
    group[from..to].iter()
}
