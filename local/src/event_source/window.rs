//! Tumbling windows: passes the state from one invocation to the next, and decides when a window ends.
//!
//! A record belongs to the window in which it arrived. Arrival times are approximate: if a record arrived before the
//! open window began, it counts into the open window, because its own window is closed.

use super::checkpoint::OpenWindow;
use super::event::WindowFields;
use bytes::Bytes;

/// "Your state can be a maximum of 1 MB per shard."
pub(super) const STATE_BYTES_MAX: usize = 1_048_576;

/// The windows of one shard.
#[derive(Debug)]
pub(super) struct Tumbling {
    length_ms: i64,
    /// The window that has begun and is not closed.
    pub(super) open: Option<OpenWindow>,
}

impl Tumbling {
    pub(super) const fn new(length_ms: i64, open: Option<OpenWindow>) -> Self {
        Self { length_ms, open }
    }

    /// The end of the window of a batch whose first record arrived at this time.
    pub(super) fn end_ms(&self, arrived_ms: i64) -> i64 {
        let start = self.start_of(arrived_ms);
        self.open.as_ref().map_or(start, |open| open.start_ms.max(start)) + self.length_ms
    }

    /// Whether the open window is over at `now_ms`.
    pub(super) fn is_over(&self, now_ms: i64) -> bool {
        self.open.as_ref().is_some_and(|open| now_ms >= open.start_ms + self.length_ms)
    }

    /// Opens the window of a record that arrived at this time, unless a window is open.
    pub(super) fn begin(&mut self, arrived_ms: i64) {
        let start_ms = self.start_of(arrived_ms);
        self.open.get_or_insert_with(|| empty_window(start_ms));
    }

    /// The fields of an invocation's event.
    pub(super) fn fields(&self, is_final: bool) -> Option<WindowFields> {
        self.open.as_ref().map(|open| WindowFields {
            span_ms: (open.start_ms, open.start_ms + self.length_ms),
            state: open.state.clone(),
            is_final,
            terminated_early: open.terminated_early,
        })
    }

    /// Stores the state that the function returned. Returns true if the window ends early because the state is too
    /// large.
    pub(super) fn set_state(&mut self, state: Bytes) -> bool {
        let Some(open) = &mut self.open else { return false };
        open.terminated_early = state.len() > STATE_BYTES_MAX;
        open.state = state;
        open.terminated_early
    }

    /// Closes the window after its final invocation. A window that ended early begins again with an empty state.
    pub(super) fn finish(&mut self) {
        self.open = self.open.take().filter(|open| open.terminated_early).map(|open| empty_window(open.start_ms));
    }

    const fn start_of(&self, arrived_ms: i64) -> i64 {
        arrived_ms - arrived_ms.rem_euclid(self.length_ms)
    }
}

fn empty_window(start_ms: i64) -> OpenWindow {
    OpenWindow { start_ms, state: Bytes::from_static(b"{}"), terminated_early: false }
}
