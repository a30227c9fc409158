//! What went wrong with the broker, in the owner's words.
//!
//! Library errors name packets and error numbers; an owner can only act on where, what, and which setting.
//! Not here: what is done about it (`link` tries again, always).

use std::io::ErrorKind;

use rumqttc::v5::mqttbytes;
use rumqttc::v5::mqttbytes::v5::{ConnectReturnCode, DisconnectReasonCode, SubAck, SubscribeReasonCode};
use rumqttc::v5::{ConnectionError, StateError};

use super::BrokerSettings;

/// What `error` means for somebody who can change settings.
pub(super) fn of(error: &ConnectionError, settings: &BrokerSettings) -> String {
    let at = place(settings);
    match error {
        ConnectionError::Io(io) if io.kind() == ErrorKind::ConnectionRefused => {
            format!("no broker answers at {at}")
        }
        ConnectionError::Io(io) => format!("the broker at {at} cannot be reached: {io}"),
        ConnectionError::Timeout(_) => format!("{at} did not answer in time"),
        ConnectionError::ConnectionRefused(code) => refusal(*code, &at, settings),
        ConnectionError::MqttState(state) => broken(state, &at),
        other => format!("the broker at {at} does not speak MQTT 5 as expected: {other}"),
    }
}

/// The broker neither reads nor answers.
pub(super) fn silence(settings: &BrokerSettings) -> String {
    format!("the broker at {} has stopped answering", place(settings))
}

/// What the broker forbids us to listen to, if anything.
pub(super) fn subscription(answer: &SubAck) -> Option<String> {
    let refused = answer.return_codes.iter().find(|code| !matches!(code, SubscribeReasonCode::Success(_)))?;
    Some(format!("the broker does not let us listen for commands: {}", reason(refused)))
}

/// A message did not fit.
pub(super) fn too_long(bytes_max: usize) -> String {
    format!("the broker takes no message of more than {bytes_max} bytes, so not everything can be shown")
}

fn place(settings: &BrokerSettings) -> String {
    format!("{}:{}", settings.host, settings.port)
}

fn refusal(code: ConnectReturnCode, at: &str, settings: &BrokerSettings) -> String {
    match code {
        ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized => {
            match &settings.username {
                Some(username) => {
                    format!("the broker at {at} refuses user name or password of `{username}`")
                }
                None => format!("the broker at {at} wants a user name and a password"),
            }
        }
        ConnectReturnCode::UnsupportedProtocolVersion | ConnectReturnCode::RefusedProtocolVersion => {
            format!("the broker at {at} is too old: it does not know MQTT 5")
        }
        other => format!("the broker at {at} refuses the connection: {}", reason(&other)),
    }
}

/// A reason of the protocol in words. Its names are English run together: `QuotaExceeded`.
pub(super) fn reason(code: &impl std::fmt::Debug) -> String {
    let name = format!("{code:?}");
    let mut words = String::new();
    for c in name.chars().take_while(|c| c.is_alphanumeric()) {
        if c.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(c.to_lowercase());
    }
    words
}

fn broken(state: &StateError, at: &str) -> String {
    match state {
        StateError::AwaitPingResp => format!("the broker at {at} has stopped answering"),
        StateError::ConnectionAborted
        | StateError::Io(_)
        | StateError::Deserialization(mqttbytes::Error::Io(_)) => {
            format!("the broker at {at} closed the connection")
        }
        StateError::ServerDisconnect { reason_code: DisconnectReasonCode::SessionTakenOver, .. } => {
            format!("another appliance with the same identity is connected to the broker at {at}")
        }
        StateError::ServerDisconnect { reason_code, .. } => {
            format!("the broker at {at} ended the connection: {}", reason(reason_code))
        }
        other => format!("the connection to the broker at {at} broke: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_told_in_words() {
        assert_eq!(reason(&DisconnectReasonCode::QuotaExceeded), "quota exceeded");
        assert_eq!(reason(&SubscribeReasonCode::NotAuthorized), "not authorized");
        assert_eq!(reason(&Some(7)), "some");
    }
}
