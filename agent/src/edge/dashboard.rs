//! The broker that shows the appliance, its own or the home's, and the connection there.
//!
//! No call here can stop a backup: without any broker every call does nothing. Not here: messages (`mqtt`).

use crate::edge::mqtt::{self, HeadOwner, Mqtt, MqttState};
use crate::edge::random::random_hex;
use crate::event::MqttCommand;
use crate::report::{Happening, Report};
use jiff::Timestamp;
use larder_firmware_config::{Address, MqttSettings, Settings};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

#[cfg(feature = "broker")]
use mqtt::broker::{Broker, Login};

/// Stands in where the agent was built without a broker of its own; no value of this type exists.
#[cfg(not(feature = "broker"))]
use std::convert::Infallible as Broker;

/// The file with the broker's password cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the password file {} cannot be read", path.display())]
pub(crate) struct PasswordProblem {
    /// `mqtt.password_file`.
    pub(crate) path: PathBuf,
    /// The system's error.
    source: std::io::Error,
}

/// The appliance's face on MQTT, or an empty one where the owner wants none.
pub(crate) struct Dashboard {
    mqtt: Option<Mqtt>,
    own_broker: Option<Broker>,
    /// Our own broker was wanted and could not be started.
    failed: Option<MqttState>,
}

impl Dashboard {
    /// Starts connecting and returns at once: a dead broker stops nothing. The vault of `head_owner` gives the machine's stable
    /// id; commands from MQTT come out of `commands`.
    pub(crate) async fn connect(
        all_settings: &Settings,
        head_owner: HeadOwner,
        commands: mpsc::Sender<MqttCommand>,
    ) -> Result<Self, PasswordProblem> {
        let settings = &all_settings.mqtt;
        if !settings.enabled {
            return Ok(Self::without(None));
        }
        let password = password(settings)?;
        if let Some(what) = unguarded_password(settings) {
            tracing::warn!("{what}");
        }
        let (host, port, own_broker) = match &settings.broker {
            Some(address) => (address.host.clone(), address.port, None),
            None => match own_broker(settings, password.as_deref()).await {
                Ok(Some((broker, at))) => (at.ip().to_string(), at.port(), Some(broker)),
                Ok(None) => return Ok(Self::without(None)),
                Err(why) => return Ok(Self::without(Some(MqttState::given_up(why, Timestamp::now())))),
            },
        };
        let wanted = mqtt::BrokerSettings {
            host,
            port,
            tls: settings.tls.clone(),
            username: settings.username.clone(),
            password,
            node: settings.node.clone(),
            uid: head_owner.vault[..16].to_owned(),
            client_id: format!("larder-{}", random_hex::<10>()),
            name: all_settings.appliance.name.clone(),
            head_owner,
            is_own_broker: own_broker.is_some(),
            discovery_prefix: settings.discovery_prefix.clone(),
            spool_events_max: usize::try_from(settings.spool_events).unwrap_or(usize::MAX),
        };
        Ok(Self { mqtt: Some(mqtt::start(wanted, commands)), own_broker, failed: None })
    }

    fn without(failed: Option<MqttState>) -> Self {
        Self { mqtt: None, own_broker: None, failed }
    }

    /// The address of our own broker, if we run one.
    #[cfg(feature = "broker")]
    pub(crate) fn own_broker(&self) -> Option<SocketAddr> {
        self.own_broker.as_ref().map(Broker::address)
    }

    /// Where our own broker listens: never, in this build.
    #[cfg(not(feature = "broker"))]
    pub(crate) fn own_broker(&self) -> Option<SocketAddr> {
        self.own_broker.as_ref().map(|broker| match *broker {})
    }

    /// The state of the connection; none without a wished broker.
    pub(crate) fn state(&self) -> Option<MqttState> {
        self.mqtt.as_ref().map(Mqtt::state).or_else(|| self.failed.clone())
    }

    /// Shows a report from now on.
    pub(crate) fn show(&self, report: &Arc<Report>) {
        if let Some(mqtt) = &self.mqtt {
            mqtt.show(report.clone());
        }
    }

    /// Tells an event.
    pub(crate) fn tell(&self, happening: &Happening) {
        if let Some(mqtt) = &self.mqtt {
            mqtt.tell(happening);
        }
    }

    /// Says goodbye within `deadline`, then ends our own broker.
    pub(crate) async fn stop(self, deadline: Duration) {
        if let Some(mqtt) = self.mqtt {
            mqtt.stop(deadline).await;
        }
        #[cfg(feature = "broker")]
        if let Some(broker) = self.own_broker {
            broker.stop().await;
        }
    }
}

/// What to say about a password that everybody on its way can read.
pub(crate) fn unguarded_password(settings: &MqttSettings) -> Option<String> {
    let broker = settings.broker.as_ref().filter(|_| settings.enabled && settings.tls.is_none())?;
    settings.password_file.as_ref()?;
    let is_this_box = broker.host == "localhost"
        || broker.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    (!is_this_box).then(|| {
        format!(
            "The password for the broker at {broker} travels unencrypted: whoever listens in your network can read it. \
             If the broker can encrypt, write broker = \"mqtts://{}\" below [mqtt].",
            Address { host: broker.host.clone(), port: 8883 }
        )
    })
}

fn password(settings: &MqttSettings) -> Result<Option<String>, PasswordProblem> {
    let Some(path) = &settings.password_file else { return Ok(None) };
    let text =
        std::fs::read_to_string(path).map_err(|source| PasswordProblem { path: path.clone(), source })?;
    Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()))
}

#[cfg(feature = "broker")]
async fn own_broker(
    settings: &MqttSettings,
    password: Option<&str>,
) -> Result<Option<(Broker, SocketAddr)>, String> {
    let served = match settings.username.as_ref().zip(password) {
        Some((username, password)) => {
            let login = Login { username: username.clone(), password: password.to_owned() };
            mqtt::broker::serve_guarded(settings.listen, login).await
        }
        None => mqtt::broker::serve(settings.listen).await,
    };
    match served {
        Ok(broker) => {
            let address = broker.address();
            Ok(Some((broker, address)))
        }
        Err(error) => {
            tracing::warn!("no dashboard: {error}");
            Err(error.to_string())
        }
    }
}

#[cfg(not(feature = "broker"))]
async fn own_broker(_: &MqttSettings, _: Option<&str>) -> Result<Option<(Broker, SocketAddr)>, String> {
    tracing::info!("built without a broker; set `mqtt.broker` to be seen on a dashboard");
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_that_leaves_the_box_in_the_clear_is_told() {
        let check = |broker: &str, password: bool, expect: Option<&str>| {
            let password = if password { "username = \"a\"\npassword_file = \"/p\"\n" } else { "" };
            let text = format!("[mqtt]\nbroker = \"{broker}\"\n{password}");
            let settings = larder_firmware_config::settings_from_toml(&text).unwrap();
            let told = unguarded_password(&settings.mqtt);
            assert_eq!(told.is_some(), expect.is_some(), "{broker}: {told:?}");
            assert!(told.unwrap_or_default().contains(expect.unwrap_or_default()), "{broker}");
        };
        check("192.168.1.5:1883", true, Some("mqtts://192.168.1.5:8883"));
        check("[fd00::5]:1883", true, Some("mqtts://[fd00::5]:8883"));
        check("broker.lan:1883", true, Some("mqtts://broker.lan:8883"));
        check("192.168.1.5:1883", false, None);
        check("mqtts://192.168.1.5:8883", true, None);
        for here in ["localhost:1883", "127.0.0.1:1883", "127.3.2.1:1883", "[::1]:1883"] {
            check(here, true, None);
        }
    }
}
