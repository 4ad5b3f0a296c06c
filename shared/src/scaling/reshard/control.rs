//! The port to a stream's shards: reads them, and begins one change at a time.

#[cfg(any(test, feature = "testing"))]
pub mod conformance;
#[cfg(feature = "kinesis")]
mod kinesis;
mod memory;

#[cfg(feature = "kinesis")]
pub use kinesis::KinesisControl;
pub use memory::MemoryControl;

use crate::platform::errors::RemoteError;
use crate::scaling::shards::{Limits, Step, StreamMode, StreamStatus};
use crate::stream::shard_map::HashKeyRange;
use std::future::Future;

/// The summary of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Whether it can be changed.
    pub status: StreamStatus,
    /// How its capacity is bought.
    pub mode: StreamMode,
    /// Whether each shard has its own `IncomingRecords` and `IncomingBytes` (enhanced shard-level metrics).
    pub shard_metrics: bool,
    /// The names of the consumers with a read capacity of their own.
    pub enhanced_consumers: Vec<String>,
}

/// How Kinesis answers a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The step has begun.
    Begun,
    /// The stream is being changed: `ResourceInUseException`. Wait.
    Busy,
    /// A limit is reached, of the stream's calls or of the account: `LimitExceededException`, with Kinesis's message.
    Limited(String),
    /// The step does not fit the stream: a shard was closed since the plan was made, or the count is out of reach. With
    /// Kinesis's message.
    Obsolete(String),
}

/// A stream whose shards can be changed.
pub trait StreamControl: Send + Sync {
    /// The stream's name.
    fn name(&self) -> &str;

    /// The stream's summary; `None` if it does not exist.
    fn summary(&self) -> impl Future<Output = Result<Option<Summary>, RemoteError>> + Send;

    /// The open shards, in any order.
    fn open_shards(&self) -> impl Future<Output = Result<Vec<HashKeyRange>, RemoteError>> + Send;

    /// The account's limits.
    fn limits(&self) -> impl Future<Output = Result<Limits, RemoteError>> + Send;

    /// Hash keys of the records that arrived in `shards` within one recent second: a sample of the whole stream's load.
    fn sample(&self, shards: &[HashKeyRange]) -> impl Future<Output = Result<Vec<u128>, RemoteError>> + Send;

    /// Begins a step.
    fn begin(&self, step: &Step) -> impl Future<Output = Result<Answer, RemoteError>> + Send;
}
