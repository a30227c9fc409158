//! What of a folder is backed up, as a push and a schedule are told.
//!
//! Not here: the rules themselves (`push::exclude`), and telling what was left out (`left_out`).

use crate::{DefaultExcludes, schedule::ScheduledPushes};
use clap::Args;
use std::path::Path;

/// What is left out of a folder, and what is not.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct ChoiceArgs {
    /// Leave out what matches, by the rules of a .gitignore; may be given several times
    #[arg(long, value_name = "GLOB")]
    pub(super) exclude: Vec<String>,
    /// Back up folders that are marked as caches (CACHEDIR.TAG), too
    #[arg(long)]
    include_caches: bool,
    /// Leave nothing out but what --exclude and .larderignore match; never a key, Larder's own cache or /proc
    #[arg(long)]
    no_default_excludes: bool,
    /// Leave folders empty that lie on another filesystem
    #[arg(long)]
    pub(super) one_filesystem: bool,
}

impl ChoiceArgs {
    /// What is left out without a pattern.
    pub(super) fn default_excludes(&self) -> DefaultExcludes {
        match (self.no_default_excludes, self.include_caches) {
            (true, _) => DefaultExcludes::None,
            (false, true) => DefaultExcludes::ButCaches,
            (false, false) => DefaultExcludes::All,
        }
    }

    /// These choices, and those of a scheduled push of `folder`: what such a push leaves out is neither new nor deleted.
    pub(super) fn with_scheduled(self, folder: &Path) -> Self {
        // A schedule that cannot be read is told by `larder schedule`.
        let all = ScheduledPushes::of_account().and_then(|scheduled| scheduled.all()).unwrap_or_default();
        let words = all.into_iter().find(|scheduled| scheduled.folder == folder).map(|found| found.push);
        self.with_words(&words.unwrap_or_default())
    }

    /// These choices, and those among the words of a scheduled `larder push`.
    fn with_words(mut self, words: &[String]) -> Self {
        let globs = words.iter().filter_map(|word| word.strip_prefix("--exclude="));
        let new: Vec<String> =
            globs.filter(|glob| !self.exclude.iter().any(|known| known == glob)).map(str::to_owned).collect();
        self.exclude.extend(new);
        let has = |wanted: &str| words.iter().any(|word| word == wanted);
        self.include_caches |= has("--include-caches");
        self.no_default_excludes |= has("--no-default-excludes");
        self.one_filesystem |= has("--one-filesystem");
        self
    }

    /// The same as words of `larder push`.
    pub(super) fn words(&self) -> Vec<String> {
        let Self { exclude, include_caches, no_default_excludes, one_filesystem } = self;
        let mut words: Vec<String> = exclude.iter().map(|glob| format!("--exclude={glob}")).collect();
        words.extend(include_caches.then(|| "--include-caches".to_owned()));
        words.extend(no_default_excludes.then(|| "--no-default-excludes".to_owned()));
        words.extend(one_filesystem.then(|| "--one-filesystem".to_owned()));
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheduled_choice_is_read_back_as_it_was_written() {
        let choice = ChoiceArgs {
            exclude: vec!["*.o".to_owned(), "cache/".to_owned()],
            include_caches: true,
            no_default_excludes: false,
            one_filesystem: true,
        };
        let words = [choice.words(), vec!["--quiet".to_owned()]].concat();
        let typed =
            ChoiceArgs { exclude: vec!["*.o".to_owned(), "*.iso".to_owned()], ..ChoiceArgs::default() };
        let both = typed.with_words(&words);
        assert_eq!(both.exclude, ["*.o", "*.iso", "cache/"]);
        assert!(both.include_caches && !both.no_default_excludes && both.one_filesystem);
    }
}
