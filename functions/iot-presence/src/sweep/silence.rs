//! Raises an incident for each silent device, and clears it when the device is back. Effects before state: the alert is
//! published first, then the incident is stored.

use super::{CONCURRENCY, Tally, TimeLimit, lanes};
use crate::{Context, Ports};
use futures::{StreamExt as _, stream};
use myaku::alert::incidents::{self, Cursor, Incidents, Queue};
use myaku::alert::topic::Topic;
use myaku::alert::{Cleared, Incident};
use myaku::device::presence::watch::{LANES, Watch};
use myaku::device::registry::{Device, Resolved};
use myaku::platform::clock::Now;
use myaku::platform::errors::RemoteError;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// How many overdue devices of a lane one run reads.
const OVERDUE_MAX: usize = 500;
/// After this many alerts, a run starts no further lane. So an outage of a whole site is reported within minutes, and
/// does not overwhelm the topic's subscribers.
const RAISED_MAX: usize = 2_000;
/// How many open incidents are read at a time.
const PAGE: usize = 500;
/// How many such pages one run reads, of all lanes together. A lane without incidents counts as one page.
const PAGES_MAX: usize = 40;
/// How long ago the last run may be. A silence counts only if the watch was working all the time: after an outage of
/// Redis, or a loss of its data, the first run raises no incidents, and each device has until the next run.
const RUN_TTL: Duration = Duration::from_mins(5);
/// How long the cursor of the open incidents is stored. After that, a run starts again at the first lane.
const CURSOR_TTL: Duration = Duration::from_hours(1);
/// The name under which the watch stores the time of the last run.
const LAST_RUN: &str = "swept";
/// The name under which the watch stores the cursor of the open incidents.
const OPEN_CURSOR: &str = "open";

/// What the registry expects of a device.
enum Expectation {
    /// It must be heard at least this often.
    Within(Duration, Arc<Device>),
    /// The device is not registered, or its profile expects nothing.
    MayBeSilent,
}

/// Reads what the registry expects of each device.
async fn load_expectations<'a, P: Ports>(
    context: &Context<P>,
    device_ids: &[&'a str],
) -> Result<HashMap<&'a str, Expectation>, RemoteError> {
    let resolved = context.registry.resolve(device_ids).await?;
    let expectations = resolved.into_iter().map(|(id, resolved)| {
        let expectation = match resolved {
            Resolved::Known(device, profile) => match profile.expected_interval() {
                Some(interval) => Expectation::Within(interval, device),
                None => Expectation::MayBeSilent,
            },
            _ => Expectation::MayBeSilent,
        };
        (id, expectation)
    });
    Ok(expectations.collect())
}

/// Raises an incident for each device that is overdue and has none open.
pub(super) async fn raise<P: Ports>(
    context: &Context<P>,
    limit: &TimeLimit<'_, P::Clock>,
) -> (usize, Option<RemoteError>) {
    let mut tally = Tally::default();
    let now_ms = context.clock.now_ms();
    let ran_recently = match context.watch.place(LAST_RUN).await {
        Ok(last_run) => last_run.is_some(),
        Err(error) => return tally.fail(error),
    };
    if let Err(error) = context.watch.keep_place(LAST_RUN, &now_ms.to_string(), RUN_TTL).await {
        return tally.fail(error);
    }
    if !ran_recently {
        tracing::info!("the watch starts; incidents are raised from the next run");
        return tally.finish();
    }
    for lane in lanes(LANES, now_ms) {
        if limit.is_over() || tally.done >= RAISED_MAX {
            break;
        }
        if let Err(error) = raise_lane(context, lane, now_ms, &mut tally).await {
            return tally.fail(error);
        }
    }
    tally.finish()
}

