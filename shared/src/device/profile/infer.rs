//! Drafts a profile from samples of payloads, and says what it was not sure of.
//!
//! A draft is a beginning: it reads what stands in the samples, by the names and the values that it finds there. It
//! cannot know ranges, windows and alerts, nor whether a name means what it seems to mean.
//!
//! ```
//! use myaku::device::profile::infer;
//!
//! let samples: [&[u8]; 2] = [br#"{"n": 1, "ts": 1795218892, "tempF": 98.2}"#, br#"{"n": 2, "ts": 1795218952, "tempF": 98.4}"#];
//! let draft = infer("thermometer", &samples, 1_795_219_000_000)?;
//! assert_eq!(draft.document.metrics["temp"].unit.as_deref(), Some("°C"));
//! assert_eq!(draft.readings, 2);
//! # Ok::<(), String>(())
//! ```

mod role;
mod survey;
mod unit;

use super::Profile;
use super::compile::MAX_NAME;
use super::document::{Format, ProfileDocument};
use super::tree::Node;
use crate::ingest::message::MessageRef;
use role::{Read, Role};
use serde_json::{Map, Value, json};
use std::collections::HashSet;
use survey::{Leaf, Survey};

/// A profile that was drafted from samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// The profile. It is valid.
    pub document: ProfileDocument,
    /// What to check, each with the path in the payload or the key of the profile that it is about.
    pub doubts: Vec<String>,
    /// How many readings the samples give with this profile.
    pub readings: usize,
}

/// Drafts a profile named `id` from the payloads of one kind of device. `now_ms` tells times from other numbers.
///
/// # Errors
/// Says in words why no draft can be made: no samples, a payload that is neither JSON nor CBOR, or nothing in them that
/// can be measured.
pub fn infer(id: &str, samples: &[&[u8]], now_ms: i64) -> Result<Draft, String> {
    let (format, trees) = parse(samples)?;
    let survey = Survey::of(&trees);
    let mut drafting = Drafting { now_ms, samples: trees.len(), doubts: Vec::new(), metrics: Map::new() };
    let version = drafting.version(format, &survey);
    let Drafting { metrics, mut doubts, .. } = drafting;
    if metrics.is_empty() {
        return Err("nothing in the samples looks like a value that can be measured".to_owned());
    }
    doubts.push("metrics: ranges, windows and alerts cannot be seen in samples; add those that you want".to_owned());
    let draft = json!({"id": id, "description": "Drafted from samples.", "metrics": metrics, "versions": [version]});
    let document = ProfileDocument::parse(draft.to_string().as_bytes()).map_err(|problem| problem.to_string())?;
    let profile = Profile::compile(&document)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
    let readings = samples.iter().enumerate().map(|(index, payload)| {
        let message = MessageRef {
            delivery_id: "sample",
            device_id: "device",
            facility: "",
            kind: "",
            client_id: None,
            received_at: now_ms,
            payload,
            message_id: None,
            sender: None,
        };
        let decoded = profile.decode(message, now_ms);
        doubts.extend(decoded.rejected.iter().map(|it| format!("sample {}: {}", index + 1, it.detail)));
        if decoded.readings.is_empty() {
            doubts.push(format!("sample {}: nothing is read from it; it may have another format", index + 1));
        }
        decoded.readings.len()
    });
    let readings = readings.sum();
    Ok(Draft { document, doubts, readings })
}

/// The samples as trees, all in one format.
fn parse<'a>(samples: &[&'a [u8]]) -> Result<(Format, Vec<Node<'a>>), String> {
    if samples.is_empty() {
        return Err("there are no samples".to_owned());
    }
    let has_values = |node: &Node<'_>| matches!(node, Node::Map(_) | Node::List(_));
    let json: Vec<_> = samples.iter().filter_map(|sample| Node::json(sample).ok().filter(has_values)).collect();
    if json.len() == samples.len() {
        return Ok((Format::Json, json));
    }
    let cbor: Vec<_> = samples.iter().filter_map(|sample| Node::cbor(sample).ok().filter(has_values)).collect();
    if cbor.len() == samples.len() {
        return Ok((Format::Cbor, cbor));
    }
    let is_odd = |sample: &&[u8]| Node::json(sample).is_err() && Node::cbor(sample).is_err();
    let odd = samples.iter().position(is_odd).map_or(String::new(), |index| format!(" (sample {})", index + 1));
    Err(format!(
        "the samples are not all objects or arrays of JSON, nor all of CBOR{odd}; for another format, write the profile \
         by the device's documentation"
    ))
}

/// A draft in the making.
struct Drafting {
    now_ms: i64,
    samples: usize,
    doubts: Vec<String>,
    metrics: Map<String, Value>,
}

impl Drafting {
    fn version(&mut self, format: Format, survey: &Survey) -> Value {
        let mut version = Map::from_iter([("name".to_owned(), json!("1")), ("format".to_owned(), json!(format))]);
        let (time, fields) = self.fields(&survey.leaves, self.samples, true);
        if let Some(identity) = &fields.identity {
            version.insert("identity".to_owned(), json!([identity]));
        } else {
            self.doubts.push(
                "identity: no number of the message was found; a message that is sent again is known by its time and its bytes"
                    .to_owned(),
            );
        }
        let has_time = time.is_some();
        insert(&mut version, "time", time);
        insert_list(&mut version, "fields", fields.read);
        let largest = survey.groups.iter().max_by_key(|group| group.leaves.len());
        let mut has_record_times = false;
        if let Some(group) = largest {
            let (time, fields) = self.fields(&group.leaves, group.records, false);
            has_record_times = time.is_some();
            if !fields.read.is_empty() {
                let mut records = Map::from_iter([("each".to_owned(), json!(group.each))]);
                if group.seen_in < self.samples {
                    records.insert("optional".to_owned(), json!(true));
                }
                insert(&mut records, "time", time);
                insert_list(&mut records, "fields", fields.read);
                version.insert("records".to_owned(), Value::Object(records));
            }
            for other in survey.groups.iter().filter(|other| other.each != group.each) {
                self.doubts
                    .push(format!("{}: a version reads the records of one array; this one is not read", other.each));
            }
        }
        if !has_time && !has_record_times {
            self.doubts.push("time: no time was found; readings get the time of receipt".to_owned());
        }
        if survey.has_odd_key {
            self.doubts.push("a key is empty or has characters that no path can name; it is not read".to_owned());
        }
        Value::Object(version)
    }

