//! A pool of MQTT clients. A device keeps to one of them, so that its messages arrive in the order of sending.

use crate::traffic::Planned;
use anyhow::Context as _;
use rumqttc::{AsyncClient, Event, EventLoop, Incoming, MqttOptions, QoS};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// Messages that wait for the connection before `publish` does.
const QUEUE: usize = 256;
/// Between a broken connection and the next attempt.
const RECONNECT_AFTER: Duration = Duration::from_millis(250);
/// For the first connection of each client.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const PACKET_BYTES: usize = 256 * 1024;

/// The clients.
#[derive(Debug)]
pub struct Mqtt {
    clients: Vec<AsyncClient>,
    loops: Vec<JoinHandle<()>>,
    published: AtomicUsize,
    seen: Arc<Seen>,
}

/// What the broker has said, over all connections.
#[derive(Debug, Default)]
struct Seen {
    connections: AtomicUsize,
    acknowledged: AtomicUsize,
    changed: Notify,
}

impl Mqtt {
    /// Connects `connections` clients to `broker` and waits until all are in.
    pub async fn connect(broker: (String, u16), connections: usize) -> anyhow::Result<Self> {
        Self::connect_within(broker, connections, CONNECT_TIMEOUT).await
    }

    pub(super) async fn connect_within(
        broker: (String, u16),
        connections: usize,
        patience: Duration,
    ) -> anyhow::Result<Self> {
        let seen = Arc::new(Seen::default());
        let mut pool =
            Self { clients: Vec::new(), loops: Vec::new(), published: AtomicUsize::new(0), seen: Arc::clone(&seen) };
        for number in 0..connections {
            let mut options = MqttOptions::new(format!("fleet-{number}"), broker.0.clone(), broker.1);
            options.set_keep_alive(Duration::from_secs(30)).set_max_packet_size(PACKET_BYTES, PACKET_BYTES);
            let (client, events) = AsyncClient::new(options, QUEUE);
            pool.clients.push(client);
            pool.loops.push(tokio::spawn(run(events, Arc::clone(&seen))));
        }
        seen.wait(patience, |seen| seen.connections.load(Ordering::SeqCst) >= connections)
            .await
            .with_context(|| format!("no answer from {}:{}", broker.0, broker.1))?;
        Ok(pool)
    }

    /// Publishes at least once, which MQTT calls quality of service 1.
    pub async fn publish(&self, message: &Planned) -> anyhow::Result<()> {
        let mut hasher = DefaultHasher::new();
        message.device.hash(&mut hasher);
        let client = &self.clients[hasher.finish() as usize % self.clients.len()];
        client.publish(message.topic(), QoS::AtLeastOnce, false, message.payload.clone()).await?;
        self.published.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    /// Waits until the broker has acknowledged everything, and disconnects. How many messages it was.
    pub async fn settle(self, patience: Duration) -> anyhow::Result<usize> {
        let published = self.published.load(Ordering::SeqCst);
        let settled = self.seen.wait(patience, |seen| seen.acknowledged.load(Ordering::SeqCst) >= published).await;
        let acknowledged = self.seen.acknowledged.load(Ordering::SeqCst);
        for client in &self.clients {
            // The connection goes with the process anyway.
            let _ = client.disconnect().await;
        }
        for task in &self.loops {
            task.abort();
        }
        settled.with_context(|| format!("the broker acknowledged {acknowledged} of {published} messages"))?;
        Ok(published)
    }
}

impl Seen {
    async fn wait(&self, patience: Duration, done: impl Fn(&Self) -> bool) -> anyhow::Result<()> {
        tokio::time::timeout(patience, async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if done(self) {
                    return;
                }
                changed.await;
            }
        })
        .await
        .map_err(|_| anyhow::anyhow!("gave up after {} s", patience.as_secs()))
    }
}

/// Drives one connection, and connects again where it breaks; what was not acknowledged is sent again then.
async fn run(mut events: EventLoop, seen: Arc<Seen>) {
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Incoming::PubAck(_))) => {
                seen.acknowledged.fetch_add(1, Ordering::SeqCst);
            }
            Ok(Event::Incoming(Incoming::ConnAck(_))) => {
                seen.connections.fetch_add(1, Ordering::SeqCst);
            }
            Ok(_) => continue,
            Err(error) => {
                tracing::debug!(%error, "an MQTT connection broke");
                tokio::time::sleep(RECONNECT_AFTER).await;
                continue;
            }
        }
        seen.changed.notify_waiters();
    }
}
