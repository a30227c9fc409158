//! The memory of the pushed folder's filesystem, written out before a push reads.
//!
//! A file whose last write is surely on the disk can be known again by its times alone. Not here: which files are trusted
//! (`entry`).

use crate::platform::OpenFolder;
use larder_format::tree::Time;
use std::{
    path::Path,
    sync::{Arc, OnceLock, mpsc},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// The longest wait for a busy disk before a push begins.
const WRITE_OUT_FOR: Duration = Duration::from_secs(1);

/// Has the memory of the folder's filesystem written out: afterwards, a write by way of a program's memory moves a
/// file's times too. A long write-out goes on beside the push, which meanwhile trusts young files less.
pub(crate) fn write_out(folder: &Path, now: Time) -> Arc<OnceLock<Time>> {
    let written_out = Arc::new(OnceLock::new());
    let Ok(opened) = OpenFolder::open(folder) else { return written_out };
    let (done, ended) = mpsc::channel();
    let told = Arc::clone(&written_out);
    thread::spawn(move || {
        if opened.sync_filesystem().is_ok() {
            let _ = told.set(now);
        }
        let _ = done.send(());
    });
    let _ = ended.recv_timeout(WRITE_OUT_FOR);
    written_out
}

pub(crate) fn time_of(time: SystemTime) -> Time {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Time { seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX), nanos: since.subsec_nanos() }
}
