//! What is kept of one device: the state of the rule, and what every function has to know of a device.

use super::State;
use super::bytes::{self, CorruptedState, Reader};
use super::id_digest;
use crate::results::{Average, MetricResult};
use crate::stream::batch::Position;

/// What is kept of one device between invocations.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Kept<S> {
    /// The state of the rule.
    pub state: S,
    /// The last record of the device that was processed.
    pub seen: Option<Origin>,
    /// How many readings were counted.
    pub counted: u64,
    /// Readings up to this time may be missing, in milliseconds since the epoch. It only grows.
    pub lost_until: Option<i64>,
    /// The latest row that was due.
    pub row: Option<LastRow>,
    /// Rows of history that may not have been written yet.
    pub history: Vec<PendingHistory>,
}

/// A record: the stream and the shard by their [`id_digest`], and its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Positions compare within one stream only.
    pub stream: u64,
    /// The shard.
    pub shard: u64,
    /// The position in the stream.
    pub position: Position,
}

/// The latest row that was due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastRow {
    /// The record that made it due.
    pub origin: Origin,
    /// When that record arrived, in milliseconds since the epoch.
    pub arrived_ms: i64,
}

/// A result of an interval that was due, and may not have been written yet.
#[derive(Clone, Debug, PartialEq)]
pub struct PendingHistory {
    /// The record that made it due.
    pub origin: Origin,
    /// How many readings of the device had been counted by then.
    pub counted: u64,
    /// The beginning of the interval, in milliseconds since the epoch.
    pub from_ms: i64,
    /// The metric.
    pub metric: String,
    /// The result.
    pub result: MetricResult,
}

impl Origin {
    /// The record at `position` of a shard of a stream.
    pub fn new(stream: &str, shard: &str, position: Position) -> Self {
        Self { stream: id_digest(stream), shard: id_digest(shard), position }
    }
}

impl<S> Kept<S> {
    /// Whether the record at `origin` was processed before. A device is in one shard at any time, and a shard is delivered
    /// in order, after the shards that it was made of: so positions of a device grow.
    pub fn has_seen(&self, origin: Origin) -> bool {
        self.seen.is_some_and(|seen| seen.stream == origin.stream && origin.position <= seen.position)
    }
}

/// Bytes of a origin.
const ORIGIN_BYTES: usize = 8 + 8 + bytes::POSITION_BYTES;
/// The fewest bytes of a pending result: origin, three numbers, a name, a unit, six doubles, two flags.
const PENDING_BYTES_MIN: usize = ORIGIN_BYTES + 8 + 4 + 6 * 8 + 2;

impl<S: State> Kept<S> {
    /// About how many bytes [`Self::encode_into`] appends.
    pub(super) fn size_hint(&self) -> usize {
        1 + 2 * ORIGIN_BYTES + 40 + self.history.len() * (PENDING_BYTES_MIN + 24) + self.state.size_hint()
    }

    /// Appends the bytes: `seen(0 | 1 origin) counted(v) lost_until(0 | 1 at[8]) row(0 | 1 origin arrived[8])
    /// history(v × pending) version[1]`, and then those of the state.
    pub(super) fn encode_into(&self, out: &mut Vec<u8>) {
        put_option(out, self.seen, put_origin);
        bytes::put_varint(out, self.counted);
        put_option(out, self.lost_until, |out, at| out.extend(at.to_le_bytes()));
        put_option(out, self.row, |out, row| {
            put_origin(out, row.origin);
            out.extend(row.arrived_ms.to_le_bytes());
        });
        bytes::put_varint(out, self.history.len() as u64);
        for pending in &self.history {
            put_pending(out, pending);
        }
        out.push(S::VERSION);
        self.state.encode_into(out);
    }

