//! What a push leaves out on purpose: counted for each reason, and named as far as a person can use the names.
//!
//! A rule that leaves a folder out in silence looks like a backup of that folder, until somebody needs it. Not here:
//! the rules (`exclude`), files that could not be read (`SkippedList`), the words for a person (`owner`).

use std::collections::BTreeMap;

/// Why something is not in a backup although nothing was wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LeftOutReason {
    /// A folder that a program marked as a cache (`CACHEDIR.TAG`); the tag alone is kept.
    MarkedCache,
    /// Matched by a pattern of the push (`PushOptions::exclude`).
    Pattern,
    /// Matched by a line of a `.larderignore`.
    IgnoreFile,
    /// A folder on another filesystem, where only one was asked for; the folder is kept empty.
    OtherFilesystem,
    /// The kernel's view of itself, such as `/proc`; the folder is kept empty.
    KernelView,
    /// A half of a file that a broken-off restore left behind.
    BrokenRestore,
    /// Our own cache; the folder is kept empty.
    OwnCache,
    /// The key of this computer: whoever reads the backup could pass for this computer.
    OwnKey,
}

impl LeftOutReason {
    /// The reason in one word, for programs.
    pub fn word(self) -> &'static str {
        match self {
            Self::MarkedCache => "cachedir_tag",
            Self::Pattern => "exclude",
            Self::IgnoreFile => "larderignore",
            Self::OtherFilesystem => "other_filesystem",
            Self::KernelView => "kernel_filesystem",
            Self::BrokenRestore => "broken_restore",
            Self::OwnCache => "own_cache",
            Self::OwnKey => "own_key",
        }
    }
}

/// Names for each reason; a build folder may match ten thousand times.
const NAMED_MAX: usize = 100;
/// Bytes of the names for each reason: a path may have half a megabyte.
const NAMED_BYTES_MAX: usize = 64 * 1024;

/// Everything that was left out for one reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeftOutNames {
    /// Files and folders; a folder counts once, whatever is in it.
    pub count: u64,
    /// Some of the paths below the pushed folder, as `wire::escape_name` writes a name, in order.
    pub named: Vec<String>,
    named_bytes: usize,
}

/// What was left out, by reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeftOut(BTreeMap<LeftOutReason, LeftOutNames>);

impl LeftOut {
    pub(crate) fn add(&mut self, reason: LeftOutReason, path: impl FnOnce() -> String) {
        let names = self.0.entry(reason).or_default();
        names.count += 1;
        if names.named.len() < NAMED_MAX && names.named_bytes < NAMED_BYTES_MAX {
            let path = path();
            names.named_bytes += path.len();
            names.named.push(path);
        }
    }

    /// The reasons that occurred, each with its names.
    pub fn by_reason(&self) -> impl Iterator<Item = (LeftOutReason, &LeftOutNames)> {
        self.0.iter().map(|(reason, names)| (*reason, names))
    }

    /// Several walkers add in any order.
    pub(crate) fn sorted(mut self) -> Self {
        self.0.values_mut().for_each(|names| names.named.sort());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_thousand_matches_are_counted_and_a_hundred_named() {
        let mut left_out = LeftOut::default();
        for number in (0..10_000).rev() {
            left_out.add(LeftOutReason::Pattern, || format!("{number:05}.o"));
        }
        left_out.add(LeftOutReason::OwnKey, || "k".repeat(NAMED_BYTES_MAX));
        left_out.add(LeftOutReason::OwnKey, || "never named".to_owned());
        let left_out = left_out.sorted();
        let found: Vec<_> =
            left_out.by_reason().map(|(reason, names)| (reason, names.count, names.named.len())).collect();
        assert_eq!(found, [(LeftOutReason::Pattern, 10_000, 100), (LeftOutReason::OwnKey, 2, 1)]);
        let (_, patterns) = left_out.by_reason().next().expect("some");
        assert!(patterns.named.is_sorted());
    }
}
