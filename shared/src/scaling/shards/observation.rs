//! What is known of a stream at one moment. What could not be learned is missing here, never zero.

use super::demand::Habits;
use super::{Capacity, Keyspace, KeyspaceError};
use crate::stream::shard_map::HashKeyRange;
use serde::{Deserialize, Serialize};

/// How a stream's capacity is bought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum StreamMode {
    /// By the shard: only such a stream can be resharded.
    #[default]
    Provisioned,
    /// By what it carries; Kinesis sizes it.
    OnDemand,
}

/// Whether a stream can be changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum StreamStatus {
    /// It can.
    #[default]
    Active,
    /// It is being changed: wait.
    Updating,
    /// It is being made: wait.
    Creating,
    /// It goes away.
    Deleting,
}

/// A metric by period, oldest first. Each value is the statistic over its period; `None` where there was no data point.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// The end of the newest period, in milliseconds since the epoch. Periods that are not over, or whose data points
    /// may still be on their way, are left out.
    pub end_ms: i64,
    /// The length of a period, in milliseconds.
    pub period_ms: i64,
    /// The values, the newest last.
    pub values: Vec<Option<f64>>,
}

impl Series {
    /// One-minute values that end at `end_ms`.
    pub const fn minutes(end_ms: i64, values: Vec<Option<f64>>) -> Self {
        Self { end_ms, period_ms: 60_000, values }
    }

    /// The newest `count` values, fewer if there are no more.
    pub fn newest(&self, count: usize) -> &[Option<f64>] {
        &self.values[self.values.len().saturating_sub(count)..]
    }

    /// The value of the period that ends at `end_ms`.
    pub fn ending_at(&self, end_ms: i64) -> Option<f64> {
        let back = self.end_ms.checked_sub(end_ms)?;
        if back < 0 || self.period_ms <= 0 || back % self.period_ms != 0 {
            return None;
        }
        let back = usize::try_from(back / self.period_ms).ok()?;
        self.values.len().checked_sub(back + 1).and_then(|index| self.values[index])
    }
}

/// What came in: sums by period, of the same periods.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Load {
    /// `IncomingRecords`, summed.
    pub records: Series,
    /// `IncomingBytes`, summed.
    pub bytes: Series,
}

/// An open shard.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenShard {
    /// Its id and hash keys.
    pub range: HashKeyRange,
    /// Its own load by the minute, where enhanced shard metrics are on.
    pub load: Option<Load>,
}

/// How a consumer reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FanOut {
    /// It shares each shard's 2 MiB/s with the other plain ones.
    #[default]
    Plain,
    /// It has 2 MiB/s of each shard for itself.
    Enhanced,
}

/// One who reads the stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Consumer {
    /// Its name, for the reason of a plan.
    pub name: String,
    /// How it reads.
    pub fan_out: FanOut,
    /// The greatest age of the last record read in the newest minutes, in milliseconds; missing if there was no data point.
    pub iterator_age_ms: Option<f64>,
}

/// Which way a stream's capacity went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Direction {
    /// More shards.
    Grow,
    /// Fewer shards.
    Shrink,
    /// The same shards' worth, cut elsewhere.
    Even,
}

/// A change that was made, for cool-downs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// When it was finished, in milliseconds since the epoch.
    pub at_ms: i64,
    /// Which way it went.
    pub direction: Direction,
}

/// The account's shards in this region, as DescribeLimits tells them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Shards that the account may have open; none if that is not known.
    pub account_shards_max: Option<u32>,
    /// Shards that it has open, this stream's among them.
    pub account_shards_open: Option<u32>,
}

/// A stream as it was observed.
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
    /// What came in by the minute, for as long as [`Policy::minutes_observed`](super::Policy::minutes_observed) says.
    pub load: Load,
    /// `WriteProvisionedThroughputExceeded`, summed by the minute: records that were refused.
    pub throttled: Series,
    /// The second signal, by the minute: a metric that has data points whether or not records come, such as
    /// `GetRecords.Success` of a stream with a polling consumer. A minute in which it has one, and the load has none, was
    /// silent; one in which neither has any is not known.
    pub pulse: Series,
    /// What the stream's load was like over the last days; none if that is not known yet.
    pub habits: Option<Habits>,
    /// Everyone who reads it.
    pub consumers: Vec<Consumer>,
    /// When UpdateShardCount was called in the last rolling 24 hours, in milliseconds since the epoch.
    pub calls: Vec<i64>,
    /// Changes that were made lately, whoever made them.
    pub changes: Vec<Change>,
    /// The account's limit.
    pub limits: Limits,
    /// Hash keys of records drawn at random from the newest ones of the whole stream; empty if none were drawn.
    pub sample: Vec<u128>,
}

impl Observation {
    /// The open shards as a keyspace, if they are whole.
    pub fn keyspace(&self) -> Result<Keyspace, KeyspaceError> {
        Keyspace::new(self.shards.iter().map(|shard| shard.range.clone()).collect())
    }

    /// How many shards are open.
    pub fn open(&self) -> u32 {
        u32::try_from(self.shards.len()).unwrap_or(u32::MAX)
    }

    /// What one of its shards carries, its consumers considered.
    pub fn capacity(&self) -> Capacity {
        Capacity::of(&self.consumers)
    }

    /// UpdateShardCount calls of the 24 hours before `now_ms`.
    pub fn calls_used(&self, now_ms: i64) -> u32 {
        const DAY_MS: i64 = 24 * 3_600_000;
        let recent = self.calls.iter().filter(|&&at| at > now_ms - DAY_MS);
        u32::try_from(recent.count()).unwrap_or(u32::MAX)
    }

    /// The end of the last change in one of `directions`.
    pub(super) fn last_change_ms(&self, directions: &[Direction]) -> Option<i64> {
        self.changes.iter().filter(|change| directions.contains(&change.direction)).map(|change| change.at_ms).max()
    }
}
