//! The tap: hands every published message to the rules.

use anyhow::bail;
use bytes::Bytes;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use tokio::sync::mpsc;

/// A message that a client published, or an event that the broker publishes about a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedMessage {
    /// The publisher's client id: its own, or the one that the broker assigned.
    pub client_id: Arc<str>,
    /// The topic that the client published to; also `$aws/rules/…`.
    pub topic: String,
    /// The payload, byte for byte.
    pub payload: Bytes,
    /// When the broker read the message, in milliseconds since the epoch.
    pub received_at_ms: i64,
}

/// Where published messages go after a receiver connects.
#[derive(Clone, Default)]
pub(super) struct Tap(Arc<Inner>);

#[derive(Default)]
struct Inner {
    receiver: OnceLock<mpsc::Sender<PublishedMessage>>,
    dropped: AtomicU64,
}

impl Tap {
    /// Connects the one receiver.
    pub(super) fn connect(&self, receiver: mpsc::Sender<PublishedMessage>) -> anyhow::Result<()> {
        if self.0.receiver.set(receiver).is_err() {
            bail!("the MQTT broker's messages already have a receiver; there can be only one");
        }
        Ok(())
    }

    /// How many messages were dropped because the receiver was too slow.
    pub(super) fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    /// Sends a message, which is only made if there is a receiver.
    pub(super) fn send(&self, message: impl FnOnce() -> PublishedMessage) {
        let Some(receiver) = self.0.receiver.get() else { return };
        if receiver.try_send(message()).is_err() {
            let before = self.0.dropped.fetch_add(1, Ordering::Relaxed);
            if before == 0 {
                tracing::error!("messages arrive faster than the rules handle them; some are dropped");
            }
        }
    }
}
