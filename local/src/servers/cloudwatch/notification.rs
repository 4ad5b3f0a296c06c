//! An alarm's notifications to its topics, in the form that CloudWatch documents.

use super::wire::{Alarm, Dimension};
use crate::account::{ACCOUNT, REGION};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

/// The region's name in notifications.
const REGION_NAME: &str = "US East (N. Virginia)";

/// An action of an alarm: a notification to a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// The topic's ARN.
    pub topic_arn: String,
    /// The notification's subject.
    pub subject: String,
    /// The notification: JSON.
    pub message: String,
}

/// A change of state.
#[derive(Debug)]
pub(super) struct Change<'a> {
    pub(super) from: &'a str,
    pub(super) to: &'a str,
    pub(super) reason: &'a str,
    pub(super) at_ms: i64,
    pub(super) configured_at_ms: i64,
}

/// The ARN of an alarm.
pub(super) fn alarm_arn(name: &str) -> String {
    format!("arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{name}")
}

/// The actions of a change.
pub(super) fn actions(alarm: &Alarm, change: &Change<'_>) -> Vec<Action> {
    let topics = match change.to {
        "ALARM" => &alarm.alarm_actions,
        "OK" => &alarm.ok_actions,
        _ => &alarm.insufficient_data_actions,
    };
    if topics.is_empty() || alarm.actions_enabled == Some(false) {
        return Vec::new();
    }
    let subject = format!("{}: \"{}\" in {REGION_NAME}", change.to, alarm.alarm_name);
    let message = message(alarm, change).to_string();
    let action =
        |topic: &String| Action { topic_arn: topic.clone(), subject: subject.clone(), message: message.clone() };
    topics.iter().map(action).collect()
}

fn message(alarm: &Alarm, change: &Change<'_>) -> Value {
    json!({
        "AlarmName": alarm.alarm_name,
        "AlarmDescription": alarm.alarm_description,
        "AWSAccountId": ACCOUNT,
        "AlarmConfigurationUpdatedTimestamp": time(change.configured_at_ms),
        "NewStateValue": change.to,
        "NewStateReason": change.reason,
        "StateChangeTime": time(change.at_ms),
        "Region": REGION_NAME,
        "AlarmArn": alarm_arn(&alarm.alarm_name),
        "OldStateValue": change.from,
        "OKActions": alarm.ok_actions,
        "AlarmActions": alarm.alarm_actions,
        "InsufficientDataActions": alarm.insufficient_data_actions,
        "Trigger": trigger(alarm),
    })
}

fn trigger(alarm: &Alarm) -> Value {
    let mut trigger = json!({
        "EvaluationPeriods": alarm.evaluation_periods,
        "DatapointsToAlarm": alarm.datapoints_to_alarm.or(alarm.evaluation_periods),
        "ComparisonOperator": alarm.comparison_operator,
        "Threshold": alarm.threshold,
        "TreatMissingData": alarm.treat_missing_data.as_deref().unwrap_or("missing"),
        "EvaluateLowSampleCountPercentile": "",
    });
    if alarm.metrics.is_empty() {
        trigger["Period"] = json!(alarm.period);
        trigger["MetricName"] = json!(alarm.metric_name);
        trigger["Namespace"] = json!(alarm.namespace);
        trigger["StatisticType"] = "Statistic".into();
        trigger["Statistic"] = json!(alarm.statistic.as_deref().map(str::to_uppercase));
        trigger["Unit"] = Value::Null;
        trigger["Dimensions"] = dimensions(&alarm.dimensions);
        return trigger;
    }
    let periods =
        alarm.metrics.iter().filter_map(|query| query.metric_stat.as_ref().map_or(query.period, |it| it.period));
    trigger["Period"] = json!(periods.max());
    let queries = alarm.metrics.iter().map(|query| {
        let mut shown = json!({ "Id": query.id, "ReturnData": query.return_data.unwrap_or(true) });
        if let Some(label) = &query.label {
            shown["Label"] = json!(label);
        }
        if let Some(expression) = &query.expression {
            shown["Expression"] = json!(expression);
        }
        if let Some(stat) = &query.metric_stat {
            shown["MetricStat"] = json!({
                "Metric": {
                    "Dimensions": dimensions(&stat.metric.dimensions),
                    "MetricName": stat.metric.name,
                    "Namespace": stat.metric.namespace,
                },
                "Period": stat.period,
                "Stat": stat.stat,
            });
        }
        shown
    });
    trigger["Metrics"] = queries.collect();
    trigger
}

