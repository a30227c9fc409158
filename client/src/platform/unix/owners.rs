//! Owners by name and by number, as this system knows owners.

use crate::platform::status::OwnerIds;
use larder_format::tree::Owner;
use nix::unistd::{Group, User};
use std::{
    collections::HashMap,
    sync::{Arc, RwLock},
};

/// Names of users and groups, asked of the system once each.
#[derive(Default)]
pub(crate) struct OwnerNames {
    known: RwLock<HashMap<OwnerIds, Arc<Owner>>>,
}

impl OwnerNames {
    pub(crate) fn of(&self, ids: OwnerIds) -> Arc<Owner> {
        let known = |names: &HashMap<_, Arc<Owner>>| names.get(&ids).map(Arc::clone);
        if let Some(owner) = self.known.read().ok().and_then(|names| known(&names)) {
            return owner;
        }
        let user = User::from_uid(ids.user.into()).ok().flatten();
        let group = Group::from_gid(ids.group.into()).ok().flatten();
        let owner = Arc::new(Owner {
            uid: ids.user,
            gid: ids.group,
            user: user.map(|user| user.name).unwrap_or_default(),
            group: group.map(|group| group.name).unwrap_or_default(),
        });
        if let Ok(mut names) = self.known.write() {
            names.insert(ids, Arc::clone(&owner));
        }
        owner
    }
}

/// Longest name of a user or a group that a system asks for; a tree may hold half a megabyte of a name.
const NAME_BYTES_MAX: usize = 256;

/// Numbers of an owner: by name first and by number second, since numbers differ between computers.
pub(super) fn ids_of(owner: &Owner) -> OwnerIds {
    let may_be_known = |name: &str| (1..=NAME_BYTES_MAX).contains(&name.len());
    let user = may_be_known(&owner.user).then(|| User::from_name(&owner.user).ok().flatten());
    let group = may_be_known(&owner.group).then(|| Group::from_name(&owner.group).ok().flatten());
    OwnerIds {
        user: user.flatten().map_or(owner.uid, |user| user.uid.as_raw()),
        group: group.flatten().map_or(owner.gid, |group| group.gid.as_raw()),
    }
}
