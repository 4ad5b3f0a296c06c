//! Tumbling windows: the state that goes from one invocation to the next, and when it is handed over for good.
//!
//! A record's window is the one that its arrival falls into; one that arrived before the open window began (arrival
//! times are approximate) is counted into the open window, since its own is closed.

use super::OpenWindow;
use super::event::WindowFields;
use bytes::Bytes;

/// "Your state can be a maximum of 1 MB per shard."
pub(super) const STATE_BYTES_MAX: usize = 1_048_576;

/// The windows of one shard.
#[derive(Debug)]
pub(super) struct Tumbling {
    length_ms: i64,
    /// The window that has begun and not been closed.
    pub(super) open: Option<OpenWindow>,
}

impl Tumbling {
    pub(super) const fn new(length_ms: i64, open: Option<OpenWindow>) -> Self {
        Self { length_ms, open }
    }

    /// The end of the window that a batch beginning with a record of this arrival is in.
    pub(super) fn end_ms(&self, arrived_ms: i64) -> i64 {
        let start = self.start_of(arrived_ms);
        self.open.as_ref().map_or(start, |open| open.start_ms.max(start)) + self.length_ms
    }

    /// Whether the open window is over at `now_ms`.
    pub(super) fn is_over(&self, now_ms: i64) -> bool {
        self.open.as_ref().is_some_and(|open| now_ms >= open.start_ms + self.length_ms)
    }

    /// Opens the window of a record unless one is open.
    pub(super) fn begin(&mut self, arrived_ms: i64) {
        let start_ms = self.start_of(arrived_ms);
        self.open.get_or_insert_with(|| fresh(start_ms));
    }

    /// What an invocation is told.
    pub(super) fn fields(&self, is_final: bool) -> Option<WindowFields> {
        self.open.as_ref().map(|open| WindowFields {
            span_ms: (open.start_ms, open.start_ms + self.length_ms),
            state: open.state.clone(),
            is_final,
            terminated_early: open.terminated_early,
        })
    }

    /// Takes over what a function returned as its state. Says whether the window ends early, because of its size.
    pub(super) fn keep(&mut self, state: Bytes) -> bool {
        let Some(open) = &mut self.open else { return false };
        open.terminated_early = state.len() > STATE_BYTES_MAX;
        open.state = state;
        open.terminated_early
    }

    /// After a final invocation: no window is open, or, if it ended early, the same one is with a fresh state.
    pub(super) fn finish(&mut self) {
        self.open = self.open.take().filter(|open| open.terminated_early).map(|open| fresh(open.start_ms));
    }

    const fn start_of(&self, arrived_ms: i64) -> i64 {
        arrived_ms - arrived_ms.rem_euclid(self.length_ms)
    }
}

fn fresh(start_ms: i64) -> OpenWindow {
    OpenWindow { start_ms, state: Bytes::from_static(b"{}"), terminated_early: false }
}
