//! How bytes travel: timeouts, buffers, and no way around.
//!
//! Not here: what is asked (`connection`), encryption (`pinned`).

use super::pinned::PinnedTls;
use std::time::Duration;
use ureq::{
    Agent,
    unversioned::{
        resolver::DefaultResolver,
        transport::{Connector, TcpConnector},
    },
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(8);
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(8);
/// A commit answers when every disk holds the snapshot: a spun-down disk and a large tree take time.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(600);
/// For the body of a request that nobody slows on purpose.
pub(super) const SEND_TIMEOUT: Duration = Duration::from_secs(120);

/// The place that knows how bytes travel: encrypted by `tls`, and in no other way.
pub(super) fn agent_for(tls: PinnedTls) -> Agent {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        // The appliance is on this network; a proxy for the web has no business in between.
        .proxy(None)
        .max_redirects(0)
        .user_agent(concat!("larder/", env!("CARGO_PKG_VERSION")))
        .timeout_resolve(Some(RESOLVE_TIMEOUT))
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_send_body(Some(SEND_TIMEOUT))
        .timeout_recv_response(Some(ANSWER_TIMEOUT))
        .timeout_per_read(Some(SEND_TIMEOUT))
        // Small: each connection allocates both buffers, and large bodies gain nothing from buffering.
        .input_buffer_size(64 * 1024)
        .output_buffer_size(64 * 1024)
        .max_idle_connections_per_host(8)
        .build();
    let way = ().chain(TcpConnector::default()).chain(tls);
    Agent::with_parts(config, way, DefaultResolver::default())
}
