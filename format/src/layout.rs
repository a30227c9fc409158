//! Where every file of a disk lies, by its path below the vault's folder.
//!
//! Agent, client and rescue ask here, so that a path is written down once. Paths have `/` between names and are plain
//! ASCII. What the files hold: `pack`, `parity`, `ledger`, `care`. In full: FORMAT.md, "What lies on a disk".

use crate::Hash;
use crate::ledger::chapter::chapter_of;

/// The vault's folder at the top of a disk.
pub const VAULT_FOLDER: &str = "larder";
/// Which disk of which vault this is.
pub const DISK_FILE: &str = "disk.json";
/// A second copy of the same.
pub const DISK_FILE_COPY: &str = "scrub/disk.json";
/// Layout of `disk.json`.
pub const DISK_VERSION: u16 = 1;
/// Plain words for whoever finds the disk.
pub const READ_ME_FILE: &str = "READ-ME-FIRST.txt";
/// Packs and their sidecars, in one folder for each first byte of their names.
pub const PACKS: &str = "packs";
/// Ledger entries, in folders of a thousand, and the chapters that are made of them.
pub const LEDGER: &str = "ledger";
/// Unfinished writing. Nothing confirmed relies on anything in here.
pub const OPEN: &str = "open";
/// Damaged files that were set aside, and records of what was lost.
pub const QUARANTINE: &str = "quarantine";
/// Made from packs and ledger; safe to delete.
pub const INDEX: &str = "index";
/// How far the scrub of the disk has come.
pub const SCRUB: &str = "scrub";

/// An agent that has the disk open holds a lock on this file.
pub const LOCK: &str = "lock";

/// Unfinished copies of what gets its name once it is durable, one for each kind of file.
pub mod unfinished {
    /// A ledger entry.
    pub const ENTRY: &str = "open/ledger.part";
    /// A chapter of the ledger.
    pub const CHAPTER: &str = "open/chapter.part";
    /// A pack on its way from another disk.
    pub const COPY: &str = "open/copy.part";
    /// A sidecar.
    pub const PARITY: &str = "open/parity.part";
    /// A small file that is repaired.
    pub const MEND: &str = "open/mend.part";
    /// A record of losses.
    pub const LOSSES: &str = "open/lost.part";
    /// `disk.json` and its copy.
    pub const DISK: &str = "open/disk.part";
    /// Plain words for whoever finds the disk.
    pub const READ_ME: &str = "open/readme.part";
    /// How far the scrub has come.
    pub const SCRUB: &str = "open/scrub.part";
    /// Packs that could not be read.
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

/// The folder of a pack and of what lies beside it.
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

/// Anything unfinished, by the name of its file.
pub fn open(file: &str) -> String {
    format!("{OPEN}/{file}")
}

/// A pack that grows.
pub fn growing_pack(number: u64) -> String {
    format!("{OPEN}/{number}{PART}")
}

/// The number of the pack that grows in the file with this name; none for a name without a number.
pub fn growing_pack_number(file: &str) -> Option<u64> {
    file.strip_suffix(PART)?.parse().ok()
}

/// A pack that was made whole again, until it takes the place of the damaged one.
pub fn mended_pack(name: &Hash) -> String {
    format!("{OPEN}/{name}{MENDED}")
}

/// The name of the pack that waits in the file with this name.
pub fn mended_pack_name(file: &str) -> Option<Hash> {
    Hash::from_hex(file.strip_suffix(MENDED)?)
}

/// What was set aside, by the name of its file.
pub fn quarantined(file: &str) -> String {
    format!("{QUARANTINE}/{file}")
}

/// The record of what was lost with a pack.
pub fn losses(name: &Hash) -> String {
    format!("{QUARANTINE}/{name}{LOSSES}")
}

/// How the names of all copies of a pack begin that were set aside: a second one has a number behind it.
pub fn set_aside_pack(name: &Hash) -> String {
    format!("{name}{PACK}")
}

/// The same of its sidecar.
pub fn set_aside_parity(name: &Hash) -> String {
    format!("{name}{PARITY}")
}

/// The same of the records of what was lost with it.
pub fn set_aside_losses(name: &Hash) -> String {
    format!("{name}{LOSSES}")
}

/// The name of the pack that was set aside in the file with this name.
pub fn set_aside_pack_name(file: &str) -> Option<Hash> {
    Hash::from_hex(file.split_once(PACK)?.0)
}

/// The name of the pack whose losses the file with this name records; none for a record of a pack that is back.
pub fn set_aside_losses_name(file: &str) -> Option<Hash> {
    Hash::from_hex(file.split_once(LOSSES)?.0)
}

/// Whether the file with this name records losses, of a pack that is back too.
pub fn is_losses(file: &str) -> bool {
    file.contains(LOSSES)
}

/// The name of the record of losses of a pack that is back.
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

/// The folder that holds the entries of a chapter.
pub fn entry_folder(chapter: u64) -> String {
    format!("{LEDGER}/{chapter:06}")
}

/// The name of the pack whose file is called so.
pub fn pack_name(file: &str) -> Option<Hash> {
    Hash::from_hex(file.strip_suffix(PACK)?)
}

/// The name of the pack whose sidecar is called so.
pub fn parity_name(file: &str) -> Option<Hash> {
    Hash::from_hex(file.strip_suffix(PARITY)?)
}

/// The number of the entry whose file is called so, without its folder.
pub fn entry_number(file: &str) -> Option<u64> {
    file.strip_suffix(ENTRY)?.parse().ok()
}

/// The number of the chapter whose file is called so, without its folder.
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
