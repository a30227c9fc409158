//! The file with the last use of each key: a line each, the key's hash and milliseconds since 1970.

use super::small_file::{read_small, replace_small};
use larder_format::Hash;
use std::collections::BTreeMap;
use std::path::Path;

const NAME: &str = "key-uses";
/// Ten thousand keys; a planted file must not fill the memory.
const BYTES_MAX: u64 = 1024 * 1024;

/// The last uses; nothing of a line that cannot be read.
pub(crate) fn load(folder: &Path) -> BTreeMap<Hash, i64> {
    let text = read_small(&folder.join(NAME), BYTES_MAX).unwrap_or_default();
    let line = |line: &str| {
        let (key, time_ms) = line.split_once(' ')?;
        Some((Hash::from_hex(key)?, time_ms.parse().ok()?))
    };
    text.lines().filter_map(line).collect()
}

/// Writes the last uses.
pub(crate) fn save(folder: &Path, uses: &BTreeMap<Hash, i64>) {
    let text: String = uses.iter().map(|(key, time_ms)| format!("{key} {time_ms}\n")).collect();
    if let Err(error) = replace_small(&folder.join(NAME), &text) {
        tracing::warn!(%error, "the last uses of keys could not be written down");
    }
}