    /// The time among the leaves of a message or of its records, and the fields to read.
    fn fields(&mut self, leaves: &[Leaf], whole: usize, of_message: bool) -> (Option<Value>, Fields) {
        let mut time = None;
        let mut fields = Fields::default();
        let mut taken = HashSet::new();
        for leaf in leaves {
            if taken.contains(&leaf.path) {
                continue;
            }
            match role::of(leaf, self.now_ms, of_message, self.samples) {
                Role::Time(unit) if time.is_none() => {
                    let mut document =
                        Map::from_iter([("from".to_owned(), json!(leaf.path)), ("unit".to_owned(), json!(unit))]);
                    if leaf.is_text() && unit != "iso8601" {
                        document.insert("text".to_owned(), json!(true));
                    }
                    time = Some(Value::Object(document));
                    self.doubts.push(format!("{}: read as the time, in the unit `{unit}`", leaf.path));
                }
                Role::Time(_) => self.doubts.push(format!("{}: looks like a time as well; it is not read", leaf.path)),
                Role::Identity if of_message && fields.identity.is_none() => {
                    if self.samples < 2 {
                        self.doubts.push(format!(
                            "{}: read as the message's number, by its name; one sample cannot show that it changes",
                            leaf.path
                        ));
                    }
                    fields.identity = Some(leaf.path.clone());
                }
                Role::Identity => {
                    self.doubts.push(format!("{}: may be another number of the message; it is not read", leaf.path));
                }
                Role::Longitude | Role::Latitude => {
                    let partner = leaves.iter().find(|other| {
                        other.parent == leaf.parent && other.path != leaf.path && role::are_coordinates(leaf, other)
                    });
                    let Some(partner) = partner else {
                        let read = Read::number(leaf);
                        fields.read.push(self.field(leaf, &read, whole));
                        continue;
                    };
                    taken.insert(partner.path.clone());
                    let (longitude, latitude) =
                        if role::is_longitude(leaf) { (leaf, partner) } else { (partner, leaf) };
                    let name = self.metric_name(&leaf.parent, "", "position");
                    self.metrics.insert(name.clone(), json!({"kind": "position"}));
                    let mut field = json!({"metric": name, "longitude": longitude.path, "latitude": latitude.path});
                    mark_optional(&mut field, leaf, whole);
                    fields.read.push(field);
                }
                Role::Value(read) => {
                    self.doubts.extend(read.doubt.iter().map(|doubt| format!("{}: {doubt}", leaf.path)));
                    fields.read.push(self.field(leaf, &read, whole));
                }
                Role::Nothing(why) => self.doubts.push(format!("{}: not read: {why}", leaf.path)),
            }
        }
        (time, fields)
    }

    fn field(&mut self, leaf: &Leaf, read: &Read, whole: usize) -> Value {
        let name = self.metric_name(&leaf.parent, &leaf.path, &read.name);
        let mut metric = Map::new();
        if read.kind != "number" {
            metric.insert("kind".to_owned(), json!(read.kind));
        }
        insert(&mut metric, "unit", read.unit.as_ref().map(|unit| json!(unit.kept)));
        self.metrics.insert(name.clone(), Value::Object(metric));
        let mut field = json!({"metric": name, "from": leaf.path});
        if read.text {
            field["text"] = json!(true);
        }
        if let Some(unit) = read.unit.as_ref().filter(|unit| unit.sent != unit.kept) {
            field["unit"] = json!(unit.sent);
        }
        mark_optional(&mut field, leaf, whole);
        field
    }

    /// A name that no other metric has: that of the last key, with the keys before it where needed.
    fn metric_name(&self, parent: &str, path: &str, name: &str) -> String {
        let name = if name.is_empty() { "value" } else { name };
        let long = format!("{}_{name}", role::words(parent).join("_"));
        let numbered = (2..).map(|number| format!("{name}_{number}"));
        let mut names = [name.to_owned(), long.trim_start_matches('_').to_owned(), role::words(path).join("_")]
            .into_iter()
            .chain(numbered)
            .map(|name| name.chars().take(MAX_NAME).collect::<String>());
        names.find(|name| !name.is_empty() && !self.metrics.contains_key(name)).unwrap_or_default()
    }
}

/// What is read of a message or a record.
#[derive(Default)]
struct Fields {
    identity: Option<String>,
    read: Vec<Value>,
}

fn mark_optional(field: &mut Value, leaf: &Leaf, whole: usize) {
    if leaf.present < whole {
        field["optional"] = json!(true);
    }
}

fn insert(object: &mut Map<String, Value>, key: &str, value: Option<Value>) {
    if let Some(value) = value {
        object.insert(key.to_owned(), value);
    }
}

fn insert_list(object: &mut Map<String, Value>, key: &str, list: Vec<Value>) {
    insert(object, key, (!list.is_empty()).then_some(Value::Array(list)));
}

#[cfg(test)]
mod tests;
