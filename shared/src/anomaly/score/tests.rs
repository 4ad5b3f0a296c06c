//! The score beside an independent implementation, and what it promises for any readings.

use super::*;
use proptest::prelude::*;

/// The made series with their scores: `t,x,score`, with `t` in seconds.
const VECTORS: [(&str, &str); 7] = [
    ("sine-spike", include_str!("vectors/sine-spike.csv")),
    ("step-drift", include_str!("vectors/step-drift.csv")),
    ("flat", include_str!("vectors/flat.csv")),
    ("gaps", include_str!("vectors/gaps.csv")),
    ("noise", include_str!("vectors/noise.csv")),
    ("pulses", include_str!("vectors/pulses.csv")),
    ("restarts", include_str!("vectors/restarts.csv")),
];
/// `n,score` of the readings of [`long`] that score 0.15 and more.
const LONG: &str = include_str!("vectors/long.csv");
/// The sum of all scores of [`long`].
const LONG_SUM: f64 = 55.075_534_474_393_635;

/// How far a score may be from the vector's: `ln` and `asinh` differ in their last bit between C libraries.
const TOLERANCE: f64 = 1e-12;

fn rows(text: &str) -> impl Iterator<Item = (i64, f64, f64)> {
    text.lines().skip(1).map(|line| {
        let fields: Vec<&str> = line.split(',').collect();
        (fields[0].parse::<i64>().unwrap() * 1_000, fields[1].parse().unwrap(), fields[2].parse().unwrap())
    })
}

/// Readings each five minutes, for 70 days: louder by day, with rare peaks, and a high hour or so on day 42.
fn long() -> impl Iterator<Item = (i64, f64)> {
    let mut state = 1_u32;
    let mut random = move || {
        state = state.wrapping_mul(1_103_515_245).wrapping_add(12_345) % (1 << 31);
        i64::from(state >> 16)
    };
    (0..20_000).map(move |n| {
        let (one, other) = (random(), random());
        let hour = n * 300 % 86_400 / 3_600;
        let by_day = if (7..21).contains(&hour) { 150 } else { 0 };
        let peak = if other % 1_499 == 0 { one / 40 } else { 0 };
        let step = if (12_000..12_300).contains(&n) { 200 } else { 0 };
        let tenths = 600 + by_day + one % 40 + other % 40 + peak + step;
        ((1_795_219_200 + n * 300) * 1_000, tenths as f64 / 10.0)
    })
}

fn detector<P: Precision>() -> Detector<P> {
    Detector::default()
}

#[test]
fn every_score_equals_that_of_an_independent_implementation() {
    for (name, text) in VECTORS {
        let mut detector = detector::<f64>();
        for (line, (at_ms, value, expected)) in (2..).zip(rows(text)) {
            let score = detector.update(at_ms, value).value;
            assert!((score - expected).abs() <= TOLERANCE, "{name}.csv, line {line}: {score} instead of {expected}");
        }
    }
}

#[test]
fn scores_still_equal_after_counts_were_halved_and_peaks_have_faded() {
    let mut detector = detector::<f64>();
    let scores: Vec<f64> = long().map(|(at_ms, value)| detector.update(at_ms, value).value).collect();
    let high: Vec<_> = scores.iter().enumerate().filter(|(_, score)| **score >= 0.15).collect();
    let expected: Vec<(usize, f64)> = LONG
        .lines()
        .skip(1)
        .map(|line| line.split_once(',').unwrap())
        .map(|(n, score)| (n.parse().unwrap(), score.parse().unwrap()))
        .collect();
    assert_eq!(high.len(), expected.len());
    for ((n, score), (expected_n, expected)) in high.into_iter().zip(expected) {
        assert_eq!(n, expected_n);
        assert!((score - expected).abs() <= TOLERANCE, "reading {n}: {score} instead of {expected}");
    }
    let sum: f64 = scores.iter().sum();
    assert!((sum - LONG_SUM).abs() <= 1e-9, "{sum}");
}

