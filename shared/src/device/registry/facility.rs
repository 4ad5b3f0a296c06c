//! Describes a facility in the registry: its clock, and who hears of its alerts.

use super::device::id_problem;
use crate::alert::Contact;
use crate::device::profile::Problem;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The most contacts of a facility.
pub const MAX_CONTACTS: usize = 20;
const UTC: &str = "UTC";

/// A facility. The registry notes its name when the first device is registered there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Facility {
    /// Its name.
    pub facility: String,
    /// The name of its time zone in IANA's database, such as `Asia/Tokyo`: for quiet hours, and for times in messages.
    #[serde(default = "utc")]
    pub zone: String,
    /// Who hears of its alerts.
    #[serde(default)]
    pub contacts: Vec<Contact>,
}

fn utc() -> String {
    UTC.to_owned()
}

impl Facility {
    /// A facility of which only the name is known.
    pub fn new(name: impl Into<String>) -> Self {
        Self { facility: name.into(), zone: utc(), contacts: Vec::new() }
    }

    /// Its time zone.
    pub fn time_zone(&self) -> TimeZone {
        TimeZone::get(&self.zone).unwrap_or(TimeZone::UTC)
    }

    /// Lists what is wrong with the facility, by field.
    pub fn problems(&self) -> Vec<Problem> {
        let problem = |field: String, message: String| Problem { field, message };
        let mut problems: Vec<_> =
            id_problem(&self.facility).map(|message| problem("facility".to_owned(), message)).into_iter().collect();
        if TimeZone::get(&self.zone).is_err() {
            let message = format!("{:?} is not in the database of time zones; write it as in Asia/Tokyo", self.zone);
            problems.push(problem("zone".to_owned(), message));
        }
        if self.contacts.len() > MAX_CONTACTS {
            let message = format!("has {} entries, at most {MAX_CONTACTS} are allowed", self.contacts.len());
            problems.push(problem("contacts".to_owned(), message));
        }
        let mut names = BTreeSet::new();
        for (index, contact) in self.contacts.iter().enumerate() {
            let field = |field: &str| format!("contacts[{index}].{field}");
            problems.extend(contact.problems().into_iter().map(|found| problem(field(found.field), found.message)));
            if !names.insert(&contact.name) {
                problems.push(problem(field("name"), "is the name of another contact as well".to_owned()));
            }
        }
        problems
    }
}
