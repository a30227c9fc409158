//! The window in which a computer may pair: its code, its tries, its end.
//!
//! A code has eight digits and lives for two minutes; a window takes five tries, and after three windows that were used up
//! no code helps for an hour. So nobody who guesses gets in within a lifetime. Not here: the exchange (`larder_trust`), who
//! opens a window (`edge::http::pairing`).

use larder_format::ledger::Role;
use larder_trust::{ApplianceAnswer, Grant, PairingKeys, PairingProofs, Proof, PublicKey};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A window is open for so long.
const OPEN_S: u64 = 120;
/// Tries of a window.
const TRIES_MAX: u32 = 5;
/// Windows that were used up in a row, before nobody pairs for a while.
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
    /// Too many windows were used up; seconds until the next.
    Locked(u64),
    /// The message is none of the exchange.
    Garbled,
    /// The code was another one; tries that are left.
    WrongCode(u32),
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
    used_up: u32,
    locked_until_s: u64,
}

struct Window {
    code: String,
    granted: Granted,
    ends_s: u64,
    tries: u32,
    /// The computer that tried last, and what the proofs must be.
    waiting: Option<(PublicKey, PairingProofs)>,
}

impl PairingWindows {
    fn state(&self, now_s: u64) -> MutexGuard<'_, WindowState> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.open = state.open.take().filter(|window| now_s < window.ends_s);
        state
    }

    /// Opens a window with a new code, in the place of any other; returns the code and the seconds that it is open.
    /// `random` is not to be guessed.
    pub(crate) fn open(
        &self,
        now_s: u64,
        granted: Granted,
        random: [u8; 16],
    ) -> Result<(String, u64), NoPairing> {
        let mut state = self.state(now_s);
        if now_s < state.locked_until_s {
            return Err(NoPairing::Locked(state.locked_until_s - now_s));
        }
        // Of 128 bits, so that no code is likelier than another.
        let code = format!("{:08}", u128::from_le_bytes(random) % u128::from(CODES));
        let ends_s = now_s.saturating_add(OPEN_S);
        state.open = Some(Window { code: code.clone(), granted, ends_s, tries: 0, waiting: None });
        Ok((code, OPEN_S))
    }

    /// Answers a computer that tries a code.
    pub(crate) fn answer(
        &self,
        now_s: u64,
        keys: PairingKeys,
        message: &[u8],
    ) -> Result<Answered, NoPairing> {
        let mut state = self.state(now_s);
        if now_s < state.locked_until_s {
            return Err(NoPairing::Locked(state.locked_until_s - now_s));
        }
        let Some(window) = &mut state.open else { return Err(NoPairing::Closed) };
        if window.tries >= TRIES_MAX {
            state.use_up(now_s);
            return Err(NoPairing::Closed);
        }
        // Counted before it is known whether the code was right: whoever never comes back has learnt that, too.
        window.tries += 1;
        let answer = ApplianceAnswer::to(message, &window.code, keys, &window.granted.terms())
            .map_err(|_| NoPairing::Garbled)?;
        window.waiting = Some((keys.device, answer.proofs));
        let proof = answer.proofs.appliance.to_hex().to_string();
        Ok(Answered { message: answer.message, proof, granted: window.granted.clone() })
    }

    /// Takes the proof of a computer; the window closes, whether the proof holds or was the last try.
    pub(crate) fn confirm(&self, now_s: u64, device: PublicKey, proof: &str) -> Result<Granted, NoPairing> {
        let mut state = self.state(now_s);
        let Some(window) = &mut state.open else { return Err(NoPairing::Closed) };
        let waiting = window.waiting.take().filter(|(key, _)| *key == device);
        let Some((_, proofs)) = waiting else { return Err(NoPairing::Closed) };
        if blake3_of(proof).is_some_and(|proof| proof == proofs.device) {
            let granted = window.granted.clone();
            *state = WindowState::default();
            return Ok(granted);
        }
        let left = TRIES_MAX - window.tries;
        if left == 0 {
            state.use_up(now_s);
        }
        Err(NoPairing::WrongCode(left))
    }
}

impl WindowState {
    fn use_up(&mut self, now_s: u64) {
        self.open = None;
        self.used_up += 1;
        if self.used_up >= USED_UP_MAX {
            *self = Self { locked_until_s: now_s.saturating_add(LOCKED_S), ..Self::default() };
        }
    }
}

fn blake3_of(hex: &str) -> Option<Proof> {
    Proof::from_hex(hex).ok()
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
        let shown = blake3_of(&answered.proof).expect("a proof");
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
        let shown = blake3_of(&answered.proof).expect("a proof");
        let proofs = device.finish(&answered.message, &answered.granted.terms(), shown).expect("proven");
        let proof = proofs.device.to_hex().to_string();
        assert_eq!(windows.confirm(1, key(), &proof), Err(NoPairing::Closed));
        assert_eq!(windows.confirm(1, keys.device, &proof), Err(NoPairing::Closed), "the try is spent");
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
}
