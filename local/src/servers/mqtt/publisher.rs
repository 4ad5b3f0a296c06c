//! Publishes the broker's own messages: lifecycle events, what shadows answer, and what comes over HTTP.

use super::tap::{PublishedMessage, Tap};
use bytes::Bytes;
use myaku::platform::clock::{Now as _, SystemClock};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;

/// The publisher of such a message, as `clientid()` returns it in a rule.
pub(super) const NO_CLIENT: &str = "n/a";

/// Publishes to the rules and to the broker's subscribers: a handle that is cheap to clone.
#[derive(Clone, Default)]
pub struct Publisher(Arc<Mutex<Option<Connected>>>);

/// A running broker. Nothing keeps its tap after it ended, since the rules wait for that.
struct Connected {
    tap: Tap,
    subscribers: mpsc::UnboundedSender<PublishedMessage>,
}

impl Publisher {
    /// What is published from now on, for the broker's subscribers. The rules get it by the `tap`.
    pub(super) fn connect(&self, tap: Tap) -> mpsc::UnboundedReceiver<PublishedMessage> {
        let (subscribers, receiver) = mpsc::unbounded_channel();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Connected { tap, subscribers });
        receiver
    }

    /// Publishes nothing more until the next [`connect`](Self::connect).
    pub(super) fn disconnect(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Publishes a message. Returns whether there is a broker to publish it.
    pub(super) fn send(&self, message: PublishedMessage) -> bool {
        let connected = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Connected { tap, subscribers }) = &*connected else { return false };
        tap.send(|| message.clone());
        subscribers.send(message).is_ok()
    }

    /// Publishes a message that no client sent. Returns whether there is a broker to publish it.
    pub fn publish(&self, topic: impl Into<String>, payload: impl Into<Bytes>) -> bool {
        let (topic, payload) = (topic.into(), payload.into());
        self.send(PublishedMessage {
            client_id: NO_CLIENT.into(),
            topic,
            payload,
            received_at_ms: SystemClock.now_ms(),
        })
    }
}
