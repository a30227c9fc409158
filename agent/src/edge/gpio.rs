//! Finding lines of the GPIO header through the kernel's character devices.
//!
//! A line is found by its name, or by the label of its chip and its number there; chips have no lasting numbers. Not here:
//! driving a lamp (`panel::line`), reading a button (`button::line`).

use linux_embedded_hal::gpio_cdev::{Chip, Line, chips};

/// The user of our lines in `gpioinfo`.
pub(super) const CONSUMER: &str = "larder";

/// The line of this name on any chip. Where two chips use the name, the chip has to be named.
pub(super) fn line_named(name: &str) -> Result<Line, String> {
    let line = all_chips()?
        .iter()
        .find_map(|chip| chip.lines().find(|line| line.info().is_ok_and(|info| info.name() == Some(name))));
    free(line.ok_or("no GPIO line of this name that the agent may use")?)
}

/// The line with number `offset` on the chip with this label.
pub(super) fn line_at(chip: &str, offset: u32) -> Result<Line, String> {
    let chip = all_chips()?.into_iter().find(|found| found.label() == chip);
    let line = chip.ok_or("no GPIO chip of this label that the agent may use")?.get_line(offset);
    free(line.map_err(|e| e.to_string())?)
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
