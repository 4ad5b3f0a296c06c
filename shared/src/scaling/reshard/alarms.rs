//! The port to a stream's alarms, and how they are kept right: derived from what is open, whoever opened it.

#[cfg(feature = "cloudwatch")]
mod cloudwatch;
#[cfg(any(test, feature = "testing"))]
pub mod conformance;
mod memory;

#[cfg(feature = "cloudwatch")]
pub use cloudwatch::CloudWatchAlarms;
pub use memory::MemoryAlarms;

use crate::platform::errors::RemoteError;
use crate::scaling::alarms::{AlarmChange, AlarmDefinition, FoundAlarm, reconcile};
use std::future::Future;

/// Where alarms are kept.
pub trait AlarmStore: Send + Sync {
    /// The alarms whose names begin with `prefix`. One that could not be of ours has its name and no metrics.
    fn found(&self, prefix: &str) -> impl Future<Output = Result<Vec<FoundAlarm>, RemoteError>> + Send;

    /// Makes one change.
    fn change(&self, change: &AlarmChange) -> impl Future<Output = Result<(), RemoteError>> + Send;

    /// Deletes alarms; those that are not there are no error.
    fn delete(&self, names: &[String]) -> impl Future<Output = Result<(), RemoteError>> + Send;
}

/// Makes the alarms under `prefix` those that are `wanted`, and says how many calls that took.
pub async fn keep<A: AlarmStore>(alarms: &A, prefix: &str, wanted: Vec<AlarmDefinition>) -> Result<usize, RemoteError> {
    let found = alarms.found(prefix).await?;
    let surplus = found.iter().map(|alarm| &alarm.definition.name);
    let surplus: Vec<String> = surplus.filter(|name| wanted.iter().all(|it| it.name != **name)).cloned().collect();
    let changes = reconcile(wanted, &found);
    for change in &changes {
        alarms.change(change).await?;
    }
    if !surplus.is_empty() {
        alarms.delete(&surplus).await?;
    }
    Ok(changes.len() + usize::from(!surplus.is_empty()))
}
