//! Identity of the box, and the owner's settings.
//!
//! Every setting has a default, so an empty file is a working appliance. A file with mistakes is answered with every
//! mistake at once, each with its line and a correction, because a person at home should not need five attempts.
//!
//! Not here: reading files and looking at the hardware (`agent::edge` passes in text), acting on a setting.

mod board;
mod from_toml;
mod mistake;
mod places;
mod reader;
mod settings;
mod spans;
mod syntax;
#[cfg(test)]
mod tests;
mod values;

pub use board::{Board, Display};
pub use from_toml::{line_of_setting, settings_from_toml};
pub use mistake::Mistake;
pub use places::{ButtonPlace, GpioPlace, LampPlace};
pub use settings::{
    ApplianceSettings, BrokerTls, BrokerTrust, ClientCertificate, LogFormat, LogLevel, LogSettings,
    MqttSettings, NetworkSettings, PanelSettings, RetentionSettings, Settings, SourcesSettings,
    VaultSettings,
};
pub use spans::{Keep, Span, Unit};
pub use values::Address;
