//! Settles disconnects: those that are still the newest event after the grace period count.

use super::{CONCURRENCY, Tally, TimeLimit, lanes};
use crate::{Context, Ports};
use futures::{StreamExt as _, stream};
use myaku::device::presence::settle;
use myaku::device::presence::store::{LANES, Presences, Stored, Written};
use myaku::platform::clock::Now;
use myaku::platform::errors::RemoteError;

/// How many disconnects of a lane are read at a time.
const PAGE: usize = 200;
/// How many such pages of a lane one run reads.
const PAGES_MAX: usize = 10;

pub(super) async fn run<P: Ports>(
    context: &Context<P>,
    limit: &TimeLimit<'_, P::Clock>,
) -> (usize, Option<RemoteError>) {
    let now_ms = context.clock.now_ms();
    let mut tally = Tally::default();
    for lane in lanes(LANES, now_ms) {
        for _ in 0..PAGES_MAX {
            if limit.is_over() {
                return tally.finish();
            }
            let due = match context.presences.due(lane, now_ms, PAGE).await {
                Ok(due) => due,
                Err(error) => return tally.fail(error),
            };
            let (is_full, before) = (due.len() == PAGE, tally.done);
            let presences = &context.presences;
            let mut results =
                stream::iter(due).map(|stored| settle_one(presences, stored, now_ms)).buffer_unordered(CONCURRENCY);
            while let Some(result) = results.next().await {
                tally.add(result);
            }
            // If nothing on a page could be settled, the next read would return the same page.
            if !is_full || tally.done == before {
                break;
            }
        }
    }
    tally.finish()
}

/// Settles one disconnect. If the client reconnected in the meantime, or another run settled it, its revision has
/// changed.
async fn settle_one(presences: &impl Presences, stored: Stored, now_ms: i64) -> Result<bool, RemoteError> {
    let Some(settled) = settle(&stored.presence, now_ms) else { return Ok(false) };
    Ok(presences.put(&settled, Some(stored.revision)).await? == Written::Done)
}
