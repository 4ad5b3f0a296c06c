//! The documents of CloudWatch's API, in Smithy RPC v2 CBOR, which AWS's SDKs speak, and in JSON.
//!
//! The same structures serve both formats, and the template's properties, which have the same names.

use super::series::Statistics;
use ciborium::Value;
use ciborium::tag::Required;
use myaku::scaling::alarms::MetricId;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;

/// A time in seconds since the epoch. In CBOR it has the tag of a time.
pub(super) type Timestamp = Required<f64, 1>;

/// A time in milliseconds as a [`Timestamp`].
pub(super) fn timestamp(ms: i64) -> Timestamp {
    Required(ms as f64 / 1000.0)
}

/// A [`Timestamp`]'s seconds in milliseconds.
pub(super) fn milliseconds(seconds: f64) -> i64 {
    (seconds * 1000.0).round() as i64
}

/// A number, or a text with a number in it: templates have both.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Number {
        Number(f64),
        Text(String),
    }
    match Option::<Number>::deserialize(deserializer)? {
        None => Ok(None),
        Some(Number::Number(number)) => Ok(Some(number)),
        Some(Number::Text(text)) => text.trim().parse().map(Some).map_err(serde::de::Error::custom),
    }
}

/// A whole number, or a text with one in it.
fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let number = number(deserializer)?;
    match number {
        Some(number) if number.fract() != 0.0 || !(0.0..=f64::from(u32::MAX)).contains(&number) => {
            Err(serde::de::Error::custom(format!("{number} is not a whole number from 0 to {}", u32::MAX)))
        }
        number => Ok(number.map(|number| number as u32)),
    }
}

/// A name and a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Dimension {
    /// The name.
    pub name: String,
    /// The value.
    pub value: String,
}

/// A metric.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Metric {
    /// The namespace.
    pub namespace: String,
    /// The name.
    #[serde(rename = "MetricName")]
    pub name: String,
    /// What distinguishes it from other metrics of the same name.
    #[serde(default)]
    pub dimensions: Vec<Dimension>,
}

impl Metric {
    /// The id under which the metric is stored.
    pub fn id(&self) -> MetricId {
        let pairs = self.dimensions.iter().map(|it| (it.name.clone(), it.value.clone()));
        MetricId { namespace: self.namespace.clone(), name: self.name.clone(), dimensions: pairs.collect() }
    }

    /// The metric with this id.
    pub fn of(id: &MetricId) -> Self {
        let pairs = id.dimensions.iter();
        Self {
            namespace: id.namespace.clone(),
            name: id.name.clone(),
            dimensions: pairs.map(|(name, value)| Dimension { name: name.clone(), value: value.clone() }).collect(),
        }
    }
}

/// A statistic of a metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct MetricStat {
    /// The metric.
    pub metric: Metric,
    /// The period, in seconds.
    #[serde(deserialize_with = "whole")]
    pub period: Option<u32>,
    /// The statistic.
    pub stat: String,
}

/// One line of a query: a metric's statistic, or an expression over others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct MetricDataQuery {
    /// Its name in expressions.
    pub id: String,
    /// A metric's statistic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric_stat: Option<MetricStat>,
    /// An expression over other queries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expression: Option<String>,
    /// A name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Whether it is in the answer; yes by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_data: Option<bool>,
    /// The period, in seconds, of an expression that uses no other query.
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub period: Option<u32>,
}

/// An alarm in a request, and in a template.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Alarm {
    /// The name.
    pub alarm_name: String,
    /// A description for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alarm_description: Option<String>,
    /// Whether actions run; yes by default.
    pub actions_enabled: Option<bool>,
    /// The topics to notify of the state `OK`.
    #[serde(rename = "OKActions")]
    pub ok_actions: Vec<String>,
    /// The topics to notify of the state `ALARM`.
    pub alarm_actions: Vec<String>,
    /// The topics to notify of the state `INSUFFICIENT_DATA`.
    pub insufficient_data_actions: Vec<String>,
    /// The metric's name, for an alarm over one metric.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric_name: Option<String>,
    /// The metric's namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The metric's statistic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statistic: Option<String>,
    /// The metric's dimensions.
    pub dimensions: Vec<Dimension>,
    /// The metric's period, in seconds.
    #[serde(deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub period: Option<u32>,
    /// How many periods are evaluated.
    #[serde(deserialize_with = "whole")]
    pub evaluation_periods: Option<u32>,
    /// How many of them must breach; all by default.
    #[serde(deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub datapoints_to_alarm: Option<u32>,
    /// What the values are compared with.
    #[serde(deserialize_with = "number", skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// How they are compared.
    pub comparison_operator: String,
    /// How a period without data counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub treat_missing_data: Option<String>,
    /// The queries, for an alarm over metric math.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<MetricDataQuery>,
}

