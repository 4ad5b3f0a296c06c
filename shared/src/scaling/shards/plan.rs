//! The plan: from an observation and a policy to steps that Kinesis takes, with the reason in words.

mod even;
mod heat;
mod route;
mod size;

pub use even::even;

use super::observation::{Direction, Observation, StreamMode, StreamStatus};
use super::{DAILY_CALLS_MAX, Demand, Keyspace, Mode, Policy, SHARDS_MAX};
use heat::Heat;
use serde::{Deserialize, Serialize};

/// Splits or merges of one plan, at most. Each takes half a minute, and what was observed grows old.
const STEPS_MAX: usize = 4;

/// One call to Kinesis. The steps of a plan concern different shards, all of them open when it was made, so that each
/// is right whatever became of the others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "call")]
pub enum Step {
    /// Cuts the keyspace anew into `target` shards of the same width.
    UpdateShardCount {
        /// Shards afterwards.
        target: u32,
    },
    /// Splits a shard in two.
    Split {
        /// The shard.
        shard: String,
        /// The first hash key of the second of the two.
        #[serde(with = "decimal")]
        at: u128,
    },
    /// Merges two neighbours.
    Merge {
        /// The one.
        shard: String,
        /// The other, to the left or to the right of it.
        adjacent: String,
    },
}

/// What is to be done to a stream now: nothing, most of the time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The steps, in their order.
    pub steps: Vec<Step>,
    /// Which way the steps go; none if there are none.
    pub direction: Option<Direction>,
    /// Shards that the load calls for, whatever limits and cool-downs say to it. Above the policy's maximum, someone
    /// should know.
    pub wanted: u32,
    /// Why, in words.
    pub reason: String,
}

impl Plan {
    /// Whether there is nothing to do.
    pub const fn is_nothing(&self) -> bool {
        self.steps.is_empty()
    }

    fn nothing(wanted: u32, reason: impl Into<String>) -> Self {
        Self { steps: Vec::new(), direction: None, wanted, reason: reason.into() }
    }
}

/// What is to be done to the stream of `observation` at `now_ms`, milliseconds since the epoch.
///
/// Whatever is observed, the steps leave the keyspace whole and the number of shards between the policy's bounds, or
/// nearer to them; they are within Kinesis's quotas and the account's limit, and grow or shrink the stream only when
/// that direction's cool-down is over. It never shrinks while a consumer lags, while records are refused, or on metrics
/// that are missing.
pub fn plan(observation: &Observation, policy: &Policy, now_ms: i64) -> Plan {
    let open = observation.open();
    match changeable(observation) {
        Ok(keyspace) => View::new(observation, policy, keyspace, now_ms).plan(),
        Err(reason) => Plan::nothing(open, reason),
    }
}

/// The keyspace of a stream that can be changed now, or why it cannot.
fn changeable(observation: &Observation) -> Result<Keyspace, String> {
    if observation.mode == StreamMode::OnDemand {
        return Err("the stream is on demand: Kinesis sizes it".to_owned());
    }
    match observation.status {
        StreamStatus::Active => {}
        StreamStatus::Updating => return Err("the stream is being changed".to_owned()),
        StreamStatus::Creating => return Err("the stream is being made".to_owned()),
        StreamStatus::Deleting => return Err("the stream is being deleted".to_owned()),
    }
    observation.keyspace().map_err(|error| format!("the keyspace is not whole: {error}"))
}

/// Everything that a decision looks at.
struct View<'a> {
    observation: &'a Observation,
    policy: &'a Policy,
    now_ms: i64,
    keyspace: Keyspace,
    demand: Demand,
    open: u32,
}

/// The size that the load calls for.
struct Wish {
    /// The size to go to.
    shards: u32,
    /// The demand that it is for, in shards' worth: what is expected, where the mode expects anything.
    demand: Option<f64>,
    reason: String,
}

