//! Aggregates at their limits, and merged.

use super::*;
use proptest::prelude::*;

fn of(kind: Kind, values: &[Value]) -> Aggregate {
    let mut aggregate = Aggregate::new(kind);
    for (at, value) in (0..).zip(values) {
        aggregate.fold(at, value);
    }
    aggregate
}

fn numbers(values: &[f64]) -> NumbersSummary {
    match of(Kind::Number, &values.iter().copied().map(Value::Number).collect::<Vec<_>>()).summary() {
        Some(Summary::Numbers(numbers)) => numbers,
        other => panic!("{other:?}"),
    }
}

fn texts(aggregate: &Aggregate) -> TextsSummary {
    match aggregate.summary() {
        Some(Summary::Texts(texts)) => texts,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_large_offset_takes_no_digits_from_the_deviation() {
    let summary = numbers(&[1e9 + 4.0, 1e9 + 7.0, 1e9 + 13.0, 1e9 + 16.0]);
    assert!((summary.stddev - 22.5_f64.sqrt()).abs() < 1e-7, "{summary:?}");
}

#[test]
fn a_sum_of_a_day_of_tenths_is_exact() {
    let summary = numbers(&vec![0.1; 86_400]);
    assert_eq!((summary.sum, summary.mean, summary.stddev), (8_640.0, 0.1, 0.0));
}

#[test]
fn statistics_of_the_greatest_doubles_are_numbers() {
    for values in [[f64::MAX, f64::MAX, -f64::MAX], [-f64::MAX, f64::MAX, 0.0], [f64::MAX; 3]] {
        let values: Vec<_> = values.into_iter().map(Value::Number).collect();
        let mut aggregate = of(Kind::Number, &values);
        aggregate.close(1_000);
        assert!(aggregate.merge(&aggregate.clone()));
        let Some(Summary::Numbers(of)) = aggregate.summary() else { panic!() };
        for number in [of.sum, of.mean, of.stddev, of.time_weighted_mean, of.p50, of.p99] {
            assert!(number.is_finite(), "{of:?}");
        }
    }
}

#[test]
fn aggregates_of_different_kinds_do_not_merge() {
    let mut number = of(Kind::Number, &[Value::Number(1.0)]);
    let before = number.clone();
    assert!(!number.merge(&of(Kind::Boolean, &[Value::Boolean(true)])));
    assert_eq!(number, before);
    number.fold(2, &Value::Boolean(true));
    assert_eq!(number, before, "a value of another kind is left out");
}

#[test]
fn an_aggregate_without_readings_adds_nothing_in_a_merge() {
    for value in [Value::Number(5.0), Value::Boolean(true), Value::Text("on".to_owned()), Value::Position([7.0, 50.0])]
    {
        let some = of(super::super::timeline::kind(&value), &[value.clone(), value.clone()]);
        // A value that was carried into the window does not count as a reading.
        let mut none = Aggregate::new(some.kind());
        none.carry(-1, &value);
        let (mut left, mut right) = (some.clone(), none.clone());
        assert!(left.merge(&none) && right.merge(&some));
        assert_eq!((&left, &right), (&some, &some));
    }
}

#[test]
fn a_text_that_comes_often_is_counted_among_a_thousand_others() {
    let values: Vec<_> = (0..2_000)
        .map(|n| Value::Text(if n % 10 == 0 { "timeout".to_owned() } else { format!("error {}", n % 1_000) }))
        .collect();
    let summary = texts(&of(Kind::Text, &values));
    let top = &summary.top[0];
    assert_eq!((&*top.text, summary.count, summary.exact), ("timeout", 2_000, false));
    assert!(top.count >= 200 && top.count - top.error <= 200, "{top:?}");
    assert!((summary.distinct as f64 / 901.0 - 1.0).abs() < 0.1, "{}", summary.distinct);
}

proptest! {
    #[test]
    fn a_count_of_a_text_is_never_too_low_and_too_high_by_at_most_its_error(
        numbers in prop::collection::vec(prop_oneof![0..8_u32, 0..300_u32], 1..600),
        cut in any::<prop::sample::Index>(),
    ) {
        let values: Vec<_> = numbers.iter().map(|n| Value::Text(format!("error {n}"))).collect();
        let (left, right) = values.split_at(cut.index(values.len()));
        let mut merged = of(Kind::Text, left);
        merged.merge(&of(Kind::Text, right));
        for summary in [texts(&of(Kind::Text, &values)), texts(&merged)] {
            prop_assert_eq!(summary.count as usize, values.len());
            for CountedText { text, count, error } in &summary.top {
                let exact = values.iter().filter(|value| **value == Value::Text(text.clone())).count() as u64;
                prop_assert!(*count >= exact && count - error <= exact, "{}: {} ± {} of {}", text, count, error, exact);
            }
            let mut known = numbers.clone();
            known.sort_unstable();
            known.dedup();
            prop_assert_eq!(summary.exact, known.len() <= MAX_TEXTS);
            prop_assert!((summary.distinct as f64 / known.len() as f64 - 1.0).abs() < 0.15);
        }
    }

    #[test]
    fn aggregates_of_booleans_merge_into_that_of_the_whole(
        values in prop::collection::vec(any::<bool>(), 2..30),
        cut in any::<prop::sample::Index>(),
    ) {
        let values: Vec<_> = values.into_iter().map(Value::Boolean).collect();
        let cut = cut.index(values.len() - 1) + 1;
        let mut whole = of(Kind::Boolean, &values);
        whole.close(100);
        let mut left = of(Kind::Boolean, &values[..cut]);
        left.close(cut as i64);
        let mut right = Aggregate::new(Kind::Boolean);
        right.carry(cut as i64, &values[cut - 1]);
        (cut..).zip(&values[cut..]).for_each(|(at, value)| right.fold(at as i64, value));
        right.close(100);
        left.merge(&right);
        prop_assert_eq!(left, whole);
    }
}
