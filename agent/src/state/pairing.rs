//! The window in which a computer may pair: its code, its tries, its end.
//!
//! A code has eight digits and lives for two minutes; a window takes five tries, and after the tries of three windows without
//! a pairing no code helps for an hour. So nobody who guesses gets in within a lifetime. A window is for one computer that the owner
//! has named, or, opened by the button, for any new one, which brings its own name and gets the usual role. Not here: the exchange
//! (`larder_trust`), who opens a window (`edge::http::pairing`, the button).

use crate::report::{PairingReport, PairingState};
use jiff::Timestamp;
use larder_format::Hash;
use larder_format::ledger::{Role, Sees, WallStamp, is_plain_name};
use larder_panel::{BlinkedCode, Digit};
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
/// The role of a computer that the button lets in: what a lost one could do stays small.
pub(crate) const USUAL_ROLE: Role = Role::User;

/// Why a pairing does not go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoPairing {
    /// No window is open.
    Closed,
    /// Too many tries were wrong; seconds until the next.
    Locked(u64),
    /// The message is none of the exchange.
    Garbled,
    /// The code was another one; tries that are left.
    WrongCode(u32),
    /// The window is for a new computer, and this one has brought no name.
    NameMissing,
    /// A computer has, or had, the name that this one has brought.
    NameTaken(String),
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
    /// None lets in any new computer, under the name that it brings.
    named: Option<Granted>,
    ends: Deadline,
    tries: u32,
    /// The computers that were answered. One cannot take another's place.
    waiting: Vec<AnsweredComputer>,
}

/// A computer that was answered.
struct AnsweredComputer {
    key: PublicKey,
    /// What it has to show.
    proof: Proof,
    granted: Granted,
}

/// A code that whoever stands at the box, or has the key of an admin, may read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OpenCode {
    /// Eight digits.
    pub(crate) code: String,
    /// As a lamp says it.
    pub(crate) blinked: BlinkedCode,
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
                device: window.named.as_ref().map(|granted| granted.device.clone()),
                role: Some(window.named.as_ref().map_or(USUAL_ROLE, |granted| granted.role)),
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
        state.open = Some(Window::new(code.clone(), Some(granted), now));
        Ok((code, OPEN_S))
    }

    /// Opens a window for any new computer; whether one was opened. One that is open stays: it may be for a computer that the owner
    /// has named. `random` is not to be guessed.
    pub(crate) fn open_for_new(&self, now: &WallStamp, random: [u8; 16]) -> Result<bool, NoPairing> {
        let mut state = self.unlocked(now)?;
        // Used up, it lets nobody in.
        if state.open.as_ref().is_some_and(|window| window.tries < TRIES_MAX) {
            return Ok(false);
        }
        state.open = Some(Window::new(blinkable(random), None, now));
        Ok(true)
    }

    /// The code of an open window for any new computer. Who named a computer has read the code where the name was said.
    pub(crate) fn open_code(&self, now: &WallStamp) -> Option<OpenCode> {
        let state = self.state(now);
        let is_for_new = |window: &&Window| window.named.is_none() && window.tries < TRIES_MAX;
        let code = &state.open.as_ref().filter(is_for_new)?.code;
        let mut digits = code.bytes().map(|digit| Digit::new(digit - b'0'));
        let mut all = [Digit::new(1)?; BlinkedCode::DIGITS];
        for digit in &mut all {
            *digit = digits.next()??;
        }
        Some(OpenCode { code: code.clone(), blinked: BlinkedCode::new(all) })
    }

    /// Answers a computer that tries a code and has brought a name, or none.
    pub(crate) fn answer(
        &self,
        now: &WallStamp,
        keys: PairingKeys,
        message: &[u8],
        brought: Option<&str>,
    ) -> Tried {
        let refused = |why| Tried { answer: Err(why), has_locked: false };
        let mut state = match self.unlocked(now) {
            Ok(state) => state,
            Err(why) => return refused(why),
        };
        let window = state.open.as_mut().filter(|window| window.tries < TRIES_MAX);
        let Some(window) = window else { return refused(NoPairing::Closed) };
        // Nothing is learnt from this, so it is no try.
        let Some(granted) = window.granted(brought) else { return refused(NoPairing::NameMissing) };
        // Counted before it is known whether the code was right: whoever never comes back has learnt that, too.
        window.tries += 1;
        let sees = granted.sees.terms();
        let grant = Grant { device: &granted.device, role: granted.role.word(), sees: &sees };
        let answer = ApplianceAnswer::to(message, &window.code, keys, &grant);
        let answer = answer.map_err(|_| NoPairing::Garbled).map(|ApplianceAnswer { message, proofs }| {
            window.waiting.retain(|waiting| waiting.key != keys.device);
            let waiting =
                AnsweredComputer { key: keys.device, proof: proofs.device, granted: granted.clone() };
            window.waiting.push(waiting);
            let proof = proofs.appliance.to_hex().to_string();
            Answered { message, proof, granted: granted.clone() }
        });
        state.tries += 1;
        let has_locked = state.tries >= TRIES_MAX * USED_UP_MAX;
        if has_locked {
            (state.tries, state.locked_until) = (0, Deadline::after(now, LOCKED_S));
        }
        Tried { answer, has_locked }
    }

    /// Takes the proof of a computer that was answered. The window closes with the right one. A name that a computer has brought must
    /// be new: the button would give away the past of another one.
    pub(crate) fn confirm(
        &self,
        now: &WallStamp,
        device: PublicKey,
        proof: &str,
        is_new: impl FnOnce(&str) -> bool,
    ) -> Result<Granted, NoPairing> {
        let mut state = self.state(now);
        let Some(window) = &mut state.open else { return Err(NoPairing::Closed) };
        let waiting = window.waiting.iter().position(|waiting| waiting.key == device);
        let Some(waiting) = waiting else { return Err(NoPairing::Closed) };
        let AnsweredComputer { proof: expected, granted, .. } = window.waiting.swap_remove(waiting);
        if Proof::from_hex(proof).is_ok_and(|shown| shown == expected) {
            // Only who has the code is told which names there are.
            if window.named.is_none() && !is_new(&granted.device) {
                return Err(NoPairing::NameTaken(granted.device));
            }
            *state = WindowState::default();
            return Ok(granted);
        }
        Err(NoPairing::WrongCode(TRIES_MAX - window.tries))
    }
}