    /// Reads what [`Self::encode_into`] appended.
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, CorruptedState> {
        let seen = read_option(reader, read_origin)?;
        let counted = reader.varint()?;
        let lost_until = read_option(reader, Reader::i64)?;
        let row =
            read_option(reader, |reader| Ok(LastRow { origin: read_origin(reader)?, arrived_ms: reader.i64()? }))?;
        let pending = reader.count(PENDING_BYTES_MIN)?;
        let history = (0..pending).map(|_| read_pending(reader)).collect::<Result<_, _>>()?;
        let [version] = reader.array()?;
        Ok(Self { state: S::decode(version, reader)?, seen, counted, lost_until, row, history })
    }

    /// Reads a state of the first format: the stream, and the last position of each of a few shards, then the state.
    pub(super) fn decode_first_format(reader: &mut Reader<'_>) -> Result<Self, CorruptedState> {
        let stream = reader.u64()?;
        let shards = reader.count(ORIGIN_BYTES - 8)?;
        let origins: Vec<Origin> = (0..shards)
            .map(|_| Ok(Origin { stream, shard: reader.u64()?, position: reader.position()? }))
            .collect::<Result<_, _>>()?;
        let seen = origins.into_iter().max_by_key(|origin| origin.position);
        Ok(Self { state: S::decode(1, reader)?, seen, counted: 0, lost_until: None, row: None, history: Vec::new() })
    }
}

fn put_option<T>(out: &mut Vec<u8>, value: Option<T>, put: impl FnOnce(&mut Vec<u8>, T)) {
    out.push(value.is_some().into());
    if let Some(value) = value {
        put(out, value);
    }
}

fn read_option<'a, T>(
    reader: &mut Reader<'a>,
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, CorruptedState>,
) -> Result<Option<T>, CorruptedState> {
    if reader.flag()? { read(reader).map(Some) } else { Ok(None) }
}

fn put_origin(out: &mut Vec<u8>, origin: Origin) {
    out.extend(origin.stream.to_le_bytes());
    out.extend(origin.shard.to_le_bytes());
    bytes::put_position(out, origin.position);
}

fn read_origin(reader: &mut Reader<'_>) -> Result<Origin, CorruptedState> {
    Ok(Origin { stream: reader.u64()?, shard: reader.u64()?, position: reader.position()? })
}

fn put_pending(out: &mut Vec<u8>, pending: &PendingHistory) {
    let PendingHistory { origin, counted, from_ms, metric, result } = pending;
    let MetricResult { unit, value, at, average, partial, lost_until } = result;
    put_origin(out, *origin);
    bytes::put_varint(out, *counted);
    out.extend(from_ms.to_le_bytes());
    bytes::put_text(out, metric);
    bytes::put_text(out, unit);
    out.extend(at.to_le_bytes());
    bytes::put_varint(out, average.count.into());
    for number in [*value, average.mean, average.min, average.max, average.stddev] {
        out.extend(number.to_le_bytes());
    }
    out.push((*partial).into());
    put_option(out, *lost_until, |out, at| out.extend(at.to_le_bytes()));
}

fn read_pending(reader: &mut Reader<'_>) -> Result<PendingHistory, CorruptedState> {
    let origin = read_origin(reader)?;
    let counted = reader.varint()?;
    let from_ms = reader.i64()?;
    let (metric, unit) = (reader.text()?.to_owned(), reader.text()?.to_owned());
    let at = reader.i64()?;
    let count = u32::try_from(reader.varint()?).map_err(|_| CorruptedState("a count exceeds 32 bits"))?;
    let mut numbers = [0.0; 5];
    for number in &mut numbers {
        *number = reader.f64()?;
    }
    let [value, mean, min, max, stddev] = numbers;
    let partial = reader.flag()?;
    let lost_until = read_option(reader, Reader::i64)?;
    let average = Average { count, mean, min, max, stddev };
    let result = MetricResult { unit, value, at, average, partial, lost_until };
    Ok(PendingHistory { origin, counted, from_ms, metric, result })
}
