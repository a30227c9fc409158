//! What only has another path: a file or folder that is gone in one place, and there in another with the same content.
//!
//! A list of differences names such a thing twice. Two copies of one file are not told apart: one of them was moved. Not
//! here: the differences (`link::changes`), how they are shown (`comparing`).

use larder_format::wire::{Change, ChangeKind, EntryInfo};
use std::collections::{HashMap, HashSet};

/// Differences that are held back until all are known; with more of them, nothing is looked for: a year of a large folder
/// must not fill the memory.
pub(super) const HELD_MAX: usize = 50_000;
/// Their bytes, about; an appliance may name each with megabytes.
pub(super) const HELD_BYTES_MAX: usize = 32 << 20;

/// Bytes that a difference takes, about.
pub(super) fn bytes_of(change: &Change) -> usize {
    let of_entry = |entry: &EntryInfo| {
        let EntryInfo { name, kind, modified, user, group, target, .. } = entry;
        let target = target.as_ref().map_or(0, String::len);
        [name, kind, modified, user, group].map(String::len).iter().sum::<usize>() + target
    };
    let entries = [&change.before, &change.after].map(|entry| entry.as_ref().map_or(0, of_entry));
    change.path.len() + change.content.as_ref().map_or(0, String::len) + entries.iter().sum::<usize>()
}

/// The same differences, with one for each thing that was moved, at its new path.
pub(super) fn with_moves(changes: Vec<Change>) -> Vec<Change> {
    let mut pairs = Pairs::default();
    // Folders first: what is in a moved folder was moved with it. What kept its name goes before what did not.
    pairs.find(&changes, PairingPass { are_folders: true, kept_name: true });
    pairs.find(&changes, PairingPass { are_folders: true, kept_name: false });
    pairs.drop_copies();
    pairs.find(&changes, PairingPass { are_folders: false, kept_name: true });
    pairs.find(&changes, PairingPass { are_folders: false, kept_name: false });
    let Pairs { new_paths, old_paths } = pairs;
    let is_moved_along = |path: &str, tops: &dyn Fn(&str) -> bool| above(path).any(tops);
    let told = changes.into_iter().filter_map(|change| match change.change {
        ChangeKind::Added => match new_paths.get(&change.path) {
            Some((from, before)) => Some(Change {
                change: ChangeKind::Moved,
                before: Some(before.clone()),
                from: Some(from.clone()),
                ..change
            }),
            None => (!is_moved_along(&change.path, &|top| new_paths.contains_key(top))).then_some(change),
        },
        ChangeKind::Removed => {
            let is_told = old_paths.contains(&change.path)
                || is_moved_along(&change.path, &|top| old_paths.contains(top));
            (!is_told).then_some(change)
        }
        _ => Some(change),
    });
    told.collect()
}

/// Old and new paths of what was moved.
#[derive(Default)]
struct Pairs {
    /// By the new path: the old path, and the entry as it was.
    new_paths: HashMap<String, (String, EntryInfo)>,
    old_paths: HashSet<String>,
}

/// What a pass pairs.
#[derive(Clone, Copy)]
struct PairingPass {
    are_folders: bool,
    /// Only what has the same name in another folder.
    kept_name: bool,
}

impl Pairs {
    /// A folder that was paired with a part of another moved folder is a copy of that part.
    fn drop_copies(&mut self) {
        let Self { new_paths, old_paths } = self;
        new_paths.retain(|_, (from, _)| !above(from).any(|top| old_paths.contains(top)));
        *old_paths = new_paths.values().map(|(from, _)| from.clone()).collect();
    }

    fn find(&mut self, changes: &[Change], wanted: PairingPass) {
        let is_of_kind = |entry: &EntryInfo| (entry.kind == "directory") == wanted.are_folders;
        let mut gone: HashMap<&str, Gone<'_>> = HashMap::new();
        for change in changes.iter().filter(|change| change.change == ChangeKind::Removed) {
            let before = change.before.as_ref().filter(|entry| is_of_kind(entry));
            let before = before.filter(|_| !self.old_paths.contains(&change.path));
            if let (Some(content), Some(before)) = (&change.content, before) {
                gone.entry(content).or_default().add(&change.path, before);
            }
        }
        for change in changes.iter().filter(|change| change.change == ChangeKind::Added) {
            let is_wanted = change.after.as_ref().is_some_and(is_of_kind)
                && !self.new_paths.contains_key(&change.path)
                && !above(&change.path).any(|top| self.new_paths.contains_key(top));
            let content = change.content.as_deref().filter(|_| is_wanted);
            let Some(gone) = content.and_then(|content| gone.get_mut(content)) else { continue };
            let has_moved_along = |path: &str| above(path).any(|top| self.old_paths.contains(top));
            let name = wanted.kept_name.then(|| name_of(&change.path));
            if let Some((from, before)) = gone.take(name, &has_moved_along) {
                self.old_paths.insert(from.to_owned());
                self.new_paths.insert(change.path.clone(), (from.to_owned(), before.clone()));
            }
        }
    }
}

/// What is gone with one content. Each is looked at a few times in all, however many copies there are: a folder may have
/// thousands of equal files.
#[derive(Default)]
struct Gone<'a> {
    all: Vec<(&'a str, &'a EntryInfo)>,
    /// Those before this position were looked at.
    next: usize,
    by_name: HashMap<&'a str, Vec<usize>>,
}

impl<'a> Gone<'a> {
    fn add(&mut self, path: &'a str, before: &'a EntryInfo) {
        self.by_name.entry(name_of(path)).or_default().push(self.all.len());
        self.all.push((path, before));
    }

