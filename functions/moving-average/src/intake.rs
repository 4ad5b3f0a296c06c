//! A batch's user records, read: numbers by device, and a dead letter for whatever is no reading.

use myaku::device::reading::{BorrowedReading, Value};
use myaku::device::registry::MAX_ID;
use myaku::lake::dead_letter::{DeadLetter, Reason};
use myaku::stream::batch::{Batch, UserRecord};
use myaku::window::id_digest;
use std::borrow::Cow;
use std::collections::HashMap;

/// Thirteen digits of milliseconds, the year 2286: beyond it no key of history sorts, and no clock is right.
const LATEST_MS: i64 = 9_999_999_999_999;

/// A number, with the record that it came in.
pub(crate) struct Taken<'a> {
    pub(crate) source: UserRecord<'a>,
    pub(crate) reading: Kept<'a>,
    /// [`id_digest`] of its id.
    pub(crate) id: u64,
    pub(crate) value: f64,
}

/// What is asked of a reading later, when its device's turn comes: thousands of them are far apart in memory then, and the
/// less each takes, the more are near.
pub(crate) struct Kept<'a> {
    pub(crate) metric: Cow<'a, str>,
    pub(crate) facility: Cow<'a, str>,
    pub(crate) unit: Cow<'a, str>,
    pub(crate) at: i64,
    pub(crate) received_at: i64,
}

/// A batch, read.
#[derive(Default)]
pub(crate) struct Intake<'a> {
    /// The numbers in the stream's order, each with the index of its device.
    taken: Vec<(usize, Taken<'a>)>,
    /// The devices in the order in which they first occur, each with how many numbers it has.
    devices: Vec<(&'a str, usize)>,
    /// What is no reading.
    pub(crate) letters: Vec<DeadLetter>,
    /// User records.
    pub(crate) records: usize,
    /// Their bytes.
    pub(crate) bytes: usize,
    /// Texts, booleans and positions, which have no average.
    pub(crate) skipped: usize,
}

impl<'a> Intake<'a> {
    /// Reads all of `batch`. Nothing in it can fail this.
    pub(crate) fn parse(batch: &'a Batch) -> Self {
        let mut intake = Self::default();
        let mut known: HashMap<&'a str, usize> = HashMap::new();
        let mut metric = "";
        for source in batch.user_records() {
            intake.records += 1;
            intake.bytes += source.data.len();
            match parse(&source) {
                Ok(mut reading) => match reading.value {
                    Value::Number(value) => {
                        // Its bytes are at hand now, and far when its device's turn comes: what is asked of them then is
                        // taken here, and a name that is the last one's stands where that does.
                        match &reading.metric {
                            Cow::Borrowed(name) if *name == metric => reading.metric = Cow::Borrowed(metric),
                            Cow::Borrowed(name) => metric = name,
                            Cow::Owned(_) => {}
                        }
                        let id = id_digest(&reading.id);
                        let BorrowedReading { metric, facility, unit, at, received_at, .. } = reading;
                        let reading = Kept { metric, facility, unit, at, received_at };
                        // The partition key is the device.
                        let device = *known.entry(source.partition_key).or_insert_with(|| {
                            intake.devices.push((source.partition_key, 0));
                            intake.devices.len() - 1
                        });
                        intake.devices[device].1 += 1;
                        intake.taken.push((device, Taken { source, reading, id, value }));
                    }
                    Value::Boolean(_) | Value::Text(_) | Value::Position(_) => intake.skipped += 1,
                },
                Err((reason, detail)) => intake.letters.push(letter(batch, &source, None, reason, detail)),
            }
        }
        intake
    }

    /// Each device with its numbers, in the stream's order.
    pub(crate) fn devices(&self) -> Vec<(&'a str, Vec<&Taken<'a>>)> {
        let mut devices: Vec<_> =
            self.devices.iter().map(|(id, numbers)| (*id, Vec::with_capacity(*numbers))).collect();
        for (device, taken) in &self.taken {
            devices[*device].1.push(taken);
        }
        devices
    }
}

fn parse<'a>(source: &UserRecord<'a>) -> Result<BorrowedReading<'a>, (Reason, String)> {
    let no_reading = |detail: String| (Reason::NotAMessage, format!("not a reading: {detail}"));
    let reading = BorrowedReading::parse(source.data).map_err(|error| no_reading(place(&error)))?;
    if reading.device_id.is_empty() || reading.device_id.len() > MAX_ID {
        return Err(no_reading(format!(
            "deviceId has {} bytes, from 1 to {MAX_ID} are allowed",
            reading.device_id.len()
        )));
    }
    if reading.device_id != source.partition_key {
        // Else two shards would hold one device, and its positions would not grow.
        return Err(no_reading("the partition key is not its device".to_owned()));
    }
    for (field, text) in [("id", &reading.id), ("metric", &reading.metric)] {
        if text.is_empty() || text.len() > 2 * MAX_ID {
            return Err(no_reading(format!("{field} has {} bytes, from 1 to {} are allowed", text.len(), 2 * MAX_ID)));
        }
    }
    if !(0..=LATEST_MS).contains(&reading.at) {
        return Err((Reason::TimeBeyondBelief, format!("at is {}", reading.at)));
    }
    match reading.value {
        Value::Number(value) if !value.is_finite() => Err((Reason::NotANumber, "value is not finite".to_owned())),
        _ => Ok(reading),
    }
}

/// Where the JSON is wrong, without a word of what it says.
fn place(error: &serde_json::Error) -> String {
    format!("{:?} error in JSON at line {}, column {}", error.classify(), error.line(), error.column())
}

/// The dead letter of a record.
pub(crate) fn letter(
    batch: &Batch,
    source: &UserRecord<'_>,
    device_id: Option<&str>,
    reason: Reason,
    detail: String,
) -> DeadLetter {
    DeadLetter {
        stream: batch.stream.clone(),
        shard: batch.shard.clone(),
        position: source.position(),
        index: None,
        partition_key: source.partition_key.to_owned(),
        arrived_ms: source.arrived_ms,
        device_id: device_id.map(str::to_owned),
        reason,
        detail,
        data: source.data.to_vec(),
    }
}
