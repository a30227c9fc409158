//! The window in which a computer may pair: its code, its tries, its end.
//!
//! A code has eight digits and lives for two minutes; a window takes five tries, and after the tries of three windows without
//! a pairing no code helps for an hour. So nobody who guesses gets in within a lifetime. Not here: the exchange (`larder_trust`), who
//! opens a window (`edge::http::pairing`).

use crate::report::{PairingReport, PairingState};
use jiff::Timestamp;
use larder_format::Hash;
use larder_format::ledger::{Role, Sees, WallStamp};
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
    pub(crate) sees: Sees,
}

/// An answer that is on its way.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) message: Vec<u8>,
    pub(crate) proof: String,
    pub(crate) granted: Granted,
}

/// A try of a code.
#[derive(Debug)]
pub(crate) struct Tried {
    pub(crate) answer: Result<Answered, NoPairing>,
    /// It was the last one before nobody pairs for a while.
    pub(crate) has_locked: bool,
}

/// The window, if one is open, and what came before.
#[derive(Default)]
pub(crate) struct PairingWindows(Mutex<WindowState>);

#[derive(Default)]
struct WindowState {
    open: Option<Window>,
    /// Since a computer was paired last.
    tries: u32,
    locked_until: Deadline,
}

struct Window {
    code: String,
    granted: Granted,
    ends: Deadline,
    tries: u32,
    /// The computers that were answered, and what each has to show. One cannot take another's place.
    waiting: Vec<(PublicKey, Proof)>,
}

/// The end of a span, judged by the running time of the box; the wall clock only tells people.
#[derive(Clone, Copy, Default)]
struct Deadline {
    powered_on_s: u64,
    time_ms: i64,
}

impl Deadline {
    fn after(now: &WallStamp, span_s: u64) -> Self {
        Self {
            powered_on_s: now.powered_on_s.saturating_add(span_s),
            time_ms: now.time_ms.saturating_add_unsigned(span_s * 1000),
        }
    }

    /// 0 once it is over.
    fn left_s(&self, now: &WallStamp) -> u64 {
        self.powered_on_s.saturating_sub(now.powered_on_s)
    }

    fn moment(&self) -> Option<Timestamp> {
        // Whole seconds: nobody reads more, and a dashboard shows each digit.
        Timestamp::from_second(self.time_ms.div_euclid(1000)).ok()
    }
}

