//! A folder under `larder push --watch`: what is known of it, and what was told of it already.

use super::{
    left_out::told_of_left_out,
    options::now as wall_clock,
    output::Output,
    screen::say,
    skipped::{Loudness, name_skipped},
};
use crate::{
    Pushed,
    platform::{SystemError, name_bytes, since_boot, state_folder, tells_of_changes},
    schedule::{LastPush, LastPushes},
    watch::{ChangedFolders, SNAPSHOT_EVERY, Sight, SourcePacing},
};
use larder_format::ChunkRef;
use std::{
    collections::hash_map::DefaultHasher,
    hash::{Hash, Hasher},
    io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// A watched folder.
pub(super) struct WatchedSource {
    pub(super) folder: PathBuf,
    /// Of what this computer keeps for the source.
    pub(super) handle: String,
    /// `DEVICE/NAME` at the appliance, once the appliance was asked.
    pub(super) name: Option<String>,
    pub(super) pacing: SourcePacing,
    pub(super) changed: ChangedFolders,
    /// Root of the last snapshot's tree.
    pub(super) root: Option<ChunkRef>,
    pub(super) blinded: Mutex<Option<SystemError>>,
    /// The trouble that was told last; the same trouble is told once.
    pub(super) told: Option<String>,
    /// While `larder schedule` shows a trouble that is over with the next good step: the result before it, if any.
    pub(super) before_trouble: Option<Option<LastPush>>,
    told_skipped: u64,
    is_left_out_told: bool,
    /// Path in the folder of what this computer remembers of pushes, if it lies there. Each snapshot changes it, and
    /// without this each snapshot of a home would lead to the next.
    own_notes: Option<Vec<u8>>,
}

impl WatchedSource {
    /// A folder that nobody has looked at yet.
    pub(super) fn new(folder: PathBuf, handle: String, last_pushes: &LastPushes, has_events: bool) -> Self {
        let now = since_boot();
        let last = last_pushes.load(&handle);
        let succeeded = last.as_ref().and_then(|last| last.succeeded);
        // A watch that is started again and again must not make a snapshot each time. A clock that was set back
        // leaves no negative wait behind.
        let ago =
            succeeded.and_then(|at| Duration::try_from(wall_clock().timestamp().duration_since(at)).ok());
        let wait = ago.map_or(Duration::ZERO, |ago| SNAPSHOT_EVERY.saturating_sub(ago));
        let mut pacing = SourcePacing::new(now, now + wait);
        if !has_events || !tells_of_changes(&folder) {
            pacing.sight = Sight::Blind;
        }
        let notes =
            state_folder().map(|state| state.join("larder")).and_then(|path| path.canonicalize().ok());
        let own_notes = notes
            .and_then(|notes| Some(name_bytes(notes.strip_prefix(&folder).ok()?.as_os_str()).into_owned()));
        Self {
            folder,
            handle,
            name: None,
            pacing,
            changed: ChangedFolders::default(),
            root: None,
            blinded: Mutex::default(),
            told: None,
            before_trouble: last.filter(|last| !last.is_good()).map(Some),
            told_skipped: 0,
            is_left_out_told: false,
            own_notes,
        }
    }

    /// Takes in that the folder at `path` changed.
    pub(super) fn changed(&mut self, path: &Arc<[u8]>, now: Duration) {
        let is_own = |own: &Vec<u8>| {
            path.strip_prefix(own.as_slice()).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
        };
        if !self.own_notes.as_ref().is_some_and(is_own) {
            self.pacing.changed(now);
            self.changed.add(path);
        }
    }

    /// Says once that not every folder can be watched, and looks through all of them from then on.
    pub(super) fn tell_if_blinded(&mut self) {
        let blinded = *self.blinded.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(error), Sight::Events) = (blinded, self.pacing.sight) {
            self.pacing.sight = Sight::Blind;
            say(format_args!(
                "Not every folder below {} can be watched by this computer.",
                self.folder.display()
            ));
            say("Nothing is left out: the whole folder is looked through every quarter-hour instead.");
            say(
                "A higher number in /proc/sys/fs/inotify/max_user_watches makes changes travel at once again.",
            );
            say(format_args!("details: {error}"));
        }
    }

    /// Names what is missing in a snapshot: skipped files unless they are those of the last snapshot, and once what is
    /// left out on purpose.
    pub(super) fn tell_missing(
        &mut self,
        pushed: &Pushed,
        loudness: Loudness,
        output: &mut Output,
    ) -> io::Result<()> {
        let Pushed { skipped, left_out, .. } = pushed;
        if !std::mem::replace(&mut self.is_left_out_told, true) {
            told_of_left_out(left_out).iter().try_for_each(|line| output.note(line))?;
        }
        output.flush()?;
        let mut hasher = DefaultHasher::new();
        skipped.count.hash(&mut hasher);
        skipped.named.iter().for_each(|file| (&file.path, &file.why).hash(&mut hasher));
        let these = hasher.finish();
        if std::mem::replace(&mut self.told_skipped, these) != these {
            let remedy = "Mend what is said beside each name, or leave them out with --exclude.";
            name_skipped(skipped, loudness, "Everything else is in the backup.", remedy);
        }
        Ok(())
    }
}
