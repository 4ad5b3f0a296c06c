//! A message that was handed to its client.

use super::Planned;
use crate::fingerprint::Fingerprint;

/// A message that was sent.
#[derive(Clone, Debug)]
pub struct SentMessage {
    /// The message, and what must come of it.
    pub planned: Planned,
    /// When it was handed to its client, in milliseconds since the epoch.
    pub published_ms: i64,
    /// Which record of the stream it is, by its bytes.
    pub fingerprint: Fingerprint,
}

impl SentMessage {
    /// `planned`, handed over at `published_ms`.
    pub fn new(planned: Planned, published_ms: i64) -> Self {
        let fingerprint = Fingerprint::of_record(&planned.record(published_ms));
        Self { planned, published_ms, fingerprint }
    }
}
