//! Every message's readings, no more and no fewer, with the values and times that are known beforehand.

use super::{Group, complain};
use crate::evidence::Evidence;
use crate::evidence::stream::Record;
use crate::fingerprint::Fingerprint;
use crate::traffic::{At, Expected};
use md5::{Digest as _, Md5};
use myaku::device::reading::Value;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// The stream's time of arrival has milliseconds, of which a fraction of a second in floating point may lose one.
const ARRIVAL_TOLERANCE_MS: i64 = 1;
/// What arithmetic in another order may differ by, in parts of the value.
const VALUE_TOLERANCE: f64 = 1e-6;

/// Counts of readings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Readings {
    /// Those that must come of what was sent, each once.
    pub expected: usize,
    /// Those of them that were found.
    pub right: usize,
    /// Those of them that were not.
    pub missing: usize,
    /// Readings that nothing was sent for.
    pub unexpected: usize,
    /// Readings that stand on the stream again, by their id; consumers count them once.
    pub repeated: usize,
    /// Readings in a shard that is not their device's: an aggregate was put by a map of the shards that was old. Their
    /// device has two consumers for a moment.
    pub astray: usize,
}

/// A reading of the stream, and where it stands in time.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found {
    pub(super) device: String,
    pub(super) metric: String,
    pub(super) at_ms: i64,
    pub(super) value: Value,
    pub(super) is_flagged: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    id: String,
    device_id: String,
    metric: String,
    value: Value,
    at: i64,
    #[serde(default)]
    quality: Option<String>,
}

/// The counts, and the readings that must be counted in averages.
pub(super) fn compare(
    evidence: &Evidence,
    groups: &BTreeMap<Fingerprint, Group<'_>>,
    broken: &mut Vec<String>,
) -> (Readings, Vec<Found>) {
    let (mut found, repeated, unreadable) = distinct(evidence);
    let mut places = HashMap::<(String, String, i64), Vec<usize>>::new();
    for (index, reading) in found.iter().enumerate() {
        places.entry((reading.device.clone(), reading.metric.clone(), reading.at_ms)).or_default().push(index);
    }
    let mut is_taken = vec![false; found.len()];
    let (mut expected, mut missing) = (0, Vec::new());
    for group in groups.values() {
        let planned = &group.sent[0].planned;
        for reading in &planned.readings {
            expected += 1;
            let candidate = times(reading, group).into_iter().find_map(|at_ms| {
                let here = places.get(&(planned.device.clone(), reading.metric.to_owned(), at_ms))?;
                here.iter().copied().find(|index| !is_taken[*index] && agrees(reading, &found[*index]))
            });
            match candidate {
                Some(index) => is_taken[index] = true,
                None => missing.push(format!(
                    "{} of {} in message {}: {:?} at {:?}",
                    reading.metric, planned.device, planned.number, reading.value, reading.at
                )),
            }
        }
    }
    let unexpected = found.iter().zip(&is_taken).filter(|(_, is_taken)| !**is_taken);
    let unexpected = unexpected.map(|(reading, _)| format!("{reading:?}")).collect::<Vec<_>>();
    complain(broken, "readings are missing", &missing);
    complain(broken, "readings were made up", &unexpected);
    complain(broken, "records of the stream of readings are no readings", &unreadable);
    let counts = Readings {
        expected,
        right: expected - missing.len(),
        missing: missing.len(),
        unexpected: unexpected.len(),
        repeated,
        astray: astray(evidence),
    };
    // A reading that was made up is complained of above; averages are of what was sent.
    let mut is_taken = is_taken.into_iter();
    found.retain(|_| is_taken.next().unwrap_or(false));
    (counts, found)
}

/// How many readings are in a shard whose hash keys their device's is not among.
fn astray(evidence: &Evidence) -> usize {
    let is_astray = |record: &&Record| {
        let hash = u128::from_be_bytes(Md5::digest(&record.key).into());
        evidence.readings_ranges.get(&record.shard).is_some_and(|(first, last)| hash < *first || hash > *last)
    };
    evidence.readings.iter().filter(is_astray).count()
}

/// The readings of the stream, each id once, how many stood there again, and what was not readable.
fn distinct(evidence: &Evidence) -> (Vec<Found>, usize, Vec<String>) {
    let mut by_id = BTreeMap::<(String, String), Found>::new();
    let (mut repeated, mut unreadable) = (0, Vec::new());
    for record in &evidence.readings {
        let Ok(written) = serde_json::from_slice::<Written>(&record.data) else {
            unreadable.push(format!("{} {}.{}", record.shard, record.sequence, record.sub));
            continue;
        };
        let reading = Found {
            device: written.device_id,
            metric: written.metric,
            at_ms: written.at,
            value: written.value,
            is_flagged: written.quality.is_some_and(|quality| quality != "good"),
        };
        match by_id.get_mut(&(reading.device.clone(), written.id.clone())) {
            None => {
                by_id.insert((reading.device.clone(), written.id), reading);
            }
            Some(known) => {
                repeated += 1;
                // The same reading that arrived twice with a clock that is wrong counts from its first arrival.
                if reading.at_ms < known.at_ms {
                    *known = reading;
                }
            }
        }
    }
    (by_id.into_values().collect(), repeated, unreadable)
}

/// The times that a reading may have: that of the first arrival alone, however often its message came. Else it could
/// stand for another one, of the same value, that arrived when this one came again.
fn times(reading: &Expected, group: &Group<'_>) -> Vec<i64> {
    match reading.at {
        At::Device(at_ms) => vec![at_ms],
        At::Arrival => {
            let first = group.records.iter().map(|record| record.arrived_ms).min();
            first.map_or_else(Vec::new, |at| vec![at, at - ARRIVAL_TOLERANCE_MS, at + ARRIVAL_TOLERANCE_MS])
        }
    }
}

fn agrees(expected: &Expected, found: &Found) -> bool {
    expected.flagged == found.is_flagged
        && match (&expected.value, &found.value) {
            (Value::Number(expected), Value::Number(found)) => close(*expected, *found),
            (Value::Position(expected), Value::Position(found)) => {
                close(expected[0], found[0]) && close(expected[1], found[1])
            }
            (expected, found) => expected == found,
        }
}

/// Equal but for the order of arithmetic.
pub(super) fn close(left: f64, right: f64) -> bool {
    (left - right).abs() <= VALUE_TOLERANCE * left.abs().max(right.abs()).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_came_again_counts_from_its_first_arrival() {
        let record = |shard: &str, arrived_ms: i64| Record {
            shard: shard.to_owned(),
            sequence: String::new(),
            sub: 0,
            key: String::new(),
            arrived_ms,
            data: Vec::new(),
        };
        let (again, first) = (record("shardId-0", 9_000), record("shardId-1", 8_000));
        let group = Group { sent: Vec::new(), records: vec![&again, &first] };
        let reading = Expected { metric: "spo2", value: Value::Number(94.0), at: At::Arrival, flagged: false };
        assert_eq!(times(&reading, &group), [8_000, 7_999, 8_001]);
    }
}
