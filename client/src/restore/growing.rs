//! Files that grow in the target, out of sight, and get their names once whole.
//!
//! Chunks of a file arrive in any order and on several threads; the last written chunk gives the file attributes and
//! name. Not here: giving the name (`naming`), and entries that are there already (`already`).

use super::{
    naming::{rename, words},
    replacing::NameMustBe,
    site::Site,
    target_folder::TargetFolder,
};
use crate::{
    platform::{Attributes, FolderRef, NewFile, SystemError, write_all_at},
    progress::ToldBytes,
};
use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

/// A file on its way into the target, finished after every planned write.
pub(crate) struct GrowingFile {
    is_there: Option<Arc<AtomicBool>>,
    place: Mutex<Option<Arc<TargetFolder>>>,
    name: Vec<u8>,
    beside: Vec<u8>,
    must_be: NameMustBe,
    attributes: Attributes,
    size: u64,
    told: ToldBytes,
    /// End of the last written byte.
    end: AtomicU64,
    open_writes: AtomicU64,
    state: Mutex<GrowthState>,
}

#[derive(Default)]
struct GrowthState {
    new: Option<Arc<NewFile>>,
    failed: Option<FileFailure>,
}

/// Why a file is not restored.
#[derive(Debug, Clone)]
pub(crate) enum FileFailure {
    /// The appliance lacks a part of the file.
    Damaged,
    /// A failure on this computer, in words.
    Here(String),
}

impl From<SystemError> for FileFailure {
    fn from(error: SystemError) -> Self {
        Self::Here(words(error))
    }
}

impl GrowingFile {
    /// Starts with a planned write that stands for the planning itself.
    pub(crate) fn new(
        site: &Site<'_>,
        place: &Arc<TargetFolder>,
        name: Vec<u8>,
        attributes: Attributes,
        size: u64,
    ) -> Self {
        Self {
            is_there: None,
            place: Mutex::new(Some(Arc::clone(place))),
            name,
            beside: site.name_beside(),
            must_be: site.replacing.unseen(),
            attributes,
            size,
            told: ToldBytes::default(),
            end: AtomicU64::new(0),
            open_writes: AtomicU64::new(1),
            state: Mutex::default(),
        }
    }

    /// `is_there` is set when the file is whole and has its name: other names wait for the link.
    pub(crate) fn linked(self, is_there: Option<Arc<AtomicBool>>) -> Arc<Self> {
        Arc::new(Self { is_there, ..self })
    }

    /// What must stand under the name when the file is whole.
    pub(crate) fn over(self, must_be: NameMustBe) -> Self {
        Self { must_be, ..self }
    }

    pub(crate) fn name(&self) -> &[u8] {
        &self.name
    }

    /// Plans a further write.
    pub(crate) fn expect_write(&self) {
        self.open_writes.fetch_add(1, Ordering::Relaxed);
    }

    /// Ends a planned write, done or not.
    pub(crate) fn written(&self, site: &Site<'_>) {
        if self.open_writes.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.finish(site);
        }
    }

    /// The file will not be whole; the first reason counts.
    pub(crate) fn fail(&self, why: impl Into<FileFailure>) {
        self.lock().failed.get_or_insert(why.into());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, GrowthState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes `bytes` at `offset`.
    pub(crate) fn write(&self, site: &Site<'_>, bytes: &[u8], offset: u64) {
        let mut state = self.lock();
        if state.failed.is_some() {
            return;
        }
        let opened = self.open(site, &mut state);
        // Only making the file needs the lock; other parts of the file may be written at the same time.
        drop(state);
        let written = opened.and_then(|new| write_all_at(&new.file, bytes, offset));
        self.told.add(site.progress, bytes.len() as u64);
        self.end.fetch_max(offset.saturating_add(bytes.len() as u64), Ordering::Relaxed);
        if let Err(error) = written {
            self.fail(error);
            site.stop_if_full(error);
        }
    }

    fn open(&self, site: &Site<'_>, state: &mut GrowthState) -> Result<Arc<NewFile>, SystemError> {
        if let Some(new) = &state.new {
            return Ok(Arc::clone(new));
        }
        let place = self.place.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let place = place.ok_or(SystemError::CLOSED)?;
        let folder = place.handle.open()?;
        let new = site.new_files.create(folder.as_ref(), &self.beside, self.attributes.mode)?;
        Ok(Arc::clone(state.new.insert(Arc::new(new))))
    }

    fn finish(&self, site: &Site<'_>) {
        let mut state = self.lock();
        let Some(place) = self.place.lock().unwrap_or_else(PoisonError::into_inner).clone() else { return };
        if state.failed.is_none()
            && let Err(error) = self.open(site, &mut state)
        {
            state.failed = Some(error.into());
        }
        let folder = place.handle.open();
        if let (None, Some(new), Ok(folder)) = (&state.failed, &state.new, &folder)
            && let Err(why) = self.publish(site, new, folder.as_ref(), &place)
        {
            state.failed = Some(FileFailure::Here(why));
        }
        // Also where nothing came back: what is left to do has become less.
        self.told.finish(site.progress, self.size);
        let path = || place.handle.path_of(&self.name);
        match (&state.failed, folder) {
            (Some(why), folder) => {
                if let (Ok(folder), Some(NewFile { is_unnamed: false, .. })) = (&folder, state.new.as_deref())
                {
                    let _ = folder.as_ref().remove(&self.beside);
                }
                match why {
                    FileFailure::Damaged => site.skip_damaged(path()),
                    FileFailure::Here(why) => site.skip(path(), why.clone()),
                }
            }
            (None, Err(error)) => site.skip(path(), words(error)),
            (None, Ok(_)) => {
                self.is_there.iter().for_each(|is_there| is_there.store(true, Ordering::Relaxed));
                site.note_named(self.must_be);
                site.progress.add_files(1);
                site.progress.add_bytes(self.size);
            }
        }
        state.new = None;
        drop(state);
        drop(place);
        let last = self.place.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(place) = last {
            TargetFolder::release(place, site);
        }
    }

    /// Attributes first, then the name.
    fn publish(
        &self,
        site: &Site<'_>,
        NewFile { file, is_unnamed }: &NewFile,
        folder: FolderRef<'_>,
        place: &TargetFolder,
    ) -> Result<(), String> {
        if self.end.load(Ordering::Relaxed) != self.size {
            // A hole at the end; no other file ends before its size.
            file.set_len(self.size).map_err(|error| words(error.into()))?;
        }
        site.restorer.apply(file, &self.attributes, place.owner_in_here, place.acls_in_here());
        if *is_unnamed {
            return site.new_files.name(file, folder, &self.name).map_err(words);
        }
        rename(folder, &self.beside, &self.name, self.must_be)
    }
}
