//! All ways to a contact.

use super::iot::IotMessenger;
use super::sns::SnsMessenger;
use super::webhook::WebhookMessenger;
use super::{Contact, Message, Messenger};
use crate::alert::Via;
use crate::platform::errors::RemoteError;
use aws_config::SdkConfig;

/// Where messages are sent from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The ARN of the topic for people.
    pub topic_arn: String,
    /// What the names of webhooks' secrets begin with in Secrets Manager.
    pub secret_prefix: String,
}

/// The messenger of a deployed function.
#[derive(Clone, Debug)]
pub struct DeployedMessenger {
    sns: SnsMessenger,
    iot: IotMessenger,
    webhook: WebhookMessenger,
}

impl DeployedMessenger {
    /// Creates the messenger. Nothing is requested yet.
    pub fn new(config: &SdkConfig, settings: &Settings) -> Self {
        Self {
            sns: SnsMessenger::new(config, &settings.topic_arn),
            iot: IotMessenger::new(config),
            webhook: WebhookMessenger::new(config, &settings.secret_prefix),
        }
    }
}

impl Messenger for DeployedMessenger {
    async fn send(&self, contact: &Contact, message: &Message) -> Result<(), RemoteError> {
        match contact.via {
            Via::Topic => self.sns.publish(contact, message).await,
            Via::Sms => self.sns.text(contact, message).await,
            Via::Webhook => self.webhook.send(contact, message).await,
            Via::Device => self.iot.command(contact, message).await,
            Via::Shadow => self.iot.desire(contact, message).await,
        }
    }
}
