//! The definition of an alarm: its metrics, its periods and its threshold.

use super::math::{Expression, MathError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A definition that cannot be evaluated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AlarmError {
    /// An expression that does not parse, or that is not supported here.
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
    /// Any other problem.
    #[error("alarm {alarm}: {problem}")]
    Definition {
        /// The alarm.
        alarm: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// How the values of a period are reduced to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Statistic {
    /// Their sum.
    Sum,
    /// Their mean.
    Average,
    /// The least of them.
    Minimum,
    /// The greatest of them.
    Maximum,
    /// Their number.
    SampleCount,
}

impl Statistic {
    /// From its name in CloudWatch.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Sum, Self::Average, Self::Minimum, Self::Maximum, Self::SampleCount]
            .into_iter()
            .find(|statistic| statistic.name() == name)
    }

    /// Its name in CloudWatch.
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

/// The identity of a metric.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MetricId {
    /// For example `AWS/Kinesis`.
    pub namespace: String,
    /// For example `IncomingRecords`.
    pub name: String,
    /// All dimensions, for example `StreamName` and its value. A metric with other dimensions is another metric.
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
    /// Other queries of the alarm, combined by metric math.
    Math(Expression),
}

/// One of an alarm's queries.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricQuery {
    /// Its name in expressions.
    pub id: String,
    /// Its name on graphs.
    pub label: Option<String>,
    /// Where its values come from.
    pub query: Query,
    /// Whether its value is compared with the threshold.
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
    /// From its name in CloudWatch.
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

    /// Its name in CloudWatch.
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
    /// As a reason to keep the present state.
    Ignore,
    /// As unknown: if all periods are missing, the state is `INSUFFICIENT_DATA`.
    #[default]
    Missing,
}

impl MissingData {
    /// From its name in CloudWatch.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Breaching, Self::NotBreaching, Self::Ignore, Self::Missing]
            .into_iter()
            .find(|missing| missing.name() == name)
    }

    /// Its name in CloudWatch.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Breaching => "breaching",
            Self::NotBreaching => "notBreaching",
            Self::Ignore => "ignore",
            Self::Missing => "missing",
        }
    }
}

/// An alarm on metrics, as PutMetricAlarm accepts it.
#[derive(Clone, Debug, PartialEq)]
pub struct AlarmDefinition {
    /// Its name.
    pub name: String,
    /// Its description.
    pub description: String,
    /// Its queries, exactly one of which returns data.
    pub metrics: Vec<MetricQuery>,
    /// How many of the newest periods are evaluated.
    pub evaluation_periods: u32,
    /// How many of them must breach.
    pub datapoints_to_alarm: u32,
    /// The threshold.
    pub threshold: f64,
    /// How values are compared with it.
    pub comparison: Comparison,
    /// What missing data counts as.
    pub missing_data: MissingData,
    /// The targets that it notifies when its state becomes `ALARM`.
    pub alarm_actions: Vec<String>,
    /// The targets that it notifies when its state becomes `OK`.
    pub ok_actions: Vec<String>,
    /// The targets that it notifies when its state becomes `INSUFFICIENT_DATA`.
    pub insufficient_data_actions: Vec<String>,
}

impl AlarmDefinition {
    /// The length of its periods, in seconds: the longest of its metrics' periods. [`checked`](Self::checked) demands
    /// that all are the same.
    pub fn period_s(&self) -> u32 {
        let periods = self.metrics.iter().filter_map(|query| match &query.query {
            Query::Metric(stat) => Some(stat.period_s),
            Query::Math(_) => None,
        });
        periods.max().unwrap_or(60)
    }

    /// The definition if it can be evaluated; otherwise the problem.
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
                        return Some(format!("{} refers to {id}, which is not another metric of the alarm", query.id));
                    }
                }
                Query::Metric(_) => {}
            }
        }
        None
    }
}
