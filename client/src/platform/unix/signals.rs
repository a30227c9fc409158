//! Signals that a thread of this program waits for, instead of a handler that may hardly do anything.
//!
//! Not here: what becomes of a signal (`terminal`, `stop`).

use nix::sys::signal::{SigSet, SigmaskHow, Signal, raise};

/// Signals that no thread takes unasked.
pub(super) struct HeldSignals(SigSet);

impl HeldSignals {
    /// Holds the signals back in this thread and in all that begin from now on, so it has to be called before the first
    /// other thread begins. A signal without effect here, as Ctrl-C in a shell's background, stays without effect.
    pub(super) fn hold(signals: &[Signal]) -> nix::Result<Self> {
        let ignored = ignored();
        let mut held = SigSet::empty();
        signals.iter().filter(|signal| ignored & bit(**signal) == 0).for_each(|signal| held.add(*signal));
        held.thread_block()?;
        Ok(Self(held))
    }

    /// Waits for the next of the signals; nothing where that cannot be.
    pub(super) fn wait(&self) -> Option<Signal> {
        self.0.wait().ok()
    }

    /// Has the signal end the program, as it would have without anybody waiting: whoever called the program is to see
    /// that the signal ended it.
    pub(super) fn end_by(&self, signal: Signal) {
        let _ = self.0.thread_unblock();
        let _ = raise(signal);
    }
}

/// Starts another program with `start`, free to be ended by Ctrl-C: a program inherits what its maker's thread holds
/// back, and would go on alone.
pub(crate) fn starting_program<T>(start: impl FnOnce() -> T) -> T {
    let mut interrupts = SigSet::empty();
    [Signal::SIGINT, Signal::SIGTERM].into_iter().for_each(|signal| interrupts.add(signal));
    let before = interrupts.thread_swap_mask(SigmaskHow::SIG_UNBLOCK);
    let started = start();
    if let Ok(before) = before {
        let _ = before.thread_set_mask();
    }
    started
}

/// The bit of a signal in the words of `/proc`.
fn bit(signal: Signal) -> u64 {
    1 << (signal as i32 - 1)
}

/// Signals without effect in this program.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    /// A test's own thread holds and frees, so that the other tests see nothing of it.
    #[test]
    fn a_program_is_started_with_free_signals_and_they_are_held_again_after() {
        let tested = thread::spawn(|| {
            let held = HeldSignals::hold(&[Signal::SIGINT, Signal::SIGURG]).expect("held");
            let is_held = |signal| SigSet::thread_get_mask().expect("a mask").contains(signal);
            let inside = starting_program(|| [Signal::SIGINT, Signal::SIGURG].map(is_held));
            let after = [Signal::SIGINT, Signal::SIGURG].map(is_held);
            raise(Signal::SIGURG).expect("raised");
            (inside, after, held.wait())
        });
        let (inside, after, taken) = tested.join().expect("whole");
        assert_eq!(inside, [false, true]);
        assert!(after[1]);
        assert_eq!(after[0], ignored() & bit(Signal::SIGINT) == 0);
        assert_eq!(taken, Some(Signal::SIGURG));
    }
}
