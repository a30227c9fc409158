//! The window in which a computer may pair: its code, its tries, its end.
//!
//! A code has eight digits and lives for two minutes; a window takes five tries, and after the tries of three windows without
//! a pairing no code helps for an hour. So nobody who guesses gets in within a lifetime. Not here: the exchange (`larder_trust`), who
//! opens a window (`edge::http::pairing`).

use larder_format::Hash;
use larder_format::ledger::Role;
use larder_trust::{ApplianceAnswer, Grant, PairingKeys, Proof, PublicKey};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A window is open for so long.
const OPEN_S: u64 = 120;
/// Tries of a window.
const TRIES_MAX: u32 = 5;
/// Windows whose tries may be used up without a pairing, before nobody pairs for a while.
const USED_UP_MAX: u32 = 3;
/// The while.
const LOCKED_S: u64 = 3600;
/// Codes there are: a person types one.
const CODES: u64 = 100_000_000;

/// Why a pairing does not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoPairing {
    /// No window is open.
    Closed,
    /// Too many tries were wrong; seconds until the next.
    Locked(u64),
    /// The message is none of the exchange.
    Garbled,
    /// The code was another one; tries that are left.
    WrongCode(u32),
}

/// Name of a computer's key in the ledger.
pub(crate) fn key_name(key: &PublicKey) -> Hash {
    Hash::of(&key.spki())
}

/// What a computer gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Granted {
    pub(crate) device: String,
    pub(crate) role: Role,
}

impl Granted {
    fn terms(&self) -> Grant<'_> {
        Grant { device: &self.device, role: self.role.word() }
    }
}

/// An answer that is on its way.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) message: Vec<u8>,
    pub(crate) proof: String,
    pub(crate) granted: Granted,
}

/// The window, if one is open, and what came before.
#[derive(Default)]
pub(crate) struct PairingWindows(Mutex<WindowState>);

#[derive(Default)]
struct WindowState {
    open: Option<Window>,
    /// Since a computer was paired last.
    tries: u32,
    locked_until_s: u64,
}

struct Window {
    code: String,
    granted: Granted,
    ends_s: u64,
    tries: u32,
    /// The computers that were answered, and what each has to show. One cannot take another's place.
    waiting: Vec<(PublicKey, Proof)>,
}

