//! Every setting, with type and default.
//!
//! Not here: the effect of each setting for the owner (`larder.toml`, held to these defaults by a test), looking at
//! folders and ports (`agent::edge`).

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use crate::places::{ButtonPlace, LampPlace};
use crate::spans::{Keep, Span, Unit};
use crate::values::Address;

const MIB: u64 = 1 << 20;

/// The owner's settings.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// `[appliance]`
    pub appliance: ApplianceSettings,
    /// `[network]`
    pub network: NetworkSettings,
    /// `[vault]`
    pub vault: VaultSettings,
    /// `[retention]`
    pub retention: RetentionSettings,
    /// `[sources]`
    pub sources: SourcesSettings,
    /// `[mqtt]`
    pub mqtt: MqttSettings,
    /// `[panel]`
    pub panel: PanelSettings,
    /// `[log]`
    pub log: LogSettings,
}

/// `[appliance]`: identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplianceSettings {
    /// Name shown to people.
    pub name: String,
}

/// `[network]`: access for clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkSettings {
    /// Where clients and browsers connect.
    pub listen: SocketAddr,
    /// Whether computers on the network are told that the appliance is there.
    pub announce: bool,
    /// Memory for the sum of uploads, in bytes.
    pub upload_memory_bytes: u64,
}

/// `[vault]`: where backups lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultSettings {
    /// One folder per disk; never empty.
    pub disks: Vec<PathBuf>,
    /// Folders of disks away most of the time, and filled whenever connected.
    pub offsite: Vec<PathBuf>,
    /// A disk of `offsite` not filled for so long is overdue.
    pub offsite_overdue: Span,
    /// Number of disks with a copy of each file; 1 to the number of disks.
    pub copies: u32,
    /// Room left free by backups on each disk, in bytes.
    pub reserve_bytes: u64,
    /// Whether a disk folder may lie on the filesystem of the system itself.
    pub allow_root_filesystem: bool,
    /// Folder of the index; none: on the first disk.
    pub index: Option<PathBuf>,
}

/// `[retention]`: how long snapshots are kept. Each rule lasts at least as long as the rule before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionSettings {
    /// Every snapshot.
    pub everything: Keep,
    /// First and last of each day.
    pub daily: Keep,
    /// First and last of each week.
    pub weekly: Keep,
    /// First and last of each month.
    pub monthly: Keep,
    /// So many newest snapshots of a source stay, whatever their age.
    pub newest: u32,
}

/// `[sources]`: expectations of devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourcesSettings {
    /// A source without a push for so long is overdue.
    pub overdue_after: Span,
}

/// `[mqtt]`: reports to the home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MqttSettings {
    /// Whether to publish.
    pub enabled: bool,
    /// The home's broker; none: the agent runs its own.
    pub broker: Option<Address>,
    /// Encryption towards `broker`, asked for by `mqtts://`; none: everything travels in the clear.
    pub tls: Option<BrokerTls>,
    /// Where the agent's own broker listens.
    pub listen: SocketAddr,
    /// User at the broker.
    pub username: Option<String>,
    /// File with that user's password, and nothing else.
    pub password_file: Option<PathBuf>,
    /// The appliance's word in topics: `larder/<node>/...`.
    pub node: String,
    /// Where Home Assistant looks for devices.
    pub discovery_prefix: String,
    /// Events kept while the broker is away.
    pub spool_events: u32,
}

/// An encrypted connection to the home's broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerTls {
    /// How the broker is known.
    pub trust: BrokerTrust,
    /// What the appliance shows to a broker that asks for a certificate.
    pub client: Option<ClientCertificate>,
}

/// Which broker is the right one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BrokerTrust {
    /// One for which an authority of the system vouches.
    SystemAuthorities,
    /// One for which an authority in this PEM file vouches.
    Authority(PathBuf),
    /// The one with the certificate of this SHA-256.
    Fingerprint([u8; 32]),
}

/// PEM files that prove who the appliance is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The certificate, and those between it and the authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// `[panel]`: board, lamp and button.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PanelSettings {
    /// Name of a board; none: find out.
    pub board: Option<String>,
    /// The lamp, unless the board's own.
    pub lamp: Option<LampPlace>,
    /// Whether `lamp`, a GPIO line, shines at low level.
    pub active_low: bool,
    /// The button, unless the board's own.
    pub button: Option<ButtonPlace>,
    /// Whether `button`, a GPIO line, is low while pressed.
    pub button_active_low: bool,
}

