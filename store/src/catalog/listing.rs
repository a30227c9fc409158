//! Which packs lie on which disk, by their names alone.
//!
//! Not here: what is in them (`packs`), where a chunk lies (`index`).

use crate::Result;
use crate::disk::{ask_twice, sync_names};
use crate::members::{Member, Members};
use crate::packs;
use larder_format::Hash;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// Marks every disk that lacks packs which another one has.
pub(super) fn mark_behind(members: &Members, on_each: &[HashMap<Hash, u64>]) {
    let all: HashSet<_> = on_each.iter().flat_map(HashMap::keys).collect();
    for (member, packs) in members.all().iter().zip(on_each) {
        member.lacks_packs((all.len() - packs.len()) as u64);
    }
}

/// The packs on each disk, by name, with their lengths.
pub(super) fn list(members: &Members) -> Result<Vec<HashMap<Hash, u64>>> {
    let list = |member: &Arc<Member>| {
        let found = if member.is_readable() { list_one(member) } else { Ok(HashMap::new()) };
        found.or_else(|failure| members.go_on_without(failure).map(|()| HashMap::new()))
    };
    members.all().iter().map(list).collect()
}

pub(super) fn list_one(member: &Member) -> Result<HashMap<Hash, u64>> {
    let found = ask_twice(|| packs::names_on(member.disk.as_ref())).and_then(|found| {
        // A killed agent may have published names that a power cut would still take away.
        let folders: BTreeSet<_> =
            found.keys().map(|name| format!("packs/{}", &name.to_string()[..2])).collect();
        if member.is_healthy() {
            folders.iter().try_for_each(|folder| sync_names(member.disk.as_ref(), folder))?;
        }
        Ok(found)
    });
    found.map_err(|source| member.failed("packs", source))
}
