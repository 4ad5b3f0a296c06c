//! Errors of remote services, sorted by what the caller does next.
//!
//! The message of an error states its own layer only. The log shows the whole [`chain`] once, at the boundary.

use std::error::Error;
use std::fmt::Write as _;

/// What the caller of a remote service does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// The call may or may not have taken effect: repeat the same call.
    Retry,
    /// The service asks for less load: repeat the same call later.
    SlowDown,
    /// The same call will fail again: a setting, a permission or the request itself is wrong.
    GiveUp,
}

/// An error of a remote service, with what to do about it. Adapters convert their SDK's errors to this type, so that no
/// SDK type reaches the domain.
#[derive(Debug, thiserror::Error)]
#[error("{operation} failed")]
pub struct RemoteError {
    /// The call under the service's own name, with its target: `PutObject lake/raw/…`.
    pub operation: String,
    /// What the caller does next.
    pub remedy: Remedy,
    /// The service's own message.
    #[source]
    pub source: Box<dyn Error + Send + Sync>,
}

impl RemoteError {
    /// An error of `operation`.
    pub fn new(operation: impl Into<String>, remedy: Remedy, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { operation: operation.into(), remedy, source: source.into() }
    }
}

/// The whole chain of an error on one line: the message of each layer, outermost first.
///
/// ```
/// let broken = "x".parse::<u8>().unwrap_err();
/// assert_eq!(myaku::platform::errors::chain(&broken), "invalid digit found in string");
/// ```
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let _ = write!(text, ": {cause}");
        source = cause.source();
    }
    text
}
