//! The state of a stream at one moment. A value that could not be read is missing here, never zero.

use super::{Capacity, Consumer, Habits, Keyspace, KeyspaceError, Load, Series};
use crate::stream::shard_map::HashKeyRange;
use serde::{Deserialize, Serialize};

/// How a stream's capacity is bought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum StreamMode {
    /// By the shard: only such a stream can be resharded.
    #[default]
    Provisioned,
    /// By the traffic; Kinesis sizes the stream.
    OnDemand,
}

/// Whether a stream can be changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum StreamStatus {
    /// It can be changed now.
    #[default]
    Active,
    /// A change is in progress: wait.
    Updating,
    /// Kinesis is creating it: wait.
    Creating,
    /// Kinesis is deleting it.
    Deleting,
}

/// An open shard.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenShard {
    /// Its id and hash keys.
    pub range: HashKeyRange,
    /// Its own load by the minute, if enhanced shard metrics are on.
    pub load: Option<Load>,
}

/// In which direction a stream's capacity changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Direction {
    /// More shards.
    Grow,
    /// Fewer shards.
    Shrink,
    /// The same number of shards, with other boundaries.
    Even,
}

/// A finished change, for cool-downs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// When it ended, in milliseconds since the epoch.
    pub at_ms: i64,
    /// Its direction.
    pub direction: Direction,
}

/// The account's shards in this region, as DescribeLimits returns them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Shards that the account may have open; `None` if unknown.
    pub account_shards_max: Option<u32>,
    /// Shards that the account has open, this stream's included; `None` if unknown.
    pub account_shards_open: Option<u32>,
}

/// A stream at the time of the observation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observation {
    /// Its name.
    pub stream: String,
    /// How its capacity is bought.
    pub mode: StreamMode,
    /// Whether it can be changed now.
    pub status: StreamStatus,
    /// The open shards, in any order.
    pub shards: Vec<OpenShard>,
    /// Incoming records and bytes by the minute, over [`Policy::minutes_observed`](super::Policy::minutes_observed).
    pub load: Load,
    /// `WriteProvisionedThroughputExceeded`, summed by the minute: records that Kinesis refused.
    pub throttled: Series,
    /// The second signal, by the minute: a metric that has data points whether or not records arrive, such as
    /// `GetRecords.Success` of a stream with a polling consumer. A minute with a pulse and without load was silent. A
    /// minute without either is unknown.
    pub pulse: Series,
    /// What the load was like over the last days; `None` if that is not known yet.
    pub habits: Option<Habits>,
    /// All its consumers.
    pub consumers: Vec<Consumer>,
    /// When UpdateShardCount was called in the last rolling 24 hours, in milliseconds since the epoch.
    pub calls: Vec<i64>,
    /// Recent changes, by the autoscaler or by hand.
    pub changes: Vec<Change>,
    /// The account's limit.
    pub limits: Limits,
    /// Hash keys of a random sample of the whole stream's newest records; empty without a sample.
    pub sample: Vec<u128>,
}

impl Observation {
    /// The open shards as a keyspace; an error if they leave a gap or overlap.
    pub fn keyspace(&self) -> Result<Keyspace, KeyspaceError> {
        Keyspace::new(self.shards.iter().map(|shard| shard.range.clone()).collect())
    }

    /// How many shards are open.
    pub fn open(&self) -> u32 {
        u32::try_from(self.shards.len()).unwrap_or(u32::MAX)
    }

    /// What one of its shards can carry, given its consumers.
    pub fn capacity(&self) -> Capacity {
        Capacity::of(&self.consumers)
    }

    /// The number of UpdateShardCount calls in the 24 hours before `now_ms`.
    pub fn calls_used(&self, now_ms: i64) -> u32 {
        const DAY_MS: i64 = 24 * 3_600_000;
        let recent = self.calls.iter().filter(|&&at| at > now_ms - DAY_MS);
        u32::try_from(recent.count()).unwrap_or(u32::MAX)
    }

    /// The end of the last change in one of `directions`, in milliseconds since the epoch.
    pub(super) fn last_change_ms(&self, directions: &[Direction]) -> Option<i64> {
        self.changes.iter().filter(|change| directions.contains(&change.direction)).map(|change| change.at_ms).max()
    }
}
