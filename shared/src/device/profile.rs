//! Compiles device profiles, and decodes messages with them.
//!
//! A profile describes a kind of device: its formats and their versions, calibration, units, ranges, and which clock to
//! trust. Users write it as a [`ProfileDocument`]. It is checked and compiled once into a [`Profile`], which then
//! decodes messages without the document.
//!
//! ```
//! use myaku::device::profile::Profile;
//! use myaku::ingest::message::MessageRef;
//!
//! let document = br#"{
//!     "id": "lamp",
//!     "metrics": {"brightness": {"unit": "%", "range": {"min": 0, "max": 100}}},
//!     "versions": [{"name": "1", "format": "json", "fields": [{"metric": "brightness", "from": "level"}]}]
//! }"#;
//! let profile = Profile::parse(document).map_err(|problems| problems[0].to_string())?;
//! let message = MessageRef {
//!     delivery_id: "7d0c",
//!     device_id: "lamp-1",
//!     facility: "home-3",
//!     kind: "state",
//!     client_id: None,
//!     received_at: 1_795_218_892_020,
//!     payload: br#"{"level": 180}"#,
//!     message_id: None,
//!     sender: None,
//! };
//! let decoded = profile.decode(message, 1_795_218_892_120);
//! assert_eq!(decoded.rejected[0].detail, "brightness (value 0): it is 180 %, above 100");
//! # Ok::<(), String>(())
//! ```

mod alerts;
mod binary;
mod calibration;
mod compile;
mod condition;
mod decode;
pub mod document;
mod explain;
mod extra;
mod field;
mod identity;
mod infer;
mod inside;
mod metric;
mod path;
mod payload;
mod problem;
mod records;
#[cfg(feature = "schema")]
mod schema;
mod source;
mod time;
mod tree;
mod unit;
mod value;
mod window;
mod windows;

#[cfg(test)]
mod tests;

pub use alerts::{
    AlertRule, Alerts, Between, Change, Circle, Condition, Count, Drift, Flat, Forecast, Gap, ScoreAbove, StateIs,
    StateValue, Threshold, Zone,
};
pub use document::ProfileDocument;
pub use explain::{Explained, Explanation, Tried};
pub use infer::{Draft, infer};
pub use metric::Metric;
pub use problem::Problem;
pub use records::MAX_VALUES;
#[cfg(feature = "schema")]
pub use schema::schema;
pub use unit::{Unit, units};
pub use window::{MAX_READINGS, WindowSpec};
pub use windows::{MAX_OVERLAPPING, MAX_SESSION_MS, MAX_WINDOWS, Size, Window, WindowDocument, Windows};

use crate::device::event_time::ClockRule;
use crate::device::reading::Reading;
use crate::lake::dead_letter::Reason;
use crate::platform::text::trimmed;
use document::Format;
use std::collections::HashMap;
use std::time::Duration;

/// A compiled profile.
#[derive(Clone, Debug)]
pub struct Profile {
    id: String,
    clock: ClockRule,
    expected_interval: Option<Duration>,
    metrics: Vec<Metric>,
    names: HashMap<String, usize>,
    versions: Vec<decode::Version>,
}

/// The result of decoding a message.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decoded<'a> {
    /// The readings, in the message's order. They borrow their texts from the message and the profile.
    pub readings: Vec<Reading<&'a str>>,
    /// The values that were rejected, or the whole message.
    pub rejected: Vec<Rejection>,
    /// How many of the readings have the arrival's time because the device's cannot be true.
    pub clock_replaced: usize,
}

impl Decoded<'_> {
    /// No readings: the whole message is rejected.
    fn rejected(rejection: Rejection) -> Self {
        Self { rejected: vec![rejection], ..Self::default() }
    }
}

/// Why a value, several values or a whole message cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The reason, as dead letters have it.
    pub reason: Reason,
    /// The same in words, with the metric and the value's index. It may show numbers of the message, and never texts.
    pub detail: String,
    /// The index of the value in its message, as in the readings' ids. For several values, the index of the first.
    /// `None` for the whole message.
    pub index: Option<usize>,
    /// The metric, if a single value is rejected.
    pub metric: Option<String>,
}

impl Profile {
    /// Parses and compiles a document.
    ///
    /// # Errors
    /// Every problem of the document, with its field. If the document cannot be parsed, the one problem that stopped
    /// the parser.
    ///
    /// ```
    /// use myaku::device::profile::Profile;
    /// let problems = Profile::parse(br#"{"id": "lamp", "versions": []}"#).unwrap_err();
    /// assert_eq!(problems[0].to_string(), "versions: must list from 1 to 32 versions");
    /// ```
    pub fn parse(json: &[u8]) -> Result<Self, Vec<Problem>> {
        ProfileDocument::parse(json).map_err(|problem| vec![problem]).and_then(|document| Self::compile(&document))
    }

    /// Compiles a document.
    ///
    /// # Errors
    /// Every problem of the document, with its field.
    pub fn compile(document: &ProfileDocument) -> Result<Self, Vec<Problem>> {
        compile::profile(document)
    }

    /// The profile's name, which devices in the registry refer to.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether messages are only archived in the lake: no version reads anything from them.
    pub fn is_archive_only(&self) -> bool {
        self.versions.iter().all(|version| version.format == Format::Text)
    }

    /// The metrics, in ascending order of their names.
    pub fn metrics(&self) -> &[Metric] {
        &self.metrics
    }

    /// The metric of this name.
    pub fn metric(&self, name: &str) -> Option<&Metric> {
        self.names.get(name).map(|index| &self.metrics[*index])
    }

    /// The window of a metric's moving average, if it has one.
    pub fn window(&self, metric: &str) -> Option<&WindowSpec> {
        self.metric(metric)?.window.as_ref()
    }

    /// Says where a profile that is valid asks for more than it will get, with the field.
    pub fn advice(&self) -> Vec<Problem> {
        let advice = self.metrics.iter().filter_map(|metric| {
            let message = metric.window.as_ref()?.advice(metric.expected_interval)?;
            let field = format!("metrics.{}.window.allowedLatenessSeconds", metric.name);
            Some(Problem { field, message })
        });
        let counters = self.versions.iter().enumerate().filter_map(|(index, version)| {
            let message = version.advice_on_identity()?;
            Some(Problem { field: format!("versions[{index}].identity"), message })
        });
        advice.chain(counters).collect()
    }

    /// Which clock gives the readings their time, and within which bounds.
    pub const fn clock(&self) -> &ClockRule {
        &self.clock
    }

    /// The longest expected time between two messages of a device. [`Metric::expected_interval`] is for one metric.
    pub const fn expected_interval(&self) -> Option<Duration> {
        self.expected_interval
    }
}

impl ProfileDocument {
    /// Parses a document. What an editor may put around it, a byte order mark for example, is ignored.
    ///
    /// # Errors
    /// The problem that stopped the parser: an unknown or missing key, or a value of the wrong type.
    pub fn parse(json: &[u8]) -> Result<Self, Problem> {
        let mut parser = serde_json::Deserializer::from_slice(trimmed(json));
        let parsed = serde_path_to_error::deserialize(&mut parser);
        let document = parsed
            .map_err(|error| Problem { field: error.path().to_string(), message: error.into_inner().to_string() })?;
        parser.end().map_err(|error| Problem { field: ".".to_owned(), message: error.to_string() })?;
        Ok(document)
    }
}