#[test]
fn numbers_kept_in_four_bytes_raise_the_same_alarms() {
    let vectors = VECTORS.iter().map(|(name, text)| (*name, rows(text).map(|(at, value, _)| (at, value)).collect()));
    for (name, readings) in vectors.chain([("long", long().collect::<Vec<_>>())]) {
        let (mut exact, mut kept) = (detector::<f64>(), detector::<f32>());
        let mut alarms = 0;
        for (at_ms, value) in readings {
            let (exact, kept) = (exact.update(at_ms, value), kept.update(at_ms, value));
            assert_eq!(exact.value >= ALARM, kept.value >= ALARM, "{name}: {value} scores {exact:?}, {kept:?}");
            alarms += usize::from(kept.value >= ALARM);
            if kept.value >= ALARM {
                assert_eq!(exact.reason, kept.reason, "{name}");
            }
        }
        assert!(alarms > 0, "{name} has nothing to compare");
    }
}

#[test]
fn rounding_makes_no_peak_of_a_view_that_has_become_constant() {
    // On a ramp, the distance from the recent mean becomes constant. Its mean meets its peaks after 67,000 readings or so, and
    // from there on the last digit of a peak would be far beyond the ordinary.
    let (mut exact, mut kept) = (detector::<f64>(), detector::<f32>());
    for n in 0..68_000 {
        let (at_ms, value) = (n * 60_000, n as f64 * 0.7);
        let (exact, kept) = (exact.update(at_ms, value), kept.update(at_ms, value));
        assert_eq!(exact.value >= ALARM, kept.value >= ALARM, "reading {n}: {exact:?}, {kept:?}");
    }
}

#[test]
fn a_small_change_on_a_high_level_is_not_rounded_away() {
    let (mut low, mut high) = (detector::<f32>(), detector::<f32>());
    let mut alarms = 0;
    for (at_ms, value) in long() {
        // Four bytes hold 10 million to the unit, and the values have tenths.
        let (low, high) = (low.update(at_ms, value), high.update(at_ms, 1e7 + value));
        assert_eq!(low.value >= ALARM, high.value >= ALARM);
        alarms += usize::from(high.value >= ALARM);
    }
    assert!(alarms > 0);
}

#[test]
fn a_young_series_scores_zero() {
    let mut detector = Detector::new();
    for n in 0..100 {
        let value = if n == 50 { 1e9 } else { 60.0 };
        assert_eq!(detector.update(n * 1_000, value), Score::default());
    }
    assert!(detector.update(100_000, 1e12).value >= ALARM);
}

#[test]
fn a_value_that_is_not_finite_changes_nothing() {
    let mut detector = Detector::new();
    for (at_ms, value) in long().take(150) {
        detector.update(at_ms, value);
    }
    let before = detector.clone();
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(detector.update(0, value), Score::default());
    }
    assert_eq!(detector, before);
}

/// A calm series, followed by `values`: their scores.
fn scores_after_calm(values: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut detector = Detector::new();
    let calm = (0..400).map(|n| 60.0 + f64::from(n * 7 % 11));
    let values: Vec<f64> = calm.chain(values).collect();
    let scores = values.iter().zip(0..).map(|(value, n)| detector.update(n * 60_000, *value).value);
    scores.skip(400).collect()
}

#[test]
fn an_alarm_silences_the_series_until_it_gets_twice_as_bad() {
    let scores = scores_after_calm([120.0, 120.0, 150.0, 900.0]);
    let alarms: Vec<bool> = scores.iter().map(|score| *score >= ALARM).collect();
    assert_eq!(alarms, [true, false, false, true], "{scores:?}");
    assert!(scores[1..3].iter().all(|score| score.abs() < f64::MIN_POSITIVE), "a silenced reading scores 0");
}

#[test]
fn an_alarm_silences_the_series_for_a_hundred_readings() {
    let again_after = |calm: usize| {
        let calm = (0..calm).map(|n| 60.0 + (n * 7 % 11) as f64);
        scores_after_calm([120.0].into_iter().chain(calm).chain([170.0])).last().copied().unwrap()
    };
    assert!(again_after(usize::from(SILENCE) - 1) < ALARM);
    assert!(again_after(usize::from(SILENCE)) >= ALARM);
}

