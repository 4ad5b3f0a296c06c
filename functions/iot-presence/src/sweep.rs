//! The sweep: what is due by what is stored.
//!
//! Each part goes on when another fails, takes so much in a run at most, and leaves the rest to the next run: what is done
//! is out of the queue, and where a queue is only read, its place is kept. Parts that have several lanes begin with another
//! one each minute, so that a lane that takes all the time starves no other for long.

mod settle;
mod silence;
mod walk;

use crate::{Context, Ports};
use myaku::platform::clock::Now;
use myaku::platform::errors::{RemoteError, chain};
use myaku::platform::telemetry::{Metric, count};

/// What is left of an invocation's time when no more work begins, in milliseconds: enough for what is under way.
const MARGIN_MS: i64 = 10_000;
/// Calls of one kind under way at a time.
const CONCURRENCY: usize = 16;

/// What a run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sweep {
    /// Disconnects that count from now on.
    pub settled: usize,
    /// Incidents that are over.
    pub cleared: usize,
    /// Incidents that begin.
    pub raised: usize,
    /// Devices that nobody watched and that are expected from now on.
    pub expected: usize,
}

/// A part of a sweep that could not be completed. The next run does what is left.
#[derive(Debug, thiserror::Error)]
#[error("{part} could not be completed")]
pub struct Failed {
    /// The part.
    pub part: &'static str,
    /// The first failure.
    #[source]
    pub source: RemoteError,
}

/// How long a part may go on.
struct Until<'a, N> {
    clock: &'a N,
    ms: i64,
}

impl<N: Now> Until<'_, N> {
    fn is_over(&self) -> bool {
        self.clock.now_ms() >= self.ms
    }
}

/// Does all parts; the error is the first of those that failed.
pub(crate) async fn run<P: Ports>(context: &Context<P>, deadline_ms: i64) -> Result<Sweep, Failed> {
    let until = &Until { clock: &context.clock, ms: deadline_ms.saturating_sub(MARGIN_MS) };
    let mut failed = None;
    let mut part = |part: &'static str, (done, error): (usize, Option<RemoteError>)| {
        if let Some(source) = error {
            tracing::error!(part, done, error = chain(&source), "a part of the sweep is left to the next run");
            failed.get_or_insert(Failed { part, source });
        }
        done
    };
    let sweep = Sweep {
        settled: part("settling disconnects", settle::run(context, until).await),
        // First who is back, so that who goes silent again is told anew.
        cleared: part("clearing incidents", silence::clear(context, until).await),
        raised: part("raising incidents", silence::raise(context, until).await),
        expected: part("walking the registry", walk::run(context, until).await),
    };
    count(Metric::Settled, sweep.settled);
    count(Metric::Cleared, sweep.cleared);
    count(Metric::Raised, sweep.raised);
    if sweep != Sweep::default() {
        tracing::info!(
            settled = sweep.settled,
            cleared = sweep.cleared,
            raised = sweep.raised,
            expected = sweep.expected,
            "swept"
        );
    }
    failed.map_or(Ok(sweep), Err)
}

/// All lanes, from another one on each minute.
fn lanes(lanes: u8, now_ms: i64) -> impl Iterator<Item = u8> {
    let first = (now_ms.max(0) / 60_000 % i64::from(lanes)) as u8;
    (0..lanes).map(move |step| (first + step) % lanes)
}

/// A count of what was done, and the first failure.
#[derive(Default)]
struct Tally {
    done: usize,
    error: Option<RemoteError>,
}

impl Tally {
    /// Counts a result, and says whether it was one.
    fn add(&mut self, result: Result<bool, RemoteError>) -> bool {
        match result {
            Ok(is_new) => {
                self.done += usize::from(is_new);
                true
            }
            Err(error) => {
                self.error.get_or_insert(error);
                false
            }
        }
    }

    fn end(self) -> (usize, Option<RemoteError>) {
        (self.done, self.error)
    }

    fn stopped(mut self, error: RemoteError) -> (usize, Option<RemoteError>) {
        self.error.get_or_insert(error);
        self.end()
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_lane_has_its_turn_first() {
        let first: Vec<u8> = (0..3).map(|minute| super::lanes(3, minute * 60_000).next().unwrap()).collect();
        assert_eq!(first, [0, 1, 2]);
        assert_eq!(super::lanes(3, 60_000).collect::<Vec<_>>(), [1, 2, 0]);
    }
}