impl PairingWindows {
    fn state(&self, now: &WallStamp) -> MutexGuard<'_, WindowState> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.open = state.open.take().filter(|window| window.ends.left_s(now) > 0);
        state
    }

    fn unlocked(&self, now: &WallStamp) -> Result<MutexGuard<'_, WindowState>, NoPairing> {
        let state = self.state(now);
        match state.locked_until.left_s(now) {
            0 => Ok(state),
            left_s => Err(NoPairing::Locked(left_s)),
        }
    }

    /// How pairing stands, for every view of the owner; never the code.
    pub(crate) fn report(&self, now: &WallStamp) -> PairingReport {
        let state = self.state(now);
        let is_locked = state.locked_until.left_s(now) > 0;
        // Without a try left nobody can pair, however long the window would still be open.
        match state.open.as_ref().filter(|window| window.tries < TRIES_MAX) {
            _ if is_locked => PairingReport {
                state: PairingState::Locked,
                until: state.locked_until.moment(),
                ..PairingReport::default()
            },
            Some(window) => PairingReport {
                state: PairingState::Open,
                device: Some(window.granted.device.clone()),
                role: Some(window.granted.role),
                until: window.ends.moment(),
            },
            None => PairingReport::default(),
        }
    }

    /// Opens a window with a new code, in the place of any other; returns the code and the seconds that it is open.
    /// `random` is not to be guessed.
    pub(crate) fn open(
        &self,
        now: &WallStamp,
        granted: Granted,
        random: [u8; 16],
    ) -> Result<(String, u64), NoPairing> {
        let mut state = self.unlocked(now)?;
        // Of 128 bits, so that no code is likelier than another.
        let code = format!("{:08}", u128::from_le_bytes(random) % u128::from(CODES));
        let ends = Deadline::after(now, OPEN_S);
        state.open = Some(Window { code: code.clone(), granted, ends, tries: 0, waiting: Vec::new() });
        Ok((code, OPEN_S))
    }

    /// Answers a computer that tries a code.
    pub(crate) fn answer(&self, now: &WallStamp, keys: PairingKeys, message: &[u8]) -> Tried {
        let refused = |why| Tried { answer: Err(why), has_locked: false };
        let mut state = match self.unlocked(now) {
            Ok(state) => state,
            Err(why) => return refused(why),
        };
        let window = state.open.as_mut().filter(|window| window.tries < TRIES_MAX);
        let Some(window) = window else { return refused(NoPairing::Closed) };
        // Counted before it is known whether the code was right: whoever never comes back has learnt that, too.
        window.tries += 1;
        let sees = window.granted.sees.terms();
        let Granted { device, role, .. } = &window.granted;
        let grant = Grant { device, role: role.word(), sees: &sees };
        let answer = ApplianceAnswer::to(message, &window.code, keys, &grant);
        let answer = answer.map_err(|_| NoPairing::Garbled).map(|ApplianceAnswer { message, proofs }| {
            window.waiting.retain(|(key, _)| *key != keys.device);
            window.waiting.push((keys.device, proofs.device));
            let proof = proofs.appliance.to_hex().to_string();
            Answered { message, proof, granted: window.granted.clone() }
        });
        state.tries += 1;
        let has_locked = state.tries >= TRIES_MAX * USED_UP_MAX;
        if has_locked {
            (state.tries, state.locked_until) = (0, Deadline::after(now, LOCKED_S));
        }
        Tried { answer, has_locked }
    }

    /// Takes the proof of a computer that was answered. The window closes with the right one.
    pub(crate) fn confirm(
        &self,
        now: &WallStamp,
        device: PublicKey,
        proof: &str,
    ) -> Result<Granted, NoPairing> {
        let mut state = self.state(now);
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

    fn at(powered_on_s: u64) -> WallStamp {
        WallStamp { time_ms: 1_790_000_000_000, trusted: true, powered_on_s }
    }

    fn granted() -> Granted {
        let sees = Sees::Devices(vec!["old".to_owned()]);
        Granted { device: "laptop".to_owned(), role: Role::User, sees }
    }

    /// As a computer reads them in the answer.
    const TERMS: Grant<'static> = Grant { device: "laptop", role: "user", sees: "own,old" };

    /// A computer with the key `keys.device` tries `code`.
    fn try_code(
        windows: &PairingWindows,
        now_s: u64,
        keys: PairingKeys,
        code: &str,
    ) -> Result<Granted, NoPairing> {
        let device = DeviceSide::begin(code, keys);
        let answered = windows.answer(&at(now_s), keys, device.message()).answer?;
        assert_eq!(answered.granted, granted());
        let shown = Proof::from_hex(&answered.proof).expect("a proof");
        // Who guesses wrong cannot compute the right proof, and may send any.
        let proof = device
            .finish(&answered.message, &TERMS, shown)
            .map_or_else(|_| "00".repeat(32), |proofs| proofs.device.to_hex().to_string());
        windows.confirm(&at(now_s), keys.device, &proof)
    }

    fn other_than(code: &str) -> &'static str {
        if code == "00000000" { "00000001" } else { "00000000" }
    }

    #[test]
    fn the_right_code_pairs_once() {
        let (windows, keys) = (PairingWindows::default(), PairingKeys { device: key(), appliance: key() });
        assert_eq!(try_code(&windows, 5, keys, "12345678"), Err(NoPairing::Closed));
        let (code, open_s) = windows.open(&at(10), granted(), [7; 16]).expect("opened");
        assert_eq!((code.len(), open_s), (8, OPEN_S));
        assert_eq!(try_code(&windows, 20, keys, other_than(&code)), Err(NoPairing::WrongCode(4)));
        assert_eq!(try_code(&windows, 30, keys, &code), Ok(granted()));
        assert_eq!(try_code(&windows, 31, keys, &code), Err(NoPairing::Closed), "a code is used once");
        let (code, _) = windows.open(&at(40), granted(), [8; 16]).expect("opened");
        assert_eq!(try_code(&windows, 40 + OPEN_S, keys, &code), Err(NoPairing::Closed), "too late");
    }

    /// A proof that one computer earned must not pair another.
    #[test]
    fn a_proof_belongs_to_the_key_that_earned_it() {
        let windows = PairingWindows::default();
        let (code, _) = windows.open(&at(0), granted(), [1; 16]).expect("opened");
        let keys = PairingKeys { device: key(), appliance: key() };
        let device = DeviceSide::begin(&code, keys);
        let answered = windows.answer(&at(1), keys, device.message()).answer.expect("answered");
        let shown = Proof::from_hex(&answered.proof).expect("a proof");
        let proofs = device.finish(&answered.message, &TERMS, shown).expect("proven");
        let proof = proofs.device.to_hex().to_string();
        assert_eq!(windows.confirm(&at(1), key(), &proof), Err(NoPairing::Closed));
        assert_eq!(
            windows.confirm(&at(1), keys.device, &proof),
            Ok(granted()),
            "nobody else can spend the try"
        );
    }

    #[test]
    fn guessing_closes_the_window_and_then_the_door() {
        let windows = PairingWindows::default();
        for opened in 0..u64::from(USED_UP_MAX) {
            let now_s = opened * 10;
            let (code, _) = windows.open(&at(now_s), granted(), [3; 16]).expect("opened");
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
        assert_eq!(windows.open(&at(20), granted(), [3; 16]).map(drop), locked);
        assert!(windows.open(&at(20 + LOCKED_S), granted(), [3; 16]).is_ok(), "an hour later");
    }

    /// Whoever asks and never shows a proof uses up tries as well: otherwise guesses would be free.
    #[test]
    fn a_try_that_is_broken_off_counts() {
        let windows = PairingWindows::default();
        let keys = PairingKeys { device: key(), appliance: key() };
        let (code, _) = windows.open(&at(0), granted(), [3; 16]).expect("opened");
        let message = DeviceSide::begin("11111111", keys).message().to_vec();
        for _ in 0..TRIES_MAX {
            windows.answer(&at(0), keys, &message).answer.expect("answered");
        }
        assert_eq!(try_code(&windows, 0, keys, &code), Err(NoPairing::Closed));
    }

    /// Two at once, one of them a stranger: neither takes the other's try.
    #[test]
    fn a_try_of_another_computer_spoils_nothing() {
        let windows = PairingWindows::default();
        let (code, _) = windows.open(&at(0), granted(), [1; 16]).expect("opened");
        let appliance = key();
        let keys = PairingKeys { device: key(), appliance };
        let device = DeviceSide::begin(&code, keys);
        let answered = windows.answer(&at(1), keys, device.message()).answer.expect("answered");
        for _ in 1..TRIES_MAX {
            let stranger = PairingKeys { device: key(), appliance };
            assert!(matches!(
                try_code(&windows, 1, stranger, other_than(&code)),
                Err(NoPairing::WrongCode(_))
            ));
        }
        let shown = Proof::from_hex(&answered.proof).expect("a proof");
        let proofs = device.finish(&answered.message, &TERMS, shown).expect("proven");
        assert_eq!(windows.confirm(&at(1), keys.device, &proofs.device.to_hex()), Ok(granted()));
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
            if windows.open(&at(now_s), granted(), [3; 16]).is_err() {
                break;
            }
            // One less than a window takes: the window ends by its time.
            answers +=
                (1..TRIES_MAX).filter(|_| windows.answer(&at(now_s), keys, &message).answer.is_ok()).count();
        }
        assert_eq!(answers, 15);
    }

    /// The owner sees each state, and never the code.
    #[test]
    fn the_window_is_shown_while_a_computer_can_pair() {
        let windows = PairingWindows::default();
        let state = |now_s| windows.report(&at(now_s)).state;
        assert_eq!(windows.report(&at(0)), PairingReport::default());
        let (code, _) = windows.open(&at(0), granted(), [1; 16]).expect("opened");
        let shown = windows.report(&at(1));
        assert_eq!((shown.state, shown.device.as_deref()), (PairingState::Open, Some("laptop")));
        assert_eq!(shown.role, Some(Role::User));
        assert_eq!(shown.until.map(Timestamp::as_second), Some(1_790_000_000 + OPEN_S.cast_signed()));
        assert!(!serde_json::to_string(&shown).expect("plain values").contains(&code));
        assert_eq!(state(OPEN_S), PairingState::Closed);
        let keys = PairingKeys { device: key(), appliance: key() };
        let message = DeviceSide::begin("11111111", keys).message().to_vec();
        for window in 0..USED_UP_MAX {
            windows.open(&at(0), granted(), [3; 16]).expect("opened");
            for _ in 0..TRIES_MAX {
                assert_eq!(state(0), PairingState::Open, "window {window}");
                windows.answer(&at(0), keys, &message).answer.expect("answered");
            }
            let used_up = if window + 1 == USED_UP_MAX { PairingState::Locked } else { PairingState::Closed };
            assert_eq!(state(0), used_up, "window {window}");
        }
        assert_eq!(state(LOCKED_S), PairingState::Closed);
    }
}
