//! The sweep: sends what is due of all cases.

use crate::{Context, Ports, Report, send};
use futures::{StreamExt as _, stream};
use myaku::alert::cases::{Cases as _, LANES};
use myaku::platform::clock::Now as _;
use myaku::platform::errors::{RemoteError, chain};
use std::collections::BTreeSet;

/// No new work starts when less than this is left of the invocation's time, in milliseconds: a message may take that long.
const MARGIN_MS: i64 = 20_000;
/// How many cases of a lane are read at a time.
const PAGE: usize = 100;
/// How many cases are handled at the same time.
const CONCURRENCY: usize = 16;

/// Sends what is due. A case that fails does not stop the others.
pub(crate) async fn run<P: Ports>(context: &Context<P>, deadline_ms: i64) -> Result<Report, RemoteError> {
    let (mut report, mut failed) = (Report::default(), None);
    // The index may name a case again whose notices are sent.
    let mut seen = BTreeSet::new();
    let first = context.clock.now_ms().div_euclid(60_000).rem_euclid(i64::from(LANES)) as u8;
    // Another lane is first each minute, so that one that takes all the time does not hold up the others for long.
    for lane in (0..LANES).map(|step| (first + step) % LANES) {
        loop {
            let now_ms = context.clock.now_ms();
            if now_ms >= deadline_ms - MARGIN_MS {
                return failed.map_or(Ok(report), Err);
            }
            let due = context.cases.due(lane, now_ms, PAGE).await?;
            let due: Vec<String> = due.into_iter().filter(|key| seen.insert(key.clone())).collect();
            if due.is_empty() {
                break;
            }
            let mut sent = stream::iter(&due)
                .map(async |key| (key, send::run(context, key, deadline_ms).await))
                .buffer_unordered(CONCURRENCY);
            while let Some((key, sent)) = sent.next().await {
                match sent {
                    Ok(sent) => report += sent,
                    Err(error) => {
                        tracing::error!(
                            case = key,
                            error = chain(&error),
                            "cannot send what is due of a case; the next sweep does"
                        );
                        failed.get_or_insert(error);
                    }
                }
            }
        }
    }
    failed.map_or(Ok(report), Err)
}
