//! Finding lines of the GPIO header through the kernel's character devices.
//!
//! A line is found by its name, or by the label of its chip and its number there; chips have no lasting numbers. Not here:
//! driving a lamp (`panel::line`), reading a button (`button::line`).

use larder_firmware_config::GpioPlace;
use linux_embedded_hal::gpio_cdev::{Chip, Line, chips};

/// The user of our lines in `gpioinfo`.
pub(super) const CONSUMER: &str = "larder";

/// The line at this place. Where two chips use its name, the chip has to be named.
pub(super) fn find_line(place: &GpioPlace) -> Result<Line, String> {
    let chips = all_chips()?;
    let line = match place {
        GpioPlace::Named(name) => {
            let is_named = |line: &Line| line.info().is_ok_and(|info| info.name() == Some(name));
            let line = chips.iter().find_map(|chip| chip.lines().find(is_named));
            line.ok_or("no GPIO line of this name that the agent may use")?
        }
        GpioPlace::Numbered { chip, offset } => {
            let chip = chips.into_iter().find(|found| found.label() == chip);
            let line = chip.ok_or("no GPIO chip of this label that the agent may use")?.get_line(*offset);
            line.map_err(|e| e.to_string())?
        }
    };
    free(line)
}

fn free(line: Line) -> Result<Line, String> {
    let info = line.info().map_err(|e| e.to_string())?;
    // Not `is_used`: a free line left as an output, by us before a restart, counts as used too.
    if info.is_kernel() {
        return Err(format!("already used by {}", info.consumer().unwrap_or("the system")));
    }
    Ok(line)
}

/// Every chip that can be opened; further chips are not ours to use.
fn all_chips() -> Result<Vec<Chip>, String> {
    let found = chips().map_err(|e| e.to_string())?;
    Ok(found.filter_map(Result::ok).collect())
}
