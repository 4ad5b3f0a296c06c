//! The errors that the server answers requests with.

/// Why a request is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Refusal {
    /// The error's name in CloudWatch.
    pub(super) code: &'static str,
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self { code: "ValidationError", message: message.into() }
    }

    pub(super) fn alarm_not_found(alarm: &str) -> Self {
        Self { code: "ResourceNotFound", message: format!("the alarm {alarm} does not exist") }
    }

    pub(super) fn is_not_found(&self) -> bool {
        self.code == "ResourceNotFound"
    }
}
