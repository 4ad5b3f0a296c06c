//! The settings of a mapping, in the terms of `AWS::Lambda::EventSourceMapping`.

use super::filter::Filter;
use std::time::Duration;

/// Where a new mapping begins to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartingPosition {
    /// At the oldest record that the stream still holds.
    TrimHorizon,
    /// At the first record that arrives after the mapping begins.
    Latest,
    /// At the first record that arrived at or after this time, in milliseconds since the epoch.
    AtTimestamp(i64),
}

/// How long a mapping waits before it tries again. The wait doubles from `base` up to `cap`, and each wait is shortened
/// by a random part of up to one half. Lambda documents only that it backs off exponentially.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The first wait.
    pub base: Duration,
    /// The longest wait.
    pub cap: Duration,
}

impl Backoff {
    /// The wait before attempt number `failures` + 1. `jitter` is from 0 to 1.
    pub fn wait(&self, failures: u32, jitter: f64) -> Duration {
        let doubled = self.base.saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
        doubled.min(self.cap).mul_f64(1.0 - jitter.clamp(0.0, 1.0) / 2.0)
    }
}

/// A mapping's settings. [`Settings::new`] has Lambda's defaults.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The mapping's own id, a UUID, which on-failure objects carry in their keys.
    pub id: String,
    /// The stream.
    pub stream_arn: String,
    /// The function.
    pub function_arn: String,
    /// The function's role, which events carry as `invokeIdentityArn`.
    pub role_arn: String,
    /// `BatchSize`: the most records in a batch.
    pub batch_size: usize,
    /// `MaximumBatchingWindowInSeconds`: how long to wait for a batch to fill.
    pub window: Duration,
    /// `ParallelizationFactor`: concurrent batches of one shard. The records of a partition key stay in order.
    pub parallelization: usize,
    /// `FunctionResponseTypes: [ReportBatchItemFailures]`.
    pub report_batch_item_failures: bool,
    /// `BisectBatchOnFunctionError`.
    pub bisect: bool,
    /// `MaximumRetryAttempts`; `None` is Lambda's -1, no limit.
    pub max_retries: Option<u32>,
    /// `MaximumRecordAgeInSeconds`; `None` is Lambda's -1, no limit.
    pub max_age: Option<Duration>,
    /// `StartingPosition`.
    pub starting_position: StartingPosition,
    /// `TumblingWindowInSeconds`.
    pub tumbling_window: Option<Duration>,
    /// `FilterCriteria`.
    pub filter: Option<Filter>,
    /// `Enabled`, at the start; [`super::Handle::set_enabled`] changes it.
    pub enabled: bool,
    /// How often an idle shard is polled. Lambda: "at a base rate of once per second".
    pub poll_interval: Duration,
    /// The least time between two reads of a shard that lags: a shard allows five reads a second for all its readers
    /// together.
    pub read_interval: Duration,
    /// How often shards are listed. They are also listed whenever a shard ends.
    pub list_interval: Duration,
    /// The waits between attempts.
    pub backoff: Backoff,
}

/// A setting that Lambda would refuse.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} is {value}: it must be {rule}")]
pub struct SettingsError {
    /// The setting, as the template names it.
    pub name: &'static str,
    /// Its value.
    pub value: String,
    /// What is allowed.
    pub rule: &'static str,
}

impl Settings {
    /// Settings with Lambda's defaults.
    pub fn new(id: &str, stream_arn: &str, function_arn: &str, starting_position: StartingPosition) -> Self {
        Self {
            id: id.to_owned(),
            stream_arn: stream_arn.to_owned(),
            function_arn: function_arn.to_owned(),
            role_arn: "arn:aws:iam::000000000000:role/local".to_owned(),
            batch_size: 100,
            window: Duration::ZERO,
            parallelization: 1,
            report_batch_item_failures: false,
            bisect: false,
            max_retries: None,
            max_age: None,
            starting_position,
            tumbling_window: None,
            filter: None,
            enabled: true,
            poll_interval: Duration::from_secs(1),
            read_interval: Duration::from_millis(250),
            list_interval: Duration::from_secs(10),
            backoff: Backoff { base: Duration::from_millis(200), cap: Duration::from_secs(10) },
        }
    }

    /// Checks the bounds that Lambda sets.
    pub fn check(&self) -> Result<(), SettingsError> {
        let wrong = |name, value: String, rule| Err(SettingsError { name, value, rule });
        let (window_s, tumbling) = (self.window.as_secs(), self.tumbling_window);
        if !(1..=10_000).contains(&self.batch_size) {
            return wrong("BatchSize", self.batch_size.to_string(), "from 1 to 10000");
        }
        if window_s > 300 {
            return wrong("MaximumBatchingWindowInSeconds", window_s.to_string(), "from 0 to 300");
        }
        if !(1..=10).contains(&self.parallelization) {
            return wrong("ParallelizationFactor", self.parallelization.to_string(), "from 1 to 10");
        }
        if let Some(retries) = self.max_retries.filter(|retries| *retries > 10_000) {
            return wrong("MaximumRetryAttempts", retries.to_string(), "from -1 to 10000");
        }
        let age_s = self.max_age.map_or(60, |age| age.as_secs());
        if !(60..=604_800).contains(&age_s) {
            return wrong("MaximumRecordAgeInSeconds", age_s.to_string(), "-1 or from 60 to 604800");
        }
        if let Some(length) = tumbling.filter(|length| !(1..=900).contains(&length.as_secs())) {
            return wrong("TumblingWindowInSeconds", length.as_secs().to_string(), "from 1 to 900");
        }
        if tumbling.is_some() && self.parallelization > 1 {
            // A shard has one window state: two lanes would overwrite each other's aggregates.
            return wrong("ParallelizationFactor", self.parallelization.to_string(), "1 with a tumbling window");
        }
        Ok(())
    }

    /// The region that the stream's ARN names.
    pub(super) fn region(&self) -> &str {
        self.stream_arn.split(':').nth(3).unwrap_or_default()
    }
}
