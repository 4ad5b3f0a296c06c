//! The port that sends messages to contacts.

#[cfg(feature = "notify")]
mod deployed;
#[cfg(feature = "notify")]
mod iot;
pub mod memory;
#[cfg(feature = "notify")]
mod sns;
#[cfg(feature = "notify")]
mod webhook;

#[cfg(feature = "notify")]
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
