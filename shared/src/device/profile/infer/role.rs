//! What a value in the samples is for, by its name and by its values.

use super::survey::{Leaf, Seen};
use super::unit::{self, Unit};
use crate::device::reading::MAX_TEXT;

/// What a value is for.
#[derive(Debug)]
pub(super) enum Role {
    /// The device's time, in this unit.
    Time(&'static str),
    /// The message's number.
    Identity,
    Longitude,
    Latitude,
    /// A value that is measured.
    Value(Read),
    /// Nothing that is read. The words say why.
    Nothing(&'static str),
}

/// How a value is read.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) kind: &'static str,
    /// The metric's name.
    pub(super) name: String,
    /// Whether it is a number that was sent as text.
    pub(super) text: bool,
    pub(super) unit: Option<Unit>,
    pub(super) doubt: Option<String>,
}

impl Read {
    fn of(leaf: &Leaf, kind: &'static str) -> Self {
        Self { kind, name: words(&leaf.key).join("_"), text: false, unit: None, doubt: None }
    }

    pub(super) fn number(leaf: &Leaf) -> Self {
        let named = words(&leaf.key);
        let (unit, name) = unit::guess(&named, &leaf.numbers().unwrap_or_default());
        let doubt = unit.as_ref().map_or_else(
            || Some("its unit is not known; give the metric one".to_owned()),
            |unit| Some(format!("its unit was guessed: it is sent in `{}` and kept in `{}`", unit.sent, unit.kept)),
        );
        Self { name: name.join("_"), text: leaf.is_text(), unit, doubt, ..Self::of(leaf, "number") }
    }
}

/// Words that name a time.
const TIME: &[&str] = &[
    "ts",
    "time",
    "timestamp",
    "datetime",
    "date",
    "at",
    "utc",
    "epoch",
    "t",
    "clock",
    "when",
    "sent",
    "measured",
    "created",
    "updated",
    "stamp",
];
/// Words that name the number of a message.
const IDENTITY: &[&str] =
    &["id", "msgid", "mid", "uuid", "seq", "sequence", "counter", "cnt", "fcnt", "n", "nr", "packet", "nonce", "uid"];
/// Words that name a thing or a person, which does not change from message to message.
const THING: &[&str] = &[
    "device",
    "dev",
    "sensor",
    "node",
    "mac",
    "serial",
    "sn",
    "user",
    "gateway",
    "gw",
    "hardware",
    "model",
    "firmware",
    "fw",
    "name",
    "eui",
    "app",
    "application",
    "tenant",
    "patient",
    "room",
    "bed",
];
/// Words that name a format.
const VERSION: &[&str] = &["version", "ver", "schema", "fw", "firmware"];
/// Words that name what is so or is not so, where a device sends 1 and 0.
const SWITCH: &[&str] = &[
    "open",
    "closed",
    "on",
    "off",
    "door",
    "motion",
    "occupied",
    "occupancy",
    "alarm",
    "moving",
    "worn",
    "leak",
    "present",
    "is",
    "has",
    "enabled",
    "active",
    "button",
    "pressed",
    "contact",
    "tamper",
    "charging",
];
/// Texts of more different values than this are not states.
const STATES_MAX: usize = 16;
/// 2015, before which no sample of a device that works was made.
const EARLIEST_MS: f64 = 1_420_070_400_000.0;
const DAY_MS: f64 = 86_400_000.0;

/// What the value at a path is for. `of_message`: it is outside records, of which there are `samples`.
pub(super) fn of(leaf: &Leaf, now_ms: i64, of_message: bool, samples: usize) -> Role {
    let named = words(&leaf.key);
    let is_named = |list: &[&str]| named.iter().any(|word| list.contains(&word.as_str()));
    if leaf.values.is_empty() {
        return Role::Nothing("it is null in all samples");
    }
    if let Some(unit) =
        time_unit(leaf, now_ms as f64).filter(|unit| *unit == "iso8601" || is_named(TIME) || *unit != "s")
    {
        return Role::Time(unit);
    }
    if is_named(VERSION) && leaf.is_constant() {
        return Role::Nothing("it may name the format; a version can ask for it with `when`");
    }
    if of_message && is_named(IDENTITY) && !is_named(THING) && is_whole(leaf) && leaf.is_distinct() {
        return Role::Identity;
    }
    if is_named(THING)
        && !leaf.values.iter().any(|value| matches!(value, Seen::Boolean(_)))
        && (leaf.is_text() || is_named(IDENTITY))
    {
        return Role::Nothing("it names a thing and is not measured");
    }
    if is_longitude(leaf) {
        return Role::Longitude;
    }
    if is_latitude(leaf) {
        return Role::Latitude;
    }
    let is_each = |test: fn(&Seen) -> bool| leaf.values.iter().all(test);
    if is_each(|value| matches!(value, Seen::Boolean(_))) {
        return Role::Value(Read::of(leaf, "boolean"));
    }
    if is_each(|value| matches!(value, Seen::Number(0.0 | 1.0))) && is_named(SWITCH) {
        let doubt = Some("read as a boolean, by its name and since it is always 1 or 0".to_owned());
        return Role::Value(Read { doubt, ..Read::of(leaf, "boolean") });
    }
    if is_each(
        |value| matches!(value, Seen::Pair([longitude, latitude]) if longitude.abs() <= 180.0 && latitude.abs() <= 90.0),
    ) {
        let doubt = Some("read as longitude and latitude, in this order".to_owned());
        return Role::Value(Read { doubt, ..Read::of(leaf, "position") });
    }
    if leaf.numbers().is_some() {
        return Role::Value(Read::number(leaf));
    }
    match leaf.texts() {
        Some(texts) => text(leaf, &texts, samples),
        None => Role::Nothing("its values are of several kinds, or of none that a metric can have"),
    }
}

fn text(leaf: &Leaf, texts: &[&str], samples: usize) -> Role {
    let is_state = |text: &&str| !text.is_empty() && text.len() <= MAX_TEXT && !text.chars().any(char::is_control);
    let mut different = texts.to_vec();
    different.sort_unstable();
    different.dedup();
    if !texts.iter().all(is_state) || different.len() > STATES_MAX {
        return Role::Nothing("its texts are no names of states: there are too many, or they are empty or too long");
    }
    if different.len() == 1 && samples > 2 {
        return Role::Nothing("it is the same text in all samples");
    }
    let doubt = Some(format!("read as a state by name; seen: {}", different.join(", ")));
    Role::Value(Read { doubt, ..Read::of(leaf, "text") })
}

/// The unit in which all values can be times between 2015 and tomorrow.
fn time_unit(leaf: &Leaf, now_ms: f64) -> Option<&'static str> {
    if leaf.texts().is_some_and(|texts| texts.iter().all(|text| text.trim().parse::<jiff::Timestamp>().is_ok())) {
        return Some("iso8601");
    }
    let numbers = leaf.numbers()?;
    let is_time = |per_ms: f64| numbers.iter().all(|it| (EARLIEST_MS..now_ms + DAY_MS).contains(&(it / per_ms)));
    [(1e-3, "s"), (1.0, "ms"), (1e3, "µs")].into_iter().find(|(per_ms, _)| is_time(*per_ms)).map(|(_, unit)| unit)
}

