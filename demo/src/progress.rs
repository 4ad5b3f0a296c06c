//! The port to whoever follows a long run: a terminal, a log, a test.

/// Follows a run.
pub trait Progress: Sync {
    /// A new part begins.
    fn stage(&self, what: &str);
    /// So many of `total` messages are sent; `lag` records wait for some function.
    fn sent(&self, sent: usize, total: usize, lag: u64);
    /// Something happened.
    fn event(&self, what: &str);
}
