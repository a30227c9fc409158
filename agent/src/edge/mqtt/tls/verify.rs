//! Which broker is the right one, and what a handshake showed.
//!
//! With authorities the certificate is judged whole: chain, name, dates. With a pinned fingerprint it is that one certificate or
//! none, and names and dates say nothing more; that the broker has its key is proven by the handshake in both cases. What the
//! broker showed is kept, because the library's errors do not tell it, and the owner has to compare it. Not here: the words
//! (`troubles`).

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ::ring::digest::{SHA256, digest};
use rumqttc::v5::StateError;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::client::{ResolvesClientCert, WebPkiServerVerifier};
use tokio_rustls::rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{
    AlertDescription, CertificateError, DigitallySignedStruct, Error, SignatureScheme,
};

use super::super::failure::{ConnectionFailure, TlsFailure, is_closed};

/// What decides about a certificate.
#[derive(Debug)]
pub(super) enum Judge {
    Authorities(Arc<WebPkiServerVerifier>),
    Fingerprint([u8; 32]),
}

/// What one handshake showed.
#[derive(Debug, Default)]
pub(crate) struct Handshake {
    /// SHA-256 of the broker's certificate.
    seen: Mutex<Option<[u8; 32]>>,
    /// Whether the broker asked for our certificate.
    asked: AtomicBool,
}

impl Handshake {
    fn seen(&self) -> [u8; 32] {
        // An error about a certificate comes after the certificate.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).unwrap_or_default()
    }

    /// The failure behind an error of the handshake.
    pub(super) fn failure(&self, error: &io::Error, has_certificate: bool) -> TlsFailure {
        match of_rustls(error) {
            Some(Error::InvalidCertificate(why)) => self.of_certificate(why),
            Some(Error::AlertReceived(alert)) => self.of_alert(*alert, has_certificate),
            // A port that speaks something else answers something else, or closes.
            Some(Error::InvalidMessage(_)) => TlsFailure::NotTls,
            Some(other) => TlsFailure::Handshake(other.to_string()),
            None if is_closed(error) => match self.refusal(has_certificate) {
                Some(refusal) => refusal,
                None => TlsFailure::NotTls,
            },
            None => TlsFailure::Handshake(error.to_string()),
        }
    }

    /// A failure right after the handshake, in which a broker with TLS 1.3 first says what it thinks of our certificate.
    pub(crate) fn explain(&self, failure: ConnectionFailure, has_certificate: bool) -> ConnectionFailure {
        let found = match &failure {
            ConnectionFailure::ClosedAtOnce => self.refusal(has_certificate),
            ConnectionFailure::Broken(StateError::Io(error)) => match of_rustls(error) {
                Some(Error::AlertReceived(alert)) => Some(self.of_alert(*alert, has_certificate)),
                _ => None,
            },
            _ => None,
        };
        found.map_or(failure, ConnectionFailure::Tls)
    }

    /// A broker that asked for a certificate and then closed without a word did so for the want of one.
    fn refusal(&self, has_certificate: bool) -> Option<TlsFailure> {
        let asked = self.asked.load(Ordering::Relaxed);
        (asked && !has_certificate).then_some(TlsFailure::WantsCertificate)
    }

    fn of_alert(&self, alert: AlertDescription, has_certificate: bool) -> TlsFailure {
        if !self.asked.load(Ordering::Relaxed) {
            return TlsFailure::Handshake(format!("the broker ended it: {alert:?}"));
        }
        if has_certificate {
            return TlsFailure::RefusesCertificate { why: alert };
        }
        TlsFailure::WantsCertificate
    }

    fn of_certificate(&self, error: &CertificateError) -> TlsFailure {
        let seen = self.seen();
        let seconds = |time: &UnixTime| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        match error {
            CertificateError::ApplicationVerificationFailure => TlsFailure::OtherFingerprint { seen },
            CertificateError::UnknownIssuer => TlsFailure::UnknownAuthority { seen },
            CertificateError::BadSignature => TlsFailure::NoProof,
            CertificateError::NotValidForNameContext { presented, .. } => {
                TlsFailure::WrongName { presented: presented.clone() }
            }
            CertificateError::ExpiredContext { not_after, .. } => {
                TlsFailure::Expired { not_after_s: seconds(not_after) }
            }
            CertificateError::NotValidYetContext { not_before, .. } => {
                TlsFailure::NotYetValid { not_before_s: seconds(not_before) }
            }
            // The library has no case of its own for what `openssl req -x509` makes.
            CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
                TlsFailure::AuthorityAsBroker { seen }
            }
            other => TlsFailure::BadCertificate { why: other.to_string(), seen },
        }
    }
}

/// The library's error inside of an error of the stream.
fn of_rustls(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

/// Judges the broker's certificate, and keeps what was shown.
#[derive(Debug)]
pub(super) struct BrokerVerifier {
    judge: Judge,
    algorithms: WebPkiSupportedAlgorithms,
    handshake: Arc<Handshake>,
}

impl BrokerVerifier {
    pub(super) fn new(judge: Judge, provider: &CryptoProvider, handshake: Arc<Handshake>) -> Self {
        Self { judge, algorithms: provider.signature_verification_algorithms, handshake }
    }
}

impl ServerCertVerifier for BrokerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let mut seen = [0; 32];
        seen.copy_from_slice(digest(&SHA256, end_entity).as_ref());
        *self.handshake.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
        match &self.judge {
            Judge::Authorities(authorities) => authorities
                .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
                .map_err(|error| match error {
                    // An authority of the same name with another key. In the handshake this error has another meaning.
                    Error::InvalidCertificate(CertificateError::BadSignature) => {
                        CertificateError::UnknownIssuer.into()
                    }
                    other => other,
                }),
            Judge::Fingerprint(expected) if *expected == seen => Ok(ServerCertVerified::assertion()),
            Judge::Fingerprint(_) => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }

    // A pinned certificate is no secret: without these proofs anybody could show it.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Shows our certificate, if there is one, and keeps that the broker asked.
#[derive(Debug)]
pub(super) struct ClientProof {
    certified: Option<Arc<CertifiedKey>>,
    handshake: Arc<Handshake>,
}

impl ClientProof {
    pub(super) fn new(certified: Option<CertifiedKey>, handshake: Arc<Handshake>) -> Self {
        Self { certified: certified.map(Arc::new), handshake }
    }
}

impl ResolvesClientCert for ClientProof {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.handshake.asked.store(true, Ordering::Relaxed);
        self.certified.clone()
    }

    fn has_certs(&self) -> bool {
        // Otherwise the library does not ask, and we do not learn that the broker did.
        true
    }
}
