//! Device shadows: what is desired of a thing and what it reports, as AWS IoT keeps them.
//!
//! A request comes over HTTP or as a message, and is answered in the same words. The state is in memory.
//! <https://docs.aws.amazon.com/iot/latest/developerguide/device-shadow-document.html>

use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The largest state: "8 kilobytes", of which each of the two parts counts.
const STATE_BYTES_MAX: usize = 8 << 10;
/// The deepest nesting of the desired and the reported state. AWS's quota is 8, and its message says 6.
const DEPTH_MAX: usize = 8;
/// The topics of shadows begin so.
const TOPICS: &str = "$aws/things/";

/// The shadows of all things: a handle that is cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Shadows(Arc<Mutex<BTreeMap<ShadowName, Shadow>>>);

/// A thing's shadow: the classic one, or one with a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ShadowName {
    /// The thing.
    pub thing: String,
    /// The shadow's name; `None` for the classic one.
    pub name: Option<String>,
}

/// What is asked of a shadow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// The whole document.
    Get,
    /// A change of the state.
    Update,
    /// That it is removed.
    Delete,
}

impl Operation {
    const fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// As in HTTP.
    pub code: u16,
    /// In AWS IoT's words, where they are documented.
    pub message: String,
}

/// The answer to a request, and the messages that follow from it: topics and payloads.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered {
    /// The document of the answer.
    pub answer: Result<Value, Refusal>,
    /// What is published.
    pub messages: Vec<(String, Value)>,
}

#[derive(Clone, Debug, Default)]
struct Shadow {
    desired: Map<String, Value>,
    reported: Map<String, Value>,
    desired_at: Map<String, Value>,
    reported_at: Map<String, Value>,
    version: u64,
    is_deleted: bool,
}

impl ShadowName {
    fn topic(&self, operation: Operation) -> String {
        let name = self.name.as_ref().map(|name| format!("/name/{name}")).unwrap_or_default();
        format!("{TOPICS}{}/shadow{name}/{}", self.thing, operation.name())
    }

    /// The shadow and the operation that a message to `topic` is a request for; `None` if it is another message.
    fn parse(topic: &str) -> Option<(Self, Operation)> {
        let levels: Vec<&str> = topic.strip_prefix(TOPICS)?.split('/').collect();
        let (thing, name, operation) = match levels.as_slice() {
            [thing, "shadow", operation] => (thing, None, operation),
            [thing, "shadow", "name", name, operation] => (thing, Some((*name).to_owned()), operation),
            _ => return None,
        };
        let operations = [Operation::Get, Operation::Update, Operation::Delete];
        let operation = operations.into_iter().find(|known| known.name() == *operation)?;
        Some((Self { thing: (*thing).to_owned(), name }, operation))
    }
}

impl Shadows {
    /// Answers a message, if it is a request: the messages that follow from it.
    pub fn message(&self, topic: &str, payload: &[u8], now_s: i64) -> Vec<(String, Value)> {
        let Some((name, operation)) = ShadowName::parse(topic) else { return Vec::new() };
        self.request(&name, operation, payload, now_s).messages
    }

