//! Reads an event in the form in which Lambda writes it, and looks at each byte as seldom as possible.
//!
//! The records of an event differ in five values only: partition key, sequence number, data, arrival time, and the
//! sequence number within the event's id. So the first record is parsed as JSON, and the text between those values
//! becomes a template. A later record matches the template if the text between its values is the same, byte for byte,
//! and if its values need no unescaping. Then a JSON parser would read the same record. Anything else (other members,
//! another order, spaces, escapes) is left to the plain reader, which also words the errors.

use super::{EventError, invalid_base64, invalid_record, shard_of, stream_of};
use crate::stream::batch::{Batch, SequenceNumber, StreamRecord};
use base64_simd::STANDARD;
use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use memchr::{memchr, memchr2};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::ops::Range;

/// How an event begins.
const OPENING: &[u8] = br#"{"Records":["#;
/// How it ends.
const CLOSING: &[u8] = b"]}";
/// A time in seconds with this many digits is always before the end of the year 9999.
const SECONDS_DIGITS_MAX: usize = 11;

/// The first record of an event; its texts need no unescaping.
#[derive(Deserialize)]
struct FirstRecord<'a> {
    #[serde(borrow)]
    kinesis: Kinesis<'a>,
    #[serde(rename = "eventID")]
    event_id: &'a str,
    #[serde(rename = "eventSourceARN")]
    event_source_arn: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kinesis<'a> {
    partition_key: &'a str,
    sequence_number: &'a str,
    data: &'a str,
    #[serde(borrow)]
    approximate_arrival_timestamp: &'a RawValue,
}

/// The values in which records differ.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Value {
    Key,
    Sequence,
    Data,
    Arrived,
    /// The sequence number in the event's id.
    Id,
}

/// The text before each of a record's values, in their order, and the text after the last.
struct Template<'a> {
    values: [(&'a [u8], Value); 5],
    tail: &'a [u8],
}

/// Where the values of an event's records are.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Spans {
    stream: String,
    shard: String,
    records: Vec<Span>,
}

/// Where the values of a record are. An event has up to ten thousand records, so the numbers are small ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Span {
    arrived_ms: i64,
    key: Range<u32>,
    sequence: Range<u32>,
    /// In base64.
    data: Range<u32>,
}

/// Finds the records of `event`; `None` if the plain reader has to read it.
pub(super) fn scan(event: &[u8]) -> Option<Spans> {
    u32::try_from(event.len()).ok()?;
    let body = event.strip_prefix(OPENING)?;
    let mut records = serde_json::Deserializer::from_slice(body).into_iter::<FirstRecord<'_>>();
    let first = records.next()?.ok()?;
    let template = Template::of(body.get(..records.byte_offset())?, &first)?;
    let mut spans = Spans {
        stream: stream_of(first.event_source_arn)?.to_owned(),
        shard: shard_of(first.event_id)?.to_owned(),
        records: Vec::with_capacity(event.len() / records.byte_offset() + 1),
    };
    let mut at = OPENING.len();
    loop {
        let (span, end) = template.read(event, at)?;
        spans.records.push(span);
        match event.get(end)? {
            b',' => at = end + 1,
            _ if &event[end..] == CLOSING => return Some(spans),
            _ => return None,
        }
    }
}

impl<'a> Template<'a> {
    /// The template that `record` matches, which was parsed to `first`.
    fn of(record: &'a [u8], first: &FirstRecord<'a>) -> Option<Self> {
        // Each text borrows from the record, so its address says where in the record it is.
        let range_of = |text: &str| {
            let begin = text.as_ptr().addr().checked_sub(record.as_ptr().addr())?;
            (begin + text.len() <= record.len()).then_some(begin..begin + text.len())
        };
        let shard = shard_of(first.event_id)?;
        let mut ranges = [
            (range_of(first.kinesis.partition_key)?, Value::Key),
            (range_of(first.kinesis.sequence_number)?, Value::Sequence),
            (range_of(first.kinesis.data)?, Value::Data),
            (range_of(first.kinesis.approximate_arrival_timestamp.get())?, Value::Arrived),
            (range_of(&first.event_id[shard.len() + 1..])?, Value::Id),
        ];
        ranges.sort_unstable_by_key(|(range, _)| range.start);
        let mut end = 0;
        let mut values = [(&record[..0], Value::Key); 5];
        for (slot, (range, value)) in values.iter_mut().zip(ranges) {
            *slot = (record.get(end..range.start)?, value);
            end = range.end;
        }
        Some(Self { values, tail: &record[end..] })
    }

