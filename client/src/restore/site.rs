//! Values that planner and fetchers of a restore share: target, skipped entries, reason of a stop.

use super::{
    filesystems::Filesystems,
    options::{RestoreOptions, Restored},
    replacing::{NameMustBe, Replacing},
    special::{Permission, SpecialGate},
};
use crate::{
    ClientError, NotWritten, SkippedList, TransferProgress,
    platform::{Attributes, ErrorCause, NewFiles, Restorer, SystemError},
    unfinished,
};
use larder_format::tree::Kind;
use std::{
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

/// Bytes of attributes that may wait for their folders to be finished. A tree of 2,048 levels, with 128 KiB of extended
/// attributes on each, fits.
const FOLDER_ATTRIBUTES_BYTES_MAX: usize = 512 * 1024 * 1024;

/// Values that planner and fetchers share.
pub(crate) struct Site<'a> {
    pub(crate) replacing: Replacing<'a>,
    is_only_looking: bool,
    pub(crate) progress: &'a TransferProgress,
    target: &'a Path,
    pub(crate) restorer: Restorer,
    pub(crate) special: SpecialGate,
    pub(crate) new_files: NewFiles,
    pub(crate) filesystems: Filesystems,
    skipped: Mutex<SkippedList>,
    damaged: AtomicU64,
    already: AtomicU64,
    replaced: AtomicU64,
    folder_attributes_bytes: AtomicUsize,
    /// Tells the unfinished files of this run from the files of another run.
    process: u32,
    beside: AtomicU64,
    trouble: Mutex<Option<ClientError>>,
    stopped: AtomicBool,
}

impl<'a> Site<'a> {
    pub(crate) fn new(options: &RestoreOptions, progress: &'a TransferProgress, target: &'a Path) -> Self {
        let restorer = Restorer::new();
        let replacing = Replacing::from(options.existing);
        Self {
            replacing,
            is_only_looking: false,
            progress,
            target,
            special: SpecialGate::new(options.special, restorer.own.is_root()),
            restorer,
            new_files: new_files(replacing),
            filesystems: Filesystems::default(),
            skipped: Mutex::default(),
            damaged: AtomicU64::new(0),
            already: AtomicU64::new(0),
            replaced: AtomicU64::new(0),
            folder_attributes_bytes: AtomicUsize::new(0),
            process: std::process::id(),
            beside: AtomicU64::new(0),
            trouble: Mutex::default(),
            stopped: AtomicBool::new(false),
        }
    }

    /// The same with other rules for what may be replaced.
    pub(crate) fn replacing(self, replacing: Replacing<'a>) -> Self {
        Self { replacing, new_files: new_files(replacing), ..self }
    }

    /// The same for a look at the target that changes nothing there.
    pub(crate) fn only_looking(self) -> Self {
        Self { is_only_looking: true, ..self }
    }

    /// The folder that the owner named.
    pub(crate) fn target(&self) -> &Path {
        self.target
    }

    /// Whether permissions may be lent for a look.
    pub(crate) fn may_touch(&self) -> bool {
        !self.is_only_looking
    }

    pub(crate) fn skip(&self, path: String, why: impl Into<String>) {
        self.progress.add_skipped(1);
        self.skipped.lock().unwrap_or_else(PoisonError::into_inner).add(path, why);
    }

    /// The attributes with which an entry may be made; none where it may not be made. Names what is left out.
    pub(crate) fn permitted(
        &self,
        kind: &Kind,
        attributes: Attributes,
        path: impl FnOnce() -> String,
    ) -> Option<Attributes> {
        let Permission { attributes, lost } = self.special.permitted(kind, attributes);
        if let Some(lost) = lost {
            self.skip(path(), lost);
        }
        attributes
    }

    /// A file was there already, the same.
    pub(crate) fn note_already(&self) {
        self.already.fetch_add(1, Relaxed);
    }

