//! The plan: makes steps that Kinesis accepts from an observation and a policy, with the reason in words.

mod even;
mod heat;
mod route;
mod size;

pub use even::even;

use super::observation::{Direction, Observation, StreamMode, StreamStatus};
use super::{DAILY_CALLS_MAX, Demand, Keyspace, Mode, Policy, SHARDS_MAX, Step};
use heat::Heat;
use serde::{Deserialize, Serialize};

/// The most splits or merges of one plan. Each takes half a minute, and meanwhile the observation ages.
const STEPS_MAX: usize = 4;

/// What to do with a stream now: most of the time, nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The steps, in their order.
    pub steps: Vec<Step>,
    /// The direction of the steps; `None` without steps.
    pub direction: Option<Direction>,
    /// Shards that the load needs, regardless of limits and cool-downs. If they exceed the policy's maximum, an
    /// operator should know.
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

/// Plans what to do with the stream of `observation` at `now_ms`, in milliseconds since the epoch.
///
/// For any observation:
///
/// - the steps leave the keyspace without a gap or an overlap;
/// - the number of shards ends within the policy's bounds, or nearer to them;
/// - the steps respect Kinesis's quotas, the account's limit and the cool-down of their direction;
/// - the stream never shrinks while a consumer lags, while records are refused, or while metrics are missing.
pub fn plan(observation: &Observation, policy: &Policy, now_ms: i64) -> Plan {
    let open = observation.open();
    match resizable_keyspace(observation) {
        Ok(keyspace) => View::new(observation, policy, keyspace, now_ms).plan(),
        Err(reason) => Plan::nothing(open, reason),
    }
}

/// The keyspace of the stream if it can be changed now; otherwise the reason why it cannot.
fn resizable_keyspace(observation: &Observation) -> Result<Keyspace, String> {
    if observation.mode == StreamMode::OnDemand {
        return Err("the stream is on demand: Kinesis sizes it".to_owned());
    }
    match observation.status {
        StreamStatus::Active => {}
        StreamStatus::Updating => return Err("the stream is being changed".to_owned()),
        StreamStatus::Creating => return Err("the stream is being created".to_owned()),
        StreamStatus::Deleting => return Err("the stream is being deleted".to_owned()),
    }
    observation.keyspace().map_err(|error| format!("the keyspace is not whole: {error}"))
}

/// Everything that a decision depends on.
struct View<'a> {
    observation: &'a Observation,
    policy: &'a Policy,
    now_ms: i64,
    keyspace: Keyspace,
    demand: Demand,
    open: u32,
}

/// The size that the load needs.
struct SizeGoal {
    /// The number of shards.
    shards: u32,
    /// The demand that the size is for, in shards' worth; `None` if the mode makes no forecast.
    demand: Option<f64>,
    reason: String,
}

impl<'a> View<'a> {
    fn new(observation: &'a Observation, policy: &'a Policy, keyspace: Keyspace, now_ms: i64) -> Self {
        let open = keyspace.count();
        Self { observation, policy, now_ms, keyspace, demand: Demand::of(observation), open }
    }

