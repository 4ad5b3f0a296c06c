//! Checks that every message became exactly its readings, with the values and times that the generator computed.

use super::{Group, report_broken};
use crate::evidence::Evidence;
use crate::evidence::stream::Record;
use crate::fingerprint::Fingerprint;
use crate::traffic::{At, Expected, Planned};
use md5::{Digest as _, Md5};
use myaku::device::reading::Value;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// Arrival times are fractions of a second in floating point, which can lose one millisecond.
const ARRIVAL_TOLERANCE_MS: i64 = 1;
/// How much a value may differ, relative to itself, because of another order of arithmetic.
const VALUE_TOLERANCE: f64 = 1e-6;

/// Counts of readings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Readings {
    /// Readings that the sent messages must become, each counted once.
    pub expected: usize,
    /// Expected readings that were found.
    pub right: usize,
    /// Expected readings that were not found.
    pub missing: usize,
    /// Readings that no message was sent for.
    pub unexpected: usize,
    /// Further records of a reading that is on the stream already, by its id; consumers count it once.
    pub repeated: usize,
}

/// A reading that is on the stream.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct FoundReading {
    pub(super) device: String,
    pub(super) metric: String,
    /// The earliest of its times.
    pub(super) at_ms: i64,
    pub(super) value: Value,
    pub(super) is_flagged: bool,
    /// Its records: the position of each, and the time in it.
    pub(super) records: Vec<(String, i64)>,
}

