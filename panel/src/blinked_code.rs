//! A code that a lamp says: a long light, then each digit by as many pulses, and from the start again.
//!
//! For a box without any other way to show a code. Eight digits of six take 38 seconds at most, so that each is seen three times
//! while a window of two minutes is open. Not here: what a code opens (`agent::state`), rhythms (`rhythm`).

use crate::{Digit, Rhythm};

/// Digits of a code.
const DIGITS: usize = 8;

/// A code to be said by a lamp.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BlinkedCode([Digit; DIGITS]);

impl BlinkedCode {
    /// Digits of a code.
    pub const DIGITS: usize = DIGITS;

    /// A code of these digits.
    pub fn new(digits: [Digit; DIGITS]) -> BlinkedCode {
        BlinkedCode(digits)
    }

    /// The rhythm of a part; the parts begin anew after the last digit.
    pub fn part(&self, number: usize) -> Rhythm {
        match number % (DIGITS + 1) {
            0 => Rhythm::CodeStart,
            digit => Rhythm::CodeDigit(self.0[digit - 1]),
        }
    }
}

/// Whoever reads a log must not read a code.
impl core::fmt::Debug for BlinkedCode {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("BlinkedCode")
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;

    fn code_of(pulses: [u8; DIGITS]) -> BlinkedCode {
        BlinkedCode::new(pulses.map(|pulses| Digit::new(pulses).unwrap()))
    }

    #[test]
    fn a_code_is_said_digit_by_digit_and_again() {
        let code = code_of([1, 6, 6, 2, 3, 4, 5, 1]);
        let pulses = |part: usize| code.part(part).beat_ms().len() / 2;
        for round in [0, 9] {
            assert_eq!(code.part(round), Rhythm::CodeStart);
            let said: std::vec::Vec<_> = (1..=DIGITS).map(|digit| pulses(round + digit)).collect();
            assert_eq!(said, [1, 6, 6, 2, 3, 4, 5, 1]);
        }
    }

    /// Otherwise a person who missed one digit would have to open a second window.
    #[test]
    fn the_longest_code_is_said_three_times_while_a_window_is_open() {
        let code = code_of([6; DIGITS]);
        let length_ms: u32 =
            (0..=DIGITS).flat_map(|part| code.part(part).beat_ms()).map(|ms| u32::from(*ms)).sum();
        assert!(3 * length_ms <= 120_000, "{length_ms} ms");
    }

    #[test]
    fn a_digit_is_one_to_six_and_the_code_is_in_no_log() {
        assert!(Digit::new(0).is_none() && Digit::new(7).is_none());
        assert_eq!(std::format!("{:?}", code_of([4; DIGITS])), "BlinkedCode");
    }
}
