//! TLS 1.3 with raw public keys (RFC 7250) on both ends, in rustls on ring.
//!
//! An appliance lets every key in: the handshake proves that the caller has it, and HTTP says in words that nobody knows
//! it. A computer takes one key only, so another box is refused before a byte of HTTP. No tickets and no early data: a
//! handshake costs a millisecond, and nothing can be replayed.

use crate::{PublicKey, SecretKey};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption};
use rustls::crypto::ring::{cipher_suite, default_provider, sign::any_eddsa_type};
use rustls::crypto::{CryptoProvider, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{
    AlwaysResolvesServerRawPublicKeys, CertificateType, ClientHello, NoServerSessionStorage,
};
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;
use rustls::{
    CertificateError, ClientConfig, ConfigBuilder, DigitallySignedStruct, DistinguishedName, Error,
    ServerConfig, SignatureScheme, SupportedCipherSuite, WantsVerifier,
};
use std::sync::Arc;

/// Only keys of this kind exist.
const SCHEMES: [SignatureScheme; 1] = [SignatureScheme::ED25519];

/// For an appliance: proves `own`, and asks the caller for a key of any kind that we make.
///
/// # Panics
/// Never for a key of this crate: ring has what is asked for here.
pub fn server_config(own: &SecretKey) -> Arc<ServerConfig> {
    Arc::new(server_with(provider(has_aes()), own))
}

fn server_with(provider: Arc<CryptoProvider>, own: &SecretKey) -> ServerConfig {
    let config = server_builder(Arc::clone(&provider))
        .with_client_cert_verifier(Arc::new(KeyVerifier { provider, expected: None }))
        .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(certified(own))));
    without_memory(config)
}

/// The beginning of each configuration of an appliance.
pub(crate) fn server_builder(provider: Arc<CryptoProvider>) -> ConfigBuilder<ServerConfig, WantsVerifier> {
    ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .expect("ring knows TLS 1.3")
}

/// Each connection begins anew, with the suite that is cheapest for this processor.
pub(crate) fn without_memory(mut config: ServerConfig) -> ServerConfig {
    // Otherwise a laptop with AES in its processor would choose AES for a box without.
    config.ignore_client_order = true;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config
}

/// For a computer: proves `own`, and talks to the appliance with the key `expected` alone. Without an expected key every
/// appliance is talked to: only for a pairing, which proves the key by other means.
///
/// # Panics
/// Never, likewise.
pub fn client_config(own: &SecretKey, expected: Option<PublicKey>) -> Arc<ClientConfig> {
    let provider = provider(has_aes());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13])
        .expect("ring knows TLS 1.3");
    let mut config = builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(KeyVerifier { provider, expected }))
        .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(certified(own))));
    config.resumption = Resumption::disabled();
    // The name that was typed is nobody else's business.
    config.enable_sni = false;
    Arc::new(config)
}

/// The key of the other end of a connection whose handshake is over.
pub fn peer_key(certificates: Option<&[CertificateDer<'_>]>) -> Option<PublicKey> {
    certificates?.first().and_then(|first| PublicKey::from_spki(first))
}

/// Whether a caller speaks of raw keys; a browser does not.
pub fn offers_raw_keys(hello: &ClientHello<'_>) -> bool {
    hello.server_cert_types().is_some_and(|types| types.contains(&CertificateType::RawPublicKey))
}

fn certified(own: &SecretKey) -> Arc<CertifiedKey> {
    let key = any_eddsa_type(&PrivatePkcs8KeyDer::from(own.pkcs8())).expect("a key that was read before");
    let spki = CertificateDer::from(own.public().spki().to_vec());
    Arc::new(CertifiedKey::new(vec![spki], key))
}

pub(crate) fn provider(has_aes: bool) -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider { cipher_suites: suites(has_aes), ..default_provider() })
}

/// The preferred first: AES where the processor has it, ChaCha20 elsewhere (a Raspberry Pi before the fifth).
fn suites(has_aes: bool) -> Vec<SupportedCipherSuite> {
    let (aes, chacha) = (
        [cipher_suite::TLS13_AES_128_GCM_SHA256, cipher_suite::TLS13_AES_256_GCM_SHA384],
        [cipher_suite::TLS13_CHACHA20_POLY1305_SHA256],
    );
    if has_aes { [&aes[..], &chacha].concat() } else { [&chacha[..], &aes].concat() }
}

pub(crate) fn has_aes() -> bool {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    return std::arch::is_x86_feature_detected!("aes");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("aes");
    #[cfg(not(any(target_arch = "x86", target_arch = "x86_64", target_arch = "aarch64")))]
    false
}

/// Judges the other end by its key alone: a key of this kind, the expected one if there is one, and proof of its secret.
#[derive(Debug)]
struct KeyVerifier {
    provider: Arc<CryptoProvider>,
    expected: Option<PublicKey>,
}

impl KeyVerifier {
    fn require_key(&self, shown: &CertificateDer<'_>) -> Result<(), Error> {
        let shown = PublicKey::from_spki(shown).ok_or(CertificateError::BadEncoding)?;
        if self.expected.is_some_and(|expected| expected != shown) {
            return Err(CertificateError::ApplicationVerificationFailure.into());
        }
        Ok(())
    }

