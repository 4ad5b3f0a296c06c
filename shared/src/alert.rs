//! What people and machines are told, once when it begins and once when it is over.
//!
//! An [`Incident`] is the fact, kept in a table; an [`Alert`] is the news of it, published to a topic. The news goes out
//! before the fact is kept: a crash between the two repeats the news, under the same id, and loses none. So a consumer that
//! remembers [`Alert::key`] acts once.

mod incident;
pub mod incidents;
pub mod topic;

pub use incident::{Cleared, Incident, Kind};

use serde::{Deserialize, Serialize};

/// Whether something begins or is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It begins.
    Raised,
    /// It is over.
    Cleared,
}

impl State {
    /// The name in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Raised => "raised",
            Self::Cleared => "cleared",
        }
    }
}

/// The news of an incident: the message of the topic `alerts`, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Alert {
    /// The incident's id; the same in all news of it.
    pub id: String,
    /// Whether it begins or is over.
    pub state: State,
    /// What it is about.
    pub kind: Kind,
    /// The device.
    pub device_id: String,
    /// Where it stands, where the registry says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facility: Option<String>,
    /// Since when it is so, in milliseconds since the epoch: for a silent device, when it was last heard.
    pub since: i64,
    /// When that was noticed, or that it is over, in milliseconds since the epoch.
    pub at: i64,
    /// The same in words, for people.
    pub detail: String,
}

impl Alert {
    /// What tells it from all other news: by this a consumer knows what it was told before.
    pub fn key(&self) -> String {
        format!("{}#{}", self.id, self.state.name())
    }
}

#[cfg(test)]
mod tests;
