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
fn an_alarm_on_one_metric_and_one_on_metric_math_tell_their_stream() {
    let told = notifications(&sns(TOPIC, &[on_one_metric().to_string(), on_metric_math().to_string()]), &ours());
    let told: Vec<Notification> = told.into_iter().map(Result::unwrap).collect();
    assert_eq!(
        told[0],
        Notification {
            alarm: "busy".to_owned(),
            state: Some(AlarmState::Alarm),
            account: Some("123456789012".to_owned()),
            stream: Some("ingest".to_owned()),
            reason: Some("Threshold Crossed".to_owned()),
            topic: Some(TOPIC.to_owned()),
        }
    );
    assert_eq!((told[1].state, told[1].stream.as_deref()), (Some(AlarmState::Ok), Some("ingest")));
}

#[test]
fn an_alarm_on_other_alarms_tells_no_stream_and_its_account_by_its_arn() {
    let composite = json!({
        "AlarmName": "any", "AlarmRule": "ALARM(busy)", "NewStateValue": "ALARM",
        "AlarmArn": "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:any",
    });
    let told = notifications(&sns(TOPIC, &[composite.to_string()]), &ours()).remove(0).unwrap();
    assert_eq!((told.stream, told.account.as_deref()), (None, Some("123456789012")));
}

#[test]
fn what_comes_straight_from_cloudwatch_or_from_eventbridge_is_read_as_well() {
    let metrics = json!([{"id": "r", "metricStat": {"metric": {"dimensions": {"StreamName": "ingest"}}}}]);
    let data = json!({"alarmName": "busy", "state": {"value": "ALARM", "reason": "why"},
        "configuration": {"metrics": metrics}});
    let straight = json!({"source": "aws.cloudwatch", "accountId": "123456789012", "alarmData": data});
    let bridge = json!({"detail-type": "CloudWatch Alarm State Change", "account": "123456789012", "detail": data});
    for event in [straight, bridge] {
        let told = notifications(&event, &ours()).remove(0).unwrap();
        assert_eq!(
            (told.alarm.as_str(), told.state, told.stream.as_deref()),
            ("busy", Some(AlarmState::Alarm), Some("ingest"))
        );
    }
}

#[test]
fn fields_that_are_missing_null_or_of_another_type_are_no_reason_to_fail() {
    let bare = json!({"AlarmName": "busy", "NewStateValue": 7, "Trigger": null, "AlarmArn": null});
    let told = notifications(&bare, &Sender::default()).remove(0).unwrap();
    assert_eq!(told, Notification { alarm: "busy".to_owned(), ..Notification::default() });
}

#[test]
fn a_strangers_topic_and_a_strangers_alarm_are_refused_and_do_no_harm_to_the_others() {
    let stranger = json!({"AlarmName": "busy", "AWSAccountId": "999999999999", "NewStateValue": "ALARM"});
    let nobody = json!({"AlarmName": "busy", "NewStateValue": "ALARM"});
    let event = sns(TOPIC, &[stranger.to_string(), nobody.to_string(), on_one_metric().to_string()]);
    let told = notifications(&event, &ours());
    assert_eq!(told[0].as_ref().unwrap_err().to_string(), "the alarm is of account 999999999999");
    assert_eq!(told[1].as_ref().unwrap_err().to_string(), "the alarm is of account unknown");
    assert!(told[2].is_ok());
    let other = notifications(&sns("arn:aws:sns:eu-west-1:1:other", &[on_one_metric().to_string()]), &ours()).remove(0);
    assert!(matches!(other, Err(NotificationError::Topic(_))));
}

#[test]
fn what_is_no_notification_is_told_so() {
    for event in
        [json!({}), json!(null), json!([1]), json!({"detail": {"alarmName": ""}}), sns(TOPIC, &["{}".to_owned()])]
    {
        let told = notifications(&event, &Sender::default()).remove(0);
        assert!(matches!(told, Err(NotificationError::NoAlarm)), "{event}");
    }
    let told = notifications(&sns(TOPIC, &["no JSON".to_owned()]), &ours()).remove(0);
    assert!(matches!(told, Err(NotificationError::Message(_))));
}
