//! Checks the alert rules of a metric.

use crate::device::profile::alerts::{AlertRule, Alerts, Condition, StateValue, Zone};
use crate::device::profile::document::Kind as MetricKind;
use jiff::tz::TimeZone;

/// The greatest number of alert rules of a metric.
const MAX_RULES: usize = 16;
/// The longest name of a rule, in bytes.
const MAX_NAME: usize = 64;
/// The longest message, in bytes.
const MAX_MESSAGE: usize = 200;
/// The longest text that a state can have, in bytes: that of a reading.
const MAX_TEXT: usize = crate::device::reading::MAX_TEXT;
/// The longest time that a rule looks back or ahead, in seconds: 31 days.
const MAX_SECONDS: u32 = 31 * 86_400;
/// The most corners of a polygon.
const MAX_CORNERS: usize = 64;
/// The largest radius of a circle in metres. Beyond it, a circle on the globe is not what people mean.
const MAX_RADIUS_M: f64 = 1_000_000.0;

/// What is wrong with a condition for a metric of `kind`: the key, or an empty one for the whole, and the problem in words.
fn problems(condition: &Condition, kind: MetricKind) -> Vec<(&'static str, String)> {
    let mut problems = Problems(Vec::new());
    match condition {
        Condition::Threshold(it) => {
            problems.need(kind, &[MetricKind::Number]);
            problems.limits(it.above, it.below, Limits::Some);
            problems.positive("hysteresis", it.hysteresis, true);
            if let (Some(above), Some(below)) = (it.above, it.below)
                && above >= below
                && above - it.hysteresis < below + it.hysteresis
            {
                let problem = format!("leaves no number between {below} and {above} that clears the alert");
                problems.0.push(("hysteresis", problem));
            }
            problems.seconds("meanSeconds", it.mean_seconds);
        }
        Condition::Change(it) => {
            problems.need(kind, &[MetricKind::Number]);
            problems.positive("above", it.above, true);
            problems.seconds("seconds", Some(it.seconds));
        }
        Condition::Flat(it) => {
            problems.need(kind, &[MetricKind::Number]);
            problems.positive("within", it.within, true);
            problems.seconds("seconds", Some(it.seconds));
        }
        Condition::Gap(it) => problems.seconds("seconds", Some(it.seconds)),
        Condition::Drift(it) => {
            problems.need(kind, &[MetricKind::Number]);
            problems.positive("above", it.above, false);
            problems.seconds("seconds", Some(it.seconds));
        }
        Condition::State(it) => {
            problems.state(kind, &it.is);
        }
        Condition::Count(it) => {
            problems.seconds("seconds", Some(it.seconds));
            if it.at_least == 0 {
                problems.0.push(("atLeast", "must be at least 1".to_owned()));
            }
            if it.above.is_some() || it.below.is_some() {
                problems.need(kind, &[MetricKind::Number]);
                problems.limits(it.above, it.below, Limits::Some);
            }
            if let Some(value) = &it.is {
                problems.state(kind, value);
            }
        }
        Condition::Zone(it) => {
            problems.need(kind, &[MetricKind::Position]);
            problems.area(it);
        }
        Condition::Forecast(it) => {
            problems.need(kind, &[MetricKind::Number]);
            problems.limits(it.above, it.below, Limits::One);
            problems.seconds("withinSeconds", Some(it.within_seconds));
            problems.seconds("overSeconds", it.over_seconds);
        }
        Condition::Score(it) => {
            problems.need(kind, &[MetricKind::Number]);
            if !(it.from > 0.0 && it.from < 1.0) {
                problems.0.push(("from", "must be between 0 and 1".to_owned()));
            }
        }
    }
    problems.0
}

/// How many of two limits a condition must have.
#[derive(Clone, Copy, PartialEq)]
enum Limits {
    Some,
    One,
}

