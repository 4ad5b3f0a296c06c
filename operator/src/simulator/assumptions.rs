//! What the model assumes, and the steps in which its time passes.

/// The length of a step, in seconds.
pub(super) const STEP_S: u32 = 10;
/// Steps of a minute.
pub(super) const MINUTE_STEPS: u32 = 60 / STEP_S;

/// What the model assumes. The durations are observations, not promises of AWS.
#[derive(Clone, Debug)]
pub struct Assumptions {
    /// Bytes of a record, including its partition key.
    pub record_bytes: f64,
    /// Consumers of the stream, all without enhanced fan-out.
    pub consumers: u32,
    /// How long after the end of a minute its metrics arrive, in seconds.
    pub metrics_delay_s: u32,
    /// How long a split or a merge takes, and an `UpdateShardCount` besides its time for each shard, in seconds.
    pub reshard_s: u32,
    /// The seed of everything random: the hot key, and the sampled keys.
    pub seed: u64,
}

impl Default for Assumptions {
    fn default() -> Self {
        Self { record_bytes: 1_024.0, consumers: 2, metrics_delay_s: 60, reshard_s: 30, seed: 1 }
    }
}
