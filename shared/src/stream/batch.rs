//! A Kinesis batch as the domain sees it: de-aggregated records, their positions, and where to retry from.

mod event;
mod position;

use crate::stream::kpl;
use bytes::Bytes;
use bytestring::ByteString;

pub use event::EventError;
pub use position::{ParsePositionError, Position, SequenceNumber};

/// Records of which the aggregates are checked together: enough to keep every lane busy, and few enough that what is read
/// of them takes no memory to speak of.
const TOGETHER: usize = 32;

/// The records of one shard that one invocation was given, in the stream's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The stream's name.
    pub stream: String,
    /// The shard's id.
    pub shard: String,
    /// The records as Kinesis holds them, aggregates whole.
    pub records: Vec<StreamRecord>,
}

/// One record of the stream, as Kinesis holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamRecord {
    /// Its place in the shard.
    pub sequence: SequenceNumber,
    /// The partition key that it was put with.
    pub partition_key: ByteString,
    /// When it arrived at the stream, in milliseconds since the epoch.
    pub arrived_ms: i64,
    /// Its bytes.
    pub data: Bytes,
}

/// One record as its producer sent it: a plain record, or one out of an aggregate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserRecord<'a> {
    /// The index in the batch of the Kinesis record that it came in: what a partial batch response names.
    pub record: u32,
    /// The sequence number of that Kinesis record.
    pub sequence: &'a SequenceNumber,
    /// Its index within its aggregate, 0 for a plain record.
    pub sub: u32,
    /// Its own partition key.
    pub partition_key: &'a str,
    /// When it arrived at the stream, in milliseconds since the epoch.
    pub arrived_ms: i64,
    /// Its bytes.
    pub data: &'a [u8],
}

impl UserRecord<'_> {
    /// Its place in the shard; unique within the stream.
    pub const fn position(&self) -> Position {
        Position { sequence: *self.sequence, sub: self.sub }
    }
}

impl Batch {
    /// The records as their producers sent them, in the stream's order: aggregates are taken apart, and what is no whole
    /// aggregate is a plain record.
    pub fn user_records(&self) -> impl Iterator<Item = UserRecord<'_>> {
        self.records.chunks(TOGETHER).zip((0..).step_by(TOGETHER)).flat_map(|(records, from)| {
            let data: Vec<&[u8]> = records.iter().map(|record| &*record.data).collect();
            let read = kpl::decode_all(&data).into_iter();
            records.iter().zip(read).zip(from..).flat_map(|((record, read), index)| record.user_records(index, read))
        })
    }
}

impl StreamRecord {
    /// The records in it, this being the batch's record `index`, which was read as `aggregate` if it is one.
    fn user_records<'a>(
        &'a self,
        index: u32,
        aggregate: Option<kpl::Aggregate<'a>>,
    ) -> impl Iterator<Item = UserRecord<'a>> {
        let plain = aggregate.is_none().then_some((&*self.partition_key, None, &*self.data));
        plain.into_iter().chain(aggregate.into_iter().flatten()).zip(0..).map(move |((partition_key, _, data), sub)| {
            UserRecord {
                record: index,
                sequence: &self.sequence,
                sub,
                partition_key,
                arrived_ms: self.arrived_ms,
                data,
            }
        })
    }
}
