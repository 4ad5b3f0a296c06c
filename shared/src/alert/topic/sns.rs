//! The topic in SNS. The message attributes `kind`, `state`, `severity` and `facility` let a subscription filter alerts.

use super::{Alert, Topic};
use crate::alert::sns::{attributes, subject};
use crate::platform::aws::{Lazy, remote_error};
use crate::platform::errors::{Remedy, RemoteError};
use aws_config::SdkConfig;
use aws_sdk_sns::Client;

/// A topic in SNS.
#[derive(Clone, Debug)]
pub struct SnsTopic {
    client: Lazy<Client>,
    arn: String,
}

impl SnsTopic {
    /// The topic of an ARN.
    pub fn new(config: &SdkConfig, arn: impl Into<String>) -> Self {
        Self { client: Lazy::new(config, Client::new), arn: arn.into() }
    }
}

impl Topic for SnsTopic {
    async fn publish(&self, alert: &Alert) -> Result<(), RemoteError> {
        let operation = || format!("Publish {} {}", self.arn, alert.key());
        let invalid_request =
            |error: Box<dyn std::error::Error + Send + Sync>| RemoteError::new(operation(), Remedy::GiveUp, error);
        let json = serde_json::to_string(alert).map_err(|error| invalid_request(error.into()))?;
        let title = format!("{} {}: {}", alert.kind.name(), alert.state.name(), alert.device_id);
        let attributes = attributes([
            ("kind", Some(alert.kind.name())),
            ("state", Some(alert.state.name())),
            ("severity", Some(alert.severity.name())),
            ("facility", alert.facility.as_deref()),
        ]);
        let attributes = attributes.map_err(|error| invalid_request(error.into()))?;
        let call = self.client.publish().topic_arn(&self.arn).subject(subject(&title)).message(json);
        let call = call.set_message_attributes(Some(attributes));
        call.send().await.map(drop).map_err(|error| remote_error(operation(), error))
    }
}
