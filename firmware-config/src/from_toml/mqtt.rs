//! Section `[mqtt]`: which broker, as whom, and over which kind of connection.
//!
//! Encryption is asked for where the broker is named, by `mqtts://`, and by nothing else: a setting beside it that switched it
//! on could be forgotten, and the password would travel in the clear. Not here: whether the named files can be used
//! (`agent::edge`).

use crate::reader::Reader;
use crate::settings::{BrokerTls, BrokerTrust, ClientCertificate, MqttSettings, limits};
use crate::values;
use crate::values::{Address, BrokerScheme};

const SECTION: &str = "mqtt";
/// What only an encrypted connection uses.
const TLS_KEYS: [&str; 4] = ["ca_file", "fingerprint", "certificate_file", "key_file"];

pub(super) fn read(reader: &mut Reader<'_>) -> MqttSettings {
    let default = MqttSettings::default();
    let instead =
        "write the password alone into a file that only the agent can read, and its path as password_file";
    reader.forbid(SECTION, "password", "a password that everyone who sees this file can read", instead);
    let enabled = reader.read(SECTION, "enabled", default.enabled, values::yes_or_no);
    let broker = reader.read_if_written(SECTION, "broker", values::broker);
    let tls = tls(reader, broker.as_ref());
    let mqtt = MqttSettings {
        enabled,
        broker: broker.map(|(_, address)| address),
        tls,
        listen: reader.read(SECTION, "listen", default.listen, |value| values::listen(value, default.listen)),
        username: reader.read_if_written(SECTION, "username", values::name),
        password_file: reader.read_if_written(SECTION, "password_file", |value| {
            values::path(value, "\"/etc/larder/mqtt-password\"")
        }),
        node: reader.read(SECTION, "node", default.node, values::slug),
        discovery_prefix: reader.read(SECTION, "discovery_prefix", default.discovery_prefix, values::topic),
        spool_events: reader.read(SECTION, "spool_events", default.spool_events, |value| {
            values::count(value, 1, limits::SPOOL_EVENTS_MAX)
        }),
    };
    check_login(reader, &mqtt);
    mqtt
}

fn check_login(reader: &mut Reader<'_>, mqtt: &MqttSettings) {
    if reader.is_written(SECTION, "password_file") && !reader.is_written(SECTION, "username") {
        let found = "a password without a user".to_owned();
        reader.contradiction(
            &[(SECTION, "password_file")],
            found,
            "write username too, or remove this line".to_owned(),
        );
    }
    let open_to_all = mqtt.username.is_none() || mqtt.password_file.is_none();
    if mqtt.enabled && mqtt.broker.is_none() && !mqtt.listen.ip().is_loopback() && open_to_all {
        let found = format!("\"{}\", where everyone in the network could read and write", mqtt.listen);
        let instead = "write username and password_file too, or listen on \"127.0.0.1:1883\"".to_owned();
        reader.contradiction(&[(SECTION, "listen")], found, instead);
    }
}

fn tls(reader: &mut Reader<'_>, broker: Option<&(BrokerScheme, Address)>) -> Option<BrokerTls> {
    let mut path = |key, example| reader.read_if_written(SECTION, key, |value| values::path(value, example));
    let authority = path("ca_file", "\"/etc/larder/mqtt-ca.pem\"");
    let certificate = path("certificate_file", "\"/etc/larder/mqtt-client.pem\"");
    let key = path("key_file", "\"/etc/larder/mqtt-client-key.pem\"");
    let fingerprint = reader.read_if_written(SECTION, "fingerprint", values::fingerprint);
    if !matches!(broker, Some((BrokerScheme::Tls, _))) {
        check_unencrypted(reader, broker);
        return None;
    }
    check_pairs(reader);
    let trust = match (fingerprint, authority) {
        (Some(fingerprint), _) => BrokerTrust::Fingerprint(fingerprint),
        (None, Some(file)) => BrokerTrust::Authority(file),
        (None, None) => BrokerTrust::SystemAuthorities,
    };
    let client = certificate.zip(key).map(|(certificate, key)| ClientCertificate { certificate, key });
    Some(BrokerTls { trust, client })
}

/// Whoever names an authority or a fingerprint means an encrypted connection.
fn check_unencrypted(reader: &mut Reader<'_>, broker: Option<&(BrokerScheme, Address)>) {
    // A broker that cannot be read is a mistake of its own, and its scheme is unknown.
    if broker.is_none() && reader.is_written(SECTION, "broker") {
        return;
    }
    let Some(key) = TLS_KEYS.into_iter().find(|key| reader.is_written(SECTION, key)) else { return };
    let (found, instead) = match broker {
        Some((_, address)) => {
            // Brokers listen for encrypted connections at a port of their own.
            let port = if address.port == 1883 { 8883 } else { address.port };
            let encrypted = Address { host: address.host.clone(), port };
            (
                "a setting for an encrypted connection, but the broker is named without one",
                format!("write broker = \"mqtts://{encrypted}\", or remove this line"),
            )
        }
        None => (
            "a setting for the connection to a broker, but no broker is named",
            "write broker = \"mqtts://HOST:8883\" too, or remove this line".to_owned(),
        ),
    };
    reader.contradiction(&[(SECTION, key)], found.to_owned(), instead);
}

fn check_pairs(reader: &mut Reader<'_>) {
    if reader.is_written(SECTION, "ca_file") && reader.is_written(SECTION, "fingerprint") {
        let found = "a fingerprint beside ca_file, of which only one can decide".to_owned();
        let instead =
            "keep ca_file and remove this line; keep fingerprint only if your broker's certificate has no \
                       authority"
                .to_owned();
        reader.contradiction(&[(SECTION, "fingerprint")], found, instead);
    }
    for (one, other, found) in [
        ("certificate_file", "key_file", "a certificate without its key"),
        ("key_file", "certificate_file", "a key without its certificate"),
    ] {
        if reader.is_written(SECTION, one) && !reader.is_written(SECTION, other) {
            let instead = format!("write {other} too, or remove this line");
            reader.contradiction(&[(SECTION, one)], found.to_owned(), instead);
        }
    }
}