/// Dimensions, whose field names are in lower case in notifications.
fn dimensions(dimensions: &[Dimension]) -> Value {
    dimensions.iter().map(|it| json!({ "value": it.value, "name": it.name })).collect()
}

/// `2026-11-21T00:35:00.000+0000`.
fn time(ms: i64) -> String {
    let time = Timestamp::from_millisecond(ms).unwrap_or_default().to_zoned(TimeZone::UTC);
    time.strftime("%Y-%m-%dT%H:%M:%S%.3f+0000").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alarm(json: Value) -> Alarm {
        serde_json::from_value(json).unwrap()
    }

    const CHANGE: Change<'static> =
        Change { from: "OK", to: "ALARM", reason: "because", at_ms: 1_795_218_892_020, configured_at_ms: 0 };

    #[test]
    fn a_change_notifies_the_topics_of_its_state_in_the_documented_form() {
        let alarm = alarm(json!({
            "AlarmName": "busy", "Namespace": "AWS/Kinesis", "MetricName": "IncomingRecords", "Statistic": "Sum",
            "Dimensions": [{ "Name": "StreamName", "Value": "ingest" }], "Period": "60", "EvaluationPeriods": 5,
            "Threshold": "48000", "ComparisonOperator": "GreaterThanThreshold",
            "AlarmActions": ["arn:aws:sns:us-east-1:000000000000:reshard"], "OKActions": ["other"],
        }));
        let actions = actions(&alarm, &CHANGE);
        assert_eq!(actions.len(), 1);
        assert_eq!(actions[0].topic_arn, "arn:aws:sns:us-east-1:000000000000:reshard");
        assert_eq!(actions[0].subject, r#"ALARM: "busy" in US East (N. Virginia)"#);
        insta::assert_snapshot!(actions[0].message, @r#"{"AWSAccountId":"000000000000","AlarmActions":["arn:aws:sns:us-east-1:000000000000:reshard"],"AlarmArn":"arn:aws:cloudwatch:us-east-1:000000000000:alarm:busy","AlarmConfigurationUpdatedTimestamp":"1970-01-01T00:00:00.000+0000","AlarmDescription":null,"AlarmName":"busy","InsufficientDataActions":[],"NewStateReason":"because","NewStateValue":"ALARM","OKActions":["other"],"OldStateValue":"OK","Region":"US East (N. Virginia)","StateChangeTime":"2026-11-20T23:54:52.020+0000","Trigger":{"ComparisonOperator":"GreaterThanThreshold","DatapointsToAlarm":5,"Dimensions":[{"name":"StreamName","value":"ingest"}],"EvaluateLowSampleCountPercentile":"","EvaluationPeriods":5,"MetricName":"IncomingRecords","Namespace":"AWS/Kinesis","Period":60,"Statistic":"SUM","StatisticType":"Statistic","Threshold":48000.0,"TreatMissingData":"missing","Unit":null}}"#);
    }

    #[test]
    fn the_notification_of_an_alarm_over_metric_math_has_its_queries() {
        let alarm = alarm(json!({
            "AlarmName": "load", "EvaluationPeriods": 1, "Threshold": 1, "ComparisonOperator": "GreaterThanThreshold",
            "AlarmActions": ["t"],
            "Metrics": [
                { "Id": "e", "Expression": "m / 2", "Label": "half" },
                { "Id": "m", "ReturnData": false, "MetricStat": { "Stat": "Sum", "Period": 60,
                  "Metric": { "Namespace": "N", "MetricName": "M", "Dimensions": [] } } },
            ],
        }));
        let message: Value = serde_json::from_str(&actions(&alarm, &CHANGE)[0].message).unwrap();
        assert_eq!(message["Trigger"]["Period"], 60);
        insta::assert_snapshot!(message["Trigger"]["Metrics"], @r#"[{"Expression":"m / 2","Id":"e","Label":"half","ReturnData":true},{"Id":"m","MetricStat":{"Metric":{"Dimensions":[],"MetricName":"M","Namespace":"N"},"Period":60,"Stat":"Sum"},"ReturnData":false}]"#);
    }

    #[test]
    fn an_alarm_whose_actions_are_disabled_notifies_nobody() {
        let mut disabled = alarm(json!({ "AlarmName": "a", "AlarmActions": ["t"], "ActionsEnabled": false }));
        assert_eq!(actions(&disabled, &CHANGE), []);
        disabled.actions_enabled = None;
        assert_eq!(actions(&disabled, &CHANGE).len(), 1);
        assert_eq!(actions(&disabled, &Change { to: "OK", ..CHANGE }), []);
    }
}
