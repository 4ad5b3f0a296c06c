//! What an alarm is: which metrics it looks at, for how long, and when that is too much.

use super::math::{Expression, MathError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A definition that cannot be evaluated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AlarmError {
    /// An expression that does not parse, or is beyond what is evaluated here.
    #[error("metric {id} of alarm {alarm}")]
    Math {
        /// The alarm.
        alarm: String,
        /// The query's id.
        id: String,
        /// What is wrong with it.
        #[source]
        source: MathError,
    },
    /// Anything else.
    #[error("alarm {alarm}: {problem}")]
    Definition {
        /// The alarm.
        alarm: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// How values of a period become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Statistic {
    /// Their sum.
    Sum,
    /// Their mean.
    Average,
    /// The least.
    Minimum,
    /// The greatest.
    Maximum,
    /// How many there are.
    SampleCount,
}

impl Statistic {
    /// By the name that CloudWatch has for it.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Sum, Self::Average, Self::Minimum, Self::Maximum, Self::SampleCount]
            .into_iter()
            .find(|statistic| statistic.name() == name)
    }

    /// The name that CloudWatch has for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sum => "Sum",
            Self::Average => "Average",
            Self::Minimum => "Minimum",
            Self::Maximum => "Maximum",
            Self::SampleCount => "SampleCount",
        }
    }
}

/// Which metric it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MetricId {
    /// `AWS/Kinesis`.
    pub namespace: String,
    /// `IncomingRecords`.
    pub name: String,
    /// `StreamName` and its value: all dimensions, since a metric with others is another metric.
    pub dimensions: BTreeMap<String, String>,
}

impl MetricId {
    /// The metric `name` with one dimension.
    pub fn with(namespace: &str, name: &str, dimension: &str, value: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            dimensions: [(dimension.to_owned(), value.to_owned())].into(),
        }
    }
}

/// A metric's statistic over periods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricStat {
    /// The metric.
    pub metric: MetricId,
    /// The length of a period, in seconds.
    pub period_s: u32,
    /// The statistic.
    pub statistic: Statistic,
}

/// Where a query's values come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Query {
    /// A metric.
    Metric(MetricStat),
    /// Other queries of the alarm, by metric math.
    Math(Expression),
}

/// One of an alarm's queries.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricQuery {
    /// Its name in expressions.
    pub id: String,
    /// Its name for people.
    pub label: Option<String>,
    /// Where its values come from.
    pub query: Query,
    /// Whether it is the one that is compared with the threshold.
    pub return_data: bool,
}

/// How a value is compared with the threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Comparison {
    /// `>=`
    GreaterThanOrEqualToThreshold,
    /// `>`
    GreaterThanThreshold,
    /// `<`
    LessThanThreshold,
    /// `<=`
    LessThanOrEqualToThreshold,
}

impl Comparison {
    /// By the name that CloudWatch has for it.
    pub fn from_name(name: &str) -> Option<Self> {
        [
            Self::GreaterThanOrEqualToThreshold,
            Self::GreaterThanThreshold,
            Self::LessThanThreshold,
            Self::LessThanOrEqualToThreshold,
        ]
        .into_iter()
        .find(|comparison| comparison.name() == name)
    }

    /// The name that CloudWatch has for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::GreaterThanOrEqualToThreshold => "GreaterThanOrEqualToThreshold",
            Self::GreaterThanThreshold => "GreaterThanThreshold",
            Self::LessThanThreshold => "LessThanThreshold",
            Self::LessThanOrEqualToThreshold => "LessThanOrEqualToThreshold",
        }
    }

    /// Whether `value` is beyond `threshold`.
    pub fn breaches(self, value: f64, threshold: f64) -> bool {
        match self {
            Self::GreaterThanOrEqualToThreshold => value >= threshold,
            Self::GreaterThanThreshold => value > threshold,
            Self::LessThanThreshold => value < threshold,
            Self::LessThanOrEqualToThreshold => value <= threshold,
        }
    }
}

/// What a period without a data point counts as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MissingData {
    /// Beyond the threshold.
    Breaching,
    /// Within it.
    NotBreaching,
    /// As a reason to stay in the present state.
    Ignore,
    /// As nothing: with nothing but such periods the state is `INSUFFICIENT_DATA`.
    #[default]
    Missing,
}

impl MissingData {
    /// By the name that CloudWatch has for it.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Breaching, Self::NotBreaching, Self::Ignore, Self::Missing]
            .into_iter()
            .find(|missing| missing.name() == name)
    }

    /// The name that CloudWatch has for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Breaching => "breaching",
            Self::NotBreaching => "notBreaching",
            Self::Ignore => "ignore",
            Self::Missing => "missing",
        }
    }
}

/// An alarm on metrics, as PutMetricAlarm takes it.
#[derive(Clone, Debug, PartialEq)]
pub struct AlarmDefinition {
    /// Its name.
    pub name: String,
    /// Its description.
    pub description: String,
    /// What it looks at; exactly one of them returns data.
    pub metrics: Vec<MetricQuery>,
    /// How many of the newest periods are looked at.
    pub evaluation_periods: u32,
    /// How many of them must breach.
    pub datapoints_to_alarm: u32,
    /// The threshold.
    pub threshold: f64,
    /// How values are compared with it.
    pub comparison: Comparison,
    /// What missing data counts as.
    pub missing_data: MissingData,
    /// Whom it tells when it goes to `ALARM`.
    pub alarm_actions: Vec<String>,
    /// Whom it tells when it goes to `OK`.
    pub ok_actions: Vec<String>,
    /// Whom it tells when it goes to `INSUFFICIENT_DATA`.
    pub insufficient_data_actions: Vec<String>,
}

impl AlarmDefinition {
    /// The length of its periods in seconds: the longest of its metrics', which metric math demands to be the same.
    pub fn period_s(&self) -> u32 {
        let periods = self.metrics.iter().filter_map(|query| match &query.query {
            Query::Metric(stat) => Some(stat.period_s),
            Query::Math(_) => None,
        });
        periods.max().unwrap_or(60)
    }

    /// The definition, if it can be evaluated.
    pub fn checked(self) -> Result<Self, AlarmError> {
        let problem = self.problem();
        match problem {
            None => Ok(self),
            Some(problem) => Err(AlarmError::Definition { alarm: self.name, problem }),
        }
    }

    fn problem(&self) -> Option<String> {
        if self.metrics.iter().filter(|query| query.return_data).count() != 1 {
            return Some("exactly one of its metrics must return data".to_owned());
        }
        if self.evaluation_periods == 0 || !(1..=self.evaluation_periods).contains(&self.datapoints_to_alarm) {
            return Some("datapoints to alarm must be from 1 to the evaluation periods".to_owned());
        }
        let period_s = self.period_s();
        for (index, query) in self.metrics.iter().enumerate() {
            if self.metrics[..index].iter().any(|other| other.id == query.id) {
                return Some(format!("two of its metrics have the id {}", query.id));
            }
            match &query.query {
                Query::Metric(stat) if stat.period_s != period_s || stat.period_s == 0 => {
                    return Some("its metrics must have the same period".to_owned());
                }
                Query::Math(expression) => {
                    let unknown =
                        |id: &&str| !self.metrics.iter().any(|other| other.id == **id && other.id != query.id);
                    if let Some(id) = expression.ids().into_iter().find(unknown) {
                        return Some(format!("{} refers to {id}, which is no other metric of the alarm", query.id));
                    }
                }
                Query::Metric(_) => {}
            }
        }
        None
    }
}
