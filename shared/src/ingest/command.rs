//! The pending command of a device that only calls in, and so cannot be reached when the command is put.
//!
//! A device has at most one pending command: a newer one replaces it. Every answer to the device shows the command
//! until the device acknowledges it by its id, an operator cancels it, or it expires. So a command reaches the device
//! at least once. The device must carry out each id only once.
//!
//! ```
//! use myaku::ingest::command::Command;
//!
//! let command = Command {
//!     device_id: "bed-17".to_owned(),
//!     id: "c-1".to_owned(),
//!     request: "set-interval".to_owned(),
//!     payload: r#"{"seconds": 30}"#.to_owned(),
//!     created_ms: 1_795_218_892_020,
//!     expires_ms: 1_795_219_792_020,
//! };
//! command.check()?;
//! assert!(command.waits(1_795_219_000_000) && !command.waits(command.expires_ms));
//! # Ok::<(), myaku::ingest::command::InvalidCommand>(())
//! ```

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
    /// Identifies this command. Another command has another id, even if it is otherwise the same.
    pub id: String,
    /// What to do, as the last level of the command's topic: `set-interval`.
    pub request: String,
    /// The request's arguments: JSON, exactly as it was written.
    pub payload: String,
    /// When it was put, in milliseconds since the epoch.
    pub created_ms: i64,
    /// When it expires, in milliseconds since the epoch. From then on it is not shown.
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
    /// Checks whether it may be put.
    ///
    /// # Errors
    /// A field is not valid.
    pub fn check(&self) -> Result<(), InvalidCommand> {
        for (field, value) in [("device", &self.device_id), ("id", &self.id), ("request", &self.request)] {
            topic_level(value).map_err(|why| InvalidCommand { field, problem: why.to_owned() })?;
        }
        let wrong = |field, problem: String| Err(InvalidCommand { field, problem });
        if self.payload.len() > MAX_PAYLOAD {
            return wrong("payload", format!("it has {} bytes; the limit is {MAX_PAYLOAD}", self.payload.len()));
        }
        if let Err(error) = serde_json::from_str::<&RawValue>(&self.payload) {
            return wrong("payload", format!("it is not JSON: {error}"));
        }
        if self.expires_ms <= self.created_ms {
            return wrong("expires", "it is not after the time of the command".to_owned());
        }
        Ok(())
    }

    /// Whether it still waits at `now_ms`.
    pub const fn waits(&self, now_ms: i64) -> bool {
        now_ms < self.expires_ms
    }
}

/// The port to pending commands for a function.
pub trait Commands: Send + Sync {
    /// The command of a device, expired or not.
    fn pending(&self, device_id: &str) -> impl Future<Output = Result<Option<Command>, RemoteError>> + Send;

    /// Removes the command `id` of a device; another command stays. Returns whether the command was there.
    fn remove(&self, device_id: &str, id: &str) -> impl Future<Output = Result<bool, RemoteError>> + Send;
}

/// The port to pending commands for an operator's tools.
pub trait CommandsWriter: Commands {
    /// Puts a command, which replaces the device's pending one.
    fn put(&self, command: &Command) -> impl Future<Output = Result<(), RemoteError>> + Send;

    /// Lists the commands, expired or not, in pages of at most `limit`. `after` is the `next` of the page before;
    /// `None` lists from the beginning.
    fn list(&self, after: Option<String>, limit: usize) -> impl Future<Output = Result<Page, RemoteError>> + Send;
}

/// A page of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The commands, in the store's own order. A page can be empty although more follow.
    pub commands: Vec<Command>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_of_an_invalid_command_names_the_field() {
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
