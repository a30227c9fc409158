//! Names of files that are missing or different, and of what was left out on purpose.
//!
//! A person sees the first names and the number of the rest: 28,000 lines would bury the sentence that says what to
//! do. A log, a program and whoever asks for them get all names.

use super::{
    output::{count, counted},
    screen::{is_watched, say},
};
use crate::{Skipped, SkippedList};
use clap::Args;
use serde_json::{Value, json};

/// Names on a terminal.
const SHOWN_MAX: usize = 20;

/// How much a command says.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(super) struct Loudness {
    /// Say nothing of what goes well: errors and skipped files only, for timers
    #[arg(short, long, conflicts_with = "verbose")]
    pub(super) quiet: bool,
    /// Name every skipped file, not only the first twenty
    #[arg(short, long)]
    verbose: bool,
}

impl Loudness {
    /// Names everything.
    pub(super) const ALL_NAMES: Self = Self { quiet: false, verbose: true };

    /// How many names of `all` are shown; the rest is counted.
    pub(super) fn shown(self, all: usize) -> usize {
        self.shown_to(all, is_watched())
    }

    fn shown_to(self, all: usize, is_watched: bool) -> usize {
        // One more line instead of "and 1 more" costs nothing.
        if self.verbose || !is_watched || all == SHOWN_MAX + 1 { all } else { all.min(SHOWN_MAX) }
    }
}

/// Names skipped files on the standard error, then the meaning and the remedy.
pub(super) fn name_skipped(skipped: &SkippedList, loudness: Loudness, what_it_means: &str, remedy: &str) {
    if skipped.count == 0 {
        return;
    }
    let is_not =
        if skipped.count == 1 { "file is not as it should be" } else { "files are not as they should be" };
    say(format_args!("{} {is_not}:", count(skipped.count)));
    name_files(skipped, loudness, ["file", "files"]);
    say(what_it_means);
    say(remedy);
}

/// A line for each file, and a line for the rest.
pub(super) fn name_files(skipped: &SkippedList, loudness: Loudness, [one, many]: [&str; 2]) {
    let shown = loudness.shown(skipped.named.len());
    for Skipped { path, why } in &skipped.named[..shown] {
        say(format_args!("  {path}: {why}"));
    }
    let rest = skipped.count.saturating_sub(shown as u64);
    if rest > 0 {
        let all = if shown < skipped.named.len() { "; --verbose names them, and --json" } else { "" };
        say(format_args!("  and {} more{all}", counted(rest, one, many)));
    }
}

/// Skipped files as JSON.
pub(super) fn skipped_json(skipped: &SkippedList) -> Value {
    let named: Vec<_> =
        skipped.named.iter().map(|Skipped { path, why }| json!({ "path": path, "why": why })).collect();
    json!({ "count": skipped.count, "files": named })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_not_flooded_and_a_log_has_every_name() {
        let (usual, verbose) = (Loudness::default(), Loudness { verbose: true, ..Loudness::default() });
        assert_eq!([0, 20, 21, 22, 10_000].map(|all| usual.shown_to(all, true)), [0, 20, 21, 20, 20]);
        assert_eq!(usual.shown_to(10_000, false), 10_000);
        assert_eq!(verbose.shown_to(10_000, true), 10_000);
    }
}
