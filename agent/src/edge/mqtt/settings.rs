//! Which broker, how it is known, and as whom we come. Not here: the setting file (`larder_firmware_config`).

use super::head_witness::HeadOwner;
use larder_firmware_config::{BrokerTls, BrokerTrust};

/// Address of the broker, how to know it, and our name there.
#[derive(Debug, Clone)]
pub(crate) struct BrokerSettings {
    /// Name or address of the broker.
    pub(crate) host: String,
    /// The port, usually 1883, or 8883 with encryption.
    pub(crate) port: u16,
    /// None: in the clear.
    pub(crate) tls: Option<BrokerTls>,
    /// None for a broker without logins.
    pub(crate) username: Option<String>,
    /// Sent only together with a user name.
    pub(crate) password: Option<String>,
    /// The owner's slug: second level of every topic, start of every entity id. Unique per broker.
    pub(crate) node: String,
    /// Stable machine id; never the host name, which owners change.
    pub(crate) uid: String,
    /// Our name at the broker, another one at each start: whoever connects under it ends our connection, and `uid` stands in
    /// discovery for everybody to read.
    pub(crate) client_id: String,
    /// The appliance's name as people read it.
    pub(crate) name: String,
    /// Home Assistant's prefix, usually `homeassistant`.
    pub(crate) discovery_prefix: String,
    /// Whose retained head at the broker is believed.
    pub(crate) head_owner: HeadOwner,
    /// The broker lives and ends with the agent, so it remembers nothing from before.
    pub(crate) is_own_broker: bool,
    /// Events kept while no broker takes them; each takes a few hundred bytes of memory.
    pub(crate) spool_events_max: usize,
}

impl BrokerSettings {
    /// Whether the broker's certificate is judged by its dates, too.
    pub(super) fn judges_dates(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| !matches!(tls.trust, BrokerTrust::Fingerprint(_)))
    }
}
