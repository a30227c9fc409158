//! What became of the last push of a source that went by itself, for `larder schedule` and for the next push.
//!
//! A file for each source, apart for each appliance. Without the file the next push takes the source for new, and
//! nothing worse happens. Not here: the receipts, by which a changed past is noticed (`settings`).

use crate::{
    ClientError,
    platform::state_folder,
    settings::{home, replace},
};
use jiff::Timestamp;
use larder_trust::PublicKey;
use serde::{Deserialize, Serialize};
use std::{fs, io, path::PathBuf};

/// The end of the last push.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LastPush {
    pub(crate) ended: Timestamp,
    pub(crate) exit_code: u8,
    /// The result in words.
    pub(crate) told: String,
    /// End of the last push that made a snapshot.
    pub(crate) succeeded: Option<Timestamp>,
}

impl LastPush {
    /// Whether it tells of a snapshot, and not of a failure or a wait.
    pub(crate) fn is_good(&self) -> bool {
        matches!(self.exit_code, 0 | 3) && !self.told.starts_with("waits")
    }
}

/// A result of a push that goes by itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PushOutcome<'a> {
    pub(crate) exit_code: u8,
    /// In words.
    pub(crate) told: &'a str,
    /// The moment of a new snapshot.
    pub(crate) succeeded: Option<Timestamp>,
}

/// The last pushes of this computer to one appliance.
pub(crate) struct LastPushes {
    folder: PathBuf,
}

impl LastPushes {
    /// For the appliance with this key: its address changes.
    ///
    /// # Errors
    /// `Usage` when this account has no home.
    pub(crate) fn to(appliance: &PublicKey) -> Result<Self, ClientError> {
        Ok(Self { folder: home(state_folder())?.join("larder/pushes").join(appliance.to_string()) })
    }

    /// The last push of the source with the handle `name` (`settings::handle_of`); nothing at first.
    pub(crate) fn load(&self, name: &str) -> Option<LastPush> {
        serde_json::from_slice(&fs::read(self.path(name)).ok()?).ok()
    }

    /// Remembers a result that ended at `ended`. Without a new snapshot at `succeeded` the moment of the last one stays.
    ///
    /// # Errors
    /// Errors of writing the file.
    pub(crate) fn remember(
        &self,
        name: &str,
        ended: Timestamp,
        PushOutcome { exit_code, told, succeeded }: PushOutcome<'_>,
    ) -> io::Result<()> {
        let succeeded = succeeded.or_else(|| self.load(name)?.succeeded);
        let last = LastPush { ended, exit_code, told: told.to_owned(), succeeded };
        replace(&self.path(name), &serde_json::to_vec_pretty(&last)?)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.json"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_push_comes_back_and_a_broken_file_counts_as_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let pushes = LastPushes { folder: folder.path().join("pushes") };
        assert_eq!(pushes.load("Photos"), None);
        let ended = "2026-12-01T12:30:00Z".parse().expect("a time");
        let last =
            LastPush { ended, exit_code: 3, told: "2 files were skipped".to_owned(), succeeded: Some(ended) };
        let result = PushOutcome { exit_code: 3, told: "2 files were skipped", succeeded: Some(ended) };
        pushes.remember("Photos", ended, result).expect("stored");
        assert_eq!(pushes.load("Photos"), Some(last.clone()));
        let later = "2026-12-02T12:30:00Z".parse().expect("a time");
        let failed = PushOutcome { exit_code: 4, told: "no answer", succeeded: None };
        pushes.remember("Photos", later, failed).expect("stored");
        let after = LastPush { ended: later, exit_code: 4, told: "no answer".to_owned(), ..last };
        assert_eq!(pushes.load("Photos"), Some(after), "the last snapshot stays");
        fs::write(folder.path().join("pushes/Photos.json"), b"{").expect("written");
        assert_eq!(pushes.load("Photos"), None);
    }
}