    /// A file has its name now, which stood for this before.
    pub(crate) fn note_named(&self, must_be: NameMustBe) {
        if let NameMustBe::As(_) = must_be {
            self.replaced.fetch_add(1, Relaxed);
        }
    }

    /// Names an entry that the appliance does not hold whole.
    pub(crate) fn skip_damaged(&self, path: String) {
        self.damaged.fetch_add(1, Relaxed);
        self.skip(path, "its data is damaged or missing");
    }

    /// Names a folder with a lost list of names: the lost names cannot even be told.
    pub(crate) fn skip_names(&self, path: String) {
        self.damaged.fetch_add(1, Relaxed);
        self.skip(
            path,
            "a list of the names in this folder is damaged or missing, and with it what they stood for",
        );
    }

    /// Attributes that wait until their folder is finished. Without room, extended attributes are left out and counted.
    pub(crate) fn keep_for_folder(&self, attributes: Attributes) -> Attributes {
        let held = attributes.held_bytes();
        let room =
            |bytes: usize| bytes.checked_add(held).filter(|bytes| *bytes <= FOLDER_ATTRIBUTES_BYTES_MAX);
        if self.folder_attributes_bytes.fetch_update(Relaxed, Relaxed, room).is_ok() {
            return attributes;
        }
        self.restorer.attributes_left.fetch_add(1, Relaxed);
        attributes.bare()
    }

    /// The folder of these attributes is finished.
    pub(crate) fn let_go_of(&self, attributes: &Attributes) {
        self.folder_attributes_bytes.fetch_sub(attributes.held_bytes(), Relaxed);
    }

    /// Ends the restore; the first reason counts.
    pub(crate) fn stop(&self, trouble: ClientError) {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(trouble);
        self.stopped.store(true, Relaxed);
    }

    /// A full disk ends the restore: every further file would only fail alike.
    pub(crate) fn stop_if_full(&self, error: SystemError) {
        if error.cause() == ErrorCause::Full {
            // How much is back is known when every file under way has ended.
            let why = NotWritten::Full { needed: self.progress.expected_bytes(), files: 0, bytes: 0 };
            self.stop(ClientError::Unwritten { path: self.target.to_owned(), why });
        }
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Relaxed)
    }

    /// A name beside, different for each file of this run. A run that breaks off leaves files with such names, never
    /// halves under a real name.
    pub(crate) fn name_beside(&self) -> Vec<u8> {
        let number = self.beside.fetch_add(1, Relaxed);
        unfinished::name(self.process, number).into_bytes()
    }

    pub(crate) fn finish(self) -> Result<Restored, ClientError> {
        // Before any other error: "run this again" is no remedy for files that look whole and are not.
        self.filesystems.settle(self.target)?;
        if let Some(mut trouble) = self.trouble.into_inner().unwrap_or_else(PoisonError::into_inner) {
            if let ClientError::Unwritten { why: NotWritten::Full { files, bytes, .. }, .. } = &mut trouble {
                (*files, *bytes) = (self.progress.files(), self.progress.bytes());
            }
            return Err(trouble);
        }
        Ok(Restored {
            files: self.progress.files(),
            already: self.already.into_inner(),
            replaced: self.replaced.into_inner(),
            folders: self.progress.folders(),
            bytes: self.progress.bytes(),
            skipped: self.skipped.into_inner().unwrap_or_else(PoisonError::into_inner),
            damaged: self.damaged.into_inner(),
            owners_left_out: self.restorer.owners_left.into_inner(),
            attributes_left_out: self.restorer.attributes_left.into_inner(),
        })
    }
}

/// A file without a name takes only a free name.
fn new_files(replacing: Replacing<'_>) -> NewFiles {
    match replacing {
        Replacing::Nothing => NewFiles::for_free_names(),
        Replacing::Everything | Replacing::Pushed(_) => NewFiles::for_any_names(),
    }
}
