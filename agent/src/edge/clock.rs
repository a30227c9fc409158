//! The clock: the time, whether to believe the time, and how long this box has been switched on in its life.
//!
//! A Raspberry Pi has no clock of its own and wakes up in the past after a power cut. So the agent counts the seconds
//! of its life, keeps the count beside the vault, and says of each moment whether to trust it.
//!
//! Keeping the past as long as promised hangs on the count, the only measure that a wrong clock cannot change. So a
//! count read back has to be plausible beside the ledger's, whatever its check says; a count too low only keeps data
//! longer. No clock is asked about the count: the count is there for the day of a wrong clock.

use super::small_file::{read_small, replace_small};
use jiff::Timestamp;
use larder_format::Hash;
use larder_format::ledger::WallStamp;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

/// Time that a power cut may take off the count; bounded by how often the count is written.
pub(crate) const SAVE_EVERY_S: u64 = 600;
/// A count further than this above the newest ledger entry is not believed. A running box writes an entry after 35
/// days of running at the latest, when a disk was read from end to end (`decide::pace`). Without a limit, one wrong
/// file and a wrong clock would make the whole past old at once.
const AHEAD_OF_LEDGER_S_MAX: u64 = 60 * 24 * 3600;
/// The same with an unknown ledger: no box runs for so long.
const COUNT_S_MAX: u64 = 100 * 365 * 24 * 3600;
/// The file is far shorter.
const COUNT_BYTES_MAX: u64 = 4096;
/// Hex digits of the check in the file: so many that no accident makes them.
const CHECK_DIGITS: usize = 16;
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
    /// A clock with its count in `folder`. `known_s` is the count of the newest ledger entry, 0 without any entry or
    /// before the ledger is read.
    pub(crate) fn open(folder: &Path, known_s: u64) -> Self {
        let file = folder.join("powered-on-seconds");
        let before_s = match read_small(&file, COUNT_BYTES_MAX) {
            Ok(text) => count(&text, known_s),
            Err(_) => known_s,
        };
        Self { started: Instant::now(), before_s, file: Mutex::new(file), saved: Mutex::new(before_s) }
    }

    /// This moment. `newest_ms` is the time of the newest ledger entry: an earlier clock is wrong.
    pub(crate) fn stamp(&self, newest_ms: Option<i64>) -> WallStamp {
        let time_ms = Timestamp::now().as_millisecond();
        let behind = newest_ms.is_some_and(|newest| time_ms < newest);
        // Without systemd's word (containers, laptops) the clock is taken to be set.
        let unset = Path::new("/run/systemd/timesync").exists() && !Path::new(SYNCHRONIZED).exists();
        WallStamp {
            time_ms,
            trusted: time_ms >= EARLIEST_MS && !behind && !unset,
            powered_on_s: self.powered_on_s(),
        }
    }

    /// Seconds that the box has been switched on in its life. Runs forward only, whatever becomes of the time of day.
    pub(crate) fn powered_on_s(&self) -> u64 {
        self.before_s.saturating_add(self.started.elapsed().as_secs())
    }

    /// From now on the count is kept in `folder`: its former disk is gone.
    pub(crate) fn move_to(&self, folder: &Path) {
        let file = folder.join("powered-on-seconds");
        *self.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = file;
        self.save(true);
    }

    /// Writes the count down if ten minutes have passed since the last time, or at once when `force`.
    pub(crate) fn save(&self, force: bool) {
        let now = self.powered_on_s();
        let mut saved = self.saved.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if !force && now < saved.saturating_add(SAVE_EVERY_S) {
            return;
        }
        let file = self.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        match replace_small(&file, &written(now)) {
            Ok(()) => *saved = now,
            Err(error) => tracing::warn!(%error, "could not write down how long this box has run"),
        }
    }
}

/// The count to go on from: the file's count where plausible, and at least the ledger's, since the file is only
/// written now and then.
fn count(text: &str, known_s: u64) -> u64 {
    let limit = if known_s == 0 { COUNT_S_MAX } else { known_s.saturating_add(AHEAD_OF_LEDGER_S_MAX) };
    match read(text) {
        Some(kept) if kept <= limit => kept.max(known_s),
        kept => {
            let kept = kept.map_or_else(|| "no number".to_owned(), |kept| kept.to_string());
            tracing::warn!(kept, known_s, "the count of how long this box has run cannot be believed");
            known_s
        }
    }
}