#[test]
fn what_was_seen_seven_times_is_ordinary() {
    // The peaks are 300 readings apart, so each may be a peak of its own, and none falls into a silence.
    let peak_every = |n: i64| if n % 300 == 299 { 200.0 } else { 60.0 + (n * 7 % 11) as f64 };
    let mut detector = Detector::new();
    let scores: Vec<f64> = (0..6_000).map(|n| detector.update(n * 60_000, peak_every(n)).value).collect();
    let peaks: Vec<f64> = scores.into_iter().skip(299).step_by(300).collect();
    assert!(peaks[0] >= ALARM);
    assert!(peaks[13..].iter().all(|score| *score < ALARM), "{peaks:?}");
}

/// The reason of the score of the last of `count` readings, which is an alarm.
fn reason_at_the_end(count: i64, step_ms: i64, value: impl Fn(i64) -> f64) -> Reason {
    let mut detector = Detector::new();
    let score = (0..count).fold(Score::default(), |_, n| detector.update(n * step_ms, value(n)));
    assert!(score.value >= ALARM, "{score:?}");
    score.reason.unwrap()
}

#[test]
fn the_reason_names_what_is_unusual_and_in_which_direction() {
    let wave = |n: i64| 61.0 + 6.0 * (n as f64 / 20.0).sin();
    let high = reason_at_the_end(301, 60_000, |n| if n == 300 { 140.0 } else { wave(n) });
    assert_eq!((high.view, high.side), (View::Value, Side::High));
    assert_eq!(high.to_string(), "level: the value is above its usual peaks");
    let low = reason_at_the_end(301, 60_000, |n| if n == 300 { -18.0 } else { wave(n) });
    assert_eq!((low.subject(), low.side), ("level", Side::Low));
}

#[test]
fn an_ordinary_value_at_an_extraordinary_hour_has_a_reason_that_says_so() {
    // Loud by day and silent by night; then one loud reading at night.
    let day = |n: i64| if (48..120).contains(&(n % 144)) { 40.0 } else { 3.0 } + (n * 7 % 4) as f64;
    let night = 20 * 144 + 6;
    let reason = reason_at_the_end(night + 1, 600_000, |n| if n == night { 41.0 } else { day(n) });
    assert_eq!((reason.view, reason.subject()), (View::LevelAtHour, "time of day"));
}

#[test]
fn ordinary_values_in_an_extraordinary_order_have_a_reason_that_says_so() {
    let stairs = |n: i64| 10.0 + (n % 5 * 10) as f64;
    let reason = reason_at_the_end(1_902, 600_000, |n| stairs(if n == 1_901 { n + 2 } else { n }));
    assert_eq!(reason.subject(), "order");
}

#[test]
fn hours_before_the_epoch_are_hours_of_the_day() {
    assert_eq!([-1, 0, 3_599_999, 3_600_000, 86_400_000].map(hour_of_day), [23, 0, 0, 1, 0]);
}

/// Values of all sizes, and stretches of the same value.
fn values() -> impl Strategy<Value = Vec<f64>> {
    let value = prop_oneof![
        4 => -100.0..100.0_f64,
        1 => any::<f64>(),
        1 => prop::sample::select(vec![0.0, -0.0, 36.6, f64::MAX, f64::MIN, f64::MIN_POSITIVE, 1e30, f64::NAN]),
    ];
    let stretch = (value, 1..8_usize).prop_map(|(value, times)| vec![value; times]);
    prop::collection::vec(stretch, 0..120).prop_map(|stretches| stretches.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_score_is_between_0_and_1_whatever_comes(values in values(), at_ms: i64, step_ms in 0..10_000_000_i64) {
        let (mut exact, mut kept) = (detector::<f64>(), detector::<f32>());
        for (n, value) in (0..).zip(values) {
            let at_ms = at_ms.saturating_add(step_ms * n);
            for score in [exact.update(at_ms, value), kept.update(at_ms, value)] {
                prop_assert!((0.0..=1.0).contains(&score.value));
                prop_assert_eq!(score.reason.is_some(), score.value > 0.0);
            }
        }
    }
}
