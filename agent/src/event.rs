//! Every event of the agent: one closed list, so that `run` has one loop and forgets nothing.

use larder_format::ledger::Role;
use larder_panel::Gesture;
use std::sync::Arc;

/// One event.
#[derive(Debug, Clone)]
pub(crate) enum AgentEvent {
    /// Time to look at the whole box again.
    Tick,
    /// A device began to send.
    PushStarted {
        /// First half of the names of the device's sources.
        device: String,
    },
    /// A snapshot was committed.
    Committed(Arc<larder_store::SnapshotRecord>),
    /// A window opened in which a computer may pair.
    PairingOpened {
        /// Name that the computer would get; none for one that brings its own.
        device: Option<String>,
        /// Role that the computer would get.
        role: Role,
    },
    /// Too many codes were wrong, so that nobody is let in for a while.
    PairingLocked,
    /// A computer was let in.
    Paired {
        /// The computer's name.
        device: String,
        /// The key's role.
        role: Role,
    },
    /// A key opens nothing any more.
    KeyEnded {
        /// The computer's name.
        device: String,
    },
    /// A hold began or ended, a snapshot was set aside, or a person vouched for the clock.
    KeepingChanged,
    /// A disk came, left, or changed its state.
    DisksChanged,
    /// Files were given back.
    Restored {
        /// The asking device.
        device: String,
    },
    /// Somebody at the box has seen the present conditions, an alarm among them.
    AcknowledgedHere,
    /// The owner used the box's own button.
    Button(Gesture),
    /// The offsite disks at home are up to date and let go of, as the button asked.
    OffsiteReleased,
    /// A command came over MQTT.
    Asked(MqttCommand),
    /// The system or the owner wants the agent to end.
    StopRequested,
}

/// Commands over MQTT. Only commands that neither change nor forget any kept byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MqttCommand {
    /// Show this box: the lamp's long-short-long.
    Identify,
    /// The owner has seen the present conditions.
    Acknowledge,
}
