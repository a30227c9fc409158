//! Order of a scrub on a disk, stable while packs come: identity, ledger, then packs by name with their sidecars.
//!
//! Items are in path order, so a scrub remembers only a path. Missing files are part of the order: a vanished file is
//! damage too.

use crate::core::Core;
use crate::disk::Disk;
use crate::disks::member::{Member, MemberState};
use crate::ledger::listing;
use larder_format::ledger::chapter::{chapter_of, entries_of};
use larder_format::{Hash, layout};
use std::collections::{BTreeSet, HashSet};
use std::io;

/// Folders of packs, by the first two digits of the names.
const FOLDERS: u16 = 256;

/// A file to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ScrubItem {
    /// `disk.json`.
    Facts,
    /// An entry of the ledger.
    Entry(u64),
    /// A chapter of the ledger.
    Chapter(u64),
    /// A pack.
    Pack(Hash),
    /// The sidecar of a pack.
    Sidecar(Hash),
}

impl ScrubItem {
    pub(crate) fn path(&self) -> String {
        match self {
            Self::Facts => layout::DISK_FILE.to_owned(),
            Self::Entry(sequence) => layout::entry(*sequence),
            Self::Chapter(chapter) => layout::chapter(*chapter),
            Self::Pack(name) => layout::pack(name),
            Self::Sidecar(name) => layout::parity(name),
        }
    }
}

/// The next items behind the path `after`, in order: every remaining entry, or the packs of one folder; empty at the
/// end of the round.
pub(crate) fn next(core: &Core, member: &Member, after: &str) -> io::Result<Vec<ScrubItem>> {
    let is_ahead = |item: &ScrubItem| item.path().as_str() > after;
    if after < layout::DISK_FILE {
        return Ok(vec![ScrubItem::Facts]);
    }
    let entries = entries(core, member, after);
    if !entries.is_empty() {
        return Ok(entries);
    }
    let expected = expected(core, member);
    for folder in 0..FOLDERS {
        let (first_byte, folder) = (folder, format!("{}/{folder:02x}", layout::PACKS));
        // The whole folder was read: `~` comes after every digit.
        if format!("{folder}/~").as_str() <= after {
            continue;
        }
        let expected = expected.iter().filter(|name| u16::from(name.0[0]) == first_byte).copied();
        let mut items = match packs_in(member, &folder, expected.collect()) {
            // One bad block: the contents of this folder are unknown, and the remaining folders are still read.
            Err(error) if member.disk.list(layout::PACKS).is_ok() => {
                tracing::error!(disk = %member.disk.name(), folder, %error, "a folder of packs cannot be read");
                continue;
            }
            listed => listed?,
        };
        items.retain(is_ahead);
        if !items.is_empty() {
            return Ok(items);
        }
    }
    Ok(Vec::new())
}

/// Bytes on the disk for a round; an estimate, since packs come meanwhile.
pub(crate) fn total(disk: &dyn Disk) -> io::Result<u64> {
    let mut bytes = 0;
    for folder in disk.list(layout::PACKS)?.into_iter().filter(|item| item.is_folder) {
        // An unreadable folder is skipped, as in the round itself.
        let items = disk.list(&format!("{}/{}", layout::PACKS, folder.name)).unwrap_or_default();
        bytes += items.iter().map(|item| item.len).sum::<u64>();
    }
    Ok(bytes)
}

fn entries(core: &Core, member: &Member, after: &str) -> Vec<ScrubItem> {
    // A few thousand at a time: the paths of a million would be a hundred megabytes.
    const AT_ONCE: usize = 4096;
    if after > "ledger/~" {
        return Vec::new();
    }
    let last = after.rsplit('/').next().unwrap_or(after);
    let of_chapter = layout::chapter_number(last).map(|chapter| entries_of(chapter).start);
    let first = of_chapter.or_else(|| layout::entry_number(last).map(|read| read + 1)).unwrap_or(1);
    let chapters = listing::list(member.disk.as_ref()).unwrap_or_default().chapters;
    let view = core.ledger();
    let numbers = (first..=view.head.sequence).filter(|number| !view.gaps.contains(number));
    // A chapter comes just before its first entry, in path order.
    let sealed = |number: u64| {
        let chapter = chapter_of(number);
        let begins = number == entries_of(chapter).start && of_chapter != Some(number);
        (begins && chapters.contains(&chapter)).then_some(ScrubItem::Chapter(chapter))
    };
    numbers
        .take(AT_ONCE)
        .flat_map(|number| sealed(number).into_iter().chain([ScrubItem::Entry(number)]))
        .collect()
}

/// Packs expected on the disk. A lagging disk is under resync, and its missing packs are known.
fn expected(core: &Core, member: &Member) -> HashSet<Hash> {
    if member.state() != MemberState::Healthy {
        return HashSet::new();
    }
    expected_packs(core, member)
}

fn packs_in(member: &Member, folder: &str, expected: BTreeSet<Hash>) -> io::Result<Vec<ScrubItem>> {
    let mut names = expected;
    let mut sidecars = BTreeSet::new();
    for item in member.disk.list(folder)? {
        // A pack in a strange folder cannot be opened under its name, and would be found damaged at each start.
        let is_own = |name: &Hash| folder == layout::pack_folder(name);

        names.extend(layout::pack_name(&item.name).filter(is_own));
        sidecars.extend(layout::parity_name(&item.name).filter(is_own));
    }
    if member.state() == MemberState::Healthy {
        // A sidecar without a pack: the pack vanished, and the vault was opened since.
        names.extend(&sidecars);
    }
    let both = |name: Hash| {
        let sidecar = sidecars.contains(&name).then_some(ScrubItem::Sidecar(name));
        std::iter::once(ScrubItem::Pack(name)).chain(sidecar)
    };
    // Paths sort like names, and `.pack` before `.parity`.
    Ok(names.into_iter().flat_map(both).collect())
}

/// Packs expected on the disk. A pack only on an absent disk is not lost.
fn expected_packs(core: &Core, member: &Member) -> HashSet<Hash> {
    let is_alone = core.members.others(member).is_empty();
    let trouble = core.trouble();
    let known = core.catalog.packs.all().into_iter();
    known.filter(|(pack, _)| !(is_alone && trouble.is_gone_without(*pack))).map(|(_, name)| name).collect()
}
