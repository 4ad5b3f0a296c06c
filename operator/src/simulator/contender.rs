//! Those who size a stream: a policy of ours, and the ways in which people do.

use super::demand::Demand;
use super::metrics::Metrics;
use myaku::scaling::alarms::{Alarm, AlarmState, ShardAlarms};
use myaku::scaling::shards::{
    Capacity, Mode, Observation, Plan, Policy, SHARDS_MAX, ShardRule, Step, StreamRule, plan,
};

/// The names of the peers, each with what it does.
pub const PEERS: [(&str, &str); 5] = [
    ("fixed", "as many shards as the peak needs, known beforehand, all the time"),
    ("talk", "over 80 % for 5 minutes doubles, under 20 % for 30 minutes halves"),
    ("aws-sample", "over 25 % for 25 minutes doubles, under 7.5 % for 285 of 300 minutes halves"),
    ("substation", "over 70 % for 5 minutes grows by 2 to 1.25, under 35 % for 60 minutes shrinks alike"),
    ("on-demand", "Kinesis sizes it, to double the peak of 30 days"),
];

/// How full a stream is at first, for all who did not know its load.
const FIRST_UTILISATION: f64 = 0.5;

/// Someone who sizes a stream.
#[derive(Clone, Debug, PartialEq)]
pub enum Contender {
    /// A policy, planned with every minute.
    Policy {
        /// Its name.
        name: String,
        /// The policy.
        policy: Box<Policy>,
    },
    /// One of [`PEERS`], by its index.
    Peer(usize),
}

/// How a contender sizes a stream.
pub(super) enum Sizer {
    /// It leaves it to Kinesis.
    OnDemand,
    /// It begins with so many shards.
    Shards { first: u32, pilot: Pilot },
}

impl Contender {
    /// A peer by its name.
    pub fn peer(name: &str) -> Option<Self> {
        PEERS.iter().position(|(peer, _)| *peer == name).map(Self::Peer)
    }

    /// The default policy.
    pub fn default_policy() -> Self {
        Self::Policy { name: "default".to_owned(), policy: Box::default() }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Policy { name, .. } => name,
            Self::Peer(index) => PEERS[*index].0,
        }
    }

    pub(super) fn sizer(&self, demand: &Demand) -> Sizer {
        let begin = demand.steps.first().map_or(0.0, |first| demand.shards_for(*first));
        let first = ((begin / FIRST_UTILISATION).ceil() as u32).clamp(1, SHARDS_MAX);
        let alarmed = |rule: StreamRule, cooldowns: (u32, u32), graded: bool| {
            Pilot::alarmed(by_alarms(rule, cooldowns), graded, first, &demand.capacity, demand.start_ms)
        };
        let pilot = match self {
            Self::Policy { policy, .. } => {
                let first = first.clamp(policy.min_shards, policy.max_shards);
                return Sizer::Shards { first, pilot: Pilot::EveryMinute(policy.clone()) };
            }
            Self::Peer(0) => return Sizer::Shards { first: demand.shards_at_peak(), pilot: Pilot::Nobody },
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
            Self::Peer(_) => return Sizer::OnDemand,
        };
        Sizer::Shards { first, pilot }
    }
}

/// A policy as people have them: by alarms on the whole stream, blind to keys, with nothing kept in reserve.
fn by_alarms(stream: StreamRule, (grow_cooldown_s, shrink_cooldown_s): (u32, u32)) -> Policy {
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

/// Who looks at a stream, and when.
pub(super) enum Pilot {
    /// Its size is never changed.
    Nobody,
    /// A policy, every minute.
    EveryMinute(Box<Policy>),
    /// A policy, for as long as one of its alarms is in `ALARM`.
    Alarmed(Box<Alarmed>),
}

/// A policy that waits for alarms.
pub(super) struct Alarmed {
    policy: Policy,
    /// Whether its factors depend on the number of shards.
    graded: bool,
    alarms: Vec<Alarm>,
}

impl Pilot {
    fn alarmed(policy: Policy, graded: bool, open: u32, capacity: &Capacity, now_ms: i64) -> Self {
        let definitions = shard_alarms().definitions(open, capacity, &policy).unwrap_or_default();
        let alarms = definitions.into_iter().take(2).filter_map(|definition| Alarm::new(definition, now_ms).ok());
        let alarms = alarms.collect();
        Self::Alarmed(Box::new(Alarmed { policy, graded, alarms }))
    }

    /// Evaluates the alarms, and says whether there is nothing to plan.
    pub(super) fn is_idle(&mut self, metrics: &Metrics, now_ms: i64) -> bool {
        match self {
            Self::Nobody => true,
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

    /// Minutes of load that its plan looks at.
    pub(super) fn minutes(&self) -> usize {
        match self {
            Self::Nobody => 0,
            Self::EveryMinute(policy) => policy.minutes_observed() as usize,
            Self::Alarmed(alarmed) => alarmed.policy.minutes_observed() as usize,
        }
    }

    pub(super) fn looks_at_habits(&self) -> bool {
        matches!(self, Self::EveryMinute(policy) if policy.mode == Mode::Target)
    }

    pub(super) const fn looks_at_keys(&self) -> bool {
        matches!(self, Self::EveryMinute(_))
    }

    pub(super) fn plan(&mut self, observation: &Observation, now_ms: i64) -> Plan {
        match self {
            Self::Nobody => plan(observation, &Policy::default(), now_ms),
            Self::EveryMinute(policy) => plan(observation, policy, now_ms),
            Self::Alarmed(alarmed) => {
                if alarmed.graded {
                    let factor = graded(observation.open());
                    alarmed.policy.stream.grow_factor = factor;
                    alarmed.policy.stream.shrink_factor = 1.0 / factor;
                }
                let mut plan = plan(observation, &alarmed.policy, now_ms);
                // They know UpdateShardCount only.
                plan.steps.retain(|step| matches!(step, Step::UpdateShardCount { .. }));
                plan
            }
        }
    }

    /// Sets the alarms anew after a change, so that one which still breaches fires again.
    pub(super) fn changed(&mut self, open: u32, capacity: &Capacity, now_ms: i64) {
        let Self::Alarmed(alarmed) = self else { return };
        let definitions = shard_alarms().definitions(open, capacity, &alarmed.policy).unwrap_or_default();
        for (alarm, definition) in alarmed.alarms.iter_mut().zip(definitions) {
            if alarm.define(definition).is_ok() {
                alarm.set_state(AlarmState::InsufficientData, "set anew", now_ms);
            }
        }
    }
}

fn shard_alarms() -> ShardAlarms {
    ShardAlarms { stream: "stream".to_owned(), prefix: "stream".to_owned(), actions: Vec::new() }
}

/// Small streams grow by more than large ones.
fn graded(open: u32) -> f64 {
    match open {
        0..=4 => 2.0,
        5..=8 => 1.75,
        9..=16 => 1.5,
        _ => 1.25,
    }
}
