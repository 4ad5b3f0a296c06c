//! Runs Kinesis event source mappings as Lambda does: it polls shards, forms batches, invokes the function and retries.
//!
//! It keeps Lambda's promises. Each record is delivered at least once, and in order within its shard (within its
//! partition key where [`Settings::parallelization`] is above 1). A shard is read only after every shard that it was
//! made from.
//!
//! A [`Mapping`] is one future with no threads, tasks, clock or randomness of its own. Time comes from a
//! [`Clock`](crate::clock::Clock) and randomness from a seed; the stream, the function and the destination are ports.
//! So the local runner uses the same code in real time as the simulation does in simulated time, where a seed repeats
//! a run.
//!
//! ```
//! use myaku_local::event_source::{Settings, StartingPosition};
//!
//! let stream = "arn:aws:kinesis:us-east-1:000000000000:stream/ingest";
//! let function = "arn:aws:lambda:us-east-1:000000000000:function:archiver";
//! let mut settings = Settings::new("mapping", stream, function, StartingPosition::TrimHorizon);
//! settings.batch_size = 10_001;
//! let error = settings.check().unwrap_err();
//! assert_eq!(error.to_string(), "BatchSize is 10001: it must be from 1 to 10000");
//! ```

mod batcher;
mod checkpoint;
mod context;
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
pub use destination::{Discarded, OnFailure, S3Destination};
pub use filter::{Filter, FilterError};
pub use mapping::{Handle, Mapping};
pub use settings::{Backoff, Settings, SettingsError, StartingPosition};
pub use simulation::{Simulation, TaskId};
pub use status::{ShardStatus, Status};