/// The count and its check, as in the file.
fn written(seconds: u64) -> String {
    let text = seconds.to_string();
    let check = check_of(&text);
    format!("{text} {check}")
}

/// Reads the text of `written`; a number alone is from before there was a check.
fn read(text: &str) -> Option<u64> {
    let text = text.trim();
    let number = match text.split_once(' ') {
        Some((number, check)) if check == check_of(number) => number,
        Some(_) => return None,
        None => text,
    };
    number.parse().ok()
}

fn check_of(number: &str) -> String {
    let mut check = Hash::of(number.as_bytes()).to_string();
    check.truncate(CHECK_DIGITS);
    check
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const DAY_S: u64 = 24 * 3600;

    #[test]
    fn what_is_written_is_read() {
        for seconds in [0, 1, 9_000_000_000, u64::MAX] {
            assert_eq!(read(&written(seconds)), Some(seconds));
        }
        assert_eq!(read("12345\n"), Some(12_345), "as it was before there was a check");
    }

    #[test]
    fn a_damaged_file_is_not_read() {
        let whole = written(86_400);
        for at in 0..whole.len() {
            for bit in 0..7 {
                let mut bytes = whole.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                let text = String::from_utf8(bytes).unwrap();
                assert!(read(&text).is_none(), "{text:?} is not {whole:?}");
            }
        }
        for len in "86400 0".len()..whole.len() {
            assert!(read(&whole[..len]).is_none(), "{:?}", &whole[..len]);
        }
        for text in ["", " ", "-1", "1.5", "18446744073709551616", "1 2 3"] {
            assert!(read(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn a_count_is_believed_only_as_far_as_the_box_may_have_run() {
        let known = 400 * DAY_S;
        for (kept, expect) in [
            (0, known),
            (known - 1, known),
            (known + 600, known + 600),
            (known + 35 * DAY_S, known + 35 * DAY_S),
            (known + 61 * DAY_S, known),
            (9_000_000_000, known),
            (u64::MAX, known),
        ] {
            assert_eq!(count(&kept.to_string(), known), expect, "{kept}");
            assert_eq!(count(&written(kept), known), expect, "{kept}, with its check");
        }
        assert_eq!(count("nonsense", known), known);
    }

    /// The ledger is not read yet at the very start: an old box must not begin again at zero.
    #[test]
    fn without_a_ledger_any_count_of_a_box_is_believed() {
        assert_eq!(count(&written(3650 * DAY_S), 0), 3650 * DAY_S);
        assert_eq!(count(&written(9_000_000_000), 0), 0);
        assert_eq!(count(&written(u64::MAX), 0), 0);
    }

    /// A filesystem may lose the kind of a file; the box starts all the same.
    #[test]
    fn a_fifo_in_the_place_of_the_count_stops_nothing() {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        let folder = tempfile::tempdir().unwrap();
        for name in ["powered-on-seconds", "powered-on-seconds.part"] {
            let mode = Mode::RUSR | Mode::WUSR;
            mknodat(CWD, folder.path().join(name), FileType::Fifo, mode, 0).unwrap();
        }
        let clock = Clock::open(folder.path(), 1000);
        assert!(clock.stamp(None).powered_on_s >= 1000);
        clock.save(true);
        assert!(read(&fs::read_to_string(folder.path().join("powered-on-seconds")).unwrap()) >= Some(1000));
    }

    #[test]
    fn the_count_goes_on_and_never_overflows() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("powered-on-seconds");
        fs::write(&file, "5000").unwrap();
        let clock = Clock::open(folder.path(), 1000);
        assert!(clock.stamp(None).powered_on_s >= 5000);
        clock.save(true);
        assert!(read(&fs::read_to_string(&file).unwrap()).unwrap() >= 5000);
        assert!(Clock::open(folder.path(), 0).stamp(None).powered_on_s >= 5000);
        let full = Clock::open(folder.path(), u64::MAX);
        assert_eq!(full.stamp(None).powered_on_s, u64::MAX);
        full.save(false);
        full.save(true);
    }
}
