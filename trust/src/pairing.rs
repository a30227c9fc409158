//! The exchange that introduces a computer to an appliance by a short code: SPAKE2 inside TLS.
//!
//! A code of eight digits can be guessed by whoever may try it offline; SPAKE2 gives one guess for each try. The exchange is
//! bound to both keys as each end saw them in TLS: with somebody in between the two ends saw different keys, and no proof
//! holds. Not here: how many tries there are, and for how long (`agent`).

use crate::{PublicKey, TrustError};
use spake2::{Ed25519Group, Identity, Password, Spake2};

const DEVICE: &[u8] = b"larder pairing 1: device";
const APPLIANCE: &[u8] = b"larder pairing 1: appliance";
const PROOF_OF_DEVICE: &str = "larder 2026-12-02 pairing: proof of the device";
const PROOF_OF_APPLIANCE: &str = "larder 2026-12-02 pairing: proof of the appliance";

/// The keys of both ends, as one end saw them in TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PairingKeys {
    /// Key of the computer.
    pub device: PublicKey,
    /// Key of the appliance.
    pub appliance: PublicKey,
}

impl PairingKeys {
    fn identity(&self, end: &[u8]) -> Identity {
        Identity::new(&[end, self.device.bytes(), self.appliance.bytes()].concat())
    }
}

/// What the appliance grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant<'a> {
    /// Name of the computer at this appliance.
    pub device: &'a str,
    /// Name of the role.
    pub role: &'a str,
    /// The past that the key may see, as one text for each meaning (docs/protocol.md).
    pub sees: &'a str,
}

/// What an end shows. Equality takes the same time whatever is compared.
pub type Proof = blake3::Hash;

/// What each end shows to prove that it has the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PairingProofs {
    /// Shown by the computer.
    pub device: Proof,
    /// Shown by the appliance.
    pub appliance: Proof,
}

impl PairingProofs {
    fn of(secret: &[u8], keys: &PairingKeys, messages: [&[u8]; 2], grant: &Grant<'_>) -> Self {
        let mut transcript = Vec::new();
        let [asked, answered] = messages;
        let parts = [keys.device.bytes(), keys.appliance.bytes(), asked, answered];
        let Grant { device, role, sees } = grant;
        for part in parts.into_iter().chain([device, role, sees].map(|part| part.as_bytes())) {
            // Without the length a byte could move from one part to the next.
            transcript.extend_from_slice(&(part.len() as u64).to_le_bytes());
            transcript.extend_from_slice(part);
        }
        let proof = |context| blake3::keyed_hash(&blake3::derive_key(context, secret), &transcript);
        Self { device: proof(PROOF_OF_DEVICE), appliance: proof(PROOF_OF_APPLIANCE) }
    }
}

/// The computer's end of an exchange.
pub struct DeviceSide {
    exchange: Spake2<Ed25519Group>,
    keys: PairingKeys,
    message: Vec<u8>,
}

impl DeviceSide {
    /// Begins with the typed code.
    pub fn begin(code: &str, keys: PairingKeys) -> Self {
        let (device, appliance) = (keys.identity(DEVICE), keys.identity(APPLIANCE));
        let (exchange, message) = Spake2::start_a(&Password::new(code.as_bytes()), &device, &appliance);
        Self { exchange, keys, message }
    }

    /// The message to the appliance.
    pub fn message(&self) -> &[u8] {
        &self.message
    }

    /// Takes the appliance's answer; returns what to show.
    ///
    /// # Errors
    /// `Garbled`, and `NotProven` where the appliance has not shown that it knows the code.
    pub fn finish(self, answer: &[u8], grant: &Grant<'_>, shown: Proof) -> Result<PairingProofs, TrustError> {
        let Self { exchange, keys, message } = self;
        let secret = exchange.finish(answer).map_err(|_| TrustError::Garbled)?;
        let proofs = PairingProofs::of(&secret, &keys, [&message, answer], grant);
        if proofs.appliance == shown { Ok(proofs) } else { Err(TrustError::NotProven) }
    }
}

/// The appliance's answer to the message of a computer.
pub struct ApplianceAnswer {
    /// The message to the computer.
    pub message: Vec<u8>,
    /// The appliance shows its own, and waits for the computer's.
    pub proofs: PairingProofs,
}

impl ApplianceAnswer {
    /// Answers with the code that the appliance showed. Whoever sent the message used up one try with it.
    ///
    /// # Errors
    /// `Garbled`.
    pub fn to(message: &[u8], code: &str, keys: PairingKeys, grant: &Grant<'_>) -> Result<Self, TrustError> {
        let (device, appliance) = (keys.identity(DEVICE), keys.identity(APPLIANCE));
        let (exchange, answer) =
            Spake2::<Ed25519Group>::start_b(&Password::new(code.as_bytes()), &device, &appliance);
        let secret = exchange.finish(message).map_err(|_| TrustError::Garbled)?;
        let proofs = PairingProofs::of(&secret, &keys, [message, &answer], grant);
        Ok(Self { message: answer, proofs })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SecretKey;

    fn key() -> PublicKey {
        SecretKey::generate().expect("random").public()
    }

    const GRANT: Grant<'static> = Grant { device: "laptop", role: "user", sees: "own,old" };

    /// What becomes of an exchange in which the ends use these codes, saw these keys, and heard of these grants.
    fn exchange(codes: [&str; 2], keys: [PairingKeys; 2], grants: [Grant<'_>; 2]) -> Result<(), TrustError> {
        let device = DeviceSide::begin(codes[0], keys[0]);
        let answer = ApplianceAnswer::to(device.message(), codes[1], keys[1], &grants[1])?;
        let proofs = device.finish(&answer.message, &grants[0], answer.proofs.appliance)?;
        if proofs.device == answer.proofs.device { Ok(()) } else { Err(TrustError::NotProven) }
    }

    #[test]
    fn only_the_same_code_the_same_keys_and_the_same_terms_hold() {
        let keys = PairingKeys { device: key(), appliance: key() };
        let same = [keys; 2];
        assert_eq!(exchange(["12345678"; 2], same, [GRANT; 2]), Ok(()));
        let failed = Err(TrustError::NotProven);
        assert_eq!(exchange(["12345678", "12345679"], same, [GRANT; 2]), failed);
        // The twin in between shows its own key to each end.
        let twin = key();
        let seen = [PairingKeys { appliance: twin, ..keys }, PairingKeys { device: twin, ..keys }];
        assert_eq!(exchange(["12345678"; 2], seen, [GRANT; 2]), failed);
        for grant in [
            Grant { role: "admin", ..GRANT },
            Grant { device: "lapto", role: "puser", ..GRANT },
            Grant { sees: "*", ..GRANT },
            Grant { sees: "own,", ..GRANT },
            Grant { role: "usero", sees: "wn,old", ..GRANT },
        ] {
            assert_eq!(exchange(["12345678"; 2], same, [grant, GRANT]), failed, "{grant:?}");
        }
    }

    #[test]
    fn an_end_that_mirrors_or_garbles_proves_nothing() {
        let keys = PairingKeys { device: key(), appliance: key() };
        for garbled in [&b""[..], b"x", &[0; 33], &[255; 400]] {
            assert!(ApplianceAnswer::to(garbled, "12345678", keys, &GRANT).is_err(), "{garbled:?}");
        }
        // Without the code, a box can only send back what it heard.
        let device = DeviceSide::begin("12345678", keys);
        let heard = device.message().to_vec();
        assert!(device.finish(&heard, &GRANT, blake3::hash(b"guess")).is_err());
    }
}
