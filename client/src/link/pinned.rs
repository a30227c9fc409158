//! TLS to an appliance by its key, under the HTTP of ureq.
//!
//! ureq takes no verifier of ours, so the encryption is a connector of its own. The interface that it uses is outside of what
//! ureq promises: hence one file, and ureq's version pinned. Not here: keys and suites (`larder_trust`).

use larder_trust::{PublicKey, SecretKey, client_config, peer_key};
use rustls::{ClientConfig, ClientConnection, StreamOwned, pki_types::ServerName};
use std::{
    fmt,
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex, PoisonError},
};
use ureq::{
    Error,
    unversioned::transport::{
        Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport, TransportAdapter,
    },
};

/// Turns connections into encrypted ones.
pub(super) struct PinnedTls {
    config: Arc<ClientConfig>,
    seen: SeenKey,
}

/// The key of the appliance that answered last.
#[derive(Clone, Default)]
pub(super) struct SeenKey(Arc<Mutex<Option<PublicKey>>>);

impl SeenKey {
    pub(super) fn get(&self) -> Option<PublicKey> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PinnedTls {
    /// Shows `own`, and talks to the appliance with the key `expected` alone; without one, to any.
    pub(super) fn new(own: &SecretKey, expected: Option<PublicKey>) -> Self {
        Self { config: client_config(own, expected), seen: SeenKey::default() }
    }

    pub(super) fn seen(&self) -> SeenKey {
        self.seen.clone()
    }
}

impl fmt::Debug for PinnedTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PinnedTls").finish_non_exhaustive()
    }
}

impl<In: Transport> Connector<In> for PinnedTls {
    type Out = PinnedTransport;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<PinnedTransport>, Error> {
        let Some(transport) = chained else { return Ok(None) };
        // The name is never sent and never compared: the key is.
        let name = ServerName::IpAddress(IpAddr::V4(Ipv4Addr::UNSPECIFIED).into());
        let mut connection = ClientConnection::new(Arc::clone(&self.config), name).map_err(other)?;
        let mut socket = TransportAdapter::new(transport.boxed(), Arc::clone(&details.current_time));
        socket.set_timeout(details.timeout);
        connection.complete_io(&mut socket)?;
        *self.seen.0.lock().unwrap_or_else(PoisonError::into_inner) =
            peer_key(connection.peer_certificates());
        let buffers =
            LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(PinnedTransport { buffers, stream: StreamOwned::new(connection, socket) }))
    }
}

fn other(error: rustls::Error) -> Error {
    std::io::Error::other(error).into()
}

/// An encrypted connection.
pub(super) struct PinnedTransport {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl fmt::Debug for PinnedTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PinnedTransport").finish_non_exhaustive()
    }
}

impl Transport for PinnedTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.stream.get_mut().set_timeout(timeout);
        self.stream.write_all(&self.buffers.output()[..amount])?;
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.stream.get_mut().set_timeout(timeout);
        let read = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(read);
        Ok(read > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.get_mut().get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}
