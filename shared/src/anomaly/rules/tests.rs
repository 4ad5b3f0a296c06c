use super::*;
use crate::alert::{Begin, Ends, Finding};
use crate::device::event_time::ClockSource;
use crate::device::profile::Profile;
use crate::device::reading::{Quality, Reading, Value};
use crate::keyed::bytes::Reader;
use crate::keyed::trial::{Trial, devices};
use crate::keyed::{Counts, Incoming, ReadingId, Rule as _, State as _};
use proptest::prelude::*;
use rand::rngs::StdRng;
use std::sync::Arc;

mod codec;
mod conditions;

/// A profile with these rules on a metric of a kind, and a number `heart_rate` beside it.
fn profile(kind: &str, rules: &str) -> Arc<Profile> {
    let unit = if kind == "number" { r#""unit": "°C","# } else { "" };
    let json = format!(
        r#"{{"id": "p", "zone": "Asia/Tokyo", "metrics": {{"m": {{"kind": "{kind}", {unit} "alerts": [{rules}]}}}},
            "versions": [{{"name": "1", "format": "json", "fields": [{{"metric": "m", "from": "m"}}]}}]}}"#
    );
    Arc::new(Profile::parse(json.as_bytes()).unwrap_or_else(|problems| panic!("{problems:?}")))
}

/// The findings of readings, each a second and a value, as `+rule@second` and `-rule`.
fn found(profile: &Arc<Profile>, state: &mut DetectorState, readings: &[(i64, Value)]) -> Vec<Finding> {
    let step = |(at, value): &(i64, Value)| {
        let reading = Incoming {
            metric: "m",
            id: ReadingId::of(&at.to_string(), *at),
            at: at * 1_000,
            clock: ClockSource::Device,
            value,
        };
        AnomalyDetector::step(profile, state, &reading, None).expect("the metric has or had rules").findings
    };
    readings.iter().flat_map(step).collect()
}

/// The same in short: `+fever@600` began at 600 s, `-fever@900` ended at 900 s.
fn brief(findings: &[Finding]) -> Vec<String> {
    let brief = |finding: &Finding| match finding {
        Finding::Begins(Begin { rule, since_ms, .. }) => format!("+{rule}@{}", since_ms / 1_000),
        Finding::Ends(Ends { rule, at_ms, .. }) => format!("-{rule}@{}", at_ms / 1_000),
    };
    findings.iter().map(brief).collect()
}

fn numbers(readings: &[(i64, f64)]) -> Vec<(i64, Value)> {
    readings.iter().map(|(at, value)| (*at, Value::Number(*value))).collect()
}

const FEVER: &str = r#"{"name": "fever", "when": {"threshold": {"above": 38.5, "hysteresis": 0.3}}, "forSeconds": 120,
    "severity": "critical", "message": "Call the doctor"}"#;

#[test]
fn an_incident_says_in_words_what_is_wrong_and_that_it_is_over() {
    let readings = numbers(&[(0, 37.0), (60, 38.6), (180, 39.25), (240, 38.4), (300, 38.0)]);
    let findings = found(&profile("number", FEVER), &mut DetectorState::default(), &readings);
    assert_eq!(brief(&findings), ["+fever@60", "-fever@300"]);
    let [Finding::Begins(begin), Finding::Ends(ends)] = &findings[..] else { panic!("{findings:?}") };
    assert_eq!(begin.detail, "Call the doctor: m is 39.25 °C, above 38.5 °C, for 2 minutes.");
    assert_eq!((begin.value, begin.limit, begin.severity.name()), (Some(39.25), Some(38.5), "critical"));
    assert_eq!(ends.detail, "fever is over: m is 38 °C.");
}

#[test]
fn a_reading_that_is_older_or_the_same_changes_nothing() {
    let profile = profile("number", FEVER);
    let mut state = DetectorState::default();
    let mut counts = |at: i64, id: u64, value: f64| {
        let before = state.clone();
        let value = Value::Number(value);
        let id = ReadingId { order: id, digest: id };
        let reading = Incoming { metric: "m", id, at: at * 1_000, clock: ClockSource::Device, value: &value };
        let step = AnomalyDetector::step(&profile, &mut state, &reading, None).unwrap();
        (step.counts, state == before)
    };
    assert_eq!(counts(60, 1, 40.0), (Counts::Once { late: false }, false));
    assert_eq!(counts(60, 1, 40.0), (Counts::Duplicate, true));
    assert_eq!(counts(59, 2, 36.0), (Counts::Once { late: true }, true));
    assert_eq!(counts(60, 0, 40.0), (Counts::Once { late: true }, true), "one before it, of the same time");
    assert_eq!(counts(60, 3, 40.0), (Counts::Once { late: false }, false), "one after it counts");
}

