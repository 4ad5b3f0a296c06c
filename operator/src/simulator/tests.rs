//! The limits that the model shares with Kinesis, and the default policy beside its peers.

use super::*;
use myaku::scaling::shards::Policy;

fn all() -> Vec<Contender> {
    let peers = PEERS.iter().filter_map(|(name, _)| Contender::peer(name));
    std::iter::once(Contender::default_policy()).chain(peers).collect()
}

fn flat(name: &str, per_s: f64, hours: f64) -> Trace {
    let points = vec![(0.0, per_s), (hours * 3_600.0, per_s)];
    Trace { name: name.to_owned(), points, start_ms: 0, hot_key: 0.0, left_out: 0 }
}

fn only(trace: &Trace, contender: Contender, assumptions: &Assumptions) -> RunOutcome {
    compare(trace, &[contender], assumptions).outcomes.remove(0)
}

fn limited(policy: Policy) -> Contender {
    Contender::Policy { name: "limited".to_owned(), policy: Box::new(policy) }
}

#[test]
fn a_shard_accepts_a_thousand_records_a_second_and_refuses_the_rest() {
    let one = limited(Policy { max_shards: 1, ..Policy::default() });
    let outcome = only(&flat("full", 1_500.0, 1.0), one, &Assumptions::default());
    assert!((outcome.throttled - 500.0 * 3_600.0).abs() < 1.0, "{outcome:?}");
    assert!((outcome.shard_hours - 1.0).abs() < 1e-9 && (outcome.throttled_s - 3_600.0).abs() < 1e-9);
}

#[test]
fn a_shard_accepts_a_mebibyte_a_second_and_refuses_the_rest() {
    let one = limited(Policy { max_shards: 1, ..Policy::default() });
    let large = Assumptions { record_bytes: 10_485.76, ..Assumptions::default() };
    let outcome = only(&flat("large", 150.0, 1.0), one, &large);
    assert!((outcome.throttled - 50.0 * 3_600.0).abs() < 1.0, "{outcome:?}");
}

#[test]
fn two_plain_consumers_keep_up_and_four_fall_behind() {
    let one = || limited(Policy { max_shards: 1, ..Policy::default() });
    let lag = |consumers| {
        only(&flat("read", 1_000.0, 1.0), one(), &Assumptions { consumers, ..Assumptions::default() }).lag_s_max
    };
    // 1,000 KiB/s arrive and 512 KiB/s are read.
    assert!(lag(2) < 1e-9);
    assert!((lag(4) - 3_600.0 * (1_000.0 / 512.0 - 1.0)).abs() < 1.0, "{}", lag(4));
}

#[test]
fn one_key_gets_the_capacity_of_one_shard_however_many_there_are() {
    let trace = Trace { hot_key: 0.5, ..flat("hot", 4_000.0, 1.0) };
    let fixed = limited(Policy { min_shards: 64, max_shards: 64, ..Policy::default() });
    let outcome = only(&trace, fixed, &Assumptions::default());
    assert!(outcome.throttled > 1_000.0 * 3_600.0, "{outcome:?}");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let trace = days("hot-key", 0..1);
    let run = || compare(&trace, &[Contender::default_policy()], &Assumptions::default());
    assert_eq!(run(), run());
}

#[test]
fn the_talks_policy_doubles_after_five_minutes_over_its_threshold() {
    let talk = only(&days("step", 1..3), Contender::peer("talk").unwrap(), &Assumptions::default());
    let step = 1_440;
    let grown = talk.shards.iter().skip(step).position(|&shards| shards > talk.shards[step]).unwrap();
    // Five minutes over the threshold, one until the metrics arrive, and half a minute to reshard.
    assert!((5..=8).contains(&grown), "{grown}");
    assert_eq!(talk.shards.last(), Some(&16.0));
}

/// A synthetic trace from the start of one day to the end of another.
fn days(name: &str, days: std::ops::Range<u32>) -> Trace {
    let (from, until) = (f64::from(days.start) * 86_400.0, f64::from(days.end) * 86_400.0);
    let mut trace = Trace::synthetic(name).unwrap();
    trace.points.retain(|point| (from..=until).contains(&point.0));
    trace.points.iter_mut().for_each(|point| point.0 -= from);
    trace
}

#[test]
fn no_peer_without_foresight_is_better_than_the_default_policy() {
    for trace in [days("step", 1..3), days("flash", 1..4), days("daily", 0..4)] {
        let comparison = compare(&trace, &all(), &Assumptions::default());
        // `fixed` knows the peak in advance; docs/scaling.md shows where that makes it better.
        let better: Vec<&str> = comparison.better_than(0).into_iter().filter(|peer| *peer != "fixed").collect();
        assert!(better.is_empty(), "{better:?} {}", table(std::slice::from_ref(&comparison)));
    }
}

#[test]
fn a_constant_load_is_sized_once_and_not_again() {
    for per_s in [900.0, 4_550.0] {
        for contender in all() {
            let outcome = only(&flat("flat", per_s, 36.0), contender, &Assumptions::default());
            let changes = outcome.shards.iter().skip(30 * 60).collect::<Vec<_>>();
            assert!(
                changes.windows(2).all(|pair| (pair[0] - pair[1]).abs() < 0.5),
                "{} flaps at {per_s}",
                outcome.name
            );
        }
    }
}

#[test]
fn a_picture_shows_every_contender() {
    let comparison = compare(&days("step", 2..3), &all(), &Assumptions::default());
    let picture = plot(&comparison).unwrap();
    for outcome in &comparison.outcomes {
        assert!(picture.contains(&format!("{}: ", outcome.name)), "{}", outcome.name);
    }
}
