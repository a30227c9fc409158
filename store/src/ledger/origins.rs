//! The folder of each snapshot, as its device said: the newest few of each source.
//!
//! A device may say kilobytes of another folder with each push, for ever, and every word would stay in memory. An honest
//! folder moves once in years. Not here: whether two folders are the same (`format::ledger::Origin`).

use larder_format::ledger::Origin;
use std::collections::{BTreeMap, VecDeque};

/// Folders that are remembered of a source; the ledger's files know them all.
const FOLDERS_MAX: usize = 4;

/// A folder, and the first snapshot that came from there.
#[derive(Debug, Clone)]
struct Since {
    snapshot: u64,
    origin: Option<Origin>,
}

/// Folders of the sources, by the source's name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Origins(BTreeMap<String, VecDeque<Since>>);

impl Origins {
    /// A snapshot with a rising number came from there.
    pub(crate) fn add(&mut self, source: &str, snapshot: u64, origin: Option<Origin>) {
        let known = self.0.entry(source.to_owned()).or_default();
        if known.back().is_some_and(|newest| newest.origin == origin) {
            return;
        }
        if known.len() == FOLDERS_MAX {
            known.pop_front();
        }
        known.push_back(Since { snapshot, origin });
    }

    /// The folder of a snapshot; nothing where the device said none, or more have come since than are remembered.
    pub(crate) fn of(&self, source: &str, snapshot: u64) -> Option<&Origin> {
        let since = self.0.get(source)?.iter().rev().find(|since| since.snapshot <= snapshot)?;
        since.origin.as_ref()
    }

    /// The newest known folder of a source.
    pub(crate) fn newest(&self, source: &str) -> Option<&Origin> {
        self.0.get(source)?.iter().rev().find_map(|since| since.origin.as_ref())
    }

    /// Forgets sources that are no longer there.
    pub(crate) fn retain(&mut self, is_there: impl Fn(&str) -> bool) {
        self.0.retain(|source, _| is_there(source));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(path: &str) -> Option<Origin> {
        Some(Origin { computer: "pc".to_owned(), path: path.to_owned() })
    }

    #[test]
    fn each_snapshot_is_of_the_folder_that_was_said_with_it() {
        let mut origins = Origins::default();
        for (snapshot, path) in [(3, "/a"), (5, "/a"), (9, "/b")] {
            origins.add("laptop/docs", snapshot, origin(path));
        }
        origins.add("laptop/docs", 12, None);
        let of = |snapshot| origins.of("laptop/docs", snapshot).map(|origin| &*origin.path);
        assert_eq!([1, 3, 5, 9, 12].map(of), [None, Some("/a"), Some("/a"), Some("/b"), None]);
        assert_eq!(origins.newest("laptop/docs"), origin("/b").as_ref());
        assert_eq!(origins.newest("laptop/music"), None);
    }

    /// A device that says another folder each time takes no more memory than one that moved now and then.
    #[test]
    fn only_a_few_folders_are_remembered() {
        let mut origins = Origins::default();
        (0..1000).for_each(|n| origins.add("laptop/docs", n, origin(&format!("/{n}"))));
        assert_eq!(origins.0["laptop/docs"].len(), FOLDERS_MAX);
        assert_eq!(origins.of("laptop/docs", 999), origin("/999").as_ref());
        assert_eq!(origins.of("laptop/docs", 10), None);
        origins.retain(|source| source != "laptop/docs");
        assert_eq!(origins.newest("laptop/docs"), None);
    }
}
