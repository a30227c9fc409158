//! Files with several names: the first name is restored, further names are linked at the end.
//!
//! Names belong together only where the tree says so and the content is equal: a file that was written to during a
//! push has the old content under a name and the new content under another, and both come back.

use super::{
    naming::words,
    replacing::{TargetSpot, name_must_be},
    site::Site,
    target_folder::{LinkEnds, TargetFolder, make_link},
};
use crate::past::tree_reader::TreeReader;
use larder_format::{
    Hash,
    tree::{Entry, Kind, encode_pieces},
};
use std::{
    collections::HashMap,
    mem::{Discriminant, discriminant},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

/// The tree's number for the names of a file, and the content.
type LinkGroup = (u64, Discriminant<Kind>, Hash);

fn group_of(entry: &Entry) -> LinkGroup {
    let content = match &entry.kind {
        Kind::File { pieces, .. } => Hash::of(&encode_pieces(pieces)),
        Kind::Symlink(target) => Hash::of(target),
        other => Hash::of(format!("{other:?}").as_bytes()),
    };
    (entry.hard_link, discriminant(&entry.kind), content)
}

/// Planned files with several names.
#[derive(Default)]
pub(crate) struct Links {
    first: HashMap<LinkGroup, usize>,
    names: Vec<FirstName>,
    more: Vec<FurtherName>,
}

struct FirstName {
    place: Arc<TargetFolder>,
    name: Vec<u8>,
    /// Set once the file is there: an entry that stood under the name before must not be linked to.
    is_there: Arc<AtomicBool>,
}

struct FurtherName {
    first: usize,
    place: Arc<TargetFolder>,
    name: Vec<u8>,
    bytes: u64,
}

/// A name among a file's names.
pub(crate) enum LinkName {
    Only,
    First(Arc<AtomicBool>),
    Further,
}

impl Links {
    /// Notes a name of a file.
    pub(crate) fn take(&mut self, place: &Arc<TargetFolder>, name: &[u8], entry: &Entry) -> LinkName {
        if entry.hard_link == 0 {
            return LinkName::Only;
        }
        let (place, name) = (Arc::clone(place), name.to_owned());
        let group = group_of(entry);
        if let Some(first) = self.first.get(&group).copied() {
            let bytes = if let Kind::File { size, .. } = entry.kind { size } else { 0 };
            self.more.push(FurtherName { first, place, name, bytes });
            return LinkName::Further;
        }
        self.first.insert(group, self.names.len());
        let is_there = Arc::new(AtomicBool::new(false));
        self.names.push(FirstName { place, name, is_there: Arc::clone(&is_there) });
        LinkName::First(is_there)
    }

    /// Makes the further names.
    pub(crate) fn make(self, site: &Site<'_>, reader: &TreeReader<'_>) {
        for FurtherName { first, place, name, bytes } in self.more {
            let first = &self.names[first];
            let made = if first.is_there.load(Relaxed) {
                let ends = LinkEnds { at: &first.place, first: &first.name, place: &place, name: &name };
                link(site, reader, ends)
            } else {
                let first = first.place.handle.path_of(&first.name);
                Err(format!("it is another name of the file {first}, which did not come back either"))
            };
            site.progress.pass(bytes);
            match made {
                Ok(()) => {
                    site.progress.add_files(1);
                    site.progress.add_bytes(bytes);
                }
                Err(why) => site.skip(place.handle.path_of(&name), why),
            }
            TargetFolder::release(place, site);
        }
        for first in self.names {
            TargetFolder::release(first.place, site);
        }
    }
}

fn link(site: &Site<'_>, reader: &TreeReader<'_>, ends: LinkEnds<'_>) -> Result<(), String> {
    if ends.is_made() {
        site.note_already();
        return Ok(());
    }
    let folder = ends.place.handle.open().map_err(words)?;
    let spot = TargetSpot { handle: &ends.place.handle, folder: folder.as_ref(), name: ends.name };
    let must_be = name_must_be(site.replacing, reader, spot)?;
    make_link(site, ends, must_be).inspect(|()| site.note_named(must_be))
}