struct Problems(Vec<(&'static str, String)>);

impl Problems {
    fn need(&mut self, kind: MetricKind, kinds: &[MetricKind]) {
        if !kinds.contains(&kind) {
            let names: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
            self.0.push(("", format!("is only allowed if the metric's kind is {}", names.join(" or "))));
        }
    }

    fn limits(&mut self, above: Option<f64>, below: Option<f64>, count: Limits) {
        match (above, below) {
            (None, None) => self.0.push(("", "must have above or below".to_owned())),
            (Some(_), Some(_)) if count == Limits::One => {
                self.0.push(("", "must have only one of above and below".to_owned()));
            }
            (Some(above), Some(below)) if below > above => {
                self.0.push((
                    "below",
                    format!("is more than above, so that every number is one or the other: {below} > {above}"),
                ));
            }
            _ => {}
        }
    }

    fn positive(&mut self, key: &'static str, value: f64, is_zero_allowed: bool) {
        if !(value > 0.0 || is_zero_allowed && value == 0.0) {
            self.0.push((
                key,
                format!("must be {}, not {value}", if is_zero_allowed { "0 or more" } else { "more than 0" }),
            ));
        }
    }

    fn seconds(&mut self, key: &'static str, seconds: Option<u32>) {
        if let Some(seconds) = seconds.filter(|seconds| !(1..=MAX_SECONDS).contains(seconds)) {
            self.0.push((key, format!("must be from 1 to {MAX_SECONDS}, not {seconds}")));
        }
    }

    fn state(&mut self, kind: MetricKind, value: &StateValue) {
        match (kind, value) {
            (MetricKind::Boolean, StateValue::Boolean(_)) => {}
            (MetricKind::Text, StateValue::Text(text)) if text.len() <= MAX_TEXT => {}
            (MetricKind::Boolean, _) => self.0.push(("is", "must be true or false, as the metric is".to_owned())),
            (MetricKind::Text, _) => {
                self.0.push(("is", format!("must be a text of at most {MAX_TEXT} bytes, as the metric is")));
            }
            _ => self.need(kind, &[MetricKind::Boolean, MetricKind::Text]),
        }
    }

    fn area(&mut self, zone: &Zone) {
        let is_position = |[longitude, latitude]: &[f64; 2]| {
            (-180.0..=180.0).contains(longitude) && (-90.0..=90.0).contains(latitude)
        };
        if zone.circle.is_some() != zone.polygon.is_empty() {
            self.0.push(("", "must have one of circle and polygon".to_owned()));
        }
        if let Some(circle) = &zone.circle {
            if !is_position(&circle.at) {
                self.0.push(("circle.at", "must be longitude and latitude in degrees".to_owned()));
            }
            if !(circle.radius_m > 0.0 && circle.radius_m <= MAX_RADIUS_M) {
                self.0.push(("circle.radiusM", format!("must be more than 0 and at most {MAX_RADIUS_M}")));
            }
        }
        if !zone.polygon.is_empty() && !(3..=MAX_CORNERS).contains(&zone.polygon.len()) {
            self.0.push(("polygon", format!("must have from 3 to {MAX_CORNERS} corners")));
        }
        if !zone.polygon.iter().all(is_position) {
            self.0.push(("polygon", "each corner must be longitude and latitude in degrees".to_owned()));
        }
        if zone.between.is_some_and(|between| between.from == between.to) {
            self.0.push(("between", "must have two different times".to_owned()));
        }
    }
}

/// Compiles the rules of a metric, and calls `report` for each problem with its field, as JSON names it. Whether names are unique is
/// for the caller to check, who knows all metrics.
pub(super) fn compile(
    rules: &[AlertRule],
    kind: MetricKind,
    zone: &TimeZone,
    mut report: impl FnMut(String, String),
) -> Option<Alerts> {
    if rules.len() > MAX_RULES {
        report("alerts".to_owned(), format!("has {} rules, at most {MAX_RULES} are allowed", rules.len()));
    }
    let is_score = |rule: &&AlertRule| matches!(rule.when, Condition::Score(_));
    if rules.iter().filter(is_score).count() > 1 {
        report("alerts".to_owned(), "has more than one score: a metric has one".to_owned());
    }
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    for (index, rule) in rules.iter().enumerate() {
        let mut of_rule = |key: &str, problem: String| report(format!("alerts[{index}]{key}"), problem);
        let name = &rule.name;
        if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(is_allowed) {
            of_rule(
                ".name",
                format!("must have from 1 to {MAX_NAME} characters: A to Z, a to z, 0 to 9, `_`, `-` and `.`"),
            );
        }
        if rule.message.len() > MAX_MESSAGE || rule.message.chars().any(char::is_control) {
            of_rule(".message", format!("must have at most {MAX_MESSAGE} bytes and no control character"));
        }
        for (key, seconds) in [("forSeconds", rule.for_seconds), ("clearSeconds", rule.clear_seconds.unwrap_or(0))] {
            if seconds > MAX_SECONDS {
                of_rule(&format!(".{key}"), format!("must be from 0 to {MAX_SECONDS}, not {seconds}"));
            }
        }
        if matches!(rule.when, Condition::Score(_)) && rule.for_seconds > 0 {
            let problem = "must be 0 for a score, which reports what is unusual once and is silent afterwards";
            of_rule(".forSeconds", problem.to_owned());
        }
        for (key, problem) in problems(&rule.when, kind) {
            let dot = if key.is_empty() { "" } else { "." };
            of_rule(&format!(".when.{}{dot}{key}", rule.when.kind().name()), problem);
        }
    }
    (!rules.is_empty()).then(|| Alerts { rules: rules.to_vec(), zone: zone.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems_of(kind: MetricKind, json: &str) -> String {
        let rules: Vec<AlertRule> = serde_json::from_str(json).unwrap();
        let mut problems = Vec::new();
        compile(&rules, kind, &TimeZone::UTC, |key, problem| problems.push(format!("{key}: {problem}")));
        problems.join("\n")
    }

    #[test]
    fn a_rule_of_each_kind_is_written_in_a_line() {
        let numbers = r#"[{"name": "fever", "when": {"threshold": {"above": 38.5, "hysteresis": 0.3}}, "forSeconds": 600,
                "severity": "critical", "message": "Call the doctor"},
            {"name": "jump", "when": {"change": {"above": 20, "seconds": 60}}},
            {"name": "stuck", "when": {"flat": {"within": 0.05, "seconds": 3600}}},
            {"name": "missing", "when": {"gap": {"seconds": 120}}},
            {"name": "drift", "when": {"drift": {"above": 2, "seconds": 86400}}},
            {"name": "often", "when": {"count": {"atLeast": 3, "seconds": 3600, "above": 100}}},
            {"name": "battery", "when": {"forecast": {"below": 10, "withinSeconds": 259200}}},
            {"name": "odd", "when": {"score": {}}}]"#;
        assert_eq!(problems_of(MetricKind::Number, numbers), "");
        assert_eq!(
            problems_of(
                MetricKind::Boolean,
                r#"[{"name": "door", "when": {"state": {"is": true}}, "forSeconds": 600}]"#
            ),
            ""
        );
        assert_eq!(
            problems_of(
                MetricKind::Text,
                r#"[{"name": "falls", "when": {"count": {"atLeast": 2, "seconds": 60, "is": "fall"}}}]"#
            ),
            ""
        );
        let zones = r#"[{"name": "pond", "when": {"zone": {"circle": {"at": [139.7, 35.6], "radiusM": 30}}}},
            {"name": "out", "when": {"zone": {"polygon": [[0, 0], [1, 0], [1, 1]], "outside": true,
                "between": {"from": "22:00", "to": "06:00"}}}}]"#;
        assert_eq!(problems_of(MetricKind::Position, zones), "");
    }

    #[test]
    fn every_problem_names_its_field() {
        let json = r#"[{"name": "a b", "when": {"threshold": {}}, "forSeconds": 9999999},
            {"name": "", "when": {"threshold": {"above": 1, "below": 2, "hysteresis": -1, "meanSeconds": 0}}},
            {"name": "c", "when": {"change": {"above": -1, "seconds": 0}}, "message": "a\nb"},
            {"name": "d", "when": {"state": {"is": true}}},
            {"name": "e", "when": {"count": {"atLeast": 0, "seconds": 1, "is": "x"}}},
            {"name": "f", "when": {"zone": {"polygon": [[0, 0], [0, 91]], "between": {"from": "06:00", "to": "06:00"}}}},
            {"name": "g", "when": {"zone": {"circle": {"at": [181, 0], "radiusM": 0}, "polygon": [[0, 0], [1, 1], [2, 0]]}}},
            {"name": "h", "when": {"forecast": {"below": 1, "above": 2, "withinSeconds": 1}}},
            {"name": "i", "when": {"drift": {"above": 0, "seconds": 60}}},
            {"name": "l", "when": {"threshold": {"above": 38, "below": 35, "hysteresis": 2}}},
            {"name": "j", "when": {"score": {"from": 1}}, "forSeconds": 5}, {"name": "k", "when": {"score": {}}}]"#;
        insta::assert_snapshot!(problems_of(MetricKind::Number, json), @r"
        alerts: has more than one score: a metric has one
        alerts[0].name: must have from 1 to 64 characters: A to Z, a to z, 0 to 9, `_`, `-` and `.`
        alerts[0].forSeconds: must be from 0 to 2678400, not 9999999
        alerts[0].when.threshold: must have above or below
        alerts[1].name: must have from 1 to 64 characters: A to Z, a to z, 0 to 9, `_`, `-` and `.`
        alerts[1].when.threshold.below: is more than above, so that every number is one or the other: 2 > 1
        alerts[1].when.threshold.hysteresis: must be 0 or more, not -1
        alerts[1].when.threshold.meanSeconds: must be from 1 to 2678400, not 0
        alerts[2].message: must have at most 200 bytes and no control character
        alerts[2].when.change.above: must be 0 or more, not -1
        alerts[2].when.change.seconds: must be from 1 to 2678400, not 0
        alerts[3].when.state: is only allowed if the metric's kind is boolean or text
        alerts[4].when.count.atLeast: must be at least 1
        alerts[4].when.count: is only allowed if the metric's kind is boolean or text
        alerts[5].when.zone: is only allowed if the metric's kind is position
        alerts[5].when.zone.polygon: must have from 3 to 64 corners
        alerts[5].when.zone.polygon: each corner must be longitude and latitude in degrees
        alerts[5].when.zone.between: must have two different times
        alerts[6].when.zone: is only allowed if the metric's kind is position
        alerts[6].when.zone: must have one of circle and polygon
        alerts[6].when.zone.circle.at: must be longitude and latitude in degrees
        alerts[6].when.zone.circle.radiusM: must be more than 0 and at most 1000000
        alerts[7].when.forecast: must have only one of above and below
        alerts[8].when.drift.above: must be more than 0, not 0
        alerts[9].when.threshold.hysteresis: leaves no number between 35 and 38 that clears the alert
        alerts[10].forSeconds: must be 0 for a score, which reports what is unusual once and is silent afterwards
        alerts[10].when.score.from: must be between 0 and 1
        ");
    }

    #[test]
    fn an_unknown_condition_or_key_is_an_error() {
        for (json, part) in [
            (r#"{"name": "a", "when": {"treshold": {"above": 1}}}"#, "treshold"),
            (r#"{"name": "a", "when": {"threshold": {"over": 1}}}"#, "over"),
            (r#"{"name": "a", "when": {"zone": {"between": {"from": "25:00", "to": "06:00"}}}}"#, "hour"),
        ] {
            let error = serde_json::from_str::<AlertRule>(json).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
