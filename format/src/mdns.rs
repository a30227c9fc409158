//! How an appliance is found: messages of multicast DNS (RFC 6762) about one service (RFC 6763).
//!
//! Anybody in a network may send such messages, so a question is read under caps, and nothing of a message is kept but
//! which of our own records it asks for. Records of others are not read at all: a reader that collects them can be filled.
//! Not here: sockets and times (`agent::edge::discovery`), what a computer makes of an announcement (`client`).

mod message;
mod query;

pub use message::RecordLifetime;
pub use query::{MdnsQuery, read_query};

/// The service, as a name of DNS.
pub const SERVICE: &str = "_larder._tcp.local.";

/// Keys of the text that goes with an announcement.
pub mod text_keys {
    /// The appliance's name.
    pub const NAME: &str = "name";
    /// The agent's version.
    pub const VERSION: &str = "version";
    /// One of the words of `AnnouncedLevel`.
    pub const LEVEL: &str = "level";
    /// The first hex digits of the appliance's key.
    pub const KEY: &str = "key";
}

/// Hex digits of a key in an announcement: enough to tell apart, too few to trust.
pub const KEY_START_DIGITS: usize = 8;
/// Addresses of one interface in an announcement; with more, a message would not fit into one packet.
pub const ADDRESSES_MAX: usize = 8;
/// A label of DNS has no more bytes.
const LABEL_BYTES_MAX: usize = 63;

/// The label of an appliance's host: `larder-0123abcd` for a key that begins so.
pub fn host_label(key_start: &str) -> String {
    format!("larder-{key_start}")
}

/// How the appliance says that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnnouncedLevel {
    /// Nothing to do.
    Fine,
    /// The owner should look.
    NeedsYou,
    /// Files are in danger.
    Alarm,
}

impl AnnouncedLevel {
    const WORDS: [(Self, &str); 3] =
        [(Self::Fine, "fine"), (Self::NeedsYou, "needs-you"), (Self::Alarm, "alarm")];

    /// As it is announced.
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(level, _)| *level == self).map_or("alarm", |(_, word)| word)
    }

    /// The level with this word; nothing for a word of a newer agent.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(_, known)| *known == word).map(|(level, _)| *level)
    }
}

/// What an appliance says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// The appliance's name.
    pub name: String,
    /// The agent's version.
    pub version: String,
    /// How the appliance is.
    pub level: AnnouncedLevel,
    /// The first `KEY_START_DIGITS` digits of the appliance's key.
    pub key_start: String,
    /// The port for devices.
    pub port: u16,
}

impl Announcement {
    /// The label of the host. It comes from the key, so two appliances need not argue about one name, and nobody else can
    /// argue an appliance out of its own.
    pub fn host_label(&self) -> String {
        host_label(&self.key_start)
    }

    /// The label of the service, for people to read: two appliances with one name are two entries in a list.
    fn instance_label(&self) -> String {
        let name = cut(&self.name, LABEL_BYTES_MAX - 1 - self.key_start.len());
        format!("{name} {}", self.key_start)
    }

    /// Each `KEY=VALUE`, at most 255 bytes long.
    fn texts(&self) -> [String; 4] {
        let text = |key: &str, value: &str| format!("{key}={}", cut(value, LABEL_BYTES_MAX));
        [
            text(text_keys::NAME, &self.name),
            text(text_keys::VERSION, &self.version),
            text(text_keys::LEVEL, self.level.word()),
            text(text_keys::KEY, &self.key_start),
        ]
    }

    fn name_of(&self, record: OwnName) -> Vec<u8> {
        let (instance, host) = (self.instance_label(), self.host_label());
        match record {
            OwnName::ServiceTypes => encoded(&["_services", "_dns-sd", "_udp", "local"]),
            OwnName::Service => encoded(&["_larder", "_tcp", "local"]),
            OwnName::Instance => encoded(&[&instance, "_larder", "_tcp", "local"]),
            OwnName::Host => encoded(&[&host, "local"]),
        }
    }
}

/// The names that an appliance answers for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnName {
    /// The list of all kinds of services.
    ServiceTypes,
    /// The list of all appliances.
    Service,
    /// This appliance as a service.
    Instance,
    /// This appliance as a host.
    Host,
}

impl OwnName {
    const ALL: [Self; 4] = [Self::ServiceTypes, Self::Service, Self::Instance, Self::Host];
}

/// Which of an appliance's records are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WantedRecords {
    /// That there are appliances at all.
    pub service_type: bool,
    /// That this appliance is one of them.
    pub pointer: bool,
    /// Its host and port.
    pub service: bool,
    /// What it says of itself.
    pub text: bool,
    /// Its addresses.
    pub addresses: bool,
}

impl WantedRecords {
    /// An announcement that nobody asked for. The list of all services is for those who ask.
    pub const ANNOUNCED: Self =
        Self { service_type: false, pointer: true, service: true, text: true, addresses: true };

    /// Whether no record is wanted.
    pub fn is_nothing(self) -> bool {
        self == Self::default()
    }

    /// What either wants.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            service_type: self.service_type || other.service_type,
            pointer: self.pointer || other.pointer,
            service: self.service || other.service,
            text: self.text || other.text,
            addresses: self.addresses || other.addresses,
        }
    }

    /// What goes along with these, so that whoever asks need not ask again.
    fn besides(self) -> Self {
        Self {
            service_type: false,
            pointer: false,
            service: self.pointer && !self.service,
            text: self.pointer && !self.text,
            addresses: (self.pointer || self.service) && !self.addresses,
        }
    }
}

/// The beginning of a text, in at most so many bytes of whole characters.
fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

/// Labels as they travel, without compression.
fn encoded(labels: &[&str]) -> Vec<u8> {
    let mut name = Vec::new();
    for label in labels {
        let label = cut(label, LABEL_BYTES_MAX);
        name.push(u8::try_from(label.len()).unwrap_or_default());
        name.extend_from_slice(label.as_bytes());
    }
    name.push(0);
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn announcement() -> Announcement {
        Announcement {
            name: "Larder".to_owned(),
            version: "0.1.0".to_owned(),
            level: AnnouncedLevel::NeedsYou,
            key_start: "3fa90c21".to_owned(),
            port: 8477,
        }
    }

    #[test]
    fn long_names_are_cut_between_characters() {
        let long = Announcement { name: "ü".repeat(200), ..announcement() };
        let label = long.instance_label();
        assert!(label.len() <= LABEL_BYTES_MAX && label.ends_with("ü 3fa90c21"), "{label}");
        assert!(long.texts().iter().all(|text| text.len() <= 255));
    }

    #[test]
    fn every_level_comes_back_from_its_word() {
        for (level, word) in AnnouncedLevel::WORDS {
            assert_eq!((level.word(), AnnouncedLevel::from_word(word)), (word, Some(level)));
        }
        assert_eq!(AnnouncedLevel::from_word("splendid"), None);
    }
}
