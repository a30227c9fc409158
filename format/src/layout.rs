//! Where every file of a disk lies, by path below the vault's folder.
//!
//! Agent, client and rescue ask here, so each path is written down once. Paths have `/` between names and are plain
//! ASCII. Content of the files: `pack`, `parity`, `ledger`, `care`. In full: FORMAT.md, "What lies on a disk".

use crate::Hash;
use crate::ledger::chapter::chapter_of;

/// The vault's folder at the top of a disk.
pub const VAULT_FOLDER: &str = "larder";
/// Identity of the disk and of the vault.
pub const DISK_FILE: &str = "disk.json";
/// A second copy of `disk.json`.
pub const DISK_FILE_COPY: &str = "scrub/disk.json";
/// Layout of `disk.json`.
pub const DISK_VERSION: u16 = 1;
/// Plain words for the finder of the disk.
pub const READ_ME_FILE: &str = "READ-ME-FIRST.txt";
/// Packs and sidecars, in a folder for each first byte of their names.
pub const PACKS: &str = "packs";
/// Ledger entries, in folders of a thousand, and the chapters made from the entries.
pub const LEDGER: &str = "ledger";
/// Unfinished writing. No confirmed data relies on files in here.
pub const OPEN: &str = "open";
/// Damaged files set aside, and records of losses.
pub const QUARANTINE: &str = "quarantine";
/// Made from packs and ledger; safe to delete.
pub const INDEX: &str = "index";
/// The index of names, beside the index; safe to delete.
pub const NAMES: &str = "names";
/// How far the scrub of the disk has come.
pub const SCRUB: &str = "scrub";

/// An agent with the disk open holds a lock on this file.
pub const LOCK: &str = "lock";

/// Unfinished copies, renamed once durable; a name for each kind of file.
pub mod unfinished {
    /// A ledger entry.
    pub const ENTRY: &str = "open/ledger.part";
    /// A chapter of the ledger.
    pub const CHAPTER: &str = "open/chapter.part";
    /// A pack on the way from another disk.
    pub const COPY: &str = "open/copy.part";
    /// A sidecar.
    pub const PARITY: &str = "open/parity.part";
    /// A small file in repair.
    pub const MEND: &str = "open/mend.part";
    /// A record of losses.
    pub const LOSSES: &str = "open/lost.part";
    /// `disk.json` and the copy.
    pub const DISK: &str = "open/disk.part";
    /// Plain words for the finder of the disk.
    pub const READ_ME: &str = "open/readme.part";
    /// How far the scrub has come.
    pub const SCRUB: &str = "open/scrub.part";
    /// Unreadable packs.
    pub const SUSPECTS: &str = "open/suspects.part";
    /// Made and removed at each start: whether the disk can be written to.
    pub const PROBE: &str = "open/probe.part";
}

const PACK: &str = ".pack";
const PARITY: &str = ".parity";
const ENTRY: &str = ".entry";
const CHAPTER: &str = ".chapter";
const PART: &str = ".part";
const MENDED: &str = ".mended";
const LOSSES: &str = ".lost";

/// The folder of a pack and the pack's sidecar.
pub fn pack_folder(name: &Hash) -> String {
    format!("{PACKS}/{:02x}", name.0[0])
}

/// A pack.
pub fn pack(name: &Hash) -> String {
    format!("{}/{name}{PACK}", pack_folder(name))
}

/// The sidecar of a pack.
pub fn parity(name: &Hash) -> String {
    format!("{}/{name}{PARITY}", pack_folder(name))
}

/// Whether a path is the path of a sidecar.
pub fn is_parity(path: &str) -> bool {
    path.ends_with(PARITY)
}

/// An unfinished file, by file name.
pub fn open(file: &str) -> String {
    format!("{OPEN}/{file}")
}

/// A growing pack.
pub fn growing_pack(number: u64) -> String {
    format!("{OPEN}/{number}{PART}")
}

/// The number of the growing pack in the file with this name; none for a name without a number.
pub fn growing_pack_number(file: &str) -> Option<u64> {
    file.strip_suffix(PART)?.parse().ok()
}

/// A repaired pack, until the pack replaces the damaged copy.
pub fn mended_pack(name: &Hash) -> String {
    format!("{OPEN}/{name}{MENDED}")
}

/// The name of the waiting pack in the file with this name.
pub fn mended_pack_name(file: &str) -> Option<Hash> {
    Hash::from_hex(file.strip_suffix(MENDED)?)
}

