//! Messages to devices through AWS IoT: commands, and the desired state of shadows.

use super::{Contact, Message};
use crate::alert::case::Step;
use crate::platform::aws::{Lazy, remote_error};
use crate::platform::errors::{Remedy, RemoteError};
use aws_config::SdkConfig;
use aws_sdk_iotdataplane::Client;
use aws_sdk_iotdataplane::primitives::Blob;
use serde_json::json;

/// The last level of the topic of an alert's commands.
const REQUEST: &str = "alert";

/// The ways through AWS IoT. Needs the permissions `iot:Publish` and `iot:UpdateThingShadow`.
#[derive(Clone, Debug)]
pub(super) struct IotMessenger {
    client: Lazy<Client>,
}

impl IotMessenger {
    /// Creates it.
    pub(super) fn new(config: &SdkConfig) -> Self {
        Self { client: Lazy::new(config, Client::new) }
    }

    /// Publishes to `cmd/myaku/<facility>/<device>/alert`, to which the device may subscribe.
    pub(super) async fn command(&self, contact: &Contact, message: &Message) -> Result<(), RemoteError> {
        let device = contact.to.as_deref().unwrap_or(&message.device_id);
        let Some(facility) = message.facility.as_deref() else {
            let error = format!("device {} stands in no facility, so it has no topic of commands", message.device_id);
            return Err(RemoteError::new(format!("Publish {}", message.id), Remedy::GiveUp, error));
        };
        let topic = format!("cmd/myaku/{facility}/{device}/{REQUEST}");
        let operation = || format!("Publish {topic} {}", message.id);
        let json = serde_json::to_vec(message).map_err(|error| RemoteError::new(operation(), Remedy::GiveUp, error))?;
        let call = self.client.publish().topic(&topic).qos(1).payload(Blob::new(json));
        call.send().await.map(drop).map_err(|error| remote_error(operation(), error))
    }

    /// Writes the message into the desired state of the device's shadow, as `alert`; removes it there when the alert is over.
    pub(super) async fn desire(&self, contact: &Contact, message: &Message) -> Result<(), RemoteError> {
        let device = contact.to.as_deref().unwrap_or(&message.device_id);
        let operation = || format!("UpdateThingShadow {device} {}", message.id);
        let alert = (message.step != Step::Cleared).then_some(message);
        let json = serde_json::to_vec(&json!({ "state": { "desired": { REQUEST: alert } } }));
        let json = json.map_err(|error| RemoteError::new(operation(), Remedy::GiveUp, error))?;
        let call = self.client.update_thing_shadow().thing_name(device).payload(Blob::new(json));
        call.send().await.map(drop).map_err(|error| remote_error(operation(), error))
    }
}