impl<'a> View<'a> {
    fn new(observation: &'a Observation, policy: &'a Policy, keyspace: Keyspace, now_ms: i64) -> Self {
        let open = keyspace.count();
        Self { observation, policy, now_ms, keyspace, demand: Demand::of(observation), open }
    }

    fn plan(&self) -> Plan {
        let mut wish = self.size();
        let heat = Heat::of(self, wish.demand);
        let scheduled = self.policy.schedule.iter().filter(|scheduled| scheduled.holds_at(self.now_ms));
        if let Some(scheduled) = scheduled.max_by_key(|scheduled| scheduled.shards)
            && scheduled.shards > wish.shards
        {
            wish =
                Wish { shards: scheduled.shards, demand: None, reason: format!("the schedule asks for {scheduled}") };
        }
        let hot = heat.hot();
        let by_shard = self.policy.mode == Mode::Shard || heat.is_skewed(self.open);
        let hotter = if wish.shards <= self.open { self.open + hot.len() as u32 } else { 0 };
        let wanted = if hot.is_empty() { wish.shards } else { wish.shards.max(hotter) };
        let bounded = wish.shards.clamp(self.policy.min_shards, self.policy.max_shards);
        let reason = match bounded {
            least if least > wish.shards => format!("{}; the minimum is {least} shards", wish.reason),
            most if most < wish.shards => {
                format!("{}; that asks for {} shards, and the maximum is {most}", wish.reason, wish.shards)
            }
            _ => wish.reason,
        };
        let needed = bounded.max(self.open + 1).min(self.policy.max_shards);
        let mut plan = if by_shard && !hot.is_empty() {
            self.split_hot(&heat, hot)
        } else if bounded > self.open && (!by_shard || self.open < self.policy.min_shards) {
            self.grow(bounded, &heat, &reason)
        } else if !hot.is_empty() && self.calls_left() > 0 && needed > self.open {
            self.grow(needed, &heat, &format!("{reason}; its shards are of uneven width"))
        } else if !hot.is_empty() {
            self.split_hot(&heat, hot)
        } else if by_shard && bounded >= self.policy.min_shards && self.open <= self.policy.max_shards {
            self.merge_cold(&heat, reason)
        } else if bounded < self.open {
            self.shrink(bounded, &heat, &reason)
        } else {
            Plan::nothing(wanted, reason)
        };
        plan.wanted = wanted;
        plan
    }

    fn grow(&self, target: u32, heat: &Heat<'_>, reason: &str) -> Plan {
        if let Some(wait) = self.cooling(&[Direction::Grow], self.policy.grow_cooldown_s)
            && self.open >= self.policy.min_shards
        {
            return Plan::nothing(target, format!("{reason}; {wait}"));
        }
        let room = self.room();
        if room == 0 {
            return Plan::nothing(target, format!("{reason}; but the account has no shard left"));
        }
        let target = target.min(self.open + room);
        let (steps, how) = self.route_up(target, heat);
        Plan { steps, direction: Some(Direction::Grow), wanted: target, reason: format!("{reason}; {how}") }
    }

    fn shrink(&self, target: u32, heat: &Heat<'_>, reason: &str) -> Plan {
        if let Some(obstacle) = self.obstacle(self.open > self.policy.max_shards) {
            return Plan::nothing(target, format!("{reason}; {obstacle}"));
        }
        let (steps, how) = self.route_down(target, heat);
        let direction = (!steps.is_empty()).then_some(Direction::Shrink);
        Plan { steps, direction, wanted: target, reason: format!("{reason}; {how}") }
    }

