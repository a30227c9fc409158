//! The button: turns a bouncing contact into the four gestures printed on a card.
//!
//! Pure logic, fed with the level and the time. A contact bounces for a few milliseconds, and a cable picks up noise,
//! so a level counts only after standing still. A button down at the agent's start is stuck or leaned on, not pressed:
//! nothing happens before the first release.
//!
//! Not here: the effect of a gesture (`agent::decide`), edges and key codes (`agent::edge`).

/// How long a level must stand still to count. Cheap contacts bounce up to 20 ms.
const BOUNCE_MS: u64 = 30;
/// The longest press counted in press-press-hold; a longer press has a different meaning.
const SHORT_PRESS_MS_MAX: u64 = 800;
/// The longest pause inside press-press-hold. Also the wait of a single press until certain.
const PAUSE_MS_MAX: u64 = 600;
/// From here on a press is a hold.
const HOLD_MS: u64 = 3_000;
/// From here on a hold is a long hold.
const LONG_HOLD_MS: u64 = 8_000;

/// The owner's act on the button.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Gesture {
    /// Pressed and let go. Several quick presses count as a single press: people press twice when nothing seems to
    /// happen.
    Press,
    /// Held 3 s and let go before 8 s.
    Hold,
    /// Held 8 s; told during the hold, so the lamp can answer.
    LongHold,
    /// Two short presses, then held 3 s: the deliberate gesture, never made by leaning on a box.
    PressPressHold,
}

/// One button. `feed` it on every edge and at `wake_ms`.
#[derive(Debug, Clone, Default)]
pub struct Button {
    /// The last level fed; none before the first.
    contact: Option<bool>,
    contact_since_ms: u64,
    /// The last level to stand still.
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
    /// A button in an unknown state.
    pub fn new() -> Button {
        Button::default()
    }

    /// Takes the contact's state (`true`: closed, pressed) and returns a gesture complete by now. At most one per call;
    /// a second gesture comes with the next call, at `wake_ms`.
    pub fn feed(&mut self, contact: bool, now_ms: u64) -> Option<Gesture> {
        let settled = self.settle(now_ms);
        let gesture = settled.or_else(|| if self.down { self.held(now_ms) } else { self.quiet(now_ms) });
        if self.contact != Some(contact) {
            (self.contact, self.contact_since_ms) = (Some(contact), now_ms);
        }
        gesture
    }

    /// When to feed the button again even without a change of level; none while idle.
    pub fn wake_ms(&self) -> Option<u64> {
        let contact = self.contact?;
        if !self.armed {
            // Stuck since the start: only a release, an edge, makes a difference.
            return (!contact).then(|| self.contact_since_ms.saturating_add(BOUNCE_MS));
        }
        if contact != self.down {
            return Some(self.contact_since_ms.saturating_add(BOUNCE_MS));
        }
        match (self.down, self.told, self.presses) {
            (true, false, 2) => Some(self.down_since_ms.saturating_add(HOLD_MS)),
            (true, false, _) => Some(self.down_since_ms.saturating_add(LONG_HOLD_MS)),
            (true, true, _) | (false, _, 0) => None,
            (false, _, _) => Some(self.up_since_ms.saturating_add(PAUSE_MS_MAX)),
        }
    }

    /// Accepts a contact standing still; a hold ending here is a gesture.
    fn settle(&mut self, now_ms: u64) -> Option<Gesture> {
        let contact = self.contact?;
        if now_ms.saturating_sub(self.contact_since_ms) < BOUNCE_MS {
            return None;
        }
        if !self.armed {
            self.armed = !contact;
            return None;
        }
        if contact == self.down {
            return None;
        }
        self.down = contact;
        if !contact {
            self.up_since_ms = self.contact_since_ms;
            return self.released(self.up_since_ms.saturating_sub(self.down_since_ms));
        }
        (self.down_since_ms, self.told) = (self.contact_since_ms, false);
        // The pause was too long to belong together, and no call came in between to tell the press.
        let pause_ms = self.down_since_ms.saturating_sub(self.up_since_ms);
        if pause_ms >= PAUSE_MS_MAX { self.tell_presses() } else { None }
    }

    fn released(&mut self, held_ms: u64) -> Option<Gesture> {
        if self.told {
            self.presses = 0;
            return None;
        }
        if held_ms >= HOLD_MS {
            // No call came when the hold was long enough, so the hold is told at its end.
            return Some(match core::mem::take(&mut self.presses) {
                2 => Gesture::PressPressHold,
                _ if held_ms >= LONG_HOLD_MS => Gesture::LongHold,
                _ => Gesture::Hold,
            });
        }
        // A slow press spoils press-press-hold: three can never become two again.
        self.presses = if held_ms <= SHORT_PRESS_MS_MAX { self.presses.saturating_add(1) } else { 3 };
        None
    }

    fn held(&mut self, now_ms: u64) -> Option<Gesture> {
        let held_ms = now_ms.saturating_sub(self.down_since_ms);
        let gesture = match self.presses {
            _ if self.told => return None,
            2 if held_ms >= HOLD_MS => Gesture::PressPressHold,
            0 | 1 | 3.. if held_ms >= LONG_HOLD_MS => Gesture::LongHold,
            _ => return None,
        };
        (self.told, self.presses) = (true, 0);
        Some(gesture)
    }

    fn quiet(&mut self, now_ms: u64) -> Option<Gesture> {
        let still_up = self.contact == Some(false) && now_ms.saturating_sub(self.up_since_ms) >= PAUSE_MS_MAX;
        if still_up { self.tell_presses() } else { None }
    }

