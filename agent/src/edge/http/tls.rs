//! The port in the network: encrypted for devices with a key and for browsers, and what else may knock there.
//!
//! One port for all: the first byte tells TLS from plain HTTP, and the hello tells a device from a browser. Not here: keys and
//! suites (`larder_trust`), who a key belongs to (`auth`), what a caller without a key is told (`lamp`).

use super::connections::{Door, OpenedStream, never};
use crate::state::Appliance;
use crate::state::pairing::key_name;
use axum::Router;
use larder_trust::{offers_raw_keys, peer_key};
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::server::Acceptor;
use tokio_rustls::server::TlsStream;

/// A peer without progress for so long has gone away.
const UNANSWERED_MS: u32 = 60_000;
/// The first byte of every TLS connection: a record of a handshake.
const HANDSHAKE: u8 = 0x16;

/// The port for devices.
pub(super) struct NetworkDoor {
    pub(super) listener: TcpListener,
    pub(super) tls: Arc<ServerConfig>,
    pub(super) appliance: Arc<Appliance>,
    pub(super) app: Router,
    /// For callers who do not encrypt.
    pub(super) plain: Router,
    pub(super) for_browsers: Router,
}

/// What a caller in the network speaks HTTP over.
pub(super) enum NetworkStream {
    Plain(TcpStream),
    // Its state has kilobytes.
    Encrypted(Box<TlsStream<TcpStream>>),
}

impl Door for NetworkDoor {
    type Accepted = TcpStream;
    type Spoken = NetworkStream;

    async fn accept(&self) -> io::Result<(TcpStream, Option<IpAddr>)> {
        let (stream, peer) = self.listener.accept().await?;
        // Answers are small and come one by one; waiting to fill a packet would only delay them.
        stream.set_nodelay(true)?;
        // A caller who takes no answer holds a place while other callers wait.
        rustix::net::sockopt::set_tcp_user_timeout(&stream, UNANSWERED_MS)?;
        Ok((stream, Some(peer.ip().to_canonical())))
    }

    async fn first_byte(&self, accepted: &TcpStream) -> io::Result<Option<u8>> {
        // `readable` tells of sockets that turned out to have nothing to read.
        let mut first = [0];
        let is_there = accepted.peek(&mut first).await? > 0;
        Ok(is_there.then_some(first[0]))
    }

    async fn open(&self, stream: TcpStream, first: Option<u8>) -> io::Result<OpenedStream<NetworkStream>> {
        if first.is_some_and(|first| first != HANDSHAKE) {
            let app = self.plain.clone();
            return Ok(OpenedStream { stream: NetworkStream::Plain(stream), app, key: None, until: never() });
        }
        let begun = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
        if !offers_raw_keys(&begun.client_hello()) {
            let tls = Arc::clone(self.appliance.browser_identity.config());
            let stream = NetworkStream::Encrypted(Box::new(begun.into_stream(tls).await?));
            return Ok(OpenedStream { stream, app: self.for_browsers.clone(), key: None, until: never() });
        }
        let stream = begun.into_stream(Arc::clone(&self.tls)).await?;
        let key = peer_key(stream.get_ref().1.peer_certificates());
        let (app, appliance) = (self.app.clone(), Arc::clone(&self.appliance));
        let until =
            key.map_or_else(never, |key| Box::pin(async move { appliance.key_ended(key_name(&key)).await }));
        Ok(OpenedStream { stream: NetworkStream::Encrypted(Box::new(stream)), app, key, until })
    }
}

impl AsyncRead for NetworkStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, into),
            Self::Encrypted(stream) => Pin::new(stream).poll_read(context, into),
        }
    }
}

impl AsyncWrite for NetworkStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Encrypted(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Encrypted(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Encrypted(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(context, parts),
            Self::Encrypted(stream) => Pin::new(stream).poll_write_vectored(context, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Encrypted(stream) => stream.is_write_vectored(),
        }
    }
}
