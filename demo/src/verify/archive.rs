//! Checks the first promise: the stream has every message that was sent, and the lake has every record of the stream
//! exactly once, as the audit reports.

use super::{Group, report_broken};
use crate::evidence::Evidence;
use crate::evidence::stream::Record;
use crate::fingerprint::Fingerprint;
use serde::Serialize;
use std::collections::BTreeMap;

/// Counts of messages and records, from the producers to the lake.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Archive {
    /// Messages that were sent, repetitions included.
    pub sent: usize,
    /// Sent messages that the stream does not hold.
    pub not_on_stream: usize,
    /// User records of the stream.
    pub on_stream: usize,
    /// Records beyond one for each message that was sent: delivery at least once allows repeated deliveries.
    pub delivered_again: usize,
    /// Records in the lake.
    pub archived: usize,
    /// Records of the stream that the lake does not hold.
    pub lost: usize,
    /// The findings of the audit: each names a key and says what is wrong.
    pub findings: Vec<String>,
}

pub(super) fn compare(
    evidence: &Evidence,
    groups: &BTreeMap<Fingerprint, Group<'_>>,
    broken: &mut Vec<String>,
) -> Archive {
    let audit = &evidence.audit;
    let never_sent =
        evidence.stream.iter().filter(|record| !groups.contains_key(&Fingerprint::of_record(&record.data)));
    let name = |record: &Record| format!("{} {}.{}", record.shard, record.sequence, record.sub);
    let never_sent = never_sent.map(name).collect::<Vec<_>>();
    let findings = audit.findings.iter().map(ToString::to_string).collect::<Vec<_>>();
    // The audit says nothing about records that it did not compare.
    let compared = audit.stream_compared.clone().unwrap_or_default();
    let not_compared = (evidence.stream.len() as u64 != compared.records || audit.records != compared.records)
        .then(|| format!("{} records are on the stream, {} were compared", evidence.stream.len(), compared.records));
    let missing = groups.values().flat_map(|group| group.sent.iter().skip(group.records.len()));
    let missing =
        missing.map(|sent| format!("message {} of {}", sent.planned.number, sent.planned.device)).collect::<Vec<_>>();
    report_broken(broken, "messages that were sent are not on the stream", &missing);
    report_broken(broken, "the stream has records that were never sent", &never_sent);
    report_broken(broken, "the audit reports findings", &findings);
    report_broken(broken, "the audit did not compare every record", &not_compared.into_iter().collect::<Vec<_>>());
    Archive {
        sent: evidence.sent.len(),
        not_on_stream: missing.len(),
        on_stream: evidence.stream.len(),
        delivered_again: groups.values().map(|group| group.records.len().saturating_sub(group.sent.len())).sum(),
        archived: audit.records as usize,
        lost: compared.missing as usize,
        findings,
    }
}
