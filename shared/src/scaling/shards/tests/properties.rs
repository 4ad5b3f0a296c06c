//! Properties of every plan, for any observation.

use super::super::*;
use super::{MINUTE_MS, NOW_MS, steady};
use proptest::prelude::*;

/// A keyspace after any splits and merges.
fn keyspaces() -> impl Strategy<Value = Keyspace> {
    (1_u32..40, prop::collection::vec((any::<prop::sample::Index>(), any::<u128>(), any::<bool>()), 0..12)).prop_map(
        |(count, changes)| {
            changes.into_iter().fold(
                Keyspace::uniform(count, |index| index.to_string()),
                |keyspace, (index, at, split)| {
                    let index = index.index(keyspace.shards().len());
                    let range = &keyspace.shards()[index];
                    let shard = range.shard.clone();
                    let step = if split && range.end > range.start {
                        Step::Split { shard, at: range.start + 1 + at % (range.end - range.start) }
                    } else {
                        let next = (index + 1).min(keyspace.shards().len() - 1);
                        Step::Merge { shard, adjacent: keyspace.shards()[next].shard.clone() }
                    };
                    keyspace.after(&step).unwrap_or(keyspace)
                },
            )
        },
    )
}

/// A metric by the minute, with some data points missing.
fn minutes(most: f64) -> impl Strategy<Value = Vec<Option<f64>>> {
    let level = prop_oneof![Just(0.0), 0.0..1.0_f64, Just(1.0)];
    (level, prop::collection::vec(prop::option::weighted(0.95, 0.8..1.2_f64), 120)).prop_map(move |(level, minutes)| {
        minutes.into_iter().map(|minute| minute.map(|minute| minute * level * most)).collect()
    })
}

prop_compose! {
    fn observations()(
        keyspace in keyspaces(),
        records in minutes(60.0 * 60_000.0),
        bytes in minutes(60.0 * 60.0 * 1_048_576.0),
        throttled in minutes(100_000.0),
        pulse in minutes(1.0),
        habits in prop::option::of((0_i64..100, 0.0..60.0_f64, 0.0..60.0_f64)),
        ages in prop::collection::vec(prop::option::of(0.0..400_000.0_f64), 0..5),
        calls in prop::collection::vec(0_i64..30 * 60, 0..14),
        changes in prop::collection::vec((0_i64..120, 0_usize..3), 0..3),
        limits in prop::option::of((1_u32..200, 0_u32..200)),
        sample in prop::collection::vec(any::<u128>(), 0..300),
        hot in (any::<u128>(), 0_usize..300),
        waiting in prop::bool::weighted(0.05),
    ) -> Observation {
        let series = |values: Vec<Option<f64>>| Series::minutes(NOW_MS - MINUTE_MS, values);
        let consumer = |(index, age): (usize, &Option<f64>)| {
            let fan_out = if index % 2 == 0 { FanOut::Plain } else { FanOut::Enhanced };
            Consumer { name: index.to_string(), fan_out, iterator_age_ms: *age }
        };
        let directions = [Direction::Grow, Direction::Shrink, Direction::Even];
        let change = |(minutes, index): &(i64, usize)| {
            Change { at_ms: NOW_MS - minutes * MINUTE_MS, direction: directions[*index] }
        };
        Observation {
            status: if waiting { StreamStatus::Updating } else { StreamStatus::Active },
            load: Load { records: series(records), bytes: series(bytes) },
            throttled: series(throttled),
            pulse: series(pulse),
            habits: habits.map(|(hours, peak, jump)| Habits { known_ms: hours * 3_600_000, peak, jump }),
            consumers: ages.iter().enumerate().map(consumer).collect(),
            calls: calls.iter().map(|minutes| NOW_MS - minutes * MINUTE_MS).collect(),
            changes: changes.iter().map(change).collect(),
            limits: Limits {
                account_shards_max: limits.map(|limits| limits.0),
                account_shards_open: limits.map(|limits| limits.1),
            },
            sample: sample.into_iter().chain(std::iter::repeat_n(hot.0, hot.1)).collect(),
            ..steady(&keyspace, 0.0)
        }
    }
}

prop_compose! {
    fn policies()(
        mode in prop_oneof![Just(Mode::Target), Just(Mode::Stream), Just(Mode::Shard)],
        least in 1_u32..30,
        more in 0_u32..60,
        grow_only in prop::bool::weighted(0.2),
        grow_cooldown_s in 0_u32..3_600,
        shrink_cooldown_s in 0_u32..3_600,
        calls_reserved in 0_u32..=10,
    ) -> Policy {
        Policy {
            mode, min_shards: least, max_shards: least + more, grow_only, grow_cooldown_s, shrink_cooldown_s, calls_reserved,
            ..Policy::default()
        }
    }
}

/// The keyspace after the plan's steps, each of which Kinesis must accept.
fn executed(observation: &Observation, plan: &Plan) -> Keyspace {
    plan.steps.iter().fold(observation.keyspace().unwrap(), |keyspace, step| {
        let after = keyspace.after(step).unwrap();
        Keyspace::new(after.shards().to_vec()).unwrap()
    })
}

