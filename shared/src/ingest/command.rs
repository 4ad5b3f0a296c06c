//! What waits for a device that only ever calls in: its pending command.
//!
//! A device has at most one: a newer command replaces the one that waits. It is shown with every answer to the device
//! until the device acknowledges it by its id, an operator cancels it, or it expires. So a command reaches the device at
//! least once, and a device carries out an id that it has seen once only.

#[cfg(any(test, feature = "testing"))]
pub mod conformance;
#[cfg(feature = "dynamodb")]
mod dynamodb;
mod memory;

#[cfg(feature = "dynamodb")]
pub use dynamodb::DynamoDbCommands;
pub use memory::MemoryCommands;

use crate::ingest::message::topic_level;
use crate::platform::errors::RemoteError;
use serde_json::value::RawValue;

/// The longest payload of a command, in bytes of JSON.
pub const MAX_PAYLOAD: usize = 16 * 1024;

/// A command that waits for its device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The device.
    pub device_id: String,
    /// Names this command: another one, even with the same words, has another id.
    pub id: String,
    /// What to do, as the last level of a command's topic: `set-interval`.
    pub request: String,
    /// What the request is about: JSON, as it was written.
    pub payload: String,
    /// When it was put, in milliseconds since the epoch.
    pub created_ms: i64,
    /// From when on it is not shown any more, in milliseconds since the epoch.
    pub expires_ms: i64,
}

/// Why a command cannot be put.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct InvalidCommand {
    /// The field.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

impl Command {
    /// Whether a device may be shown it.
    ///
    /// # Errors
    /// A field is not what it must be.
    pub fn check(&self) -> Result<(), InvalidCommand> {
        for (field, value) in [("device", &self.device_id), ("id", &self.id), ("request", &self.request)] {
            topic_level(value).map_err(|why| InvalidCommand { field, problem: why.to_owned() })?;
        }
        let wrong = |field, problem: String| Err(InvalidCommand { field, problem });
        if self.payload.len() > MAX_PAYLOAD {
            return wrong("payload", format!("it has {} bytes, and may have {MAX_PAYLOAD}", self.payload.len()));
        }
        if let Err(error) = serde_json::from_str::<&RawValue>(&self.payload) {
            return wrong("payload", format!("it is no JSON: {error}"));
        }
        if self.expires_ms <= self.created_ms {
            return wrong("expires", "it is not behind the time of the command".to_owned());
        }
        Ok(())
    }

    /// Whether it still waits at `now_ms`.
    pub const fn waits(&self, now_ms: i64) -> bool {
        now_ms < self.expires_ms
    }
}

/// The port to pending commands, as a function needs it.
pub trait Commands: Send + Sync {
    /// The command that waits for a device, expired or not.
    fn pending(&self, device_id: &str) -> impl Future<Output = Result<Option<Command>, RemoteError>> + Send;

    /// Removes the command `id` of a device; another one stays. Whether it was there.
    fn remove(&self, device_id: &str, id: &str) -> impl Future<Output = Result<bool, RemoteError>> + Send;
}

/// The port to pending commands, as an operator's tools need it.
pub trait CommandsWriter: Commands {
    /// Puts a command in the place of the one that waits.
    fn put(&self, command: &Command) -> impl Future<Output = Result<(), RemoteError>> + Send;

    /// All commands, expired or not, after the place `after` (from the beginning without), some `limit` at a time.
    fn list(&self, after: Option<String>, limit: usize) -> impl Future<Output = Result<Page, RemoteError>> + Send;
}

/// Some commands of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The commands, in the store's own order. A page can be empty while there are more.
    pub commands: Vec<Command>,
    /// Where the next page begins; none at the end.
    pub next: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_no_device_could_use_is_told_by_its_field() {
        let good = conformance::command("bed-17", "c-1");
        assert_eq!(good.check(), Ok(()));
        for (bad, field) in [
            (Command { device_id: "bed/17".to_owned(), ..good.clone() }, "device"),
            (Command { request: String::new(), ..good.clone() }, "request"),
            (Command { payload: "{".to_owned(), ..good.clone() }, "payload"),
            (Command { payload: format!("\"{}\"", "x".repeat(MAX_PAYLOAD)), ..good.clone() }, "payload"),
            (Command { expires_ms: good.created_ms, ..good.clone() }, "expires"),
        ] {
            assert_eq!(bad.check().unwrap_err().field, field);
        }
    }
}
