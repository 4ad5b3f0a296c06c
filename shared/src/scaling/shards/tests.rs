//! The rules of the plan, one by one. `properties` checks every plan against random streams.

mod properties;

use super::*;
use crate::stream::shard_map::HashKeyRange;

const NOW_MS: i64 = 1_800_000_000_000;
const MINUTE_MS: i64 = 60_000;

/// A stream of `open` even shards with a constant demand of `demand` shards' worth in the last 120 minutes and before.
fn calm(open: u32, demand: f64) -> Observation {
    steady(&Keyspace::uniform(open, |index| format!("shard-{index}")), demand)
}

fn steady(keyspace: &Keyspace, demand: f64) -> Observation {
    let minutes = |value: f64| Series::minutes(NOW_MS - MINUTE_MS, vec![Some(value); 120]);
    Observation {
        stream: "ingest".to_owned(),
        shards: keyspace.shards().iter().map(|range| OpenShard { range: range.clone(), load: None }).collect(),
        load: Load { records: minutes(demand * 60_000.0), bytes: minutes(demand * 6_000.0) },
        throttled: minutes(0.0),
        pulse: minutes(1.0),
        habits: Some(Habits { known_ms: 30 * 86_400_000, peak: demand, jump: 0.0 }),
        consumers: vec![Consumer { name: "archiver".to_owned(), fan_out: FanOut::Plain, iterator_age_ms: Some(50.0) }],
        ..Observation::default()
    }
}

fn stream_mode() -> Policy {
    Policy { mode: Mode::Stream, ..Policy::default() }
}

fn target_of(plan: &Plan) -> Option<u32> {
    match plan.steps[..] {
        [Step::UpdateShardCount { target }] => Some(target),
        _ => None,
    }
}

#[test]
fn stream_mode_doubles_above_its_upper_mark_and_halves_below_its_lower_mark() {
    let policy = stream_mode();
    assert_eq!(target_of(&plan(&calm(4, 3.3), &policy, NOW_MS)), Some(8));
    assert_eq!(target_of(&plan(&calm(4, 0.7), &policy, NOW_MS)), Some(2));
    assert!(plan(&calm(4, 3.1), &policy, NOW_MS).is_nothing());
    assert!(plan(&calm(4, 0.9), &policy, NOW_MS).is_nothing());
}

#[test]
fn stream_mode_needs_5_minutes_above_the_upper_mark_or_30_below_the_lower_mark() {
    let mut brief = calm(4, 3.3);
    brief.load.records.values[115] = Some(0.0);
    assert!(plan(&brief, &stream_mode(), NOW_MS).is_nothing());
    let mut brief = calm(4, 0.7);
    brief.load.records.values[90] = Some(60_000.0);
    assert!(plan(&brief, &stream_mode(), NOW_MS).is_nothing());
    brief.load.records.values[89..=90].rotate_right(1);
    assert_eq!(target_of(&plan(&brief, &stream_mode(), NOW_MS)), Some(2));
}

#[test]
fn target_mode_goes_straight_to_the_size_that_the_load_needs() {
    let grown = plan(&calm(4, 6.0), &Policy::default(), NOW_MS);
    assert_eq!((target_of(&grown), grown.wanted), (Some(7), 7), "a demand of 6.0 shards fills 7 shards to 86 %");
    assert_eq!(target_of(&plan(&calm(9, 6.0), &Policy::default(), NOW_MS)), Some(7));
    assert!(plan(&calm(7, 6.0), &Policy::default(), NOW_MS).is_nothing());
}

#[test]
fn target_mode_keeps_room_for_the_greatest_known_jump_but_not_beyond_the_known_peak() {
    let with = |jump, peak| {
        let habits = Some(Habits { known_ms: 30 * 86_400_000, peak, jump });
        plan(&Observation { habits, ..calm(4, 2.0) }, &Policy::default(), NOW_MS).wanted
    };
    assert_eq!([with(0.0, 9.0), with(3.0, 9.0), with(30.0, 9.0)], [3, 6, 10]);
}

#[test]
fn a_stream_with_unknown_habits_keeps_more_room() {
    let observation = Observation { habits: None, ..calm(4, 3.0) };
    let policy = Policy::default();
    let wanted = plan(&observation, &policy, NOW_MS).wanted;
    assert!(f64::from(wanted) >= 3.0 / policy.target.newcomer_utilisation, "{wanted}");
}

#[test]
fn a_rise_is_extrapolated() {
    let mut rising = calm(4, 3.0);
    for (minute, value) in rising.load.records.values[115..].iter_mut().enumerate() {
        *value = Some((3.0 + 0.1 * minute as f64) * 60_000.0);
    }
    // The demand is 3.4 shards and rises by 0.1 a minute: in five minutes it is 3.9, more than 90 % of four shards.
    assert!(target_of(&plan(&rising, &Policy::default(), NOW_MS)).is_some());
}

