//! What each kind of condition finds.

use super::*;

/// The findings of one rule on numbers.
fn of_numbers(when: &str, readings: &[(i64, f64)]) -> Vec<String> {
    of("number", when, &numbers(readings))
}

fn of(kind: &str, when: &str, readings: &[(i64, Value)]) -> Vec<String> {
    let rule = format!(r#"{{"name": "r", "when": {{{when}}}}}"#);
    brief(&found(&profile(kind, &rule), &mut DetectorState::default(), readings))
}

#[test]
fn a_threshold_holds_beyond_its_limits_and_ends_within_the_hysteresis() {
    let both = r#""threshold": {"above": 100, "below": 50, "hysteresis": 5}"#;
    let readings = [(1, 100.0), (2, 100.1), (3, 96.0), (4, 95.0), (5, 49.9), (6, 54.0), (7, 55.0)];
    assert_eq!(of_numbers(both, &readings), ["+r@2", "-r@4", "+r@5", "-r@7"]);
}

#[test]
fn a_threshold_of_a_mean_is_not_moved_by_one_number() {
    let mean = r#""threshold": {"above": 10, "meanSeconds": 160}"#;
    let calm = |second| (second, if second == 90 { 50.0 } else { 1.0 });
    let readings: Vec<_> = (0..20).map(|n| calm(n * 10)).collect();
    assert_eq!(of_numbers(mean, &readings), [""; 0]);
    let high: Vec<_> = readings.into_iter().chain((20..40).map(|n| (n * 10, 12.0))).collect();
    assert_eq!(of_numbers(mean, &high), ["+r@330"]);
}

#[test]
fn a_change_holds_while_the_time_has_both_ends_of_it() {
    let change = r#""change": {"above": 20, "seconds": 16}"#;
    assert_eq!(of_numbers(change, &[(0, 60.0), (10, 80.0), (12, 80.5), (20, 81.0), (40, 100.0)]), ["+r@12", "-r@20"]);
}

#[test]
fn a_flat_line_holds_from_its_beginning_on_and_ends_with_a_change() {
    let flat = r#""flat": {"within": 0.1, "seconds": 60}"#;
    let readings = [(0, 5.0), (10, 7.0), (40, 7.1), (69, 7.0), (70, 7.05), (100, 7.1), (110, 7.2)];
    assert_eq!(of_numbers(flat, &readings), ["+r@10", "-r@110"]);
}

#[test]
fn a_gap_is_found_by_the_reading_after_it_and_is_over_with_the_next() {
    assert_eq!(
        of_numbers(r#""gap": {"seconds": 60}"#, &[(0, 1.0), (60, 1.0), (121, 1.0), (130, 1.0)]),
        ["+r@60", "-r@130"]
    );
}

#[test]
fn a_drift_is_a_mean_that_moves_from_the_long_one() {
    let minute = |n: i64| (n * 60, if n < 2_000 { 20.0 } else { 24.0 });
    let readings: Vec<_> = (0..5_000).map(minute).collect();
    let findings = of_numbers(r#""drift": {"above": 2, "seconds": 86400}"#, &readings);
    let [begins, ends] = &findings[..] else { panic!("{findings:?}") };
    let minute_of = |text: &str| text.split_once('@').unwrap().1.parse::<i64>().unwrap() / 60;
    assert!((2_030..2_100).contains(&minute_of(begins)), "{begins}");
    assert!(minute_of(ends) > 2_500, "{ends}: the long mean has followed");
}

#[test]
fn a_state_is_judged_by_how_long_it_lasts() {
    let door = r#"{"name": "door", "when": {"state": {"is": true}}, "forSeconds": 60}"#;
    let readings = [(0, true), (30, false), (40, true), (99, true), (100, true), (101, false)];
    let readings = readings.map(|(at, open)| (at, Value::Boolean(open)));
    let findings = found(&profile("boolean", door), &mut DetectorState::default(), &readings);
    assert_eq!(brief(&findings), ["+door@40", "-door@101"]);
}

#[test]
fn a_count_is_of_the_readings_that_match_within_the_time() {
    let text = |at, text: &str| (at, Value::Text(text.to_owned()));
    let falls = r#""count": {"atLeast": 2, "seconds": 160, "is": "fall"}"#;
    let readings = [text(0, "fall"), text(10, "step"), text(150, "step"), text(155, "fall"), text(170, "step")];
    assert_eq!(of("text", falls, &readings), ["+r@155", "-r@170"]);
    let fall = r#""count": {"atLeast": 1, "seconds": 160, "is": "fall"}"#;
    let alone = [text(0, "fall"), text(100, "fall"), text(9_000, "fall")];
    assert_eq!(of("text", fall, &alone), ["+r@0", "-r@9000", "+r@9000"], "each that comes alone is one of its own");
    let any = r#""count": {"atLeast": 3, "seconds": 16}"#;
    assert_eq!(of_numbers(any, &[(0, 1.0), (10, 1.0), (12, 1.0), (40, 1.0)]), ["+r@12", "-r@40"]);
    let high = r#""count": {"atLeast": 2, "seconds": 16, "above": 5}"#;
    assert_eq!(of_numbers(high, &[(0, 5.5), (1, 5.0), (2, 6.0)]), ["+r@2"]);
}

#[test]
fn a_zone_is_entered_and_left() {
    let pond = r#""zone": {"circle": {"at": [139.7, 35.6], "radiusM": 50}}"#;
    let at = |second, north_m: f64| (second, Value::Position([139.7, 35.6 + north_m / 111_195.0]));
    assert_eq!(of("position", pond, &[at(0, 90.0), at(1, 40.0), at(2, 0.0), at(3, -60.0)]), ["+r@1", "-r@3"]);
}

#[test]
fn a_battery_that_will_be_empty_within_days_is_found_before() {
    let battery = r#""forecast": {"below": 10, "withinSeconds": 259200}"#;
    // It loses 20 % a day, and is read each hour.
    let hours: Vec<_> = (0..100).map(|n| (n * 3_600, 95.0 - f64::from(n as i32) * 20.0 / 24.0)).collect();
    let findings = of_numbers(battery, &hours);
    let hour: i64 = findings[0][3..].parse::<i64>().unwrap() / 3_600;
    // Three days before it is at 10 % are 25 % above that: after some 30 hours.
    assert!((28..36).contains(&hour), "{findings:?}");
    let steady: Vec<_> = (0..100).map(|n| (n * 3_600, 60.0 - f64::from(n as i32 % 3))).collect();
    assert_eq!(of_numbers(battery, &steady), [""; 0]);
    assert_eq!(of_numbers(battery, &[(0, 9.0), (1, 11.0)]), ["+r@0", "-r@1"], "it is there already, and back");
}

#[test]
fn a_score_is_an_incident_until_it_was_calm_for_a_time() {
    let pulse = |n: i64| (n * 60, if n == 400 { 140.0 } else { 61.0 + 6.0 * ((n as f64) / 20.0).sin() });
    let readings: Vec<_> = (0..450).map(pulse).collect();
    let findings = found(
        &profile("number", r#"{"name": "odd", "when": {"score": {}}}"#),
        &mut DetectorState::default(),
        &numbers(&readings),
    );
    assert_eq!(brief(&findings), ["+odd@24000", "-odd@24660"]);
    let Finding::Begins(begin) = &findings[0] else { panic!("{findings:?}") };
    assert_eq!(begin.detail, "m is 140 °C, which is unusual: level: the value is above its usual peaks.");
}

#[test]
fn numbers_of_any_size_leave_a_state_that_can_be_read() {
    let rules = r#"{"name": "a", "when": {"threshold": {"above": 1, "meanSeconds": 60}}},
        {"name": "b", "when": {"change": {"above": 1, "seconds": 60}}}, {"name": "c", "when": {"drift": {"above": 1, "seconds": 60}}},
        {"name": "d", "when": {"flat": {"seconds": 60}}}, {"name": "e", "when": {"forecast": {"above": 1, "withinSeconds": 60}}},
        {"name": "f", "when": {"score": {}}}, {"name": "g", "when": {"gap": {"seconds": 60}}}"#;
    let mut state = DetectorState::default();
    let value = |n: i64| (n, if n % 2 == 0 { f64::MAX } else { f64::MIN });
    found(&profile("number", rules), &mut state, &numbers(&(0..200).map(value).collect::<Vec<_>>()));
    let mut bytes = Vec::new();
    state.encode_into(&mut bytes);
    assert_eq!(DetectorState::decode(DetectorState::VERSION, &mut Reader::new(&bytes)), Ok(state));
}
