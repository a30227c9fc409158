//! What each command of `larderd` does and prints.

use super::cli::Which;
use super::output::say;
use super::words::Trouble;
use crate::edge::control::{self, ControlError};
use crate::edge::disks::FOLDER;
use crate::edge::panel::{self, Panel};
use crate::report::Answers;
use crate::run;
use larder_firmware_config::{LogFormat, LogSettings, Mistake, Settings};
use larder_format::ledger::is_source_name;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The settings of the installed service, as `systemd/larderd.service` names them.
const SERVICE_SETTINGS: &str = "/etc/larder/larder.toml";

pub(crate) fn run(config: Option<&Path>) -> Result<ExitCode, Trouble> {
    let settings = settings(config)?;
    start_log(&settings.log);
    let panel = Panel::open(&settings.panel, &panel::compatible());
    if let Some(trouble) = panel.trouble() {
        tracing::warn!("{trouble}");
    }
    on_runtime(async {
        // Before anything is opened, so that no signal can slip through and leave the end undone.
        let stop = stop_requested()?;
        let running = run::start(settings, panel).await?;
        tracing::info!(address = %running.address, broker = ?running.broker, "serving");
        stop.await;
        tracing::info!("stopping");
        running.stop().await;
        Ok(ExitCode::SUCCESS)
    })
}

#[cfg(feature = "demo")]
pub(crate) fn demo(folder: Option<PathBuf>, once: bool) -> Result<ExitCode, Trouble> {
    on_runtime(async { crate::jobs::demo::tell(folder, once, stop_requested()?).await })
}

pub(crate) fn check_config(file: &Path) -> Result<ExitCode, Trouble> {
    read_settings(file)?;
    say(format_args!("{} is fine.", file.display()))?;
    Ok(ExitCode::SUCCESS)
}

#[derive(Deserialize)]
struct SourceAnswers {
    source: String,
    answers: Answers,
}

