//! How many bytes a push will look at, and how many of them changed, by the same rules as the push.
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
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::UNIX_EPOCH,
};

/// A folder that is still to be looked at.
struct Waiting {
    /// Path below the pushed folder.
    path: Vec<u8>,
    ignores: Option<Arc<Ignores>>,
    device_above: u64,
}

/// Bytes of the files that a push will look at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct PushMeasure {
    pub(crate) bytes: u64,
    /// Of files that changed since this computer pushed the folder last; none where it never did.
    pub(crate) changed_bytes: Option<u64>,
}

/// Adds up the sizes of the files that a push of `folder` will look at; nothing once `done`, and nothing where the
/// rules cannot be read.
pub(crate) fn measured(folder: &Path, options: &PushOptions, done: &AtomicBool) -> Option<PushMeasure> {
    // The cache is written at the end of each push. A file whose time was set back has a new time of its status.
    let written = options.cache.as_ref().and_then(|cache| fs::metadata(cache).ok()?.modified().ok());
    let last_push = written.and_then(|at| i64::try_from(at.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok());
    let excludes = excludes_of(options).ok()?;
    let device_above = crate::platform::device_of(folder).ok()?;
    let mut waiting = vec![Waiting { path: Vec::new(), ignores: None, device_above }];
    let (mut bytes, mut changed_bytes, mut room) = (0u64, 0u64, Vec::new());
    while let Some(next) = waiting.pop() {
        if done.load(Relaxed) {
            return None;
        }
        // What cannot be opened is named by the push itself.
        if let Some(more) = look_at(folder, &next, &excludes, &mut room, last_push) {
            bytes = bytes.saturating_add(more.bytes);
            changed_bytes = changed_bytes.saturating_add(more.changed_bytes);
            waiting.extend(more.folders);
        }
    }
    Some(PushMeasure { bytes, changed_bytes: last_push.map(|_| changed_bytes) })
}

struct LookedAt {
    bytes: u64,
    changed_bytes: u64,
    folders: Vec<Waiting>,
}

fn look_at(
    top: &Path,
    at: &Waiting,
    excludes: &Excludes,
    room: &mut Vec<u8>,
    last_push: Option<i64>,
) -> Option<LookedAt> {
    let opened = OpenFolder::open(&top.join(path_of_bytes(&at.path))).ok()?;
    let (folder, status) = (opened.as_ref(), opened.as_ref().status().ok()?);
    let sifted = SiftedFolder { folder, path: &|| at.path.clone() };
    let is_mount = status.device != at.device_above;
    let is_empty = excludes.leaves_empty(&sifted, status.identity(), is_mount);
    let mut names = if is_empty { NameList::default() } else { folder.list(room).ok()? };
    folder.settle_hints(&mut names);
    let ignores = excludes.apply(&mut names, &sifted, at.ignores.as_ref());
    let mut found = LookedAt { bytes: 0, changed_bytes: 0, folders: Vec::new() };
    for position in 0..names.len() {
        let name = names.name(position);
        if names.hint(position) == KindHint::Folder {
            let path = if at.path.is_empty() { name.to_owned() } else { [&at.path[..], name].join(&b'/') };
            found.folders.push(Waiting { path, ignores: ignores.clone(), device_above: status.device });
        } else if let Ok(file) = folder.status_at(name)
            && file.kind == FileKind::File
        {
            found.bytes = found.bytes.saturating_add(file.size);
            if last_push.is_some_and(|at| file.changed.seconds >= at) {
                found.changed_bytes = found.changed_bytes.saturating_add(file.size);
            }
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, SystemTime};

    #[test]
    fn what_is_left_out_is_not_expected() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, len: usize| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, vec![7; len]).expect("written");
        };
        write("a", 100);
        write("below/b", 20);
        write("below/c.o", 3000);
        write("below/.larderignore", 0);
        fs::write(folder.path().join("below/.larderignore"), "deep/").expect("written");
        write("below/deep/d", 40_000);
        let options = PushOptions { exclude: vec!["*.o".to_owned()], ..PushOptions::default() };
        let going_on = AtomicBool::new(false);
        let bytes =
            |options: &PushOptions| measured(folder.path(), options, &going_on).map(|found| found.bytes);
        assert_eq!(bytes(&options), Some(100 + 20 + 5));
        assert_eq!(bytes(&PushOptions::default()), Some(100 + 20 + 3000 + 5));
        assert_eq!(measured(folder.path(), &options, &AtomicBool::new(true)), None);
    }

    #[test]
    fn what_changed_since_the_last_push_is_told_apart() {
        let place = tempfile::tempdir().expect("a folder");
        let (folder, cache) = (place.path().join("data"), place.path().join("cache"));
        fs::create_dir(&folder).expect("made");
        fs::write(folder.join("a"), [7; 100]).expect("written");
        let options = PushOptions { cache: Some(cache.clone()), ..PushOptions::default() };
        let changed =
            || measured(&folder, &options, &AtomicBool::new(false)).expect("measured").changed_bytes;
        assert_eq!(changed(), None, "it was never pushed");
        fs::write(&cache, b"").expect("written");
        let pushed_at = |at: SystemTime| {
            let cache = fs::File::options().write(true).open(&cache).expect("opened");
            cache.set_times(fs::FileTimes::new().set_modified(at)).expect("set");
        };
        pushed_at(SystemTime::now() + Duration::from_secs(100));
        assert_eq!(changed(), Some(0));
        pushed_at(SystemTime::now() - Duration::from_secs(100));
        assert_eq!(changed(), Some(100));
    }
}
