//! Encryption towards the home's broker: rustls on ring, TLS 1.3 and 1.2, since brokers of today's homes have the older one.
//!
//! Files and the system's authorities are read at each try: a certificate that was renewed is used without a restart, and a
//! missing file is a trouble that ends when the file is there. Not here: what decides (`verify`), the files (`files`), the words
//! (`troubles`), when a try is made (`link`).

mod files;
mod verify;

use std::sync::Arc;

use larder_firmware_config::{BrokerTls, BrokerTrust};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::{Resumption, WebPkiServerVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use self::verify::{BrokerVerifier, ClientProof, Judge};
use super::failure::{ConnectionFailure, TlsFailure};

pub(crate) use self::files::file_problems;
pub(super) use self::verify::Handshake;

/// An encrypted connection over `tcp` with the broker that `wanted` describes, and with no other.
pub(super) async fn connect(
    tcp: TcpStream,
    host: &str,
    wanted: &BrokerTls,
    handshake: &Arc<Handshake>,
) -> Result<TlsStream<TcpStream>, ConnectionFailure> {
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| ConnectionFailure::Tls(TlsFailure::NoServerName))?;
    let (settings, notes) = (wanted.clone(), Arc::clone(handshake));
    // The system has some 150 authorities to read.
    let config = tokio::task::spawn_blocking(move || config(&settings, notes));
    let config = config.await.unwrap_or_else(|_| Err(handshake_trouble("the files could not be read")))?;
    let connected = TlsConnector::from(Arc::new(config)).connect(name, tcp).await;
    connected.map_err(|error| ConnectionFailure::Tls(handshake.failure(&error, wanted.client.is_some())))
}

fn config(wanted: &BrokerTls, handshake: Arc<Handshake>) -> Result<ClientConfig, ConnectionFailure> {
    let provider = Arc::new(ring::default_provider());
    let judge = judge(&wanted.trust, &provider)?;
    let proof = wanted.client.as_ref().map(|client| files::client_key(client, &provider)).transpose();
    let proof = ClientProof::new(proof.map_err(ConnectionFailure::File)?, Arc::clone(&handshake));
    let verifier = BrokerVerifier::new(judge, &provider, handshake);
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13, &TLS12])
        .expect("ring knows TLS 1.3 and 1.2");
    let mut config = builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_cert_resolver(Arc::new(proof));
    // Each try has a configuration of its own.
    config.resumption = Resumption::disabled();
    Ok(config)
}

fn judge(trust: &BrokerTrust, provider: &Arc<CryptoProvider>) -> Result<Judge, ConnectionFailure> {
    let roots = match trust {
        BrokerTrust::Fingerprint(expected) => return Ok(Judge::Fingerprint(*expected)),
        BrokerTrust::Authority(file) => files::authorities(file).map_err(ConnectionFailure::File)?,
        BrokerTrust::SystemAuthorities => system_authorities()?,
    };
    let built = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build();
    built.map(Judge::Authorities).map_err(|error| handshake_trouble(&error.to_string()))
}

/// What `ca-certificates` keeps current on Debian, with what the owner added to it.
fn system_authorities() -> Result<RootCertStore, ConnectionFailure> {
    let mut roots = RootCertStore::empty();
    // One file that cannot be read leaves the others.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() { Err(ConnectionFailure::Tls(TlsFailure::NoAuthorities)) } else { Ok(roots) }
}

