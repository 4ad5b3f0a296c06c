//! The capacity of a shard, and the limits that Kinesis sets on changes of a stream.

use super::{Consumer, FanOut, Load};

/// Records that a shard accepts in a second.
const RECORDS_PER_S: f64 = 1_000.0;
/// Bytes that a shard accepts in a second: 1 MiB, partition keys included.
const WRITE_BYTES_PER_S: f64 = 1_048_576.0;
/// Bytes that a shard delivers in a second to all its plain consumers together: 2 MiB.
const READ_BYTES_PER_S: f64 = 2.0 * 1_048_576.0;
/// UpdateShardCount: "Scale more than ten times per rolling 24-hour period per stream" is refused.
pub const DAILY_CALLS_MAX: u32 = 10;
/// UpdateShardCount: "Scale up to more than 10000 shards in a stream" is refused.
pub const SHARDS_MAX: u32 = 10_000;

/// What one shard can carry from its producers through all its consumers, per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Capacity {
    /// Records.
    pub records_per_s: f64,
    /// Bytes.
    pub bytes_per_s: f64,
}

impl Capacity {
    /// A shard's capacity for these consumers: it accepts 1 MiB/s and 1,000 records/s, and delivers 2 MiB/s to all
    /// plain consumers together. From the third plain consumer on, reading is the limit; a consumer with enhanced
    /// fan-out does not count.
    ///
    /// ```
    /// use myaku::scaling::shards::{Capacity, Consumer, FanOut};
    /// let plain = |name: &str| Consumer { name: name.into(), fan_out: FanOut::Plain, iterator_age_ms: None };
    /// assert_eq!(Capacity::of(&[plain("a"), plain("b")]).bytes_per_s, 1_048_576.0);
    /// assert_eq!(Capacity::of(&[plain("a"), plain("b"), plain("c"), plain("d")]).bytes_per_s, 524_288.0);
    /// ```
    pub fn of(consumers: &[Consumer]) -> Self {
        let plain = consumers.iter().filter(|consumer| consumer.fan_out == FanOut::Plain).count();
        let bytes_per_s = WRITE_BYTES_PER_S.min(READ_BYTES_PER_S / plain.max(1) as f64);
        Self { records_per_s: RECORDS_PER_S, bytes_per_s }
    }

    /// A rate in shards' worth, by the limit that is nearer, records or bytes. Not rounded.
    pub fn shards_for(&self, records_per_s: f64, bytes_per_s: f64) -> f64 {
        (records_per_s / self.records_per_s).max(bytes_per_s / self.bytes_per_s)
    }

    /// Each period of a load in shards' worth; missing if records or bytes are missing.
    pub(super) fn shards_over(&self, load: &Load) -> Vec<Option<f64>> {
        let seconds = load.records.period_ms as f64 / 1_000.0;
        let pairs = load.records.values.iter().zip(&load.bytes.values);
        pairs
            .map(|(records, bytes)| match (records, bytes) {
                (Some(records), Some(bytes)) => Some(self.shards_for(records / seconds, bytes / seconds)),
                _ => None,
            })
            .collect()
    }
}
