//! MQTT 3.1.1 or 5 by what the client says in its first packet, with a tap on what it publishes.

use super::Published;
use anyhow::bail;
use bytes::{Bytes, BytesMut};
use myaku::clock::{Now as _, SystemClock};
use rumqttd::protocol::v4::{self, V4};
use rumqttd::protocol::v5::V5;
use rumqttd::protocol::{Error, Packet, Protocol, Publish, PublishProperties};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use tokio::sync::mpsc;

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

    fn send(&self, published: impl FnOnce() -> Published) {
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

/// The codec of one connection. The broker clones the one it was given for each.
#[derive(Clone)]
pub(super) struct Tapped {
    tap: Tap,
    version: Version,
    client_id: OnceLock<Arc<str>>,
    aliases: HashMap<u16, Bytes>,
}

impl Tapped {
    pub(super) fn new(tap: Tap) -> Self {
        Self { tap, version: Version::Unknown, client_id: OnceLock::new(), aliases: HashMap::new() }
    }

    /// Hands a message to the taker, and keeps Basic Ingest from the broker's subscribers.
    fn published(&mut self, publish: &mut Publish, properties: Option<&PublishProperties>) {
        if let Some(alias) = properties.and_then(|properties| properties.topic_alias)
            && !publish.topic.is_empty()
        {
            self.aliases.insert(alias, publish.topic.clone());
        }
        let alias = properties.and_then(|properties| properties.topic_alias).and_then(|alias| self.aliases.get(&alias));
        let topic = if publish.topic.is_empty() { alias.unwrap_or(&publish.topic) } else { &publish.topic };
        // The broker disconnects whose topic is no text.
        let Ok(topic) = std::str::from_utf8(topic) else { return };
        self.tap.send(|| Published {
            client_id: self.client_id.get().cloned().unwrap_or_else(|| "".into()),
            topic: topic.into(),
            payload: publish.payload.clone(),
            received_at_ms: SystemClock.now_ms(),
        });
        if let Some(rest) = topic.strip_prefix('$') {
            // No filter of the broker matches a topic with `$`, and it disconnects who publishes where none matches.
            publish.topic = format!("reserved/{rest}").into();
        }
    }
}

impl Protocol for Tapped {
    fn read_mut(&mut self, stream: &mut BytesMut, max_size: usize) -> Result<Packet, Error> {
        if matches!(self.version, Version::Unknown) {
            self.version = version(stream, max_size)?;
        }
        let first = stream.first().copied();
        let mut packet = match self.version {
            Version::V5 => V5.read_mut(stream, max_size)?,
            Version::V4 | Version::Unknown => V4.read_mut(stream, max_size)?,
        };
        match &mut packet {
            Packet::Connect(connect, ..) if !connect.client_id.is_empty() => {
                self.client_id.get_or_init(|| connect.client_id.as_str().into());
            }
            Packet::Publish(publish, properties) => {
                // AWS IoT has no QoS 2, and disconnects who asks for it.
                if first.is_some_and(|byte| byte & 0b0110 == 0b0100) {
                    return Err(Error::InvalidQoS(2));
                }
                self.published(publish, properties.as_ref());
            }
            _ => {}
        }
        Ok(packet)
    }

    fn write(&self, packet: Packet, buffer: &mut BytesMut) -> Result<usize, Error> {
        if let Packet::ConnAck(_, Some(properties)) = &packet
            && let Some(assigned) = &properties.assigned_client_identifier
        {
            self.client_id.get_or_init(|| assigned.as_str().into());
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
