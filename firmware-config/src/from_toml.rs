//! From the text of `larder.toml` to consistent settings, or to every mistake at once.
//!
//! Not here: types and defaults (`settings`), reading one value (`values`), finding lines (`reader`).

mod mqtt;

use std::path::Path;

use crate::board::Board;
use crate::mistake::Mistake;
use crate::places::{ButtonPlace, LampPlace};
use crate::reader::Reader;
use crate::settings::{
    ApplianceSettings, LogFormat, LogLevel, LogSettings, NetworkSettings, PanelSettings, RetentionSettings,
    Settings, SourcesSettings, VaultSettings, limits,
};
use crate::spans::Keep;
use crate::syntax::Readable;
use crate::values;

/// Reads the text of a settings file. An unwritten setting has its default.
///
/// # Errors
///
/// Every mistake in the text, in the order of the lines.
pub fn settings_from_toml(text: &str) -> Result<Settings, Vec<Mistake>> {
    let readable = Readable::new(text);
    let reader = &mut Reader::new(&readable);
    let settings = read(reader);
    let mistakes = reader.finish();
    if mistakes.is_empty() { Ok(settings) } else { Err(mistakes) }
}

/// The line in `text`, from 1, where a setting is written; 1 if it is not.
///
/// For whoever finds a mistake outside of the text, such as a file that a setting names and that is not there.
pub fn line_of_setting(text: &str, section: &str, key: &str) -> usize {
    let readable = Readable::new(text);
    let reader = &mut Reader::new(&readable);
    read(reader);
    reader.line_of(section, key).unwrap_or(1)
}

/// Section and name of every setting.
#[cfg(test)]
pub(crate) fn keys() -> Vec<(&'static str, &'static str)> {
    let readable = Readable::new("");
    let mut reader = Reader::new(&readable);
    read(&mut reader);
    reader.known().to_vec()
}

fn read(reader: &mut Reader<'_>) -> Settings {
    let settings = Settings {
        appliance: appliance(reader),
        network: network(reader),
        vault: vault(reader),
        retention: retention(reader),
        sources: sources(reader),
        mqtt: mqtt::read(reader),
        panel: panel(reader),
        log: log(reader),
    };
    check_listeners(reader, &settings);
    settings
}

fn appliance(reader: &mut Reader<'_>) -> ApplianceSettings {
    let default = ApplianceSettings::default();
    ApplianceSettings { name: reader.read("appliance", "name", default.name, values::name) }
}

fn network(reader: &mut Reader<'_>) -> NetworkSettings {
    let default = NetworkSettings::default();
    let memory =
        |value: &_| values::size(value, limits::UPLOAD_MEMORY_BYTES_MIN, limits::UPLOAD_MEMORY_BYTES_MAX);
    NetworkSettings {
        listen: reader
            .read("network", "listen", default.listen, |value| values::listen(value, default.listen)),
        announce: reader.read("network", "announce", default.announce, values::yes_or_no),
        upload_memory_bytes: reader.read("network", "upload_memory", default.upload_memory_bytes, memory),
    }
}

fn vault(reader: &mut Reader<'_>) -> VaultSettings {
    let default = VaultSettings::default();
    let reserve = |value: &_| values::size(value, limits::RESERVE_BYTES_MIN, limits::RESERVE_BYTES_MAX);
    let disks = reader.read("vault", "disks", default.disks, |value| {
        values::paths(value, "[\"/srv/larder/disk1\", \"/srv/larder/disk2\"]")
    });
    let vault = VaultSettings {
        offsite: reader.read("vault", "offsite", default.offsite, |value| {
            values::paths_or_none(value, "[\"/srv/larder/offsite\"]")
        }),
        offsite_overdue: reader.read("vault", "offsite_overdue", default.offsite_overdue, values::span),
        copies: reader
            .read("vault", "copies", default.copies, |value| values::count(value, 1, limits::COPIES_MAX)),
        reserve_bytes: reader.read("vault", "reserve", default.reserve_bytes, reserve),
        // An owner naming disks means disks: a folder on the system card would be an unmounted disk.
        allow_root_filesystem: reader.read(
            "vault",
            "allow_root_filesystem",
            !reader.is_written("vault", "disks"),
            values::yes_or_no,
        ),
        index: reader.read_if_written("vault", "index", |value| values::path(value, "\"/srv/larder/index\"")),
        disks,
    };
    check_disks(reader, &vault);
    vault
}

fn check_disks(reader: &mut Reader<'_>, vault: &VaultSettings) {
    let all: Vec<_> = vault.disks.iter().chain(&vault.offsite).collect();
    for (i, one) in all.iter().enumerate() {
        for (j, other) in all.iter().enumerate().skip(i + 1) {
            let (one, other) = (tidy(one), tidy(other));
            if one.starts_with(&other) || other.starts_with(&one) {
                let found = format!(
                    "\"{}\" and \"{}\", which are the same or one inside the other",
                    one.display(),
                    other.display()
                );
                let instead = "name each disk once, by the folder where it is mounted".to_owned();
                let key = if j < vault.disks.len() { "disks" } else { "offsite" };
                reader.contradiction(&[("vault", key)], found, instead);
                return;
            }
        }
    }
    let disks = vault.disks.len();
    if usize::try_from(vault.copies).is_ok_and(|copies| copies > disks) {
        let found =
            format!("{} copies on {disks} {}", vault.copies, if disks == 1 { "disk" } else { "disks" });
        let instead = format!("write copies = {disks} or less, or name more disks");
        reader.contradiction(&[("vault", "copies"), ("vault", "disks")], found, instead);
    }
}