/// An alarm with its state, in the answer of `DescribeAlarms`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AlarmDescription {
    #[serde(flatten)]
    pub(super) alarm: Alarm,
    pub(super) alarm_arn: String,
    pub(super) alarm_configuration_updated_timestamp: Timestamp,
    pub(super) state_value: String,
    pub(super) state_reason: String,
    pub(super) state_updated_timestamp: Timestamp,
    pub(super) state_transitioned_timestamp: Timestamp,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutMetricData {
    pub(super) namespace: String,
    #[serde(default)]
    pub(super) metric_data: Vec<Datum>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Datum {
    metric_name: String,
    #[serde(default)]
    dimensions: Vec<Dimension>,
    timestamp: Option<f64>,
    value: Option<f64>,
    statistic_values: Option<StatisticSet>,
    #[serde(default)]
    values: Vec<f64>,
    #[serde(default)]
    counts: Vec<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StatisticSet {
    sample_count: f64,
    sum: f64,
    minimum: f64,
    maximum: f64,
}

impl Datum {
    /// The metric in `namespace`, the time if the datum has one, and the values; none if it has no value.
    pub(super) fn parts(self, namespace: &str) -> Option<(MetricId, Option<i64>, Statistics)> {
        let metric = Metric { namespace: namespace.to_owned(), name: self.metric_name, dimensions: self.dimensions };
        let counts = self.counts.iter().copied().chain(std::iter::repeat(1.0));
        let values = self.values.iter().zip(counts).map(|(value, count)| Statistics::repeated(*value, count));
        let set = self.statistic_values.map(|set| Statistics {
            count: set.sample_count,
            sum: set.sum,
            least: set.minimum,
            greatest: set.maximum,
        });
        let all = self.value.map(Statistics::of).into_iter().chain(set).chain(values);
        Some((metric.id(), self.timestamp.map(milliseconds), all.reduce(Statistics::and)?))
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetMetricData {
    pub(super) metric_data_queries: Vec<MetricDataQuery>,
    pub(super) start_time: f64,
    pub(super) end_time: f64,
    pub(super) scan_by: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct MetricData {
    pub(super) metric_data_results: Vec<MetricDataResult>,
    pub(super) messages: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct MetricDataResult {
    pub(super) id: String,
    pub(super) label: String,
    pub(super) timestamps: Vec<Timestamp>,
    pub(super) values: Vec<f64>,
    pub(super) status_code: &'static str,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct DescribeAlarms {
    pub(super) alarm_names: Vec<String>,
    pub(super) alarm_name_prefix: Option<String>,
    pub(super) state_value: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Alarms {
    pub(super) metric_alarms: Vec<AlarmDescription>,
    pub(super) composite_alarms: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteAlarms {
    pub(super) alarm_names: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SetAlarmState {
    pub(super) alarm_name: String,
    pub(super) state_value: String,
    pub(super) state_reason: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct ListMetrics {
    pub(super) namespace: Option<String>,
    pub(super) metric_name: Option<String>,
    pub(super) dimensions: Vec<DimensionFilter>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DimensionFilter {
    pub(super) name: String,
    pub(super) value: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Metrics {
    pub(super) metrics: Vec<Metric>,
}

/// An answer without fields.
#[derive(Debug, Serialize)]
pub(super) struct EmptyAnswer {}

/// The format of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Cbor,
    Json,
}

impl Format {
    pub(super) fn read<T: for<'de> Deserialize<'de>>(self, body: &[u8]) -> Result<T, String> {
        match self {
            Self::Cbor => ciborium::from_reader(body).map_err(|error| error.to_string()),
            Self::Json => serde_json::from_slice(body).map_err(|error| error.to_string()),
        }
    }

    pub(super) fn write(self, document: &Value) -> Result<Vec<u8>, String> {
        match self {
            Self::Cbor => {
                let mut bytes = Vec::new();
                ciborium::into_writer(document, &mut bytes).map_err(|error| error.to_string())?;
                Ok(bytes)
            }
            Self::Json => serde_json::to_vec(&json(document)).map_err(|error| error.to_string()),
        }
    }
}

/// A document as JSON, where a time is a number without a tag.
fn json(document: &Value) -> serde_json::Value {
    match document {
        Value::Tag(_, inner) => json(inner),
        Value::Array(items) => items.iter().map(json).collect(),
        Value::Map(entries) => {
            let entries: BTreeMap<_, _> =
                entries.iter().filter_map(|(key, value)| Some((key.as_text()?.to_owned(), json(value)))).collect();
            serde_json::json!(entries)
        }
        Value::Text(text) => text.as_str().into(),
        Value::Bool(truth) => (*truth).into(),
        Value::Float(number) => (*number).into(),
        Value::Integer(number) => i64::try_from(*number).map_or(serde_json::Value::Null, Into::into),
        _ => serde_json::Value::Null,
    }
}
