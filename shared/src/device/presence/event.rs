//! Parses the lifecycle events that AWS IoT publishes when a client connects or disconnects.
//!
//! <https://docs.aws.amazon.com/iot/latest/developerguide/life-cycle-events.html>

use crate::device::registry::MAX_ID;
use serde::Deserialize;

/// How far ahead of the clock the time of an event may be, in milliseconds: "The accuracy of the timestamp is +/- 2
/// minutes", and our own clock has an error too. An event further ahead would count as newer than all later events.
pub const MAX_AHEAD_MS: i64 = 10 * 60 * 1_000;

/// What happened to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Change {
    /// It began.
    Connected,
    /// It ended.
    Disconnected,
}

impl Change {
    /// The change's name in events.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Disconnected => "disconnected",
        }
    }

    /// The change with this name; `None` if there is none.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Connected, Self::Disconnected].into_iter().find(|change| change.name() == name)
    }
}

/// One lifecycle event.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Lifecycle {
    /// The client's id, which is the device's id.
    pub client_id: String,
    /// What happened.
    pub change: Change,
    /// When it happened, in milliseconds since the epoch, accurate to two minutes.
    pub at_ms: i64,
    /// The number of the connection. It grows with each connection, and starts again at 0 after about an hour without
    /// one.
    pub version: u64,
    /// The session's id.
    pub session: String,
    /// Why the connection ended: `MQTT_KEEP_ALIVE_TIMEOUT`. Empty if it began.
    pub reason: String,
}

/// Why an event cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// It is not JSON of this form, or a field is invalid.
    #[error("not a lifecycle event: {field}: {problem}")]
    Malformed {
        /// The field, or `.` for the whole event.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Its timestamp is too far in the future.
    #[error("the timestamp is {0} ms ahead of this function's clock, at most {MAX_AHEAD_MS} ms are allowed")]
    Future(i64),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    client_id: String,
    event_type: String,
    timestamp: i64,
    version_number: u64,
    session_identifier: String,
    #[serde(default)]
    disconnect_reason: Option<String>,
}

impl Lifecycle {
    /// Parses an event as a rule's `SELECT *` forwards it. Other fields are ignored.
    ///
    /// # Errors
    /// A field is missing or invalid; the error names it.
    ///
    /// ```
    /// use myaku::device::presence::Lifecycle;
    /// let error = Lifecycle::parse(br#"{"clientId":"bed-17","eventType":"subscribed"}"#, 0).unwrap_err();
    /// assert_eq!(error.to_string(), "not a lifecycle event: .: missing field `timestamp` at line 1 column 46");
    /// ```
    pub fn parse(json: &[u8], now_ms: i64) -> Result<Self, EventError> {
        let malformed = |field: &str, problem: String| EventError::Malformed { field: field.to_owned(), problem };
        let mut parser = serde_json::Deserializer::from_slice(json);
        let wire: Wire = serde_path_to_error::deserialize(&mut parser)
            .map_err(|error| malformed(&error.path().to_string(), error.inner().to_string()))?;
        parser.end().map_err(|error| malformed(".", error.to_string()))?;
        let change = Change::parse(&wire.event_type)
            .ok_or_else(|| malformed("eventType", "must be connected or disconnected".to_owned()))?;
        for (field, id) in [("clientId", &wire.client_id), ("sessionIdentifier", &wire.session_identifier)] {
            if id.is_empty() || id.len() > MAX_ID {
                return Err(malformed(field, format!("has {} bytes, from 1 to {MAX_ID} are allowed", id.len())));
            }
        }
        if wire.timestamp <= 0 {
            return Err(malformed("timestamp", "must be after the epoch".to_owned()));
        }
        let ahead_ms = wire.timestamp.saturating_sub(now_ms);
        if ahead_ms > MAX_AHEAD_MS {
            return Err(EventError::Future(ahead_ms));
        }
        let mut reason = wire.disconnect_reason.unwrap_or_default();
        reason.truncate(reason.floor_char_boundary(MAX_ID));
        Ok(Self {
            client_id: wire.client_id,
            change,
            at_ms: wire.timestamp,
            version: wire.version_number,
            session: wire.session_identifier,
            reason,
        })
    }
}