    /// Answers a request. `now_s` is in seconds since the epoch.
    pub fn request(&self, name: &ShadowName, operation: Operation, payload: &[u8], now_s: i64) -> Answered {
        let mut shadows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let stored = shadows.get(name).cloned();
        let body: Value = serde_json::from_slice(payload).unwrap_or_default();
        let token = body["clientToken"].clone();
        let with_token = |mut document: Value| {
            if !token.is_null() {
                document["clientToken"] = token.clone();
            }
            document
        };
        let topic = name.topic(operation);
        let done = match operation {
            Operation::Get => stored
                .filter(|shadow| !shadow.is_deleted)
                .ok_or_else(|| missing(name))
                .map(|shadow| (None, shadow.document(now_s), Vec::new())),
            Operation::Delete => match stored.filter(|shadow| !shadow.is_deleted) {
                None => Err(missing(name)),
                // The version goes on if the shadow is made again.
                Some(shadow) => {
                    let answer = json!({ "version": shadow.version, "timestamp": now_s });
                    let deleted = Shadow { version: shadow.version, is_deleted: true, ..Shadow::default() };
                    Ok((Some(deleted), answer, Vec::new()))
                }
            },
            Operation::Update => update(&stored.unwrap_or_default(), payload, now_s).map(|(shadow, answer, more)| {
                let more =
                    more.into_iter().map(|(suffix, document)| (format!("{topic}/{suffix}"), with_token(document)));
                (Some(shadow), answer, more.collect())
            }),
        };
        match done {
            Ok((changed, answer, more)) => {
                if let Some(changed) = changed {
                    shadows.insert(name.clone(), changed);
                }
                let answer = with_token(answer);
                let mut messages = vec![(format!("{topic}/accepted"), answer.clone())];
                messages.extend(more);
                Answered { answer: Ok(answer), messages }
            }
            Err(refusal) => {
                let document = json!({ "code": refusal.code, "message": refusal.message, "timestamp": now_s });
                let messages = vec![(format!("{topic}/rejected"), with_token(document))];
                Answered { answer: Err(refusal), messages }
            }
        }
    }
}

fn missing(name: &ShadowName) -> Refusal {
    let shown = name.name.as_ref().map_or_else(|| name.thing.clone(), |shadow| format!("{}~{shadow}", name.thing));
    Refusal { code: 404, message: format!("No shadow exists with name: '{shown}'") }
}

