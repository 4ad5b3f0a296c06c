//! What was sent against what came of it. Pure: evidence in, a verdict out, so that each way to fail is a test.

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

/// Examples of one kind of failure that are named.
const EXAMPLES: usize = 5;

/// Whether the promises were kept.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// SentMessage, on the stream, in the lake.
    pub archive: Archive,
    /// What was decoded.
    pub readings: Readings,
    /// What could not be.
    pub dead_letters: Letters,
    /// What was computed.
    pub averages: Averages,
    /// Each promise that was broken, in words; empty when all were kept.
    pub broken: Vec<String>,
}

/// Messages that are the same to the stream: a producer's repetitions, and what MQTT delivered again.
#[derive(Debug)]
struct Group<'a> {
    /// Those that were sent; at least one.
    sent: Vec<&'a SentMessage>,
    /// Their records on the stream.
    records: Vec<&'a Record>,
}

/// Compares everything.
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

/// Notes a broken promise with its first examples, if there are any.
fn complain(broken: &mut Vec<String>, promise: &str, examples: &[String]) {
    if examples.is_empty() {
        return;
    }
    let named = examples.iter().take(EXAMPLES).cloned().collect::<Vec<_>>().join("; ");
    let more = if examples.len() > EXAMPLES { "; …" } else { "" };
    broken.push(format!("{promise}: {} ({named}{more})", examples.len()));
}

#[cfg(test)]
mod tests;