    fn require_secret(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let spki = SubjectPublicKeyInfoDer::from(shown.as_ref());
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature_with_raw_key(message, &spki, signed, algorithms)
    }
}

/// What rustls asks in the same words of either end.
macro_rules! by_key_alone {
    () => {
        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Err(Error::General("only TLS 1.3 is spoken here".to_owned()))
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            self.require_secret(message, cert, dss)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            SCHEMES.to_vec()
        }

        fn requires_raw_public_keys(&self) -> bool {
            true
        }
    };
}

impl ServerCertVerifier for KeyVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.require_key(end_entity).map(|()| ServerCertVerified::assertion())
    }

    by_key_alone!();
}

impl ClientCertVerifier for KeyVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.require_key(end_entity).map(|()| ClientCertVerified::assertion())
    }

    by_key_alone!();
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::{ClientConnection, ServerConnection};

    fn key() -> SecretKey {
        SecretKey::generate().expect("random")
    }

    /// A handshake in memory; the ends afterwards, or the first trouble.
    fn shake_hands(
        client: Arc<ClientConfig>,
        server: Arc<ServerConfig>,
    ) -> Result<(ClientConnection, ServerConnection), Error> {
        let name = ServerName::try_from("larder.local").expect("a name");
        let mut client = ClientConnection::new(client, name)?;
        let mut server = ServerConnection::new(server)?;
        while client.is_handshaking() || server.is_handshaking() {
            let mut wire = Vec::new();
            while client.wants_write() {
                client.write_tls(&mut wire).expect("memory");
            }
            server.read_tls(&mut &*wire).expect("memory");
            server.process_new_packets()?;
            let mut wire = Vec::new();
            while server.wants_write() {
                server.write_tls(&mut wire).expect("memory");
            }
            client.read_tls(&mut &*wire).expect("memory");
            client.process_new_packets()?;
        }
        Ok((client, server))
    }

    #[test]
    fn both_ends_know_each_other_by_their_keys_alone() {
        let (laptop, appliance) = (key(), key());
        let (client, server) =
            shake_hands(client_config(&laptop, Some(appliance.public())), server_config(&appliance))
                .expect("a handshake");
        assert_eq!(peer_key(client.peer_certificates()), Some(appliance.public()));
        assert_eq!(peer_key(server.peer_certificates()), Some(laptop.public()));
    }

    /// An evil twin has another key, or shows the right one and cannot prove to have it.
    #[test]
    fn another_box_is_refused_in_the_handshake() {
        let (laptop, appliance, twin) = (key(), key(), key());
        let client = || client_config(&laptop, Some(appliance.public()));
        let refused = shake_hands(client(), server_config(&twin)).expect_err("another key");
        assert_eq!(refused, CertificateError::ApplicationVerificationFailure.into());
        let spki = CertificateDer::from(appliance.public().spki().to_vec());
        let signs = any_eddsa_type(&PrivatePkcs8KeyDer::from(twin.pkcs8())).expect("a key");
        let pretends = Arc::new(CertifiedKey::new(vec![spki], signs));
        let mut config = server_with(provider(true), &twin);
        config.cert_resolver = Arc::new(AlwaysResolvesServerRawPublicKeys::new(pretends));
        let refused = shake_hands(client(), Arc::new(config)).expect_err("no proof");
        assert_eq!(refused, CertificateError::BadSignature.into());
    }

    /// A caller cannot pass for somebody whose public key is known.
    #[test]
    fn a_key_without_its_secret_opens_nothing() {
        let (laptop, appliance, thief) = (key(), key(), key());
        let spki = CertificateDer::from(laptop.public().spki().to_vec());
        let signs = any_eddsa_type(&PrivatePkcs8KeyDer::from(thief.pkcs8())).expect("a key");
        let pretends = Arc::new(CertifiedKey::new(vec![spki], signs));
        let mut config = ClientConfig::clone(&client_config(&thief, Some(appliance.public())));
        config.client_auth_cert_resolver = Arc::new(AlwaysResolvesClientRawPublicKeys::new(pretends));
        let refused = shake_hands(Arc::new(config), server_config(&appliance)).expect_err("no proof");
        assert_eq!(refused, CertificateError::BadSignature.into());
    }

    /// The agent speaks TLS 1.2 to brokers, so the code for it is there.
    #[test]
    fn the_older_version_is_not_spoken() {
        let own = key();
        let client = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS12])
            .expect("ring knows TLS 1.2")
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let refused = shake_hands(Arc::new(client), server_config(&own)).expect_err("no TLS 1.2");
        assert!(matches!(refused, Error::PeerIncompatible(_)), "{refused:?}");
    }

    #[test]
    fn a_box_without_aes_chooses_chacha() {
        let (laptop, appliance) = (key(), key());
        for has_aes in [true, false] {
            let server = Arc::new(server_with(provider(has_aes), &appliance));
            let (client, _) = shake_hands(client_config(&laptop, None), server).expect("a handshake");
            assert_eq!(client.negotiated_cipher_suite(), suites(has_aes).first().copied());
        }
    }
}
