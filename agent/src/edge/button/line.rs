//! A button on a GPIO line.
//!
//! The kernel's edges only wake the reader: its queue holds sixteen and drops the rest, so what counts is the level at the
//! time of the look. A line whose chip tells no edges is looked at again and again. The polarity is ours, as for lamps.
//!
//! Not here: finding the line (`gpio`).

use linux_embedded_hal::gpio_cdev::{EventRequestFlags, Line, LineEventHandle, LineHandle, LineRequestFlags};

use super::contact::{AnyContact, is_readable, rest, wait_for};
use crate::edge::gpio::CONSUMER;

/// The kernel keeps no more edges.
const EDGES_MAX: usize = 16;
/// Between two looks at a line without edges: shorter than any press, and no work to speak of.
const LOOK_MS: u64 = 40;

/// A line that tells its edges.
struct EdgeLine {
    line: LineEventHandle,
    active_low: bool,
}

/// A line that has to be looked at.
struct LookLine {
    line: LineHandle,
    active_low: bool,
}

/// Requests the line as an input.
pub(super) fn open(line: &Line, active_low: bool) -> Result<Box<dyn AnyContact>, String> {
    match line.events(LineRequestFlags::INPUT, EventRequestFlags::BOTH_EDGES, CONSUMER) {
        Ok(line) => Ok(Box::new(EdgeLine { line, active_low })),
        Err(no_edges) => {
            let line = line.request(LineRequestFlags::INPUT, 0, CONSUMER);
            // Where neither is given, the first refusal says why.
            let line = line.map_err(|_| no_edges.to_string())?;
            Ok(Box::new(LookLine { line, active_low }))
        }
    }
}

fn is_pressed_at(level: u8, active_low: bool) -> bool {
    (level == 0) == active_low
}

impl AnyContact for EdgeLine {
    fn rest(&mut self, at_most_ms: u64) -> Result<(), String> {
        let mut is_edge = wait_for(self.line.file(), at_most_ms)?;
        for _ in 0..EDGES_MAX {
            if !is_edge {
                break;
            }
            self.line.get_event().map_err(|e| e.to_string())?;
            is_edge = is_readable(self.line.file(), 0)?;
        }
        Ok(())
    }

    fn is_pressed(&mut self) -> Result<bool, String> {
        let level = self.line.get_value().map_err(|e| e.to_string())?;
        Ok(is_pressed_at(level, self.active_low))
    }
}

impl AnyContact for LookLine {
    fn rest(&mut self, at_most_ms: u64) -> Result<(), String> {
        rest(at_most_ms.min(LOOK_MS));
        Ok(())
    }

    fn is_pressed(&mut self) -> Result<bool, String> {
        let level = self.line.get_value().map_err(|e| e.to_string())?;
        Ok(is_pressed_at(level, self.active_low))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_button_to_ground_is_pressed_at_low_level_and_a_button_to_the_supply_at_high_level() {
        assert!(is_pressed_at(0, true) && !is_pressed_at(1, true));
        assert!(is_pressed_at(1, false) && !is_pressed_at(0, false));
    }
}
