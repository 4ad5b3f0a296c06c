//! What an operator runs against a stack, in AWS or on one machine: proof, repair and sizing.
//!
//! In reading order:
//!
//! - [`selection`]: chooses records of the lake by time, shard and device.
//! - [`cat`]: prints them.
//! - [`audit`]: proves that every record of a stream is in the lake, once and undamaged.
//! - [`replay`]: puts dead letters, failed batches or a part of the lake on a stream again.
//! - [`rebuild`]: restores from the lake the windows that Redis lost.
//! - [`results`]: reads the present results of a device.
//! - [`detect`]: finds what is unusual in a file of readings.
//! - [`registry`]: writes profiles and devices, and lists them.
//! - [`pending`]: puts, lists and cancels the commands that wait for devices.
//! - [`reshard`]: draws a stream's keyspace, says what a policy would do about it, and does it.
//! - [`simulator`]: runs a policy on a trace of demand, beside other policies, against a model of Kinesis.
//!
//! The crate has no emulator in its tree, because it is what proves production. It connects to AWS, or to the endpoints
//! that the variables `AWS_ENDPOINT_URL_…` name.
//!
//! # Example
//!
//! A shop has 300 orders a second. From the second hour on it has 3,000, more than one shard takes. How many does the
//! default policy refuse, and how many does one shard refuse?
//!
//! ```
//! use myaku::scaling::shards::Policy;
//! use myaku_operator::simulator::{Assumptions, Contender, Trace, compare};
//!
//! // Seconds since the epoch, and orders a second.
//! let csv = "0,300\n3600,300\n3660,3000\n14400,3000\n";
//! let trace = Trace::from_csv("orders", csv.as_bytes(), 1.0)?;
//! let one_shard = Policy { max_shards: 1, ..Policy::default() };
//! let contenders = [
//!     Contender::default_policy(),
//!     Contender::Policy { name: "one shard".to_owned(), policy: Box::new(one_shard) },
//! ];
//!
//! let comparison = compare(&trace, &contenders, &Assumptions::default());
//! let [default, one_shard] = &comparison.outcomes[..] else { unreachable!("one outcome for each contender") };
//! assert!(default.shards_max >= 3.0);
//! assert!(default.throttled < 0.1 * one_shard.throttled);
//! # Ok::<(), myaku_operator::simulator::TraceError>(())
//! ```

mod hours;
mod timestamps;

pub mod audit;
pub mod cat;
pub mod detect;
pub mod pending;
pub mod rebuild;
pub mod registry;
pub mod replay;
pub mod reshard;
pub mod results;
pub mod selection;
pub mod simulator;
