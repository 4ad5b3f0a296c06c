//! A message in the forms that subscribers get.

use super::publication::Publication;
use super::subscription::Subscription;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};
use std::fmt;
use uuid::Uuid;

/// Stands in place of SNS's signature.
const NO_SIGNATURE: &str = "not-signed-on-this-machine";

/// The id of a message, the same for all of its subscribers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MessageId(pub Uuid);

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A message of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// The id.
    pub id: MessageId,
    /// The topic.
    pub topic_arn: String,
    /// When it was published, in milliseconds since the epoch.
    pub published_at_ms: i64,
    /// What was published.
    pub publication: Publication,
}

impl Notification {
    /// The event that a function is invoked with.
    /// <https://docs.aws.amazon.com/lambda/latest/dg/with-sns.html>
    pub(super) fn lambda_event(&self, subscription: &Subscription, server: &str) -> Value {
        json!({ "Records": [{
            "EventVersion": "1.0",
            "EventSubscriptionArn": subscription.arn,
            "EventSource": "aws:sns",
            "Sns": {
                "SignatureVersion": "1",
                "Timestamp": self.timestamp(),
                "Signature": NO_SIGNATURE,
                "SigningCertUrl": format!("{server}/none.pem"),
                "MessageId": self.id.to_string(),
                "Message": self.publication.text("lambda"),
                "MessageAttributes": self.attributes(),
                "Type": "Notification",
                "UnsubscribeUrl": subscription.unsubscribe_url(server),
                "TopicArn": self.topic_arn,
                "Subject": self.publication.subject,
            },
        }] })
    }

    /// The body of the request to an HTTP endpoint.
    /// <https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html>
    pub(super) fn http_body(&self, subscription: &Subscription, server: &str) -> Value {
        let mut body = json!({
            "Type": "Notification",
            "MessageId": self.id.to_string(),
            "TopicArn": self.topic_arn,
            "Message": self.publication.text(subscription.endpoint.protocol()),
            "Timestamp": self.timestamp(),
            "SignatureVersion": "1",
            "Signature": NO_SIGNATURE,
            "SigningCertURL": format!("{server}/none.pem"),
            "UnsubscribeURL": subscription.unsubscribe_url(server),
        });
        if let Some(subject) = &self.publication.subject {
            body["Subject"] = json!(subject);
        }
        if !self.publication.attributes.is_empty() {
            body["MessageAttributes"] = self.attributes();
        }
        body
    }

    fn timestamp(&self) -> String {
        timestamp(self.published_at_ms)
    }

    fn attributes(&self) -> Value {
        let attributes = self.publication.attributes.iter();
        let attributes =
            attributes.map(|(name, it)| (name.clone(), json!({ "Type": it.data_type, "Value": it.value })));
        Value::Object(attributes.collect::<Map<_, _>>())
    }
}

/// The body of the request that asks an HTTP endpoint to confirm its subscription.
pub(super) fn confirmation(subscription: &Subscription, token: Uuid, server: &str, now_ms: i64) -> Value {
    let topic_arn = subscription.topic_arn();
    json!({
        "Type": "SubscriptionConfirmation",
        "MessageId": Uuid::new_v4().to_string(),
        "Token": token.to_string(),
        "TopicArn": topic_arn,
        "Message": format!("You have chosen to subscribe to the topic {topic_arn}.\nTo confirm the subscription, visit the SubscribeURL included in this message."),
        "SubscribeURL": format!("{server}/?Action=ConfirmSubscription&TopicArn={topic_arn}&Token={token}"),
        "Timestamp": timestamp(now_ms),
        "SignatureVersion": "1",
        "Signature": NO_SIGNATURE,
        "SigningCertURL": format!("{server}/none.pem"),
    })
}

fn timestamp(ms: i64) -> String {
    let at = Timestamp::from_millisecond(ms).unwrap_or_default().to_zoned(TimeZone::UTC);
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}
