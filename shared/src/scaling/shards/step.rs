//! One change to a stream's shards: the unit of a plan.

use serde::{Deserialize, Serialize};

/// One call to Kinesis. The steps of a plan concern different shards, all open when the plan is made. So each step
/// stays valid whether or not the others succeed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "call")]
pub enum Step {
    /// Divides the keyspace again, into `target` shards of the same width.
    UpdateShardCount {
        /// The number of shards afterwards.
        target: u32,
    },
    /// Splits a shard in two.
    Split {
        /// The shard.
        shard: String,
        /// The first hash key of the second half.
        #[serde(with = "decimal")]
        at: u128,
    },
    /// Merges two neighbours.
    Merge {
        /// One shard.
        shard: String,
        /// The shard to the left or to the right of it.
        adjacent: String,
    },
}

/// Hash keys as text, because readers of JSON take numbers for floating point.
mod decimal {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(value: &u128, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
