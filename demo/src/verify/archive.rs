//! The first promise: the stream has every message that was sent, and the lake, as the audit says, every record of the
//! stream exactly once.

use super::{Group, complain};
use crate::evidence::Evidence;
use crate::evidence::stream::Record;
use crate::fingerprint::Fingerprint;
use serde::Serialize;
use std::collections::BTreeMap;

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
    /// Records in the lake.
    pub archived: usize,
    /// Records of the stream that the lake does not hold.
    pub lost: usize,
    /// What the audit found wrong with the lake, by key and in words.
    pub findings: Vec<String>,
}

pub(super) fn compare(
    evidence: &Evidence,
    groups: &BTreeMap<Fingerprint, Group<'_>>,
    broken: &mut Vec<String>,
) -> Archive {
    let audit = &evidence.audit;
    let strangers = evidence.stream.iter().filter(|record| !groups.contains_key(&Fingerprint::of_record(&record.data)));
    let name = |record: &Record| format!("{} {}.{}", record.shard, record.sequence, record.sub);
    let strangers = strangers.map(name).collect::<Vec<_>>();
    let findings = audit.findings.iter().map(ToString::to_string).collect::<Vec<_>>();
    // What the audit has not looked at, it cannot vouch for.
    let looked_at = audit.stream_compared.unwrap_or_default();
    let unseen = (evidence.stream.len() as u64 != looked_at.records || audit.records != looked_at.records)
        .then(|| format!("{} are on the stream, {} were compared", evidence.stream.len(), looked_at.records));
    let missing = groups.values().flat_map(|group| group.sent.iter().skip(group.records.len()));
    let missing =
        missing.map(|sent| format!("message {} of {}", sent.planned.number, sent.planned.device)).collect::<Vec<_>>();
    complain(broken, "messages that were sent are not on the stream", &missing);
    complain(broken, "records of the stream were never sent", &strangers);
    complain(broken, "the audit finds the lake not whole", &findings);
    complain(broken, "the audit has not seen every record", &unseen.into_iter().collect::<Vec<_>>());
    Archive {
        sent: evidence.sent.len(),
        not_on_stream: missing.len(),
        on_stream: evidence.stream.len(),
        delivered_again: groups.values().map(|group| group.records.len().saturating_sub(group.sent.len())).sum(),
        archived: audit.records as usize,
        lost: looked_at.missing as usize,
        findings,
    }
}
