//! Why no encrypted connection came about, and what ends it. A fingerprint is told in the remedy, where it has to be compared.

use jiff::Timestamp;
use larder_firmware_config::BrokerTrust;
use tokio_rustls::rustls::AlertDescription;

use super::super::failure::TlsFailure;
use super::super::reason::{BrokerTrouble, reason};
use super::super::settings::BrokerSettings;

/// Why an encrypted connection did not come about.
pub(super) fn trouble(failure: &TlsFailure, at: &str, settings: &BrokerSettings) -> BrokerTrouble {
    let shown = format!("the certificate of the broker at {at}");
    match failure {
        TlsFailure::UnknownAuthority { seen } => unknown_authority(&shown, seen, settings),
        TlsFailure::WrongName { presented } => wrong_name(&shown, presented, settings),
        TlsFailure::Expired { not_after_s } => BrokerTrouble::lasting(
            format!("{shown} has expired on {}", day(*not_after_s)),
            "Renew the certificate at the broker.".to_owned(),
        ),
        TlsFailure::NotYetValid { not_before_s } => BrokerTrouble::lasting(
            format!("{shown} is valid from {} only", day(*not_before_s)),
            "Check the clocks of the appliance and of the computer that made the certificate.".to_owned(),
        ),
        TlsFailure::OtherFingerprint { seen } => BrokerTrouble::lasting(
            format!("{shown} is not the one that `mqtt.fingerprint` names"),
            format!("Nothing was sent to it. If the broker has a new certificate: {}.", compare(seen)),
        ),
        TlsFailure::NoProof => BrokerTrouble::lasting(
            format!("what answers at {at} shows the broker's certificate and does not have its key"),
            "Nothing was sent to it. Find out who answers there: somebody may pass for your broker.".to_owned(),
        ),
        TlsFailure::AuthorityAsBroker { seen } => BrokerTrouble::lasting(
            format!("{shown} is an authority's own, which cannot stand for a broker"),
            or_pin("Give the broker a certificate that your authority made", seen),
        ),
        TlsFailure::BadCertificate { why, seen } => {
            tracing::debug!("{shown}: {why}");
            BrokerTrouble::lasting(
                format!("{shown} cannot be used"),
                or_pin("Give the broker a new certificate", seen),
            )
        }
        TlsFailure::WantsCertificate => BrokerTrouble::lasting(
            format!("the broker at {at} lets in only whoever shows a certificate"),
            "Have one made by the broker's authority, and name it and its key as certificate_file and key_file below \
             [mqtt]."
                .to_owned(),
        ),
        TlsFailure::RefusesCertificate { why } => BrokerTrouble::lasting(
            format!("the broker at {at} refuses the appliance's certificate: {}", refusal(*why)),
            "Name a certificate that the broker's authority made, and that is still valid, as certificate_file below \
             [mqtt]."
                .to_owned(),
        ),
        TlsFailure::NotTls => BrokerTrouble::lasting(
            format!("the broker at {at} does not take encrypted connections on this port"),
            "Correct the port in `mqtt.broker`: brokers mostly use 8883 for them.".to_owned(),
        ),
        TlsFailure::NoAuthorities => BrokerTrouble::lasting(
            format!("no authority is known here that could vouch for the broker at {at}"),
            "Install the package ca-certificates, or name the certificate of your own authority as ca_file below [mqtt]."
                .to_owned(),
        ),
        TlsFailure::NoServerName => BrokerTrouble::lasting(
            format!("{} cannot be the name in a certificate", settings.host),
            "Name the broker in `mqtt.broker` as its certificate does, or by its address.".to_owned(),
        ),
        TlsFailure::Handshake(why) => BrokerTrouble::passing(format!(
            "no encrypted connection with the broker at {at} came about: {why}"
        )),
    }
}

