//! The first promise: the lake holds every record of the stream exactly once, and the stream every message.

use super::{Group, complain};
use crate::demo::evidence::{Evidence, Fingerprint, lake::Line};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// Counts of messages and records on their way to the lake.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Archive {
    /// Messages that were sent, repetitions included.
    pub sent: usize,
    /// Sent messages that the stream does not hold.
    pub not_on_stream: usize,
    /// User records of the stream.
    pub on_stream: usize,
    /// Of these, messages that were delivered to it more often than they were sent (at least once allows it).
    pub delivered_again: usize,
    /// Lines of the lake.
    pub archived: usize,
    /// User records of the stream that the lake does not hold.
    pub lost: usize,
    /// Lines of the lake beyond the first of the same record.
    pub archived_twice: usize,
    /// Lines of the lake with other bytes than the stream has.
    pub altered: usize,
    /// Lines of the lake that the stream does not have.
    pub invented: usize,
}

pub(super) fn compare(
    evidence: &Evidence,
    groups: &BTreeMap<Fingerprint, Group<'_>>,
    broken: &mut Vec<String>,
) -> Archive {
    let mut lines = HashMap::<(&str, u64), Vec<&Line>>::new();
    for line in &evidence.lake {
        lines.entry((line.sequence.as_str(), line.sub)).or_default().push(line);
    }
    let (mut lost, mut twice, mut altered, mut strangers) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for record in &evidence.stream {
        let name = format!("{} {}.{}", record.shard, record.sequence, record.sub);
        if !groups.contains_key(&Fingerprint::of_record(&record.data)) {
            strangers.push(name.clone());
        }
        let Some(found) = lines.remove(&(record.sequence.as_str(), record.sub)) else {
            lost.push(name);
            continue;
        };
        if found.iter().any(|line| line.data != record.data) {
            altered.push(name);
        }
        twice.extend(found.iter().skip(1).map(|line| format!("{}.{} in {}", line.sequence, line.sub, line.object)));
    }
    let invented = lines.values().flatten().map(|line| format!("{}.{} in {}", line.sequence, line.sub, line.object));
    let invented = invented.collect::<Vec<_>>();
    let missing = groups.values().flat_map(|group| group.sent.iter().skip(group.records.len()));
    let missing =
        missing.map(|sent| format!("message {} of {}", sent.planned.number, sent.planned.device)).collect::<Vec<_>>();
    complain(broken, "messages that were sent are not on the stream", &missing);
    complain(broken, "records of the stream were never sent", &strangers);
    complain(broken, "records are lost: the lake does not hold them", &lost);
    complain(broken, "records are archived twice", &twice);
    complain(broken, "records are archived with other bytes", &altered);
    complain(broken, "lines of the lake are of no record of the stream", &invented);
    Archive {
        sent: evidence.sent.len(),
        not_on_stream: missing.len(),
        on_stream: evidence.stream.len(),
        delivered_again: groups.values().map(|group| group.records.len().saturating_sub(group.sent.len())).sum(),
        archived: evidence.lake.len(),
        lost: lost.len(),
        archived_twice: twice.len(),
        altered: altered.len(),
        invented: invented.len(),
    }
}