#[test]
fn a_rule_that_the_profile_loses_ends_its_incident() {
    let (with, without) =
        (profile("number", FEVER), profile("number", r#"{"name": "gap", "when": {"gap": {"seconds": 9999}}}"#));
    let mut state = DetectorState::default();
    assert_eq!(brief(&found(&with, &mut state, &numbers(&[(0, 39.0), (120, 39.0)]))), ["+fever@0"]);
    assert_eq!(state.metrics().next().unwrap().1.open().collect::<Vec<_>>(), ["fever"]);
    let findings = found(&without, &mut state, &numbers(&[(180, 39.0)]));
    assert_eq!(brief(&findings), ["-fever@180"]);
    assert_eq!(brief(&found(&without, &mut state, &numbers(&[(240, 39.0)]))), [""; 0]);
}

#[test]
fn a_metric_that_loses_all_its_rules_ends_their_incidents() {
    let with = profile("number", FEVER);
    let without = r#"{"id": "p", "metrics": {"m": {}, "n": {"alerts": [{"name": "low", "when": {"threshold": {"below": 0}}}]}},
        "versions": [{"name": "1", "format": "json", "fields": [{"metric": "m", "from": "m"}, {"metric": "n", "from": "n"}]}]}"#;
    let without = Arc::new(Profile::parse(without.as_bytes()).unwrap());
    let mut state = DetectorState::default();
    found(&with, &mut state, &numbers(&[(0, 39.0), (120, 39.0)]));
    assert!(AnomalyDetector::wants(&without, "m"));
    assert_eq!(brief(&found(&without, &mut state, &numbers(&[(180, 39.0)]))), ["-fever@180"]);
    assert_eq!(state, DetectorState::default());
}

#[test]
fn after_a_loss_a_calm_reading_ends_what_may_be_open_and_a_bad_one_begins_again() {
    let profile = profile("number", FEVER);
    let mut state = DetectorState::default();
    assert_eq!(brief(&found(&profile, &mut state, &numbers(&[(0, 39.0), (120, 39.0)]))), ["+fever@0"]);
    state.lose();
    let (mut calm, mut bad) = (state.clone(), state);
    assert_eq!(brief(&found(&profile, &mut calm, &numbers(&[(180, 37.0)]))), ["-fever@180"]);
    let begins = found(&profile, &mut bad, &numbers(&[(180, 39.0), (300, 39.0), (360, 37.0)]));
    assert_eq!(brief(&begins), ["+fever@180", "-fever@360"], "the reporter knows that one is open");
}

/// Readings of three devices, whose numbers cross limits now and then; the last ones of each are calm.
fn readings(random: &mut StdRng) -> Vec<Reading> {
    let reading = |n: i64, device: &str, value: f64| Reading {
        id: format!("m{n}"),
        device_id: device.to_owned(),
        facility: "home-3".to_owned(),
        metric: "m".to_owned(),
        value: Value::Number(value),
        unit: "°C".to_owned(),
        at: n * 10_000,
        clock: crate::device::event_time::ClockSource::Device,
        received_at: n * 10_000,
        quality: Quality::Good,
    };
    let devices = devices();
    let count = random.random_range(4..16);
    let mut readings: Vec<_> = (1..=count)
        .map(|n| reading(n, &devices[random.random_range(0..devices.len())], random.random_range(36..41).into()))
        .collect();
    // Twice: an incident ends with the second calm reading.
    for n in 0..2 * devices.len() as i64 {
        // No line is flat at the end, and no rule looks back so far.
        let value = if n < devices.len() as i64 { 37.0 } else { 36.5 };
        readings.push(reading(count + 20 + n, &devices[n as usize % devices.len()], value));
    }
    readings
}

#[test]
fn incidents_are_right_under_faults_whatever_is_lost() {
    let rules = r#"{"name": "high", "when": {"threshold": {"above": 38.5}}},
        {"name": "fever", "when": {"threshold": {"above": 38.5}}, "forSeconds": 20, "clearSeconds": 10},
        {"name": "jump", "when": {"change": {"above": 3, "seconds": 60}}},
        {"name": "stuck", "when": {"flat": {"seconds": 30}}},
        {"name": "often", "when": {"count": {"atLeast": 2, "seconds": 60, "above": 38.5}}}"#;
    Trial::<AnomalyDetector>::seeds(0..300, &profile("number", rules), |_| true, readings);
}
