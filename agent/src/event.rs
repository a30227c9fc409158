//! Everything that can happen to the agent: one closed list, so that `run` has one loop and forgets nothing.

use std::sync::Arc;

/// One thing that happened.
#[derive(Debug, Clone)]
pub(crate) enum AgentEvent {
    /// Time to look at everything again.
    Tick,
    /// A device began to send.
    PushStarted {
        /// First half of its sources' names.
        device: String,
    },
    /// A snapshot was committed.
    Committed(Arc<larder_store::Fact>),
    /// A key was made or ended.
    KeysChanged,
    /// A disk came, left, or is no longer what it was.
    DisksChanged,
    /// Files were given back.
    Restored {
        /// Who asked.
        device: String,
    },
    /// Somebody asked over MQTT.
    Asked(MqttCommand),
    /// The system or the owner wants the agent to end.
    StopRequested,
}

/// What may be asked over MQTT. Only what neither changes nor forgets anything that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MqttCommand {
    /// Show which box this is: the lamp's long-short-long.
    Identify,
    /// The owner has seen the present conditions.
    Acknowledge,
}
