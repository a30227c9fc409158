//! Repair: what a scrub found damaged is made whole again, or given up by name.
//!
//! A pack is taken from another disk if one has it whole (`mend`), else computed from what all disks have left of it
//! and of its parity, and put in its place (`place`). What cannot be had so is taken apart: whole blocks live on in a
//! new pack (`give_up`), and what is missing is named by source and path (`lost`). Damaged bytes go to the
//! quarantine; nothing of them is ever deleted, since a better tool may come, and they are tried again (`quarantine_search`).
//! What a disk does not answer for is not damaged: it is read again for a day (`suspects`). Not here: finding damage
//! (`scrub`).

pub(crate) mod attempts;
pub(crate) mod blocks;
pub(crate) mod finish;
pub(crate) mod give_up;
pub(crate) mod losses;
pub(crate) mod lost;
pub(crate) mod mend;
pub(crate) mod moving;
pub(crate) mod pack;
pub(crate) mod place;
pub(crate) mod quarantine_search;
pub(crate) mod small_files;
pub(crate) mod strays;
pub(crate) mod survey;
pub(crate) mod suspects;
pub(crate) mod watched;
pub(crate) mod whole_again;

/// What became of something damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// As good as before.
    Repaired,
    /// It is as it was; the next round tries again.
    Left,
    /// So many pieces of files are gone.
    Lost(u64),
}
