//! What incidents are about, and how urgent they are.

use serde::{Deserialize, Serialize};

/// What an incident is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A device was not heard for longer than its profile expects.
    DeviceSilent,
    /// A value or a mean is above or below a limit.
    Threshold,
    /// A value changes too fast.
    Change,
    /// A value does not change any more.
    Flat,
    /// Readings are missing between two others.
    Gap,
    /// A value moves away from what it was over a long time.
    Drift,
    /// A device is in a state for too long.
    State,
    /// Something occurs too often.
    Count,
    /// A device is where it must not be, or not where it must be.
    Zone,
    /// A value will reach a limit soon.
    Forecast,
    /// A value is unusual, by the readings before it.
    Score,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 11] = [
        Self::DeviceSilent,
        Self::Threshold,
        Self::Change,
        Self::Flat,
        Self::Gap,
        Self::Drift,
        Self::State,
        Self::Count,
        Self::Zone,
        Self::Forecast,
        Self::Score,
    ];

    /// The name in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DeviceSilent => "device-silent",
            Self::Threshold => "threshold",
            Self::Change => "change",
            Self::Flat => "flat",
            Self::Gap => "gap",
            Self::Drift => "drift",
            Self::State => "state",
            Self::Count => "count",
            Self::Zone => "zone",
            Self::Forecast => "forecast",
            Self::Score => "score",
        }
    }

    /// The kind of a name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// How urgent an incident is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Someone should know of it.
    Info,
    /// Someone should look at it soon.
    #[default]
    Warning,
    /// Someone must act at once.
    Critical,
}

impl Severity {
    /// The name in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }

    /// The severity of a name.
    pub fn of(name: &str) -> Option<Self> {
        [Self::Info, Self::Warning, Self::Critical].into_iter().find(|severity| severity.name() == name)
    }
}
