//! How a rhythm looks on a lamp that can dim: a pure function of the time since the rhythm began.
//!
//! Only work breathes; every other state keeps its hard edges, since a soft pulse is hard to count. The curve is a
//! smooth step, squared, because the eye sees light roughly as a square root and would call a straight ramp "on".
//!
//! Not here: writing the value anywhere (`agent::edge`).

use crate::Rhythm;

/// One breath of a dimming lamp, dark to dark.
pub const BREATH_MS: u64 = 3_000;

/// Time between two values of a breath; finer steps are invisible, coarser steps show as stairs.
pub const DIM_STEP_MS: u64 = 50;

/// Light of a lamp: 0 is dark, 255 is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Brightness(pub u8);

impl Brightness {
    /// No light.
    pub const DARK: Brightness = Brightness(0);
    /// Full light.
    pub const FULL: Brightness = Brightness(255);

    /// Light of `rhythm` when it began `elapsed_ms` ago.
    pub fn of(rhythm: Rhythm, elapsed_ms: u64) -> Brightness {
        if rhythm == Rhythm::Busy {
            return Brightness::of_breath(elapsed_ms);
        }
        let beat = rhythm.beat_ms();
        let length_ms: u64 = beat.iter().map(|ms| u64::from(*ms)).sum();
        if length_ms == 0 || (!rhythm.repeats() && elapsed_ms >= length_ms) {
            return Brightness::DARK;
        }
        let mut left_ms = elapsed_ms % length_ms;
        for (spell, ms) in beat.iter().enumerate() {
            if left_ms < u64::from(*ms) {
                return if spell % 2 == 0 { Brightness::FULL } else { Brightness::DARK };
            }
            left_ms -= u64::from(*ms);
        }
        Brightness::DARK
    }

    /// The same light on the scale of a lamp with `max` as its strongest value. Any light stays at least 1, so a coarse
    /// lamp does not go dark in the middle of a breath.
    pub fn scaled_to(self, max: u32) -> u32 {
        let scaled = (u64::from(self.0) * u64::from(max) + 127) / 255;
        let floor = u64::from(self.0 > 0 && max > 0);
        u32::try_from(scaled.max(floor)).unwrap_or(max)
    }

    fn of_breath(elapsed_ms: u64) -> Brightness {
        let half_ms = BREATH_MS / 2;
        let in_breath_ms = elapsed_ms % BREATH_MS;
        // 0..=255 up in the first half, down in the second.
        let ramp = in_breath_ms.min(BREATH_MS - in_breath_ms) * 255 / half_ms;
        // Smooth step 3x^2 - 2x^3 with x = ramp / 255, then squared; all below 2^32.
        let smooth = ramp * ramp * (3 * 255 - 2 * ramp) / (255 * 255);
        Brightness(u8::try_from(smooth * smooth / 255).unwrap_or(u8::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_breath_rises_and_falls_once_and_meets_itself() {
        let at = |ms| Brightness::of(Rhythm::Busy, ms).0;
        assert_eq!((at(0), at(1_500), at(3_000)), (0, 255, 0));
        for ms in (0..1_450).step_by(50) {
            assert!(at(ms) <= at(ms + 50), "rising at {ms}");
            assert_eq!(at(ms), at(3_000 - ms), "falls as it rose at {ms}");
            assert!(at(ms).abs_diff(at(ms + 50)) <= 24, "no visible stair at {ms}");
        }
        assert_eq!(at(700), at(700 + 1_000 * BREATH_MS));
    }

    #[test]
    fn every_other_rhythm_keeps_its_hard_edges() {
        for rhythm in Rhythm::ALL.into_iter().filter(|rhythm| *rhythm != Rhythm::Busy) {
            let mut edge_ms = 0;
            for (spell, ms) in rhythm.beat_ms().iter().enumerate() {
                let expected = if spell % 2 == 0 { Brightness::FULL } else { Brightness::DARK };
                assert_eq!(Brightness::of(rhythm, edge_ms), expected, "{} at {edge_ms}", rhythm.name());
                edge_ms += u64::from(*ms);
                assert_eq!(
                    Brightness::of(rhythm, edge_ms - 1),
                    expected,
                    "{} before {edge_ms}",
                    rhythm.name()
                );
            }
        }
        assert_eq!(Brightness::of(Rhythm::MayUnplug, 9_000), Brightness::DARK);
        assert_eq!(Brightness::of(Rhythm::Off, u64::MAX), Brightness::DARK);
    }

    #[test]
    fn the_scale_keeps_both_ends_and_never_goes_dark_between() {
        for max in [1, 7, 255, 1_000, u32::MAX] {
            assert_eq!(Brightness::DARK.scaled_to(max), 0);
            assert_eq!(Brightness::FULL.scaled_to(max), max);
            assert!(Brightness(1).scaled_to(max) >= 1);
        }
        assert_eq!(Brightness::FULL.scaled_to(0), 0);
    }
}
