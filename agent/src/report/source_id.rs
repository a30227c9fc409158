//! The id of a source where its name cannot stand: topics, entities, addresses.
//!
//! A plain name is its own id, so topics stay as they are. Any other name becomes a few of its letters and a hash of the
//! whole: two sources of one id would overwrite each other on every dashboard.

use larder_format::Hash;
use larder_format::ledger::is_plain_name;

/// Letters of the name in an id.
const LETTERS_MAX: usize = 24;
/// Hex digits of the hash.
const HASH_DIGITS: usize = 16;

/// The id of the source `DEVICE/NAME`; stable, and unique in the vault.
pub(crate) fn source_id(source: &str) -> String {
    let (device, name) = source.split_once('/').unwrap_or(("", source));
    // A topic writes `@` as `_40` and `.` as `_2e`; a name that has these letters itself could look like another.
    let is_mistakable = device.contains("_40") || source.contains("_2e");
    if is_plain_name(device) && is_plain_name(name) && !is_mistakable {
        return format!("{device}@{name}");
    }
    let words: Vec<_> =
        source.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty()).collect();
    let letters: String = words.join("-").chars().take(LETTERS_MAX).collect();
    // No plain name has `~`, and the letters have no `@`.
    format!("{letters}~{}", &Hash::of(source.as_bytes()).to_string()[..HASH_DIGITS])
}

/// First half of the name of a source.
pub(crate) fn device_of(source: &str) -> &str {
    source.split_once('/').map_or("", |(device, _)| device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_name_keeps_its_id_and_any_other_has_one_of_its_own() {
        let check = |source: &str, expect: &str| assert_eq!(source_id(source), expect);
        check("laptop/photos-2024.old", "laptop@photos-2024.old");
        check("laptop/scan_400dpi", "laptop@scan_400dpi");
        let other = source_id("laptop/Meine Böse Dinge");
        assert!(other.starts_with("laptop-Meine-B-se-Dinge~"), "{other}");
        assert_ne!(source_id("laptop/My Files"), source_id("laptop/My-Files"));
        assert_ne!(source_id("laptop/My Files"), source_id("laptop/My  Files"));
        assert!(source_id("laptop/写真").starts_with("laptop~"));
    }
}