    /// One of this name, or the first of any; none that `has_moved_along` with a folder.
    fn take(
        &mut self,
        name: Option<&str>,
        has_moved_along: &dyn Fn(&str) -> bool,
    ) -> Option<(&'a str, &'a EntryInfo)> {
        let Self { all, next, by_name } = self;
        match name {
            Some(name) => {
                let places = by_name.get_mut(name)?;
                std::iter::from_fn(|| places.pop()).map(|at| all[at]).find(|(path, _)| !has_moved_along(path))
            }
            None => {
                let rest = all.iter().skip(*next);
                rest.inspect(|_| *next += 1).find(|(path, _)| !has_moved_along(path)).copied()
            }
        }
    }
}

fn name_of(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// The folders above a path, the lowest first.
fn above(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(path.rsplit_once('/'), |(top, _)| top.rsplit_once('/')).map(|(top, _)| top)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(kind: &str) -> EntryInfo {
        let [name, modified, user, group] = [const { String::new() }; 4];
        let (kind, files, target) = (kind.to_owned(), None, None);
        EntryInfo { name, kind, bytes: 1, mode: 0, modified, user, group, files, target }
    }

    /// `-` or `+`, a path with `/` behind a folder, and the name of its content.
    fn change(line: &str) -> Change {
        let [sign, path, content] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let kind = if path.ends_with('/') { "directory" } else { "file" };
        let (path, entry) = (path.trim_end_matches('/').to_owned(), Some(entry(kind)));
        let content = (!content.is_empty()).then(|| content.to_owned());
        let (change, before, after) = match sign {
            "-" => (ChangeKind::Removed, entry, None),
            "+" => (ChangeKind::Added, None, entry),
            _ => (ChangeKind::Content, None, None),
        };
        Change { change, path, before, after, content, from: None }
    }

    fn check(lines: &[&str], expect: &[&str]) {
        let told = with_moves(lines.iter().map(|line| change(line)).collect());
        let told: Vec<_> = told
            .iter()
            .map(|change| match (&change.change, &change.from) {
                (ChangeKind::Moved, Some(from)) => format!("{from} -> {}", change.path),
                (ChangeKind::Added, None) => format!("+{}", change.path),
                (ChangeKind::Removed, None) => format!("-{}", change.path),
                (_, None) => format!("~{}", change.path),
                (_, Some(from)) => panic!("{from}"),
            })
            .collect();
        assert_eq!(told, expect, "{lines:?}");
    }

    #[test]
    fn what_only_has_another_path_was_moved() {
        check(&["- a.txt A", "+ b.txt A"], &["a.txt -> b.txt"]);
        check(&["- a.txt A", "+ b.txt B"], &["-a.txt", "+b.txt"]);
        check(&["- empty ", "+ other "], &["-empty", "+other"]);
        check(&["~ a.txt A", "+ b.txt A"], &["~a.txt", "+b.txt"]);
        check(&["- a A", "+ b/ A"], &["-a", "+b"]);
    }

    #[test]
    fn of_several_copies_the_one_that_kept_its_name_was_moved() {
        check(&["- x/a A", "- x/b A", "+ y/b A"], &["-x/a", "x/b -> y/b"]);
        check(
            &["- x/a A", "- x/b A", "- x/c A", "+ y/b A", "+ y/d A", "+ y/e A"],
            &["x/b -> y/b", "x/a -> y/d", "x/c -> y/e"],
        );
        check(&["- x/a A", "+ y/1 A", "+ y/2 A"], &["x/a -> y/1", "+y/2"]);
        check(&["- x/b A", "+ y/1 A", "+ y/b A"], &["+y/1", "x/b -> y/b"]);
    }

    /// Compared each with each, they would take minutes.
    #[test]
    fn many_equal_files_are_paired_at_once() {
        let lines: Vec<_> = ['-', '+']
            .into_iter()
            .flat_map(|sign| (0..25_000).map(move |at| format!("{sign} {sign}/{at} A")))
            .collect();
        let told = with_moves(lines.iter().map(|line| change(line)).collect());
        assert_eq!(told.len(), 25_000);
        let kept_its_name = |it: &Change| it.from.as_deref().map(name_of) == Some(name_of(&it.path));
        assert!(told.iter().all(kept_its_name));
    }

    #[test]
    fn what_is_in_a_moved_folder_was_moved_with_it() {
        check(
            &[
                "+ new/ F",
                "+ new/a A",
                "+ new/sub/ S",
                "+ new/sub/b B",
                "- old/ F",
                "- old/a A",
                "- old/sub/ S",
                "- old/sub/b B",
            ],
            &["old -> new"],
        );
        // A copy elsewhere is not taken for what went along.
        check(&["+ copy A", "+ new/ F", "+ new/a A", "- old/ F", "- old/a A"], &["+copy", "old -> new"]);
        check(
            &[
                "+ Best/ S",
                "+ Best/1 A",
                "+ Pictures/ F",
                "+ Pictures/2024/ S",
                "- Photos/ F",
                "- Photos/2024/ S",
                "- Photos/2024/1 A",
            ],
            &["+Best", "+Best/1", "Photos -> Pictures"],
        );
        // A folder with one more file is another folder; the files in it were moved.
        check(
            &["+ new/ G", "+ new/a A", "+ new/c C", "- old/ F", "- old/a A"],
            &["+new", "old/a -> new/a", "+new/c", "-old"],
        );
    }
}
