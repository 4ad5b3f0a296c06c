//! The policy for the size of a stream: what an operator can choose, with a default for each setting.

mod schedule;
mod settings;

pub use schedule::Scheduled;

use super::{DAILY_CALLS_MAX, SHARDS_MAX};
use serde::{Deserialize, Serialize};

/// A setting of a policy that is not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct PolicyError {
    /// The setting: `stream.grow_above` in a file, `RESHARD_STREAM_GROW_ABOVE` in the environment.
    pub field: String,
    /// What is wrong with it, in words.
    pub problem: String,
}

/// How the size is decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The size that the load needs, with a forecast.
    #[default]
    Target,
    /// The size times a factor, after the whole stream has been above or below a mark for some minutes.
    Stream,
    /// Shard by shard: hot shards are split, cold neighbours are merged.
    Shard,
}

/// A policy. It can be read from TOML, or any other format of serde; call [`Policy::checked`] afterwards.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// How the size is decided.
    pub mode: Mode,
    /// The fewest shards.
    pub min_shards: u32,
    /// The most shards. A plan that would need more says so.
    pub max_shards: u32,
    /// Whether shrinking is left to the operator.
    pub grow_only: bool,
    /// The least time from one growth to the next, in seconds.
    pub grow_cooldown_s: u32,
    /// The least time from any change until the stream may shrink, in seconds.
    pub shrink_cooldown_s: u32,
    /// How many of the UpdateShardCount calls of 24 hours are reserved for growing.
    pub calls_reserved: u32,
    /// The stream does not shrink while a consumer is this many seconds behind, or more.
    pub lag_max_s: u32,
    /// Minimum sizes by the time of day.
    pub schedule: Vec<Scheduled>,
    /// The rule of [`Mode::Target`].
    pub target: TargetRule,
    /// The rule of [`Mode::Stream`].
    pub stream: StreamRule,
    /// When a shard is hot (in any mode), and when neighbours are cold (in [`Mode::Shard`]).
    pub shard: ShardRule,
}

/// The rule of [`Mode::Target`]: the size that the load needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TargetRule {
    /// How full shards may get if the load's habits are known: a share of their capacity.
    pub utilisation: f64,
    /// The same while less than `habits_after_hours` of the load are known: lower, to leave more room.
    pub newcomer_utilisation: f64,
    /// How many hours of load must be known before its habits count.
    pub habits_after_hours: u32,
    /// How many minutes ahead a rise is extrapolated: the time until a growth takes effect.
    pub horizon_minutes: u32,
    /// The stream shrinks to the most that it needed in this many minutes.
    pub shrink_minutes: u32,
    /// It shrinks only if that removes at least this share of its shards.
    pub shrink_least: f64,
}

/// The rule of [`Mode::Stream`]: a factor, above or below a mark.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StreamRule {
    /// The mark above which the stream grows: a share of its capacity.
    pub grow_above: f64,
    /// How many of the newest minutes are compared with the mark.
    pub grow_minutes: u32,
    /// How many of them must be above the mark.
    pub grow_datapoints: u32,
    /// The factor by which it grows, at most 2.
    pub grow_factor: f64,
    /// The mark below which it shrinks.
    pub shrink_below: f64,
    /// How many of the newest minutes are compared with the mark.
    pub shrink_minutes: u32,
    /// How many of them must be below the mark.
    pub shrink_datapoints: u32,
    /// The factor by which it shrinks, at least 0.5.
    pub shrink_factor: f64,
}

/// When a shard is hot, and when neighbours are cold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ShardRule {
    /// A shard above this share of its capacity is hot, and is split in the middle of its observed load.
    pub split_above: f64,
    /// How many minutes in a row it must be above that share.
    pub split_minutes: u32,
    /// Neighbours are merged if the resulting shard stays below this share of its capacity.
    pub merge_below: f64,
    /// How many minutes in a row they must stay below that share.
    pub merge_minutes: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            min_shards: 1,
            max_shards: 128,
            grow_only: false,
            grow_cooldown_s: 0,
            shrink_cooldown_s: 1_800,
            calls_reserved: 5,
            lag_max_s: 300,
            schedule: Vec::new(),
            target: TargetRule::default(),
            stream: StreamRule::default(),
            shard: ShardRule::default(),
        }
    }
}

impl Default for TargetRule {
    fn default() -> Self {
        Self {
            utilisation: 0.9,
            newcomer_utilisation: 0.6,
            habits_after_hours: 24,
            horizon_minutes: 5,
            shrink_minutes: 60,
            shrink_least: 0.1,
        }
    }
}

impl Default for StreamRule {
    fn default() -> Self {
        Self {
            grow_above: 0.8,
            grow_minutes: 5,
            grow_datapoints: 5,
            grow_factor: 2.0,
            shrink_below: 0.2,
            shrink_minutes: 30,
            shrink_datapoints: 30,
            shrink_factor: 0.5,
        }
    }
}

impl Default for ShardRule {
    fn default() -> Self {
        Self { split_above: 0.9, split_minutes: 2, merge_below: 0.5, merge_minutes: 60 }
    }
}