async fn raise_lane<P: Ports>(
    context: &Context<P>,
    lane: u8,
    now_ms: i64,
    tally: &mut Tally,
) -> Result<(), RemoteError> {
    let overdue = context.watch.overdue(lane, now_ms, OVERDUE_MAX).await?;
    if overdue.is_empty() {
        return Ok(());
    }
    let ids: Vec<&str> = overdue.iter().map(|expected| expected.device_id.as_str()).collect();
    let expectations = load_expectations(context, &ids).await?;
    let open = context.incidents.open_of(&ids).await?;
    // Devices to remove from the watch until they are heard: those with an open incident, and those that may be silent.
    let mut settled = Vec::new();
    let mut silent = Vec::new();
    for (expected, open) in overdue.iter().zip(open) {
        match expectations.get(expected.device_id.as_str()) {
            Some(Expectation::Within(interval, device)) if open.is_none() => {
                let facility = device.facility.as_deref();
                silent.push((
                    expected.clone(),
                    Incident::silence(&expected.device_id, expected.by_ms, *interval, facility, now_ms),
                ));
            }
            _ => settled.push(expected.clone()),
        }
    }
    let mut results = stream::iter(silent)
        .map(|(expected, incident)| async move { (expected, publish_and_store(context, &incident).await) })
        .buffer_unordered(CONCURRENCY);
    while let Some((expected, result)) = results.next().await {
        if tally.add(result) {
            settled.push(expected);
        }
    }
    context.watch.drop_unheard(&settled).await
}

/// Publishes the alert of an incident, and then stores the incident. Returns `false` if another one is open by now:
/// then another run reported the same silence.
async fn publish_and_store<P: Ports>(context: &Context<P>, incident: &Incident) -> Result<bool, RemoteError> {
    context.topic.publish(&incident.raised()).await?;
    Ok(context.incidents.put(incident).await? == incidents::Written::Done)
}

/// Clears the open incidents whose devices are back, or not expected any more.
pub(super) async fn clear<P: Ports>(
    context: &Context<P>,
    limit: &TimeLimit<'_, P::Clock>,
) -> (usize, Option<RemoteError>) {
    let mut tally = Tally::default();
    let (mut lane, mut after) = match context.watch.place(OPEN_CURSOR).await {
        Ok(cursor) => cursor.as_deref().and_then(parse_cursor).unwrap_or((0, None)),
        Err(error) => return tally.fail(error),
    };
    // A run reads each lane once at most.
    let mut lanes_left = incidents::LANES;
    for _ in 0..PAGES_MAX {
        if limit.is_over() || lanes_left == 0 {
            break;
        }
        let page = match context.incidents.open(Queue::Silent, lane, after.as_ref(), PAGE).await {
            Ok(page) => page,
            Err(error) => return tally.fail(error),
        };
        if let Err(error) = clear_page(context, &page.incidents, &mut tally).await {
            return tally.fail(error);
        }
        after = page.next;
        if after.is_none() {
            lane = (lane + 1) % incidents::LANES;
            lanes_left -= 1;
        }
    }
    let cursor = format!("{lane}:{}", after.map(|after| after.to_string()).unwrap_or_default());
    match context.watch.keep_place(OPEN_CURSOR, &cursor, CURSOR_TTL).await {
        Ok(()) => tally.finish(),
        Err(error) => tally.fail(error),
    }
}

/// Parses `<lane>:<cursor>`, or `<lane>:` for the start of a lane.
fn parse_cursor(text: &str) -> Option<(u8, Option<Cursor>)> {
    let (lane, after) = text.split_once(':')?;
    let lane = lane.parse().ok().filter(|lane| *lane < incidents::LANES)?;
    Some((lane, after.parse().ok()))
}

async fn clear_page<P: Ports>(context: &Context<P>, open: &[Incident], tally: &mut Tally) -> Result<(), RemoteError> {
    if open.is_empty() {
        return Ok(());
    }
    let now_ms = context.clock.now_ms();
    let ids: Vec<&str> = open.iter().map(|incident| incident.device_id.as_str()).collect();
    let expectations = load_expectations(context, &ids).await?;
    let expected = context.watch.expected(&ids).await?;
    let over = open.iter().zip(expected).filter_map(|(incident, by_ms)| {
        let why = match expectations.get(incident.device_id.as_str()) {
            Some(Expectation::Within(..)) if by_ms.is_some_and(|by_ms| by_ms >= now_ms) => Cleared::Returned,
            Some(Expectation::Within(..)) => return None,
            Some(Expectation::MayBeSilent) | None => Cleared::NotExpected,
        };
        Some(incident.cleared(why, now_ms))
    });
    let over: Vec<_> = over.collect();
    let mut results = stream::iter(over)
        .map(|(alert, incident)| async move {
            context.topic.publish(&alert).await?;
            Ok(context.incidents.put(&incident).await? == incidents::Written::Done)
        })
        .buffer_unordered(CONCURRENCY);
    while let Some(result) = results.next().await {
        tally.add(result);
    }
    Ok(())
}
