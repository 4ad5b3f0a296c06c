//! A message that was passed to its client.

use super::Planned;
use crate::fingerprint::Fingerprint;

/// A message that was sent.
#[derive(Clone, Debug)]
pub struct SentMessage {
    /// The message, and its expected result.
    pub planned: Planned,
    /// When it was passed to its client, in milliseconds since the epoch.
    pub published_ms: i64,
    /// The fingerprint of its record on the stream.
    pub fingerprint: Fingerprint,
}

impl SentMessage {
    /// `planned`, passed to its client at `published_ms`.
    pub fn new(planned: Planned, published_ms: i64) -> Self {
        let fingerprint = Fingerprint::of_record(&planned.record(published_ms));
        Self { planned, published_ms, fingerprint }
    }
}
