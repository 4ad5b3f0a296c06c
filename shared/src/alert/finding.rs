//! What a rule finds out about a device.

use super::kind::{Kind, Severity};

/// What a rule finds out about a device: something begins or ends. A device has at most one open incident of a rule.
#[derive(Clone, Debug, PartialEq)]
pub enum Finding {
    /// Something is wrong.
    Begins(Begin),
    /// It is not wrong any more, whatever incident of the rule is open.
    Ends(Ends),
}

/// The beginning of an incident.
#[derive(Clone, Debug, PartialEq)]
pub struct Begin {
    /// The name of the rule. It has no `#`.
    pub rule: String,
    /// What the rule is about.
    pub kind: Kind,
    /// How urgent it is.
    pub severity: Severity,
    /// The metric that the rule looks at.
    pub metric: String,
    /// When it began, in milliseconds since the epoch. It follows from the readings alone.
    pub since_ms: i64,
    /// The value that it is raised for, if that is a number.
    pub value: Option<f64>,
    /// The limit that the value is judged by, if that is a number.
    pub limit: Option<f64>,
    /// What is wrong, in words.
    pub detail: String,
}

/// The end of an incident.
#[derive(Clone, Debug, PartialEq)]
pub struct Ends {
    /// The name of the rule.
    pub rule: String,
    /// The metric that the rule looks at.
    pub metric: String,
    /// The time of the reading that shows it, in milliseconds since the epoch.
    pub at_ms: i64,
    /// The same in words.
    pub detail: String,
}

impl Finding {
    /// The rule.
    pub fn rule(&self) -> &str {
        match self {
            Self::Begins(Begin { rule, .. }) | Self::Ends(Ends { rule, .. }) => rule,
        }
    }

    /// The metric.
    pub fn metric(&self) -> &str {
        match self {
            Self::Begins(Begin { metric, .. }) | Self::Ends(Ends { metric, .. }) => metric,
        }
    }

    /// What is wrong, or that it is over, in words.
    pub fn detail(&self) -> &str {
        match self {
            Self::Begins(Begin { detail, .. }) | Self::Ends(Ends { detail, .. }) => detail,
        }
    }
}
