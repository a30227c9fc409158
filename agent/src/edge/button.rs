//! The button of this very box: finds, opens and reads it, in a thread of its own.
//!
//! Backups run without a button, so nothing here can fail: a button that cannot be opened or that vanishes is told once in
//! the log, and is tried again. The thread sleeps until the contact moves; a contact that never stands still costs a bounded
//! number of looks.
//!
//! Not here: from levels to gestures (`larder-panel`), what a gesture does (`decide`), which button it is (`panel`).

mod contact;
mod key;
mod line;

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use larder_firmware_config::ButtonPlace;
use larder_panel::{Button, Gesture};
use tokio::sync::watch;

use self::contact::AnyContact;
use self::key::KeyContact;
use super::gpio::find_line;
use super::panel::WiredButton;

/// A button that fails is tried again after this long.
const RETRY_MS: u64 = 10_000;
/// How long the thread sleeps at most: then it looks whether the agent ends.
const LOOK_MS: u64 = 1_000;

/// Reads the button until `stop` turns true, and tells every gesture.
pub(crate) fn start(
    button: WiredButton,
    stop: watch::Receiver<bool>,
    tell: impl FnMut(Gesture) + Send + 'static,
) {
    let read = move || {
        let started = Instant::now();
        let clock = || u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let stopped = || *stop.borrow();
        let open = || open(Path::new("/"), &button);
        ButtonReader { place: button.place.to_string(), has_failed: false, tell }.run(open, &clock, &stopped);
    };
    // Nobody waits for its end: it has nothing to put in order.
    if let Err(error) = thread::Builder::new().name("button".to_owned()).spawn(read) {
        tracing::warn!(%error, "the button cannot be read; backups are not affected");
    }
}

fn open(root: &Path, button: &WiredButton) -> Result<Box<dyn AnyContact>, String> {
    let WiredButton { place, active_low } = button;
    match place {
        ButtonPlace::None => Err("there is none".to_owned()),
        ButtonPlace::Gpio(line) => line::open(&find_line(line)?, *active_low),
        ButtonPlace::Key(code) => Ok(Box::new(KeyContact::find(root, *code)?)),
        ButtonPlace::Simulated(file) => Ok(Box::new(KeyContact::simulated(file)?)),
    }
}

struct ButtonReader<T> {
    place: String,
    has_failed: bool,
    tell: T,
}

impl<T: FnMut(Gesture)> ButtonReader<T> {
    fn run(
        &mut self,
        open: impl Fn() -> Result<Box<dyn AnyContact>, String>,
        clock: &dyn Fn() -> u64,
        stopped: &dyn Fn() -> bool,
    ) {
        while !stopped() {
            let read = open().and_then(|mut contact| self.follow(&mut *contact, clock, stopped));
            if let Err(cause) = read {
                self.fail(&cause);
                let again_ms = clock().saturating_add(RETRY_MS);
                while !stopped() && clock() < again_ms {
                    thread::park_timeout(Duration::from_millis(LOOK_MS));
                }
            }
        }
    }

    /// Reads one opened contact to its end.
    fn follow(
        &mut self,
        contact: &mut dyn AnyContact,
        clock: &dyn Fn() -> u64,
        stopped: &dyn Fn() -> bool,
    ) -> Result<(), String> {
        let opened_ms = clock();
        // Anew each time: a button that vanished while held was not let go of.
        let mut button = Button::new();
        while !stopped() {
            let is_pressed = contact.is_pressed()?;
            let now_ms = clock();
            if let Some(gesture) = button.feed(is_pressed, now_ms) {
                (self.tell)(gesture);
            }
            // Not at once: a contact that comes and goes would fill the log.
            if self.has_failed && now_ms.saturating_sub(opened_ms) >= RETRY_MS {
                self.has_failed = false;
                tracing::info!(place = self.place, "the button answers again");
            }
            let wake_ms = button.wake_ms().map_or(LOOK_MS, |wake_ms| wake_ms.saturating_sub(now_ms));
            contact.rest(wake_ms.min(LOOK_MS))?;
        }
        Ok(())
    }

