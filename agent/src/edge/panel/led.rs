//! A lamp of the kernel's LED class: a folder with `brightness`, `max_brightness` and `trigger`.
//!
//! Lamps built into a board are nearly always LEDs of this class: a driver owns the line, so GPIO cannot request it.
//! The kernel knows the polarity. Not here: lines of a header (`line`).

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use embedded_hal::digital::{self, ErrorKind, ErrorType, OutputPin, PinState};
use larder_panel::{Brightness, DIM_STEP_MS, Lamp, Rhythm};

use super::any_lamp::AnyLamp;

/// One LED, breathing if it can dim.
pub(super) struct Led {
    file: Arc<Brightnesses>,
    lamp: Lamp<Pin>,
    began_ms: u64,
}

/// The file `brightness`, kept open: sysfs takes a new value at its start each time.
struct Brightnesses {
    file: File,
    max: u32,
}

impl Brightnesses {
    fn set(&self, brightness: Brightness) -> io::Result<()> {
        // A fixed number of digits, so that a short number covers a long number wherever the file keeps old bytes.
        // The kernel takes zeros in front of a number, but no blanks behind.
        self.file.write_all_at(format!("{:010}\n", brightness.scaled_to(self.max)).as_bytes(), 0)
    }
}

impl Led {
    /// Takes over the LED in this folder: any other pattern there (card activity, a heartbeat) is stopped.
    pub(super) fn open(folder: &Path) -> Result<Led, String> {
        let max = fs::read_to_string(folder.join("max_brightness")).map_err(|e| explain(&e))?;
        let max =
            max.trim().parse().ok().filter(|max| *max > 0).ok_or("its strongest light cannot be read")?;
        let file = File::options().write(true).open(folder.join("brightness")).map_err(|e| explain(&e))?;
        match fs::write(folder.join("trigger"), "none\n") {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(explain(&error)),
            _ => {}
        }
        let file = Arc::new(Brightnesses { file, max });
        file.set(Brightness::DARK).map_err(|e| explain(&e))?;
        Ok(Led { lamp: Lamp::new(Pin(Arc::clone(&file)), PinState::High), file, began_ms: 0 })
    }

    fn breathes(&self) -> bool {
        self.lamp.rhythm() == Rhythm::Busy && self.file.max > 1
    }
}

impl AnyLamp for Led {
    fn show(&mut self, rhythm: Rhythm, now_ms: u64) {
        if rhythm != self.lamp.rhythm() {
            self.began_ms = now_ms;
        }
        self.lamp.show(rhythm, now_ms);
    }

    fn tick(&mut self, now_ms: u64) -> Result<u64, String> {
        if !self.breathes() {
            return self.lamp.tick(now_ms).map_err(|e| explain(&e.0));
        }
        let brightness = Brightness::of(Rhythm::Busy, now_ms.saturating_sub(self.began_ms));
        self.file.set(brightness).map_err(|e| explain(&e))?;
        Ok(now_ms.saturating_add(DIM_STEP_MS))
    }

    fn put_out(&mut self) -> Result<(), String> {
        self.lamp.put_out().map_err(|e| explain(&e.0))
    }
}

/// The LED as a pin with two levels, full light or none.
struct Pin(Arc<Brightnesses>);

#[derive(Debug)]
struct PinError(io::Error);

impl digital::Error for PinError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}

impl ErrorType for Pin {
    type Error = PinError;
}

impl OutputPin for Pin {
    fn set_low(&mut self) -> Result<(), PinError> {
        self.0.set(Brightness::DARK).map_err(PinError)
    }

    fn set_high(&mut self) -> Result<(), PinError> {
        self.0.set(Brightness::FULL).map_err(PinError)
    }
}

fn explain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such LED on this system".to_owned(),
        io::ErrorKind::PermissionDenied => {
            "the agent may not set it; is 70-larder.rules among the udev rules?".to_owned()
        }
        _ => error.to_string(),
    }
}
