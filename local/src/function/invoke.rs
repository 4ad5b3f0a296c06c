//! The port through which others invoke a function: its trait, its error, and its limits.

use bytes::Bytes;

/// The largest payload of a synchronous invocation, in bytes.
/// Lambda's quota is "6 MB each for request and response"; its error message states this number.
pub const REQUEST_BYTES_MAX: usize = 6_291_456;
/// The largest response, in bytes, as `Function.ResponseSizeTooLarge` states it.
pub const RESPONSE_BYTES_MAX: usize = 6_291_556;

/// The port for callers that only invoke a function.
pub trait Invoker: Send + Sync {
    /// Invokes the function synchronously with an event's JSON.
    fn invoke(&self, event: Bytes) -> impl Future<Output = Result<Bytes, InvokeError>> + Send;
}

/// Why an invocation returned no response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvokeError {
    /// The function returned an error.
    #[error("the function failed: {error_type}: {message}")]
    FunctionError {
        /// The error's type, as the runtime reported it.
        error_type: String,
        /// Its message.
        message: String,
    },
    /// The deadline passed, and the environment was killed.
    #[error("the invocation timed out")]
    TimedOut,
    /// The environment's process ended during the invocation, with this status.
    #[error("the environment ended during the invocation: {0}")]
    Crashed(String),
    /// No environment could be started.
    #[error("the environment failed to start: {0}")]
    InitFailed(String),
    /// The function's concurrency is used up: try again later.
    #[error("the function is at its concurrency limit")]
    Throttled,
    /// The request is larger than [`REQUEST_BYTES_MAX`].
    #[error("the request of {bytes} bytes exceeds the limit of {REQUEST_BYTES_MAX} bytes")]
    PayloadTooLarge {
        /// The request's size.
        bytes: usize,
    },
    /// The function was stopped.
    #[error("the function is stopped")]
    Stopped,
}
