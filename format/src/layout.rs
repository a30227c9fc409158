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

const PACK: &str = ".pack";
const PARITY: &str = ".parity";
const ENTRY: &str = ".entry";
const CHAPTER: &str = ".chapter";

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
        assert_eq!(entry(1_000_001), "ledger/001000/000001000001.entry");
        assert_eq!(chapter(12), "ledger/000012.chapter");
        assert_eq!(chapter_number("12.chapter"), None);
    }
}
