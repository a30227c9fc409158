//! TLS 1.3 for browsers, which know no raw public keys: a certificate with its key.
//!
//! No caller is known by it: whoever comes this way has shown nothing. Not here: making the certificate (the agent).

use crate::tls::{has_aes, provider, server_builder, without_memory};
use ring::digest::{SHA256, digest};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::fmt::{self, Write};
use std::sync::Arc;

/// A certificate and the key that belongs to it.
pub struct BrowserIdentity {
    pem: String,
    certificate: CertificateDer<'static>,
    config: Arc<ServerConfig>,
}

impl BrowserIdentity {
    /// The certificate and its key (PKCS #8) in one PEM text; none in any other text, or where the two are no pair.
    pub fn from_pem(text: &str) -> Option<Self> {
        let certificate = CertificateDer::from_pem_slice(text.as_bytes()).ok()?;
        let key = PrivatePkcs8KeyDer::from_pem_slice(text.as_bytes()).ok()?;
        let (chain, key) = (vec![certificate.clone()], PrivateKeyDer::Pkcs8(key));
        let config = server_builder(provider(has_aes())).with_no_client_auth().with_single_cert(chain, key);
        let mut config = without_memory(config.ok()?);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Some(Self { pem: text.to_owned(), certificate, config: Arc::new(config) })
    }

    /// Shows the certificate, and asks for none.
    pub fn config(&self) -> &Arc<ServerConfig> {
        &self.config
    }

    /// As `from_pem` read it.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// SHA-256 of the certificate as browsers show it: pairs of hex digits with colons between them.
    pub fn fingerprint(&self) -> String {
        let hash = digest(&SHA256, &self.certificate);
        let mut text = String::with_capacity(95);
        for (place, byte) in hash.as_ref().iter().enumerate() {
            let colon = if place == 0 { "" } else { ":" };
            write!(text, "{colon}{byte:02X}").expect("text takes text");
        }
        text
    }
}

impl fmt::Debug for BrowserIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BrowserIdentity").field("fingerprint", &self.fingerprint()).finish_non_exhaustive()
    }
}
