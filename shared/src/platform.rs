//! What every other room needs from outside the domain: time, settings, logs, metrics, AWS and Redis.
//!
//! - [`clock`]: the port for the current time. No rule reads the wall clock itself.
//! - [`errors`]: what a caller does next about a remote error, and how a chain of errors is written.
//! - [`deadline`]: the time that an invocation has left.
//! - [`mod@env`]: typed settings, read once through a lookup function.
//! - [`logging`] and [`telemetry`]: a function's log and metrics, in the formats that Lambda and CloudWatch expect.
//! - `aws` (with the feature of any adapter): the SDK's configuration, and the conversion of its errors.
//! - `dynamodb` (feature `dynamodb`): attributes of items.
//! - `redis` (feature `redis`): the connection to Redis or Valkey, to one node or a cluster.
//! - `lambda` (feature `lambda`): the start of a function, and how it serves its invocations.
//! - `json`: checks JSON without keeping it.
//! - `lane`: how an index by time is spread over partitions.
//!
//! This room uses no other room. It knows nothing of messages, profiles or streams.
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
#[cfg(feature = "dynamodb")]
pub(crate) mod dynamodb;
pub mod env;
pub mod errors;
pub(crate) mod json;
#[cfg(feature = "lambda")]
pub mod lambda;
pub(crate) mod lane;
pub mod logging;
#[cfg(feature = "redis")]
pub mod redis;
pub mod telemetry;
pub mod text;
