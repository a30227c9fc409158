//! Numbers that depend only on a seed, so that every behaviour of a simulated disk can be repeated.
//!
//! Not here: randomness. Unguessable values come in from the agent.

/// A seeded row of numbers (SplitMix64, Steele, Lea and Flood 2014).
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// The row for `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A separate row for each of many things: leaving out a thing moves no further row.
    pub fn of(seed: u64, number: u64) -> Self {
        let mut dice = Self(seed ^ number.wrapping_mul(0xd134_2543_de82_ef95));
        Self(dice.roll())
    }

    /// The next number.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`; 0 when there is none.
    ///
    /// # Panics
    /// Never: a number below a `usize` is a `usize`.
    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.number_below(limit as u64)).expect("below a usize")
    }

    /// The same for numbers that need not fit a `usize`.
    pub fn number_below(&mut self, limit: u64) -> u64 {
        self.roll() % limit.max(1)
    }

    /// True in one of `many` cases.
    pub fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }
}
