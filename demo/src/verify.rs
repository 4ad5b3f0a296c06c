//! Compares what was sent with the evidence. It is a pure function from evidence to a verdict, so that every way to
//! fail has a test.

mod archive;
mod averages;
mod letters;
mod readings;

pub use archive::Archive;
pub use averages::{Averages, Windows};
pub use letters::Letters;
pub use readings::Readings;

use super::evidence::{Evidence, stream::Record};
use crate::fingerprint::Fingerprint;
use crate::traffic::SentMessage;
use serde::Serialize;
use std::collections::BTreeMap;

/// How many examples of one kind of failure are named.
const EXAMPLES: usize = 5;

/// Whether the promises were kept.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// Counts of what was sent, what is on the stream, and what is in the lake.
    pub archive: Archive,
    /// Counts of readings.
    pub readings: Readings,
    /// Counts of dead letters.
    pub dead_letters: Letters,
    /// Counts of averages.
    pub averages: Averages,
    /// Each promise that was broken, in words; empty when all were kept.
    pub broken: Vec<String>,
}

/// Messages that are equal on the stream: a producer's repetitions, and repeated deliveries over MQTT.
#[derive(Debug)]
struct Group<'a> {
    /// The messages that were sent; at least one.
    sent: Vec<&'a SentMessage>,
    /// Their records on the stream.
    records: Vec<&'a Record>,
}

/// Checks every promise.
pub fn verify(evidence: &Evidence, windows: &Windows) -> Verdict {
    let groups = groups(evidence);
    let mut broken = Vec::new();
    let archive = archive::compare(evidence, &groups, &mut broken);
    let (readings, matched) = readings::compare(evidence, &groups, &mut broken);
    let dead_letters = letters::compare(evidence, &groups, &mut broken);
    let averages = averages::compare(&matched, evidence, windows, &mut broken);
    Verdict { archive, readings, dead_letters, averages, broken }
}

fn groups(evidence: &Evidence) -> BTreeMap<Fingerprint, Group<'_>> {
    let mut groups = BTreeMap::<_, Group<'_>>::new();
    for sent in &evidence.sent {
        let group = groups.entry(sent.fingerprint).or_insert_with(|| Group { sent: Vec::new(), records: Vec::new() });
        group.sent.push(sent);
    }
    for record in &evidence.stream {
        if let Some(group) = groups.get_mut(&Fingerprint::of_record(&record.data)) {
            group.records.push(record);
        }
    }
    groups
}

/// Adds a broken promise with its first examples; adds nothing if there are no examples.
fn report_broken(broken: &mut Vec<String>, promise: &str, examples: &[String]) {
    if examples.is_empty() {
        return;
    }
    let named = examples.iter().take(EXAMPLES).cloned().collect::<Vec<_>>().join("; ");
    let more = if examples.len() > EXAMPLES { "; …" } else { "" };
    broken.push(format!("{promise}: {} ({named}{more})", examples.len()));
}

#[cfg(test)]
mod tests;
