//! Alarms that change their state, on a clock whose minutes take ten milliseconds.

use super::*;
use myaku::platform::clock::{Now as _, ScaledClock};
use myaku::scaling::alarms::MetricId;
use serde_json::json;
use tokio::sync::mpsc::UnboundedReceiver;

const RATE: f64 = 6_000.0;
/// Minutes of the clock within which an alarm must act.
const PATIENCE: i64 = 1_000;

fn metric() -> MetricId {
    MetricId::with("AWS/Kinesis", "IncomingRecords", "StreamName", "ingest")
}

/// A metric whose value is 20 in every minute, for longer than a test takes and within the two days of retention.
fn monitoring() -> Monitoring {
    let monitoring = Monitoring::new(ScaledClock::from_now(RATE));
    let now_ms = monitoring.clock().now_ms();
    for minute in -5..5 * PATIENCE / 2 {
        monitoring.put(metric(), Some(now_ms + minute * MINUTE_MS), Statistics::of(20.0));
    }
    monitoring
}

fn alarm(threshold: f64) -> Alarm {
    serde_json::from_value(json!({
        "AlarmName": "busy", "Namespace": "AWS/Kinesis", "MetricName": "IncomingRecords", "Statistic": "Sum",
        "Dimensions": [{ "Name": "StreamName", "Value": "ingest" }], "Period": 60, "EvaluationPeriods": 2,
        "Threshold": threshold, "ComparisonOperator": "GreaterThanThreshold", "AlarmActions": ["topic"],
    }))
    .unwrap()
}

/// Evaluates the alarms for so many minutes, or until one acts.
async fn next_action(monitoring: &Monitoring, actions: &mut UnboundedReceiver<Action>, minutes: i64) -> Option<Action> {
    let until_ms = monitoring.clock().now_ms() + minutes * MINUTE_MS;
    while monitoring.clock().now_ms() < until_ms {
        monitoring.evaluate();
        if let Ok(action) = actions.try_recv() {
            return Some(action);
        }
        tokio::task::yield_now().await;
    }
    None
}

#[tokio::test]
async fn an_alarm_acts_once_for_each_transition() {
    let monitoring = monitoring();
    let mut actions = monitoring.actions().unwrap();
    monitoring.put_alarm(alarm(10.0)).unwrap();
    let action = next_action(&monitoring, &mut actions, PATIENCE).await.expect("the alarm acts");
    assert_eq!((action.topic_arn.as_str(), action.subject.split(':').next()), ("topic", Some("ALARM")));
    assert_eq!(next_action(&monitoring, &mut actions, 5).await, None);

    // "The update operation leaves the state": another threshold that is also crossed causes no action.
    monitoring.put_alarm(alarm(15.0)).unwrap();
    assert_eq!(next_action(&monitoring, &mut actions, 5).await, None);
    assert_eq!(monitoring.alarm_states()["busy"], "ALARM");

    // After its state is set back, it acts again.
    monitoring.set_state("busy", "INSUFFICIENT_DATA", "a test").unwrap();
    assert!(next_action(&monitoring, &mut actions, PATIENCE).await.is_some());
}

#[tokio::test]
async fn an_alarm_over_metrics_that_nothing_publishes_here_is_stored_and_never_acts() {
    let monitoring = monitoring();
    let mut actions = monitoring.actions().unwrap();
    let expression = r#"SELECT SUM(Failure) FROM SCHEMA("AWS/IoT", RuleName)"#;
    let alarm: Alarm = serde_json::from_value(json!({
        "AlarmName": "rule", "EvaluationPeriods": 1, "Threshold": 0, "ComparisonOperator": "GreaterThanThreshold",
        "AlarmActions": ["topic"], "Metrics": [{ "Id": "failures", "Expression": expression, "Period": 60 }],
    }))
    .unwrap();
    monitoring.put_alarm(alarm).unwrap();
    assert_eq!(next_action(&monitoring, &mut actions, 5).await, None);
    assert_eq!(monitoring.alarm_states()["rule"], "INSUFFICIENT_DATA");
}

#[test]
fn an_alarm_that_cannot_be_evaluated_is_refused_by_name() {
    let refused = |change: &dyn Fn(&mut Alarm)| {
        let mut alarm = alarm(1.0);
        change(&mut alarm);
        Monitoring::default().put_alarm(alarm).unwrap_err().to_string()
    };
    let percentile = refused(&|alarm| alarm.statistic = Some("p99".to_owned()));
    assert_eq!(percentile, "ValidationError: busy: the statistic \"p99\" does not run on this machine");
    assert!(refused(&|alarm| alarm.threshold = None).ends_with("busy: Threshold is missing"));
    assert!(refused(&|alarm| alarm.comparison_operator.clear()).contains("busy"));
}
