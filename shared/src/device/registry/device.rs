//! Describes a device in the registry, and checks ids.

use crate::device::profile::Problem;
use serde::{Deserialize, Serialize};

/// The longest id of a device, a profile or a facility, in bytes.
pub const MAX_ID: usize = 128;

/// In the list of a device that roams: all facilities.
pub const ANYWHERE: &str = "*";

/// A registered device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Device {
    /// The device's id, which is a level of its topics in MQTT.
    pub device_id: String,
    /// The id of its profile.
    pub profile: String,
    /// The facility where the device stands: it takes messages that come through it. A device without a facility sends
    /// only for itself, and the facility of each message counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facility: Option<String>,
    /// Other facilities that it takes messages from, because it moves between them; [`ANYWHERE`] for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roams: Vec<String>,
}

impl Device {
    /// A device that does not move.
    pub fn new(device_id: impl Into<String>, profile: impl Into<String>, facility: Option<&str>) -> Self {
        let facility = facility.map(str::to_owned);
        Self { device_id: device_id.into(), profile: profile.into(), facility, roams: Vec::new() }
    }

    /// Lists what is wrong with the device, by field.
    pub fn problems(&self) -> Vec<Problem> {
        let ids = [("deviceId", &self.device_id), ("profile", &self.profile)];
        list_problems(ids.into_iter().chain(self.facilities()), id_problem)
    }

    /// Lists what is wrong with a device that is about to be registered. Names of facilities that could be registered
    /// earlier are still read.
    pub(super) fn problems_to_register(&self) -> Vec<Problem> {
        let mut problems = self.problems();
        let names = self.facilities().filter(|(field, name)| *field != "roams" || *name != ANYWHERE);
        problems.extend(list_problems(names, |name| {
            let message = "has one of space, comma and * [ ] \", which lists of facilities cannot have in a name";
            name.contains([' ', ',', '*', '[', ']', '"']).then(|| message.to_owned())
        }));
        problems
    }

    /// The names of facilities, with their fields.
    fn facilities(&self) -> impl Iterator<Item = (&'static str, &String)> {
        let facility = self.facility.iter().map(|name| ("facility", name));
        facility.chain(self.roams.iter().map(|name| ("roams", name)))
    }
}

fn list_problems<'a>(
    texts: impl Iterator<Item = (&'static str, &'a String)>,
    problem: impl Fn(&str) -> Option<String>,
) -> Vec<Problem> {
    let problems = texts.filter_map(|(field, text)| Some(Problem { field: field.to_owned(), message: problem(text)? }));
    problems.collect()
}

/// Returns what is wrong with an id. An id must be short, and possible as a level of an MQTT topic that is published
/// to.
pub(super) fn id_problem(id: &str) -> Option<String> {
    let message = match id.len() {
        0 => "must not be empty".to_owned(),
        length if length > MAX_ID => format!("has {length} bytes, at most {MAX_ID} are allowed"),
        _ if id.contains(|character: char| character.is_control()) => "has control characters".to_owned(),
        _ if id.contains(['/', '+', '#']) => "has one of / + #, which have a special meaning in MQTT topics".to_owned(),
        _ => return None,
    };
    Some(message)
}
