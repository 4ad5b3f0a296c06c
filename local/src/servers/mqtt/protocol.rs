//! The codec of one connection: MQTT 3.1.1 or 5, whichever the client's first packet names.
//!
//! It passes published messages to the tap, and reports connects and disconnects to the lifecycle.

use super::lifecycle::{self, Lifecycle, Reason};
use super::publisher::Publisher;
use super::shadow::Shadows;
use super::tap::{PublishedMessage, Tap};
use bytes::{Bytes, BytesMut};
use myaku::platform::clock::{Now as _, SystemClock};
use rumqttd::protocol::v4::{self, V4};
use rumqttd::protocol::v5::V5;
use rumqttd::protocol::{ConnectReturnCode, Error, Packet, Protocol, Publish, PublishProperties};
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// "The publish request's payload can be no larger than 128 KB", and a client id no longer than 128 bytes.
/// <https://docs.aws.amazon.com/general/latest/gr/iot-core.html#message-broker-limits>
pub const PAYLOAD_BYTES_MAX: usize = 128 << 10;
const CLIENT_ID_BYTES_MAX: usize = 128;

/// Replaces `$` inside the broker, none of whose filters matches a topic with `$`.
const RESERVED: &str = "reserved/";

#[derive(Clone, Copy)]
enum Version {
    /// Not known before the first packet.
    Unknown,
    V4,
    V5,
}

/// What all connections share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) tap: Tap,
    pub(super) lifecycle: Lifecycle,
    pub(super) publisher: Publisher,
    pub(super) shadows: Shadows,
}

/// The codec of one connection. The broker clones its own for each connection, and drops the clone with the connection.
#[derive(Clone)]
pub(super) struct Codec {
    shared: Shared,
    version: Version,
    /// Whether a packet has been read: only the first may be a CONNECT.
    is_begun: bool,
    client_id: OnceLock<Arc<str>>,
    /// Set once the client is connected.
    session: OnceLock<Uuid>,
    aliases: HashMap<u16, Bytes>,
    keep_alive: Duration,
    read_at: Option<Instant>,
    /// Why the connection ends, if that is known before it does.
    end_reason: Option<Reason>,
}

impl Drop for Codec {
    fn drop(&mut self) {
        let (Some(client_id), Some(session)) = (self.client_id.get(), self.session.get()) else { return };
        // The broker disconnects a client after one and a half times its keep-alive time.
        let is_silent = self.read_at.is_some_and(|at| at.elapsed() >= self.keep_alive.mul_f64(1.5));
        let otherwise = if is_silent { Reason::KeepAliveTimeout } else { Reason::ConnectionLost };
        let reason = self.end_reason.unwrap_or(otherwise);
        self.shared.lifecycle.change(|clients| clients.disconnect(client_id, *session, reason, SystemClock.now_ms()));
    }
}

impl Codec {
    pub(super) fn new(shared: Shared) -> Self {
        Self {
            shared,
            version: Version::Unknown,
            is_begun: false,
            client_id: OnceLock::new(),
            session: OnceLock::new(),
            aliases: HashMap::new(),
            keep_alive: Duration::MAX,
            read_at: None,
            end_reason: None,
        }
    }

    /// Reports that the client is connected: the packet that is being written accepts it.
    fn report_connected(&self) {
        if let (Some(client_id), true) = (self.client_id.get(), self.session.get().is_none()) {
            let session = self.session.get_or_init(Uuid::new_v4);
            self.shared.lifecycle.change(|clients| clients.connect(client_id, *session, SystemClock.now_ms()));
        }
    }

