//! What went wrong with the broker, in the owner's words.
//!
//! Library errors name packets and error numbers; an owner can only act on where, what, and which setting.
//! Not here: what is done about it (`link` tries again, always), the kinds of failures (`failure`).

mod encryption;
mod files;

use std::io::ErrorKind;

use larder_firmware_config::Address;
use rumqttc::v5::StateError;
use rumqttc::v5::mqttbytes;
use rumqttc::v5::mqttbytes::v5::{ConnectReturnCode, DisconnectReasonCode, SubAck, SubscribeReasonCode};

use super::failure::ConnectionFailure;
use super::reason::{BrokerTrouble, reason};
use super::settings::BrokerSettings;

pub(crate) use self::files::file_in_words;

/// What `failure` means for somebody who can change settings.
pub(super) fn of(failure: &ConnectionFailure, settings: &BrokerSettings) -> BrokerTrouble {
    let at = place(settings);
    let what = match failure {
        ConnectionFailure::Unreachable(error) if error.kind() == ErrorKind::ConnectionRefused => {
            format!("no broker answers at {at}")
        }
        ConnectionFailure::Unreachable(error) => format!("the broker at {at} cannot be reached: {error}"),
        ConnectionFailure::Timeout => format!("{at} did not answer in time"),
        ConnectionFailure::Refused(code) => refusal(*code, &at, settings),
        ConnectionFailure::Broken(state) => broken(state, &at),
        ConnectionFailure::NotMqtt(why) => {
            format!("the broker at {at} does not speak MQTT 5 as expected: {why}")
        }
        ConnectionFailure::ClosedAtOnce if settings.tls.is_none() => return closed_at_once(&at, settings),
        ConnectionFailure::ClosedAtOnce => format!("the broker at {at} closed the connection at once"),
        ConnectionFailure::SpeaksTls => return speaks_tls(&at, settings),
        ConnectionFailure::File(problem) => return files::trouble(problem),
        ConnectionFailure::Tls(failure) => return encryption::trouble(failure, &at, settings),
    };
    BrokerTrouble::passing(what)
}

/// The clock has to be set before a certificate can be judged. The clock has a condition of its own.
pub(super) fn clock_not_set(settings: &BrokerSettings) -> BrokerTrouble {
    let what = format!(
        "the clock of the appliance is not set, so it cannot tell whether the certificate of the broker at {} is valid",
        place(settings)
    );
    let remedy = "Connect the appliance to the internet, or set its clock; then it connects by itself.";
    BrokerTrouble { what, remedy: Some(remedy.to_owned()), is_lasting: false }
}

/// The broker neither reads nor answers.
pub(super) fn silence(settings: &BrokerSettings) -> BrokerTrouble {
    BrokerTrouble::passing(format!("the broker at {} has stopped answering", place(settings)))
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
    Address { host: settings.host.clone(), port: settings.port }.to_string()
}

fn closed_at_once(at: &str, settings: &BrokerSettings) -> BrokerTrouble {
    let what = format!("the broker at {at} closed the connection without an answer");
    let remedy = format!(
        "If this is its port for encrypted connections, write broker = \"mqtts://{}\" below [mqtt]; else look into the \
         broker's log.",
        place(settings)
    );
    BrokerTrouble { what, remedy: Some(remedy), is_lasting: false }
}

fn speaks_tls(at: &str, settings: &BrokerSettings) -> BrokerTrouble {
    let what = format!("the broker at {at} takes only encrypted connections on this port");
    BrokerTrouble::lasting(what, format!("Write broker = \"mqtts://{}\" below [mqtt].", place(settings)))
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
