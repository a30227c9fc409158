//! Entries of a tree as JSON shows them. Not here: the tree (`tree`), the other messages (`wire`).

use super::{EntryInfo, escape_name};
use crate::tree::{Kind, Time, read::Found};
use jiff::Timestamp;

impl EntryInfo {
    /// An entry as it is listed.
    pub fn of(Found { entry, owner }: &Found) -> Self {
        let name_or =
            |name: &str, number: u32| if name.is_empty() { number.to_string() } else { name.to_owned() };
        let (kind, bytes) = match &entry.kind {
            Kind::File { size, .. } => ("file", *size),
            Kind::Directory { totals, .. } => ("directory", totals.bytes),
            Kind::Symlink(_) => ("symlink", 0),
            Kind::Fifo => ("fifo", 0),
            Kind::Socket => ("socket", 0),
            Kind::CharDevice { .. } => ("char_device", 0),
            Kind::BlockDevice { .. } => ("block_device", 0),
        };
        let (files, target) = match &entry.kind {
            Kind::Directory { totals, .. } => (Some(totals.files), None),
            Kind::Symlink(target) => (None, Some(escape_name(target))),
            _ => (None, None),
        };
        Self {
            name: escape_name(&entry.name),
            kind: kind.to_owned(),
            bytes,
            mode: entry.mode,
            modified: time_text(entry.modified),
            user: name_or(&owner.user, owner.uid),
            group: name_or(&owner.group, owner.gid),
            files,
            target,
        }
    }
}

/// RFC 3339 in UTC; seconds alone where the year has no such form.
fn time_text(time: Time) -> String {
    let nanos = i32::try_from(time.nanos).unwrap_or(0);
    Timestamp::new(time.seconds, nanos)
        .map_or_else(|_| format!("@{}", time.seconds), |moment| moment.to_string())
}
