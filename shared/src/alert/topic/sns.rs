//! The topic in SNS. The message attributes `kind`, `state`, `severity` and `facility` let a subscription filter alerts.

use super::{Alert, Topic};
use crate::platform::aws::{Lazy, remote_error};
use crate::platform::errors::{Remedy, RemoteError};
use aws_config::SdkConfig;
use aws_sdk_sns::Client;
use aws_sdk_sns::types::MessageAttributeValue;

/// The longest subject of an email. <https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>
const SUBJECT_MAX: usize = 99;

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

/// The subject of an email: "ASCII text that begins with a letter, number, or punctuation mark", without line breaks.
fn subject(alert: &Alert) -> String {
    let ascii = |character: char| if character.is_ascii_graphic() || character == ' ' { character } else { '?' };
    let text = format!("{} {}: {}", alert.kind.name(), alert.state.name(), alert.device_id);
    text.chars().map(ascii).take(SUBJECT_MAX).collect()
}

impl Topic for SnsTopic {
    async fn publish(&self, alert: &Alert) -> Result<(), RemoteError> {
        let operation = || format!("Publish {} {}", self.arn, alert.key());
        let invalid_request =
            |error: Box<dyn std::error::Error + Send + Sync>| RemoteError::new(operation(), Remedy::GiveUp, error);
        let json = serde_json::to_string(alert).map_err(|error| invalid_request(error.into()))?;
        let mut call = self.client.publish().topic_arn(&self.arn).subject(subject(alert)).message(json);
        let attributes = [
            ("kind", Some(alert.kind.name())),
            ("state", Some(alert.state.name())),
            ("severity", Some(alert.severity.name())),
            ("facility", alert.facility.as_deref()),
        ];
        for (name, value) in attributes {
            let Some(value) = value.filter(|value| !value.is_empty()) else { continue };
            let value = MessageAttributeValue::builder().data_type("String").string_value(value).build();
            call = call.message_attributes(name, value.map_err(|error| invalid_request(error.into()))?);
        }
        call.send().await.map(drop).map_err(|error| remote_error(operation(), error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::Incident;
    use std::time::Duration;

    #[test]
    fn the_subject_of_an_email_is_one_line_of_ascii() {
        let device = format!("bett-ö\n{}", "x".repeat(200));
        let subject = subject(&Incident::silence(&device, 1, Duration::ZERO, None, 1).raised());
        assert!(subject.starts_with("device-silent raised: bett-??xxx"), "{subject}");
        assert_eq!(subject.len(), SUBJECT_MAX);
    }
}
