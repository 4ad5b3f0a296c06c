//! Publishes the broker's own messages: lifecycle events, what shadows answer, and what comes over HTTP.

use super::tap::{PublishedMessage, Tap};
use bytes::Bytes;
use myaku::platform::clock::{Now as _, SystemClock};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;

/// The publisher of such a message, as `clientid()` returns it in a rule.
pub(super) const NO_CLIENT: &str = "n/a";

/// Publishes to the rules and to the broker's subscribers: a handle that is cheap to clone.
#[derive(Clone)]
pub struct Publisher(Arc<Inner>);

struct Inner {
    tap: Tap,
    /// To the broker's subscribers; none while there is no broker.
    subscribers: Mutex<Option<mpsc::UnboundedSender<PublishedMessage>>>,
}

impl Publisher {
    pub(super) fn new(tap: Tap) -> Self {
        Self(Arc::new(Inner { tap, subscribers: Mutex::default() }))
    }

    /// What is published from now on, for the broker's subscribers.
    pub(super) fn connect(&self) -> mpsc::UnboundedReceiver<PublishedMessage> {
        let (sender, receiver) = mpsc::unbounded_channel();
        *self.0.subscribers.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        receiver
    }

    /// Publishes nothing more until the next [`connect`](Self::connect).
    pub(super) fn disconnect(&self) {
        self.0.subscribers.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Publishes a message. Returns whether there is a broker to publish it.
    pub(super) fn send(&self, message: PublishedMessage) -> bool {
        let subscribers = self.0.subscribers.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(subscribers) = &*subscribers else { return false };
        self.0.tap.send(|| message.clone());
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