#[test]
fn one_call_doubles_the_count_at_most_and_halves_it_at_most() {
    assert_eq!(target_of(&plan(&calm(4, 40.0), &Policy::default(), NOW_MS)), Some(8));
    assert_eq!(target_of(&plan(&calm(9, 0.1), &Policy::default(), NOW_MS)), Some(5));
}

#[test]
fn a_plan_stays_within_the_bounds_and_reports_a_need_beyond_them() {
    let policy = Policy { min_shards: 3, max_shards: 6, ..Policy::default() };
    let most = plan(&calm(5, 30.0), &policy, NOW_MS);
    assert_eq!((target_of(&most), most.wanted > 6), (Some(6), true));
    assert!(most.reason.contains("the maximum is 6"), "{}", most.reason);
    assert_eq!(target_of(&plan(&calm(5, 0.1), &policy, NOW_MS)), Some(3));
    assert_eq!(
        target_of(&plan(&calm(2, 0.1), &policy, NOW_MS)),
        Some(3),
        "below the minimum it grows even without load"
    );
}

#[test]
fn a_stream_does_not_shrink_while_a_consumer_lags_or_is_unknown_or_while_records_are_refused() {
    let idle = || calm(8, 0.5);
    let mut lagging = idle();
    lagging.consumers[0].iterator_age_ms = Some(300_000.0);
    let mut unknown = idle();
    unknown.consumers[0].iterator_age_ms = None;
    let mut refusing = idle();
    refusing.throttled.values[110] = Some(1.0);
    let grow_only = Policy { grow_only: true, ..Policy::default() };
    let cases = [
        (lagging, Policy::default(), "archiver is 300 s behind"),
        (unknown, Policy::default(), "the iterator age of archiver is unknown"),
        (refusing, Policy::default(), "1 records were refused"),
        (idle(), grow_only, "leaves shrinking to the operator"),
    ];
    for (observation, policy, reason) in cases {
        for policy in [policy.clone(), Policy { mode: Mode::Stream, ..policy }] {
            let plan = plan(&observation, &policy, NOW_MS);
            assert!(plan.is_nothing() && plan.reason.contains(reason), "{plan:?}");
        }
    }
    assert!(!plan(&idle(), &Policy::default(), NOW_MS).is_nothing());
}

#[test]
fn a_silent_stream_shrinks_and_one_without_metrics_does_not() {
    let mut silent = calm(8, 0.0);
    for series in [&mut silent.load.records, &mut silent.load.bytes, &mut silent.throttled] {
        series.values.fill(None);
    }
    silent.consumers[0].iterator_age_ms = None;
    let mut blind = silent.clone();
    blind.pulse.values.fill(None);
    for policy in [Policy::default(), stream_mode()] {
        assert_eq!(target_of(&plan(&silent, &policy, NOW_MS)), Some(4));
        assert!(plan(&blind, &policy, NOW_MS).is_nothing());
    }
}

#[test]
fn a_cool_down_lasts_from_the_end_of_the_last_change() {
    let policy = Policy { grow_cooldown_s: 300, ..Policy::default() };
    let changed = |observation: Observation, ago_s: i64| Observation {
        changes: vec![Change { at_ms: NOW_MS - ago_s * 1_000, direction: Direction::Grow }],
        ..observation
    };
    let waits = plan(&changed(calm(4, 6.0), 299), &policy, NOW_MS);
    assert!(waits.is_nothing() && waits.reason.ends_with("the cool-down lasts for 1 s more"), "{waits:?}");
    assert!(!plan(&changed(calm(4, 6.0), 300), &policy, NOW_MS).is_nothing());
    assert!(plan(&changed(calm(9, 1.0), 1_799), &policy, NOW_MS).is_nothing());
    assert!(!plan(&changed(calm(9, 1.0), 1_800), &policy, NOW_MS).is_nothing());
}

#[test]
fn a_plan_splits_when_no_call_is_left_and_merges_when_only_the_reserve_is_left() {
    let spent = |observation, calls: u32| Observation {
        calls: (0..i64::from(calls)).map(|call| NOW_MS - (call + 1) * 3_600_000).collect(),
        ..observation
    };
    let grown = plan(&spent(calm(4, 6.0), 10), &Policy::default(), NOW_MS);
    assert!(matches!(grown.steps[..], [Step::Split { .. }, ..]), "{grown:?}");
    let kept = DAILY_CALLS_MAX - Policy::default().calls_reserved;
    let shrunk = plan(&spent(calm(8, 0.1), kept), &Policy::default(), NOW_MS);
    assert!(matches!(shrunk.steps[..], [Step::Merge { .. }, ..]), "{shrunk:?}");
    assert!(target_of(&plan(&spent(calm(8, 0.1), kept - 1), &Policy::default(), NOW_MS)).is_some());
}

