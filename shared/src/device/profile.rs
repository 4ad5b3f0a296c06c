//! Device profiles: formats and their versions, calibration, units, ranges, and which clock to trust.
//!
//! A profile is written as a [`ProfileDocument`], checked and compiled once into a [`Profile`], and then decodes
//! messages without looking at the document again.

mod binary;
mod calibration;
mod compile;
mod decode;
pub mod document;
mod field;
mod identity;
mod metric;
mod path;
mod problem;
mod source;
mod tree;
mod unit;
mod value;
mod window;

#[cfg(test)]
mod tests;

pub use decode::MAX_VALUES;
pub use document::ProfileDocument;
pub use metric::Metric;
pub use problem::Problem;
pub use window::{MAX_READINGS, WindowSpec};

use crate::device::event_time::ClockRule;
use crate::device::reading::Reading;
use crate::lake::dead_letter::Reason;
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

/// What a message gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decoded<'a> {
    /// Its readings, in the message's order. Their texts are the message's and the profile's.
    pub readings: Vec<Reading<&'a str>>,
    /// What is wrong with it, or with some of its values.
    pub rejected: Vec<Rejected>,
}

impl Decoded<'_> {
    fn nothing(rejected: Rejected) -> Self {
        Self { readings: Vec::new(), rejected: vec![rejected] }
    }
}

/// A value, some values, or a whole message that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Why.
    pub reason: Reason,
    /// The same in words, with the metric and the value's index. It shows numbers, and never a text of the message.
    pub detail: String,
    /// The index of the value in its message, as in the readings' ids, or that of the first of several. `None` for
    /// the whole message.
    pub index: Option<usize>,
    /// The metric, if it is one value.
    pub metric: Option<String>,
}

impl Profile {
    /// Parses and compiles a document.
    ///
    /// # Errors
    /// All that is wrong with it, by field; where it is no document at all, the one place that the parser stumbled on.
    ///
    /// ```
    /// use myaku::device::profile::Profile;
    /// let problems = Profile::parse(br#"{"id": "lamp", "versions": []}"#).unwrap_err();
    /// assert_eq!(problems[0].to_string(), "versions: there must be from 1 to 32");
    /// ```
    pub fn parse(json: &[u8]) -> Result<Self, Vec<Problem>> {
        ProfileDocument::parse(json).map_err(|problem| vec![problem]).and_then(|document| Self::compile(&document))
    }

    /// Compiles a document.
    ///
    /// # Errors
    /// All that is wrong with it, by field.
    pub fn compile(document: &ProfileDocument) -> Result<Self, Vec<Problem>> {
        compile::profile(document)
    }

    /// Its name, which devices of the registry refer to.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether the lake is all that its messages want: nothing is ever read from them.
    pub fn is_archive_only(&self) -> bool {
        self.versions.iter().all(|version| version.format == Format::Text)
    }

    /// Its metrics, by name ascending.
    pub fn metrics(&self) -> &[Metric] {
        &self.metrics
    }

    /// A metric by name.
    pub fn metric(&self, name: &str) -> Option<&Metric> {
        self.names.get(name).map(|index| &self.metrics[*index])
    }

    /// The window of a metric's moving average, if it wants one.
    pub fn window(&self, metric: &str) -> Option<&WindowSpec> {
        self.metric(metric)?.window.as_ref()
    }

    /// Which clock its devices' messages are placed by, and how far it is trusted.
    pub const fn clock(&self) -> &ClockRule {
        &self.clock
    }

    /// How often such a device is heard. [`Metric::expected_interval`] has it for a metric.
    pub const fn expected_interval(&self) -> Option<Duration> {
        self.expected_interval
    }
}

impl ProfileDocument {
    /// Parses a document.
    ///
    /// # Errors
    /// The place that the parser stumbled on: a key that is not known or is missing, a value of another type.
    pub fn parse(json: &[u8]) -> Result<Self, Problem> {
        let mut parser = serde_json::Deserializer::from_slice(json);
        let parsed = serde_path_to_error::deserialize(&mut parser);
        let document = parsed
            .map_err(|error| Problem { field: error.path().to_string(), message: error.into_inner().to_string() })?;
        parser.end().map_err(|error| Problem { field: ".".to_owned(), message: error.to_string() })?;
        Ok(document)
    }
}
