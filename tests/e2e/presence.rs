//! Devices that connect, disconnect and fall silent, through the broker, the rules, the functions and their stores.

use crate::pipeline::up;
use anyhow::Context as _;
use myaku::device::presence::store::Presences as _;
use myaku::device::presence::store::dynamodb::DynamoDbPresences;
use myaku::device::registry::{Device, DynamoDb, Key, Kind, MasterDataWriter as _, device_document};
use myaku_local::stack::Stack;
use rumqttc::{AsyncClient, Event, Incoming, MqttOptions, QoS};
use serde_json::Value;
use std::time::Duration;
use tokio::task::JoinHandle;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_mins(1);
/// A device of this profile is expected every five seconds.
const PROFILE: &str = r#"{"id":"restless","expectedIntervalSeconds":5,"versions":[{"name":"1","format":"text"}]}"#;
/// The event that the schedule sends.
const SWEEP: &str = include_str!("../../events/iot-presence-sweep.json");

/// A device with a connection of its own.
struct Connection {
    client: AsyncClient,
    events: JoinHandle<()>,
}

impl Connection {
    /// Connects under `client_id`, and waits until the broker acknowledges the connection.
    async fn open(stack: &Stack, client_id: &str) -> anyhow::Result<Self> {
        let broker = stack.endpoints().mqtt;
        let (client, mut events) =
            AsyncClient::new(MqttOptions::new(client_id, broker.ip().to_string(), broker.port()), 10);
        loop {
            let event = tokio::time::timeout(PATIENCE, events.poll()).await.context("the broker does not answer")??;
            if matches!(event, Event::Incoming(Incoming::ConnAck(_))) {
                break;
            }
        }
        let events = tokio::spawn(async move { while events.poll().await.is_ok() {} });
        Ok(Self { client, events })
    }

    async fn say(&self, client_id: &str, text: &str) -> anyhow::Result<()> {
        Ok(self.client.publish(format!("dt/myaku/home-1/{client_id}/log"), QoS::AtLeastOnce, false, text).await?)
    }

    /// Ends without a disconnect, as a device that lost its power does.
    fn drop_dead(self) {
        self.events.abort();
    }
}

/// Asks until there is an answer.
async fn until<T, F: Future<Output = anyhow::Result<Option<T>>>>(what: &str, ask: impl Fn() -> F) -> anyhow::Result<T> {
    let asked = async {
        loop {
            if let Some(found) = ask().await? {
                return anyhow::Ok(found);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asked).await.with_context(|| format!("{what} did not happen"))?
}

fn presences(stack: &Stack) -> anyhow::Result<DynamoDbPresences> {
    Ok(DynamoDbPresences::new(&stack.sdk_config(), stack.physical_id("PresenceTable")?, Duration::from_hours(1)))
}

async fn sweep(stack: &Stack) -> anyhow::Result<()> {
    stack.function("IotPresenceFunction")?.invoke(SWEEP.as_bytes().into()).await?;
    Ok(())
}

/// The alerts of the topic so far: device and state.
fn alerts(stack: &Stack) -> anyhow::Result<Vec<(String, String)>> {
    let messages = stack.servers().sns.topics().messages(&stack.physical_id("AlertTopic")?)?;
    let alerts = messages.iter().map(|message| {
        let alert: Value = serde_json::from_str(message.publication.text("default"))?;
        let text = |name: &str| alert[name].as_str().unwrap_or_default().to_owned();
        Ok((text("deviceId"), text("state")))
    });
    alerts.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_reconnects_stays_connected_and_one_that_does_not_is_disconnected() -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let stack = up(directory.path()).await?;
    let presences = &presences(&stack)?;
    let known = || async { Ok(presences.get("bed-17").await?.map(|stored| stored.presence)) };

    let first = Connection::open(&stack, "bed-17").await?;
    let connected = until("the connect", known).await?;
    assert!(connected.connected);
    first.drop_dead();
    let pending = until("the disconnect", || async { Ok(known().await?.filter(|known| known.settle_at_ms.is_some())) });
    let pending = pending.await?;
    assert!(pending.connected, "the disconnect does not count yet");

    let second = Connection::open(&stack, "bed-17").await?;
    let again = until("the reconnect", || async {
        Ok(known().await?.filter(|known| known.newest.session != connected.newest.session))
    });
    let again = again.await?;
    assert!(again.connected && again.settle_at_ms.is_none());

    second.drop_dead();
    let gone = until("the end", || async {
        sweep(&stack).await?;
        Ok(known().await?.filter(|known| !known.connected))
    });
    let gone = gone.await?;
    assert_eq!((&gone.newest.session, gone.newest.version), (&again.newest.session, again.newest.version));
    assert!(!gone.newest.reason.is_empty());
    stack.down().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_device_is_reported_once_and_its_return_once() -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let stack = up(directory.path()).await?;
    let registry = DynamoDb::new(&stack.sdk_config(), stack.physical_id("RegistryTable")?);
    let device = Device::new("bed-18", "restless", Some("home-1"));
    let device = device_document(&device).map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
    registry.put(&[(Key::new(Kind::Profile, "restless"), PROFILE.to_owned()), device]).await?;

    let connection = Connection::open(&stack, "bed-18").await?;
    connection.say("bed-18", "here").await?;
    until("the alert", || async {
        sweep(&stack).await?;
        Ok((!alerts(&stack)?.is_empty()).then_some(()))
    })
    .await?;
    for _ in 0..3 {
        sweep(&stack).await?;
    }
    let raised = ("bed-18".to_owned(), "raised".to_owned());
    assert_eq!(alerts(&stack)?, std::slice::from_ref(&raised), "one alert, however many sweeps follow");

    until("the return", || async {
        connection.say("bed-18", "back").await?;
        sweep(&stack).await?;
        Ok((alerts(&stack)?.len() > 1).then_some(()))
    })
    .await?;
    // A machine that is very slow may find it silent again by now.
    assert_eq!(alerts(&stack)?[..2], [raised, ("bed-18".to_owned(), "cleared".to_owned())]);
    stack.down().await;
    Ok(())
}
