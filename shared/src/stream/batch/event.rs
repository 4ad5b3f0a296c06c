//! Reads Lambda's Kinesis event into a [`Batch`].
//!
//! The types are our own, because `aws_lambda_events` gets the arrival time wrong if trailing zeros were
//! dropped, and because reading the event is a good part of the cost of an archived record. There are two readers.
//! [`plain`] reads an event in any form of JSON. [`scan`] reads it in the one form that Lambda writes, several times as
//! fast, and decodes the records' data in place, so that a batch needs no memory beyond its event. It leaves any other
//! form to [`plain`].

mod plain;
mod scan;

use super::{Batch, SequenceNumber, StreamRecord};
use bytes::Bytes;

/// The end of the year 9999: the year of a later time has more than four digits.
const SECONDS_MAX: f64 = 253_402_300_799.0;

/// Why the payload of an invocation is not a batch.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// It is not JSON, or does not have the members of an event.
    #[error("the event is not a Kinesis event")]
    Json(#[from] serde_json::Error),
    /// A record is not valid.
    #[error("Records[{index}]: {problem}")]
    Record {
        /// Its index in the event.
        index: usize,
        /// What is wrong with it.
        problem: String,
    },
}

impl Batch {
    /// Reads the event that Lambda invokes a function with. If `event` is the only handle to its memory, the batch uses
    /// that memory.
    pub fn from_event(event: impl Into<Bytes>) -> Result<Self, EventError> {
        let event = event.into();
        match scan::scan(&event) {
            Some(spans) => spans.decode(event),
            None => plain::read(&event),
        }
    }

    /// Appends the batch's next record, which [`plain`] or [`scan`] has read.
    fn append(&mut self, record: StreamRecord) -> Result<(), EventError> {
        // A batch is a stretch of its shard, in order: archiving and counting by position rely on that.
        if self.records.last().map_or(SequenceNumber::ZERO, |before| before.sequence) >= record.sequence {
            return Err(invalid_record(self.records.len(), "sequenceNumber is not above the one before it"));
        }
        self.records.push(record);
        Ok(())
    }
}

fn invalid_record(index: usize, problem: impl Into<String>) -> EventError {
    EventError::Record { index, problem: problem.into() }
}

fn invalid_base64(index: usize) -> EventError {
    invalid_record(index, "data is not base64")
}

/// The stream's name, from the ARN of the stream or of one of its consumers.
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
