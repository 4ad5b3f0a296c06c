//! What a caller does next about an error, and how a chain of them is written once, at the boundary.

use std::error::Error;
use std::fmt::Write as _;

/// What the caller of a remote service does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// The call may have happened or not; the same call again is right.
    Retry,
    /// The service asked for less: the same call again, later.
    SlowDown,
    /// The same call will fail again: a setting, a permission or the request itself is wrong.
    GiveUp,
}

/// An error of a remote service, with what to do about it. Adapters make these from their SDK's errors,
/// so that no SDK type reaches the domain.
#[derive(Debug, thiserror::Error)]
#[error("{operation} failed")]
pub struct RemoteError {
    /// The call, as its service names it, with what it was for: `PutObject lake/raw/…`.
    pub operation: String,
    /// What the caller does next.
    pub remedy: Remedy,
    /// The service's own words.
    #[source]
    pub source: Box<dyn Error + Send + Sync>,
}

impl RemoteError {
    /// An error of `operation`.
    pub fn new(operation: impl Into<String>, remedy: Remedy, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { operation: operation.into(), remedy, source: source.into() }
    }
}

/// The whole chain of an error on one line: each layer's own words, outermost first.
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