fn since_s(observation: &Observation, directions: &[Direction]) -> Option<i64> {
    observation.last_change_ms(directions).map(|at_ms| (NOW_MS - at_ms) / 1_000)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn every_plan_keeps_the_keyspace_whole_and_changes_each_shard_once_at_most(
        observation in observations(), policy in policies(),
    ) {
        let plan = plan(&observation, &policy, NOW_MS);
        executed(&observation, &plan);
        let mut named: Vec<&str> = plan.steps.iter().flat_map(|step| match step {
            Step::UpdateShardCount { .. } => vec![],
            Step::Split { shard, .. } => vec![shard.as_str()],
            Step::Merge { shard, adjacent } => vec![shard.as_str(), adjacent.as_str()],
        }).collect();
        let count = named.len();
        named.sort_unstable();
        named.dedup();
        prop_assert_eq!(named.len(), count);
        prop_assert!(!plan.reason.is_empty());
        prop_assert!(observation.status == StreamStatus::Active || plan.is_nothing());
    }

    #[test]
    fn every_plan_ends_within_the_bounds_or_nearer_to_them(observation in observations(), policy in policies()) {
        let plan = plan(&observation, &policy, NOW_MS);
        let (open, after) = (observation.open(), executed(&observation, &plan).count());
        let (least, most) = (policy.min_shards.min(open), policy.max_shards.max(open));
        prop_assert!((least..=most).contains(&after), "from {} to {}: {:?}", open, after, plan);
        match plan.direction {
            Some(Direction::Grow) => prop_assert!(after > open && after <= policy.max_shards, "{:?}", plan),
            Some(Direction::Shrink) => prop_assert!(after < open && after >= policy.min_shards, "{:?}", plan),
            _ => prop_assert!(plan.is_nothing()),
        }
        if let (Some(limit), Some(account)) =
            (observation.limits.account_shards_max, observation.limits.account_shards_open)
        {
            prop_assert!(after <= open || account.max(open) + (after - open) <= limit, "{:?}", plan);
        }
    }

    #[test]
    fn every_plan_keeps_the_budget_and_its_reserve(observation in observations(), policy in policies()) {
        let plan = plan(&observation, &policy, NOW_MS);
        let calls = plan.steps.iter().filter(|step| matches!(step, Step::UpdateShardCount { .. })).count() as u32;
        let used = observation.calls_used(NOW_MS);
        let allowed = match plan.direction {
            Some(Direction::Grow) => DAILY_CALLS_MAX,
            _ => DAILY_CALLS_MAX - policy.calls_reserved,
        };
        prop_assert!(calls == 0 || used + calls <= allowed, "{} used: {:?}", used, plan);
        prop_assert!(policy.mode != Mode::Shard || calls == 0);
    }

    #[test]
    fn every_plan_keeps_the_cool_downs(observation in observations(), policy in policies()) {
        let plan = plan(&observation, &policy, NOW_MS);
        let all = [Direction::Grow, Direction::Shrink, Direction::Even];
        let (since, cooldown_s) = match plan.direction {
            // Below the minimum, the stream grows without waiting.
            Some(Direction::Grow) if observation.open() >= policy.min_shards => {
                (since_s(&observation, &[Direction::Grow]), policy.grow_cooldown_s)
            }
            Some(Direction::Shrink) => (since_s(&observation, &all), policy.shrink_cooldown_s),
            _ => (None, 0),
        };
        prop_assert!(since.is_none_or(|since| since >= i64::from(cooldown_s)), "{:?} {:?}", since, plan);
    }

    #[test]
    fn no_stream_shrinks_while_a_consumer_lags_or_records_are_refused(
        observation in observations(), policy in policies(),
    ) {
        if plan(&observation, &policy, NOW_MS).direction == Some(Direction::Shrink) {
            let lagging = observation.consumers.iter().any(|consumer| {
                consumer.iterator_age_ms.is_some_and(|age_ms| age_ms >= f64::from(policy.lag_max_s) * 1_000.0)
            });
            let refusing = observation.throttled.newest(15).iter().flatten().any(|&refused| refused > 0.0);
            prop_assert!(!lagging && !refusing);
            prop_assert!(!policy.grow_only || observation.open() > policy.max_shards);
        }
    }

    /// Executes each plan at once and observes the stream again under the same load, without cool-downs. The stream
    /// must come to rest, and must not alternate between growing and shrinking.
    #[test]
    fn a_constant_load_never_flaps(
        keyspace in keyspaces(), demand in 0.0..60.0_f64, jump in 0.0..20.0_f64, policy in policies(), used in 0_i64..=10,
    ) {
        let policy = Policy { grow_cooldown_s: 0, shrink_cooldown_s: 0, grow_only: false, ..policy };
        let mut keyspace = keyspace;
        let mut directions = Vec::new();
        let mut rest = false;
        for round in 0..200 {
            let mut observation = steady(&keyspace, demand);
            observation.habits = Some(Habits { known_ms: 30 * 86_400_000, peak: demand + jump, jump });
            // After 20 rounds, the calls that were used at first are more than 24 hours old.
            observation.calls = (0..if round < 20 { used } else { 0 }).map(|call| NOW_MS - call * MINUTE_MS).collect();
            let plan = plan(&observation, &policy, NOW_MS);
            keyspace = executed(&observation, &plan);
            rest = plan.is_nothing();
            directions.extend(plan.direction);
            if rest && round >= 20 {
                break;
            }
        }
        prop_assert!(rest, "the stream does not come to rest: {:?}", directions);
        directions.dedup();
        prop_assert!(directions.len() <= 3, "{:?}", directions);
    }

    #[test]
    fn evening_out_keeps_the_keyspace_whole_and_terminates(keyspace in keyspaces(), count in 1_u32..40) {
        let mut keyspace = keyspace;
        for _ in 0..60 {
            let observation = steady(&keyspace, 1.0);
            let plan = even(&observation, count);
            if plan.is_nothing() {
                break;
            }
            keyspace = executed(&observation, &plan);
        }
        prop_assert_eq!(keyspace.count(), count);
        let widths: Vec<f64> = keyspace.shards().iter().map(super::super::keyspace::share).collect();
        prop_assert!(widths.iter().all(|width| (width * f64::from(count) - 1.0).abs() < 0.04), "{:?}", widths);
    }
}
