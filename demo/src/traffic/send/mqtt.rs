//! A pool of MQTT clients. A device always uses the same one, so that its messages arrive in the order of sending.

use super::OnAcknowledged;
use crate::traffic::Planned;
use anyhow::Context as _;
use rumqttc::{AsyncClient, Event, EventLoop, Incoming, MqttOptions, Outgoing, QoS};
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// How many messages can wait for the connection before `publish` waits.
const QUEUE: usize = 256;
/// Between a broken connection and the next attempt.
const RECONNECT_AFTER: Duration = Duration::from_millis(250);
/// How long the first connection of each client may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const PACKET_BYTES: usize = 256 * 1024;
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// The clients.
#[derive(Debug)]
pub struct Mqtt {
    clients: Vec<Client>,
    /// The index of the client of each device that has one of its own.
    own: HashMap<String, usize>,
    loops: Vec<JoinHandle<()>>,
    published: AtomicUsize,
    seen: Arc<Acknowledgements>,
}

/// One client, and the publishes that its event loop has not sent yet; it sends them in this order.
#[derive(Debug)]
struct Client {
    sender: AsyncClient,
    waiting: Arc<Mutex<VecDeque<Ticket>>>,
}

/// A publish: how many messages it carries, and since when they are due.
#[derive(Clone, Copy, Debug)]
struct Ticket {
    messages: usize,
    due: Instant,
}

/// What the broker has acknowledged, over all connections.
#[derive(Default)]
struct Acknowledgements {
    connections: AtomicUsize,
    acknowledged: AtomicUsize,
    changed: Notify,
    on_acknowledged: Option<OnAcknowledged>,
}

impl Mqtt {
    /// Connects `connections` clients to `broker` and waits until all are connected.
    pub async fn connect(broker: (String, u16), connections: usize) -> anyhow::Result<Self> {
        Self::connect_within(broker, connections, CONNECT_TIMEOUT).await
    }

    pub(super) async fn connect_within(
        broker: (String, u16),
        connections: usize,
        patience: Duration,
    ) -> anyhow::Result<Self> {
        let options = (0..connections).map(|number| Self::options(format!("fleet-{number}"), &broker)).collect();
        Self::connect_as(options, patience, None).await
    }

    /// The options of a client of this pool, with the id `client_id`.
    pub fn options(client_id: impl Into<String>, broker: &(String, u16)) -> MqttOptions {
        let mut options = MqttOptions::new(client_id, broker.0.clone(), broker.1);
        options.set_keep_alive(KEEP_ALIVE).set_max_packet_size(PACKET_BYTES, PACKET_BYTES);
        options
    }

    /// Connects a client with each of `options` and waits until all are connected. A device whose id is a client's id
    /// uses that client. `on_acknowledged` is called for acknowledged messages.
    pub async fn connect_as(
        options: Vec<MqttOptions>,
        patience: Duration,
        on_acknowledged: Option<OnAcknowledged>,
    ) -> anyhow::Result<Self> {
        let seen = Arc::new(Acknowledgements { on_acknowledged, ..Acknowledgements::default() });
        let mut pool = Self {
            clients: Vec::new(),
            own: HashMap::new(),
            loops: Vec::new(),
            published: AtomicUsize::new(0),
            seen: Arc::clone(&seen),
        };
        let wanted = options.len();
        let broker = options.first().map(MqttOptions::broker_address).context("no MQTT client was requested")?;
        for options in options {
            pool.own.insert(options.client_id(), pool.clients.len());
            let (sender, events) = AsyncClient::new(options, QUEUE);
            let waiting = Arc::new(Mutex::new(VecDeque::new()));
            pool.loops.push(tokio::spawn(run(events, Arc::clone(&waiting), Arc::clone(&seen))));
            pool.clients.push(Client { sender, waiting });
        }
        seen.wait(patience, |seen| seen.connections.load(Ordering::SeqCst) >= wanted)
            .await
            .with_context(|| format!("no answer from the MQTT broker at {}:{}", broker.0, broker.1))?;
        Ok(pool)
    }

    /// Publishes at least once, which MQTT calls quality of service 1.
    pub async fn publish(&self, message: &Planned) -> anyhow::Result<()> {
        self.publish_as(&message.device, message.topic(), message.payload.clone(), 1, Instant::now()).await
    }

    /// Publishes `messages` in one payload as `device`, which were due at `due`.
    pub async fn publish_as(
        &self,
        device: &str,
        topic: String,
        payload: Vec<u8>,
        messages: usize,
        due: Instant,
    ) -> anyhow::Result<()> {
        let client = self.own.get(device).copied().unwrap_or_else(|| {
            let mut hasher = DefaultHasher::new();
            device.hash(&mut hasher);
            hasher.finish() as usize % self.clients.len()
        });
        let Client { sender, waiting } = &self.clients[client];
        lock(waiting).push_back(Ticket { messages, due });
        sender.publish(topic, QoS::AtLeastOnce, false, payload).await?;
        self.published.fetch_add(messages, Ordering::SeqCst);
        Ok(())
    }

    /// Waits until the broker has acknowledged everything, and disconnects. Returns how many messages it was.
    pub async fn settle(self, patience: Duration) -> anyhow::Result<usize> {
        let published = self.published.load(Ordering::SeqCst);
        let settled = self.seen.wait(patience, |seen| seen.acknowledged.load(Ordering::SeqCst) >= published).await;
        let acknowledged = self.seen.acknowledged.load(Ordering::SeqCst);
        for client in &self.clients {
            // If this fails, the connection ends with the process.
            let _ = client.sender.disconnect().await;
        }
        for task in &self.loops {
            task.abort();
        }
        settled.with_context(|| format!("the broker acknowledged {acknowledged} of {published} messages"))?;
        Ok(published)
    }
}

impl fmt::Debug for Acknowledgements {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connections, acknowledged, .. } = self;
        f.debug_struct("Acknowledgements")
            .field("connections", connections)
            .field("acknowledged", acknowledged)
            .finish_non_exhaustive()
    }
}

impl Acknowledgements {
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

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Drives one connection, and connects again if it breaks. Packets without an acknowledgement are then sent again.
async fn run(mut events: EventLoop, waiting: Arc<Mutex<VecDeque<Ticket>>>, seen: Arc<Acknowledgements>) {
    // By the id of the packet, which stays the same if the packet is sent again.
    let mut in_flight = HashMap::<u16, Ticket>::new();
    loop {
        match events.poll().await {
            Ok(Event::Outgoing(Outgoing::Publish(packet))) => {
                if !in_flight.contains_key(&packet)
                    && let Some(ticket) = lock(&waiting).pop_front()
                {
                    in_flight.insert(packet, ticket);
                }
                continue;
            }
            Ok(Event::Incoming(Incoming::PubAck(ack))) => {
                if let Some(Ticket { messages, due }) = in_flight.remove(&ack.pkid) {
                    seen.acknowledged.fetch_add(messages, Ordering::SeqCst);
                    if let Some(on_acknowledged) = &seen.on_acknowledged {
                        on_acknowledged(messages, due);
                    }
                }
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
