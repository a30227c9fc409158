//! Plans that stop half way, and the order in which chunks are asked for.

use super::*;
use crate::{
    NoAnswer, RestoreChoice, RestoreOptions, TransferProgress,
    handle::{Budget, Handle},
    platform::OpenFolder,
};
use larder_format::{
    ChunkId, ChunkRef,
    tree::{Entry, Owner, Time},
    wire::{Neighbours, SnapshotInfo},
};
use std::sync::mpsc::{Receiver, sync_channel};

/// Gives no chunk, and may know the places of chunks: seven in each block, with the blocks in reverse.
struct Known(Option<Vec<ChunkId>>);

impl Past for Known {
    fn fetch(&self, _: &[ChunkId], _: Neighbours, _: &mut dyn FnMut(&[u8])) -> Result<(), ClientError> {
        Err(ClientError::Unreachable {
            address: String::new(),
            why: NoAnswer::BrokenOff,
            cause: String::new(),
        })
    }

    fn places(&self, names: &[ChunkId]) -> Result<Vec<u64>, ClientError> {
        assert!(names.len() <= IDS_MAX, "more than one question may ask");
        let all = self.0.as_ref().ok_or_else(|| ClientError::Usage("nobody knows".into()))?;
        let at = |name| all.iter().position(|known| known == name).expect("it was pushed");
        Ok(names.iter().map(|name| 1_000_000 - at(name) as u64 / 7).collect())
    }

    fn snapshot(&self, _: &str, _: &str) -> Result<SnapshotInfo, ClientError> {
        Err(ClientError::Usage("not in this test".into()))
    }
}

fn owner() -> Owner {
    Owner { uid: 0, gid: 0, user: String::new(), group: String::new() }
}

fn entry(kind: Kind) -> Entry {
    let (modified, xattrs) = (Time::default(), Vec::new());
    Entry { name: b"file".to_vec(), owner: 0, mode: 0o600, modified, hard_link: 0, xattrs, kind }
}

/// Hands over a planner for an empty folder, the folder and at most so many sent groups, then counts the names in the
/// folder.
fn with_planner(
    past: &dyn Past,
    groups_max: usize,
    test: impl FnOnce(Planner<'_, '_>, &Arc<TargetFolder>, Receiver<FetchGroup>),
) -> usize {
    let folder = tempfile::tempdir().expect("a folder");
    let opened = OpenFolder::open(folder.path());
    let handle = Handle::root(opened.expect("opens"), Budget::new(9)).expect("a handle");
    let place = TargetFolder::root(handle, None, true);
    let progress = TransferProgress::default();
    let site = Site::new(&RestoreOptions::default(), &progress, folder.path());
    let (sender, groups) = sync_channel(groups_max);
    let reader = TreeReader::new(past, &progress);
    let choice = Choice::new(&RestoreChoice::default(), b"").expect("no patterns");
    let wanted = WantedTree { reader: &reader, choice: &choice };
    test(Planner::new(&site, past, wanted, sender), &place, groups);
    std::fs::read_dir(folder.path()).expect("a folder").count()
}

/// A restore stops while a file of several chunks is planned, and the planned chunks still arrive.
fn names_after_a_stop(pieces: Vec<Piece>, is_stopped_before: bool) -> usize {
    with_planner(&Known(None), 1, |mut planner, place, _groups| {
        if is_stopped_before {
            planner.site.stop(ClientError::Usage("planted".into()));
        }
        planner.other_than_folder(
            place,
            Found { entry: entry(Kind::File { size: 12, pieces }), owner: owner() },
        );
        for write in std::mem::take(&mut planner.window) {
            write.file.write(planner.site, b"arrive", write.offset);
            write.file.written(planner.site);
        }
    })
}

/// The groups for chunks that are planned in reverse.
fn groups(past: &dyn Past, names: &[ChunkId]) -> Vec<Vec<ChunkId>> {
    let mut asked = Vec::new();
    with_planner(past, names.len(), |mut planner, place, groups| {
        let attributes = Attributes::of(&entry(Kind::Fifo), owner());
        let file = GrowingFile::new(planner.site, place, b"file".to_vec(), attributes, 0).linked(None);
        let write = |id: &ChunkId| Write {
            chunk: ChunkRef { id: *id, len: 50_000 },
            file: Arc::clone(&file),
            offset: 0,
        };
        planner.window = names.iter().rev().map(write).collect();
        planner.send_window();
        drop(planner);
        asked = groups.iter().map(|group| group.iter().map(|write| write.chunk.id).collect()).collect();
    });
    asked
}

fn many_names() -> Vec<ChunkId> {
    (0..9000u32).map(|number| ChunkRef::to(&number.to_le_bytes()).id).collect()
}

#[test]
fn what_lies_in_one_block_is_asked_for_together_and_in_order() {
    let names = many_names();
    let past = Known(Some(names.clone()));
    let asked = groups(&past, &names);
    assert!(asked.len() > 50 && asked.iter().all(|group| group.len() < 100), "enough to share out");
    let places: Vec<Vec<u64>> = asked.iter().map(|group| past.places(group).expect("known")).collect();
    assert!(places.concat().is_sorted());
    assert!(places.windows(2).all(|pair| pair[0].last() < pair[1].first()), "no block is parted");
    assert_eq!(asked.concat().len(), names.len());
}

#[test]
fn where_nobody_says_what_lies_together_all_is_asked_for_as_planned() {
    let names = many_names();
    let asked = groups(&Known(None), &names);
    assert!(asked.len() > 50 && asked.iter().all(|group| group.len() <= IDS_MAX));
    assert!(asked.concat().iter().eq(names.iter().rev()));
}

#[test]
fn half_a_file_is_never_given_its_name() {
    let chunk = || Piece::Chunk(ChunkRef::to(b"arrive"));
    let list = Piece::More { list: ChunkRef::to(b"a list"), bytes: 6 };
    assert_eq!(names_after_a_stop(vec![chunk(), chunk()], false), 1);
    assert_eq!(names_after_a_stop(vec![chunk(), chunk()], true), 0);
    assert_eq!(names_after_a_stop(vec![chunk(), list], false), 0);
}
