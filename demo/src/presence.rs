//! Runs devices that connect and disconnect, and one that stays silent. Then checks what the platform reports about
//! them.

use crate::alerts::FACILITY;
use crate::notices::Announcement;
use anyhow::{Context as _, Result};
use myaku::alert::case::Step;
use myaku::device::presence::store::Presences as _;
use myaku::device::presence::store::dynamodb::DynamoDbPresences;
use myaku::device::registry::{Device, DynamoDb, Key, Kind, MasterDataWriter as _, device_document};
use myaku::platform::clock::{Now as _, SystemClock};
use myaku_local::stack::Stack;
use rumqttc::{AsyncClient, Event, Incoming, MqttOptions};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Connects and disconnects, and is connected at the end.
const RETURNING_DEVICE: &str = "comes-and-goes";
/// Connects and disconnects, and is disconnected at the end.
const LEAVING_DEVICE: &str = "leaves";
/// Stays connected and never sends a message.
const SILENT_DEVICE: &str = "says-nothing";
/// How often each of the first two devices connects.
const CONNECTIONS: u32 = 3;
/// The silent device's profile, which expects a message every five seconds.
const PROFILE: &str = r#"{"id":"restless","expectedIntervalSeconds":5,"versions":[{"name":"1","format":"text"}]}"#;
/// How long the broker may take to answer.
const CONNECT: Duration = Duration::from_secs(20);
/// How long the sweep may take to find everything.
const PATIENCE: Duration = Duration::from_mins(2);
/// Between two sweeps. The schedule has its own sweeps, once a minute.
const INTERVAL: Duration = Duration::from_millis(500);
/// The event that the schedule sends.
const SWEEP: &str = include_str!("../../events/iot-presence-sweep.json");

/// The result of the check.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Presence {
    /// Connections that began.
    pub connections: usize,
    /// Devices whose last status is wrong, with that status.
    pub wrong: Vec<String>,
    /// Alerts about the silent device.
    #[serde(rename = "toldOfSilence")]
    pub silence_alerts: usize,
    /// Alerts about any device (its id, the state and the alert's id) that were published more than once.
    #[serde(rename = "toldAgain")]
    pub repeated_alerts: Vec<String>,
}

/// What the contacts of its facility must hear of the silent device.
pub fn announcement() -> Announcement {
    (SILENT_DEVICE.to_owned(), String::new(), Step::Raised)
}

/// The devices that are connected when [`run_devices`] ends. They stay connected until this is dropped.
pub struct ConnectedDevices {
    connections: usize,
    _connected: Vec<Connection>,
}

struct Connection {
    client: AsyncClient,
    events: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.events.abort();
    }
}

async fn connect(stack: &Stack, client_id: &str) -> Result<Connection> {
    let broker = stack.endpoints().mqtt;
    let (client, mut events) =
        AsyncClient::new(MqttOptions::new(client_id, broker.ip().to_string(), broker.port()), 10);
    let connected = async {
        loop {
            if matches!(events.poll().await?, Event::Incoming(Incoming::ConnAck(_))) {
                return anyhow::Ok(());
            }
        }
    };
    tokio::time::timeout(CONNECT, connected)
        .await
        .with_context(|| format!("{client_id} cannot connect to the MQTT broker"))??;
    let events = tokio::spawn(async move { while events.poll().await.is_ok() {} });
    Ok(Connection { client, events })
}

