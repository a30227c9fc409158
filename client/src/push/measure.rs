//! How many bytes a push will look at, by the same rules as the push.
//!
//! Measured beside the push, for the bar; an estimate, since files come and go. Without the rules, a left-out folder
//! of fifty gigabytes would keep the bar from ever coming to its end. Not here: the walk of the push itself (`walk`).

use super::{
    PushOptions,
    exclude::{Excludes, Ignores, SiftedFolder},
    excludes_of,
};
use crate::platform::{FileKind, KindHint, NameList, OpenFolder, path_of_bytes};
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

/// A folder that is still to be looked at.
struct Waiting {
    /// Path below the pushed folder.
    path: Vec<u8>,
    ignores: Option<Arc<Ignores>>,
    device_above: u64,
}

/// Adds up the sizes of the files that a push of `folder` will look at; nothing once `done`, and nothing where the
/// rules cannot be read.
pub(crate) fn measured(folder: &Path, options: &PushOptions, done: &AtomicBool) -> Option<u64> {
    let excludes = excludes_of(options).ok()?;
    let device_above = crate::platform::device_of(folder).ok()?;
    let mut waiting = vec![Waiting { path: Vec::new(), ignores: None, device_above }];
    let (mut bytes, mut room) = (0u64, Vec::new());
    while let Some(next) = waiting.pop() {
        if done.load(Relaxed) {
            return None;
        }
        // What cannot be opened is named by the push itself.
        if let Some(more) = look_at(folder, &next, &excludes, &mut room) {
            bytes = bytes.saturating_add(more.bytes);
            waiting.extend(more.folders);
        }
    }
    Some(bytes)
}

struct LookedAt {
    bytes: u64,
    folders: Vec<Waiting>,
}

fn look_at(top: &Path, at: &Waiting, excludes: &Excludes, room: &mut Vec<u8>) -> Option<LookedAt> {
    let opened = OpenFolder::open(&top.join(path_of_bytes(&at.path))).ok()?;
    let (folder, status) = (opened.as_ref(), opened.as_ref().status().ok()?);
    let sifted = SiftedFolder { folder, path: &|| at.path.clone() };
    let is_mount = status.device != at.device_above;
    let is_empty = excludes.leaves_empty(&sifted, status.identity(), is_mount);
    let mut names = if is_empty { NameList::default() } else { folder.list(room).ok()? };
    folder.settle_hints(&mut names);
    let ignores = excludes.apply(&mut names, &sifted, at.ignores.as_ref());
    let mut found = LookedAt { bytes: 0, folders: Vec::new() };
    for position in 0..names.len() {
        let name = names.name(position);
        if names.hint(position) == KindHint::Folder {
            let path = if at.path.is_empty() { name.to_owned() } else { [&at.path[..], name].join(&b'/') };
            found.folders.push(Waiting { path, ignores: ignores.clone(), device_above: status.device });
        } else if let Ok(file) = folder.status_at(name)
            && file.kind == FileKind::File
        {
            found.bytes = found.bytes.saturating_add(file.size);
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_not_expected() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, len: usize| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(path, vec![7; len]).expect("written");
        };
        write("a", 100);
        write("below/b", 20);
        write("below/c.o", 3000);
        write("below/.larderignore", 0);
        std::fs::write(folder.path().join("below/.larderignore"), "deep/").expect("written");
        write("below/deep/d", 40_000);
        let options = PushOptions { exclude: vec!["*.o".to_owned()], ..PushOptions::default() };
        let going_on = AtomicBool::new(false);
        assert_eq!(measured(folder.path(), &options, &going_on), Some(100 + 20 + 5));
        assert_eq!(measured(folder.path(), &PushOptions::default(), &going_on), Some(100 + 20 + 3000 + 5));
        assert_eq!(measured(folder.path(), &options, &AtomicBool::new(true)), None);
    }
}
