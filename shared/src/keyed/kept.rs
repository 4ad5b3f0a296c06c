//! What is kept of one device: the state of the rule, and what every function has to know of a device.

use super::State;
use super::bytes::{self, CorruptedState, Reader, put_option};
use super::origin::{ORIGIN_BYTES, Origin};
use super::pending::{
    PENDING_BYTES, Pending, PendingFinding, put_findings, put_pending, read_findings, read_pending, read_second_format,
};

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
    /// Outcomes of intervals that may not have been written yet.
    pub history: Pending,
    /// Findings that may not have been reported yet, in their order.
    pub findings: Vec<PendingFinding>,
}

/// The latest row that was due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastRow {
    /// The record that made it due.
    pub origin: Origin,
    /// When that record arrived, in milliseconds since the epoch.
    pub arrived_ms: i64,
}

impl<S: State> Kept<S> {
    /// Whether the record at `origin` was processed before. A device is in one shard at any time, and a shard is delivered
    /// in order, after the shards that it was made of: so positions of a device grow.
    pub fn has_seen(&self, origin: Origin) -> bool {
        self.seen.is_some_and(|seen| seen.stream == origin.stream && origin.position <= seen.position)
    }

    /// About how many bytes [`Self::encode_into`] appends.
    pub(super) fn size_hint(&self) -> usize {
        let pending = (self.history.len() + self.findings.len()) * PENDING_BYTES;
        1 + 2 * ORIGIN_BYTES + 40 + pending + self.state.size_hint()
    }

    /// Appends the bytes: `seen(0 | 1 origin) counted(v) lost_until(0 | 1 at[8]) row(0 | 1 origin arrived[8])
    /// history(v × pending) findings(v × finding) version[1]`, and then those of the state.
    pub(super) fn encode_into(&self, out: &mut Vec<u8>) {
        put_option(out, self.seen, |out, origin| origin.encode_into(out));
        bytes::put_varint(out, self.counted);
        put_option(out, self.lost_until, |out, at| out.extend(at.to_le_bytes()));
        put_option(out, self.row, |out, row| {
            row.origin.encode_into(out);
            out.extend(row.arrived_ms.to_le_bytes());
        });
        put_pending(out, &self.history);
        put_findings(out, &self.findings);
        out.push(S::VERSION);
        self.state.encode_into(out);
    }

    /// Reads what [`Self::encode_into`] appended.
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, CorruptedState> {
        Self::decode_with(reader, |reader| Ok((read_pending(reader)?, read_findings(reader)?)))
    }

    /// Reads a state of the second format: all pending history was that of the moving average.
    pub(super) fn decode_second_format(reader: &mut Reader<'_>) -> Result<Self, CorruptedState> {
        Self::decode_with(reader, |reader| Ok((read_second_format(reader)?, Vec::new())))
    }

    fn decode_with(
        reader: &mut Reader<'_>,
        pending: impl Fn(&mut Reader<'_>) -> Result<(Pending, Vec<PendingFinding>), CorruptedState>,
    ) -> Result<Self, CorruptedState> {
        let seen = reader.option(Origin::decode)?;
        let counted = reader.varint()?;
        let lost_until = reader.option(Reader::i64)?;
        let row = reader.option(|reader| Ok(LastRow { origin: Origin::decode(reader)?, arrived_ms: reader.i64()? }))?;
        let (history, findings) = pending(reader)?;
        let [version] = reader.array()?;
        Ok(Self { state: S::decode(version, reader)?, seen, counted, lost_until, row, history, findings })
    }

    /// Reads a state of the first format: the stream, and the last position of each of a few shards, then the state.
    pub(super) fn decode_first_format(reader: &mut Reader<'_>) -> Result<Self, CorruptedState> {
        let stream = reader.u64()?;
        let shards = reader.count(ORIGIN_BYTES - 8)?;
        let origins: Vec<Origin> = (0..shards)
            .map(|_| Ok(Origin { stream, shard: reader.u64()?, position: reader.position()? }))
            .collect::<Result<_, _>>()?;
        let seen = origins.into_iter().max_by_key(|origin| origin.position);
        Ok(Self { state: S::decode(1, reader)?, seen, ..Self::default() })
    }
}
