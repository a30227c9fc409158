//! Where a lamp or a button is, in one short text: `led:ACT`, `gpio:GPIO17`, `gpio:pinctrl-rp1:17`.
//!
//! Chips are named by label and never by number: the numbers of one board have changed between kernels. Not here:
//! opening the place (`agent::edge`).

use std::fmt;
use std::path::PathBuf;

/// The last code of a key (`KEY_MAX` of the kernel's `input-event-codes.h`).
const KEY_MAX: u16 = 0x2ff;

/// Where a GPIO line is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum GpioPlace {
    /// The line with this name, on any chip.
    Named(String),
    /// A line of the chip with this label.
    Numbered {
        /// Label of the chip, as `gpioinfo` shows it.
        chip: String,
        /// Number of the line on that chip, from 0.
        offset: u32,
    },
}

impl GpioPlace {
    /// Reads `gpio:LINE` or `gpio:CHIP:OFFSET`; none for a different text.
    fn parse(text: &str) -> Option<GpioPlace> {
        let rest = text.strip_prefix("gpio:")?;
        let line = match rest.rsplit_once(':') {
            None => GpioPlace::Named(rest.to_owned()),
            Some((chip, offset)) => {
                GpioPlace::Numbered { chip: chip.to_owned(), offset: offset.parse().ok()? }
            }
        };
        let (GpioPlace::Named(name) | GpioPlace::Numbered { chip: name, .. }) = &line;
        // `gpiochip0` is a number in disguise.
        (is_name(name) && !is_chip_number(name)).then_some(line)
    }
}

impl fmt::Display for GpioPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GpioPlace::Named(name) => write!(f, "gpio:{name}"),
            GpioPlace::Numbered { chip, offset } => write!(f, "gpio:{chip}:{offset}"),
        }
    }
}

/// Where a lamp is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum LampPlace {
    /// No lamp.
    None,
    /// A GPIO line.
    Gpio(GpioPlace),
    /// The LED with this name under `/sys/class/leds`.
    Led(String),
}

impl LampPlace {
    /// Reads `none`, `gpio:LINE`, `gpio:CHIP:OFFSET` or `led:NAME`; none for a different text.
    pub fn parse(text: &str) -> Option<LampPlace> {
        if text == "none" {
            return Some(LampPlace::None);
        }
        // An LED's name holds colons of its own and becomes part of a path.
        if let Some(name) = text.strip_prefix("led:") {
            let fits = is_name(name) && !name.contains('/') && !name.starts_with('.');
            return fits.then(|| LampPlace::Led(name.to_owned()));
        }
        GpioPlace::parse(text).map(LampPlace::Gpio)
    }

    /// The GPIO line, the only kind with a polarity set by us.
    pub fn gpio(&self) -> Option<&GpioPlace> {
        match self {
            LampPlace::Gpio(line) => Some(line),
            _ => None,
        }
    }
}

impl fmt::Display for LampPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LampPlace::None => f.write_str("none"),
            LampPlace::Gpio(line) => line.fmt(f),
            LampPlace::Led(name) => write!(f, "led:{name}"),
        }
    }
}

/// Where a button is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ButtonPlace {
    /// No button.
    None,
    /// A GPIO line.
    Gpio(GpioPlace),
    /// A key reported by the kernel under `/dev/input`, by code (`KEY_COPY` is 133).
    Key(u16),
    /// Not a button: a file of the kernel's records of a key, for tests of the whole agent.
    Simulated(PathBuf),
}

impl ButtonPlace {
    /// Reads `none`, `gpio:LINE`, `gpio:CHIP:OFFSET`, `key:CODE` or `simulated:/FILE`; none for a different text.
    pub fn parse(text: &str) -> Option<ButtonPlace> {
        if text == "none" {
            return Some(ButtonPlace::None);
        }
        if let Some(code) = text.strip_prefix("key:") {
            return code.parse().ok().filter(|code| (1..=KEY_MAX).contains(code)).map(ButtonPlace::Key);
        }
        if let Some(file) = text.strip_prefix("simulated:") {
            return file.starts_with('/').then(|| ButtonPlace::Simulated(file.into()));
        }
        GpioPlace::parse(text).map(ButtonPlace::Gpio)
    }

    /// The GPIO line, the only kind with a polarity set by us.
    pub fn gpio(&self) -> Option<&GpioPlace> {
        match self {
            ButtonPlace::Gpio(line) => Some(line),
            _ => None,
        }
    }
}

impl fmt::Display for ButtonPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ButtonPlace::None => f.write_str("none"),
            ButtonPlace::Gpio(line) => line.fmt(f),
            ButtonPlace::Key(code) => write!(f, "key:{code}"),
            ButtonPlace::Simulated(file) => write!(f, "simulated:{}", file.display()),
        }
    }
}

fn is_chip_number(name: &str) -> bool {
    name.strip_prefix("gpiochip").is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit()))
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.trim() == name && !name.contains(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_shown_as_it_was_written() {
        for text in ["none", "gpio:GPIO17", "gpio:pinctrl-rp1:17", "led:ACT", "led:rn104:blue:backup"] {
            assert_eq!(LampPlace::parse(text).map(|place| place.to_string()), Some(text.to_owned()));
        }
        for text in
            ["none", "gpio:GPIO27", "gpio:pinctrl-rp1:27", "key:133", "key:767", "simulated:/a/button"]
        {
            assert_eq!(ButtonPlace::parse(text).map(|place| place.to_string()), Some(text.to_owned()));
        }
    }

    #[test]
    fn a_place_that_could_lead_astray_is_refused() {
        for text in [
            "",
            "gpio:",
            "gpio:gpiochip4:17",
            "gpio:gpiochip4",
            "led:../../x",
            "led:",
            "led:..",
            "17",
            "gpio:a:b",
        ] {
            assert_eq!(LampPlace::parse(text), None, "{text}");
        }
        for text in ["key:", "key:KEY_COPY", "key:0", "key:768", "key:70000", "led:ACT", "simulated:x"] {
            assert_eq!(ButtonPlace::parse(text), None, "{text}");
        }
        assert_eq!(ButtonPlace::parse("key:133"), Some(ButtonPlace::Key(133)));
    }
}