fn handshake_trouble(why: &str) -> ConnectionFailure {
    ConnectionFailure::Tls(TlsFailure::Handshake(why.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::pki_types::PrivateKeyDer;
    use tokio_rustls::rustls::server::{AlwaysResolvesServerRawPublicKeys, ResolvesServerCert};
    use tokio_rustls::rustls::sign::CertifiedKey;
    use tokio_rustls::rustls::{ServerConfig, SupportedProtocolVersion};

    type Authority = CertifiedIssuer<'static, KeyPair>;

    fn authority() -> Authority {
        let mut wanted = CertificateParams::new(Vec::new()).unwrap();
        wanted.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        wanted.distinguished_name.push(DnType::CommonName, "Home");
        Authority::self_signed(wanted, KeyPair::generate().unwrap()).unwrap()
    }

    /// The certificate of a broker on loopback, shown with `key`, whoever's that is.
    fn shown(by: &Authority, own: &KeyPair, key: &KeyPair) -> (Arc<CertifiedKey>, [u8; 32]) {
        let wanted = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let certificate = wanted.signed_by(own, by).unwrap().der().clone();
        let mut pin = [0; 32];
        pin.copy_from_slice(::ring::digest::digest(&::ring::digest::SHA256, &certificate).as_ref());
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let signer = ring::default_provider().key_provider.load_private_key(key).unwrap();
        (Arc::new(CertifiedKey::new(vec![certificate], signer)), pin)
    }

    /// Shows the same to everybody.
    #[derive(Debug)]
    struct Shows(Arc<CertifiedKey>);

    impl ResolvesServerCert for Shows {
        fn resolve(&self, _: tokio_rustls::rustls::server::ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
            Some(Arc::clone(&self.0))
        }
    }

    /// How a handshake with a broker of one version ends.
    async fn meets(
        version: &'static SupportedProtocolVersion,
        resolver: Arc<dyn ResolvesServerCert>,
        trust: BrokerTrust,
    ) -> Result<(), TlsFailure> {
        let provider = Arc::new(ring::default_provider());
        let builder =
            ServerConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
        let server = TlsAcceptor::from(Arc::new(builder.with_no_client_auth().with_cert_resolver(resolver)));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let at = listener.local_addr().unwrap();
        let broker = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            server.accept(stream).await.map(drop)
        });
        let tcp = TcpStream::connect(at).await.unwrap();
        let wanted = BrokerTls { trust, client: None };
        let met = connect(tcp, "127.0.0.1", &wanted, &Arc::new(Handshake::default())).await;
        let _ = broker.await.unwrap();
        match met {
            Ok(_) => Ok(()),
            Err(ConnectionFailure::Tls(failure)) => Err(failure),
            Err(other) => panic!("{other:?}"),
        }
    }

    /// Everybody who ever spoke with the broker has its certificate.
    #[tokio::test]
    async fn the_pinned_certificate_without_its_key_is_nothing() {
        let (home, own, thief) = (authority(), KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        for version in [&TLS13, &TLS12] {
            for (key, expect) in [(&own, Ok(())), (&thief, Err(TlsFailure::NoProof))] {
                let (certified, pin) = shown(&home, &own, key);
                let met = meets(version, Arc::new(Shows(certified)), BrokerTrust::Fingerprint(pin)).await;
                assert_eq!(met, expect, "{version:?}");
            }
        }
    }

    /// An authority that was made anew under its old name is another one.
    #[tokio::test]
    async fn an_authority_is_known_by_its_key_and_not_by_its_name() {
        let (home, anew, own) = (authority(), authority(), KeyPair::generate().unwrap());
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, home.pem()).unwrap();
        for (by, is_known) in [(&home, true), (&anew, false)] {
            let (certified, seen) = shown(by, &own, &own);
            let met = meets(&TLS13, Arc::new(Shows(certified)), BrokerTrust::Authority(file.clone())).await;
            assert_eq!(met, if is_known { Ok(()) } else { Err(TlsFailure::UnknownAuthority { seen }) });
        }
    }

    /// A key without any certificate is what our own ends show; a broker has a certificate.
    #[tokio::test]
    async fn a_broker_without_a_certificate_is_refused() {
        let (home, own) = (authority(), KeyPair::generate().unwrap());
        let (certified, pin) = shown(&home, &own, &own);
        let raw = Arc::new(AlwaysResolvesServerRawPublicKeys::new(certified));
        assert!(meets(&TLS13, raw, BrokerTrust::Fingerprint(pin)).await.is_err());
    }
}
