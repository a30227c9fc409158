//! Asking the running agent over its local socket.

use super::which::{Which, settings_of};
use super::words::Trouble;
use crate::edge::control::{self, ControlError};
use crate::edge::disks::FOLDER;
use larder_firmware_config::Settings;
use std::path::PathBuf;

/// Asks once.
pub(super) fn ask<T: serde::de::DeserializeOwned>(
    which: &Which,
    path: &str,
    body: Option<serde_json::Value>,
) -> Result<T, Trouble> {
    let folders = folders(&settings_of(which)?);
    on_runtime(async { Ok(control::ask(&folders, path, body).await?) })
}

/// The same; none where no agent runs and the backups are here, so that the command itself can do the work.
pub(super) fn ask_if_running<T: serde::de::DeserializeOwned>(
    which: &Which,
    path: &str,
    body: Option<serde_json::Value>,
) -> Result<Option<T>, Trouble> {
    let folders = folders(&settings_of(which)?);
    let has_vault = || folders.iter().any(|path| path.join(FOLDER).exists());
    match on_runtime(async { Ok(control::ask(&folders, path, body).await) })? {
        Err(ControlError::NotRunning(_)) if has_vault() => Ok(None),
        answer => Ok(Some(answer?)),
    }
}

/// Asks the running agent until `go_on` says no.
pub(super) fn ask_while<T: serde::de::DeserializeOwned>(
    which: &Which,
    path: &str,
    go_on: impl FnMut(&T) -> bool,
) -> Result<T, Trouble> {
    let folders = folders(&settings_of(which)?);
    on_runtime(async { Ok(control::ask_while(&folders, path, go_on).await?) })
}

/// Where the running agent may have a socket.
fn folders(settings: &Settings) -> Vec<PathBuf> {
    [&settings.vault.disks[..], &settings.vault.offsite].concat()
}

/// Runs asynchronous work to its end.
pub(super) fn on_runtime<T>(work: impl Future<Output = Result<T, Trouble>>) -> Result<T, Trouble> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        // Each blocked thread keeps a stack and a malloc arena; uploads and restores are bounded well below this.
        .max_blocking_threads(16)
        .enable_all()
        .build()
        .map_err(|error| {
            Trouble::new(1, "The agent could not start its threads.", "Restart the appliance.", error)
        })?;
    runtime.block_on(work)
}
