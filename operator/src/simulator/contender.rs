//! What sizes a stream in a simulation: a policy of this project, or one of the ways in which people do it.

use super::demand::Demand;
use super::metrics::Metrics;
use myaku::scaling::alarms::{Alarm, AlarmState, ShardAlarms};
use myaku::scaling::shards::{
    Capacity, Mode, Observation, Plan, Policy, SHARDS_MAX, ShardRule, Step, StreamRule, plan,
};

/// The peers that a policy is compared with: name and description.
pub const PEERS: [(&str, &str); 5] = [
    ("fixed", "always as many shards as the peak needs, which it knows in advance"),
    ("talk", "over 80 % for 5 minutes doubles, under 20 % for 30 minutes halves"),
    ("aws-sample", "over 25 % for 25 minutes doubles, under 7.5 % for 285 of 300 minutes halves"),
    (
        "substation",
        "over 70 % for 5 minutes grows by a factor of 2 to 1.25, under 35 % for 60 minutes shrinks by the same",
    ),
    ("on-demand", "Kinesis sizes it, for double the peak of 30 days"),
];

/// How full a stream is at first, for all contenders that do not know the load in advance.
const FIRST_UTILISATION: f64 = 0.5;

/// Something that sizes a stream.
#[derive(Clone, Debug, PartialEq)]
pub enum Contender {
    /// A policy that plans every minute.
    Policy {
        /// Its name.
        name: String,
        /// The policy.
        policy: Box<Policy>,
    },
    /// One of [`PEERS`], by its index.
    Peer(usize),
}

/// How a contender sizes its stream.
pub(super) enum Sizing {
    /// Kinesis sizes the stream.
    OnDemand,
    /// The stream begins with some shards, and the scaler changes their number.
    Provisioned { first_shards: u32, scaler: Scaler },
}

impl Contender {
    /// Finds a peer by its name.
    pub fn peer(name: &str) -> Option<Self> {
        PEERS.iter().position(|(peer, _)| *peer == name).map(Self::Peer)
    }

    /// Returns the default policy.
    pub fn default_policy() -> Self {
        Self::Policy { name: "default".to_owned(), policy: Box::default() }
    }

    /// Returns the contender's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Policy { name, .. } => name,
            Self::Peer(index) => PEERS[*index].0,
        }
    }

    /// Returns how the contender sizes a stream for this demand.
    pub(super) fn sizing(&self, demand: &Demand) -> Sizing {
        let begin = demand.steps.first().map_or(0.0, |first| demand.shards_for(*first));
        let first_shards = ((begin / FIRST_UTILISATION).ceil() as u32).clamp(1, SHARDS_MAX);
        let alarmed = |rule: StreamRule, cooldowns: (u32, u32), graded: bool| {
            Scaler::alarmed(alarm_policy(rule, cooldowns), graded, first_shards, &demand.capacity, demand.start_ms)
        };
        let scaler = match self {
            Self::Policy { policy, .. } => {
                let first_shards = first_shards.clamp(policy.min_shards, policy.max_shards);
                return Sizing::Provisioned { first_shards, scaler: Scaler::EveryMinute(policy.clone()) };
            }
            Self::Peer(0) => {
                return Sizing::Provisioned { first_shards: demand.shards_at_peak(), scaler: Scaler::Fixed };
            }
            Self::Peer(1) => alarmed(StreamRule::default(), (0, 0), false),
            Self::Peer(2) => alarmed(
                StreamRule {
                    grow_above: 0.25,
                    grow_minutes: 25,
                    grow_datapoints: 25,
                    shrink_below: 0.075,
                    shrink_minutes: 300,
                    shrink_datapoints: 285,
                    ..StreamRule::default()
                },
                (0, 0),
                false,
            ),
            Self::Peer(3) => alarmed(
                StreamRule {
                    grow_above: 0.7,
                    shrink_below: 0.35,
                    shrink_minutes: 60,
                    shrink_datapoints: 60,
                    ..StreamRule::default()
                },
                (180, 1_800),
                true,
            ),
            Self::Peer(_) => return Sizing::OnDemand,
        };
        Sizing::Provisioned { first_shards, scaler }
    }
}

