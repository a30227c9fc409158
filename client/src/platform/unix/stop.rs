//! The wish of the person or the system that the program ends: Ctrl-C, or the end of the session.

use super::signals::HeldSignals;
use nix::sys::signal::Signal;
use std::{
    io::{self, PipeReader},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
};

/// Becomes true with the first signal; a second signal ends the program at once.
pub(crate) struct StopRequest {
    is_asked: Arc<AtomicBool>,
    /// Readable from the first signal on, so that a wait ends.
    pub(super) woken: PipeReader,
}

impl StopRequest {
    /// Takes over SIGINT and SIGTERM of this program. To be called before the first thread begins, and instead of
    /// `on_interrupt`.
    ///
    /// # Errors
    /// Errors of the system.
    pub(crate) fn listen() -> io::Result<Self> {
        let is_asked = Arc::new(AtomicBool::new(false));
        let (woken, wakes) = io::pipe()?;
        let signals = HeldSignals::hold(&[Signal::SIGINT, Signal::SIGTERM])?;
        let told = Arc::clone(&is_asked);
        thread::spawn(move || {
            if signals.wait().is_none() {
                return;
            }
            told.store(true, Relaxed);
            // The end of a pipe is something to read, too.
            drop(wakes);
            if let Some(again) = signals.wait() {
                signals.end_by(again);
            }
        });
        Ok(Self { is_asked, woken })
    }

    /// Whether the program shall end.
    pub(crate) fn is_asked(&self) -> bool {
        self.is_asked.load(Relaxed)
    }
}
