//! Checks the reading of alarm notifications, and the metric math of alarms.

use crate::scaling::alarms::{
    Alarm, AlarmDefinition, Comparison, Expression, MetricId, MetricQuery, MetricStat, Metrics, MissingData, Query,
    Sender, Statistic, notifications,
};
use serde_json::{Value, json};

/// Uses the bytes as the event of a notification. It must mean the same through SNS as directly.
pub fn notification(bytes: &[u8]) {
    let Ok(event) = serde_json::from_slice::<Value>(bytes) else { return };
    let anybody = Sender::default();
    let direct = notifications(&event, &anybody);
    let count = event["Records"].as_array().map_or(1, Vec::len);
    assert_eq!(direct.len(), count, "the number of notifications is wrong");
    if !event.is_object() || event["Records"].is_array() {
        return;
    }
    let text = event.to_string();
    let through_sns =
        json!({"Records": [{"Sns": {"TopicArn": "arn:topic", "Message": text}}, {"Sns": {"Message": event}}]});
    let through_sns = notifications(&through_sns, &anybody);
    assert_eq!(through_sns.len(), 2);
    for other in through_sns {
        match (&direct[0], other) {
            (Ok(one), Ok(mut other)) => {
                other.topic = None;
                assert_eq!(*one, other);
            }
            (one, other) => assert!(one.is_err() && other.is_err(), "{one:?} directly, {other:?} through SNS"),
        }
    }
    let expected = Sender { account: Some("our account".to_owned()), topic: None };
    let notification = notifications(&event, &expected).remove(0);
    assert!(
        notification.is_err() || event.to_string().contains("our account"),
        "a notification from another account is accepted"
    );
}

/// Two metrics with missing values.
struct SparseMetrics;

impl Metrics for SparseMetrics {
    fn value(&self, stat: &MetricStat, start_ms: i64) -> Option<f64> {
        let period = start_ms / 60_000 + i64::from(stat.metric.name == "m2");
        [Some(0.0), None, Some(-1.5), Some(1e300), Some(7.0)][period.rem_euclid(5) as usize]
    }
}

/// Uses the bytes as an expression, and evaluates it over two metrics and another expression.
pub fn expression(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(expression) = text.parse::<Expression>() else { return };
    assert_eq!(expression.text(), text);
    assert!(expression.ids().iter().all(|id| text.contains(id)));
    let metric = |name: &str| {
        let metric = MetricId { name: name.to_owned(), ..MetricId::default() };
        Query::Metric(MetricStat { metric, period_s: 60, statistic: Statistic::Sum })
    };
    let Ok(sum) = "m1 + m2".parse() else { panic!("a sum is not parsed") };
    let queries =
        [("e", Query::Math(expression)), ("m1", metric("m1")), ("m2", metric("m2")), ("e1", Query::Math(sum))];
    let metrics =
        queries.map(|(id, query)| MetricQuery { id: id.to_owned(), label: None, query, return_data: id == "e" });
    let definition = AlarmDefinition {
        name: "alarm".to_owned(),
        description: String::new(),
        metrics: metrics.into(),
        evaluation_periods: 3,
        datapoints_to_alarm: 2,
        threshold: 1.0,
        comparison: Comparison::GreaterThanThreshold,
        missing_data: MissingData::Missing,
        alarm_actions: Vec::new(),
        ok_actions: Vec::new(),
        insufficient_data_actions: Vec::new(),
    };
    let Ok(alarm) = Alarm::new(definition, 0) else { return };
    let (mut one, mut other) = (alarm.clone(), alarm);
    assert_eq!(one.evaluate(&SparseMetrics, 600_000), other.evaluate(&SparseMetrics, 600_000));
    assert_eq!(one.state(), other.state());
}