/// `[log]`: output of the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// Lowest level logged.
    pub level: LogLevel,
    /// For people or for programs.
    pub format: LogFormat,
}

/// Amount of logging.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the usual words")]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl LogLevel {
    pub(crate) const CHOICES: [(&str, LogLevel); 5] = [
        ("error", LogLevel::Error),
        ("warn", LogLevel::Warn),
        ("info", LogLevel::Info),
        ("debug", LogLevel::Debug),
        ("trace", LogLevel::Trace),
    ];

    /// The word in the settings, also understood by log filters.
    pub fn as_str(self) -> &'static str {
        LogLevel::CHOICES.iter().find(|(_, level)| *level == self).map_or("info", |(word, _)| *word)
    }
}

/// Form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object per line.
    Json,
}

impl Default for ApplianceSettings {
    fn default() -> Self {
        ApplianceSettings { name: "Larder".to_owned() }
    }
}

impl Default for NetworkSettings {
    fn default() -> Self {
        NetworkSettings {
            listen: SocketAddr::from((Ipv6Addr::UNSPECIFIED, 8477)),
            announce: true,
            upload_memory_bytes: 24 * MIB,
        }
    }
}

impl Default for VaultSettings {
    fn default() -> Self {
        VaultSettings {
            disks: vec![PathBuf::from("larder-data/disk")],
            offsite: Vec::new(),
            offsite_overdue: Span::new(35, Unit::Day),
            copies: 1,
            reserve_bytes: 256 * MIB,
            allow_root_filesystem: true,
            index: None,
        }
    }
}

impl Default for RetentionSettings {
    fn default() -> Self {
        RetentionSettings {
            everything: Keep::For(Span::new(30, Unit::Day)),
            daily: Keep::For(Span::new(90, Unit::Day)),
            weekly: Keep::For(Span::new(1, Unit::Year)),
            monthly: Keep::ForEver,
            newest: 3,
        }
    }
}

impl Default for SourcesSettings {
    fn default() -> Self {
        SourcesSettings { overdue_after: Span::new(2, Unit::Day) }
    }
}

impl Default for MqttSettings {
    fn default() -> Self {
        MqttSettings {
            enabled: true,
            broker: None,
            tls: None,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 1883)),
            username: None,
            password_file: None,
            node: "larder".to_owned(),
            discovery_prefix: "homeassistant".to_owned(),
            spool_events: 1_000,
        }
    }
}

impl Default for PanelSettings {
    fn default() -> Self {
        PanelSettings { board: None, lamp: None, active_low: false, button: None, button_active_low: true }
    }
}

impl Default for LogSettings {
    fn default() -> Self {
        LogSettings { level: LogLevel::Info, format: LogFormat::Text }
    }
}

/// Bounds of numbers. A number beyond is a slip of the pen and worth asking.
pub(crate) mod limits {
    const MIB: u64 = 1 << 20;
    /// One push needs a block going out and a block coming in; with less, every push would wait for itself.
    pub(crate) const UPLOAD_MEMORY_BYTES_MIN: u64 = 16 * MIB;
    /// More than the memory of any supported box.
    pub(crate) const UPLOAD_MEMORY_BYTES_MAX: u64 = 64 << 30;
    /// Letting go of old snapshots writes before it frees; without this room a full disk could not become less full.
    pub(crate) const RESERVE_BYTES_MIN: u64 = 128 * MIB;
    /// No disk is large enough to need so much free room.
    pub(crate) const RESERVE_BYTES_MAX: u64 = 16 << 40;
    /// An event takes about 1 KiB, so this bounds the spool at about 100 MiB.
    pub(crate) const SPOOL_EVENTS_MAX: u32 = 100_000;
    /// Beyond this number, "the newest" is no longer a safety net but the whole rule.
    pub(crate) const NEWEST_MAX: u32 = 10_000;
    /// Most disks of one box.
    pub(crate) const COPIES_MAX: u32 = 16;
}