impl Policy {
    /// The policy if it is valid; otherwise what is wrong with each setting.
    pub fn checked(self) -> Result<Self, Vec<PolicyError>> {
        let problems = self.problems();
        if problems.is_empty() { Ok(self) } else { Err(problems) }
    }

    /// The most minutes of load that a plan can use, which an observation should hold.
    pub fn minutes_observed(&self) -> u32 {
        let longest = match self.mode {
            Mode::Target => self.target.shrink_minutes,
            Mode::Stream => self.stream.grow_minutes.max(self.stream.shrink_minutes),
            Mode::Shard => self.shard.merge_minutes,
        };
        longest.max(self.shard.merge_minutes).max(30)
    }

    /// What is wrong with the policy; empty if it is valid.
    fn problems(&self) -> Vec<PolicyError> {
        let mut check = Check(Vec::new());
        check.within("min_shards", self.min_shards, 1, SHARDS_MAX);
        check.within("max_shards", self.max_shards, 1, SHARDS_MAX);
        if self.min_shards > self.max_shards {
            check.report("min_shards", format!("{} exceeds max_shards, {}", self.min_shards, self.max_shards));
        }
        check.within("grow_cooldown_s", self.grow_cooldown_s, 0, 86_400);
        check.within("shrink_cooldown_s", self.shrink_cooldown_s, 0, 86_400);
        check.within("calls_reserved", self.calls_reserved, 0, DAILY_CALLS_MAX);
        check.within("lag_max_s", self.lag_max_s, 1, 86_400);
        for scheduled in &self.schedule {
            if !(self.min_shards..=self.max_shards).contains(&scheduled.shards) {
                check.report("schedule", format!("{scheduled}: the shards are not from min_shards to max_shards"));
            }
        }
        self.target.problems(&mut check);
        self.stream.problems(&mut check);
        self.shard.problems(&mut check);
        check.0
    }
}

/// Collects the problems of a policy.
struct Check(Vec<PolicyError>);

impl Check {
    fn report(&mut self, field: &str, problem: String) {
        self.0.push(PolicyError { field: field.to_owned(), problem });
    }

    fn within(&mut self, field: &str, value: u32, least: u32, most: u32) {
        if !(least..=most).contains(&value) {
            self.report(field, format!("{value} is not from {least} to {most}"));
        }
    }

    fn share(&mut self, field: &str, value: f64, least: f64, most: f64) {
        if !(least..=most).contains(&value) {
            self.report(field, format!("{value} is not from {least} to {most}"));
        }
    }
}

/// The longest window of a rule, in minutes: the most data points that CloudWatch returns in one answer at full
/// resolution.
const MINUTES_MAX: u32 = 1_440;

impl TargetRule {
    fn problems(&self, check: &mut Check) {
        check.share("target.utilisation", self.utilisation, 0.05, 1.0);
        check.share("target.newcomer_utilisation", self.newcomer_utilisation, 0.05, 1.0);
        check.within("target.habits_after_hours", self.habits_after_hours, 1, 24 * 30);
        check.within("target.horizon_minutes", self.horizon_minutes, 0, 60);
        check.within("target.shrink_minutes", self.shrink_minutes, 5, MINUTES_MAX);
        check.share("target.shrink_least", self.shrink_least, 0.0, 0.5);
    }
}

impl StreamRule {
    fn problems(&self, check: &mut Check) {
        check.share("stream.grow_above", self.grow_above, 0.05, 1.0);
        check.within("stream.grow_minutes", self.grow_minutes, 1, MINUTES_MAX);
        check.within("stream.grow_datapoints", self.grow_datapoints, 1, self.grow_minutes.max(1));
        check.share("stream.grow_factor", self.grow_factor, 1.01, 2.0);
        check.share("stream.shrink_below", self.shrink_below, 0.0, 0.95);
        check.within("stream.shrink_minutes", self.shrink_minutes, 1, MINUTES_MAX);
        check.within("stream.shrink_datapoints", self.shrink_datapoints, 1, self.shrink_minutes.max(1));
        check.share("stream.shrink_factor", self.shrink_factor, 0.5, 0.99);
        if self.shrink_below / self.shrink_factor >= self.grow_above {
            check.report(
                "stream.shrink_below",
                format!(
                    "after a shrinking by shrink_factor, {} is not below grow_above: the stream would flap",
                    self.shrink_below
                ),
            );
        }
    }
}

impl ShardRule {
    fn problems(&self, check: &mut Check) {
        check.share("shard.split_above", self.split_above, 0.05, 1.0);
        check.within("shard.split_minutes", self.split_minutes, 1, MINUTES_MAX);
        check.share("shard.merge_below", self.merge_below, 0.0, 0.95);
        check.within("shard.merge_minutes", self.merge_minutes, 1, MINUTES_MAX);
        if self.merge_below >= self.split_above {
            let problem = format!("{} is not below split_above: the stream would flap", self.merge_below);
            check.report("shard.merge_below", problem);
        }
    }
}

#[cfg(test)]
mod tests;
