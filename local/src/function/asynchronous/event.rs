//! An event in the queue of a function.

use bytes::Bytes;
use std::sync::Arc;
use uuid::Uuid;

/// An event that waits for its invocation.
#[derive(Clone, Debug)]
pub(in crate::function) struct Event {
    pub(in crate::function) id: Uuid,
    /// The function's ARN, as invocation records name it.
    pub(in crate::function) function_arn: Arc<str>,
    pub(in crate::function) payload: Bytes,
}

impl Event {
    pub(super) fn function_name(&self) -> &str {
        self.function_arn.rsplit(':').next().unwrap_or_default()
    }
}