    fn tell_presses(&mut self) -> Option<Gesture> {
        (core::mem::take(&mut self.presses) > 0).then_some(Gesture::Press)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use super::*;

    /// A contact closing and opening at these times, for a button seen let go at 0; feeds every edge and every
    /// requested wake-up, as the agent does. Returns (time, gesture).
    fn play(edges_ms: &[u64], end_ms: u64) -> Vec<(u64, Gesture)> {
        let (mut button, mut contact, mut told) = (Button::new(), false, Vec::new());
        let mut edges = edges_ms.iter().copied().peekable();
        let mut now_ms = 0;
        while now_ms <= end_ms {
            if edges.next_if_eq(&now_ms).is_some() {
                contact = !contact;
            }
            told.extend(button.feed(contact, now_ms).map(|gesture| (now_ms, gesture)));
            let wake_ms = button.wake_ms().unwrap_or(u64::MAX).max(now_ms + 1);
            now_ms = wake_ms.min(edges.peek().copied().unwrap_or(u64::MAX));
        }
        told
    }

    #[test]
    fn a_press_is_told_when_it_is_certain_to_be_one() {
        assert_eq!(play(&[1_000, 1_200], 60_000), [(1_800, Gesture::Press)]);
    }

    #[test]
    fn nervous_presses_are_one_press() {
        assert_eq!(play(&[1_000, 1_100, 1_300, 1_400], 60_000), [(2_000, Gesture::Press)]);
        assert_eq!(
            play(&[1_000, 1_100, 1_300, 1_400, 1_600, 1_700, 1_900, 2_000], 60_000),
            [(2_600, Gesture::Press)]
        );
    }

    #[test]
    fn two_presses_far_apart_are_two() {
        assert_eq!(
            play(&[1_000, 1_100, 5_000, 5_100], 60_000),
            [(1_700, Gesture::Press), (5_700, Gesture::Press)]
        );
    }

    #[test]
    fn a_hold_counts_at_its_end_and_a_long_hold_while_it_is_held() {
        assert_eq!(play(&[1_000, 4_000], 60_000), [(4_030, Gesture::Hold)]);
        assert_eq!(play(&[1_000, 8_999], 60_000), [(9_029, Gesture::Hold)]);
        assert_eq!(play(&[1_000, 9_000], 60_000), [(9_000, Gesture::LongHold)]);
        assert_eq!(play(&[1_000, 20_000], 60_000), [(9_000, Gesture::LongHold)]);
        assert_eq!(play(&[1_000, 3_990], 60_000), [(4_590, Gesture::Press)]);
    }

    #[test]
    fn press_press_hold_is_exactly_that() {
        assert_eq!(
            play(&[1_000, 1_200, 1_500, 1_700, 2_000, 6_000], 60_000),
            [(5_000, Gesture::PressPressHold)]
        );
        let three = [1_000, 1_200, 1_500, 1_700, 2_000, 2_200, 2_500, 6_500];
        assert_eq!(play(&three, 60_000), [(6_530, Gesture::Hold)]);
        let one = [1_000, 1_200, 1_500, 5_500];
        assert_eq!(play(&one, 60_000), [(5_530, Gesture::Hold)]);
        let slow = [1_000, 2_200, 2_500, 2_700, 3_000, 7_000];
        assert_eq!(play(&slow, 60_000), [(7_030, Gesture::Hold)]);
        let pause = [1_000, 1_200, 1_500, 1_700, 2_400, 6_400];
        assert_eq!(play(&pause, 60_000), [(2_300, Gesture::Press), (6_430, Gesture::Hold)]);
    }

    #[test]
    fn a_bouncing_contact_is_one_press() {
        let bouncing = [1_000, 1_004, 1_009, 1_011, 1_013, 1_200, 1_203, 1_209, 1_210, 1_213];
        let clean = [1_013, 1_213];
        assert_eq!(play(&bouncing, 60_000), play(&clean, 60_000));
    }

    #[test]
    fn noise_on_the_cable_is_nothing() {
        assert_eq!(play(&[1_000, 1_020, 3_000, 3_029], 60_000), []);
    }

    #[test]
    fn a_button_that_is_down_at_the_start_waits_to_be_let_go() {
        assert_eq!(play(&[0], 600_000), []);
        assert_eq!(play(&[0, 50_000], 600_000), []);
        assert_eq!(play(&[0, 50_000, 60_000, 60_100], 600_000), [(60_700, Gesture::Press)]);
    }

    #[test]
    fn a_button_nobody_presses_wakes_nobody() {
        let mut button = Button::new();
        assert_eq!(button.wake_ms(), None);
        button.feed(false, 100);
        button.feed(false, button.wake_ms().unwrap());
        assert_eq!(button.wake_ms(), None);
        let mut stuck = Button::new();
        stuck.feed(true, 100);
        stuck.feed(true, 1_000_000);
        assert_eq!(stuck.wake_ms(), None);
    }

    #[test]
    fn calls_that_come_late_lose_no_gesture() {
        // Only the edges are fed, each a while after the contact's change, and nothing in between.
        let mut button = Button::new();
        let fed = [(false, 0), (true, 100), (false, 5_000), (false, 9_000)];
        let told: Vec<Gesture> = fed.iter().filter_map(|(contact, ms)| button.feed(*contact, *ms)).collect();
        assert_eq!(told, [Gesture::Hold]);
    }

    #[test]
    fn time_that_goes_backwards_breaks_nothing() {
        let mut button = Button::new();
        for (contact, now_ms) in
            [(false, 9_000), (false, 10_000), (true, 500), (false, 20), (true, 0), (true, u64::MAX)]
        {
            button.feed(contact, now_ms);
            button.wake_ms();
        }
    }
}
