//! Asking the running agent over its local socket.

use super::output::hint;
use super::which::{Which, agent_of};
use super::words::Trouble;
use crate::edge::control::{self, ControlError};
use crate::edge::disks::FOLDER;
use crate::phrase::causes;
use larder_firmware_config::Settings;
use std::time::Duration;

/// After this, whoever waits wants to know for what.
const SILENCE_MAX: Duration = Duration::from_secs(2);
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// Asks once.
pub(super) fn ask<T: serde::de::DeserializeOwned>(
    which: &Which,
    path: &str,
    body: Option<serde_json::Value>,
) -> Result<T, Trouble> {
    let (settings, folders) = agent_of(which)?;
    on_runtime(async {
        told_that_it_takes(control::ask(&folders, path, body))
            .await
            .map_err(|error| unanswered(error, &settings))
    })
}

/// The same; none where no agent runs and the backups are here, so that the command itself can do the work.
pub(super) fn ask_if_running<T: serde::de::DeserializeOwned>(
    which: &Which,
    path: &str,
    body: Option<serde_json::Value>,
) -> Result<Option<T>, Trouble> {
    let (settings, folders) = agent_of(which)?;
    match on_runtime(async { Ok(told_that_it_takes(control::ask(&folders, path, body)).await) })? {
        Err(ControlError::NotRunning(_)) if is_any_disk_here(&settings) => Ok(None),
        answer => answer.map(Some).map_err(|error| unanswered(error, &settings)),
    }
}

/// Asks the running agent until `go_on` says no.
pub(super) fn ask_while<T: serde::de::DeserializeOwned>(
    which: &Which,
    path: &str,
    go_on: impl FnMut(&T) -> bool,
) -> Result<T, Trouble> {
    let (settings, folders) = agent_of(which)?;
    on_runtime(async {
        control::ask_while(&folders, path, go_on).await.map_err(|error| unanswered(error, &settings))
    })
}

/// Says now and then that the answer is still to come: to let go of a disk that is being filled takes minutes.
async fn told_that_it_takes<T>(answer: impl Future<Output = T>) -> T {
    let mut answer = std::pin::pin!(answer);
    let mut wait = SILENCE_MAX;
    loop {
        match tokio::time::timeout(wait, &mut answer).await {
            Ok(answer) => return answer,
            Err(_) => hint("The agent is at work on it. Ctrl-C ends the waiting, and not the work."),
        }
        wait = TOLD_EVERY;
    }
}

fn is_any_disk_here(settings: &Settings) -> bool {
    let vault = &settings.vault;
    vault.disks.iter().chain(&vault.offsite).any(|path| path.join(FOLDER).exists())
}

/// The missing answer in words. An agent that was started by hand can be spoken to over its disks alone, so with the disks
/// away nobody knows whether the agent runs.
fn unanswered(error: ControlError, settings: &Settings) -> Trouble {
    match error {
        ControlError::NotRunning(_) if !is_any_disk_here(settings) => {
            let paths: Vec<_> = settings.vault.disks.iter().map(|path| path.display().to_string()).collect();
            let what = format!("No agent answers, and no backup disk is connected at {}.", paths.join(", "));
            let remedy = "Connect the disk; then start the agent with `sudo systemctl start larderd` or `larderd run` if it \
                          does not run, or name the settings that it uses with --config FILE.";
            Trouble::new(4, what, remedy, causes(&error))
        }
        error => error.into(),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_takes_long_comes_all_the_same() {
        let answer = async {
            tokio::time::sleep(Duration::from_secs(200)).await;
            7
        };
        assert_eq!(told_that_it_takes(answer).await, 7);
    }
}
