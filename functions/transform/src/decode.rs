//! Decodes a chunk of records into the readings and letters to make durable. Pure: the devices are already resolved.

use crate::records::ParsedRecord;
use myaku::device::profile::{Decoded, Rejection};
use myaku::device::reading::SentReading;
use myaku::device::registry::Resolved;
use myaku::lake::dead_letter::{DeadLetter, Failure, Letters, Problem, Reason};
use myaku::stream::batch::Batch;
use myaku::stream::producer::Item;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

/// The usual size of a reading as JSON, for which memory is reserved.
const READING_BYTES: usize = 256;
/// A chunk ends after the message with which its readings have so many bytes. One message adds a few megabytes at most.
const CHUNK_BYTES: usize = 2 << 20;

/// Readings and letters, each with the index of the Kinesis record that it came from, in ascending order.
#[derive(Default)]
pub(crate) struct Work<'a> {
    /// The readings as JSON, one after another.
    json: Vec<u8>,
    /// For each reading its device, which is its partition key, and its range in `json`.
    readings: Vec<(&'a str, Range<usize>)>,
    pub(crate) item_records: Vec<usize>,
    pub(crate) letters: Vec<DeadLetter>,
    pub(crate) letter_records: Vec<usize>,
    /// For each user record: its Kinesis record, and its length in bytes.
    pub(crate) sizes: Vec<(usize, usize)>,
    /// For each item, how long after its own time it arrived, in milliseconds.
    pub(crate) lateness_ms: Vec<i64>,
    /// The messages some of whose readings have the arrival's time because the device's cannot be true: each with its Kinesis
    /// record, and how many readings.
    pub(crate) clock_replaced: Vec<(usize, usize)>,
}

/// Decodes records from the front of `chunk`, until their readings fill a chunk. All their devices are in `resolved`. What
/// is rejected is added to `letters`.
pub(crate) fn decode<'a, 'b>(
    chunk: &'a [ParsedRecord<'b>],
    resolved: &'a HashMap<&str, Resolved>,
    letters: &mut Letters<'b>,
) -> Work<'a> {
    let mut work = Work { json: Vec::with_capacity(chunk.len() * READING_BYTES), ..Work::default() };
    for parsed in chunk {
        if work.json.len() >= CHUNK_BYTES {
            break;
        }
        work.sizes.push((parsed.record(), parsed.source.data.len()));
        let resolved = parsed.content.device_id().and_then(|id| resolved.get(id));
        match parsed.content.decode(resolved, parsed.source.arrived_ms) {
            Ok(decoded) => work.add(parsed, decoded, letters),
            Err((device_id, problem)) => letters.reject(&parsed.source, device_id, problem.into_owned()),
        }
    }
    work
}

/// A rejected value, as a letter lists it.
fn failure(Rejection { reason, detail, index, metric }: Rejection) -> Failure {
    let index = index.and_then(|index| u32::try_from(index).ok());
    Failure { sub: None, index, metric, problem: Problem { reason, detail } }
}

impl<'a> Work<'a> {
    /// The items to put on the stream.
    pub(crate) fn items(&self) -> Vec<Item<&str, &[u8]>> {
        self.readings.iter().map(|(key, range)| Item { key: *key, data: &self.json[range.clone()] }).collect()
    }

    /// How many user records were decoded.
    pub(crate) const fn len(&self) -> usize {
        self.sizes.len()
    }

    fn add<'b>(&mut self, parsed: &ParsedRecord<'b>, decoded: Decoded<'a>, letters: &mut Letters<'b>) {
        let sender = parsed.content.sent_by();
        if decoded.clock_replaced > 0 {
            self.clock_replaced.push((parsed.record(), decoded.clock_replaced));
        }
        let mut failures: Vec<_> = decoded.rejected.into_iter().map(failure).collect();
        for reading in decoded.readings {
            let begin = self.json.len();
            match serde_json::to_writer(&mut self.json, &SentReading { reading: &reading, sender }) {
                Ok(()) => {
                    self.lateness_ms.push(parsed.source.arrived_ms - reading.at);
                    self.item_records.push(parsed.record());
                    self.readings.push((reading.device_id, begin..self.json.len()));
                }
                // JSON can express every reading: it has only texts and finite numbers.
                Err(error) => {
                    self.json.truncate(begin);
                    let problem = Problem { reason: Reason::Undecodable, detail: error.to_string() };
                    failures.push(Failure { sub: None, index: None, metric: Some(reading.metric.to_owned()), problem });
                }
            }
        }
        letters.reject_values(&parsed.source, parsed.content.device_id(), failures);
    }

    /// Adds letters, each with the index of its Kinesis record, in ascending order.
    pub(crate) fn add_letters(&mut self, letters: Vec<(usize, DeadLetter)>) {
        (self.letter_records, self.letters) = letters.into_iter().unzip();
    }

    /// Logs one line for all letters of the chunk, without the contents of the records.
    pub(crate) fn report(&self, batch: &Batch) {
        let Some(first) = self.letters.first() else { return };
        let mut reasons = BTreeMap::<&str, usize>::new();
        for letter in &self.letters {
            *reasons.entry(letter.reason.name()).or_default() += 1;
        }
        tracing::warn!(
            stream = batch.stream,
            shard = batch.shard,
            letters = self.letters.len(),
            reasons = ?reasons,
            first = first.key(),
            "records or values go to the dead letters"
        );
    }
}
