//! The terminal of the standard input, and the key that ends a program there.
//!
//! A key that is typed must not stand on the screen afterwards. A program that is ended while it hides what is typed
//! would leave a terminal that stays dumb, so both belong together here.

use super::signals::HeldSignals;
use nix::sys::signal::Signal;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::{
    io::stdin,
    sync::{Mutex, PoisonError},
    thread,
};

/// The settings to go back to, while typed text is hidden.
static SHOWN_AGAIN: Mutex<Option<Termios>> = Mutex::new(None);

/// Hides what is typed at the standard input, until dropped.
pub(crate) struct HiddenInput(());

impl HiddenInput {
    /// Nothing where the standard input is no terminal.
    pub(crate) fn begin() -> Option<Self> {
        let before = tcgetattr(stdin()).ok()?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO | LocalModes::ECHOE | LocalModes::ECHOK);
        // The end of the line is shown: whoever pressed Enter sees that something happened.
        hidden.local_modes.insert(LocalModes::ECHONL);
        *SHOWN_AGAIN.lock().unwrap_or_else(PoisonError::into_inner) = Some(before);
        tcsetattr(stdin(), OptionalActions::Flush, &hidden).ok()?;
        Some(Self(()))
    }
}

impl Drop for HiddenInput {
    fn drop(&mut self) {
        show_input();
    }
}

fn show_input() {
    if let Some(before) = SHOWN_AGAIN.lock().unwrap_or_else(PoisonError::into_inner).take() {
        let _ = tcsetattr(stdin(), OptionalActions::Now, &before);
    }
}

/// From now on Ctrl-C calls `last_words` before the program ends by the signal, as ever. To be called before the first
/// thread begins.
pub(crate) fn on_interrupt(last_words: impl FnOnce() + Send + 'static) {
    let Ok(signals) = HeldSignals::hold(&[Signal::SIGINT]) else { return };
    thread::spawn(move || {
        if let Some(signal) = signals.wait() {
            show_input();
            last_words();
            signals.end_by(signal);
        }
    });
}