    fn plan(&self) -> Plan {
        let mut goal = self.size();
        let heat = Heat::of(self, goal.demand);
        let scheduled = self.policy.schedule.iter().filter(|scheduled| scheduled.applies_at(self.now_ms));
        if let Some(scheduled) = scheduled.max_by_key(|scheduled| scheduled.shards)
            && scheduled.shards > goal.shards
        {
            goal =
                SizeGoal { shards: scheduled.shards, demand: None, reason: format!("the schedule says {scheduled}") };
        }
        let hot = heat.hot();
        let by_shard = self.policy.mode == Mode::Shard || heat.is_skewed(self.open);
        let hotter = if goal.shards <= self.open { self.open + hot.len() as u32 } else { 0 };
        let wanted = if hot.is_empty() { goal.shards } else { goal.shards.max(hotter) };
        let bounded = goal.shards.clamp(self.policy.min_shards, self.policy.max_shards);
        let reason = match bounded {
            least if least > goal.shards => format!("{}; the minimum is {least} shards", goal.reason),
            most if most < goal.shards => {
                format!("{}; that needs {} shards, and the maximum is {most}", goal.reason, goal.shards)
            }
            _ => goal.reason,
        };
        let needed = bounded.max(self.open + 1).min(self.policy.max_shards);
        let mut plan = if by_shard && !hot.is_empty() {
            self.split_hot(&heat, hot)
        } else if bounded > self.open && (!by_shard || self.open < self.policy.min_shards) {
            self.grow(bounded, &heat, &reason)
        } else if !hot.is_empty() && self.calls_left() > 0 && needed > self.open {
            self.grow(needed, &heat, &format!("{reason}; the shards have uneven widths"))
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
        if let Some(wait) = self.cooldown(&[Direction::Grow], self.policy.grow_cooldown_s)
            && self.open >= self.policy.min_shards
        {
            return Plan::nothing(target, format!("{reason}; {wait}"));
        }
        let room = self.room();
        if room == 0 {
            return Plan::nothing(target, format!("{reason}; but the account's limit allows no more shards"));
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
            return Plan::nothing(
                self.open,
                format!("{reason}; but the policy or the account's limit allows no more shards"),
            );
        }
        if let Some(wait) = self.cooldown(&[Direction::Grow], self.policy.grow_cooldown_s) {
            return Plan::nothing(self.open, format!("{reason}; {wait}"));
        }
        let steps: Vec<Step> =
            hot.into_iter().filter_map(|index| heat.split(index)).take(STEPS_MAX.min(room as usize)).collect();
        if steps.is_empty() {
            return Plan::nothing(self.open, format!("{reason}; but a single key exceeds the capacity of its shard"));
        }
        Plan {
            steps,
            direction: Some(Direction::Grow),
            wanted: self.open,
            reason: format!("{reason}; split in the middle of its load"),
        }
    }

    fn merge_cold(&self, heat: &Heat<'_>, reason: String) -> Plan {
        let spare = STEPS_MAX.min((self.open - self.policy.min_shards) as usize);
        let steps = heat.merges(self.policy.shard.merge_below, spare);
        if steps.is_empty() {
            return Plan::nothing(self.open, reason);
        }
        if let Some(obstacle) = self.obstacle(false) {
            return Plan::nothing(self.open, format!("some neighbours are cold; {obstacle}"));
        }
        let reason = format!("{} pairs of neighbours are cold", steps.len());
        Plan { steps, direction: Some(Direction::Shrink), wanted: self.open, reason }
    }

    /// UpdateShardCount calls that are left in the current 24 hours.
    fn calls_left(&self) -> u32 {
        DAILY_CALLS_MAX.saturating_sub(self.observation.calls_used(self.now_ms))
    }

    /// How many more shards the account and Kinesis allow.
    fn room(&self) -> u32 {
        let limits = self.observation.limits;
        let account = match (limits.account_shards_max, limits.account_shards_open) {
            (Some(most), Some(open)) => most.saturating_sub(open.max(self.open)),
            (Some(most), None) => most.saturating_sub(self.open),
            _ => u32::MAX,
        };
        account.min(SHARDS_MAX.saturating_sub(self.open))
    }

    /// Why the stream must not shrink now. The stream shrinks only if that is known to be safe, so missing metrics are
    /// a reason too.
    fn obstacle(&self, above_maximum: bool) -> Option<String> {
        if self.policy.grow_only && !above_maximum {
            return Some("but the policy leaves shrinking to the operator".to_owned());
        }
        let all = [Direction::Grow, Direction::Shrink, Direction::Even];
        if let Some(wait) = self.cooldown(&all, self.policy.shrink_cooldown_s) {
            return Some(wait);
        }
        // Of 15 minutes: by now, producers have sent earlier records again or given them up.
        let refused: f64 = self.observation.throttled.newest(15).iter().flatten().sum();
        if refused > 0.0 {
            return Some(format!("but {refused:.0} records were refused in the last 15 minutes"));
        }
        let silent = self.demand.max(self.policy.minutes_observed()) == Some(0.0);
        let most_ms = f64::from(self.policy.lag_max_s) * 1_000.0;
        self.observation.consumers.iter().find_map(|consumer| match consumer.iterator_age_ms {
            Some(age_ms) if age_ms >= most_ms => {
                Some(format!("but {} is {:.0} s behind", consumer.name, age_ms / 1_000.0))
            }
            None if !silent => Some(format!("but the iterator age of {} is unknown", consumer.name)),
            _ => None,
        })
    }

    /// How long a cool-down still lasts, in words; `None` if it is over.
    fn cooldown(&self, since: &[Direction], cooldown_s: u32) -> Option<String> {
        let over_ms = self.observation.last_change_ms(since)? + i64::from(cooldown_s) * 1_000;
        let left_s = (over_ms - self.now_ms + 999).div_euclid(1_000);
        (left_s > 0).then(|| format!("but the cool-down lasts for {left_s} s more"))
    }
}
