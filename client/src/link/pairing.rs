//! Pairing by a code that the appliance shows: both ends prove to have it, and to have seen the same two keys.

use super::{answer::AnswerSize, connection::Connection, pinned::PinnedTls};
use crate::{
    ClientError,
    settings::{PairedAppliance, PairedKeys},
};
use larder_format::wire::{Identity, PairingAnswer, PairingBegin, PairingProof};
use larder_trust::{DeviceSide, Grant, PairingKeys, Proof, SecretKey, TrustError, from_hex, to_hex};

/// Digits of a code.
pub(crate) const CODE_DIGITS: usize = 8;

/// Pairs with the appliance at `address` (`https://HOST:PORT`), which shows `code`. `name` is taken by an appliance whose owner has
/// named no computer.
///
/// # Errors
/// Those of a question; `Refused` for a wrong code; `Damaged` where the far end cannot prove that it has the code.
pub(crate) fn pair_by_code(
    address: &str,
    code: &str,
    name: Option<&str>,
) -> Result<(PairedAppliance, Identity), ClientError> {
    let own = SecretKey::generate()
        .map_err(|error| ClientError::local("making a key", "", std::io::Error::other(error)))?;
    let tls = PinnedTls::new(&own, None);
    let seen = tls.seen();
    let stranger = Connection::over(tls, address).without_retries();
    stranger.get_bytes("/v1/health", AnswerSize::Facts)?;
    let appliance = seen.get().ok_or_else(|| not_proven(TrustError::Garbled))?;
    let keys = PairingKeys { device: own.public(), appliance };
    let pairing = PairedAppliance { address: address.to_owned(), keys: PairedKeys { appliance, own } };
    // Once only: each question is a try.
    let connection = Connection::new(&pairing).without_retries();
    let exchange = DeviceSide::begin(code, keys);
    let begin = PairingBegin { message: to_hex(exchange.message()), device: name.map(str::to_owned) };
    let answer: PairingAnswer =
        connection.say("/v1/pair", &serde_json::to_vec(&begin).expect("plain values encode"))?;
    let message = from_hex(&answer.message).ok_or_else(|| not_proven(TrustError::Garbled))?;
    let shown = Proof::from_hex(&answer.proof).map_err(|_| not_proven(TrustError::Garbled))?;
    if !answer.sees.fits(answer.role) {
        return Err(not_proven(TrustError::Garbled));
    }
    let sees = answer.sees.terms();
    let grant = Grant { device: &answer.device, role: answer.role.word(), sees: &sees };
    // With a wrong code the appliance is told nothing useful, so that it can say how many tries are left.
    let proof = match exchange.finish(&message, &grant, shown) {
        Ok(proofs) => proofs.device.to_hex().to_string(),
        Err(TrustError::NotProven) => "0".repeat(64),
        Err(error) => return Err(not_proven(error)),
    };
    let is_proven = proof.bytes().any(|digit| digit != b'0');
    let shown = serde_json::to_vec(&PairingProof { proof }).expect("plain values encode");
    let identity: Identity = match connection.say("/v1/pair/confirm", &shown) {
        // The answer was lost, and the key may be known all the same: given up, it would stay in force without an owner.
        Err(lost @ ClientError::Unreachable { .. }) if is_proven => {
            let again = Connection::new(&pairing).awaited();
            again.get("/v1/me", AnswerSize::Facts).map_err(|_| lost)?
        }
        said => said?,
    };
    if !is_proven {
        return Err(not_proven(TrustError::NotProven));
    }
    // What was proven is what is told.
    let PairingAnswer { device, role, sees, .. } = answer;
    Ok((pairing, Identity { device, role, sees: Some(sees), ..identity }))
}

fn not_proven(error: TrustError) -> ClientError {
    ClientError::Damaged(format!("the pairing was broken off: {error}"))
}
