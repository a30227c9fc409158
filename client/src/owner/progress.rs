//! What moves, while it moves: a bar on a terminal, a line now and then elsewhere.
//!
//! Nobody sits before a silent screen for more than two seconds: before the first answer it says whom it tries to
//! reach, and afterwards how far the work is. Not here: speed and time left (`pace`), the lines themselves (`screen`).

use super::{
    output::{Output, counted, size},
    pace::{TransferPace, about},
    screen::{is_watched, say, set_bar},
};
use crate::{Connection, TransferProgress, push::PushMeasure};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{
    sync::{
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    thread,
    time::{Duration, Instant},
};

const REDRAW: Duration = Duration::from_millis(150);
/// After this, whoever waits wants to know for what.
const SILENCE_MAX: Duration = Duration::from_secs(2);
/// Between two lines where nobody watches: a log of an hour has a page of them.
const LINE_EVERY: Duration = Duration::from_secs(60);

/// Finds out how many bytes there are; gives up once the flag is set.
pub(super) type MeasureBytes<'a> = dyn Fn(&AtomicBool) -> Option<PushMeasure> + Sync + 'a;

/// Runs `work`, and tells of it unless `output` is quiet. `measure` runs alongside.
pub(super) fn with_bar<T>(
    progress: &TransferProgress,
    output: &Output,
    measure: Option<&MeasureBytes<'_>>,
    work: impl FnOnce() -> T,
) -> T {
    with_bar_unless(output.is_quiet(), progress, measure, work)
}

/// As `with_bar`, for work that prints.
pub(super) fn with_bar_unless<T>(
    is_quiet: bool,
    progress: &TransferProgress,
    measure: Option<&MeasureBytes<'_>>,
    work: impl FnOnce() -> T,
) -> T {
    if is_quiet {
        return work();
    }
    let (done, room) = (AtomicBool::new(false), RoomWarning::default());
    let (ending, over) = channel::<()>();
    thread::scope(|scope| {
        let (done, room) = (&done, &room);
        let tell_often =
            move || if is_watched() { draw(progress, room, &over) } else { tell(progress, room, &over) };
        scope.spawn(tell_often);
        if let Some(measure) = measure {
            scope.spawn(move || {
                if let Some(found) = measure(done) {
                    progress.expect_bytes(found.bytes);
                    found.changed_bytes.into_iter().for_each(|bytes| progress.expect_changed(bytes));
                    room.tell(progress);
                }
            });
        }
        let result = work();
        done.store(true, Relaxed);
        drop(ending);
        result
    })
}

/// Says whom the program waits for, if the first answer takes long.
pub(super) fn announce(connection: &Connection) {
    let (is_met, address) = (connection.is_met(), connection.address());
    // Left alone: the program may end before.
    thread::spawn(move || {
        thread::sleep(SILENCE_MAX);
        if !is_met.load(Relaxed) {
            say(format_args!("Trying to reach the appliance at {address} ..."));
        }
    });
}

/// Waits for the end of the work; true if it goes on after `time`.
fn is_longer_than(time: Duration, over: &Receiver<()>) -> bool {
    over.recv_timeout(time) == Err(RecvTimeoutError::Timeout)
}

/// Tells once that a push has more new bytes than the appliance has room for. Nobody knows before how much of it packs
/// smaller or is known from other computers, so the push goes on.
#[derive(Default)]
struct RoomWarning {
    is_told: AtomicBool,
}

impl RoomWarning {
    fn of(&self, progress: &TransferProgress) -> Option<String> {
        let is_first = progress.is_first();
        let new = if is_first { progress.expected_bytes() } else { progress.changed_bytes()? };
        let room = progress.room_bytes().filter(|room| *room < new)?;
        let what = if is_first { "This folder has" } else { "Files that changed since the last backup have" };
        (!self.is_told.swap(true, Relaxed)).then(|| format!(
            "{what} {}, and the appliance has room for {}. What packs smaller, or is known already, may fit all the same; \
             otherwise the backup will be refused. To leave something out: Ctrl-C, then --exclude GLOB.",
            size(new),
            size(room)
        ))
    }

    fn tell(&self, progress: &TransferProgress) {
        self.of(progress).into_iter().for_each(say);
    }
}

fn draw(progress: &TransferProgress, room: &RoomWarning, over: &Receiver<()>) {
    let style = |template: &str| {
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
    };
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    bar.set_style(style("{wide_msg}"));
    set_bar(Some(bar.clone()));
    let (mut pace, since) = (TransferPace::default(), Instant::now());
    loop {
        room.tell(progress);
        let (passed, expected) = (progress.passed_bytes(), progress.expected_bytes());
        pace.note(since.elapsed(), passed);
        if expected > 0 && bar.length() != Some(expected) {
            bar.set_style(style("{bar:24} {wide_msg}"));
            bar.set_length(expected);
        }
        bar.set_position(passed.min(expected));
        bar.set_message(message(progress, &pace));
        if !is_longer_than(REDRAW, over) {
            break;
        }
    }
    set_bar(None);
    bar.finish_and_clear();
}

fn tell(progress: &TransferProgress, room: &RoomWarning, over: &Receiver<()>) {
    let (mut pace, since) = (TransferPace::default(), Instant::now());
    let mut wait = SILENCE_MAX;
    pace.note(Duration::ZERO, progress.passed_bytes());
    // Soon, since whoever reads it may want to leave something out; the room is known a moment after the start.
    if !is_longer_than(REDRAW, over) {
        return;
    }
    room.tell(progress);
    while is_longer_than(wait, over) {
        room.tell(progress);
        pace.note(since.elapsed(), progress.passed_bytes());
        say(format_args!("So far: {}", message(progress, &pace)));
        wait = LINE_EVERY;
    }
}

/// How far, how fast, how long still.
fn message(progress: &TransferProgress, pace: &TransferPace) -> String {
    if progress.expected_packs() > 0 {
        return format!("looking through pack {} of {}", progress.packs(), progress.expected_packs());
    }
    let (passed, expected) = (progress.passed_bytes(), progress.expected_bytes());
    let mut parts = Vec::new();
    if expected > 0 {
        // Rounded down, and files may grow meanwhile: 100 % is told by the end alone.
        let percent = u64::try_from(u128::from(passed) * 100 / u128::from(expected)).unwrap_or(99).min(99);
        parts.push(format!("{percent}%  {} of {}", size(passed), size(expected)));
    } else {
        parts.push(size(passed));
    }
    if let Some(rate) = pace.rate() {
        parts.push(format!("{}/s", size(rate)));
    }
    if let Some(left) = pace.left(expected).filter(|_| expected > passed) {
        parts.push(format!("{} left", about(left)));
    }
    let way = if progress.is_local() { "off the disk" } else { "over the network" };
    parts.push(format!(
        "{}, {} {way}",
        counted(progress.files(), "file", "files"),
        size(progress.sent_bytes())
    ));
    parts.join("  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paced(samples: &[(u64, u64)]) -> TransferPace {
        let mut pace = TransferPace::default();
        samples.iter().for_each(|(seconds, bytes)| pace.note(Duration::from_secs(*seconds), *bytes));
        pace
    }

    #[test]
    fn a_large_file_is_seen_to_move() {
        let progress = TransferProgress::default();
        progress.expect_bytes(720_000_000);
        assert_eq!(
            message(&progress, &paced(&[(0, 0)])),
            "0%  0 B of 720.0 MB  0 files, 0 B over the network"
        );
        progress.pass(180_000_000);
        progress.add_sent_bytes(180_000_000);
        let told = message(&progress, &paced(&[(0, 0), (3, 180_000_000)]));
        assert_eq!(
            told,
            "25%  180.0 MB of 720.0 MB  60.0 MB/s  about 9 s left  0 files, 180.0 MB over the network"
        );
    }

    #[test]
    fn a_folder_larger_than_the_room_is_told_once() {
        let (progress, warning) = (TransferProgress::default(), RoomWarning::default());
        progress.expect_bytes(1_200_000_000_000);
        assert_eq!(warning.of(&progress), None, "the room is not known");
        progress.tell_room(1_200_000_000_000, true);
        assert_eq!(warning.of(&progress), None, "it fits");
        progress.tell_room(800_000_000_000, true);
        let told = warning.of(&progress).expect("told");
        assert!(
            told.starts_with("This folder has 1.2 TB, and the appliance has room for 800.0 GB."),
            "{told}"
        );
        assert_eq!(warning.of(&progress), None);
        progress.tell_room(0, true);
        assert!(RoomWarning::default().of(&progress).is_some(), "none at all is known room too");
        // Of a later push only what changed is new.
        progress.tell_room(800_000_000_000, false);
        assert_eq!(RoomWarning::default().of(&progress), None, "nobody knows what changed");
        progress.expect_changed(900_000_000_000);
        let told = RoomWarning::default().of(&progress).expect("told");
        assert!(told.starts_with("Files that changed since the last backup have 900.0 GB, and"), "{told}");
        progress.expect_changed(700_000_000_000);
        assert_eq!(RoomWarning::default().of(&progress), None);
    }

    #[test]
    fn more_than_expected_is_never_a_hundred_percent_and_no_time_is_left_to_tell() {
        let progress = TransferProgress::default();
        progress.expect_bytes(100);
        progress.pass(250);
        let told = message(&progress, &paced(&[(0, 0), (3, 250)]));
        assert!(told.starts_with("99%") && !told.contains("left"), "{told}");
    }
}