/// How the owner finds out whether the certificate that was seen is the broker's.
fn compare(seen: &[u8; 32]) -> String {
    format!(
        "`openssl x509 -noout -fingerprint -sha256 -in CERTIFICATE`, run at the broker, must show {}; if it does, write that as \
         fingerprint below [mqtt]",
        hex(seen)
    )
}

fn unknown_authority(shown: &str, seen: &[u8; 32], settings: &BrokerSettings) -> BrokerTrouble {
    let named = settings.tls.as_ref().is_some_and(|tls| matches!(tls.trust, BrokerTrust::Authority(_)));
    let (what, remedy) = if named {
        (
            format!("{shown} was not made by the authority in `mqtt.ca_file`"),
            or_pin("Correct ca_file, or the certificate at the broker", seen),
        )
    } else {
        (
            format!("{shown} was made by an authority that is not known here"),
            or_pin("Name your authority's certificate as ca_file below [mqtt]", seen),
        )
    };
    BrokerTrouble::lasting(what, remedy)
}

/// For homes without an authority.
fn or_pin(what_to_do: &str, seen: &[u8; 32]) -> String {
    format!("{what_to_do}. Or do without an authority: {}, without ca_file.", compare(seen))
}

fn wrong_name(shown: &str, presented: &[String], settings: &BrokerSettings) -> BrokerTrouble {
    /// A certificate may name hundreds.
    const NAMES_SHOWN: usize = 3;
    let names: Vec<String> = presented.iter().take(NAMES_SHOWN).map(|name| plain_name(name)).collect();
    if names.is_empty() {
        return BrokerTrouble::lasting(
            format!("{shown} names no host and no address"),
            format!("Give the broker a certificate with `subjectAltName` {}.", settings.host),
        );
    }
    BrokerTrouble::lasting(
        format!("{shown} is for {}, not for {}", names.join(" and "), settings.host),
        "Name the broker in `mqtt.broker` as its certificate does, or give it a certificate for that name."
            .to_owned(),
    )
}

/// A name in a certificate, fit for one line: `DnsName("broker.lan")` in the library's words.
fn plain_name(name: &str) -> String {
    let inner = name.split_once('(').map_or(name, |(_, inner)| inner.trim_end_matches(')'));
    inner.trim_matches('"').chars().filter(|c| !c.is_control()).take(100).collect()
}

fn refusal(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::UnknownCA => "its authority is not known there".to_owned(),
        AlertDescription::CertificateExpired => "it has expired".to_owned(),
        AlertDescription::CertificateRevoked => "it was revoked".to_owned(),
        other => reason(&other),
    }
}

fn day(seconds: i64) -> String {
    Timestamp::from_second(seconds)
        .map_or_else(|_| "an unknown day".to_owned(), |t| t.strftime("%Y-%m-%d").to_string())
}

fn hex(fingerprint: &[u8; 32]) -> String {
    let pairs: Vec<String> = fingerprint.iter().map(|byte| format!("{byte:02X}")).collect();
    pairs.join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_a_certificate_are_shown_as_they_are() {
        for (name, expect) in [
            ("DnsName(\"broker.lan\")", "broker.lan"),
            ("IpAddress(192.168.1.5)", "192.168.1.5"),
            ("broker.lan", "broker.lan"),
            ("DnsName(\"a\u{1b}[2Jb\")", "a[2Jb"),
            ("", ""),
        ] {
            assert_eq!(plain_name(name), expect);
        }
    }

    #[test]
    fn a_fingerprint_is_shown_as_openssl_shows_it() {
        let shown = hex(&std::array::from_fn(|n| u8::try_from(n * 8).expect("below 256")));
        assert!(shown.starts_with("00:08:10:18:") && shown.ends_with(":F8"), "{shown}");
        assert_eq!(shown.len(), 95);
    }

    #[test]
    fn a_day_is_shown_whatever_a_certificate_says() {
        assert_eq!(day(1_577_836_800), "2020-01-01");
        assert_eq!(day(i64::MAX), "an unknown day");
    }
}
