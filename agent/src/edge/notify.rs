//! Words to systemd: ready, stopping, alive.

use sd_notify::NotifyState;
use std::time::Duration;

/// The service does its work from now on.
pub(crate) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The service is on its way out.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Still alive. Called only by the loop, and only while the vault answers.
pub(crate) fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// How often systemd wants to hear `alive`, halved so that one late word is no death; none without a watchdog.
pub(crate) fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 2)
}

fn tell(states: &[NotifyState<'_>]) {
    // Without systemd there is no listener, and that is fine.
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "nobody took the notice");
    }
}