impl FoundReading {
    /// Its time by its records up to `position`; `None` if there are none.
    pub(super) fn at_ms_by(&self, position: &str) -> Option<i64> {
        self.records.iter().filter(|(of, _)| of.as_str() <= position).map(|(_, at_ms)| *at_ms).min()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenReading {
    id: String,
    device_id: String,
    metric: String,
    value: Value,
    at: i64,
    #[serde(default)]
    quality: Option<String>,
}

/// Returns the counts, and the readings that the averages must count.
pub(super) fn compare(
    evidence: &Evidence,
    groups: &BTreeMap<Fingerprint, Group<'_>>,
    broken: &mut Vec<String>,
) -> (Readings, Vec<FoundReading>) {
    let (mut found, repeated, unreadable) = distinct(evidence);
    let mut places = HashMap::<(String, String, i64), Vec<usize>>::new();
    for (index, reading) in found.iter().enumerate() {
        places.entry((reading.device.clone(), reading.metric.clone(), reading.at_ms)).or_default().push(index);
    }
    let mut is_taken = vec![false; found.len()];
    let mut open = Vec::new();
    for group in groups.values() {
        let planned = &group.sent[0].planned;
        open.extend(planned.readings.iter().map(|reading| (group, planned, reading)));
    }
    let expected = open.len();
    // Those whose time is exact first: one that is a millisecond off must not take the reading of another.
    for is_exact in [true, false] {
        open.retain(|(group, planned, reading)| {
            let mut times = times(reading, group).into_iter().take(if is_exact { 1 } else { usize::MAX });
            let candidate = times.find_map(|at_ms| {
                let here = places.get(&(planned.device.clone(), reading.metric.to_owned(), at_ms))?;
                here.iter().copied().find(|index| !is_taken[*index] && agrees(reading, &found[*index]))
            });
            if let Some(index) = candidate {
                is_taken[index] = true;
            }
            candidate.is_none()
        });
    }
    let describe = |(_, planned, reading): &(&Group<'_>, &Planned, &Expected)| {
        let (metric, device, number) = (reading.metric, &planned.device, planned.number);
        format!("{metric} of {device} in message {number}: {:?} at {:?}", reading.value, reading.at)
    };
    let missing: Vec<_> = open.iter().map(describe).collect();
    let unexpected = found.iter().zip(&is_taken).filter(|(_, is_taken)| !**is_taken);
    let unexpected = unexpected.map(|(reading, _)| format!("{reading:?}")).collect::<Vec<_>>();
    report_broken(broken, "readings are missing", &missing);
    report_broken(broken, "readings are unexpected", &unexpected);
    report_broken(broken, "records of the stream of readings are not readings", &unreadable);
    report_broken(broken, "readings are in another shard than the slot of their device", &astray(evidence));
    let counts = Readings {
        expected,
        right: expected - missing.len(),
        missing: missing.len(),
        unexpected: unexpected.len(),
        repeated,
    };
    // Unexpected readings are reported above; averages are checked against what was sent.
    let mut is_taken = is_taken.into_iter();
    found.retain(|_| is_taken.next().unwrap_or(false));
    (counts, found)
}

/// Returns the readings in a shard whose range does not include the first hash key of their device's slot: its devices
/// would have two consumers.
fn astray(evidence: &Evidence) -> Vec<String> {
    let is_astray = |record: &&Record| {
        let slot = u128::from(Md5::digest(&record.key)[0]) << 120;
        evidence.readings_ranges.get(&record.shard).is_some_and(|(first, last)| slot < *first || slot > *last)
    };
    let astray = evidence.readings.iter().filter(is_astray);
    astray.map(|record| format!("{} in {} at {}.{}", record.key, record.shard, record.sequence, record.sub)).collect()
}

/// Returns the readings of the stream, each id once; how many were repeated; and the records that are not readings.
fn distinct(evidence: &Evidence) -> (Vec<FoundReading>, usize, Vec<String>) {
    let mut by_id = BTreeMap::<(String, String), FoundReading>::new();
    let (mut repeated, mut unreadable) = (0, Vec::new());
    for record in &evidence.readings {
        let Ok(written) = serde_json::from_slice::<WrittenReading>(&record.data) else {
            unreadable.push(format!("{} {}.{}", record.shard, record.sequence, record.sub));
            continue;
        };
        let reading = FoundReading {
            device: written.device_id,
            metric: written.metric,
            at_ms: written.at,
            value: written.value,
            is_flagged: written.quality.is_some_and(|quality| quality != "good"),
            records: vec![(record.position(), written.at)],
        };
        match by_id.get_mut(&(reading.device.clone(), written.id.clone())) {
            None => {
                by_id.insert((reading.device.clone(), written.id), reading);
            }
            Some(known) => {
                repeated += 1;
                let mut records = std::mem::take(&mut known.records);
                records.extend_from_slice(&reading.records);
                // If the device's clock is wrong, a repeated reading has the time of its first arrival.
                if reading.at_ms < known.at_ms {
                    *known = reading;
                }
                known.records = records;
            }
        }
    }
    (by_id.into_values().collect(), repeated, unreadable)
}

/// The times that a reading may have. Of a message that arrived several times only the first arrival counts: otherwise
/// the reading could be taken for another one of the same value, which arrived together with a repetition.
fn times(reading: &Expected, group: &Group<'_>) -> Vec<i64> {
    match reading.at {
        At::Device(at_ms) => vec![at_ms],
        At::Arrival { before_ms } => {
            let first = group.records.iter().map(|record| record.arrived_ms - before_ms).min();
            first.map_or_else(Vec::new, |at| vec![at, at - ARRIVAL_TOLERANCE_MS, at + ARRIVAL_TOLERANCE_MS])
        }
    }
}

fn agrees(expected: &Expected, found: &FoundReading) -> bool {
    expected.flagged == found.is_flagged
        && match (&expected.value, &found.value) {
            (Value::Number(expected), Value::Number(found)) => is_close(*expected, *found),
            (Value::Position(expected), Value::Position(found)) => {
                is_close(expected[0], found[0]) && is_close(expected[1], found[1])
            }
            (expected, found) => expected == found,
        }
}

/// Whether two values are equal except for the order of arithmetic.
pub(super) fn is_close(left: f64, right: f64) -> bool {
    (left - right).abs() <= VALUE_TOLERANCE * left.abs().max(right.abs()).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_message_has_the_time_of_its_first_arrival() {
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
        let reading =
            Expected { metric: "spo2", value: Value::Number(94.0), at: At::Arrival { before_ms: 10 }, flagged: false };
        assert_eq!(times(&reading, &group), [7_990, 7_989, 7_991]);
    }
}
