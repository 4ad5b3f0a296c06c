//! A metric, checked.

use super::document::{Kind, RangeDocument};
use crate::device::profile::WindowSpec;
use std::time::Duration;

/// What a metric's values are.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// Its name: `heart_rate`.
    pub name: String,
    /// The kind of its values.
    pub kind: Kind,
    /// The unit of its numbers; empty where there is none.
    pub unit: String,
    /// Between what its numbers are believed.
    pub range: Option<RangeDocument>,
    /// The window of its moving average.
    pub window: Option<WindowSpec>,
    /// How often it is heard.
    pub expected_interval: Option<Duration>,
}
