//! Why a connection to the broker failed, told apart by what the owner can do about it. Not here: the words (`troubles`).

use std::io;
use std::path::PathBuf;

use rumqttc::v5::StateError;
use rumqttc::v5::mqttbytes;
use rumqttc::v5::mqttbytes::v5::ConnectReturnCode;
use tokio_rustls::rustls::AlertDescription;

/// Why there is no connection, or no connection any more.
#[derive(Debug)]
pub(super) enum ConnectionFailure {
    /// No connection to the address.
    Unreachable(io::Error),
    /// No welcome in time.
    Timeout,
    /// A file that the settings name cannot be used.
    File(FileProblem),
    /// No encrypted connection.
    Tls(TlsFailure),
    /// Answered in TLS to a connection in the clear.
    SpeaksTls,
    /// Closed before any answer.
    ClosedAtOnce,
    /// Refused by the broker.
    Refused(ConnectReturnCode),
    /// The answer is none of MQTT 5.
    NotMqtt(String),
    /// The connection broke, or the broker broke the protocol.
    Broken(StateError),
}

impl From<StateError> for ConnectionFailure {
    fn from(error: StateError) -> Self {
        Self::Broken(error)
    }
}

impl From<io::Error> for ConnectionFailure {
    fn from(error: io::Error) -> Self {
        Self::Broken(StateError::Io(error))
    }
}

impl From<mqttbytes::Error> for ConnectionFailure {
    fn from(error: mqttbytes::Error) -> Self {
        Self::Broken(StateError::Deserialization(error))
    }
}

/// Whether the other end has closed the connection, politely or not.
pub(super) fn is_closed(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}

/// Why an encrypted connection did not come about.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum TlsFailure {
    /// No authority that is known here vouches for the certificate.
    UnknownAuthority {
        /// SHA-256 of the shown certificate.
        seen: [u8; 32],
    },
    /// The certificate is for other names.
    WrongName {
        /// Those names.
        presented: Vec<String>,
    },
    /// The certificate's time is over.
    Expired {
        /// Its last second.
        not_after_s: i64,
    },
    /// The certificate's time has not begun.
    NotYetValid {
        /// Its first second.
        not_before_s: i64,
    },
    /// The certificate is not the pinned one.
    OtherFingerprint {
        /// SHA-256 of the shown certificate.
        seen: [u8; 32],
    },
    /// The certificate is right, but whoever shows it has not proven to have its key.
    NoProof,
    /// A certificate for vouching, shown as the broker's own.
    AuthorityAsBroker {
        /// SHA-256 of the shown certificate.
        seen: [u8; 32],
    },
    /// The certificate cannot be used for another reason.
    BadCertificate {
        /// The library's words.
        why: String,
        /// SHA-256 of the shown certificate.
        seen: [u8; 32],
    },
    /// The broker asked for a certificate, and there is none to show.
    WantsCertificate,
    /// The broker does not take the certificate that was shown.
    RefusesCertificate {
        /// The broker's reason.
        why: AlertDescription,
    },
    /// What answers does not speak TLS.
    NotTls,
    /// The system knows no authority.
    NoAuthorities,
    /// The host cannot be the name in a certificate.
    NoServerName,
    /// Anything else.
    Handshake(String),
}

/// A file that a setting names cannot be used.
#[derive(Debug)]
pub(crate) struct FileProblem {
    /// The setting in `[mqtt]`.
    pub(crate) key: &'static str,
    /// Its value.
    pub(crate) path: PathBuf,
    /// What is wrong with the file.
    pub(crate) fault: FileFault,
}

/// What is wrong with a file.
#[derive(Debug)]
pub(crate) enum FileFault {
    /// Missing, a folder, or not ours to read.
    Unreadable(io::Error),
    /// No certificate in PEM.
    NoCertificate,
    /// No private key in PEM.
    NoKey,
    /// A key behind a passphrase, which nobody is there to type.
    LockedKey,
    /// The key of another certificate.
    OtherKey,
}
