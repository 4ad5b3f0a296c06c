//! What an operator runs against a stack, in AWS or on one machine: proof, repair, and sizing.
//!
//! In reading order:
//!
//! - [`selection`]: which records of the lake, by time, shard and device.
//! - [`audit`]: proves that every record of a stream is in the lake, once and undamaged.
//! - [`replay`]: puts dead letters, failed batches or a stretch of the lake on a stream again.
//! - [`rebuild`]: restores the windows that Redis lost, from the lake.
//! - [`simulator`]: runs a policy for shards over a demand, beside other policies, on a model of Kinesis.
//!
//! There is no emulator in this crate's tree: it is what proves production, and it speaks to AWS or to whatever
//! `AWS_ENDPOINT_URL_…` names.

pub mod audit;
pub mod rebuild;
pub mod replay;
pub mod selection;
pub mod simulator;