pub(crate) fn answers(which: &Which, source: Option<&str>, json: bool) -> Result<ExitCode, Trouble> {
    // It goes into an address, where other characters would mean something else.
    if let Some(source) = source.filter(|source| !is_source_name(source)) {
        let what = format!("`{source}` is no source: a source is named DEVICE/NAME.");
        return Err(Trouble::new(2, what, "`larderd answers` without a name answers for all of them.", ""));
    }
    let path =
        source.map_or_else(|| "/v1/answers".to_owned(), |source| format!("/v1/answers?source={source}"));
    let value: serde_json::Value = ask(which, &path, None)?;
    if json {
        say(&value)?;
        return Ok(ExitCode::SUCCESS);
    }
    let all: Vec<SourceAnswers> =
        serde_json::from_value(value).map_err(|error| ControlError::Broken(error.to_string()))?;
    if all.is_empty() {
        say("No computer has made a backup yet, so there is nothing to answer.")?;
    }
    for SourceAnswers { source, answers } in &all {
        print_answers(source, answers)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The four questions and their answers, for people. `larder answers` asks them in the same words.
pub(crate) fn print_answers(source: &str, answers: &Answers) -> Result<(), Trouble> {
    say(source)?;
    for (question, answer) in [
        ("Can I restore deleted files?", &answers.deleted_files),
        ("Can I recover older versions?", &answers.older_versions),
        ("How long are versions kept?", &answers.kept_how_long),
        ("What happens if a bad edit reaches every device?", &answers.bad_edit),
    ] {
        say(format_args!("  {question}\n    {answer}"))?;
    }
    Ok(())
}

/// Asks the running agent; without one, does it here.
pub(crate) fn rebuild_index(which: &Which, json: bool) -> Result<ExitCode, Trouble> {
    let path = "/v1/control/rebuild-index";
    let seconds = match ask_if_running::<serde_json::Value>(which, path, Some(serde_json::json!({})))? {
        Some(value) => value["seconds"].as_f64().unwrap_or(0.0),
        None => {
            let started = std::time::Instant::now();
            let vault = crate::opening::open_vault(&settings_of(which)?).map_err(Trouble::from)?.vault;
            vault.rebuild_index();
            started.elapsed().as_secs_f64()
        }
    };
    if json {
        say(serde_json::json!({ "seconds": seconds }))?;
    } else {
        say(format_args!("The index was made anew in {seconds:.1} s. No backup was touched."))?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn lamp_off(which: &Which) -> Result<ExitCode, Trouble> {
    let settings = settings_of(which)?;
    Panel::open(&settings.panel, &panel::compatible()).off();
    Ok(ExitCode::SUCCESS)
}

pub(super) fn ask<T: serde::de::DeserializeOwned>(
    which: &Which,
    path: &str,
    body: Option<serde_json::Value>,
) -> Result<T, Trouble> {
    let folders = folders(&settings_of(which)?);
    on_runtime(async { Ok(control::ask(&folders, path, body).await?) })
}

/// The same; nothing where no agent runs and the backups are here, so that the command itself can do it.
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

/// The settings of the agent that a command speaks to.
pub(super) fn settings_of(which: &Which) -> Result<Settings, Trouble> {
    settings(settings_file(which.config.as_deref(), Path::exists))
}

/// The file with them. Where none is named it is that of the service, or each command that a message recommends would fail
/// on an installed box; unless an agent runs in this folder, which then has the defaults.
fn settings_file(named: Option<&Path>, is_there: impl Fn(&Path) -> bool) -> Option<&Path> {
    let of_service = Path::new(SERVICE_SETTINGS);
    let runs_here =
        || Settings::default().vault.disks.iter().any(|disk| is_there(&control::socket_path(disk)));
    named.or_else(|| Some(of_service).filter(|file| is_there(file) && !runs_here()))
}

fn settings(config: Option<&Path>) -> Result<Settings, Trouble> {
    config.map_or_else(|| Ok(Settings::default()), read_settings)
}

fn read_settings(file: &Path) -> Result<Settings, Trouble> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        let what = format!("The settings file {} cannot be read.", file.display());
        Trouble::new(2, what, "Check the name, and that larderd may read it.", error)
    })?;
    Settings::from_toml(&text).map_err(|mistakes| {
        let list: Vec<_> = mistakes.iter().map(Mistake::to_string).collect();
        let count =
            if mistakes.len() == 1 { "a mistake".to_owned() } else { format!("{} mistakes", mistakes.len()) };
        let what = format!("The settings file {} has {count}:\n  {}", file.display(), list.join("\n  "));
        // 2, so that the service manager does not start it again and again with the same mistakes.
        Trouble::new(
            2,
            what,
            "Correct the lines named above; `larderd check-config FILE` tells when all is well.",
            "",
        )
    })
}

fn start_log(settings: &LogSettings) {
    let level = settings.level.as_str();
    // sled tells at `info` what nobody can use, and rmqtt greets each connection.
    let filter = tracing_subscriber::EnvFilter::new(format!("{level},sled=warn,rmqtt=warn,pagecache=warn"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Whoever read the log may be gone; saying so on the same output would end the agent.
    let log = log.log_internal_errors(false);
    match settings.format {
        LogFormat::Json => log.json().init(),
        LogFormat::Text => log.with_target(false).init(),
    }
}

fn on_runtime<T>(work: impl Future<Output = Result<T, Trouble>>) -> Result<T, Trouble> {
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

/// Ends with the first SIGTERM or SIGINT.
fn stop_requested() -> Result<impl Future<Output = ()>, Trouble> {
    use tokio::signal::unix::{SignalKind, signal};
    let trouble = |error| {
        Trouble::new(1, "The agent cannot listen for the signal to stop.", "Restart the appliance.", error)
    };
    let mut terminate = signal(SignalKind::terminate()).map_err(trouble)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(trouble)?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_finds_the_agent_that_is_installed() {
        let socket = "larder-data/disk/control.sock";
        let check = |named: Option<&str>, there: &[&str], expect: Option<&str>| {
            let found = settings_file(named.map(Path::new), |path| {
                there.iter().any(|known| path == Path::new(known))
            });
            assert_eq!(found, expect.map(Path::new), "{named:?} {there:?}");
        };
        check(None, &[SERVICE_SETTINGS], Some(SERVICE_SETTINGS));
        check(None, &[SERVICE_SETTINGS, socket], None);
        check(None, &[socket], None);
        check(None, &[], None);
        check(Some("my.toml"), &[SERVICE_SETTINGS, socket], Some("my.toml"));
    }
}