/// Without `.` parts and doubled or trailing slashes, so each folder has one spelling.
fn tidy(path: &Path) -> std::path::PathBuf {
    path.components().filter(|part| *part != std::path::Component::CurDir).collect()
}

fn retention(reader: &mut Reader<'_>) -> RetentionSettings {
    let default = RetentionSettings::default();
    let everything = reader.read("retention", "everything", default.everything, values::keep);
    let mut before = ("everything", everything);
    let mut next = |key, default: Keep| {
        // An unwritten rule never undercuts the rule before; a written rule must not.
        let floor = if default.is_shorter_than(before.1) { before.1 } else { default };
        let kept = reader.read("retention", key, floor, values::keep);
        if kept.is_shorter_than(before.1) {
            let found = format!("\"{kept}\", although {} is \"{}\" and includes it", before.0, before.1);
            let instead = format!("write {key} = \"{}\" or longer, or shorten {}", before.1, before.0);
            reader.contradiction(&[("retention", key)], found, instead);
        }
        before = (key, kept);
        kept
    };
    let (daily, weekly) = (next("daily", default.daily), next("weekly", default.weekly));
    let monthly = next("monthly", default.monthly);
    let newest = |value: &_| values::count(value, 1, limits::NEWEST_MAX);
    let newest = reader.read("retention", "newest", default.newest, newest);
    RetentionSettings { everything, daily, weekly, monthly, newest }
}

fn sources(reader: &mut Reader<'_>) -> SourcesSettings {
    let default = SourcesSettings::default();
    SourcesSettings {
        overdue_after: reader.read("sources", "overdue_after", default.overdue_after, values::span),
    }
}

fn panel(reader: &mut Reader<'_>) -> PanelSettings {
    let default = PanelSettings::default();
    let panel = PanelSettings {
        board: reader.read("panel", "board", default.board, |value| {
            let names: Vec<(&str, Option<&str>)> =
                Board::all().iter().map(|board| (board.name.as_str(), Some(board.name.as_str()))).collect();
            let choices = [vec![("auto", None)], names].concat();
            values::choice(value, &choices).map(|board| board.map(str::to_owned))
        }),
        lamp: reader.read_if_written("panel", "lamp", values::lamp),
        active_low: reader.read("panel", "active_low", default.active_low, values::yes_or_no),
        button: reader.read_if_written("panel", "button", values::button),
        button_active_low: reader.read(
            "panel",
            "button_active_low",
            default.button_active_low,
            values::yes_or_no,
        ),
    };
    let lamp_line = panel.lamp.as_ref().and_then(LampPlace::gpio);
    let button_line = panel.button.as_ref().and_then(ButtonPlace::gpio);
    if panel.active_low && lamp_line.is_none() {
        let found = "true, but no lamp on a GPIO line is named here".to_owned();
        let instead = "write lamp = \"gpio:...\" too, or active_low = false".to_owned();
        reader.contradiction(&[("panel", "active_low")], found, instead);
    }
    if !panel.button_active_low && button_line.is_none() {
        let found = "false, but no button on a GPIO line is named here".to_owned();
        let instead = "write button = \"gpio:...\" too, or button_active_low = true".to_owned();
        reader.contradiction(&[("panel", "button_active_low")], found, instead);
    }
    // An output that meets a pressed button is a short circuit.
    if let Some(line) = button_line.filter(|line| lamp_line == Some(line)) {
        let found = format!("\"{line}\" for the lamp and for the button");
        let instead = "give each a line of its own".to_owned();
        reader.contradiction(&[("panel", "button"), ("panel", "lamp")], found, instead);
    }
    panel
}

fn log(reader: &mut Reader<'_>) -> LogSettings {
    let default = LogSettings::default();
    let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
    LogSettings {
        level: reader.read("log", "level", default.level, |value| values::choice(value, &LogLevel::CHOICES)),
        format: reader.read("log", "format", default.format, |value| values::choice(value, &formats)),
    }
}

fn check_listeners(reader: &mut Reader<'_>, settings: &Settings) {
    let (network, mqtt) = (settings.network.listen, settings.mqtt.listen);
    let own_broker = settings.mqtt.enabled && settings.mqtt.broker.is_none();
    let overlap = network.ip() == mqtt.ip() || network.ip().is_unspecified() || mqtt.ip().is_unspecified();
    if own_broker && overlap && network.port() == mqtt.port() {
        let found = format!("port {} for clients and for MQTT", mqtt.port());
        let instead = "give one of them another port".to_owned();
        reader.contradiction(&[("mqtt", "listen"), ("network", "listen")], found, instead);
    }
}
