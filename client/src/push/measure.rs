//! What a push will look at, by the same rules as the push, without reading any file.
//!
//! Beside a push it finds the bytes for the bar; an estimate, since files come and go. Without the rules, a left-out
//! folder of fifty gigabytes would keep the bar from ever coming to its end. Not here: the walk of the push itself
//! (`walk`), the preview of a push (`preview`).

use super::{
    PushOptions,
    cache::{Cache, FolderKey},
    exclude::{Excludes, Ignores, SiftedFolder},
    excludes_of,
    gone::{GoneEntry, gone_from},
    named_folder,
};
use crate::{
    ClientError,
    handle::{Budget, Handle},
    platform::{FileKind, FileStatus, FolderRef, KindHint, NameList, OpenFolder, SystemError, name_bytes},
};
use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::UNIX_EPOCH,
};

/// Folders that the walk holds open besides those of the push.
const OPEN_MAX: usize = 64;

/// Bytes of the files that a push will look at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct PushMeasure {
    pub(crate) bytes: u64,
    /// Of files that changed since this computer pushed the folder last; none where it never did.
    pub(crate) changed_bytes: Option<u64>,
}

/// Adds up the sizes of the files that a push of `folder` will look at; nothing once `done`, and nothing where the
/// folder or the rules cannot be read.
pub(crate) fn measured(folder: &Path, options: &PushOptions, done: &AtomicBool) -> Option<PushMeasure> {
    let (mut bytes, mut changed_bytes) = (0u64, 0u64);
    let survey = PushSurvey::new(folder, options).ok()?;
    let is_whole = survey.walk(done, &mut |met| {
        // What cannot be opened is named by the push itself.
        if let SurveyFind::File { status, is_changed, .. } = met
            && status.kind == FileKind::File
        {
            bytes = bytes.saturating_add(status.size);
            changed_bytes = changed_bytes.saturating_add(if is_changed { status.size } else { 0 });
        }
    });
    is_whole.then(|| PushMeasure { bytes, changed_bytes: survey.last_push.map(|_| changed_bytes) })
}

/// A walk through a folder by the rules of a push.
pub(super) struct PushSurvey {
    top: Arc<Handle>,
    pub(super) excludes: Excludes,
    /// Seconds since 1970; none for a folder that this computer never pushed.
    pub(super) last_push: Option<i64>,
    key: FolderKey,
    /// With it, the walk meets also what the last push had and the folder has no more.
    pub(super) cache: Option<Cache>,
}

/// What the walk meets.
pub(super) enum SurveyFind<'a> {
    /// A folder below the top.
    Folder,
    /// A file, or any other entry than a folder.
    File {
        folder: FolderRef<'a>,
        name: &'a [u8],
        path: &'a dyn Fn() -> String,
        status: &'a FileStatus,
        /// Since the last push; true for all where there was none.
        is_changed: bool,
    },
    /// Something that the last push had.
    Gone(GoneEntry<'a>),
    /// A folder or a file that cannot be looked at, and is not gone meanwhile.
    Unreadable { path: &'a dyn Fn() -> String, cause: SystemError },
}

/// A folder that is still to be looked at: the top, or a name in a folder.
struct Waiting {
    above: Arc<Handle>,
    name: Option<Vec<u8>>,
    ignores: Option<Arc<Ignores>>,
    device_above: u64,
    key: FolderKey,
}

impl PushSurvey {
    /// Opens `folder`, and reads the rules.
    ///
    /// # Errors
    /// A folder that cannot be opened, and patterns that are none.
    pub(super) fn new(folder: &Path, options: &PushOptions) -> Result<Self, ClientError> {
        // The cache is written at the end of each push. A file whose time was set back has a new time of its status.
        let written = options.cache.as_ref().and_then(|cache| fs::metadata(cache).ok()?.modified().ok());
        let last_push =
            written.and_then(|at| i64::try_from(at.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok());
        let excludes = excludes_of(options)?;
        let folder = named_folder(folder)?;
        let top = OpenFolder::open(&folder)
            .and_then(|opened| Handle::root(opened, Budget::new(OPEN_MAX)))
            .map_err(|error| ClientError::local("opening the folder", &folder, error))?;
        let key = FolderKey::root(&name_bytes(folder.as_os_str()));
        Ok(Self { top, excludes, last_push, key, cache: None })
    }

    /// Hands each entry to `meet`, a folder before what is in it; false where `done` was set before the end.
    pub(super) fn walk(&self, done: &AtomicBool, meet: &mut dyn FnMut(SurveyFind<'_>)) -> bool {
        let device_above = self.top.device();
        let mut waiting = vec![Waiting {
            above: Arc::clone(&self.top),
            name: None,
            ignores: None,
            device_above,
            key: self.key,
        }];
        let mut room = Vec::new();
        while let Some(next) = waiting.pop() {
            if done.load(Relaxed) {
                return false;
            }
            match self.look_at(&next, &mut room, meet) {
                Ok(folders) => waiting.extend(folders),
                Err(cause) if cause.is_gone() => {}
                Err(cause) => {
                    let path = || next.above.path_of(next.name.as_deref().unwrap_or_default());
                    meet(SurveyFind::Unreadable { path: &path, cause });
                }
            }
        }
        true
    }

    fn look_at(
        &self,
        at: &Waiting,
        room: &mut Vec<u8>,
        meet: &mut dyn FnMut(SurveyFind<'_>),
    ) -> Result<Vec<Waiting>, SystemError> {
        let above = at.above.open()?;
        let handle = match &at.name {
            None => Arc::clone(&at.above),
            Some(name) => {
                let opened = above.as_ref().open_folder(name)?;
                let identity = opened.as_ref().status()?.identity();
                // Where no descriptor is left, the folder is opened again below.
                Handle::child(&at.above, name, opened, identity).0
            }
        };
        let opened = handle.open()?;
        let (folder, status) = (opened.as_ref(), opened.as_ref().status()?);
        let sifted = SiftedFolder { folder, path: &|| handle.path() };
        let is_mount = status.device != at.device_above;
        let is_empty = self.excludes.leaves_empty(&sifted, status.identity(), is_mount);
        let mut names = if is_empty { NameList::default() } else { folder.list(room)? };
        folder.settle_hints(&mut names);
        let ignores = self.excludes.apply(&mut names, &sifted, at.ignores.as_ref());
        if at.name.is_some() {
            meet(SurveyFind::Folder);
        }
        if let Some(cache) = &self.cache {
            let path_of = |name: &[u8]| handle.path_of(name);
            gone_from(cache, at.key, &names, &path_of, &mut |gone| meet(SurveyFind::Gone(gone)));
        }
        let mut folders = Vec::new();
        for position in 0..names.len() {
            let name = names.name(position);
            if names.hint(position) == KindHint::Folder {
                folders.push(Waiting {
                    above: Arc::clone(&handle),
                    name: Some(name.to_owned()),
                    ignores: ignores.clone(),
                    device_above: status.device,
                    key: at.key.child(name),
                });
                continue;
            }
            let path = || handle.path_of(name);
            match folder.status_at(name) {
                Ok(status) => {
                    let is_changed = self.last_push.is_none_or(|at| status.changed.seconds >= at);
                    meet(SurveyFind::File { folder, name, path: &path, status: &status, is_changed });
                }
                Err(cause) if cause.is_gone() => {}
                Err(cause) => meet(SurveyFind::Unreadable { path: &path, cause }),
            }
        }
        // The last in comes out first: names are met in their order.
        folders.reverse();
        Ok(folders)
    }
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
