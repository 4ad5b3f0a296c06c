//! Says step by step how a message is decoded, for people who write profiles. It shows what stands in the payload, so it is
//! no text for logs.

use super::field::{Field, FieldSource};
use super::metric::Metric;
use super::source::{Getter, View};
use super::value::Raw;
use super::{Decoded, Profile};
use crate::device::event_time::Belief;
use crate::ingest::message::MessageRef;
use serde::Serialize;

/// How a message is decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The versions that were tried, in their order. The last one is used if it matches.
    pub versions: Vec<Tried>,
    /// The message's identity. Its readings have this one, with their index.
    pub identity: Option<String>,
    /// What is believed of the device's clock, in words.
    pub clock: Option<String>,
    /// Each value that was looked for, in the order of the message.
    pub values: Vec<Explained>,
}

/// A version that was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tried {
    /// Its name.
    pub name: String,
    /// Why it does not match. `None`: it does.
    pub mismatch: Option<String>,
}

/// A value that was looked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explained {
    /// Its index in the message, as in the readings' ids and in rejections.
    pub index: usize,
    /// Its metric.
    pub metric: String,
    /// Where it is, as the profile says.
    pub from: String,
    /// What stands there.
    pub raw: String,
    /// What was made of it, step by step.
    pub steps: Vec<String>,
}

impl Profile {
    /// Decodes a message as [`Profile::decode`] does, and says how.
    pub fn explain<'a>(&'a self, message: impl Into<MessageRef<'a>>, arrived_ms: i64) -> (Decoded<'a>, Explanation) {
        let mut explanation = Explanation::default();
        let decoded = self.decode_and_explain(message.into(), arrived_ms, Some(&mut explanation));
        (decoded, explanation)
    }
}

impl Explanation {
    pub(super) fn tried(&mut self, name: &str, mismatch: Option<&str>) {
        self.versions.push(Tried { name: name.to_owned(), mismatch: mismatch.map(ToOwned::to_owned) });
    }

    pub(super) fn judged(&mut self, identity: &str, belief: Belief, has_time: bool) {
        self.identity = Some(identity.to_owned());
        self.clock = Some(match belief {
            _ if !has_time => "no time was read; readings get the time of receipt or of arrival".to_owned(),
            Belief::Right => "the device's times are taken as they are".to_owned(),
            Belief::Late { by_ms } => {
                format!("the newest time is {by_ms} ms before the allowed delay: the message is rejected")
            }
            Belief::Wrong { .. } => {
                "the newest time cannot be true; it is replaced by the arrival's, and the others keep their distance"
                    .to_owned()
            }
            Belief::Offset { by_ms } => format!("{by_ms} ms are added to the device's times"),
        });
    }

    pub(super) fn value(&mut self, field: &Field, view: View<'_>, metric: &Metric, index: usize) {
        let (from, raw) = match &field.source {
            FieldSource::One(getter) => (getter.to_string(), shown(getter, view)),
            FieldSource::Position { longitude, latitude } => {
                (format!("{longitude}, {latitude}"), format!("{}, {}", shown(longitude, view), shown(latitude, view)))
            }
        };
        let metric_name = metric.name.clone();
        self.values.push(Explained {
            index,
            metric: metric_name,
            from,
            raw,
            steps: field.steps_in_words(view, metric),
        });
    }
}

impl Field {
    /// The steps of a number, as far as it gets.
    fn steps_in_words(&self, view: View<'_>, metric: &Metric) -> Vec<String> {
        let mut steps = Vec::new();
        if !self.is_here(view) {
            steps.push("its condition does not hold: not read".to_owned());
        }
        let FieldSource::One(getter) = &self.source else { return steps };
        let Ok(raw) = getter.get(view) else { return steps };
        let was_absent = raw == Raw::Absent;
        let raw = self.present(raw);
        if raw == Raw::Absent && !was_absent {
            steps.push("it means \"no value\"".to_owned());
        }
        if metric.kind != super::document::Kind::Number || raw == Raw::Absent {
            return steps;
        }
        let Ok(numbers) = self.numbers(&raw, view, metric) else { return steps };
        steps.push(format!("read {}", numbers.read));
        steps.extend(numbers.calibrated.map(|number| format!("calibrated {number}")));
        steps.extend(numbers.converted.map(|number| format!("converted {number} {}", metric.unit)));
        if let Some(range) = metric.range {
            let limit = |limit: Option<f64>| limit.map_or("…".to_owned(), |limit| limit.to_string());
            steps.push(format!("range {} to {}", limit(range.min), limit(range.max)));
        }
        steps
    }
}

/// What stands at a place, shortened.
fn shown(getter: &Getter, view: View<'_>) -> String {
    const MOST: usize = 60;
    let text = match getter.get(view) {
        Ok(Raw::Text(text)) => format!("{text:?}"),
        Ok(Raw::Integer(number)) => number.to_string(),
        Ok(Raw::Number(number)) => number.to_string(),
        Ok(Raw::Digits(digits)) => digits.to_owned(),
        Ok(Raw::Boolean(value)) => value.to_string(),
        Ok(other) => other.kind().to_owned(),
        Err(fault) => fault.detail,
    };
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::message::Message;

    #[test]
    fn each_step_of_a_value_is_named() {
        let profile = Profile::parse(
            br#"{"id":"p","metrics":{"v":{"unit":"V","range":{"min":1}},"on":{"kind":"boolean"}},"versions":[
            {"name":"2","when":{"field":"schema","equals":2},"format":"json","fields":[{"metric":"on","from":"on"}]},
            {"name":"1","format":"json","identity":["n"],"time":{"from":"ts","unit":"ms"},"fields":[
                {"metric":"v","from":"v[0].t","text":true,"unit":"mV","calibration":{"type":"linear","factor":2},"optional":true,"absent":["-"]}]}]}"#,
        )
        .unwrap();
        let explain = |payload: &str| {
            let message = Message {
                delivery_id: "d".to_owned(),
                device_id: "a".to_owned(),
                facility: String::new(),
                kind: String::new(),
                client_id: None,
                received_at: 1_795_218_892_020,
                payload: payload.as_bytes().to_vec(),
                message_id: None,
                sender: None,
            };
            let (decoded, explanation) = profile.explain(&message, message.received_at);
            assert_eq!(decoded, profile.decode(&message, message.received_at));
            explanation
        };
        let explanation = explain(r#"{"n":7,"ts":1795218892000,"v":[{"t":"1500"}]}"#);
        assert_eq!(explanation.versions[0].mismatch.as_deref(), Some("the field is missing"));
        assert_eq!(explanation.versions[1], Tried { name: "1".to_owned(), mismatch: None });
        assert_eq!(explanation.identity.as_deref(), Some("a/p7@1795218892000"));
        let value = &explanation.values[0];
        assert_eq!((value.from.as_str(), value.raw.as_str()), ("v[0].t", "\"1500\""));
        assert_eq!(value.steps, ["read 1500", "calibrated 3000", "converted 3 V", "range 1 to …"]);
        assert_eq!(explain(r#"{"v":[{"t":"-"}]}"#).values[0].steps, ["it means \"no value\""]);
    }
}
