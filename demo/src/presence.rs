//! Devices that come and go, and one that is expected and says nothing: what the platform must say of them in the end.

use anyhow::{Context as _, Result};
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

/// Comes and goes, and is there in the end.
const STAYS: &str = "comes-and-goes";
/// Comes and goes, and stays away.
const LEAVES: &str = "leaves";
/// Stays connected, and says nothing.
const SILENT: &str = "says-nothing";
/// How often each of the first two connects.
const CONNECTIONS: u32 = 3;
/// The silent device is expected so often.
const PROFILE: &str = r#"{"id":"restless","expectedIntervalSeconds":5,"versions":[{"name":"1","format":"text"}]}"#;
/// For the broker to answer.
const CONNECT: Duration = Duration::from_secs(20);
/// For the sweep to find all that it must.
const PATIENCE: Duration = Duration::from_mins(2);
/// Between two sweeps; the schedule has its own, once a minute.
const INTERVAL: Duration = Duration::from_millis(500);
/// What the schedule sends.
const SWEEP: &str = include_str!("../../events/iot-presence-sweep.json");

/// What was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Presence {
    /// Connections that began.
    pub connections: usize,
    /// Devices whose status is wrong in the end.
    pub wrong: Vec<String>,
    /// Alerts that said that the silent device is silent.
    pub told_of_silence: usize,
    /// Alerts of any device, by what tells them apart, that were published more than once.
    pub told_again: Vec<String>,
}

/// Who is connected when the play is over. They stay so for as long as this lives.
pub struct Cast {
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
    tokio::time::timeout(CONNECT, connected).await.with_context(|| format!("{client_id} cannot connect"))??;
    let events = tokio::spawn(async move { while events.poll().await.is_ok() {} });
    Ok(Connection { client, events })
}

/// Plays for as long as traffic is sent.
pub async fn play(stack: &Stack, duration: Duration) -> Result<Cast> {
    let registry = DynamoDb::new(&stack.sdk_config(), stack.physical_id("RegistryTable")?);
    let device = Device { device_id: SILENT.into(), profile: "restless".into(), facility: Some("home-1".into()) };
    let device = device_document(&device).map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
    registry.put(&[(Key::new(Kind::Profile, "restless"), PROFILE.to_owned()), device]).await?;
    let started = Instant::now();
    let silent = connect(stack, SILENT).await?;
    let mut connections = 1;
    let mut last = None;
    for round in 0..CONNECTIONS {
        let (stays, leaves) = (connect(stack, STAYS).await?, connect(stack, LEAVES).await?);
        connections += 2;
        tokio::time::sleep_until(started + duration.mul_f64(f64::from(round + 1) / f64::from(CONNECTIONS + 1))).await;
        // Some go with a word, some without.
        if round % 2 == 0 {
            leaves.client.disconnect().await?;
        }
        last = (round + 1 == CONNECTIONS).then_some(stays);
    }
    let connected = [Some(silent), last].into_iter().flatten().collect();
    Ok(Cast { connections, _connected: connected })
}

/// Lets the sweep look until it has found what it must, and says what is wrong.
pub async fn look(stack: &Stack, cast: &Cast) -> Result<Presence> {
    let kept = Duration::from_hours(1);
    let presences = DynamoDbPresences::new(&stack.sdk_config(), stack.physical_id("PresenceTable")?, kept);
    let function = stack.function("IotPresenceFunction")?;
    let started = SystemClock.now_ms();
    loop {
        function.invoke(SWEEP.as_bytes().into()).await.context("the sweep failed")?;
        let mut wrong = Vec::new();
        for (device, is_connected) in [(STAYS, true), (LEAVES, false), (SILENT, true)] {
            let known = presences.get(device).await?.map(|stored| stored.presence);
            if known.as_ref().map(|known| known.connected) != Some(is_connected) {
                let told = known.map_or("unknown", |known| if known.connected { "connected" } else { "disconnected" });
                wrong.push(format!("{device} is {told}"));
            }
        }
        let published = alerts(stack)?;
        let told_of_silence =
            published.iter().filter(|(key, _)| key.0 == SILENT && key.1 == "raised").map(|(_, count)| count).sum();
        let waited_ms = SystemClock.now_ms() - started;
        if (wrong.is_empty() && told_of_silence > 0) || waited_ms > PATIENCE.as_millis() as i64 {
            let again = published.iter().filter(|(_, count)| **count > 1);
            let told_again = again.map(|((device, state, id), _)| format!("{device} {state} {id}")).collect();
            return Ok(Presence { connections: cast.connections, wrong, told_of_silence, told_again });
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
        let mut broken: Vec<String> = self.wrong.iter().map(|wrong| format!("a status is wrong: {wrong}")).collect();
        if self.told_of_silence != 1 {
            broken.push(format!("a silent device was told of {} times", self.told_of_silence));
        }
        broken.extend(self.told_again.iter().map(|alert| format!("an alert was published again: {alert}")));
        broken
    }

    /// One line for people.
    pub fn to_text(&self) -> String {
        let verdict = if self.broken().is_empty() { "✓" } else { "✗ a promise is broken" };
        format!(
            "Presence: {} connections of devices that come and go, every status right; one that said nothing was told of {}. {verdict}",
            self.connections,
            if self.told_of_silence == 1 { "once".to_owned() } else { format!("{} times", self.told_of_silence) }
        )
    }
}
