//! Messages through SNS: to the topic for people, and as text messages.

use super::{Contact, Message};
use crate::alert::sns::{attributes, subject};
use crate::platform::aws::{Lazy, remote_error};
use crate::platform::errors::{Remedy, RemoteError};
use aws_config::SdkConfig;
use aws_sdk_sns::Client;
use serde_json::json;

/// The most characters of a text message: what one message takes if a letter of it needs two bytes is 70, and two of them are joined.
const TEXT_MAX: usize = 134;

/// The ways through SNS. Needs the permission `sns:Publish`.
#[derive(Clone, Debug)]
pub(super) struct SnsMessenger {
    client: Lazy<Client>,
    topic_arn: String,
}

impl SnsMessenger {
    /// Creates it, with the topic for people.
    pub(super) fn new(config: &SdkConfig, topic_arn: impl Into<String>) -> Self {
        Self { client: Lazy::new(config, Client::new), topic_arn: topic_arn.into() }
    }

    /// Publishes a letter for people, and JSON for programs. The attributes let a subscription choose.
    pub(super) async fn publish(&self, contact: &Contact, message: &Message) -> Result<(), RemoteError> {
        let operation = || format!("Publish {} {}", self.topic_arn, message.id);
        let give_up =
            |error: Box<dyn std::error::Error + Send + Sync>| RemoteError::new(operation(), Remedy::GiveUp, error);
        let json = serde_json::to_string(message).map_err(|error| give_up(error.into()))?;
        let letter = message.letter();
        let texts = json!({
            "default": letter, "sms": message.line(TEXT_MAX), "email-json": json, "sqs": json, "lambda": json, "http": json,
            "https": json, "firehose": json,
        });
        let attributes = attributes([
            ("contact", Some(contact.name.as_str())),
            ("facility", message.facility.as_deref()),
            ("kind", Some(message.kind.name())),
            ("severity", Some(message.severity.name())),
            ("step", Some(message.step.name())),
        ]);
        let attributes = attributes.map_err(|error| give_up(error.into()))?;
        let call = self.client.publish().topic_arn(&self.topic_arn).subject(subject(&message.subject()));
        let call = call.message_structure("json").message(texts.to_string()).set_message_attributes(Some(attributes));
        call.send().await.map(drop).map_err(|error| remote_error(operation(), error))
    }

    /// Sends a text message.
    pub(super) async fn text(&self, contact: &Contact, message: &Message) -> Result<(), RemoteError> {
        let number = contact.to.as_deref().unwrap_or_default();
        // A telephone number does not belong in a log.
        let operation = || format!("Publish a text message to {} {}", contact.name, message.id);
        let kind = attributes([("AWS.SNS.SMS.SMSType", Some("Transactional"))]);
        let kind = kind.map_err(|error| RemoteError::new(operation(), Remedy::GiveUp, error))?;
        let call = self.client.publish().phone_number(number).message(message.line(TEXT_MAX));
        let call = call.set_message_attributes(Some(kind));
        call.send().await.map(drop).map_err(|error| remote_error(operation(), error))
    }
}
