//! The second look at disconnects.

use super::{CONCURRENCY, Tally, Until, lanes};
use crate::{Context, Ports};
use futures::{StreamExt as _, stream};
use myaku::device::presence::settle;
use myaku::device::presence::store::{LANES, Presences, Stored, Written};
use myaku::platform::clock::Now;
use myaku::platform::errors::RemoteError;

/// Disconnects of a lane that are read at a time.
const PAGE: usize = 200;
/// Such pages of a lane in one run.
const PAGES_MAX: usize = 10;

pub(super) async fn run<P: Ports>(context: &Context<P>, until: &Until<'_, P::Clock>) -> (usize, Option<RemoteError>) {
    let now_ms = context.clock.now_ms();
    let mut tally = Tally::default();
    for lane in lanes(LANES, now_ms) {
        for _ in 0..PAGES_MAX {
            if until.is_over() {
                return tally.end();
            }
            let due = match context.presences.due(lane, now_ms, PAGE).await {
                Ok(due) => due,
                Err(error) => return tally.stopped(error),
            };
            let (is_full, before) = (due.len() == PAGE, tally.done);
            let presences = &context.presences;
            let mut results =
                stream::iter(due).map(|stored| one(presences, stored, now_ms)).buffer_unordered(CONCURRENCY);
            while let Some(result) = results.next().await {
                tally.add(result);
            }
            // A page of which nothing could be done is the same when it is read again.
            if !is_full || tally.done == before {
                break;
            }
        }
    }
    tally.end()
}

/// Settles one. Who reconnected in the meantime, or was settled by another run, has another revision.
async fn one(presences: &impl Presences, stored: Stored, now_ms: i64) -> Result<bool, RemoteError> {
    let Some(settled) = settle(&stored.presence, now_ms) else { return Ok(false) };
    Ok(presences.put(&settled, Some(stored.revision)).await? == Written::Done)
}
