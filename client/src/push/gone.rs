//! What the last push of this computer had of a folder, and what is not there any more.
//!
//! By the cache, so that also a key that only pushes is told. What is left out now counts too: the next snapshot has it no
//! more. Not here: the walk through the folder (`measure`).

use super::cache::{Cache, FolderKey, RecordReader};
use crate::platform::{KindHint, NameList};
use larder_format::{
    tree::{DEPTH_MAX, Entry, Kind},
    wire::escape_name,
};

/// A file or a folder that the last push had.
pub(super) struct GoneEntry<'a> {
    /// Path below the pushed folder, as `wire::escape_name` writes a name.
    pub(super) path: &'a str,
    /// Size of a file; none for a folder.
    pub(super) bytes: Option<u64>,
}

/// Hands over each entry that the record called `key` has and `names`, a sorted listing, has not; with all that was in it.
/// `path_of` gives the path of a name in that folder.
pub(super) fn gone_from(
    cache: &Cache,
    key: FolderKey,
    names: &NameList,
    path_of: &dyn Fn(&[u8]) -> String,
    meet: &mut dyn FnMut(GoneEntry<'_>),
) {
    let mut position = 0;
    each_known(cache, key, &mut |known| {
        while position < names.len() && names.name(position) < &known.name[..] {
            position += 1;
        }
        let is_there = position < names.len() && names.name(position) == &known.name[..];
        // A file in the place of a folder: the file is a change, and what was in the folder is gone.
        if is_there && (names.hint(position) == KindHint::Folder || !is_folder(&known)) {
            return;
        }
        let path = path_of(&known.name);
        let below = key.child(&known.name);
        if !is_there {
            meet(GoneEntry { path: &path, bytes: bytes_of(&known) });
        }
        if is_folder(&known) {
            all_below(cache, below, path, meet);
        }
    });
}

/// Hands over everything that the last push had below a folder.
fn all_below(cache: &Cache, key: FolderKey, path: String, meet: &mut dyn FnMut(GoneEntry<'_>)) {
    let mut waiting = vec![(key, path, 1)];
    while let Some((key, path, depth)) = waiting.pop() {
        each_known(cache, key, &mut |known| {
            let path = format!("{path}/{}", escape_name(&known.name));
            meet(GoneEntry { path: &path, bytes: bytes_of(&known) });
            if is_folder(&known) && depth < DEPTH_MAX {
                waiting.push((key.child(&known.name), path, depth + 1));
            }
        });
    }
}

/// Hands over each entry of a record; none where there is no such record, or a damaged one.
fn each_known(cache: &Cache, key: FolderKey, each: &mut dyn FnMut(Entry)) {
    let Some(mut record) = RecordReader::open(cache, key) else { return };
    while let Some(entry) = record.peek().map(|cached| cached.decode()) {
        entry.into_iter().for_each(&mut *each);
        record.step();
    }
}

fn is_folder(entry: &Entry) -> bool {
    matches!(entry.kind, Kind::Directory { .. })
}

fn bytes_of(entry: &Entry) -> Option<u64> {
    match &entry.kind {
        Kind::Directory { .. } => None,
        Kind::File { size, .. } => Some(*size),
        _ => Some(0),
    }
}
