//! Reading an event in the form in which Lambda writes it, without looking at each byte more often than needed.
//!
//! The records of an event differ in five values and in nothing else: partition key, sequence number, data, arrival time,
//! and the sequence number within the event's id. So the first record is read as JSON, and what stands between those
//! values becomes a template. A record behind it is one if the texts between its values are the same bytes, and if its
//! values are what can stand there without an escape: then JSON reads it as that record, too. Whatever else there may be
//! (other members, other order, spaces, escapes) is left to the plain reader, and so is the wording of what is wrong.

use super::{EventError, no_base64, shard_of, stream_of, wrong};
use crate::stream::batch::{Batch, SequenceNumber, StreamRecord};
use base64_simd::STANDARD;
use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use memchr::{memchr, memchr2};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::ops::Range;

/// What an event begins with.
const OPENING: &[u8] = br#"{"Records":["#;
/// What it ends with.
const CLOSING: &[u8] = b"]}";
/// Digits of seconds that are surely before the end of the year 9999.
const SECONDS_DIGITS_MAX: usize = 11;

/// A record whose texts need no unescaping.
#[derive(Deserialize)]
struct First<'a> {
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

/// What stands before each of a record's values, in their order, and behind the last.
struct Template<'a> {
    values: [(&'a [u8], Value); 5],
    tail: &'a [u8],
}

/// Where an event's records are.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Spans {
    stream: String,
    shard: String,
    records: Vec<Span>,
}

/// Where a record's values are. An event has up to ten thousand records: hence the small numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Span {
    arrived_ms: i64,
    key: Range<u32>,
    sequence: Range<u32>,
    /// In base64.
    data: Range<u32>,
}

/// Finds the records of `event`; `None`: it is for the plain reader.
pub(super) fn scan(event: &[u8]) -> Option<Spans> {
    u32::try_from(event.len()).ok()?;
    let body = event.strip_prefix(OPENING)?;
    let mut records = serde_json::Deserializer::from_slice(body).into_iter::<First<'_>>();
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
    /// The template of which `record` is the first instance, `first` being what was read of it.
    fn of(record: &'a [u8], first: &First<'a>) -> Option<Self> {
        // A text that was borrowed lies within the record.
        let place = |text: &str| {
            let begin = text.as_ptr().addr().checked_sub(record.as_ptr().addr())?;
            (begin + text.len() <= record.len()).then_some(begin..begin + text.len())
        };
        let shard = shard_of(first.event_id)?;
        let mut places = [
            (place(first.kinesis.partition_key)?, Value::Key),
            (place(first.kinesis.sequence_number)?, Value::Sequence),
            (place(first.kinesis.data)?, Value::Data),
            (place(first.kinesis.approximate_arrival_timestamp.get())?, Value::Arrived),
            (place(&first.event_id[shard.len() + 1..])?, Value::Id),
        ];
        places.sort_unstable_by_key(|(place, _)| place.start);
        let mut behind = 0;
        let mut values = [(&record[..0], Value::Key); 5];
        for (slot, (place, value)) in values.iter_mut().zip(places) {
            *slot = (record.get(behind..place.start)?, value);
            behind = place.end;
        }
        Some(Self { values, tail: &record[behind..] })
    }

    /// Reads the record that begins at `at`; gives where it ends, too.
    fn read(&self, event: &[u8], mut at: usize) -> Option<(Span, usize)> {
        let mut span = Span::default();
        for (before, value) in &self.values {
            at = behind(event, at, before)?;
            let len = match value {
                Value::Arrived => event[at..].iter().position(|byte| !matches!(byte, b'0'..=b'9' | b'.'))?,
                // At a backslash, what comes next is not there.
                _ => memchr2(b'"', b'\\', &event[at..])?,
            };
            let text = &event[at..at + len];
            let place = at as u32..(at + len) as u32;
            match value {
                Value::Key if text.iter().all(|&byte| byte >= b' ') => span.key = place,
                Value::Sequence => {
                    SequenceNumber::from_digits(text)?;
                    span.sequence = place;
                }
                Value::Data => span.data = place,
                Value::Arrived => span.arrived_ms = milliseconds(text)?,
                Value::Id if text.iter().all(u8::is_ascii_digit) => {}
                Value::Key | Value::Id => return None,
            }
            at += len;
        }
        Some((span, behind(event, at, self.tail)?))
    }
}

/// Where `literal` ends, if it stands at `at`.
fn behind(event: &[u8], at: usize, literal: &[u8]) -> Option<usize> {
    event[at..].starts_with(literal).then_some(at + literal.len())
}

/// Seconds with up to three decimals, in milliseconds.
fn milliseconds(text: &[u8]) -> Option<i64> {
    let point = memchr(b'.', text).unwrap_or(text.len());
    let (whole, fraction) = (&text[..point], text.get(point + 1..));
    let plain = !whole.is_empty() && whole.len() <= SECONDS_DIGITS_MAX && (whole[0] != b'0' || whole.len() == 1);
    let decimals = fraction.map_or(0, <[u8]>::len);
    if !plain || decimals > 3 || fraction.is_some_and(<[u8]>::is_empty) {
        return None;
    }
    let mut ms = 0_i64;
    for digit in whole.iter().chain(fraction.unwrap_or_default()) {
        // A second point is no digit.
        ms = ms * 10 + i64::from(digit.is_ascii_digit().then(|| digit - b'0')?);
    }
    Some(ms * [1_000, 100, 10, 1][decimals])
}

impl Spans {
    /// The batch, whose records are views into the memory of `event`. Their values move together at its begin, where whoever
    /// comes next reads them faster.
    pub(super) fn decode(mut self, event: Bytes) -> Result<Batch, EventError> {
        let mut memory = event.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]));
        let mut end = 0;
        for (index, span) in self.records.iter_mut().enumerate() {
            let decoded = STANDARD.decode_inplace(&mut memory[wide(&span.data)]).map_err(|_| no_base64(index))?;
            span.data.end = span.data.start + decoded.len() as u32;
            // What stands first moves first: then nothing runs over what is still to move.
            let mut values = [&mut span.key, &mut span.sequence, &mut span.data];
            values.sort_unstable_by_key(|value| value.start);
            for value in values {
                memory.copy_within(wide(value), end as usize);
                *value = end..end + value.len() as u32;
                end = value.end;
            }
        }
        let memory = memory.freeze();
        let mut batch =
            Batch { stream: self.stream, shard: self.shard, records: Vec::with_capacity(self.records.len()) };
        for (index, span) in self.records.into_iter().enumerate() {
            let sequence = SequenceNumber::from_digits(&memory[wide(&span.sequence)]);
            let partition_key = ByteString::try_from(memory.slice(wide(&span.key)));
            batch.append(StreamRecord {
                sequence: sequence.ok_or_else(|| wrong(index, "sequenceNumber is no number"))?,
                partition_key: partition_key.map_err(|_| wrong(index, "partitionKey is no text"))?,
                arrived_ms: span.arrived_ms,
                data: memory.slice(wide(&span.data)),
            })?;
        }
        Ok(batch)
    }
}

fn wide(range: &Range<u32>) -> Range<usize> {
    range.start as usize..range.end as usize
}
