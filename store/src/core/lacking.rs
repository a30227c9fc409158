//! Files of other disks that a disk lacks.

use crate::Result;
use crate::core::Core;
use crate::disk::Disk;
use crate::disks::member::Member;
use crate::ledger::entry_files::whole_entry;
use crate::ledger::{chapters, listing};
use crate::packs::on_disk;
use larder_format::ledger::Head;
use larder_format::ledger::chapter::{chapter_of, entries_of};
use larder_format::{Hash, layout};

/// Files that a disk lacks and can be given.
#[derive(Default)]
pub(crate) struct Lacking {
    pub(crate) packs: Vec<Hash>,
    pub(crate) entries: Vec<u64>,
    /// Entries that no disk here has whole.
    pub(crate) nowhere: Vec<u64>,
}

impl Lacking {
    pub(crate) fn files(&self) -> u64 {
        (self.packs.len() + self.entries.len()) as u64
    }
}

/// Numbers of the entries up to `head` that the disk lacks. A whole chapter was sealed from present entries.
fn absent_entries(disk: &dyn Disk, head: Head) -> Vec<u64> {
    let listing = listing::list(disk).unwrap_or_default();
    let is_sealed = |chapter: &u64| {
        listing.folders.contains(chapter)
            && listing.chapters.contains(chapter)
            && chapters::read(disk, *chapter).is_some()
    };
    let open = (0..=chapter_of(head.sequence)).filter(|chapter| !is_sealed(chapter));
    let numbers = open.flat_map(entries_of).take_while(|sequence| *sequence <= head.sequence);
    numbers.filter(|sequence| !has_entry(disk, *sequence)).collect()
}

fn has_entry(disk: &dyn Disk, sequence: u64) -> bool {
    // A second read: after one misread the entry would be rewritten, or counted as held by no disk.
    (0..2).any(|_| whole_entry(disk, sequence).is_some())
}

impl Core {
    /// Counts the packs and entries that the disk lacks, and notes the count: an incomplete disk does not count.
    pub(crate) fn count_lacking_on(&self, member: &Member) -> Result<u64> {
        let lacking = self.lacking(member)?;
        self.note_gaps(&lacking);
        member.lacks(lacking.packs.len() as u64, lacking.files());
        Ok(lacking.files())
    }

    /// An entry held only by an absent disk must not stand in a receipt of the present disks.
    pub(crate) fn note_gaps(&self, Lacking { nowhere, .. }: &Lacking) {
        if !nowhere.is_empty() {
            let mut view = self.ledger.write();
            view.gaps.extend(nowhere);
            view.gaps.sort_unstable();
            view.gaps.dedup();
        }
    }

    pub(crate) fn lacking(&self, member: &Member) -> Result<Lacking> {
        let disk = member.disk.as_ref();
        let failed = |source| member.failed(layout::PACKS, source);
        let others = self.members.others(member);
        // An unreadable folder may hold the packs that seem lacking, and could not take a copy anyway.
        let mut there = match others.is_empty() {
            true => on_disk::files_on(disk, layout::pack_name).map(|(there, _)| there),
            false => on_disk::names_on(disk),
        }
        .map_err(failed)?;
        // Packs swept during the disk's absence are removed there too, after its resync.
        self.catalog.packs.leave_to_sweep(&mut there, &self.ledger().swept);
        let trouble = self.trouble();
        let packs = self.catalog.packs.all().into_iter();
        let packs =
            packs.filter(|(number, name)| !there.contains_key(name) && !trouble.is_gone_without(*number));
        // The ledger lock is free here: a full read takes a while, and commits would wait.
        let head = self.ledger().head;
        let absent = absent_entries(disk, head);
        let (entries, nowhere) = absent
            .into_iter()
            .partition(|sequence| others.iter().any(|other| has_entry(other.disk.as_ref(), *sequence)));
        Ok(Lacking { packs: packs.map(|(_, name)| name).collect(), entries, nowhere })
    }

    /// Recounts the lacks of the other disks after a disk brought new files.
    pub(crate) fn count_lacking(&self) -> Result<()> {
        for member in self.members.all().iter().filter(|member| member.is_healthy() || member.is_behind()) {
            self.count_lacking_on(member)?;
        }
        Ok(())
    }
}
