//! The agent that a command speaks to, by the agent's settings.

use super::words::Trouble;
use crate::edge::control;
use crate::edge::mqtt::{self, FileProblem};
use larder_firmware_config::{Mistake, Settings, line_of_setting, settings_from_toml};
use std::path::{Path, PathBuf};

/// The settings of the installed service, as `systemd/larderd.service` names them.
const SERVICE_SETTINGS: &str = "/etc/larder/larder.toml";

/// Which agent a command speaks to.
#[derive(Debug, clap::Args)]
pub(crate) struct Which {
    /// The settings that the running agent uses. If none are given: those of the service, /etc/larder/larder.toml; the
    /// defaults if there are none, or if an agent runs on ./larder-data
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// The settings of the agent that a command speaks to.
pub(super) fn settings_of(which: &Which) -> Result<Settings, Trouble> {
    settings(settings_file(which.config.as_deref(), Path::exists))
}

/// The settings, and the folders in which the agent of these settings may have a socket, the surest first.
pub(super) fn agent_of(which: &Which) -> Result<(Settings, Vec<PathBuf>), Trouble> {
    let file = settings_file(which.config.as_deref(), Path::exists);
    let settings = settings(file)?;
    let of_service = (file == Some(Path::new(SERVICE_SETTINGS))).then(control::service_runtime);
    let disks = settings.vault.disks.iter().chain(&settings.vault.offsite).cloned();
    let folders = of_service.into_iter().chain(disks).collect();
    Ok((settings, folders))
}

/// The settings file. Without a name the file is the service's, or each recommended command would fail on an
/// installed box; unless an agent runs in this folder, with the default settings.
fn settings_file(named: Option<&Path>, is_there: impl Fn(&Path) -> bool) -> Option<&Path> {
    let of_service = Path::new(SERVICE_SETTINGS);
    let runs_here =
        || Settings::default().vault.disks.iter().any(|disk| is_there(&control::socket_path(disk)));
    named.or_else(|| Some(of_service).filter(|file| is_there(file) && !runs_here()))
}

/// The settings in a file; the defaults where none is named.
pub(super) fn settings(config: Option<&Path>) -> Result<Settings, Trouble> {
    config.map_or_else(|| Ok(Settings::default()), read_settings)
}

/// The settings in a file.
pub(super) fn read_settings(file: &Path) -> Result<Settings, Trouble> {
    let text = text_of(file)?;
    settings_from_toml(&text).map_err(|mistakes| all_at_once(file, &mistakes))
}

/// The settings in a file, with a look at the files that they name.
pub(super) fn checked_settings(file: &Path) -> Result<Settings, Trouble> {
    const SECTION: &str = "mqtt";
    let text = text_of(file)?;
    let settings = settings_from_toml(&text).map_err(|mistakes| all_at_once(file, &mistakes))?;
    let mistake = |problem: &FileProblem| {
        let (found, instead) = mqtt::file_in_words(problem);
        let line = line_of_setting(&text, SECTION, problem.key);
        Mistake { line, key: format!("{SECTION}.{}", problem.key), found, instead }
    };
    let mut mistakes: Vec<_> = mqtt::file_problems(&settings.mqtt).iter().map(mistake).collect();
    mistakes.sort();
    if mistakes.is_empty() { Ok(settings) } else { Err(all_at_once(file, &mistakes)) }
}

fn text_of(file: &Path) -> Result<String, Trouble> {
    std::fs::read_to_string(file).map_err(|error| {
        let what = format!("The settings file {} cannot be read.", file.display());
        Trouble::new(2, what, "Check the name, and that larderd may read it.", error)
    })
}

fn all_at_once(file: &Path, mistakes: &[Mistake]) -> Trouble {
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
