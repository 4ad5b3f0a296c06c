//! How a stream is to be sized: what an operator may choose, with defaults for those who would rather not.

mod schedule;
mod settings;

pub use schedule::Scheduled;

use super::{DAILY_CALLS_MAX, SHARDS_MAX};
use serde::{Deserialize, Serialize};

/// A setting of a policy that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct PolicyError {
    /// The setting: `stream.grow_above` in a file, `RESHARD_STREAM_GROW_ABOVE` in the environment.
    pub field: String,
    /// What is wrong with it, in words.
    pub problem: String,
}

/// What decides about the size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The size that the load needs, as far as it can be foreseen.
    #[default]
    Target,
    /// By a factor, when the whole stream was above or below a mark for some minutes.
    Stream,
    /// Shard by shard: hot ones are split, cold neighbours merged.
    Shard,
}

/// A policy. From a file it is read as TOML, or as anything else that serde reads; call [`Policy::checked`] then.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// What decides about the size.
    pub mode: Mode,
    /// Shards, at least.
    pub min_shards: u32,
    /// Shards, at most. A plan that wanted more says so.
    pub max_shards: u32,
    /// Whether shrinking is left to people.
    pub grow_only: bool,
    /// Seconds from a growth to the next.
    pub grow_cooldown_s: u32,
    /// Seconds from any change to a shrinking.
    pub shrink_cooldown_s: u32,
    /// Of the UpdateShardCount calls of 24 hours, how many are kept for growing.
    pub calls_reserved: u32,
    /// A stream does not shrink while a consumer is so many seconds behind, or more.
    pub lag_max_s: u32,
    /// Sizes by the hour: at least so many shards from then to then.
    pub schedule: Vec<Scheduled>,
    /// The rule of [`Mode::Target`].
    pub target: TargetRule,
    /// The rule of [`Mode::Stream`].
    pub stream: StreamRule,
    /// When a shard is hot, in any mode, and when neighbours are cold, in [`Mode::Shard`].
    pub shard: ShardRule,
}

/// The size that the load needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TargetRule {
    /// How full shards may get, where the load's habits are known: a share of their capacity.
    pub utilisation: f64,
    /// The same, as long as less than `habits_after_hours` are known: who knows little leaves more room.
    pub newcomer_utilisation: f64,
    /// Hours of load that make habits.
    pub habits_after_hours: u32,
    /// How many of the steepest minutes ahead a rise is followed: the time until a growth is in effect.
    pub horizon_minutes: u32,
    /// The stream shrinks to what it needed most in so many minutes.
    pub shrink_minutes: u32,
    /// It shrinks only if that saves this share of its shards.
    pub shrink_least: f64,
}

/// By a factor, at marks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StreamRule {
    /// The mark above which the stream grows: a share of its capacity.
    pub grow_above: f64,
    /// The minutes that are looked at.
    pub grow_minutes: u32,
    /// How many of them must be above the mark.
    pub grow_datapoints: u32,
    /// The factor by which it grows, at most 2.
    pub grow_factor: f64,
    /// The mark below which it shrinks.
    pub shrink_below: f64,
    /// The minutes that are looked at.
    pub shrink_minutes: u32,
    /// How many of them must be below the mark.
    pub shrink_datapoints: u32,
    /// The factor by which it shrinks, at least 0.5.
    pub shrink_factor: f64,
}

/// Single shards.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ShardRule {
    /// A shard above this share of its capacity is hot, and split where its observed load halves.
    pub split_above: f64,
    /// For so many minutes in a row.
    pub split_minutes: u32,
    /// Neighbours are merged if the shard that they become stays below this share of its capacity.
    pub merge_below: f64,
    /// For so many minutes in a row.
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
    /// The policy, if it can be used; else what is wrong with it, setting by setting.
    pub fn checked(self) -> Result<Self, Vec<PolicyError>> {
        let problems = self.problems();
        if problems.is_empty() { Ok(self) } else { Err(problems) }
    }

    /// How many minutes of load a plan looks at, at most: what an observation should hold.
    pub fn minutes_observed(&self) -> u32 {
        let longest = match self.mode {
            Mode::Target => self.target.shrink_minutes,
            Mode::Stream => self.stream.grow_minutes.max(self.stream.shrink_minutes),
            Mode::Shard => self.shard.merge_minutes,
        };
        longest.max(self.shard.merge_minutes).max(30)
    }

    /// What is wrong with the policy; empty when it can be used.
    fn problems(&self) -> Vec<PolicyError> {
        let mut check = Check(Vec::new());
        check.within("min_shards", self.min_shards, 1, SHARDS_MAX);
        check.within("max_shards", self.max_shards, 1, SHARDS_MAX);
        if self.min_shards > self.max_shards {
            check.tell("min_shards", format!("{} exceeds max_shards, {}", self.min_shards, self.max_shards));
        }
        check.within("grow_cooldown_s", self.grow_cooldown_s, 0, 86_400);
        check.within("shrink_cooldown_s", self.shrink_cooldown_s, 0, 86_400);
        check.within("calls_reserved", self.calls_reserved, 0, DAILY_CALLS_MAX);
        check.within("lag_max_s", self.lag_max_s, 1, 86_400);
        for scheduled in &self.schedule {
            if !(self.min_shards..=self.max_shards).contains(&scheduled.shards) {
                check.tell("schedule", format!("{scheduled}: not from min_shards to max_shards"));
            }
        }
        self.target.problems(&mut check);
        self.stream.problems(&mut check);
        self.shard.problems(&mut check);
        check.0
    }
}

/// Problems as they are found.
struct Check(Vec<PolicyError>);

impl Check {
    fn tell(&mut self, field: &str, problem: String) {
        self.0.push(PolicyError { field: field.to_owned(), problem });
    }

    fn within(&mut self, field: &str, value: u32, least: u32, most: u32) {
        if !(least..=most).contains(&value) {
            self.tell(field, format!("{value} is not from {least} to {most}"));
        }
    }

    fn share(&mut self, field: &str, value: f64, least: f64, most: f64) {
        if !(least..=most).contains(&value) {
            self.tell(field, format!("{value} is not from {least} to {most}"));
        }
    }
}

/// The longest window of a rule, in minutes: what CloudWatch gives in one answer without thinning it out.
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
            check.tell(
                "stream.shrink_below",
                format!(
                    "{} of what is left by shrink_factor is not below grow_above: it would flap",
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
            check.tell("shard.merge_below", format!("{} is not below split_above: it would flap", self.merge_below));
        }
    }
}

#[cfg(test)]
mod tests;
