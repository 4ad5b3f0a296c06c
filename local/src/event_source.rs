//! Kinesis event source mappings as Lambda runs them: polling, batching, retrying, and the order of it all.
//!
//! It keeps Lambda's promises: each record is delivered at least once, in order within its shard (within its partition
//! key where [`Settings::parallelization`] is above 1), and a shard only after every shard that it came from.
//!
//! A [`Mapping`] is one future with no threads, tasks, clock or randomness of its own: time is a [`Clock`], randomness a
//! seed, and the stream, the function and the destination stand behind ports. So the same code serves the local runner
//! in real time and a simulation in simulated time, where a seed repeats a run.

mod batcher;
mod checkpoint;
mod delivery;
mod destination;
mod event;
mod filter;
mod lineage;
mod mapping;
mod response;
mod settings;
mod shard;
mod simulation;
mod status;
mod window;

#[cfg(test)]
mod tests;

pub use checkpoint::{Checkpoint, OpenWindow, Progress};
pub use destination::{Discarded, S3Destination};
pub use filter::{Filter, FilterError};
pub use mapping::{Handle, Mapping};
pub use settings::{Backoff, Settings, SettingsError, StartingPosition};
pub use simulation::{Simulation, TaskId};
pub use status::{ShardStatus, Status};

use myaku::platform::errors::RemoteError;

/// Where discarded batches go.
pub trait OnFailure: Send + Sync {
    /// Keeps a discarded batch.
    fn send(&self, discarded: &Discarded) -> impl Future<Output = Result<(), RemoteError>> + Send;
}

/// A mapping without a destination: discarded batches are gone but for a line in the log.
impl<D: OnFailure> OnFailure for Option<D> {
    async fn send(&self, discarded: &Discarded) -> Result<(), RemoteError> {
        match self {
            Some(destination) => destination.send(discarded).await,
            None => Ok(()),
        }
    }
}
