//! The tables of "Configuring how CloudWatch alarms treat missing data", and other rules of evaluation.

use super::*;
use crate::scaling::alarms::{Comparison, MetricId, MetricQuery, Statistic};
use std::cell::RefCell;
use std::collections::BTreeMap;

const MINUTE_MS: i64 = 60_000;

/// One-minute values, by metric and start.
#[derive(Default)]
struct Points(RefCell<BTreeMap<(String, i64), f64>>);

impl Points {
    fn put(&self, name: &str, minute: i64, value: f64) {
        self.0.borrow_mut().insert((name.to_owned(), minute * MINUTE_MS), value);
    }
}

impl Metrics for Points {
    fn value(&self, stat: &MetricStat, start_ms: i64) -> Option<f64> {
        let minutes = i64::from(stat.period_s / 60);
        let points = self.0.borrow();
        let values = (0..minutes)
            .filter_map(|minute| points.get(&(stat.metric.name.clone(), start_ms + minute * MINUTE_MS)).copied());
        values.reduce(|a, b| a + b)
    }
}

fn metric(id: &str, period_s: u32, return_data: bool) -> MetricQuery {
    let metric = MetricId::with("AWS/Kinesis", id, "StreamName", "s");
    let stat = MetricStat { metric, period_s, statistic: Statistic::Sum };
    MetricQuery { id: id.to_owned(), label: None, query: Query::Metric(stat), return_data }
}

fn math(id: &str, expression: &str, return_data: bool) -> MetricQuery {
    let query = Query::Math(expression.parse().unwrap());
    MetricQuery { id: id.to_owned(), label: None, query, return_data }
}

fn definition(needed: u32, periods: u32, missing_data: MissingData) -> AlarmDefinition {
    AlarmDefinition {
        name: "full".to_owned(),
        description: String::new(),
        metrics: vec![metric("m", 60, true)],
        evaluation_periods: periods,
        datapoints_to_alarm: needed,
        threshold: 0.5,
        comparison: Comparison::GreaterThanThreshold,
        missing_data,
        alarm_actions: vec![],
        ok_actions: vec![],
        insufficient_data_actions: vec![],
    }
}

/// The state after the five points of `picture` (`0` within, `X` beyond, `-` missing); `None` if the state stays.
fn state_after(picture: &str, needed: u32, missing_data: MissingData) -> Option<AlarmState> {
    let points = Points::default();
    for (minute, point) in (0..).zip(picture.chars().filter(|point| !point.is_whitespace())) {
        match point {
            '0' => points.put("m", minute, 0.0),
            'X' => points.put("m", minute, 1.0),
            _ => {}
        }
    }
    let states = [AlarmState::Ok, AlarmState::Alarm, AlarmState::InsufficientData];
    let results = states.map(|state| {
        let mut alarm = Alarm::new(definition(needed, 3, missing_data), 0).unwrap();
        alarm.set_state(state, "", 0);
        alarm.evaluate(&points, 5 * MINUTE_MS).unwrap();
        alarm.state()
    });
    if results == states { None } else { Some(results[0]).filter(|state| results.iter().all(|other| other == state)) }
}

#[test]
fn three_of_three_treats_missing_data_as_the_documented_table_says() {
    use AlarmState::{Alarm as A, InsufficientData as I, Ok as O};
    // Data points; then the state when missing data is missing, ignored, breaching, not breaching.
    let table = [
        ("0 - X - X", [Some(O), Some(O), Some(O), Some(O)]),
        ("0 - - - -", [Some(O), Some(O), Some(O), Some(O)]),
        ("- - - - -", [Some(I), None, Some(A), Some(O)]),
        ("0 X X - X", [Some(A), Some(A), Some(A), Some(A)]),
        ("- - X - -", [Some(A), None, Some(A), Some(O)]),
    ];
    check(3, &table);
}

#[test]
fn two_of_three_treats_missing_data_as_the_documented_table_says() {
    use AlarmState::{Alarm as A, Ok as O};
    let table = [
        ("0 - X - X", [Some(A), Some(A), Some(A), Some(A)]),
        ("0 0 X 0 X", [Some(A), Some(A), Some(A), Some(A)]),
        ("0 - X - -", [Some(O), Some(O), Some(A), Some(O)]),
        ("- - - - 0", [Some(O), Some(O), Some(A), Some(O)]),
        ("- - - X -", [Some(A), None, Some(A), Some(O)]),
    ];
    check(2, &table);
}

fn check(needed: u32, table: &[(&str, [Option<AlarmState>; 4])]) {
    let treatments = [MissingData::Missing, MissingData::Ignore, MissingData::Breaching, MissingData::NotBreaching];
    for (picture, states) in table {
        for (treatment, state) in treatments.into_iter().zip(states) {
            assert_eq!(state_after(picture, needed, treatment), *state, "{picture} {treatment:?}");
        }
    }
}

