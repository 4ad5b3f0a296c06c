//! The port through which a run reports its progress, to a terminal, a log or a test.

/// Receives the progress of a run.
pub trait Progress: Sync {
    /// A new stage begins.
    fn stage(&self, what: &str);
    /// `sent` of `total` messages are sent; `lag` records wait for a function.
    fn sent(&self, sent: usize, total: usize, lag: u64);
    /// An event to show, in words.
    fn event(&self, what: &str);
}
