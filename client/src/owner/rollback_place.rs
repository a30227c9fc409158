//! Which folder a roll-back is about, and under which source its present is backed up.
//!
//! A roll-back removes files, so it goes by what the snapshots say of their folder, never by a guess: another computer's
//! folder is refused with both named, and so is a folder in whose place a symlink stands now. Not here: the roll-back
//! itself (`rolling_back`).

use super::source_name::name_at;
use crate::{
    ClientError, Connection,
    link::questions,
    platform::path_of_bytes,
    push::{named_folder, origin},
};
use larder_format::wire::{Identity, Origin, SnapshotInfo, unescape_name};
use std::path::{Path, PathBuf};

/// The folder that becomes what it was.
///
/// # Errors
/// `WrongKind` for a folder of another computer; `NotThere` where there is no such folder.
pub(super) fn folder_of(newest: &SnapshotInfo, to: Option<&Path>) -> Result<PathBuf, ClientError> {
    if let Some(to) = to {
        return named_folder(to);
    }
    let Some(origin) = &newest.origin else {
        return Err(ClientError::NotThere {
            what: format!("The backups of {} do not say which folder they are of.", newest.source),
            remedy: "Name the folder that is to become what it was: --to DIR.",
        });
    };
    let path = path_here(newest, origin)?;
    let found = named_folder(&path).map_err(|trouble| match trouble {
        ClientError::NotThere { .. } => ClientError::NotThere {
            what: format!("There is no folder {} any more.", path.display()),
            remedy: "`larder restore SOURCE@WHEN --to DIR` makes it anew, or name the folder with --to if it has moved.",
        },
        other => other,
    })?;
    if found != path {
        return Err(ClientError::WrongKind {
            what: format!("Where {} was, there is a link to {} now.", path.display(), found.display()),
            remedy: "If that is the folder that is to become what it was, name it with --to DIR.",
        });
    }
    Ok(path)
}

/// The path of the source's folder, if the folder is on this computer.
fn path_here(newest: &SnapshotInfo, of: &Origin) -> Result<PathBuf, ClientError> {
    let bytes = unescape_name(&of.path);
    let path = bytes.map(|bytes| path_of_bytes(&bytes).into_owned()).unwrap_or_default();
    let here = origin(&path);
    if here.as_ref().is_some_and(|here| here.is_same_folder(of)) && path.is_absolute() {
        return Ok(path);
    }
    let computer = here.map(|here| here.computer).unwrap_or_default();
    Err(ClientError::WrongKind {
        what: format!("{} is the folder {}, and this computer is {computer}.", newest.source, of.in_words()),
        remedy: "Run it on that computer, or name a folder of this one that is to become what it was: --to DIR.",
    })
}

/// The source that the present of `folder` is backed up as: the source itself where the folder is its own, otherwise a
/// source of this computer that is this folder, or a new one.
///
/// # Errors
/// Errors of the questions.
pub(super) fn present_source(
    connection: &Connection,
    identity: &Identity,
    newest: &SnapshotInfo,
    folder: &Path,
) -> Result<String, ClientError> {
    let here = origin(folder);
    let is_here = |of: &SnapshotInfo| match (&of.origin, &here) {
        (Some(of), Some(here)) => of.is_same_folder(here),
        _ => false,
    };
    let is_own = |source: &str| source.split_once('/').is_some_and(|(device, _)| device == identity.device);
    if is_own(&newest.source) && is_here(newest) {
        return Ok(newest.source.clone());
    }
    let sources = questions::sources(connection)?;
    if let Some(known) = sources.iter().find(|known| is_own(&known.source) && is_here(&known.newest)) {
        return Ok(known.source.clone());
    }
    Ok(format!("{}/{}", identity.device, name_at(connection, identity, folder)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(origin: Option<Origin>) -> SnapshotInfo {
        let root = larder_format::ChunkRef::to(b"");
        SnapshotInfo {
            label: None,
            source: "laptop/docs".into(),
            snapshot: 7,
            time: String::new(),
            root,
            totals: Default::default(),
            skipped: 0,
            reasons: vec![],
            kept_until: None,
            set_aside: None,
            damaged: false,
            origin,
        }
    }

    #[test]
    fn only_a_folder_of_this_computer_is_found_without_a_word() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().canonicalize().unwrap().join("docs");
        std::fs::create_dir(&folder).unwrap();
        let own = origin(&folder).unwrap();
        assert_eq!(folder_of(&snapshot(Some(own.clone())), None).unwrap(), folder);
        let other = Origin { computer: "somebody-elses".into(), ..own.clone() };
        let refused = folder_of(&snapshot(Some(other.clone())), None).unwrap_err();
        assert_eq!(refused.exit_code(), 2);
        assert!(
            refused.to_string().contains("somebody-elses") && refused.to_string().contains(&own.computer)
        );
        assert_eq!(folder_of(&snapshot(Some(other)), Some(&folder)).unwrap(), folder);
        assert_eq!(folder_of(&snapshot(None), None).unwrap_err().exit_code(), 1);
        std::fs::rename(&folder, place.path().join("elsewhere")).unwrap();
        assert_eq!(folder_of(&snapshot(Some(own.clone())), None).unwrap_err().exit_code(), 1);
        let elsewhere = place.path().join("elsewhere");
        let opened = crate::platform::OpenFolder::open(place.path()).unwrap();
        let link = larder_format::tree::Kind::Symlink(elsewhere.into_os_string().into_encoded_bytes());
        opened.as_ref().make_other(folder.file_name().unwrap().as_encoded_bytes(), &link).unwrap();
        let refused = folder_of(&snapshot(Some(own)), None).unwrap_err();
        assert!(refused.to_string().contains("elsewhere"), "{refused}");
    }
}
