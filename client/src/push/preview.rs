//! What a push would do, found out without sending anything.
//!
//! By the same rules as the push, and with the questions that a push asks the appliance first. Not here: the words for a
//! person (`owner::push_preview`).

use super::{
    LeftOut, PushOptions,
    cache::Cache,
    gone::GoneEntry,
    in_words,
    measure::{PushSurvey, SurveyFind},
    mounted, named_folder, start,
};
use crate::{
    ClientError, Remote, SkippedList, Tally,
    platform::{FileKind, own_ids},
};
use larder_format::{tree::Totals, wire::PushWelcome};
use std::{path::Path, sync::atomic::AtomicBool};

/// What a push of a folder would do.
#[derive(Debug, Default)]
pub struct PushPreview {
    /// Totals of the snapshot.
    pub totals: Totals,
    /// Files that changed since this computer pushed the folder last, and would be read; all of them at a first push.
    /// An estimate: the push looks at each file itself.
    pub changed: Tally,
    /// Files and folders that the last push had, and this one would not: deleted, moved away, or left out now.
    pub gone: Tally,
    /// Whether this computer never pushed the folder.
    pub is_first: bool,
    /// Files and folders that cannot be read.
    pub skipped: SkippedList,
    /// What would be left out on purpose.
    pub left_out: LeftOut,
    /// Bytes that fit on the appliance's disks, packed; none where it does not say.
    pub room_bytes: Option<u64>,
}

/// Finds out what a push of the folder `folder` as `source` (`DEVICE/NAME`) would do. Sends nothing but the question
/// whether the folder may become a snapshot of the source.
///
/// # Errors
/// The errors with which the push itself would end before its first byte.
pub fn preview_push(
    remote: &dyn Remote,
    source: &str,
    folder: &Path,
    options: &PushOptions,
) -> Result<PushPreview, ClientError> {
    let welcome = start(remote, source, folder, options)?;
    let mut survey = PushSurvey::new(folder, options)?;
    survey.cache = options.cache.as_deref().map(Cache::open_unchanging);
    let own = own_ids();
    let mut found = PushPreview {
        is_first: survey.last_push.is_none(),
        room_bytes: welcome.as_ref().and_then(|welcome: &PushWelcome| welcome.room_bytes),
        ..PushPreview::default()
    };
    survey.walk(&AtomicBool::new(false), &mut |met| match met {
        SurveyFind::Folder => found.totals.directories += 1,
        SurveyFind::Gone(GoneEntry { path, bytes: Some(bytes) }) => {
            found.gone.add_file(bytes, || path.to_owned());
        }
        SurveyFind::Gone(GoneEntry { path, bytes: None }) => found.gone.add_folder(|| path.to_owned()),
        SurveyFind::Unreadable { path, cause } => found.skipped.add(path(), in_words(cause)),
        SurveyFind::File { folder, name, path, status, is_changed } => {
            let is_file = status.kind == FileKind::File;
            // Only a try tells: lists of access, capabilities and security modules have a say, too.
            if let (true, Err(cause)) = (is_file, folder.open_file_quietly(name, status, own)) {
                if !cause.is_gone() {
                    found.skipped.add(path(), in_words(cause));
                }
                return;
            }
            let bytes = if is_file { status.size } else { 0 };
            found.totals.files += 1;
            found.totals.bytes = found.totals.bytes.saturating_add(bytes);
            if is_changed {
                found.changed.add_file(bytes, path);
            }
        }
    });
    found.left_out = survey.excludes.take_left_out();
    if !options.may_be_empty && found.totals == Totals::default() {
        mounted::require_mounted(&named_folder(folder)?, source, welcome.as_ref())?;
    }
    Ok(found)
}