impl Window {
    fn new(code: String, named: Option<Granted>, now: &WallStamp) -> Self {
        Self { code, named, ends: Deadline::after(now, OPEN_S), tries: 0, waiting: Vec::new() }
    }

    /// What a computer with this name gets; nothing without a name, if the window has none for it.
    fn granted(&self, brought: Option<&str>) -> Option<Granted> {
        let new = || {
            let device = brought.filter(|name| is_plain_name(name))?.to_owned();
            Some(Granted { device, role: USUAL_ROLE, sees: Sees::usual(USUAL_ROLE) })
        };
        self.named.clone().or_else(new)
    }
}

/// A code of the digits that a lamp can say: one of 1,679,616, so that five tries hit one of 336,000 windows.
fn blinkable(random: [u8; 16]) -> String {
    let mut left = u128::from_le_bytes(random);
    let digit = |_| {
        let digit = left % u128::from(Digit::MAX) + 1;
        left /= u128::from(Digit::MAX);
        digit.to_string()
    };
    (0..BlinkedCode::DIGITS).map(digit).collect()
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

    /// The owner named the computer: it may be one that there was.
    fn is_never_asked(name: &str) -> bool {
        panic!("whether {name} is new was asked")
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
        let answered = windows.answer(&at(now_s), keys, device.message(), None).answer?;
        assert_eq!(answered.granted, granted());
        let shown = Proof::from_hex(&answered.proof).expect("a proof");
        // Who guesses wrong cannot compute the right proof, and may send any.
        let proof = device
            .finish(&answered.message, &TERMS, shown)
            .map_or_else(|_| "00".repeat(32), |proofs| proofs.device.to_hex().to_string());
        windows.confirm(&at(now_s), keys.device, &proof, is_never_asked)
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
        let answered = windows.answer(&at(1), keys, device.message(), None).answer.expect("answered");
        let shown = Proof::from_hex(&answered.proof).expect("a proof");
        let proofs = device.finish(&answered.message, &TERMS, shown).expect("proven");
        let proof = proofs.device.to_hex().to_string();
        assert_eq!(windows.confirm(&at(1), key(), &proof, is_never_asked), Err(NoPairing::Closed));
        assert_eq!(
            windows.confirm(&at(1), keys.device, &proof, is_never_asked),
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
            windows.answer(&at(0), keys, &message, None).answer.expect("answered");
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
        let answered = windows.answer(&at(1), keys, device.message(), None).answer.expect("answered");
        for _ in 1..TRIES_MAX {
            let stranger = PairingKeys { device: key(), appliance };
            assert!(matches!(
                try_code(&windows, 1, stranger, other_than(&code)),
                Err(NoPairing::WrongCode(_))
            ));
        }
        let shown = Proof::from_hex(&answered.proof).expect("a proof");
        let proofs = device.finish(&answered.message, &TERMS, shown).expect("proven");
        assert_eq!(
            windows.confirm(&at(1), keys.device, &proofs.device.to_hex(), is_never_asked),
            Ok(granted())
        );
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
            answers += (1..TRIES_MAX)
                .filter(|_| windows.answer(&at(now_s), keys, &message, None).answer.is_ok())
                .count();
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
                windows.answer(&at(0), keys, &message, None).answer.expect("answered");
            }
            let used_up = if window + 1 == USED_UP_MAX { PairingState::Locked } else { PairingState::Closed };
            assert_eq!(state(0), used_up, "window {window}");
        }
        assert_eq!(state(LOCKED_S), PairingState::Closed);
    }

    /// A new computer tries the code of a window that the button opened.
    fn bring(windows: &PairingWindows, code: &str, name: &str, is_new: bool) -> Result<Granted, NoPairing> {
        let keys = PairingKeys { device: key(), appliance: key() };
        let device = DeviceSide::begin(code, keys);
        let answered = windows.answer(&at(5), keys, device.message(), Some(name)).answer?;
        let grant = Grant { device: name, role: "user", sees: "own," };
        let shown = Proof::from_hex(&answered.proof).expect("a proof");
        let proof = device
            .finish(&answered.message, &grant, shown)
            .map_or_else(|_| "00".repeat(32), |proofs| proofs.device.to_hex().to_string());
        windows.confirm(&at(5), keys.device, &proof, |asked| asked == name && is_new)
    }

    #[test]
    fn the_button_lets_in_a_new_computer_under_the_name_that_it_brings() {
        let windows = PairingWindows::default();
        assert_eq!(windows.open_for_new(&at(0), [9; 16]), Ok(true));
        let report = windows.report(&at(1));
        assert_eq!((report.state, report.device, report.role), (PairingState::Open, None, Some(Role::User)));
        let code = windows.open_code(&at(1)).expect("to be read").code;
        let keys = PairingKeys { device: key(), appliance: key() };
        let message = DeviceSide::begin(&code, keys).message().to_vec();
        for name in [None, Some(""), Some("a/b"), Some(".."), Some("a\u{202e}b")] {
            let tried = windows.answer(&at(2), keys, &message, name).answer;
            assert_eq!(tried.map(drop), Err(NoPairing::NameMissing), "{name:?}");
        }
        // Who has not the code is not told which names there are.
        assert_eq!(bring(&windows, other_than(&code), "laptop", false), Err(NoPairing::WrongCode(4)));
        assert_eq!(bring(&windows, &code, "laptop", false), Err(NoPairing::NameTaken("laptop".to_owned())));
        let granted =
            Granted { device: "laptop-2".to_owned(), role: Role::User, sees: Sees::usual(Role::User) };
        assert_eq!(bring(&windows, &code, "laptop-2", true), Ok(granted), "the same code, another name");
        assert_eq!(bring(&windows, &code, "third", true), Err(NoPairing::Closed));
        assert_eq!(windows.open_code(&at(6)), None);
    }

    /// Held once more, or by a child while somebody pairs at the shell, the button changes nothing.
    #[test]
    fn the_button_replaces_no_open_window_and_opens_none_that_is_locked() {
        let windows = PairingWindows::default();
        // A code that a lamp could say, too.
        let random = 12_345_612_u128.to_le_bytes();
        let (code, _) = windows.open(&at(0), granted(), random).expect("opened");
        assert_eq!(windows.open_for_new(&at(1), [9; 16]), Ok(false));
        assert_eq!(
            windows.open_code(&at(1)),
            None,
            "the code of a named computer is shown where it was named"
        );
        let keys = PairingKeys { device: key(), appliance: key() };
        assert_eq!(try_code(&windows, 2, keys, &code), Ok(granted()));
        for window in 0..u64::from(USED_UP_MAX) {
            assert_eq!(windows.open_for_new(&at(window), [9; 16]), Ok(true), "a used up one is replaced");
            let code = windows.open_code(&at(window)).expect("to be read").code;
            for _ in 0..TRIES_MAX {
                let tried = bring(&windows, other_than(&code), "laptop", true);
                assert!(matches!(tried, Err(NoPairing::WrongCode(_))), "{tried:?}");
            }
        }
        assert_eq!(windows.open_for_new(&at(9), [9; 16]), Err(NoPairing::Locked(LOCKED_S - 4)));
    }

    #[test]
    fn a_code_for_the_lamp_has_eight_digits_from_one_to_six() {
        let mut seen = std::collections::BTreeSet::new();
        for random in 0..=255_u8 {
            let code = blinkable([random; 16]);
            assert!(code.len() == 8 && code.bytes().all(|digit| (b'1'..=b'6').contains(&digit)), "{code}");
            seen.insert(code);
        }
        assert_eq!(seen.len(), 256);
    }
}