#[test]
fn a_few_surplus_shards_wait_for_a_call_unless_they_exceed_the_maximum() {
    let spent = |observation| Observation { calls: vec![NOW_MS - MINUTE_MS; 5], ..observation };
    let waits = plan(&spent(calm(7, 5.0)), &Policy::default(), NOW_MS);
    assert!(waits.is_nothing() && waits.reason.contains("reserved for growing"), "{waits:?}");
    let observation = spent(calm(7, 0.7));
    let policy = Policy { min_shards: 6, max_shards: 6, ..Policy::default() };
    let merged = plan(&observation, &policy, NOW_MS);
    assert!(matches!(merged.steps[..], [Step::Merge { .. }]), "{merged:?}");
}

#[test]
fn the_accounts_limit_bounds_a_growth() {
    let with = |open| Limits { account_shards_max: Some(500), account_shards_open: Some(open) };
    let grown = plan(&Observation { limits: with(498), ..calm(4, 8.0) }, &Policy::default(), NOW_MS);
    assert_eq!(target_of(&grown), Some(6));
    let full = plan(&Observation { limits: with(500), ..calm(4, 8.0) }, &Policy::default(), NOW_MS);
    assert!(full.is_nothing() && full.reason.contains("the account's limit allows no more shards"), "{full:?}");
}

#[test]
fn a_stream_that_cannot_be_changed_is_left_alone_and_the_plan_says_why() {
    let gap = vec![calm(4, 9.0).shards.remove(0)];
    let cases = [
        (Observation { mode: StreamMode::OnDemand, ..calm(4, 9.0) }, "on demand"),
        (Observation { status: StreamStatus::Updating, ..calm(4, 9.0) }, "being changed"),
        (Observation { shards: gap, ..calm(4, 9.0) }, "not whole"),
        (Observation { shards: vec![], ..calm(4, 9.0) }, "no open shard"),
    ];
    for (observation, reason) in cases {
        for plan in [plan(&observation, &Policy::default(), NOW_MS), even(&observation, 4)] {
            assert!(plan.is_nothing() && plan.reason.contains(reason), "{plan:?}");
        }
    }
}

#[test]
fn a_schedule_grows_the_stream_before_the_load_rises() {
    let every = |shards| vec![format!("00:00-23:59 {shards}").parse().unwrap()];
    let policy = Policy { schedule: every(8), ..Policy::default() };
    assert_eq!(target_of(&plan(&calm(4, 1.0), &policy, NOW_MS)), Some(8));
    assert!(plan(&calm(8, 1.0), &policy, NOW_MS).is_nothing());
}

/// 400 keys, evenly spread, and the key `key` another `hot` times.
fn sample(key: u128, hot: usize) -> Vec<u128> {
    let even = (0..400).map(|index| keyspace::uniform_start(index, 400) + 7);
    even.chain(std::iter::repeat_n(key, hot)).collect()
}

#[test]
fn a_hot_shard_is_split_in_the_middle_of_its_load_until_its_hot_key_is_alone() {
    let key = u128::MAX / 5;
    let policy = Policy { mode: Mode::Shard, ..Policy::default() };
    let mut observation = Observation { sample: sample(key, 200), ..calm(2, 2.4) };
    let mut splits = Vec::new();
    while let Step::Split { shard, at } = &plan(&observation, &policy, NOW_MS).steps.first().cloned().unwrap() {
        splits.push(*at);
        let after = observation.keyspace().unwrap().after(&Step::Split { shard: shard.clone(), at: *at }).unwrap();
        observation = Observation { sample: sample(key, 200), ..steady(&after, 2.4) };
        let alone = observation.shards.iter().any(|shard| (shard.range.start, shard.range.end) == (key, key));
        if alone {
            break;
        }
        assert!(splits.len() < 5, "{splits:?}");
    }
    assert!(splits.contains(&key) && splits.contains(&(key + 1)), "{splits:?}");
}

#[test]
fn a_key_that_exceeds_a_shard_of_its_own_is_reported_and_not_split_again() {
    let key = u128::MAX / 5;
    let ranges = [("a", 0, key - 1), ("b", key, key), ("c", key + 1, u128::MAX)];
    let ranges = ranges.map(|(shard, start, end)| HashKeyRange { shard: shard.to_owned(), start, end });
    let observation = Observation { sample: sample(key, 400), ..steady(&Keyspace::new(ranges.to_vec()).unwrap(), 2.4) };
    let plan = plan(&observation, &Policy { mode: Mode::Shard, ..Policy::default() }, NOW_MS);
    assert!(plan.reason.contains("hot: b"), "{plan:?}");
    assert!(!plan.steps.iter().any(|step| matches!(step, Step::Split { shard, .. } if shard == "b")), "{plan:?}");
}

