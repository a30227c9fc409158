//! A lamp on a GPIO line, through the kernel's character devices.
//!
//! The request names the electrical level and `Lamp` applies the board's polarity, since the `active low` flag of a
//! request and the pin traits disagree about the meaning of "high".
//!
//! Not here: finding the line (`gpio`), LEDs owned by the kernel (`led`).

use embedded_hal::digital::PinState;
use larder_panel::{Lamp, Rhythm};
use linux_embedded_hal::CdevPin;
use linux_embedded_hal::gpio_cdev::{Line as CdevLine, LineRequestFlags};

use super::any_lamp::AnyLamp;
use crate::edge::gpio::CONSUMER;

/// One line with a lamp.
pub(super) struct GpioLine(Lamp<CdevPin>);

impl GpioLine {
    /// Requests the line as an output, dark.
    pub(super) fn open(line: &CdevLine, active_low: bool) -> Result<GpioLine, String> {
        // The level of the request is dark, so that opening the lamp is not a flash.
        let handle = line
            .request(LineRequestFlags::OUTPUT, u8::from(active_low), CONSUMER)
            .map_err(|e| e.to_string())?;
        let pin = CdevPin::new(handle).map_err(|e| e.to_string())?;
        Ok(GpioLine(Lamp::new(pin, if active_low { PinState::Low } else { PinState::High })))
    }
}

impl AnyLamp for GpioLine {
    fn show(&mut self, rhythm: Rhythm, now_ms: u64) {
        self.0.show(rhythm, now_ms);
    }

    fn tick(&mut self, now_ms: u64) -> Result<u64, String> {
        self.0.tick(now_ms).map_err(|e| e.to_string())
    }

    fn put_out(&mut self) -> Result<(), String> {
        self.0.put_out().map_err(|e| e.to_string())
    }
}
