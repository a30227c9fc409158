//! The lamp: plays a rhythm on one pin, one spell of light or dark at a time.
//!
//! The caller owns the clock: `tick` sets the pin and returns the time of the next call. Spells are measured from their
//! starting call, so a late call lengthens one spell and the lamp never hurries to catch up.
//!
//! The pin traits speak of electrical levels, even on a line marked active-low, so the lit level is stated once, at the
//! start. Not here: dimming lamps (`brightness`), finding the pin (`agent::edge`).

use embedded_hal::digital::{OutputPin, PinState};

use crate::{FLASH_MS_MIN, Rhythm};

/// How long a dark lamp rests until set dark again. No rhythm needs the repeat, but a pin moved from outside is healed.
const REST_MS: u64 = 10_000;

/// One lamp on one pin. Starts dark; the pin is first touched by `tick`.
#[derive(Debug)]
pub struct Lamp<P> {
    pin: P,
    /// The lit level: a fact of the board, not of the rhythm.
    lit: PinState,
    rhythm: Rhythm,
    /// The spell to start at `spell_ends_ms`.
    spell: usize,
    spell_ends_ms: u64,
    /// Earliest next light after dark, so changing rhythms cannot flash faster than any single rhythm.
    dark_until_ms: u64,
    shines: bool,
}

impl<P: OutputPin> Lamp<P> {
    /// A lamp on `pin`, shining at the level `lit`.
    pub fn new(pin: P, lit: PinState) -> Lamp<P> {
        Lamp { pin, lit, rhythm: Rhythm::Off, spell: 0, spell_ends_ms: 0, dark_until_ms: 0, shines: false }
    }

    /// The current rhythm.
    pub fn rhythm(&self) -> Rhythm {
        self.rhythm
    }

    /// A new rhythm starts at once; repeating the same rhythm never breaks its beat.
    pub fn show(&mut self, rhythm: Rhythm, now_ms: u64) {
        if rhythm != self.rhythm {
            (self.rhythm, self.spell, self.spell_ends_ms) = (rhythm, 0, now_ms);
        }
    }

    /// Sets the pin for `now_ms` and returns when to call again. A late call never bursts, and a failing pin is tried
    /// again with the next call.
    pub fn tick(&mut self, now_ms: u64) -> Result<u64, P::Error> {
        if self.spell_ends_ms > now_ms {
            return Ok(self.spell_ends_ms);
        }
        let beat = self.rhythm.beat_ms();
        let Some(spell_ms) = beat.get(self.spell) else {
            self.set(false, now_ms)?;
            self.spell_ends_ms = now_ms.saturating_add(REST_MS);
            return Ok(self.spell_ends_ms);
        };
        let shines = self.spell.is_multiple_of(2);
        if shines && !self.shines && now_ms < self.dark_until_ms {
            self.spell_ends_ms = self.dark_until_ms;
            return Ok(self.spell_ends_ms);
        }
        self.set(shines, now_ms)?;
        self.spell_ends_ms = now_ms.saturating_add(u64::from(*spell_ms));
        self.spell += 1;
        if self.spell == beat.len() && self.rhythm.repeats() {
            self.spell = 0;
        }
        Ok(self.spell_ends_ms)
    }

    /// Puts the lamp out at once and for good: the last act of a process.
    pub fn put_out(&mut self) -> Result<(), P::Error> {
        (self.rhythm, self.spell, self.spell_ends_ms) = (Rhythm::Off, 0, 0);
        self.set(false, 0)
    }

