//! The name of the source that a folder is pushed as.
//!
//! A folder's own name, as it is written. Earlier versions put `-` for each letter outside ASCII and each space: a source
//! that began under such a name goes on under that name, or its past would seem to end. Not here: what a name may be
//! (`larder_format::ledger`).

use super::plain::with_unseen;
use crate::{
    ClientError, Connection, PushOptions,
    push::{named_folder, start},
    settings::{former_source_name_for, handle_of, source_name_for},
};
use larder_format::{
    ledger::{composed, is_folder_name, is_visible},
    wire::{Identity, SOURCE_ORIGIN},
};
use std::{collections::HashSet, path::Path};

/// The rule, for whoever typed another name.
const RULE: &str = "a source's name is visible text of at most 255 bytes without a slash, without a character that nobody \
                    sees, and without a space at its ends";

/// A typed name, as the appliance writes it.
pub(super) fn typed_name(name: &str) -> Result<String, ClientError> {
    let composed = composed(name);
    if is_folder_name(&composed) && is_visible(&composed) {
        return Ok(composed);
    }
    Err(ClientError::Usage(format!("\"{}\" cannot be a source's name: {RULE}", with_unseen(name))))
}

/// Refuses folders of one command that would become one source.
pub(super) fn require_different<'a>(names: impl IntoIterator<Item = &'a String>) -> Result<(), ClientError> {
    let mut seen = HashSet::new();
    match names.into_iter().find(|name| !seen.insert(*name)) {
        Some(twice) => Err(ClientError::Usage(format!(
            "two of the folders would become the source \"{twice}\"; push them one by one with --source"
        ))),
        None => Ok(()),
    }
}

/// The name of the source of `folder` at this appliance.
pub(super) fn name_at(
    connection: &Connection,
    identity: &Identity,
    folder: &Path,
) -> Result<String, ClientError> {
    // `.` and `..` have no name of their own.
    let folder = named_folder(folder)?;
    let (name, former) = (source_name_for(&folder), former_source_name_for(&folder));
    if name.as_ref() == Some(&former) || !identity.features.iter().any(|word| word == SOURCE_ORIGIN) {
        return Ok(former);
    }
    let options = PushOptions { features: identity.features.clone(), ..PushOptions::default() };
    let is_known = |name: &str| -> Result<bool, ClientError> {
        let source = format!("{}/{name}", identity.device);
        match start(connection, &source, &folder, &options) {
            // Beyond the share of sources a new name is refused, and a former one goes on.
            Err(refused) if refused.has_code("other_folder") || refused.has_code("too_many_sources") => {
                Ok(false)
            }
            found => Ok(found?.is_some_and(|welcome| welcome.snapshots > 0)),
        }
    };
    if let Some(name) = &name
        && is_known(name)?
    {
        return Ok(name.clone());
    }
    if is_known(&former)? {
        return Ok(former);
    }
    name.ok_or_else(|| {
        let name = with_unseen(&folder.display().to_string());
        ClientError::Usage(format!(
            "the folder {name} needs another name for its source, with --source NAME: {RULE}"
        ))
    })
}

/// The handle of what this computer keeps for the source of `folder`. It asks no appliance, so it may differ from the
/// source's name there.
pub(super) fn handle_for(typed: Option<&str>, folder: &Path) -> String {
    let name = typed.map(str::to_owned).or_else(|| source_name_for(folder));
    handle_of(&name.unwrap_or_else(|| former_source_name_for(folder)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typed_name_is_taken_as_written_or_refused_with_the_rule() {
        for good in ["photos", "My Files", "Böse", "写真", "a@b"] {
            assert_eq!(typed_name(good).unwrap(), good);
        }
        assert_eq!(typed_name("Bo\u{308}se").unwrap(), "B\u{f6}se");
        for bad in ["", "..", "a/b", " a", "a\u{202e}b", "a\n", "pho\u{ad}tos", "a\u{3164}"] {
            let refused = typed_name(bad).unwrap_err();
            assert_eq!(refused.exit_code(), 2);
            assert!(is_visible(&refused.to_string()), "a name without fault is shown: {refused:?}");
            assert!(!refused.to_string().chars().any(char::is_control), "{refused}");
        }
    }

    #[test]
    fn two_folders_of_one_name_are_not_one_source() {
        let names = ["a", "b", "a"].map(str::to_owned);
        assert!(require_different(&names[..2]).is_ok());
        assert!(require_different(&names).unwrap_err().to_string().contains("\"a\""));
    }
}
