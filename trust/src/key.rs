//! Key pairs of Ed25519, each the identity of one appliance or one computer.

use crate::hex::{from_hex, to_hex};
use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use std::fmt;

/// What stands before the 32 bytes of a key in a `SubjectPublicKeyInfo` (RFC 8410).
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// Why a key or an exchange is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// The system gives no random numbers.
    #[error("this computer gives no random numbers")]
    NoRandom,
    /// Not the text of a key.
    #[error("this is not a key")]
    NoKey,
    /// A message of the exchange that no honest end sends.
    #[error("the other end does not speak the exchange of a pairing")]
    Garbled,
    /// The other end used another code, another key, or other terms.
    #[error("the code is another one, or somebody stands in between")]
    NotProven,
}

/// The public half of a key pair.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// The key in a `SubjectPublicKeyInfo`, as TLS carries it; nothing for a key of another kind.
    pub fn from_spki(spki: &[u8]) -> Option<Self> {
        let bytes = spki.strip_prefix(&SPKI_PREFIX)?;
        bytes.try_into().ok().map(Self)
    }

    /// As TLS carries it.
    pub fn spki(&self) -> [u8; 44] {
        let mut spki = [0; 44];
        spki[..12].copy_from_slice(&SPKI_PREFIX);
        spki[12..].copy_from_slice(&self.0);
        spki
    }

    /// The 32 bytes.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether the owner of the key signed these bytes. `signature` may be anything.
    pub fn has_signed(&self, bytes: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0).verify(bytes, signature).is_ok()
    }

    /// Reads 64 hex digits.
    ///
    /// # Errors
    /// `NoKey`.
    pub fn from_hex(text: &str) -> Result<Self, TrustError> {
        let bytes = from_hex(text).ok_or(TrustError::NoKey)?;
        bytes.try_into().map(Self).map_err(|_| TrustError::NoKey)
    }
}

/// 64 hex digits.
impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_hex(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A key pair. Whoever has its text is this appliance, or this computer.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretKey {
    /// Version 2 of PKCS#8, with the public half.
    pkcs8: Vec<u8>,
    public: PublicKey,
}

// The secret must not end up in a log by way of `{:?}`.
impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretKey").field("public", &self.public).finish_non_exhaustive()
    }
}

impl SecretKey {
    /// A new key pair.
    ///
    /// # Errors
    /// `NoRandom`.
    pub fn generate() -> Result<Self, TrustError> {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| TrustError::NoRandom)?;
        Self::from_pkcs8(pkcs8.as_ref().to_vec())
    }

    /// Reads the text that `to_hex` wrote.
    ///
    /// # Errors
    /// `NoKey`, also where the halves do not belong together.
    pub fn from_hex(text: &str) -> Result<Self, TrustError> {
        Self::from_pkcs8(from_hex(text).ok_or(TrustError::NoKey)?)
    }

    fn from_pkcs8(pkcs8: Vec<u8>) -> Result<Self, TrustError> {
        let pair = Ed25519KeyPair::from_pkcs8(&pkcs8).map_err(|_| TrustError::NoKey)?;
        let public = pair.public_key().as_ref().try_into().map_err(|_| TrustError::NoKey)?;
        Ok(Self { pkcs8, public: PublicKey(public) })
    }

    /// The secret as hex digits, for a file that nobody else reads.
    pub fn to_hex(&self) -> String {
        to_hex(&self.pkcs8)
    }

    /// Signs bytes, always with the same result (Ed25519). The bytes must begin with a magic of their own kind: TLS uses the
    /// same key.
    ///
    /// # Panics
    /// Never: the bytes of the pair were read when the key was made.
    pub fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        let pair = Ed25519KeyPair::from_pkcs8(&self.pkcs8).expect("read before");
        pair.sign(bytes).as_ref().try_into().expect("64 bytes")
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        self.public
    }

    pub(crate) fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_back_from_its_text_and_tells_no_secret() {
        let key = SecretKey::generate().expect("random");
        let text = key.to_hex();
        assert_eq!(SecretKey::from_hex(&text), Ok(key.clone()));
        let public = key.public();
        assert_eq!(PublicKey::from_hex(&public.to_string()), Ok(public));
        assert_eq!(PublicKey::from_spki(&public.spki()), Some(public));
        let told = format!("{key:?}");
        assert!(told.contains(&public.to_string()) && !told.contains(&text[20..60]), "{told}");
    }

    #[test]
    fn a_signature_is_good_for_its_bytes_and_its_key_alone() {
        let (one, other) = (SecretKey::generate().expect("random"), SecretKey::generate().expect("random"));
        let signature = one.sign(b"the past");
        assert_eq!(signature, one.sign(b"the past"));
        assert!(one.public().has_signed(b"the past", &signature));
        assert!(!one.public().has_signed(b"the pasta", &signature));
        assert!(!other.public().has_signed(b"the past", &signature));
        for changed in 0..64 {
            let mut signature = signature;
            signature[changed] ^= 1;
            assert!(!one.public().has_signed(b"the past", &signature), "{changed}");
        }
        for none in [&[][..], &signature[..63], &[0; 64], &[255; 64], &[0; 1000]] {
            assert!(!one.public().has_signed(b"the past", none));
        }
    }

    #[test]
    fn what_is_no_key_is_told() {
        for text in ["", "0", "zz", "00ff", "é", &"00".repeat(85)] {
            assert_eq!(SecretKey::from_hex(text), Err(TrustError::NoKey), "{text}");
        }
        // The public half of another pair.
        let (one, other) = (SecretKey::generate().expect("random"), SecretKey::generate().expect("random"));
        let (one, other) = (one.to_hex(), other.to_hex());
        let mixed = format!("{}{}", &one[..one.len() - 64], &other[other.len() - 64..]);
        assert_eq!(SecretKey::from_hex(&mixed), Err(TrustError::NoKey));
        for spki in [&[][..], &[0; 44], &SPKI_PREFIX, &[&SPKI_PREFIX[..], &[0; 33]].concat()] {
            assert_eq!(PublicKey::from_spki(spki), None, "{spki:?}");
        }
    }
}
