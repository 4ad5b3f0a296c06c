//! The port that sends messages to contacts.

#[cfg(all(feature = "sns", feature = "iot", feature = "webhook"))]
mod deployed;
#[cfg(feature = "iot")]
pub mod iot;
pub mod memory;
#[cfg(feature = "sns")]
pub mod sns;
#[cfg(feature = "webhook")]
pub mod webhook;

#[cfg(all(feature = "sns", feature = "iot", feature = "webhook"))]
pub use deployed::{DeployedMessenger, Settings};

use super::Contact;
use super::case::Message;
use crate::platform::errors::RemoteError;

/// Sends messages to contacts.
pub trait Messenger: Send + Sync {
    /// Sends a message. An error of the remedy `GiveUp` says that it can never be sent so: the address, the secret or a permission is
    /// wrong.
    fn send(&self, contact: &Contact, message: &Message) -> impl Future<Output = Result<(), RemoteError>> + Send;
}