/// Connects and disconnects the devices for `duration`.
pub async fn run_devices(stack: &Stack, duration: Duration) -> Result<ConnectedDevices> {
    let registry = DynamoDb::new(&stack.sdk_config(), stack.physical_id("RegistryTable")?);
    let device = Device::new(SILENT_DEVICE, "restless", Some(FACILITY));
    let device = device_document(&device).map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
    registry.put(&[(Key::new(Kind::Profile, "restless"), PROFILE.to_owned()), device]).await?;
    let started = Instant::now();
    let silent = connect(stack, SILENT_DEVICE).await?;
    let mut connections = 1;
    let mut last = None;
    for round in 0..CONNECTIONS {
        let (stays, leaves) = (connect(stack, RETURNING_DEVICE).await?, connect(stack, LEAVING_DEVICE).await?);
        connections += 2;
        tokio::time::sleep_until(started + duration.mul_f64(f64::from(round + 1) / f64::from(CONNECTIONS + 1))).await;
        // Some disconnect, some only lose their connection.
        if round % 2 == 0 {
            leaves.client.disconnect().await?;
        }
        last = (round + 1 == CONNECTIONS).then_some(stays);
    }
    let connected = [Some(silent), last].into_iter().flatten().collect();
    Ok(ConnectedDevices { connections, _connected: connected })
}

/// Runs the sweep until every status is right and the silent device is reported, or until time is up.
pub async fn check(stack: &Stack, devices: &ConnectedDevices) -> Result<Presence> {
    let ttl = Duration::from_hours(1);
    let presences = DynamoDbPresences::new(&stack.sdk_config(), stack.physical_id("PresenceTable")?, ttl);
    let function = stack.function("IotPresenceFunction")?;
    let started = SystemClock.now_ms();
    loop {
        function.invoke(SWEEP.as_bytes().into()).await.context("the sweep failed")?;
        let mut wrong = Vec::new();
        for (device, is_connected) in [(RETURNING_DEVICE, true), (LEAVING_DEVICE, false), (SILENT_DEVICE, true)] {
            let known = presences.get(device).await?.map(|stored| stored.presence);
            if known.as_ref().map(|known| known.connected) != Some(is_connected) {
                let status =
                    known.map_or("unknown", |known| if known.connected { "connected" } else { "disconnected" });
                wrong.push(format!("{device} is {status}"));
            }
        }
        let published = alerts(stack)?;
        let silence_alerts = published
            .iter()
            .filter(|(key, _)| key.0 == SILENT_DEVICE && key.1 == "raised")
            .map(|(_, count)| count)
            .sum();
        let waited_ms = SystemClock.now_ms() - started;
        if (wrong.is_empty() && silence_alerts > 0) || waited_ms > PATIENCE.as_millis() as i64 {
            let repeated = published.iter().filter(|(_, count)| **count > 1);
            let repeated_alerts = repeated.map(|((device, state, id), _)| format!("{device} {state} {id}")).collect();
            return Ok(Presence { connections: devices.connections, wrong, silence_alerts, repeated_alerts });
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// How often each alert was published, by device, state and id.
fn alerts(stack: &Stack) -> Result<BTreeMap<(String, String, String), usize>> {
    let mut counts = BTreeMap::new();
    for message in stack.servers().sns.topics().messages(&stack.physical_id("AlertTopic")?)? {
        let alert: myaku::alert::Alert = serde_json::from_str(message.publication.text("default"))?;
        *counts.entry((alert.device_id, alert.state.name().to_owned(), alert.id)).or_default() += 1;
    }
    Ok(counts)
}

impl Presence {
    /// The promises that were broken, in words.
    pub fn broken(&self) -> Vec<String> {
        let mut broken: Vec<String> =
            self.wrong.iter().map(|wrong| format!("a device's last status is wrong: {wrong}")).collect();
        if self.silence_alerts != 1 {
            broken.push(format!("the silent device was reported {} times, not once", self.silence_alerts));
        }
        broken
            .extend(self.repeated_alerts.iter().map(|alert| format!("an alert was published more than once: {alert}")));
        broken
    }

    /// One line for people.
    pub fn to_text(&self) -> String {
        let verdict = if self.broken().is_empty() { "✓" } else { "✗ a promise is broken" };
        format!(
            "Presence: {} connections; devices with a wrong last status: {}; the silent device was reported {}. \
             {verdict}",
            self.connections,
            self.wrong.len(),
            if self.silence_alerts == 1 { "once".to_owned() } else { format!("{} times", self.silence_alerts) }
        )
    }
}
