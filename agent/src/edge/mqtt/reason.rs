//! A trouble with the broker, as the owner is told of it. Not here: which failure is which trouble (`troubles`).

use std::fmt;

/// Why there is no connection, for somebody who can change settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BrokerTrouble {
    /// What happened, without a full stop.
    pub(crate) what: String,
    /// The one thing to do; none where the broker has to be started, or its address corrected.
    pub(crate) remedy: Option<String>,
    /// Whether it stays until somebody changes something. What passes is not worth a word for two minutes.
    pub(crate) is_lasting: bool,
}

impl BrokerTrouble {
    /// A trouble that may end by itself.
    pub(super) fn passing(what: impl Into<String>) -> Self {
        Self { what: what.into(), remedy: None, is_lasting: false }
    }

    /// A trouble that somebody has to end.
    pub(super) fn lasting(what: String, remedy: String) -> Self {
        Self { what, remedy: Some(remedy), is_lasting: true }
    }
}

impl fmt::Display for BrokerTrouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        self.remedy.as_ref().map_or(Ok(()), |remedy| write!(f, ". {remedy}"))
    }
}

/// A reason of the protocol in words. Its names are English run together: `QuotaExceeded`.
pub(super) fn reason(code: &impl fmt::Debug) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;
    use rumqttc::v5::mqttbytes::v5::{DisconnectReasonCode, SubscribeReasonCode};

    #[test]
    fn a_reason_is_told_in_words() {
        assert_eq!(reason(&DisconnectReasonCode::QuotaExceeded), "quota exceeded");
        assert_eq!(reason(&SubscribeReasonCode::NotAuthorized), "not authorized");
        assert_eq!(reason(&Some(7)), "some");
    }
}
