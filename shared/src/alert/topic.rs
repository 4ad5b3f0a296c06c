//! The port to the topic of alerts.

pub mod memory;
#[cfg(feature = "sns")]
pub mod sns;

use super::Alert;
use crate::platform::errors::RemoteError;

/// A topic of alerts.
pub trait Topic: Send + Sync {
    /// Publishes an alert, at least once.
    fn publish(&self, alert: &Alert) -> impl Future<Output = Result<(), RemoteError>> + Send;
}