/// Whether the values are whole numbers or texts, as numbers of messages are.
fn is_whole(leaf: &Leaf) -> bool {
    leaf.values.iter().all(|value| match value {
        Seen::Number(number) => number.fract() == 0.0,
        Seen::Text(_) => true,
        _ => false,
    })
}

pub(super) fn is_longitude(leaf: &Leaf) -> bool {
    is_coordinate(leaf, &["lon", "lng", "long", "longitude"], 180.0)
}

fn is_latitude(leaf: &Leaf) -> bool {
    is_coordinate(leaf, &["lat", "latitude"], 90.0)
}

/// Whether one of two values is a longitude and the other a latitude.
pub(super) fn are_coordinates(one: &Leaf, other: &Leaf) -> bool {
    (is_longitude(one) && is_latitude(other)) || (is_latitude(one) && is_longitude(other))
}

fn is_coordinate(leaf: &Leaf, names: &[&str], limit: f64) -> bool {
    let is_named = words(&leaf.key).iter().any(|word| names.contains(&word.as_str()));
    is_named && leaf.numbers().is_some_and(|numbers| numbers.iter().all(|number| number.abs() <= limit))
}

/// The words of a key in lower case: `heartRate` and `Heart-Rate` are `heart` and `rate`.
pub(super) fn words(key: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for letter in key.chars() {
        let begins = letter.is_uppercase() && (before.is_lowercase() || before.is_ascii_digit());
        if begins || !letter.is_ascii_alphanumeric() {
            words.push(String::new());
        }
        if let (true, Some(word)) = (letter.is_ascii_alphanumeric(), words.last_mut()) {
            word.push(letter.to_ascii_lowercase());
        }
        before = letter;
    }
    words.retain(|word| !word.is_empty());
    words
}