/// A file set aside, by file name.
pub fn quarantined(file: &str) -> String {
    format!("{QUARANTINE}/{file}")
}

/// The record of the losses with a pack.
pub fn losses(name: &Hash) -> String {
    format!("{QUARANTINE}/{name}{LOSSES}")
}

/// How the name of each set-aside copy of a pack begins: a second copy has a number behind.
pub fn set_aside_pack(name: &Hash) -> String {
    format!("{name}{PACK}")
}

/// The same for the sidecar.
pub fn set_aside_parity(name: &Hash) -> String {
    format!("{name}{PARITY}")
}

/// The same for the records of losses.
pub fn set_aside_losses(name: &Hash) -> String {
    format!("{name}{LOSSES}")
}

/// The name of the set-aside pack in the file with this name.
pub fn set_aside_pack_name(file: &str) -> Option<Hash> {
    Hash::from_hex(file.split_once(PACK)?.0)
}

/// The name of the pack with losses recorded in the file with this name; none for a pack since returned.
pub fn set_aside_losses_name(file: &str) -> Option<Hash> {
    Hash::from_hex(file.split_once(LOSSES)?.0)
}

/// Whether the file with this name records losses, also of a returned pack.
pub fn is_losses(file: &str) -> bool {
    file.contains(LOSSES)
}

/// The name of the record of losses of a returned pack.
pub fn losses_of_pack_that_is_back(name: &Hash) -> String {
    format!("{name}.back{LOSSES}")
}

/// A ledger entry.
pub fn entry(sequence: u64) -> String {
    format!("{LEDGER}/{:06}/{sequence:012}{ENTRY}", chapter_of(sequence))
}

/// A chapter of the ledger.
pub fn chapter(chapter: u64) -> String {
    format!("{LEDGER}/{chapter:06}{CHAPTER}")
}

/// The folder for the entries of a chapter.
pub fn entry_folder(chapter: u64) -> String {
    format!("{LEDGER}/{chapter:06}")
}

/// The name of the pack with this file name.
pub fn pack_name(file: &str) -> Option<Hash> {
    Hash::from_hex(file.strip_suffix(PACK)?)
}

/// The name of the pack with this sidecar name.
pub fn parity_name(file: &str) -> Option<Hash> {
    Hash::from_hex(file.strip_suffix(PARITY)?)
}

/// The number of the entry with this file name, without a folder.
pub fn entry_number(file: &str) -> Option<u64> {
    file.strip_suffix(ENTRY)?.parse().ok()
}

/// The number of the chapter with this file name, without a folder.
pub fn chapter_number(file: &str) -> Option<u64> {
    let number = file.strip_suffix(CHAPTER)?.parse().ok()?;
    // Another spelling of the number is another file.
    (chapter(number).strip_prefix(LEDGER)?.strip_prefix('/') == Some(file)).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_the_name_that_it_was_given() {
        let name = Hash::of(b"a pack");
        let last = |path: String| path.rsplit_once('/').map(|(_, last)| last.to_owned()).unwrap();
        assert_eq!(pack_name(&last(pack(&name))), Some(name));
        assert_eq!(parity_name(&last(parity(&name))), Some(name));
        assert_eq!(pack(&name), format!("packs/{}/{name}.pack", &name.to_string()[..2]));
        for number in [1, 999, 1000, 123_456_789_012_345] {
            assert_eq!(entry_number(&last(entry(number))), Some(number));
            assert_eq!(chapter_number(&last(chapter(number))), Some(number));
        }
        assert_eq!(growing_pack_number(&last(growing_pack(17))), Some(17));
        assert_eq!(mended_pack_name(&last(mended_pack(&name))), Some(name));
        assert_eq!(set_aside_losses_name(&last(losses(&name))), Some(name));
        assert_eq!(set_aside_losses_name(&losses_of_pack_that_is_back(&name)), None);
        assert!(is_losses(&losses_of_pack_that_is_back(&name)) && !is_losses(&last(pack(&name))));
        for begins in [set_aside_pack(&name), format!("{}.2", set_aside_pack(&name))] {
            assert_eq!(set_aside_pack_name(&begins), Some(name));
        }
        assert_eq!(set_aside_pack_name(&set_aside_parity(&name)), None);
        assert!(last(losses(&name)).starts_with(&set_aside_losses(&name)));
        assert_eq!(entry(1_000_001), "ledger/001000/000001000001.entry");
        assert_eq!(chapter(12), "ledger/000012.chapter");
        assert_eq!(chapter_number("12.chapter"), None);
    }
}