/// A policy as people run it: driven by alarms on the whole stream, without looking at keys, with no calls in reserve.
fn alarm_policy(stream: StreamRule, (grow_cooldown_s, shrink_cooldown_s): (u32, u32)) -> Policy {
    Policy {
        mode: Mode::Stream,
        max_shards: SHARDS_MAX,
        grow_cooldown_s,
        shrink_cooldown_s,
        calls_reserved: 0,
        stream,
        shard: ShardRule { split_above: f64::INFINITY, ..ShardRule::default() },
        ..Policy::default()
    }
}

/// What changes the number of shards, and when.
pub(super) enum Scaler {
    /// The number never changes.
    Fixed,
    /// A policy that plans every minute.
    EveryMinute(Box<Policy>),
    /// A policy that plans while one of its alarms is in the state `ALARM`.
    Alarmed(Box<Alarmed>),
}

/// A policy that waits for alarms.
pub(super) struct Alarmed {
    policy: Policy,
    /// Whether its factors depend on the number of shards.
    graded: bool,
    alarms: Vec<Alarm>,
}

impl Scaler {
    fn alarmed(policy: Policy, graded: bool, open: u32, capacity: &Capacity, now_ms: i64) -> Self {
        let definitions = shard_alarms().definitions(open, capacity, &policy).unwrap_or_default();
        let alarms = definitions.into_iter().take(2).filter_map(|definition| Alarm::new(definition, now_ms).ok());
        let alarms = alarms.collect();
        Self::Alarmed(Box::new(Alarmed { policy, graded, alarms }))
    }

    /// Evaluates the alarms, and returns whether there is nothing to plan.
    pub(super) fn is_idle(&mut self, metrics: &Metrics, now_ms: i64) -> bool {
        match self {
            Self::Fixed => true,
            Self::EveryMinute(_) => false,
            Self::Alarmed(alarmed) => {
                for alarm in &mut alarmed.alarms {
                    // These two can always be evaluated.
                    let _ = alarm.evaluate(metrics, now_ms);
                }
                alarmed.alarms.iter().all(|alarm| alarm.state() != AlarmState::Alarm)
            }
        }
    }

    /// How many minutes of load its plan needs.
    pub(super) fn minutes(&self) -> usize {
        match self {
            Self::Fixed => 0,
            Self::EveryMinute(policy) => policy.minutes_observed() as usize,
            Self::Alarmed(alarmed) => alarmed.policy.minutes_observed() as usize,
        }
    }

    /// Whether its plan uses the habits of the load.
    pub(super) fn uses_habits(&self) -> bool {
        matches!(self, Self::EveryMinute(policy) if policy.mode == Mode::Target)
    }

    /// Whether its plan uses a sample of the keys.
    pub(super) const fn uses_keys(&self) -> bool {
        matches!(self, Self::EveryMinute(_))
    }

    /// Plans the next change.
    pub(super) fn plan(&mut self, observation: &Observation, now_ms: i64) -> Plan {
        match self {
            Self::Fixed => plan(observation, &Policy::default(), now_ms),
            Self::EveryMinute(policy) => plan(observation, policy, now_ms),
            Self::Alarmed(alarmed) => {
                if alarmed.graded {
                    let factor = graded_factor(observation.open());
                    alarmed.policy.stream.grow_factor = factor;
                    alarmed.policy.stream.shrink_factor = 1.0 / factor;
                }
                let mut plan = plan(observation, &alarmed.policy, now_ms);
                // These contenders only call UpdateShardCount.
                plan.steps.retain(|step| matches!(step, Step::UpdateShardCount { .. }));
                plan
            }
        }
    }

    /// Sets the alarms again after a change, so that an alarm that still breaches its threshold fires again.
    pub(super) fn reset_alarms(&mut self, open: u32, capacity: &Capacity, now_ms: i64) {
        let Self::Alarmed(alarmed) = self else { return };
        let definitions = shard_alarms().definitions(open, capacity, &alarmed.policy).unwrap_or_default();
        for (alarm, definition) in alarmed.alarms.iter_mut().zip(definitions) {
            if alarm.define(definition).is_ok() {
                alarm.set_state(AlarmState::InsufficientData, "set after a change", now_ms);
            }
        }
    }
}

fn shard_alarms() -> ShardAlarms {
    ShardAlarms { stream: "stream".to_owned(), prefix: "stream".to_owned(), actions: Vec::new() }
}

/// Returns the factor of a change: small streams grow by more than large ones.
fn graded_factor(open: u32) -> f64 {
    match open {
        0..=4 => 2.0,
        5..=8 => 1.75,
        9..=16 => 1.5,
        _ => 1.25,
    }
}