/// What an update leads to: the shadow, the answer, and further messages by the ends of their topics.
type Updated = (Shadow, Value, Vec<(&'static str, Value)>);

fn update(before: &Shadow, payload: &[u8], now_s: i64) -> Result<Updated, Refusal> {
    let bad = |message: &str| Refusal { code: 400, message: message.to_owned() };
    let body: Value = serde_json::from_slice(payload).map_err(|_| bad("Payload contains invalid json"))?;
    let Some(state) = body["state"].as_object() else { return Err(bad("Missing required node: state")) };
    if let Some(unknown) = state.keys().find(|key| !["desired", "reported"].contains(&key.as_str())) {
        return Err(bad(&format!("State contains an invalid node: '{unknown}'")));
    }
    if body["version"].as_u64().is_some_and(|version| version != before.version) {
        return Err(Refusal { code: 409, message: "Version conflict".to_owned() });
    }
    let mut shadow = Shadow { version: before.version + 1, is_deleted: false, ..before.clone() };
    let mut metadata = Map::new();
    for (part, change) in state {
        let (values, times) = match part.as_str() {
            "desired" => (&mut shadow.desired, &mut shadow.desired_at),
            _ => (&mut shadow.reported, &mut shadow.reported_at),
        };
        match change {
            Value::Null => (values.clear(), times.clear()).0,
            Value::Object(change) => {
                merge(values, change);
                merge(times, &stamped(change, now_s));
                metadata.insert(part.clone(), Value::Object(stamped(change, now_s)));
            }
            _ => return Err(bad(&format!("State node '{part}' must be an object"))),
        }
        if depth(&Value::Object(values.clone())) > DEPTH_MAX {
            return Err(bad("JSON contains too many levels of nesting; maximum is 6"));
        }
        if Value::Object(values.clone()).to_string().len() > STATE_BYTES_MAX {
            return Err(Refusal { code: 413, message: "The payload exceeds the maximum size allowed".to_owned() });
        }
    }
    let answer = json!({ "state": state, "metadata": metadata, "version": shadow.version, "timestamp": now_s });
    let mut more = Vec::new();
    let delta = difference(&shadow.desired, &shadow.reported);
    if !delta.is_empty() {
        more.push(("delta", json!({ "state": delta, "version": shadow.version, "timestamp": now_s })));
    }
    let current = json!({ "previous": before.snapshot(), "current": shadow.snapshot(), "timestamp": now_s });
    more.push(("documents", current));
    Ok((shadow, answer, more))
}

impl Shadow {
    fn document(&self, now_s: i64) -> Value {
        let delta = difference(&self.desired, &self.reported);
        let state = parts([("desired", &self.desired), ("reported", &self.reported), ("delta", &delta)]);
        let metadata = parts([("desired", &self.desired_at), ("reported", &self.reported_at)]);
        json!({ "state": state, "metadata": metadata, "version": self.version, "timestamp": now_s })
    }

    fn snapshot(&self) -> Value {
        let state = parts([("desired", &self.desired), ("reported", &self.reported)]);
        let metadata = parts([("desired", &self.desired_at), ("reported", &self.reported_at)]);
        json!({ "state": state, "metadata": metadata, "version": self.version })
    }
}

/// An object of those parts that are not empty.
fn parts<const N: usize>(parts: [(&str, &Map<String, Value>); N]) -> Map<String, Value> {
    let present = parts.into_iter().filter(|(_, part)| !part.is_empty());
    present.map(|(name, part)| (name.to_owned(), Value::Object(part.clone()))).collect()
}

/// Changes the keys that `change` has; null removes one.
fn merge(into: &mut Map<String, Value>, change: &Map<String, Value>) {
    for (key, value) in change {
        match (into.get_mut(key), value) {
            (_, Value::Null) => {
                into.remove(key);
            }
            (Some(Value::Object(known)), Value::Object(change)) => merge(known, change),
            (_, value) => {
                let mut fresh = Map::new();
                let value = match value {
                    // A new object may have nulls as well.
                    Value::Object(change) => {
                        merge(&mut fresh, change);
                        Value::Object(fresh)
                    }
                    value => value.clone(),
                };
                into.insert(key.clone(), value);
            }
        }
    }
}

/// The change with a time in place of each value.
fn stamped(change: &Map<String, Value>, now_s: i64) -> Map<String, Value> {
    let stamp = |value: &Value| match value {
        Value::Null => Value::Null,
        Value::Object(inner) => Value::Object(stamped(inner, now_s)),
        _ => json!({ "timestamp": now_s }),
    };
    change.iter().map(|(key, value)| (key.clone(), stamp(value))).collect()
}

/// What is desired and not reported so.
fn difference(desired: &Map<String, Value>, reported: &Map<String, Value>) -> Map<String, Value> {
    let mut delta = Map::new();
    for (key, wanted) in desired {
        match (wanted, reported.get(key)) {
            (Value::Object(wanted), Some(Value::Object(known))) => {
                let inner = difference(wanted, known);
                if !inner.is_empty() {
                    delta.insert(key.clone(), Value::Object(inner));
                }
            }
            (wanted, known) if known != Some(wanted) => {
                delta.insert(key.clone(), wanted.clone());
            }
            _ => {}
        }
    }
    delta
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Object(inner) => 1 + inner.values().map(depth).max().unwrap_or(0),
        Value::Array(inner) => 1 + inner.iter().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_S: i64 = 1_795_218_892;

    fn name() -> ShadowName {
        ShadowName { thing: "lamp-3".to_owned(), name: None }
    }

    fn request(shadows: &Shadows, operation: Operation, body: &Value) -> Answered {
        shadows.request(&name(), operation, body.to_string().as_bytes(), NOW_S)
    }

    fn update(shadows: &Shadows, body: &Value) -> Answered {
        request(shadows, Operation::Update, body)
    }

    #[test]
    fn what_is_desired_and_not_reported_is_the_delta() {
        let shadows = Shadows::default();
        let wanted = update(
            &shadows,
            &json!({ "state": { "desired": { "light": { "on": true, "level": 3 } } }, "clientToken": "t" }),
        );
        let topics: Vec<&str> = wanted.messages.iter().map(|(topic, _)| topic.as_str()).collect();
        assert_eq!(
            topics,
            ["accepted", "delta", "documents"].map(|end| format!("$aws/things/lamp-3/shadow/update/{end}"))
        );
        assert_eq!(
            (&wanted.answer.unwrap()["clientToken"], &wanted.messages[1].1["version"]),
            (&json!("t"), &json!(1))
        );
        let reported = update(&shadows, &json!({ "state": { "reported": { "light": { "on": true } } } }));
        assert_eq!(reported.messages[1].1["state"], json!({ "light": { "level": 3 } }));
        let document = request(&shadows, Operation::Get, &json!({})).answer.unwrap();
        assert_eq!(document["state"]["delta"], json!({ "light": { "level": 3 } }));
        assert_eq!(document["metadata"]["reported"]["light"]["on"]["timestamp"], NOW_S);
        let same = update(&shadows, &json!({ "state": { "reported": { "light": { "level": 3 } } } }));
        assert!(same.messages.iter().all(|(topic, _)| !topic.ends_with("/delta")));
    }

    #[test]
    fn null_removes_a_value_or_a_part() {
        let shadows = Shadows::default();
        update(&shadows, &json!({ "state": { "desired": { "a": 1, "b": { "c": 2, "d": null } } } }));
        update(&shadows, &json!({ "state": { "desired": { "a": null } } }));
        let state = |shadows: &Shadows| request(shadows, Operation::Get, &json!({})).answer.unwrap()["state"].clone();
        assert_eq!(state(&shadows)["desired"], json!({ "b": { "c": 2 } }));
        update(&shadows, &json!({ "state": { "desired": null } }));
        assert_eq!(state(&shadows), json!({}));
    }

    #[test]
    fn a_request_that_is_wrong_or_of_another_version_is_refused() {
        let shadows = Shadows::default();
        update(&shadows, &json!({ "state": { "desired": { "a": 1 } } }));
        let code = |body: Value| update(&shadows, &body).answer.unwrap_err().code;
        assert_eq!(code(json!({ "state": { "desired": { "a": 2 } }, "version": 7 })), 409);
        assert_eq!(code(json!({ "desired": {} })), 400);
        assert_eq!(code(json!({ "state": { "wanted": {} } })), 400);
        assert_eq!(code(json!({ "state": { "desired": 1 } })), 400);
        assert_eq!(code(json!({ "state": { "desired": { "a": "x".repeat(9_000) } } })), 413);
        let deep = (0..9).fold(json!(1), |inner, _| json!({ "n": inner }));
        assert_eq!(code(json!({ "state": { "desired": deep } })), 400);
        let refused = shadows.request(&name(), Operation::Update, b"{", NOW_S);
        assert_eq!(refused.messages[0].0, "$aws/things/lamp-3/shadow/update/rejected");
        // None of it changed anything.
        assert_eq!(
            update(&shadows, &json!({ "state": { "desired": { "a": 2 } }, "version": 1 })).answer.unwrap()["version"],
            2
        );
    }

    #[test]
    fn a_shadow_that_is_made_again_goes_on_with_its_version() {
        let shadows = Shadows::default();
        assert_eq!(request(&shadows, Operation::Delete, &json!({})).answer.unwrap_err().code, 404);
        update(&shadows, &json!({ "state": { "desired": { "a": 1 } } }));
        assert_eq!(request(&shadows, Operation::Delete, &json!({})).answer.unwrap()["version"], 1);
        assert_eq!(request(&shadows, Operation::Get, &json!({})).answer.unwrap_err().code, 404);
        assert_eq!(update(&shadows, &json!({ "state": { "desired": { "b": 1 } } })).answer.unwrap()["version"], 2);
    }

    #[test]
    fn a_message_to_a_shadows_topic_is_a_request() {
        let shadows = Shadows::default();
        let body = br#"{"state":{"reported":{"on":true}}}"#;
        let answered = shadows.message("$aws/things/lamp-3/shadow/name/light/update", body, NOW_S);
        assert_eq!(answered[0].0, "$aws/things/lamp-3/shadow/name/light/update/accepted");
        assert_eq!(
            shadows.message("$aws/things/lamp-3/shadow/get", b"", NOW_S)[0].0,
            "$aws/things/lamp-3/shadow/get/rejected"
        );
        for other in ["$aws/things/lamp-3/shadow/update/accepted", "$aws/things/lamp-3", "dt/lamp-3/shadow/update"] {
            assert!(shadows.message(other, body, NOW_S).is_empty(), "{other}");
        }
    }
}
