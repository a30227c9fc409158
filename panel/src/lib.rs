//! The owner's panel: one lamp, one button.
//!
//! `no_std`, so the compiler itself forbids clocks, files and threads: time is an argument, a pin is a trait, and a
//! test is a fake pin and a list of times. One single-colour lamp must be able to express every state.
//!
//! Not here: the state of the appliance (`agent::decide`), finding and opening a real pin (`agent::edge`), the lamps of
//! each board (`larder-firmware-config`).
#![no_std]

mod blinked_code;
mod brightness;
mod button;
mod lamp;
mod rhythm;

pub use blinked_code::BlinkedCode;
pub use brightness::{BREATH_MS, Brightness, DIM_STEP_MS};
pub use button::{Button, Gesture};
pub use lamp::Lamp;
pub use rhythm::{Code, Digit, FLASH_MS_MIN, Rhythm};