    /// Passes a message to the tap, and hides Basic Ingest from the broker's subscribers.
    fn intercept(&mut self, publish: &mut Publish, properties: Option<&PublishProperties>) -> Result<(), Error> {
        if let Some(alias) = properties.and_then(|properties| properties.topic_alias)
            && !publish.topic.is_empty()
        {
            self.aliases.insert(alias, publish.topic.clone());
        }
        let alias = properties.and_then(|properties| properties.topic_alias).and_then(|alias| self.aliases.get(&alias));
        let topic = if publish.topic.is_empty() { alias.unwrap_or(&publish.topic) } else { &publish.topic };
        // The broker disconnects a client whose topic is not UTF-8.
        let Ok(topic) = std::str::from_utf8(topic) else { return Ok(()) };
        let is_impossible = topic.contains(['#', '+', '\0']) || publish.payload.len() > PAYLOAD_BYTES_MAX;
        if is_impossible || topic.starts_with(lifecycle::TOPICS) {
            return Err(Error::IncorrectPacketFormat);
        }
        self.shared.tap.send(|| PublishedMessage {
            client_id: self.client_id.get().cloned().unwrap_or_else(|| "".into()),
            topic: topic.into(),
            payload: publish.payload.clone(),
            received_at_ms: SystemClock.now_ms(),
        });
        let now_s = SystemClock.now_ms() / 1_000;
        for (topic, document) in self.shared.shadows.message(topic, &publish.payload, now_s) {
            self.shared.publisher.publish(topic, document.to_string());
        }
        if let Some(rest) = topic.strip_prefix('$') {
            // The broker disconnects a client that publishes to a topic without a matching filter.
            publish.topic = format!("{RESERVED}{rest}").into();
        }
        Ok(())
    }

    fn read(&mut self, stream: &mut BytesMut, max_size: usize) -> Result<Packet, Error> {
        let is_first = !self.is_begun;
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
                if !is_first || connect.client_id.len() > CLIENT_ID_BYTES_MAX {
                    return Err(Error::IncorrectPacketFormat);
                }
                self.keep_alive = Duration::from_secs(connect.keep_alive.into());
                if !connect.client_id.is_empty() {
                    self.client_id.get_or_init(|| connect.client_id.as_str().into());
                }
                connect.client_id = internal_id(&connect.client_id);
            }
            Packet::Publish(publish, properties) => {
                // AWS IoT has no QoS 2, and disconnects a client that asks for it.
                if first.is_some_and(|byte| byte & 0b0110 == 0b0100) {
                    return Err(Error::InvalidQoS(2));
                }
                self.intercept(publish, properties.as_ref())?;
            }
            Packet::Subscribe(subscribe, _) => {
                for filter in &mut subscribe.filters {
                    to_internal(&mut filter.path);
                }
            }
            Packet::Unsubscribe(unsubscribe, _) => unsubscribe.filters.iter_mut().for_each(to_internal),
            Packet::Disconnect(..) => self.end_reason = Some(Reason::ClientInitiated),
            _ => {}
        }
        self.is_begun = true;
        Ok(packet)
    }
}

/// Renames a topic or a filter to its name inside the broker. `$share/…` stays: the broker itself has shared
/// subscriptions.
pub(super) fn to_internal(topic: &mut String) {
    if let Some(rest) = topic.strip_prefix('$').filter(|rest| !rest.starts_with("share/")) {
        *topic = format!("{RESERVED}{rest}");
    }
}

/// A client's id inside the broker, which refuses some characters that AWS IoT takes. A client that it refused twice would
/// leave a lock of the broker poisoned, and all others without a connection.
fn internal_id(id: &str) -> String {
    let escaped = |letter: char| {
        if "%+#$/".contains(letter) { format!("%{:02x}", u32::from(letter)) } else { letter.to_string() }
    };
    id.chars().map(escaped).collect()
}

/// Renames a subscriber's message from its name inside the broker to its public one.
fn to_public(publish: &mut Publish) {
    if let Some(rest) = publish.topic.strip_prefix(RESERVED.as_bytes()) {
        publish.topic = [b"$", rest].concat().into();
    }
}

impl Protocol for Codec {
    fn read_mut(&mut self, stream: &mut BytesMut, max_size: usize) -> Result<Packet, Error> {
        let read = self.read(stream, max_size);
        match &read {
            Ok(_) => self.read_at = Some(Instant::now()),
            Err(Error::InsufficientBytes(_)) => {}
            Err(_) => self.end_reason = Some(Reason::ClientError),
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
                    self.report_connected();
                }
            }
            Packet::Publish(publish, _) => to_public(publish),
            _ => {}
        }
        match self.version {
            Version::V5 => V5.write(packet, buffer),
            Version::V4 | Version::Unknown => V4.write(packet, buffer),
        }
    }
}

/// The version that a CONNECT packet asks for. Its variable header begins with the protocol's name (two bytes of
/// length and `MQTT`); the version follows.
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
