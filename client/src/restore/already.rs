//! Entries that are back already, from an earlier restore into the same folder that broke off.
//!
//! A repeated restore goes on where the earlier restore stopped: finished entries are neither fetched again nor named
//! as in the way. A file counts by its bytes, not by size and time alone: after a power cut a disk may hold the
//! length of a file without the content. Nothing is changed here, except the permissions of an owner's unreadable
//! file, for as long as the opening takes.

use super::{
    content::{ContentCheck, has_content, holds},
    replacing::{Replacing, TargetSpot},
    site::Site,
};
use crate::{
    past::tree_reader::TreeReader,
    platform::{Attributes, ErrorCause, FileKind, SystemError},
};
use larder_format::tree::{Entry, Kind};

/// An entry to be restored, with its place in the target.
#[derive(Clone, Copy)]
pub(crate) struct PlannedEntry<'a> {
    pub(crate) spot: TargetSpot<'a>,
    pub(crate) entry: &'a Entry,
    pub(crate) attributes: &'a Attributes,
}

/// Whether the entry that stands in the target equals the entry to be restored.
pub(crate) fn is_back(
    site: &Site<'_>,
    reader: &TreeReader<'_>,
    planned: PlannedEntry<'_>,
) -> Result<bool, SystemError> {
    let PlannedEntry { spot, entry, attributes } = planned;
    let TargetSpot { folder, name, .. } = spot;
    let status = folder.status_at(name)?;
    // Further names will be linked to the file; another user's file would then change under the links.
    if entry.hard_link != 0 && !site.restorer.may_have_made(status.owner, attributes) {
        return Ok(false);
    }
    if let Replacing::Pushed(last) = site.replacing {
        // A file with other permissions is not what it was.
        let is_mode_alike = !site.restorer.is_owner(status.owner, attributes)
            || matches!(entry.kind, Kind::Symlink(_))
            || [entry.mode, attributes.mode].contains(&status.permissions);
        if !is_mode_alike || !attributes.is_time(status.modified) {
            return Ok(false);
        }
        // Known without reading: a folder of half a terabyte is rolled back in minutes.
        if let Some(pushed) = last.entry(spot, &status)
            && pushed.is_sure
            && pushed.kind == entry.kind
        {
            return Ok(true);
        }
    }
    let Kind::File { size, pieces } = &entry.kind else {
        return has_content(reader, ContentCheck { folder, name, kind: &entry.kind }, &status);
    };
    let is_alike =
        status.kind == FileKind::File && status.size == *size && attributes.is_time(status.modified);
    let is_own = status.owner.user == site.restorer.own.user;
    // An earlier run may have left out the bits that this run was told to give.
    let is_to_give_rights = attributes.give_rights(true) && site.special.is_root_and_open();
    let lacks_bits = is_to_give_rights && status.permissions != attributes.mode;
    Ok(is_alike && !lacks_bits && {
        let file = match folder.open_file(name) {
            // People keep files that even their owner may not read, and a repeated restore would call each
            // such file in the way.
            Err(error) if error.cause() == ErrorCause::Denied && is_own && site.may_touch() => {
                folder.open_unreadable(name, attributes.mode)?
            }
            opened => opened?,
        };
        let lacks_rights = is_to_give_rights && !attributes.are_rights_among(&file);
        !lacks_rights && holds(reader, &file, *size, pieces)
    })
}
