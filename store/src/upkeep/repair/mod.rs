//! Repair: damage found by a scrub is rebuilt, or given up by name.
//!
//! A pack is copied from a disk with a whole copy (`mend`), else computed from the remains of the pack and its parity
//! on every disk, and put in its place (`place`). A pack beyond both is taken apart: whole blocks live on in a new pack
//! (`give_up`), and missing pieces are named by source and path (`lost`). Damaged bytes go to the quarantine and are
//! never deleted, since a better tool may come; each is tried again (`quarantine_search`). An unanswered read is not
//! damage: the file is read again for a day (`suspects`). Not here: finding damage (`scrub`).

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

/// Outcome of a repair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// As good as before.
    Repaired,
    /// Unchanged; the next round tries again.
    Left,
    /// Number of file pieces gone.
    Lost(u64),
}
