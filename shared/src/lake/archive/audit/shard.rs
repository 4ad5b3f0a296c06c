//! What Kinesis says of the shards, and DynamoDB of the heads.

use super::{Finding, Kind, Seen};
use crate::lake::archive::Head;
use crate::stream::batch::SequenceNumber;
use std::collections::BTreeMap;

/// From where to where a shard has sequence numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// `StartingSequenceNumber`: below or at its first record.
    pub starting: Option<SequenceNumber>,
    /// `EndingSequenceNumber`: at or above its last record; `None` while it is open.
    pub ending: Option<SequenceNumber>,
}

/// The shards that the stream still knows, by their ids. It forgets a closed one when its last record is too old.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lineage(BTreeMap<String, Span>);

impl FromIterator<(String, Span)> for Lineage {
    fn from_iter<I: IntoIterator<Item = (String, Span)>>(shards: I) -> Self {
        Self(shards.into_iter().collect())
    }
}

impl Lineage {
    /// Judges an object by the shard that its key names.
    ///
    /// Ids are given in ascending order, at a fixed width: what stands behind all that are known was never given, and what
    /// stands among them may be forgotten.
    pub fn judge(&self, object: &Seen) -> Option<Finding> {
        let shard = object.key.of.shard.as_str();
        let Some(span) = self.0.get(shard) else {
            let newest = self.0.last_key_value()?.0;
            let given = shard.starts_with("shardId-") && shard < newest.as_str();
            return (!given)
                .then(|| Finding::new(Kind::Foreign, &object.key, format!("the stream never had a shard {shard}")));
        };
        let extent = object.extent.as_ref().ok()?;
        let (first, last) = (extent.first.sequence, extent.last.sequence);
        let what = if let Some(starting) = span.starting.filter(|starting| first < *starting) {
            format!("it begins at {first}, and Kinesis says that its shard begins at {starting}")
        } else {
            let ending = span.ending.filter(|ending| last > *ending)?;
            format!("it ends at {last}, and Kinesis says that its shard ended at {ending}")
        };
        Some(Finding::new(Kind::Misplaced, &object.key, what))
    }
}

/// Judges the head of `shard` by the objects of the hour that it names: one in an open-ended slot must end there, since
/// a head moves past such objects only, and they are never deleted. That it is behind is no finding.
pub fn judge_head(shard: &str, head: &Head, hour: &[Seen]) -> Option<Finding> {
    let is_end = |seen: &Seen| match &seen.extent {
        Ok(extent) => seen.key.slot.is_open_ended() && extent.last == head.last,
        // It may be the one: what is wrong with it is told elsewhere.
        Err(_) => seen.key.slot.is_open_ended() && seen.key.slot.contains(head.last),
    };
    let what = || format!("it says {:?} in {}, and no object in an open-ended slot ends there", head.last, head.hour);
    (!hour.iter().any(is_end)).then(|| Finding::new(Kind::Head, format_args!("head {shard}"), what()))
}
