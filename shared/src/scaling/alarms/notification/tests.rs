use super::*;
use serde_json::json;

const TOPIC: &str = "arn:aws:sns:eu-west-1:123456789012:reshard";

fn ours() -> Sender {
    Sender { topic: Some(TOPIC.to_owned()), account: Some("123456789012".to_owned()) }
}

fn sns(topic: &str, messages: &[String]) -> Value {
    let record = |message| json!({"EventSource": "aws:sns", "Sns": {"TopicArn": topic, "Message": message}});
    json!({"Records": messages.iter().map(record).collect::<Vec<_>>()})
}

fn on_one_metric() -> Value {
    json!({
        "AlarmName": "busy", "AlarmDescription": null, "AWSAccountId": "123456789012",
        "NewStateValue": "ALARM", "NewStateReason": "Threshold Crossed", "OldStateValue": "OK",
        "AlarmArn": "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:busy",
        "Trigger": {"MetricName": "IncomingRecords", "Period": null,
            "Dimensions": [{"value": "ingest", "name": "StreamName"}]},
    })
}

fn on_metric_math() -> Value {
    json!({
        "AlarmName": "busy", "AWSAccountId": "123456789012", "NewStateValue": "OK",
        "Trigger": {"Metrics": [
            {"Id": "load", "Expression": "MAX([r, b])", "ReturnData": true},
            {"Id": "r", "MetricStat": {"Metric": {"Dimensions": [{"value": "ingest", "name": "StreamName"}]}}},
        ]},
    })
}

#[test]
fn alarms_on_one_metric_and_on_metric_math_name_their_stream() {
    let results = notifications(&sns(TOPIC, &[on_one_metric().to_string(), on_metric_math().to_string()]), &ours());
    let read: Vec<Notification> = results.into_iter().map(Result::unwrap).collect();
    assert_eq!(
        read[0],
        Notification {
            alarm: "busy".to_owned(),
            state: Some(AlarmState::Alarm),
            account: Some("123456789012".to_owned()),
            stream: Some("ingest".to_owned()),
            reason: Some("Threshold Crossed".to_owned()),
            topic: Some(TOPIC.to_owned()),
        }
    );
    assert_eq!((read[1].state, read[1].stream.as_deref()), (Some(AlarmState::Ok), Some("ingest")));
}

#[test]
fn an_alarm_on_other_alarms_has_no_stream_and_its_arn_names_the_account() {
    let composite = json!({
        "AlarmName": "any", "AlarmRule": "ALARM(busy)", "NewStateValue": "ALARM",
        "AlarmArn": "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:any",
    });
    let notification = notifications(&sns(TOPIC, &[composite.to_string()]), &ours()).remove(0).unwrap();
    assert_eq!((notification.stream, notification.account.as_deref()), (None, Some("123456789012")));
}

#[test]
fn notifications_directly_from_cloudwatch_and_from_eventbridge_are_read_as_well() {
    let metrics = json!([{"id": "r", "metricStat": {"metric": {"dimensions": {"StreamName": "ingest"}}}}]);
    let data = json!({"alarmName": "busy", "state": {"value": "ALARM", "reason": "why"},
        "configuration": {"metrics": metrics}});
    let direct = json!({"source": "aws.cloudwatch", "accountId": "123456789012", "alarmData": data});
    let bridge = json!({"detail-type": "CloudWatch Alarm State Change", "account": "123456789012", "detail": data});
    for event in [direct, bridge] {
        let notification = notifications(&event, &ours()).remove(0).unwrap();
        assert_eq!(
            (notification.alarm.as_str(), notification.state, notification.stream.as_deref()),
            ("busy", Some(AlarmState::Alarm), Some("ingest"))
        );
    }
}

#[test]
fn fields_that_are_missing_null_or_of_another_type_do_not_fail_the_notification() {
    let bare = json!({"AlarmName": "busy", "NewStateValue": 7, "Trigger": null, "AlarmArn": null});
    let notification = notifications(&bare, &Sender::default()).remove(0).unwrap();
    assert_eq!(notification, Notification { alarm: "busy".to_owned(), ..Notification::default() });
}

#[test]
fn another_topic_or_another_account_is_refused_and_the_other_notifications_are_read() {
    let foreign = json!({"AlarmName": "busy", "AWSAccountId": "999999999999", "NewStateValue": "ALARM"});
    let anonymous = json!({"AlarmName": "busy", "NewStateValue": "ALARM"});
    let event = sns(TOPIC, &[foreign.to_string(), anonymous.to_string(), on_one_metric().to_string()]);
    let results = notifications(&event, &ours());
    assert_eq!(results[0].as_ref().unwrap_err().to_string(), "the alarm belongs to account 999999999999");
    assert_eq!(results[1].as_ref().unwrap_err().to_string(), "the alarm belongs to account unknown");
    assert!(results[2].is_ok());
    let other = notifications(&sns("arn:aws:sns:eu-west-1:1:other", &[on_one_metric().to_string()]), &ours()).remove(0);
    assert!(matches!(other, Err(NotificationError::Topic(_))));
}

#[test]
fn an_event_that_is_not_a_notification_is_an_error() {
    for event in
        [json!({}), json!(null), json!([1]), json!({"detail": {"alarmName": ""}}), sns(TOPIC, &["{}".to_owned()])]
    {
        let result = notifications(&event, &Sender::default()).remove(0);
        assert!(matches!(result, Err(NotificationError::NoAlarm)), "{event}");
    }
    let result = notifications(&sns(TOPIC, &["not JSON".to_owned()]), &ours()).remove(0);
    assert!(matches!(result, Err(NotificationError::Message(_))));
}
