//! Describes a device in the registry, and checks ids.

use crate::device::profile::Problem;
use serde::{Deserialize, Serialize};

/// The longest id of a device, a profile or a facility, in bytes.
pub const MAX_ID: usize = 128;

/// A registered device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Device {
    /// The device's id, which is a level of its topics in MQTT.
    pub device_id: String,
    /// The id of its profile.
    pub profile: String,
    /// The facility where the device is. Without it, the facility of each message counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facility: Option<String>,
}

impl Device {
    /// Lists what is wrong with the device, by field.
    pub fn problems(&self) -> Vec<Problem> {
        let fields = [
            ("deviceId", Some(&self.device_id)),
            ("profile", Some(&self.profile)),
            ("facility", self.facility.as_ref()),
        ];
        let problems = fields.into_iter().filter_map(|(field, id)| {
            let message = id_problem(id?)?;
            Some(Problem { field: field.to_owned(), message })
        });
        problems.collect()
    }
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
