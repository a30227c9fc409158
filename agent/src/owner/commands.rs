//! The work and the output of each command of `larderd`.

use super::asking::{ask_if_running, on_runtime};
use super::output::{hint, say};
use super::which::{Which, checked_settings, settings, settings_of};
use super::words::Trouble;
use crate::edge::dashboard::unguarded_password;
use crate::edge::panel::{self, Panel};
use crate::run;
use larder_firmware_config::{LogFormat, LogSettings};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Open files: some 900 for all places of connections, the rest for disks, index and requests.
const OPEN_FILES: u64 = 4096;

pub(crate) fn run(config: Option<&Path>) -> Result<ExitCode, Trouble> {
    let settings = settings(config)?;
    start_log(&settings.log);
    // Backups hold everything a family has. The service's unit says the same; an agent started by hand would let every user
    // of the box read along.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    raise_open_files();
    let panel = Panel::open(&settings.panel, &panel::compatible());
    if let Some(trouble) = panel.trouble() {
        tracing::warn!("{trouble}");
    }
    on_runtime(async {
        // Before the first disk is opened, so that no signal can slip through and leave the end undone.
        let stop = stop_requested()?;
        let running = run::start(settings, panel).await?;
        let broker = running.broker.map_or_else(|| "none of our own".to_owned(), |broker| broker.to_string());
        tracing::info!(address = %running.address, broker, "serving");
        stop.await;
        tracing::info!("stopping");
        running.stop().await;
        Ok(ExitCode::SUCCESS)
    })
}

/// Most systems start a program with 1,024 open files; with every place for connections taken, packs could not be opened.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.unwrap_or(u64::MAX).min(OPEN_FILES);
    if limit.current.is_some_and(|current| current < wanted) {
        // Refused: then connections wait at the door sooner.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum });
    }
}

#[cfg(feature = "demo")]
pub(crate) fn demo(folder: Option<PathBuf>, once: bool) -> Result<ExitCode, Trouble> {
    on_runtime(async { super::demo::tell(folder, once, stop_requested()?).await })
}

pub(crate) fn check_config(file: &Path) -> Result<ExitCode, Trouble> {
    let settings = checked_settings(file)?;
    if let Some(what) = unguarded_password(&settings.mqtt) {
        hint(&what);
    }
    say(format_args!("{} is fine.", file.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// Asks the running agent; without an agent, does the work here.
pub(crate) fn rebuild_index(which: &Which, json: bool) -> Result<ExitCode, Trouble> {
    let path = "/v1/control/rebuild-index";
    let seconds = match ask_if_running::<serde_json::Value>(which, path, Some(serde_json::json!({})))? {
        Some(value) => value["seconds"].as_f64().unwrap_or(0.0),
        None => {
            if !json {
                hint("No agent runs, so the index is made anew here: the list of every pack is read.");
            }
            let started = std::time::Instant::now();
            let vault = crate::state::opening::open_vault(&settings_of(which)?).map_err(Trouble::from)?.vault;
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

fn start_log(settings: &LogSettings) {
    let level = settings.level.as_str();
    // sled logs useless lines at `info`, and rmqtt greets each connection.
    let filter = tracing_subscriber::EnvFilter::new(format!("{level},sled=warn,rmqtt=warn,pagecache=warn"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // The reader of the log may be gone; a complaint on the same output would end the agent.
    let log = log.log_internal_errors(false);
    match settings.format {
        LogFormat::Json => log.json().init(),
        LogFormat::Text => log.with_target(false).init(),
    }
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
