//! The button: turns a bouncing contact into the four gestures that fit on a card.
//!
//! Pure logic, fed with the level and the time. A contact bounces for some milliseconds, and a cable picks up
//! noise, so a level counts only once it has stood still. A button that is down when the agent starts is stuck or
//! leaned on, not pressed: nothing happens before it has been let go once.
//!
//! Not here: what a gesture does (`agent::decide`), edges and key codes (`agent::edge`).

/// How long a level must stand still to count. Cheap contacts bounce up to 20 ms.
const BOUNCE_MS: u64 = 30;
/// The longest press that can be part of press-press-hold; longer ones are meant as something else.
const SHORT_PRESS_MS_MAX: u64 = 800;
/// The longest pause inside press-press-hold. Also how long a single press waits until it is certain to be one.
const PAUSE_MS_MAX: u64 = 600;
/// From here on a press is a hold.
const HOLD_MS: u64 = 3_000;
/// From here on it is the long one.
const LONG_HOLD_MS: u64 = 8_000;

/// What the owner did with the button.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Gesture {
    /// Pressed and let go. Several quick presses are one: people press twice when nothing seems to happen.
    Press,
    /// Held 3 s and let go before 8 s.
    Hold,
    /// Held 8 s; told while it is still held, so that the lamp can answer.
    LongHold,
    /// Two short presses, then held 3 s: the deliberate one, which nobody makes by leaning on a box.
    PressPressHold,
}

/// One button. `feed` it on every edge and at `wake_ms`.
#[derive(Debug, Clone, Default)]
pub struct Button {
    /// The last level fed, and since when.
    contact: bool,
    contact_since_ms: u64,
    /// The level that has stood still.
    down: bool,
    down_since_ms: u64,
    up_since_ms: u64,
    /// Whether the button has been seen let go since the start.
    armed: bool,
    /// Short presses made in a row, not yet told.
    presses: u8,
    /// The present hold has been told already.
    told: bool,
}

impl Button {
    /// A button of which nothing is known yet.
    pub fn new() -> Button {
        Button::default()
    }

    /// Takes the contact's state (`true`: closed, pressed) and returns a gesture that is complete by now. At most one
    /// per call; a second one comes with the next call, which `wake_ms` asks for.
    pub fn feed(&mut self, contact: bool, now_ms: u64) -> Option<Gesture> {
        let released = self.settle(now_ms);
        let gesture = released.or_else(|| if self.down { self.held(now_ms) } else { self.quiet(now_ms) });
        if contact != self.contact {
            (self.contact, self.contact_since_ms) = (contact, now_ms);
        }
        gesture
    }

    /// When to feed the button again even if its level does not change; none while nothing is going on.
    pub fn wake_ms(&self) -> Option<u64> {
        if self.contact != self.down || !self.armed {
            return Some(self.contact_since_ms.saturating_add(BOUNCE_MS));
        }
        match (self.down, self.told, self.presses) {
            (true, false, 2) => Some(self.down_since_ms.saturating_add(HOLD_MS)),
            (true, false, _) => Some(self.down_since_ms.saturating_add(LONG_HOLD_MS)),
            (true, true, _) | (false, _, 0) => None,
            (false, _, _) => Some(self.up_since_ms.saturating_add(PAUSE_MS_MAX)),
        }
    }

    /// Accepts a contact that has stood still; a hold that ends here is a gesture.
    fn settle(&mut self, now_ms: u64) -> Option<Gesture> {
        if now_ms.saturating_sub(self.contact_since_ms) < BOUNCE_MS {
            return None;
        }
        if !self.armed {
            self.armed = !self.contact;
            return None;
        }
        if self.contact == self.down {
            return None;
        }
        self.down = self.contact;
        if self.down {
            // The pause was too long to belong together, and no call came in between to tell the press.
            let late = self.presses > 0 && self.contact_since_ms - self.up_since_ms >= PAUSE_MS_MAX;
            (self.down_since_ms, self.told) = (self.contact_since_ms, false);
            return late.then(|| self.tell_presses()).flatten();
        }
        self.up_since_ms = self.contact_since_ms;
        self.released(self.up_since_ms.saturating_sub(self.down_since_ms))
    }

    fn released(&mut self, held_ms: u64) -> Option<Gesture> {
        if self.told {
            self.presses = 0;
            return None;
        }
        if held_ms >= HOLD_MS {
            let presses = core::mem::take(&mut self.presses);
            return Some(if held_ms >= LONG_HOLD_MS {
                Gesture::LongHold
            } else if presses == 2 {
                Gesture::PressPressHold
            } else {
                Gesture::Hold
            });
        }
        // A slow press spoils press-press-hold: three can never become two again.
        self.presses = if held_ms <= SHORT_PRESS_MS_MAX { self.presses.saturating_add(1) } else { 3 };
        None
    }

    fn held(&mut self, now_ms: u64) -> Option<Gesture> {
        let held_ms = now_ms.saturating_sub(self.down_since_ms);
        let gesture = match self.presses {
            2 if held_ms >= HOLD_MS => Gesture::PressPressHold,
            0 | 1 | 3.. if held_ms >= LONG_HOLD_MS => Gesture::LongHold,
            _ => return None,
        };
        if self.told {
            return None;
        }
        (self.told, self.presses) = (true, 0);
        Some(gesture)
    }

    fn quiet(&mut self, now_ms: u64) -> Option<Gesture> {
        let still_up = !self.contact && now_ms.saturating_sub(self.up_since_ms) >= PAUSE_MS_MAX;
        still_up.then(|| self.tell_presses()).flatten()
    }

    fn tell_presses(&mut self) -> Option<Gesture> {
        (core::mem::take(&mut self.presses) > 0).then_some(Gesture::Press)
    }
}