#[test]
fn a_breaching_point_that_is_too_young_leaves_the_state_unchanged() {
    assert_eq!(state_after("- - - - X", 3, MissingData::Missing), None);
}

#[test]
fn only_a_change_of_state_is_reported_and_a_reset_alarm_reports_again() {
    let points = Points::default();
    let mut alarm = Alarm::new(definition(3, 3, MissingData::NotBreaching), 0).unwrap();
    for minute in 0..6 {
        points.put("m", minute, 1.0);
    }
    let first = alarm.evaluate(&points, 3 * MINUTE_MS).unwrap().unwrap();
    assert_eq!((first.from, first.to), (AlarmState::InsufficientData, AlarmState::Alarm));
    assert_eq!(alarm.evaluate(&points, 4 * MINUTE_MS).unwrap(), None);
    let definition = AlarmDefinition { threshold: 0.9, ..alarm.definition().clone() };
    alarm.define(definition).unwrap();
    assert_eq!(alarm.evaluate(&points, 5 * MINUTE_MS).unwrap(), None, "the state is left unchanged");
    alarm.set_state(AlarmState::Ok, "reset", 5 * MINUTE_MS);
    let again = alarm.evaluate(&points, 6 * MINUTE_MS).unwrap().unwrap();
    assert_eq!((again.from, again.to, again.at_ms), (AlarmState::Ok, AlarmState::Alarm, 6 * MINUTE_MS));
}

#[test]
fn a_period_of_five_minutes_ends_with_the_last_complete_minute() {
    let points = Points::default();
    points.put("m", 6, 1.0);
    let mut definition = definition(1, 1, MissingData::NotBreaching);
    definition.metrics = vec![metric("m", 300, true)];
    let mut alarm = Alarm::new(definition, 0).unwrap();
    alarm.evaluate(&points, 6 * MINUTE_MS + 59_999).unwrap();
    assert_eq!(alarm.state(), AlarmState::Ok, "the minute is not over");
    alarm.evaluate(&points, 7 * MINUTE_MS).unwrap();
    assert_eq!(alarm.state(), AlarmState::Alarm);
}

#[test]
fn metric_math_is_evaluated_before_missing_data_is_treated() {
    let points = Points::default();
    for minute in 0..5 {
        points.put("arriving", minute, 9.0);
    }
    let mut definition = definition(3, 3, MissingData::Breaching);
    definition.metrics = vec![
        math("silent", "IF(FILL(arriving, 0) > 0 AND FILL(archiving, 0) == 0, 1, 0)", true),
        metric("arriving", 60, false),
        metric("archiving", 60, false),
    ];
    let mut alarm = Alarm::new(definition, 0).unwrap();
    alarm.evaluate(&points, 5 * MINUTE_MS).unwrap();
    assert_eq!(alarm.state(), AlarmState::Alarm);
    points.put("archiving", 4, 1.0);
    let transition = alarm.evaluate(&points, 5 * MINUTE_MS).unwrap().unwrap();
    assert_eq!(transition.to, AlarmState::Ok);
    assert_eq!(transition.reason, "Threshold not crossed: 2 of the last 3 datapoints breached the threshold (0.5)");
}

#[test]
fn an_invalid_definition_is_an_error_that_names_the_alarm_and_the_problem() {
    let with = |metrics: Vec<MetricQuery>| AlarmDefinition { metrics, ..definition(1, 1, MissingData::Missing) };
    let cases = [
        (with(vec![metric("a", 60, false)]), "exactly one of its metrics must return data"),
        (with(vec![metric("a", 60, true), metric("a", 60, false)]), "two of its metrics have the id a"),
        (with(vec![metric("a", 60, true), metric("b", 300, false)]), "its metrics must have the same period"),
        (with(vec![math("e", "x + 1", true)]), "e refers to x, which is not another metric of the alarm"),
        (definition(4, 3, MissingData::Missing), "datapoints to alarm must be from 1 to the evaluation periods"),
    ];
    for (definition, problem) in cases {
        assert_eq!(Alarm::new(definition, 0).unwrap_err().to_string(), format!("alarm full: {problem}"));
    }
}

#[test]
fn circular_expressions_and_expressions_without_a_series_are_errors() {
    let with = |metrics: Vec<MetricQuery>| AlarmDefinition { metrics, ..definition(1, 1, MissingData::Missing) };
    let circle = with(vec![math("a", "b + 1", true), math("b", "a + 1", false)]);
    let scalar = with(vec![math("a", "MAX(b)", true), metric("b", 60, false)]);
    let points = Points::default();
    points.put("b", 0, 1.0);
    for (definition, problem) in [(circle, "depends on itself"), (scalar, "does not return a series of values")] {
        let error = Alarm::new(definition, 0).unwrap().evaluate(&points, MINUTE_MS).unwrap_err();
        assert!(crate::platform::errors::chain(&error).ends_with(problem), "{error:?}");
    }
}
