//! The clock: what time it is, whether to believe it, and how long this box has been switched on in its life.
//!
//! A Raspberry Pi has no clock of its own: after a power cut it wakes up in the past. So the agent counts the seconds
//! it has lived through, keeps the count beside the vault, and says of each moment whether it can be trusted.

use jiff::Timestamp;
use larder_format::ledger::Stamp;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

/// Time that a box may have lost its count for when the power went; bounded by how often it is written.
pub(crate) const SAVE_EVERY_S: u64 = 600;
/// systemd-timesyncd makes this file once the clock was set from the network.
const SYNCHRONIZED: &str = "/run/systemd/timesync/synchronized";
/// No honest clock is before this software was written: 2026-01-01.
const EARLIEST_MS: i64 = 1_767_225_600_000;

/// So long after the machine was switched on its disks may still be spinning up.
const JUST_SWITCHED_ON_S: i64 = 180;

/// Whether the machine was switched on only now.
pub(crate) fn is_just_switched_on() -> bool {
    rustix::time::clock_gettime(rustix::time::ClockId::Boottime).tv_sec < JUST_SWITCHED_ON_S
}

/// Reads the system's clock.
pub(crate) struct Clock {
    started: Instant,
    /// Seconds from earlier runs.
    before_s: u64,
    file: Mutex<PathBuf>,
    saved: Mutex<u64>,
}

impl Clock {
    /// A clock that keeps its count in `folder`.
    pub(crate) fn open(folder: &Path, known_s: u64) -> Self {
        let file = folder.join("powered-on-seconds");
        let kept = fs::read_to_string(&file).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
        // The ledger may know better than the file, which is only written now and then.
        let before_s = known_s.max(kept);
        Self { started: Instant::now(), before_s, file: Mutex::new(file), saved: Mutex::new(before_s) }
    }

    /// This moment. `newest_ms` is the time of the newest ledger entry: a clock behind it is wrong.
    pub(crate) fn stamp(&self, newest_ms: Option<i64>) -> Stamp {
        let time_ms = Timestamp::now().as_millisecond();
        let behind = newest_ms.is_some_and(|newest| time_ms < newest);
        // Without systemd's word (containers, laptops) the clock is taken to be set.
        let unset = Path::new("/run/systemd/timesync").exists() && !Path::new(SYNCHRONIZED).exists();
        Stamp {
            time_ms,
            trusted: time_ms >= EARLIEST_MS && !behind && !unset,
            powered_on_s: self.powered_on_s(),
        }
    }

    fn powered_on_s(&self) -> u64 {
        self.before_s + self.started.elapsed().as_secs()
    }

    /// From now on the count is kept in `folder`: the disk that had it is gone.
    pub(crate) fn move_to(&self, folder: &Path) {
        let file = folder.join("powered-on-seconds");
        *self.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = file;
        self.save(true);
    }

    /// Writes the count down if ten minutes have passed since the last time, or at once when `force`.
    pub(crate) fn save(&self, force: bool) {
        let now = self.powered_on_s();
        let mut saved = self.saved.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if !force && now < *saved + SAVE_EVERY_S {
            return;
        }
        let file = self.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        let part = file.with_extension("part");
        let written = fs::write(&part, now.to_string()).and_then(|()| fs::rename(&part, &file));
        match written {
            Ok(()) => *saved = now,
            Err(error) => tracing::warn!(%error, "could not write down how long this box has run"),
        }
    }
}
