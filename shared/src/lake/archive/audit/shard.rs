//! Audits objects and heads by what Kinesis knows of the shards, and DynamoDB of the heads.

use super::{AuditedObject, Finding, Kind};
use crate::lake::archive::{Head, ObjectKey};
use crate::stream::batch::SequenceNumber;
use std::collections::BTreeMap;

/// The range of a shard's sequence numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// `StartingSequenceNumber`: at or below its first record.
    pub starting: Option<SequenceNumber>,
    /// `EndingSequenceNumber`: at or above its last record; `None` while the shard is open.
    pub ending: Option<SequenceNumber>,
}

/// The shards that the stream still lists, by their ids. A stream drops a closed shard when its last record expires.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lineage(BTreeMap<String, Span>);

impl FromIterator<(String, Span)> for Lineage {
    fn from_iter<I: IntoIterator<Item = (String, Span)>>(shards: I) -> Self {
        Self(shards.into_iter().collect())
    }
}

impl Lineage {
    /// Judges a key by the shard that it names.
    ///
    /// Kinesis assigns ids in ascending order, with a fixed width. So an id above all known ones was never assigned,
    /// and an unknown id below them may be that of a dropped shard.
    pub fn judge_key(&self, key: &ObjectKey) -> Option<Finding> {
        let shard = key.of.shard.as_str();
        let newest = self.0.last_key_value()?.0;
        let assigned = self.0.contains_key(shard) || (shard.starts_with("shardId-") && shard < newest.as_str());
        (!assigned).then(|| Finding::new(Kind::Foreign, key, format!("the stream never had a shard {shard}")))
    }

    /// Judges an object by the shard that its key names, and by its records.
    pub fn judge(&self, object: &AuditedObject) -> Option<Finding> {
        let Some(span) = self.0.get(&object.key.of.shard) else { return self.judge_key(&object.key) };
        let extent = object.extent.as_ref().ok()?;
        let (first, last) = (extent.first.sequence, extent.last.sequence);
        let what = if let Some(starting) = span.starting.filter(|starting| first < *starting) {
            format!("it begins at {first}, but Kinesis says that its shard begins at {starting}")
        } else {
            let ending = span.ending.filter(|ending| last > *ending)?;
            format!("it ends at {last}, but Kinesis says that its shard ended at {ending}")
        };
        Some(Finding::new(Kind::Misplaced, &object.key, what))
    }
}

/// Judges the head of `shard` by the objects of the hour that it names. An object in an open-ended slot must end there:
/// a head only moves to the end of such objects, and objects are never deleted. An old head is not a finding.
pub fn judge_head(shard: &str, head: &Head, hour: &[AuditedObject]) -> Option<Finding> {
    let is_end = |object: &AuditedObject| match &object.extent {
        Ok(extent) => object.key.slot.is_open_ended() && extent.last == head.last,
        // The object may end there; its damage is a finding of its own.
        Err(_) => object.key.slot.is_open_ended() && object.key.slot.contains(head.last),
    };
    let what = || format!("it is at {:?} in {}, but no object in an open-ended slot ends there", head.last, head.hour);
    (!hour.iter().any(is_end)).then(|| Finding::new(Kind::Head, format_args!("head {shard}"), what()))
}
