//! Stub until the real one is merged.
#![allow(missing_docs)]
pub mod registry;
use crate::{dead_letter::Reason, message::Message, reading::Reading};
use serde::{Deserialize, Serialize};
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProfileDocument {
    pub id: String,
    #[serde(default)]
    pub metrics: serde_json::Value,
    pub versions: Vec<serde_json::Value>,
}
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub field: String,
    pub message: String,
}
impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}
#[derive(Clone, Debug)]
pub struct Profile {
    pub id: String,
}
pub struct Rejected {
    pub reason: Reason,
    pub detail: String,
}
pub struct Decoded {
    pub readings: Vec<Reading>,
    pub rejected: Vec<Rejected>,
}
impl Profile {
    pub fn compile(document: ProfileDocument) -> Result<Self, Vec<Problem>> {
        if document.versions.is_empty() {
            return Err(vec![Problem { field: "versions".into(), message: "there is none".into() }]);
        }
        Ok(Self { id: document.id })
    }
    pub fn window(&self, _metric: &str) -> Option<&crate::window::WindowSpec> {
        None
    }
    pub fn decode(&self, _message: &Message, _arrived_ms: i64) -> Decoded {
        Decoded { readings: vec![], rejected: vec![] }
    }
}
