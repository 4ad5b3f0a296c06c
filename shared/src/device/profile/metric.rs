//! Holds the compiled metrics of a profile.

use super::document::{Kind, RangeDocument};
use crate::device::profile::{Alerts, WindowSpec, Windows};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// A compiled metric: what its values mean.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// The metric's name: `heart_rate`.
    pub name: String,
    /// The kind of its values.
    pub kind: Kind,
    /// The unit of its numbers; empty if there is none.
    pub unit: String,
    /// The range of valid numbers.
    pub range: Option<RangeDocument>,
    /// The window of its moving average.
    pub window: Option<WindowSpec>,
    /// Settings for functions of your own, by the function's name.
    pub functions: BTreeMap<String, Value>,
    /// The windows that its readings are aggregated into.
    pub windows: Option<Windows>,
    /// The rules that raise alerts.
    pub alerts: Option<Alerts>,
    /// The longest expected time between two readings: its own or the profile's.
    pub expected_interval: Option<Duration>,
}
