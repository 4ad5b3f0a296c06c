//! MQTT 3.1.1 or 5 by what the client says in its first packet, with a tap on what it publishes.

use super::Published;
use super::lifecycle::{self, Lifecycle, Reason};
use anyhow::bail;
use bytes::{Bytes, BytesMut};
use myaku::platform::clock::{Now as _, SystemClock};
use rumqttd::protocol::v4::{self, V4};
use rumqttd::protocol::v5::V5;
use rumqttd::protocol::{ConnectReturnCode, Error, Packet, Protocol, Publish, PublishProperties};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use uuid::Uuid;

/// What stands for `$` inside the broker: no filter of it matches a topic with `$`.
const RESERVED: &str = "reserved/";

/// Where published messages go, once somebody wants them.
#[derive(Clone, Default)]
pub(super) struct Tap(Arc<TapInner>);

#[derive(Default)]
struct TapInner {
    taker: OnceLock<mpsc::Sender<Published>>,
    dropped: AtomicU64,
}

impl Tap {
    pub(super) fn open(&self, taker: mpsc::Sender<Published>) -> anyhow::Result<()> {
        if self.0.taker.set(taker).is_err() {
            bail!("the broker's messages are taken already");
        }
        Ok(())
    }

    pub(super) fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    pub(super) fn send(&self, published: impl FnOnce() -> Published) {
        let Some(taker) = self.0.taker.get() else { return };
        if taker.try_send(published()).is_err() {
            let before = self.0.dropped.fetch_add(1, Ordering::Relaxed);
            if before == 0 {
                tracing::error!("messages come faster than the rules take them; some are dropped");
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Version {
    /// No packet was read yet.
    Unknown,
    V4,
    V5,
}

/// The codec of one connection. The broker clones the one it was given for each, and drops it with the connection.
#[derive(Clone)]
pub(super) struct Tapped {
    tap: Tap,
    lifecycle: Lifecycle,
    version: Version,
    client_id: OnceLock<Arc<str>>,
    /// Set once the client is connected.
    session: OnceLock<Uuid>,
    aliases: HashMap<u16, Bytes>,
    keep_alive: Duration,
    read_at: Option<Instant>,
    /// How the connection ends, if that is known before it does.
    ending: Option<Reason>,
}

impl Drop for Tapped {
    fn drop(&mut self) {
        let (Some(client_id), Some(session)) = (self.client_id.get(), self.session.get()) else { return };
        // The broker gives a client one and a half times its keep-alive time.
        let is_silent = self.read_at.is_some_and(|at| at.elapsed() >= self.keep_alive.mul_f64(1.5));
        let otherwise = if is_silent { Reason::KeepAliveTimeout } else { Reason::ConnectionLost };
        let reason = self.ending.unwrap_or(otherwise);
        self.lifecycle.change(|clients| clients.disconnected(client_id, *session, reason, SystemClock.now_ms()));
    }
}

impl Tapped {
    pub(super) fn new(tap: Tap, lifecycle: Lifecycle) -> Self {
        Self {
            tap,
            lifecycle,
            version: Version::Unknown,
            client_id: OnceLock::new(),
            session: OnceLock::new(),
            aliases: HashMap::new(),
            keep_alive: Duration::MAX,
            read_at: None,
            ending: None,
        }
    }

    /// Notes that the client is connected: it is told so by the packet that is being written.
    fn connected(&self) {
        if let (Some(client_id), true) = (self.client_id.get(), self.session.get().is_none()) {
            let session = self.session.get_or_init(Uuid::new_v4);
            self.lifecycle.change(|clients| clients.connected(client_id, *session, SystemClock.now_ms()));
        }
    }

    /// Hands a message to the taker, and keeps Basic Ingest from the broker's subscribers.
    fn published(&mut self, publish: &mut Publish, properties: Option<&PublishProperties>) -> Result<(), Error> {
        if let Some(alias) = properties.and_then(|properties| properties.topic_alias)
            && !publish.topic.is_empty()
        {
            self.aliases.insert(alias, publish.topic.clone());
        }
        let alias = properties.and_then(|properties| properties.topic_alias).and_then(|alias| self.aliases.get(&alias));
        let topic = if publish.topic.is_empty() { alias.unwrap_or(&publish.topic) } else { &publish.topic };
        // The broker disconnects whose topic is no text.
        let Ok(topic) = std::str::from_utf8(topic) else { return Ok(()) };
        if topic.starts_with(lifecycle::TOPICS) {
            return Err(Error::IncorrectPacketFormat);
        }
        self.tap.send(|| Published {
            client_id: self.client_id.get().cloned().unwrap_or_else(|| "".into()),
            topic: topic.into(),
            payload: publish.payload.clone(),
            received_at_ms: SystemClock.now_ms(),
        });
        if let Some(rest) = topic.strip_prefix('$') {
            // The broker disconnects who publishes where no filter matches.
            publish.topic = format!("{RESERVED}{rest}").into();
        }
        Ok(())
    }

    fn read(&mut self, stream: &mut BytesMut, max_size: usize) -> Result<Packet, Error> {
        if matches!(self.version, Version::Unknown) {
            self.version = version(stream, max_size)?;
        }
        let first = stream.first().copied();
        let mut packet = match self.version {
            Version::V5 => V5.read_mut(stream, max_size)?,
            Version::V4 | Version::Unknown => V4.read_mut(stream, max_size)?,
        };
        match &mut packet {
            Packet::Connect(connect, ..) => {
                self.keep_alive = Duration::from_secs(connect.keep_alive.into());
                if !connect.client_id.is_empty() {
                    self.client_id.get_or_init(|| connect.client_id.as_str().into());
                }
            }
            Packet::Publish(publish, properties) => {
                // AWS IoT has no QoS 2, and disconnects who asks for it.
                if first.is_some_and(|byte| byte & 0b0110 == 0b0100) {
                    return Err(Error::InvalidQoS(2));
                }
                self.published(publish, properties.as_ref())?;
            }
            Packet::Subscribe(subscribe, _) => {
                for filter in &mut subscribe.filters {
                    within(&mut filter.path);
                }
            }
            Packet::Unsubscribe(unsubscribe, _) => unsubscribe.filters.iter_mut().for_each(within),
            Packet::Disconnect(..) => self.ending = Some(Reason::ClientInitiated),
            _ => {}
        }
        Ok(packet)
    }
}

/// A topic or a filter as it is called inside the broker. Shared subscriptions are the broker's own.
pub(super) fn within(topic: &mut String) {
    if let Some(rest) = topic.strip_prefix('$').filter(|rest| !rest.starts_with("share/")) {
        *topic = format!("{RESERVED}{rest}");
    }
}

/// A topic of a message to a subscriber, as it is called outside.
fn outside(publish: &mut Publish) {
    if let Some(rest) = publish.topic.strip_prefix(RESERVED.as_bytes()) {
        publish.topic = [b"$", rest].concat().into();
    }
}

impl Protocol for Tapped {
    fn read_mut(&mut self, stream: &mut BytesMut, max_size: usize) -> Result<Packet, Error> {
        let read = self.read(stream, max_size);
        match &read {
            Ok(_) => self.read_at = Some(Instant::now()),
            Err(Error::InsufficientBytes(_)) => {}
            Err(_) => self.ending = Some(Reason::ClientError),
        }
        read
    }

    fn write(&self, mut packet: Packet, buffer: &mut BytesMut) -> Result<usize, Error> {
        match &mut packet {
            Packet::ConnAck(ack, properties) => {
                let assigned = properties.as_ref().and_then(|it| it.assigned_client_identifier.as_deref());
                if let Some(assigned) = assigned {
                    self.client_id.get_or_init(|| assigned.into());
                }
                if ack.code == ConnectReturnCode::Success {
                    self.connected();
                }
            }
            Packet::Publish(publish, _) => outside(publish),
            _ => {}
        }
        match self.version {
            Version::V5 => V5.write(packet, buffer),
            Version::V4 | Version::Unknown => V4.write(packet, buffer),
        }
    }
}

/// The version that a CONNECT packet asks for. Its variable header begins with the protocol's name (two bytes of
/// length and `MQTT`), behind which is the version.
fn version(stream: &BytesMut, max_size: usize) -> Result<Version, Error> {
    const LEVEL: usize = 2 + "MQTT".len();
    let header = v4::check(stream.iter(), max_size)?;
    if stream.first().is_none_or(|byte| byte >> 4 != 1) {
        return Err(Error::IncorrectPacketFormat);
    }
    match stream.get(header.fixed_header_len + LEVEL) {
        Some(4) => Ok(Version::V4),
        Some(5) => Ok(Version::V5),
        Some(&level) => Err(Error::InvalidProtocolLevel(level)),
        None => Err(Error::MalformedPacket),
    }
}
