//! The scheduled pushes of this account: a file for each, which the owner may read.

use super::{PowerWish, PushTimes, ScheduledStart};
use crate::{
    ClientError,
    platform::config_folder,
    settings::{home, replace},
};
use larder_format::ledger::is_plain_name;
use serde::{Deserialize, Serialize};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// A folder that is pushed at times, or watched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScheduledPush {
    /// The handle of the source (`settings::handle_of`); also the name of the file and of the timer.
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
    /// As typed after `--every`; none for a folder that is watched.
    pub(crate) every: Option<String>,
    /// As typed after `--at`.
    pub(crate) at: Option<String>,
    pub(crate) on_battery: bool,
    pub(crate) on_metered: bool,
    /// The pairing to use.
    pub(crate) pairing: PathBuf,
    /// Words after `larder push`.
    pub(crate) push: Vec<String>,
}

impl ScheduledPush {
    /// When the push runs.
    ///
    /// # Errors
    /// `Usage` where the file was changed by hand and cannot be understood.
    pub(crate) fn start(&self) -> Result<ScheduledStart, ClientError> {
        let Some(every) = &self.every else { return Ok(ScheduledStart::Watching) };
        let wrong = |why| ClientError::Usage(format!("in the schedule of {}, {why}", self.folder.display()));
        let at = self.at.as_deref().map(str::parse).transpose().map_err(wrong)?;
        Ok(ScheduledStart::At(PushTimes { every: every.parse().map_err(wrong)?, at }))
    }

    /// Whether the push waits for the mains.
    pub(crate) fn power(&self) -> PowerWish {
        if self.on_battery { PowerWish::Any } else { PowerWish::Mains }
    }
}

/// All scheduled pushes of this account.
pub(crate) struct ScheduledPushes {
    folder: PathBuf,
}

impl ScheduledPushes {
    /// Of this account.
    ///
    /// # Errors
    /// `Usage` when this account has no home.
    pub(crate) fn of_account() -> Result<Self, ClientError> {
        Ok(Self { folder: home(config_folder())?.join("larder/schedule") })
    }

    /// Every scheduled push, by name.
    ///
    /// # Errors
    /// `Local` where a file cannot be read.
    pub(crate) fn all(&self) -> Result<Vec<ScheduledPush>, ClientError> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(ClientError::local("reading the schedule", &self.folder, error)),
        };
        let mut names: Vec<String> = entries
            .flatten()
            .filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".toml")?.to_owned()))
            .filter(|name| is_plain_name(name))
            .collect();
        names.sort_unstable();
        names.iter().filter_map(|name| self.load(name).transpose()).collect()
    }

    /// The push called `name`, if there is one.
    ///
    /// # Errors
    /// `Local` where the file cannot be read.
    pub(crate) fn load(&self, name: &str) -> Result<Option<ScheduledPush>, ClientError> {
        // The name becomes a part of a path.
        if !is_plain_name(name) {
            return Ok(None);
        }
        let path = self.path(name);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(ClientError::local("reading the schedule", &path, error)),
        };
        let scheduled = toml::from_str(&text);
        let wrong = |error: toml::de::Error| io::Error::other(error.message().to_owned());
        scheduled.map(Some).map_err(|error| ClientError::local("reading the schedule", &path, wrong(error)))
    }

    /// Adds a push, or changes the push of this name.
    ///
    /// # Errors
    /// `Local`.
    pub(crate) fn store(&self, scheduled: &ScheduledPush) -> Result<(), ClientError> {
        let path = self.path(&scheduled.name);
        let text = toml::to_string_pretty(scheduled).map_err(io::Error::other);
        text.and_then(|text| replace(&path, text.as_bytes()))
            .map_err(|error| ClientError::local("writing the schedule", &path, error))
    }

    /// Forgets the push called `name`.
    ///
    /// # Errors
    /// `Local`.
    pub(crate) fn remove(&self, name: &str) -> Result<(), ClientError> {
        let path = self.path(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(ClientError::local("removing the schedule", &path, error))
            }
            _ => Ok(()),
        }
    }

    /// Whether any push of this folder is scheduled.
    pub(crate) fn has_folder(&self, folder: &Path) -> bool {
        self.all().is_ok_and(|all| all.iter().any(|scheduled| scheduled.folder == folder))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.toml"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn photos() -> ScheduledPush {
        ScheduledPush {
            name: "Photos".to_owned(),
            folder: "/home/ada/My Photos".into(),
            every: Some("daily".to_owned()),
            at: Some("12:30".to_owned()),
            on_battery: false,
            on_metered: true,
            pairing: "/home/ada/.config/larder/appliance.toml".into(),
            push: vec!["--exclude=*.tmp".to_owned(), "--before=echo \"a\nb\"".to_owned()],
        }
    }

    #[test]
    fn what_was_scheduled_comes_back_and_goes() {
        let folder = tempfile::tempdir().expect("a folder");
        let pushes = ScheduledPushes { folder: folder.path().join("schedule") };
        assert_eq!(pushes.all().expect("none yet"), []);
        pushes.store(&photos()).expect("stored");
        // Files of others are left alone.
        fs::write(folder.path().join("schedule/notes.txt"), b"mine").expect("written");
        assert_eq!(pushes.all().expect("read"), [photos()]);
        assert!(pushes.has_folder(Path::new("/home/ada/My Photos")));
        assert_eq!(pushes.load("../schedule/Photos").expect("no name"), None);
        assert_eq!(photos().start().expect("understood").in_words(), "daily at 12:30");
        let watched = ScheduledPush { every: None, at: None, ..photos() };
        assert_eq!(watched.start().expect("understood"), ScheduledStart::Watching);
        pushes.remove("Photos").expect("removed");
        pushes.remove("Photos").expect("gone already");
        assert!(!pushes.has_folder(Path::new("/home/ada/My Photos")));
    }

    #[test]
    fn a_file_that_was_changed_by_hand_is_told_by_its_mistake() {
        let folder = tempfile::tempdir().expect("a folder");
        let pushes = ScheduledPushes { folder: folder.path().to_owned() };
        fs::write(folder.path().join("Photos.toml"), b"every = \"daily\"\n").expect("written");
        let told = pushes.all().expect_err("incomplete").to_string();
        assert!(told.contains("Photos.toml") && told.contains("missing field"), "{told}");
        let wrong = ScheduledPush { every: Some("5h".to_owned()), ..photos() };
        assert!(wrong.start().expect_err("no such span").to_string().contains("My Photos"));
    }
}