    /// Tells of a button that fails once.
    fn fail(&mut self, cause: &str) {
        if !std::mem::replace(&mut self.has_failed, true) {
            tracing::warn!(
                place = self.place,
                cause,
                "the button cannot be used; backups are not affected, and `larderd` on the box can do what it does"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::*;

    /// A contact that closes and opens at these times, vanishes at `ends_ms`, and moves the clock.
    struct Script {
        now_ms: Rc<Cell<u64>>,
        edges_ms: Vec<u64>,
        ends_ms: u64,
        looks: Rc<Cell<u64>>,
    }

    impl AnyContact for Script {
        fn rest(&mut self, at_most_ms: u64) -> Result<(), String> {
            let now_ms = self.now_ms.get();
            let edge = self.edges_ms.iter().copied().find(|edge_ms| *edge_ms > now_ms);
            let wake_ms = now_ms + at_most_ms;
            // As the real ones rest, so that a flood costs no more.
            self.now_ms.set(edge.map_or(wake_ms, |edge_ms| edge_ms.min(wake_ms)).max(now_ms + 5));
            Ok(())
        }

        fn is_pressed(&mut self) -> Result<bool, String> {
            self.looks.set(self.looks.get() + 1);
            let now_ms = self.now_ms.get();
            if now_ms >= self.ends_ms {
                return Err("gone".to_owned());
            }
            Ok(self.edges_ms.iter().filter(|edge_ms| **edge_ms <= now_ms).count() % 2 == 1)
        }
    }

    /// What is told of such a contact, and after how many looks.
    fn told(edges_ms: Vec<u64>, ends_ms: u64) -> (Vec<Gesture>, u64) {
        let (now_ms, looks) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let mut script = Script { now_ms: now_ms.clone(), edges_ms, ends_ms, looks: looks.clone() };
        let mut told = Vec::new();
        let mut reader = ButtonReader {
            place: "script".to_owned(),
            has_failed: false,
            tell: |gesture| told.push(gesture),
        };
        let end = reader.follow(&mut script, &|| now_ms.get(), &|| false);
        assert_eq!(end, Err("gone".to_owned()));
        reader.fail("gone");
        assert!(reader.has_failed);
        (told, looks.get())
    }

    #[test]
    fn gestures_are_told_at_their_time_and_an_idle_button_wakes_nobody() {
        let held = vec![1_000, 1_200, 10_000, 14_000, 20_000, 29_000];
        assert_eq!(told(held, 60_000).0, [Gesture::Press, Gesture::Hold, Gesture::LongHold]);
        let sure = vec![1_000, 1_200, 1_500, 1_700, 2_000, 6_000];
        assert_eq!(told(sure, 60_000).0, [Gesture::PressPressHold]);
        let (nothing, looks) = told(Vec::new(), 600_000);
        assert!(nothing.is_empty() && looks < 700, "{looks}");
    }

    #[test]
    fn a_contact_that_flutters_costs_a_bounded_number_of_looks_and_tells_nothing() {
        let (nothing, looks) = told((1..60_000).collect(), 60_000);
        assert!(nothing.is_empty(), "{nothing:?}");
        assert!(looks <= 60_000 / 5 + 10, "{looks}");
    }

    #[test]
    fn a_button_held_while_it_vanishes_is_no_gesture() {
        assert_eq!(told(vec![1_000], 3_500).0, []);
    }

    #[test]
    fn a_button_that_is_away_is_told_once_and_tried_again() {
        let (now_ms, opened) = (Cell::new(0), Cell::new(0));
        let mut reader = ButtonReader { place: "script".to_owned(), has_failed: false, tell: |_| {} };
        let open = || -> Result<Box<dyn AnyContact>, String> {
            opened.set(opened.get() + 1);
            Err("no device has this key".to_owned())
        };
        // The clock runs with each question, so that the test does not wait.
        let clock = || {
            now_ms.set(now_ms.get() + RETRY_MS);
            now_ms.get()
        };
        reader.run(open, &clock, &|| opened.get() >= 3);
        assert_eq!(opened.get(), 3);
    }
}
