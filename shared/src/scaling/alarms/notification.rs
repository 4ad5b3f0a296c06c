//! Reads the notifications of alarms, in all forms in which they arrive.
//!
//! A notification comes through SNS, directly from CloudWatch, or from EventBridge. Its alarm may be on one metric, on
//! metric math, or on other alarms. Any field may be missing or null. So the reading is lenient: only the sender and
//! the alarm count. All other facts come from an observation of the stream.

use super::AlarmState;
use serde_json::Value;

/// The notification of a change of an alarm's state. It may be late, repeated or out of order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notification {
    /// The alarm's name.
    pub alarm: String,
    /// Its new state; `None` if the notification does not say it.
    pub state: Option<AlarmState>,
    /// The account of the alarm.
    pub account: Option<String>,
    /// The stream of its metrics; `None` for an alarm on other alarms.
    pub stream: Option<String>,
    /// The reason, in CloudWatch's words.
    pub reason: Option<String>,
    /// The topic that delivered it; `None` without SNS.
    pub topic: Option<String>,
}

/// Why a notification is ignored.
#[derive(Debug, thiserror::Error)]
pub enum NotificationError {
    /// It came through another topic than the one for alarms.
    #[error("the topic {0} is not the topic for alarms")]
    Topic(String),
    /// The alarm belongs to another account, or its account is unknown.
    #[error("the alarm belongs to account {}", .0.as_deref().unwrap_or("unknown"))]
    Account(Option<String>),
    /// The SNS message is not JSON.
    #[error("the message is not JSON")]
    Message(#[source] serde_json::Error),
    /// It does not name an alarm.
    #[error("the event is not a notification of an alarm")]
    NoAlarm,
}

/// The trusted sender of notifications. A field that is `None` is not checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sender {
    /// The topic's ARN, for notifications through SNS.
    pub topic: Option<String>,
    /// The account of the alarms.
    pub account: Option<String>,
}

/// The notifications in `event`, each with its own result, so that a bad one does not affect the others. An event of
/// SNS may have several; every other event has one.
///
/// ```
/// use myaku::scaling::alarms::{Sender, notifications};
/// let event = serde_json::json!({"AlarmName": "busy", "NewStateValue": "ALARM", "AlarmDescription": null});
/// let notification = notifications(&event, &Sender::default()).remove(0)?;
/// assert_eq!(notification.alarm, "busy");
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
    // `alarmData` comes directly from CloudWatch, `detail` from EventBridge; a message of SNS has neither.
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

/// A text that is not empty.
fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// `arn:aws:cloudwatch:region:account:alarm:name`
fn account_of(arn: &str) -> Option<String> {
    arn.split(':').nth(4).filter(|account| !account.is_empty()).map(str::to_owned)
}

/// The value of the first dimension `StreamName` anywhere in the message: as `{"name": …, "value": …}` (SNS), or as a
/// field (the other forms).
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