    /// Reads the record that begins at `at`. Returns the record and where it ends.
    fn read(&self, event: &[u8], mut at: usize) -> Option<(Span, usize)> {
        let mut span = Span::default();
        for (before, value) in &self.values {
            at = skip_literal(event, at, before)?;
            let len = match value {
                Value::Arrived => event[at..].iter().position(|byte| !matches!(byte, b'0'..=b'9' | b'.'))?,
                // A value with a backslash seems to end there; then the text after it does not match.
                _ => memchr2(b'"', b'\\', &event[at..])?,
            };
            let text = &event[at..at + len];
            let range = at as u32..(at + len) as u32;
            match value {
                Value::Key if text.iter().all(|&byte| byte >= b' ') => span.key = range,
                Value::Sequence => {
                    SequenceNumber::from_digits(text)?;
                    span.sequence = range;
                }
                Value::Data => span.data = range,
                Value::Arrived => span.arrived_ms = milliseconds(text)?,
                Value::Id if text.iter().all(u8::is_ascii_digit) => {}
                Value::Key | Value::Id => return None,
            }
            at += len;
        }
        Some((span, skip_literal(event, at, self.tail)?))
    }
}

/// The end of `literal`, if the event has it at `at`.
fn skip_literal(event: &[u8], at: usize, literal: &[u8]) -> Option<usize> {
    event[at..].starts_with(literal).then_some(at + literal.len())
}

/// Converts seconds with up to three decimals to milliseconds.
fn milliseconds(text: &[u8]) -> Option<i64> {
    let point = memchr(b'.', text).unwrap_or(text.len());
    let (whole, fraction) = (&text[..point], text.get(point + 1..));
    let is_plain = !whole.is_empty() && whole.len() <= SECONDS_DIGITS_MAX && (whole[0] != b'0' || whole.len() == 1);
    let decimals = fraction.map_or(0, <[u8]>::len);
    if !is_plain || decimals > 3 || fraction.is_some_and(<[u8]>::is_empty) {
        return None;
    }
    let mut ms = 0_i64;
    for digit in whole.iter().chain(fraction.unwrap_or_default()) {
        // This also refuses a second point.
        ms = ms * 10 + i64::from(digit.is_ascii_digit().then(|| digit - b'0')?);
    }
    Some(ms * [1_000, 100, 10, 1][decimals])
}

impl Spans {
    /// The batch, whose records are views into the memory of `event`. Their values are moved together to its beginning,
    /// where the functions that use them read them faster.
    pub(super) fn decode(mut self, event: Bytes) -> Result<Batch, EventError> {
        let mut memory = event.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]));
        let mut end = 0;
        for (index, span) in self.records.iter_mut().enumerate() {
            let decoded =
                STANDARD.decode_inplace(&mut memory[to_usize_range(&span.data)]).map_err(|_| invalid_base64(index))?;
            span.data.end = span.data.start + decoded.len() as u32;
            // The first value moves first: then none overwrites another that has not moved yet.
            let mut values = [&mut span.key, &mut span.sequence, &mut span.data];
            values.sort_unstable_by_key(|value| value.start);
            for value in values {
                memory.copy_within(to_usize_range(value), end as usize);
                *value = end..end + value.len() as u32;
                end = value.end;
            }
        }
        let memory = memory.freeze();
        let mut batch =
            Batch { stream: self.stream, shard: self.shard, records: Vec::with_capacity(self.records.len()) };
        for (index, span) in self.records.into_iter().enumerate() {
            let sequence = SequenceNumber::from_digits(&memory[to_usize_range(&span.sequence)]);
            let partition_key = ByteString::try_from(memory.slice(to_usize_range(&span.key)));
            batch.append(StreamRecord {
                sequence: sequence.ok_or_else(|| invalid_record(index, "sequenceNumber is not a number"))?,
                partition_key: partition_key.map_err(|_| invalid_record(index, "partitionKey is not UTF-8"))?,
                arrived_ms: span.arrived_ms,
                data: memory.slice(to_usize_range(&span.data)),
            })?;
        }
        Ok(batch)
    }
}

fn to_usize_range(range: &Range<u32>) -> Range<usize> {
    range.start as usize..range.end as usize
}
