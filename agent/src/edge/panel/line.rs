//! A lamp on a GPIO line, through the kernel's character devices.
//!
//! A line is found by its name, or by the label of its chip and its number there; chips have no lasting numbers. The
//! request names the electrical level and `Lamp` applies the board's polarity, since the `active low` flag of a
//! request and the pin traits disagree about the meaning of "high".
//!
//! Not here: LEDs owned by the kernel (`led`).

use embedded_hal::digital::PinState;
use larder_panel::{Lamp, Rhythm};
use linux_embedded_hal::CdevPin;
use linux_embedded_hal::gpio_cdev::{Chip, Line as CdevLine, LineRequestFlags, chips};

use super::any_lamp::AnyLamp;

/// The user of the line in `gpioinfo`.
const CONSUMER: &str = "larder";

/// One line with a lamp.
pub(super) struct GpioLine(Lamp<CdevPin>);

impl GpioLine {
    /// The line of this name on any chip. Where two chips use the name, the chip has to be named.
    pub(super) fn named(name: &str, active_low: bool) -> Result<GpioLine, String> {
        let line = all_chips()?.iter().find_map(|chip| {
            chip.lines().find(|line| line.info().is_ok_and(|info| info.name() == Some(name)))
        });
        GpioLine::open(&line.ok_or("no GPIO line of this name that the agent may use")?, active_low)
    }

    /// The line with number `offset` on the chip with this label.
    pub(super) fn at(chip: &str, offset: u32, active_low: bool) -> Result<GpioLine, String> {
        let chip = all_chips()?.into_iter().find(|found| found.label() == chip);
        let line = chip.ok_or("no GPIO chip of this label that the agent may use")?.get_line(offset);
        GpioLine::open(&line.map_err(|e| e.to_string())?, active_low)
    }

    fn open(line: &CdevLine, active_low: bool) -> Result<GpioLine, String> {
        let info = line.info().map_err(|e| e.to_string())?;
        // Not `is_used`: a free line left as an output, by us before a restart, counts as used too.
        if info.is_kernel() {
            return Err(format!("already used by {}", info.consumer().unwrap_or("the system")));
        }
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

/// Every chip that can be opened; further chips are not ours to use.
fn all_chips() -> Result<Vec<Chip>, String> {
    let found = chips().map_err(|e| e.to_string())?;
    Ok(found.filter_map(Result::ok).collect())
}
