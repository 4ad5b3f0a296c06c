//! Notifications of alarms, and their metric math.

use crate::scaling::alarms::{
    Alarm, AlarmDefinition, Comparison, Expression, MetricId, MetricQuery, MetricStat, Metrics, MissingData, Query,
    Sender, Statistic, notifications,
};
use serde_json::{Value, json};

/// Bytes as the event of a notification: through SNS it says the same as straight.
pub fn notification(bytes: &[u8]) {
    let Ok(event) = serde_json::from_slice::<Value>(bytes) else { return };
    let anybody = Sender::default();
    let told = notifications(&event, &anybody);
    let count = event["Records"].as_array().map_or(1, Vec::len);
    assert_eq!(told.len(), count, "a notification takes another one with it");
    if !event.is_object() || event["Records"].is_array() {
        return;
    }
    let text = event.to_string();
    let through =
        json!({"Records": [{"Sns": {"TopicArn": "arn:topic", "Message": text}}, {"Sns": {"Message": event}}]});
    let through = notifications(&through, &anybody);
    assert_eq!(through.len(), 2);
    for other in through {
        match (&told[0], other) {
            (Ok(one), Ok(mut other)) => {
                other.topic = None;
                assert_eq!(*one, other);
            }
            (one, other) => assert!(one.is_err() && other.is_err(), "{one:?} straight, {other:?} through SNS"),
        }
    }
    let stranger = Sender { account: Some("none of ours".to_owned()), topic: None };
    let believed = notifications(&event, &stranger).remove(0);
    assert!(believed.is_err() || event.to_string().contains("none of ours"), "a stranger is believed");
}

/// Two metrics with holes in them.
struct Holes;

impl Metrics for Holes {
    fn value(&self, stat: &MetricStat, start_ms: i64) -> Option<f64> {
        let period = start_ms / 60_000 + i64::from(stat.metric.name == "m2");
        [Some(0.0), None, Some(-1.5), Some(1e300), Some(7.0)][period.rem_euclid(5) as usize]
    }
}

/// Bytes as an expression, evaluated over two metrics and another expression.
pub fn expression(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(expression) = text.parse::<Expression>() else { return };
    assert_eq!(expression.text(), text);
    assert!(expression.ids().iter().all(|id| text.contains(id)));
    let metric = |name: &str| {
        let metric = MetricId { name: name.to_owned(), ..MetricId::default() };
        Query::Metric(MetricStat { metric, period_s: 60, statistic: Statistic::Sum })
    };
    let Ok(sum) = "m1 + m2".parse() else { panic!("a sum is no expression") };
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
    assert_eq!(one.evaluate(&Holes, 600_000), other.evaluate(&Holes, 600_000));
    assert_eq!(one.state(), other.state());
}