    fn set(&mut self, shines: bool, now_ms: u64) -> Result<(), P::Error> {
        self.pin.set_state(if shines { self.lit } else { !self.lit })?;
        if shines && !self.shines {
            self.dark_until_ms = now_ms.saturating_add(u64::from(FLASH_MS_MIN));
        }
        self.shines = shines;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use embedded_hal::digital::{ErrorKind, ErrorType};

    use super::*;

    /// Records each level; fails the next `refusals` calls.
    #[derive(Default)]
    struct FakePin {
        levels: Vec<bool>,
        refusals: u32,
    }

    #[derive(Debug)]
    struct Refused;

    impl embedded_hal::digital::Error for Refused {
        fn kind(&self) -> ErrorKind {
            ErrorKind::Other
        }
    }

    impl ErrorType for FakePin {
        type Error = Refused;
    }

    impl OutputPin for FakePin {
        fn set_low(&mut self) -> Result<(), Refused> {
            self.set(false)
        }
        fn set_high(&mut self) -> Result<(), Refused> {
            self.set(true)
        }
    }

    impl FakePin {
        fn set(&mut self, high: bool) -> Result<(), Refused> {
            if self.refusals > 0 {
                self.refusals -= 1;
                return Err(Refused);
            }
            self.levels.push(high);
            Ok(())
        }
    }

    fn lamp() -> Lamp<FakePin> {
        Lamp::new(FakePin::default(), PinState::High)
    }

    /// Plays from `start_ms` for as many ticks; returns (time, light) of each change.
    fn play(lamp: &mut Lamp<FakePin>, start_ms: u64, ticks: usize) -> Vec<(u64, bool)> {
        let (mut now_ms, mut seen) = (start_ms, Vec::<(u64, bool)>::new());
        for _ in 0..ticks {
            let next_ms = lamp.tick(now_ms).unwrap();
            assert!(next_ms > now_ms, "a lamp that asks to be called at once would spin");
            if seen.last().is_none_or(|(_, light)| *light != lamp.shines) {
                seen.push((now_ms, lamp.shines));
            }
            now_ms = next_ms;
        }
        seen
    }

    #[test]
    fn a_lamp_starts_dark_and_says_nothing() {
        let mut lamp = lamp();
        assert_eq!(lamp.tick(5).unwrap(), 5 + REST_MS);
        assert_eq!(lamp.pin.levels, [false]);
    }

    #[test]
    fn each_rhythm_is_played_as_written() {
        for rhythm in Rhythm::ALL.into_iter().filter(|rhythm| rhythm.repeats()) {
            let mut lamp = lamp();
            lamp.show(rhythm, 7_000);
            let mut edge_ms = 7_000;
            for (spell, ms) in rhythm.beat_ms().iter().chain(rhythm.beat_ms()).enumerate() {
                assert_eq!(lamp.tick(edge_ms).unwrap(), edge_ms + u64::from(*ms), "{}", rhythm.name());
                assert_eq!(lamp.shines, spell % 2 == 0, "{} spell {spell}", rhythm.name());
                edge_ms += u64::from(*ms);
            }
        }
    }

    #[test]
    fn the_permission_to_unplug_is_given_once_and_then_the_lamp_is_dark() {
        let mut lamp = lamp();
        lamp.show(Rhythm::MayUnplug, 0);
        let seen = play(&mut lamp, 0, 40);
        let expected =
            [(0, true), (2_700, false), (3_000, true), (5_700, false), (6_000, true), (8_700, false)];
        assert_eq!(seen, expected);
    }

    #[test]
    fn a_board_whose_lamp_shines_at_low_level_shows_the_same() {
        let mut lamp = Lamp::new(FakePin::default(), PinState::Low);
        lamp.show(Rhythm::Alarm, 0);
        play(&mut lamp, 0, 4);
        assert_eq!(lamp.pin.levels, [false, true, false, true]);
    }

    #[test]
    fn repeating_the_same_rhythm_never_breaks_its_beat() {
        let (mut once, mut again) = (lamp(), lamp());
        once.show(Rhythm::Pairing, 0);
        for now_ms in (0..20_000).step_by(10) {
            again.show(Rhythm::Pairing, now_ms);
            assert_eq!(once.tick(now_ms).unwrap(), again.tick(now_ms).unwrap());
        }
        assert_eq!(once.pin.levels, again.pin.levels);
    }

    #[test]
    fn a_late_call_never_bursts() {
        let mut lamp = lamp();
        lamp.show(Rhythm::Alarm, 0);
        lamp.tick(0).unwrap();
        let late_ms = 3_600_000;
        assert_eq!(lamp.tick(late_ms).unwrap(), late_ms + 250);
        for now_ms in late_ms + 1..late_ms + 250 {
            assert_eq!(lamp.tick(now_ms).unwrap(), late_ms + 250);
        }
        assert_eq!(lamp.pin.levels, [true, false]);
    }

    #[test]
    fn a_new_rhythm_starts_at_once() {
        let mut lamp = lamp();
        lamp.show(Rhythm::Starting, 0);
        play(&mut lamp, 0, 2);
        lamp.show(Rhythm::Ready, 2_900);
        assert_eq!(lamp.tick(2_900).unwrap(), 2_900 + 4_880);
        assert!(lamp.shines);
    }

    #[test]
    fn no_change_of_mind_flashes_more_than_twice_a_second() {
        // The worst caller: a new rhythm every few milliseconds, at intervals drifting through each other.
        for (change_ms, call_ms) in [(7, 3), (130, 11), (251, 1), (499, 17), (750, 250)] {
            let (mut lamp, mut flashes_ms) = (lamp(), Vec::new());
            let (mut dark, mut which) = (true, 0);
            for now_ms in (0..60_000_u64).step_by(call_ms) {
                if now_ms / change_ms != (now_ms.saturating_sub(call_ms as u64)) / change_ms {
                    which += 1;
                    lamp.show(Rhythm::ALL[which % Rhythm::ALL.len()], now_ms);
                }
                lamp.tick(now_ms).unwrap();
                if lamp.shines && dark {
                    flashes_ms.push(now_ms);
                }
                dark = !lamp.shines;
            }
            for pair in flashes_ms.windows(2) {
                assert!(pair[1] - pair[0] >= 500, "flashes at {pair:?}, changes every {change_ms} ms");
            }
        }
    }

    #[test]
    fn a_pin_that_fails_is_tried_again() {
        let mut lamp = lamp();
        lamp.pin.refusals = 1;
        lamp.show(Rhythm::Ready, 0);
        assert!(lamp.tick(0).is_err());
        assert_eq!(lamp.tick(20).unwrap(), 20 + 4_880);
        assert_eq!(lamp.pin.levels, [true]);
    }

    #[test]
    fn put_out_is_dark_at_once_and_stays_dark() {
        let mut lamp = lamp();
        lamp.show(Rhythm::Ready, 0);
        lamp.tick(0).unwrap();
        lamp.put_out().unwrap();
        assert_eq!(lamp.pin.levels, [true, false]);
        assert_eq!(play(&mut lamp, 1, 3), [(1, false)]);
    }

    #[test]
    fn the_end_of_time_does_not_overflow() {
        let mut lamp = lamp();
        lamp.show(Rhythm::Alarm, u64::MAX);
        assert_eq!(lamp.tick(u64::MAX).unwrap(), u64::MAX);
    }
}
