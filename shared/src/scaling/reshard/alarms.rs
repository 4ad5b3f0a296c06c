//! The port to a stream's alarms, and their update. Alarms follow from the open shards, so a change by hand is covered
//! too.

#[cfg(feature = "cloudwatch")]
mod cloudwatch;
#[cfg(any(test, feature = "testing"))]
pub mod conformance;
mod memory;

#[cfg(feature = "cloudwatch")]
pub use cloudwatch::CloudWatchAlarms;
pub use memory::MemoryAlarms;

use crate::platform::errors::RemoteError;
use crate::scaling::alarms::{AlarmChange, AlarmDefinition, ExistingAlarm, reconcile};
use std::future::Future;

/// A store of alarms.
pub trait AlarmStore: Send + Sync {
    /// Returns those of the alarms called `names` that exist; at most 100 names. An alarm of a kind that [`AlarmChange::Put`]
    /// does not make has its name and no metrics.
    fn describe(&self, names: &[String]) -> impl Future<Output = Result<Vec<ExistingAlarm>, RemoteError>> + Send;

    /// Makes one change.
    fn change(&self, change: &AlarmChange) -> impl Future<Output = Result<(), RemoteError>> + Send;

    /// Deletes alarms. Deleting an alarm that does not exist is not an error.
    fn delete(&self, names: &[String]) -> impl Future<Output = Result<(), RemoteError>> + Send;
}

/// Turns the alarms called `names` into the `wanted` ones, which are some of them, and returns how many calls that took.
pub async fn update<A: AlarmStore>(
    alarms: &A,
    names: &[String],
    wanted: Vec<AlarmDefinition>,
) -> Result<usize, RemoteError> {
    let existing = alarms.describe(names).await?;
    let surplus = existing.iter().map(|alarm| &alarm.definition.name);
    let surplus: Vec<String> = surplus.filter(|name| wanted.iter().all(|it| it.name != **name)).cloned().collect();
    let changes = reconcile(wanted, &existing);
    for change in &changes {
        alarms.change(change).await?;
    }
    if !surplus.is_empty() {
        alarms.delete(&surplus).await?;
    }
    Ok(changes.len() + usize::from(!surplus.is_empty()))
}