    fn split_hot(&self, heat: &Heat<'_>, hot: Vec<usize>) -> Plan {
        let names: Vec<&str> = hot.iter().map(|&index| heat.name(index)).collect();
        let reason = format!("hot: {}", names.join(", "));
        let ceiling = self.policy.max_shards.max(self.open).min(self.open + self.room());
        let room = ceiling - self.open;
        if room == 0 {
            return Plan::nothing(self.open, format!("{reason}; but there may be no more shards"));
        }
        if let Some(wait) = self.cooling(&[Direction::Grow], self.policy.grow_cooldown_s) {
            return Plan::nothing(self.open, format!("{reason}; {wait}"));
        }
        let steps: Vec<Step> =
            hot.into_iter().filter_map(|index| heat.split(index)).take(STEPS_MAX.min(room as usize)).collect();
        if steps.is_empty() {
            return Plan::nothing(self.open, format!("{reason}; but one key alone is too much for its shard"));
        }
        Plan {
            steps,
            direction: Some(Direction::Grow),
            wanted: self.open,
            reason: format!("{reason}; split where its load halves"),
        }
    }

    fn merge_cold(&self, heat: &Heat<'_>, reason: String) -> Plan {
        let spare = STEPS_MAX.min((self.open - self.policy.min_shards) as usize);
        let steps = heat.merges(self.policy.shard.merge_below, spare);
        if steps.is_empty() {
            return Plan::nothing(self.open, reason);
        }
        if let Some(obstacle) = self.obstacle(false) {
            return Plan::nothing(self.open, format!("neighbours are cold; {obstacle}"));
        }
        let reason = format!("{} pairs of neighbours are cold", steps.len());
        Plan { steps, direction: Some(Direction::Shrink), wanted: self.open, reason }
    }

    /// UpdateShardCount calls that are left of the day's.
    fn calls_left(&self) -> u32 {
        DAILY_CALLS_MAX.saturating_sub(self.observation.calls_used(self.now_ms))
    }

    /// Shards that the account and Kinesis still allow.
    fn room(&self) -> u32 {
        let limits = self.observation.limits;
        let account = match (limits.account_shards_max, limits.account_shards_open) {
            (Some(most), Some(open)) => most.saturating_sub(open.max(self.open)),
            (Some(most), None) => most.saturating_sub(self.open),
            _ => u32::MAX,
        };
        account.min(SHARDS_MAX.saturating_sub(self.open))
    }

    /// What stands in the way of shrinking. Only what is known to be safe is done: what is missing stands in the way.
    fn obstacle(&self, above_maximum: bool) -> Option<String> {
        if self.policy.grow_only && !above_maximum {
            return Some("but shrinking is left to people".to_owned());
        }
        let all = [Direction::Grow, Direction::Shrink, Direction::Even];
        if let Some(wait) = self.cooling(&all, self.policy.shrink_cooldown_s) {
            return Some(wait);
        }
        // A quarter of an hour: what was refused before it was either sent again or lost by now.
        let refused: f64 = self.observation.throttled.newest(15).iter().flatten().sum();
        if refused > 0.0 {
            return Some(format!("but {refused:.0} records were refused within 15 minutes"));
        }
        let silent = self.demand.max(self.policy.minutes_observed()) == Some(0.0);
        let most_ms = f64::from(self.policy.lag_max_s) * 1_000.0;
        self.observation.consumers.iter().find_map(|consumer| match consumer.iterator_age_ms {
            Some(age_ms) if age_ms >= most_ms => {
                Some(format!("but {} is {:.0} s behind", consumer.name, age_ms / 1_000.0))
            }
            None if !silent => Some(format!("but how far {} is behind is not known", consumer.name)),
            _ => None,
        })
    }

    /// How long a cool-down still lasts.
    fn cooling(&self, since: &[Direction], cooldown_s: u32) -> Option<String> {
        let over_ms = self.observation.last_change_ms(since)? + i64::from(cooldown_s) * 1_000;
        let left_s = (over_ms - self.now_ms + 999).div_euclid(1_000);
        (left_s > 0).then(|| format!("but it cools down for {left_s} s"))
    }
}

/// Hash keys as text: readers of JSON take numbers for floating point.
mod decimal {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(value: &u128, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
