//! What every other room needs from the world around it.
//!
//! - [`clock`]: the port for "now". No rule reads the wall clock by itself.
//! - [`errors`]: what a caller does next about a remote error, and how a chain of errors is written.
//! - [`deadline`]: the time that an invocation has left.
//! - [`env`]: typed settings, read once through a lookup function.
//! - [`logging`] and [`telemetry`]: a function's log and its metrics, as Lambda and CloudWatch expect them.
//! - `aws` (with any adapter): the SDKs' configuration, and their errors as ours.
//! - `redis` (feature `redis`): one connection to Redis or Valkey, to a node or a cluster.
//! - `lane`: how an index by time is spread.
//!
//! It uses no other room, and knows nothing of devices or streams.
//!
//! ```
//! use myaku::platform::env::Env;
//!
//! let env = Env::new(|name: &str| (name == "COMPRESSION_LEVEL").then(|| "12".to_owned()));
//! let error = env.within("COMPRESSION_LEVEL", 3, 1, 9).unwrap_err();
//! assert_eq!(error.to_string(), "environment variable COMPRESSION_LEVEL is \"12\": it must be from 1 to 9");
//! ```

#[cfg(feature = "aws")]
pub mod aws;
pub mod clock;
pub mod deadline;
pub mod env;
pub mod errors;
pub(crate) mod lane;
pub mod logging;
#[cfg(feature = "redis")]
pub mod redis;
pub mod telemetry;
