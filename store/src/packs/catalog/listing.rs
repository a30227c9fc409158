//! Lists of the packs on each disk, by name alone.
//!
//! Not here: the content of packs (`registry`), the place of a chunk (`index`).

use crate::Result;
use crate::disk::{ask_twice, sync_names};
use crate::disks::member::Member;
use crate::disks::members::Members;
use crate::packs::on_disk;
use larder_format::{Hash, layout};
use std::collections::{BTreeSet, HashMap, HashSet};

/// Marks every disk that lacks packs of another disk.
pub(crate) fn mark_behind(members: &Members, on_each: &[HashMap<Hash, u64>]) {
    let all: HashSet<_> = on_each.iter().flat_map(HashMap::keys).collect();
    for (member, packs) in members.all().iter().zip(on_each) {
        member.lacks_packs((all.len() - packs.len()) as u64);
    }
}

/// The packs on each disk, by name, with their lengths; and whether an unread folder may hide packs.
pub(crate) fn list(members: &Members) -> Result<(Vec<HashMap<Hash, u64>>, bool)> {
    let (mut on_each, mut all_hide_some) = (Vec::new(), true);
    for member in members.all().iter() {
        let is_asked = member.is_readable();
        let found = if is_asked { list_one(member) } else { Ok((HashMap::new(), true)) };
        let found =
            found.or_else(|failure| members.go_on_without(failure).map(|()| (HashMap::new(), true)))?;
        all_hide_some &= found.1;
        on_each.push(found.0);
    }
    Ok((on_each, all_hide_some))
}

/// The packs on one disk, and whether a folder of packs cannot be read.
pub(crate) fn list_one(member: &Member) -> Result<(HashMap<Hash, u64>, bool)> {
    let found = ask_twice(|| on_disk::files_on(member.disk.as_ref(), layout::pack_name)).and_then(
        |(mut found, failure)| {
            // A name in the cache is no durable file; the file is set aside as soon as the disk takes writes.
            found.retain(|name, _| !member.is_doubtful(&layout::pack(name)));
            // A killed agent may have published names that a power cut would still take away.
            let folders: BTreeSet<_> = found.keys().map(layout::pack_folder).collect();
            if member.is_healthy() {
                folders.iter().try_for_each(|folder| sync_names(member.disk.as_ref(), folder))?;
            }
            Ok((found, failure.is_some()))
        },
    );
    found.map_err(|source| member.failed(layout::PACKS, source))
}
