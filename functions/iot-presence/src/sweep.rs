//! The sweep: settles disconnects, clears and raises incidents, and walks over the registry.
//!
//! Each part runs even if another fails. Each does a limited amount of work in a run and leaves the rest to the next
//! one: finished work leaves its queue, and for a queue that is only read, the cursor is stored. A part with several
//! lanes starts with another lane each minute, so that a lane that takes all the time does not hold up the others for
//! long.

mod settle;
mod silence;
mod walk;

use crate::{Context, Ports};
use myaku::platform::clock::Now;
use myaku::platform::errors::{RemoteError, chain};
use myaku::platform::telemetry::{Metric, count};

/// No new work starts when less than this is left of the invocation's time, in milliseconds. It is enough to finish the
/// work in progress.
const MARGIN_MS: i64 = 10_000;
/// How many calls of one kind are in progress at a time.
const CONCURRENCY: usize = 16;

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SweepReport {
    /// Disconnects that count from now on.
    pub settled: usize,
    /// Incidents that ended.
    pub cleared: usize,
    /// Incidents that began.
    pub raised: usize,
    /// Devices that were not in the watch, and are expected from now on.
    pub expected: usize,
}

/// A part of a sweep failed. The next sweep does the rest.
#[derive(Debug, thiserror::Error)]
#[error("{part} failed; the next sweep does the rest")]
pub struct SweepError {
    /// The part.
    pub part: &'static str,
    /// The first failure.
    #[source]
    pub source: RemoteError,
}

/// The time after which no new work starts.
struct TimeLimit<'a, N> {
    clock: &'a N,
    ends_ms: i64,
}

impl<N: Now> TimeLimit<'_, N> {
    fn is_over(&self) -> bool {
        self.clock.now_ms() >= self.ends_ms
    }
}

/// Does all parts. If some fail, returns the error of the first.
pub(crate) async fn run<P: Ports>(context: &Context<P>, deadline_ms: i64) -> Result<SweepReport, SweepError> {
    let limit = &TimeLimit { clock: &context.clock, ends_ms: deadline_ms.saturating_sub(MARGIN_MS) };
    let mut failed = None;
    let mut part = |part: &'static str, (done, error): (usize, Option<RemoteError>)| {
        if let Some(source) = error {
            tracing::error!(
                part,
                done,
                error = chain(&source),
                "a part of the sweep failed; the next sweep does the rest"
            );
            failed.get_or_insert(SweepError { part, source });
        }
        done
    };
    let report = SweepReport {
        settled: part("settling disconnects", settle::run(context, limit).await),
        // Clear before raising, so that a device that is silent again gets a new incident.
        cleared: part("clearing incidents", silence::clear(context, limit).await),
        raised: part("raising incidents", silence::raise(context, limit).await),
        expected: part("walking the registry", walk::run(context, limit).await),
    };
    count(Metric::Settled, report.settled);
    count(Metric::Cleared, report.cleared);
    count(Metric::Raised, report.raised);
    if report != SweepReport::default() {
        tracing::info!(
            settled = report.settled,
            cleared = report.cleared,
            raised = report.raised,
            expected = report.expected,
            "the sweep changed something"
        );
    }
    failed.map_or(Ok(report), Err)
}

/// All lanes, starting with another one each minute.
fn lanes(lanes: u8, now_ms: i64) -> impl Iterator<Item = u8> {
    let first = (now_ms.max(0) / 60_000 % i64::from(lanes)) as u8;
    (0..lanes).map(move |step| (first + step) % lanes)
}

/// How much was done, and the first failure.
#[derive(Default)]
struct Tally {
    done: usize,
    error: Option<RemoteError>,
}

impl Tally {
    /// Counts a result. Returns whether it is a success.
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

    fn finish(self) -> (usize, Option<RemoteError>) {
        (self.done, self.error)
    }

    fn fail(mut self, error: RemoteError) -> (usize, Option<RemoteError>) {
        self.error.get_or_insert(error);
        self.finish()
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn each_minute_another_lane_is_first() {
        let first: Vec<u8> = (0..3).map(|minute| super::lanes(3, minute * 60_000).next().unwrap()).collect();
        assert_eq!(first, [0, 1, 2]);
        assert_eq!(super::lanes(3, 60_000).collect::<Vec<_>>(), [1, 2, 0]);
    }
}
