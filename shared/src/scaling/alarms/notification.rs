//! What an alarm tells when it changes its state, in all the forms in which that arrives.
//!
//! A notification comes through SNS, straight from CloudWatch, or from EventBridge; its alarm may be on one metric, on
//! metric math, or on other alarms; fields are missing or null as they please. So it is read leniently: what counts is
//! who sent it and which alarm it is about. Everything else is observed.

use super::AlarmState;
use serde_json::Value;

/// A change of an alarm's state, as it was told. It may be late, repeated or out of order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notification {
    /// The alarm's name.
    pub alarm: String,
    /// The state that it went to; none if that was not told.
    pub state: Option<AlarmState>,
    /// The account that the alarm is in.
    pub account: Option<String>,
    /// The stream that it is about; none for an alarm on other alarms.
    pub stream: Option<String>,
    /// Why, in CloudWatch's words.
    pub reason: Option<String>,
    /// The topic that it came through; none if it came straight.
    pub topic: Option<String>,
}

/// A notification that is not acted upon.
#[derive(Debug, thiserror::Error)]
pub enum NotificationError {
    /// It came through a topic that is not ours.
    #[error("the topic is {0}, which is not the one that alarms are told through")]
    Topic(String),
    /// It is about another account's alarm, or does not say which account's.
    #[error("the alarm is of account {}", .0.as_deref().unwrap_or("unknown"))]
    Account(Option<String>),
    /// The SNS message is no JSON.
    #[error("the message is no JSON")]
    Message(#[source] serde_json::Error),
    /// It names no alarm.
    #[error("it is no notification of an alarm")]
    NoAlarm,
}

/// Whom notifications are believed from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sender {
    /// The topic's ARN, for notifications through SNS.
    pub topic: Option<String>,
    /// The account of the alarms.
    pub account: Option<String>,
}

/// The notifications that `event` brings, each with its own verdict: a bad one takes none of the others with it. An event
/// of SNS may bring several; every other brings one.
///
/// ```
/// use myaku::scaling::alarms::{Sender, notifications};
/// let event = serde_json::json!({"AlarmName": "busy", "NewStateValue": "ALARM", "AlarmDescription": null});
/// let told = notifications(&event, &Sender::default()).remove(0)?;
/// assert_eq!(told.alarm, "busy");
/// # Ok::<(), myaku::scaling::alarms::NotificationError>(())
/// ```
pub fn notifications(event: &Value, sender: &Sender) -> Vec<Result<Notification, NotificationError>> {
    match event["Records"].as_array() {
        Some(records) => records.iter().map(|record| from_sns(&record["Sns"], sender)).collect(),
        None => vec![checked(event, None, sender)],
    }
}

fn from_sns(sns: &Value, sender: &Sender) -> Result<Notification, NotificationError> {
    let topic = text(&sns["TopicArn"]);
    if let Some(expected) = &sender.topic
        && topic.as_ref() != Some(expected)
    {
        return Err(NotificationError::Topic(topic.unwrap_or_else(|| "unknown".to_owned())));
    }
    match &sns["Message"] {
        Value::String(message) => {
            let message = serde_json::from_str(message).map_err(NotificationError::Message)?;
            checked(&message, topic, sender)
        }
        message => checked(message, topic, sender),
    }
}

fn checked(message: &Value, topic: Option<String>, sender: &Sender) -> Result<Notification, NotificationError> {
    let notification = read(message, topic).ok_or(NotificationError::NoAlarm)?;
    match &sender.account {
        Some(expected) if notification.account.as_ref() != Some(expected) => {
            Err(NotificationError::Account(notification.account))
        }
        _ => Ok(notification),
    }
}

fn read(message: &Value, topic: Option<String>) -> Option<Notification> {
    // Straight from CloudWatch, from EventBridge, through SNS.
    let data = [&message["alarmData"], &message["detail"]].into_iter().find(|data| data.is_object());
    let (alarm, state, reason, arn) = match data {
        Some(data) => {
            let state = &data["state"];
            let arn = text(&message["alarmArn"]).or_else(|| text(&message["resources"][0]));
            (text(&data["alarmName"]), text(&state["value"]), text(&state["reason"]), arn)
        }
        None => (
            text(&message["AlarmName"]),
            text(&message["NewStateValue"]),
            text(&message["NewStateReason"]),
            text(&message["AlarmArn"]),
        ),
    };
    let named = ["AWSAccountId", "accountId", "account"].iter().find_map(|field| text(&message[field]));
    Some(Notification {
        alarm: alarm?,
        state: state.as_deref().and_then(AlarmState::from_name),
        account: named.or_else(|| arn.as_deref().and_then(account_of)),
        stream: stream_in(message),
        reason,
        topic,
    })
}

/// A text that says something.
fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// `arn:aws:cloudwatch:region:account:alarm:name`
fn account_of(arn: &str) -> Option<String> {
    arn.split(':').nth(4).filter(|account| !account.is_empty()).map(str::to_owned)
}

/// The value of the first dimension `StreamName` anywhere in the message: as `{"name": …, "value": …}`, which SNS has, or
/// as a field, which the other forms have.
fn stream_in(value: &Value) -> Option<String> {
    const DIMENSION: &str = "StreamName";
    match value {
        Value::Array(values) => values.iter().find_map(stream_in),
        Value::Object(fields) => {
            let field = |name: &str| {
                fields.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).and_then(|(_, value)| text(value))
            };
            let listed = field("name").filter(|name| name == DIMENSION).and_then(|_| field("value"));
            listed.or_else(|| fields.get(DIMENSION).and_then(text)).or_else(|| fields.values().find_map(stream_in))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