impl PairingWindows {
    fn state(&self, now_s: u64) -> MutexGuard<'_, WindowState> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.open = state.open.take().filter(|window| now_s < window.ends_s);
        state
    }

    fn unlocked(&self, now_s: u64) -> Result<MutexGuard<'_, WindowState>, NoPairing> {
        let state = self.state(now_s);
        match state.locked_until_s.checked_sub(now_s) {
            Some(left_s @ 1..) => Err(NoPairing::Locked(left_s)),
            _ => Ok(state),
        }
    }

    /// Opens a window with a new code, in the place of any other; returns the code and the seconds that it is open.
    /// `random` is not to be guessed.
    pub(crate) fn open(
        &self,
        now_s: u64,
        granted: Granted,
        random: [u8; 16],
    ) -> Result<(String, u64), NoPairing> {
        let mut state = self.unlocked(now_s)?;
        // Of 128 bits, so that no code is likelier than another.
        let code = format!("{:08}", u128::from_le_bytes(random) % u128::from(CODES));
        let ends_s = now_s.saturating_add(OPEN_S);
        state.open = Some(Window { code: code.clone(), granted, ends_s, tries: 0, waiting: Vec::new() });
        Ok((code, OPEN_S))
    }

    /// Answers a computer that tries a code.
    pub(crate) fn answer(
        &self,
        now_s: u64,
        keys: PairingKeys,
        message: &[u8],
    ) -> Result<Answered, NoPairing> {
        let mut state = self.unlocked(now_s)?;
        let window = state.open.as_mut().filter(|window| window.tries < TRIES_MAX);
        let Some(window) = window else { return Err(NoPairing::Closed) };
        // Counted before it is known whether the code was right: whoever never comes back has learnt that, too.
        window.tries += 1;
        let answer = ApplianceAnswer::to(message, &window.code, keys, &window.granted.terms());
        let answer = answer.map_err(|_| NoPairing::Garbled).map(|ApplianceAnswer { message, proofs }| {
            window.waiting.retain(|(key, _)| *key != keys.device);
            window.waiting.push((keys.device, proofs.device));
            let proof = proofs.appliance.to_hex().to_string();
            Answered { message, proof, granted: window.granted.clone() }
        });
        state.tries += 1;
        if state.tries >= TRIES_MAX * USED_UP_MAX {
            (state.tries, state.locked_until_s) = (0, now_s.saturating_add(LOCKED_S));
        }
        answer
    }

    /// Takes the proof of a computer that was answered. The window closes with the right one.
    pub(crate) fn confirm(&self, now_s: u64, device: PublicKey, proof: &str) -> Result<Granted, NoPairing> {
        let mut state = self.state(now_s);
        let Some(window) = &mut state.open else { return Err(NoPairing::Closed) };
        let waiting = window.waiting.iter().position(|(key, _)| *key == device);
        let Some(waiting) = waiting else { return Err(NoPairing::Closed) };
        let (_, expected) = window.waiting.swap_remove(waiting);
        if Proof::from_hex(proof).is_ok_and(|shown| shown == expected) {
            let granted = window.granted.clone();
            *state = WindowState::default();
            return Ok(granted);
        }
        Err(NoPairing::WrongCode(TRIES_MAX - window.tries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_trust::{DeviceSide, SecretKey};

    fn key() -> PublicKey {
        SecretKey::generate().expect("random").public()
    }

    fn granted() -> Granted {
        Granted { device: "laptop".to_owned(), role: Role::Push }
    }

    /// A computer with the key `keys.device` tries `code`.
    fn try_code(
        windows: &PairingWindows,
        now_s: u64,
        keys: PairingKeys,
        code: &str,
    ) -> Result<Granted, NoPairing> {
        let device = DeviceSide::begin(code, keys);
        let answered = windows.answer(now_s, keys, device.message())?;
        let terms = answered.granted.terms();
        let shown = Proof::from_hex(&answered.proof).expect("a proof");
        // Who guesses wrong cannot compute the right proof, and may send any.
        let proof = device
            .finish(&answered.message, &terms, shown)
            .map_or_else(|_| "00".repeat(32), |proofs| proofs.device.to_hex().to_string());
        windows.confirm(now_s, keys.device, &proof)
    }

    fn other_than(code: &str) -> &'static str {
        if code == "00000000" { "00000001" } else { "00000000" }
    }

    #[test]
    fn the_right_code_pairs_once() {
        let (windows, keys) = (PairingWindows::default(), PairingKeys { device: key(), appliance: key() });
        assert_eq!(try_code(&windows, 5, keys, "12345678"), Err(NoPairing::Closed));
        let (code, open_s) = windows.open(10, granted(), [7; 16]).expect("opened");
        assert_eq!((code.len(), open_s), (8, OPEN_S));
        assert_eq!(try_code(&windows, 20, keys, other_than(&code)), Err(NoPairing::WrongCode(4)));
        assert_eq!(try_code(&windows, 30, keys, &code), Ok(granted()));
        assert_eq!(try_code(&windows, 31, keys, &code), Err(NoPairing::Closed), "a code is used once");
        let (code, _) = windows.open(40, granted(), [8; 16]).expect("opened");
        assert_eq!(try_code(&windows, 40 + OPEN_S, keys, &code), Err(NoPairing::Closed), "too late");
    }

    /// A proof that one computer earned must not pair another.
    #[test]
    fn a_proof_belongs_to_the_key_that_earned_it() {
        let windows = PairingWindows::default();
        let (code, _) = windows.open(0, granted(), [1; 16]).expect("opened");
        let keys = PairingKeys { device: key(), appliance: key() };
        let device = DeviceSide::begin(&code, keys);
        let answered = windows.answer(1, keys, device.message()).expect("answered");
        let shown = Proof::from_hex(&answered.proof).expect("a proof");
        let proofs = device.finish(&answered.message, &answered.granted.terms(), shown).expect("proven");
        let proof = proofs.device.to_hex().to_string();
        assert_eq!(windows.confirm(1, key(), &proof), Err(NoPairing::Closed));
        assert_eq!(windows.confirm(1, keys.device, &proof), Ok(granted()), "nobody else can spend the try");
    }

    #[test]
    fn guessing_closes_the_window_and_then_the_door() {
        let windows = PairingWindows::default();
        for opened in 0..u64::from(USED_UP_MAX) {
            let now_s = opened * 10;
            let (code, _) = windows.open(now_s, granted(), [3; 16]).expect("opened");
            for left in (0..TRIES_MAX).rev() {
                // Each with a key of its own: tries are counted over all callers.
                let keys = PairingKeys { device: key(), appliance: key() };
                let tried = try_code(&windows, now_s, keys, other_than(&code));
                assert_eq!(tried, Err(NoPairing::WrongCode(left)));
            }
            let keys = PairingKeys { device: key(), appliance: key() };
            let late = try_code(&windows, now_s, keys, &code);
            assert!(matches!(late, Err(NoPairing::Closed | NoPairing::Locked(_))), "{late:?}");
        }
        let locked = Err(NoPairing::Locked(LOCKED_S));
        assert_eq!(windows.open(20, granted(), [3; 16]).map(drop), locked);
        assert!(windows.open(20 + LOCKED_S, granted(), [3; 16]).is_ok(), "an hour later");
    }

    /// Whoever asks and never shows a proof uses up tries as well: otherwise guesses would be free.
    #[test]
    fn a_try_that_is_broken_off_counts() {
        let windows = PairingWindows::default();
        let keys = PairingKeys { device: key(), appliance: key() };
        let (code, _) = windows.open(0, granted(), [3; 16]).expect("opened");
        let message = DeviceSide::begin("11111111", keys).message().to_vec();
        for _ in 0..TRIES_MAX {
            windows.answer(0, keys, &message).expect("answered");
        }
        assert_eq!(try_code(&windows, 0, keys, &code), Err(NoPairing::Closed));
    }

    /// Two at once, one of them a stranger: neither takes the other's try.
    #[test]
    fn a_try_of_another_computer_spoils_nothing() {
        let windows = PairingWindows::default();
        let (code, _) = windows.open(0, granted(), [1; 16]).expect("opened");
        let appliance = key();
        let keys = PairingKeys { device: key(), appliance };
        let device = DeviceSide::begin(&code, keys);
        let answered = windows.answer(1, keys, device.message()).expect("answered");
        for _ in 1..TRIES_MAX {
            let stranger = PairingKeys { device: key(), appliance };
            assert!(matches!(
                try_code(&windows, 1, stranger, other_than(&code)),
                Err(NoPairing::WrongCode(_))
            ));
        }
        let shown = Proof::from_hex(&answered.proof).expect("a proof");
        let proofs = device.finish(&answered.message, &answered.granted.terms(), shown).expect("proven");
        assert_eq!(windows.confirm(1, keys.device, &proofs.device.to_hex()), Ok(granted()));
    }

    /// Each answer lets a guess be checked. Whoever takes them and leaves meets the lock like one who stays.
    #[test]
    fn guesses_that_are_never_shown_lock_as_well() {
        let windows = PairingWindows::default();
        let keys = PairingKeys { device: key(), appliance: key() };
        let message = DeviceSide::begin("11111111", keys).message().to_vec();
        let mut answers = 0;
        for window in 0..20 {
            let now_s = window * OPEN_S;
            if windows.open(now_s, granted(), [3; 16]).is_err() {
                break;
            }
            // One less than a window takes: the window ends by its time.
            answers += (1..TRIES_MAX).filter(|_| windows.answer(now_s, keys, &message).is_ok()).count();
        }
        assert_eq!(answers, 15);
    }
}
