//! A Kinesis batch as the domain sees it: de-aggregated records, their positions, and where to retry from.

mod event;
mod position;

use crate::stream::kpl;
use bytes::Bytes;
use bytestring::ByteString;

pub use event::EventError;
pub use position::{ParsePositionError, Position, SequenceNumber};

/// How many records are decoded together: enough to keep every lane of the checksums busy, and few enough that what is
/// decoded takes little memory.
const CHUNK_LEN: usize = 32;

/// The records of one shard that one invocation receives, in the stream's order.
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
    /// Its sequence number, which orders the records of the shard.
    pub sequence: SequenceNumber,
    /// The partition key that its producer gave.
    pub partition_key: ByteString,
    /// When it arrived at the stream, in milliseconds since the epoch.
    pub arrived_ms: i64,
    /// Its bytes.
    pub data: Bytes,
}

/// One record as its producer sent it: a plain record, or one from an aggregate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserRecord<'a> {
    /// The index in the batch of the Kinesis record that carried it. A partial batch response names that record.
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
    /// Its position in the shard, which is unique within the stream.
    pub const fn position(&self) -> Position {
        Position { sequence: *self.sequence, sub: self.sub }
    }
}

impl Batch {
    /// The records as their producers sent them, in the stream's order. Aggregates are unpacked; anything that is not a
    /// valid aggregate is a plain record.
    pub fn user_records(&self) -> impl Iterator<Item = UserRecord<'_>> {
        self.records.chunks(CHUNK_LEN).zip((0..).step_by(CHUNK_LEN)).flat_map(|(records, from)| {
            let data: Vec<&[u8]> = records.iter().map(|record| &*record.data).collect();
            let decoded = kpl::decode_all(&data).into_iter();
            records
                .iter()
                .zip(decoded)
                .zip(from..)
                .flat_map(|((record, aggregate), index)| record.user_records(index, aggregate))
        })
    }
}

impl StreamRecord {
    /// The user records in this record, which has the index `index` in the batch. `aggregate` is its decoded form.
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
