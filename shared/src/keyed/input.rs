//! The records of a batch, parsed: readings by device, and a dead letter for each record that is not a valid reading.

use super::ReadingId;
use crate::device::event_time::ClockSource;
use crate::device::reading::{BorrowedReading, Value};
use crate::device::registry::MAX_ID;
use crate::lake::dead_letter::{Letters, Problem, Reason};
use crate::results::LATEST_MS;
use crate::stream::batch::{Batch, Position, UserRecord};
use crate::stream::kpl::md5_all;
use crate::stream::slot::{Slot, Slots};
use std::borrow::Cow;
use std::collections::HashMap;

/// How far ahead of its arrival the time of a reading may be, in milliseconds: a year, the most skew that a profile allows a
/// clock.
const SKEW_MS_MAX: i64 = 366 * 24 * 60 * 60 * 1_000;

/// A reading, and the record that it came in.
pub(super) struct ReadingRecord<'a> {
    pub(super) source: UserRecord<'a>,
    pub(super) reading: ReadingFields<'a>,
    pub(super) id: ReadingId,
    pub(super) value: Value,
}

/// The fields of a reading that are needed when its device is computed. There are thousands, far apart in memory by then:
/// the smaller each is, the more fit into the cache.
pub(super) struct ReadingFields<'a> {
    pub(super) metric: Cow<'a, str>,
    pub(super) facility: Cow<'a, str>,
    pub(super) at: i64,
    pub(super) clock: ClockSource,
    pub(super) received_at: i64,
}

/// A device's part of a batch.
pub(super) struct DeviceReadings<'a, 'p> {
    pub(super) id: &'a str,
    pub(super) slot: Slot,
    pub(super) readings: Vec<&'p ReadingRecord<'a>>,
}

impl DeviceReadings<'_, '_> {
    /// The problem of a device whose slot is not one of its shard's: its records were not put per slot. Its state could be
    /// advanced from two shards at the same time.
    pub(super) fn problem(&self, slots: Slots) -> Option<Problem> {
        let detail =
            || format!("not put with the explicit hash key of slot {:02x}, to which its device belongs", self.slot.0);
        (!slots.contains(self.slot)).then(|| Problem { reason: Reason::NotAMessage, detail: detail() })
    }
}

/// A batch, parsed.
#[derive(Default)]
pub(super) struct ParsedBatch<'a> {
    /// The readings in the stream's order, each with the index of its device.
    readings: Vec<(usize, ReadingRecord<'a>)>,
    /// The devices in the order in which they first occur, each with how many readings it has.
    devices: Vec<(&'a str, usize)>,
    /// Records that are not valid readings.
    pub(super) letters: Letters<'a>,
    /// The last record.
    pub(super) last: Option<Position>,
    /// How many user records.
    pub(super) records: usize,
    /// Their bytes.
    pub(super) bytes: usize,
    /// Readings whose values are of kinds that the rule does not take.
    pub(super) skipped: usize,
}

impl<'a> ParsedBatch<'a> {
    /// Parses all of `batch`, and keeps the readings whose values `takes` accepts. Never fails: malformed records become dead
    /// letters.
    pub(super) fn of(batch: &'a Batch, takes: impl Fn(&Value) -> bool) -> Self {
        let mut parsed = Self::default();
        let mut known: HashMap<&'a str, usize> = HashMap::new();
        let mut metric = "";
        for source in batch.user_records() {
            parsed.records += 1;
            parsed.last = Some(source.position());
            parsed.bytes += source.data.len();
            match parse(&source) {
                Ok(reading) if !takes(&reading.value) => parsed.skipped += 1,
                Ok(mut reading) => {
                    // Copy the fields now, while the record is still in the processor's cache. A name that equals the last
                    // one borrows from where that one is.
                    match &reading.metric {
                        Cow::Borrowed(name) if *name == metric => reading.metric = Cow::Borrowed(metric),
                        Cow::Borrowed(name) => metric = name,
                        Cow::Owned(_) => {}
                    }
                    let id = ReadingId::of(&reading.id, reading.received_at);
                    let BorrowedReading { metric, facility, at, clock, received_at, value, .. } = reading;
                    let reading = ReadingFields { metric, facility, at, clock, received_at };
                    // The partition key is the device.
                    let device = *known.entry(source.partition_key).or_insert_with(|| {
                        parsed.devices.push((source.partition_key, 0));
                        parsed.devices.len() - 1
                    });
                    parsed.devices[device].1 += 1;
                    parsed.readings.push((device, ReadingRecord { source, reading, id, value }));
                }
                Err(problem) => parsed.letters.reject(&source, None, problem),
            }
        }
        parsed
    }

    /// Each device with its slot, and its readings in the stream's order.
    pub(super) fn devices(&self) -> Vec<DeviceReadings<'a, '_>> {
        let ids: Vec<&[u8]> = self.devices.iter().map(|(id, _)| id.as_bytes()).collect();
        let slots = md5_all(&ids).into_iter().map(|digest| Slot(digest[0]));
        let devices = self.devices.iter().zip(slots);
        let mut devices: Vec<_> = devices
            .map(|((id, count), slot)| DeviceReadings { id, slot, readings: Vec::with_capacity(*count) })
            .collect();
        for (device, reading) in &self.readings {
            devices[*device].readings.push(reading);
        }
        devices
    }
}

fn parse<'a>(source: &UserRecord<'a>) -> Result<BorrowedReading<'a>, Problem> {
    let invalid = |detail: String| Problem { reason: Reason::NotAMessage, detail: format!("not a reading: {detail}") };
    let reading = BorrowedReading::parse(source.data).map_err(|error| invalid(place(&error)))?;
    if reading.device_id.is_empty() || reading.device_id.len() > MAX_ID {
        let bytes = reading.device_id.len();
        return Err(invalid(format!("deviceId has {bytes} bytes, from 1 to {MAX_ID} are allowed")));
    }
    if reading.device_id != source.partition_key {
        // Otherwise two shards would hold one device, and its positions would not grow.
        return Err(invalid("its partition key is not its deviceId".to_owned()));
    }
    for (field, text) in [("id", &reading.id), ("metric", &reading.metric)] {
        if text.is_empty() || text.len() > 2 * MAX_ID {
            return Err(invalid(format!("{field} has {} bytes, from 1 to {} are allowed", text.len(), 2 * MAX_ID)));
        }
    }
    // After a loss, results are flagged up to the newest time that was acknowledged. So no time may be far ahead.
    let latest_ms = LATEST_MS.min(source.arrived_ms.saturating_add(SKEW_MS_MAX));
    if !(0..=latest_ms).contains(&reading.at) {
        let detail = format!("at is {}, from 0 to {latest_ms} are allowed", reading.at);
        return Err(Problem { reason: Reason::TimeBeyondBelief, detail });
    }
    match (reading.value.problem(), &reading.value) {
        (None, _) => Ok(reading),
        (Some(problem), Value::Number(_)) => {
            Err(Problem { reason: Reason::NotANumber, detail: format!("value: {problem}") })
        }
        (Some(problem), _) => Err(invalid(format!("value: {problem}"))),
    }
}

/// Where the JSON is wrong. Shows nothing of the record itself.
fn place(error: &serde_json::Error) -> String {
    format!("{:?} error in JSON at line {}, column {}", error.classify(), error.line(), error.column())
}

#[cfg(test)]
mod tests;
