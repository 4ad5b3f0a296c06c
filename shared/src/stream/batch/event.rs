//! The Kinesis event of Lambda, read into a [`Batch`].
//!
//! Types of ours, because the arrival time of `aws_lambda_events` is wrong where trailing zeros were dropped, and because
//! reading the event is a good part of what an archived record costs. There are two readers. [`plain`] takes any JSON
//! there may be. [`scan`] takes events in the one form that Lambda writes, several times as fast, and decodes the records'
//! data in place, so that a batch takes no memory beyond its event; where it sees anything else, it gives way to the other.

mod plain;
mod scan;

use super::{Batch, SequenceNumber, StreamRecord};
use bytes::Bytes;

/// The end of the year 9999: beyond it, a time has no date in four digits.
const SECONDS_MAX: f64 = 253_402_300_799.0;

/// Why the bytes of an invocation are no batch of Kinesis.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// They are no JSON, or not of an event's shape.
    #[error("the event is none of a Kinesis stream")]
    Json(#[from] serde_json::Error),
    /// A record that there cannot be.
    #[error("Records[{index}]: {problem}")]
    Record {
        /// Its index in the event.
        index: usize,
        /// What is wrong with it.
        problem: String,
    },
}

impl Batch {
    /// Reads the event that Lambda invokes a function with. Where nobody else holds `event`, its memory becomes the batch's.
    pub fn from_event(event: impl Into<Bytes>) -> Result<Self, EventError> {
        let event = event.into();
        match scan::scan(&event) {
            Some(spans) => spans.decode(event),
            None => plain::read(&event),
        }
    }

    /// Appends a record that [`plain`] or [`scan`] read, this being the batch's next.
    fn append(&mut self, record: StreamRecord) -> Result<(), EventError> {
        // A batch is a stretch of its shard: what is archived or counted by position rests on it.
        if self.records.last().map_or(SequenceNumber::ZERO, |before| before.sequence) >= record.sequence {
            return Err(wrong(self.records.len(), "sequenceNumber is not above the one before it"));
        }
        self.records.push(record);
        Ok(())
    }
}

fn wrong(index: usize, problem: impl Into<String>) -> EventError {
    EventError::Record { index, problem: problem.into() }
}

fn no_base64(index: usize) -> EventError {
    wrong(index, "data is no base64")
}

/// The stream's name in its ARN or in that of one of its consumers.
fn stream_of(arn: &str) -> Option<&str> {
    let (service, resource) = arn.split_once(":stream/")?;
    let name = resource.split('/').next()?;
    (service.contains(":kinesis:") && !name.is_empty()).then_some(name)
}

/// The shard's id in an event's id, which is `<shard>:<sequence number>`.
fn shard_of(event_id: &str) -> Option<&str> {
    event_id.split_once(':').map(|(shard, _)| shard)
}

#[cfg(test)]
mod tests;