#[test]
fn cold_neighbours_are_merged_unless_the_merged_shard_would_be_too_full() {
    let policy = Policy { mode: Mode::Shard, ..Policy::default() };
    let merged = plan(&calm(8, 1.6), &policy, NOW_MS);
    assert!(!merged.is_nothing() && merged.steps.iter().all(|step| matches!(step, Step::Merge { .. })), "{merged:?}");
    assert!(plan(&calm(8, 2.1), &policy, NOW_MS).is_nothing(), "two of 0.26 would be 0.52");
}

#[test]
fn a_shards_own_metrics_take_precedence_over_its_width() {
    let mut observation = calm(2, 1.0);
    let own = |demand: f64| Some(calm(1, demand).load);
    observation.shards[0].load = own(0.95);
    observation.shards[1].load = own(0.05);
    let plan = plan(&observation, &Policy { mode: Mode::Shard, ..Policy::default() }, NOW_MS);
    assert_eq!(plan.steps, [Step::Split { shard: "shard-0".into(), at: u128::MAX / 4 + 1 }]);
}

#[test]
fn from_the_third_plain_consumer_on_a_shard_has_less_capacity() {
    let consumer = |name: &str, fan_out| Consumer { name: name.into(), fan_out, iterator_age_ms: Some(0.0) };
    let mut observation = calm(4, 0.0);
    observation.load.bytes.values.fill(Some(2.5 * 60.0 * 1_048_576.0));
    observation.habits = Some(Habits { known_ms: 30 * 86_400_000, peak: 0.0, jump: 0.0 });
    let wanted = |consumers| plan(&Observation { consumers, ..observation.clone() }, &Policy::default(), NOW_MS).wanted;
    let plain = |count: usize| (0..count).map(|index| consumer(&index.to_string(), FanOut::Plain)).collect::<Vec<_>>();
    assert_eq!((wanted(plain(2)), wanted(plain(4))), (3, 6));
    let enhanced = (0..9).map(|index| consumer(&index.to_string(), FanOut::Enhanced)).collect();
    assert_eq!(wanted(enhanced), 3);
}

#[test]
fn evening_out_ends_with_even_shards_and_keeps_the_keyspace_whole() {
    let cut = |at: &[u128]| {
        let mut keyspace = Keyspace::uniform(1, |_| "s".into());
        for &at in at {
            let shard = keyspace.shards().last().unwrap().shard.clone();
            keyspace = keyspace.after(&Step::Split { shard, at }).unwrap();
        }
        keyspace
    };
    for starts in [vec![5, 9, 1 << 90], vec![u128::MAX / 10 * 9], vec![1 << 127], vec![1 << 125, 1 << 126, 1 << 127]] {
        let mut keyspace = cut(&starts);
        let count = keyspace.count();
        let mut rounds = 0;
        loop {
            let plan = even(&steady(&keyspace, 1.0), count);
            if plan.is_nothing() {
                break;
            }
            for step in &plan.steps {
                keyspace = Keyspace::new(keyspace.after(step).unwrap().shards().to_vec()).unwrap();
            }
            rounds += 1;
            assert!(rounds < 10, "{keyspace:?}");
        }
        assert_eq!(keyspace.count(), count);
        let widths: Vec<f64> = keyspace.shards().iter().map(keyspace::share).collect();
        assert!(widths.iter().all(|width| (width * f64::from(count) - 1.0).abs() < 0.04), "{widths:?}");
    }
}

#[test]
fn a_plan_has_a_stable_form_in_json() {
    let plan = Plan {
        steps: vec![
            Step::UpdateShardCount { target: 4 },
            Step::Split { shard: "a".into(), at: u128::MAX },
            Step::Merge { shard: "b".into(), adjacent: "c".into() },
        ],
        direction: Some(Direction::Grow),
        wanted: 4,
        reason: "why".into(),
    };
    let json = serde_json::to_string(&plan).unwrap();
    insta::assert_snapshot!(json, @r#"{"steps":[{"call":"updateShardCount","target":4},{"call":"split","shard":"a","at":"340282366920938463463374607431768211455"},{"call":"merge","shard":"b","adjacent":"c"}],"direction":"grow","wanted":4,"reason":"why"}"#);
    assert_eq!(serde_json::from_str::<Plan>(&json).unwrap(), plan);
}
