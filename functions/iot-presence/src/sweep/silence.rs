//! Who is silent, and who is back. Effects before state: the alert goes out, then the incident is kept.

use super::{CONCURRENCY, Tally, Until, lanes};
use crate::{Context, Ports};
use futures::{StreamExt as _, stream};
use myaku::alert::incidents::{self, Cursor, Incidents};
use myaku::alert::topic::Topic;
use myaku::alert::{Cleared, Incident};
use myaku::device::presence::watch::{LANES, Watch};
use myaku::device::registry::{Device, Resolved};
use myaku::platform::clock::Now;
use myaku::platform::errors::RemoteError;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Overdue devices of a lane that are looked at in one run.
const OVERDUE_MAX: usize = 500;
/// Alerts that one run raises at most, some more where a lane has many: an hour's outage of a whole site is told within
/// minutes, and does not take the topic's consumers by storm.
const RAISED_MAX: usize = 2_000;
/// Open incidents that are read at a time.
const PAGE: usize = 500;
/// Such pages in one run, of all lanes together; a lane without any incident is a page as well.
const PAGES_MAX: usize = 40;
/// Until when a run counts as a moment ago. Silence is judged only if it was watched: behind an outage of Redis, or its
/// loss, the first run gives everybody until the next one.
const WATCHED: Duration = Duration::from_mins(5);
/// For how long the place among the open incidents is kept; behind that it begins anew.
const PLACE_KEPT: Duration = Duration::from_hours(1);
/// The names of the places.
const SWEPT: &str = "swept";
const OPEN: &str = "open";

/// What the registry expects of a device.
enum Wanted {
    Within(Duration, Arc<Device>),
    Nothing,
}

/// What the registry expects of each device.
async fn wanted<'a, P: Ports>(
    context: &Context<P>,
    device_ids: &[&'a str],
) -> Result<HashMap<&'a str, Wanted>, RemoteError> {
    let resolved = context.registry.resolve(device_ids).await?;
    let wanted = resolved.into_iter().map(|(id, resolved)| {
        let wanted = match resolved {
            Resolved::Known(device, profile) => match profile.expected_interval() {
                Some(interval) => Wanted::Within(interval, device),
                None => Wanted::Nothing,
            },
            _ => Wanted::Nothing,
        };
        (id, wanted)
    });
    Ok(wanted.collect())
}

/// Raises an incident for each device that is overdue and has none open.
pub(super) async fn raise<P: Ports>(context: &Context<P>, until: &Until<'_, P::Clock>) -> (usize, Option<RemoteError>) {
    let mut tally = Tally::default();
    let now_ms = context.clock.now_ms();
    let was_watched = match context.watch.place(SWEPT).await {
        Ok(place) => place.is_some(),
        Err(error) => return tally.stopped(error),
    };
    if let Err(error) = context.watch.keep_place(SWEPT, &now_ms.to_string(), WATCHED).await {
        return tally.stopped(error);
    }
    if !was_watched {
        tracing::info!("the watch begins: silence is judged from the next run on");
        return tally.end();
    }
    for lane in lanes(LANES, now_ms) {
        if until.is_over() || tally.done >= RAISED_MAX {
            break;
        }
        if let Err(error) = raise_lane(context, lane, now_ms, &mut tally).await {
            return tally.stopped(error);
        }
    }
    tally.end()
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
    let wanted = wanted(context, &ids).await?;
    let open = context.incidents.open_of(&ids).await?;
    // Whose silence is known, or nobody's business, is watched no more until it is heard.
    let mut settled = Vec::new();
    let mut silent = Vec::new();
    for (expected, open) in overdue.iter().zip(open) {
        match wanted.get(expected.device_id.as_str()) {
            Some(Wanted::Within(interval, device)) if open.is_none() => {
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
        .map(|(expected, incident)| async move { (expected, tell(context, &incident).await) })
        .buffer_unordered(CONCURRENCY);
    while let Some((expected, told)) = results.next().await {
        if tally.add(told) {
            settled.push(expected);
        }
    }
    context.watch.drop_unheard(&settled).await
}

/// Tells of an incident, and then keeps it. Where another is open by now, somebody else told of the same silence.
async fn tell<P: Ports>(context: &Context<P>, incident: &Incident) -> Result<bool, RemoteError> {
    context.topic.publish(&incident.raised()).await?;
    Ok(context.incidents.put(incident).await? == incidents::Written::Done)
}

/// Clears the open incidents whose devices are back, or not expected any more.
pub(super) async fn clear<P: Ports>(context: &Context<P>, until: &Until<'_, P::Clock>) -> (usize, Option<RemoteError>) {
    let mut tally = Tally::default();
    let (mut lane, mut after) = match context.watch.place(OPEN).await {
        Ok(place) => place.as_deref().and_then(parse_place).unwrap_or((0, None)),
        Err(error) => return tally.stopped(error),
    };
    // A run goes around once at most.
    let mut lanes_left = incidents::LANES;
    for _ in 0..PAGES_MAX {
        if until.is_over() || lanes_left == 0 {
            break;
        }
        let page = match context.incidents.open(lane, after.as_ref(), PAGE).await {
            Ok(page) => page,
            Err(error) => return tally.stopped(error),
        };
        if let Err(error) = clear_page(context, &page.incidents, &mut tally).await {
            return tally.stopped(error);
        }
        after = page.next;
        if after.is_none() {
            lane = (lane + 1) % incidents::LANES;
            lanes_left -= 1;
        }
    }
    let place = format!("{lane}:{}", after.map(|place| place.to_string()).unwrap_or_default());
    match context.watch.keep_place(OPEN, &place, PLACE_KEPT).await {
        Ok(()) => tally.end(),
        Err(error) => tally.stopped(error),
    }
}

/// `<lane>:<place>`, or `<lane>:` at its beginning.
fn parse_place(text: &str) -> Option<(u8, Option<Cursor>)> {
    let (lane, place) = text.split_once(':')?;
    let lane = lane.parse().ok().filter(|lane| *lane < incidents::LANES)?;
    Some((lane, place.parse().ok()))
}

async fn clear_page<P: Ports>(context: &Context<P>, open: &[Incident], tally: &mut Tally) -> Result<(), RemoteError> {
    if open.is_empty() {
        return Ok(());
    }
    let now_ms = context.clock.now_ms();
    let ids: Vec<&str> = open.iter().map(|incident| incident.device_id.as_str()).collect();
    let wanted = wanted(context, &ids).await?;
    let expected = context.watch.expected(&ids).await?;
    let over = open.iter().zip(expected).filter_map(|(incident, by_ms)| {
        let why = match wanted.get(incident.device_id.as_str()) {
            Some(Wanted::Within(..)) if by_ms.is_some_and(|by_ms| by_ms >= now_ms) => Cleared::Returned,
            Some(Wanted::Within(..)) => return None,
            Some(Wanted::Nothing) | None => Cleared::NotExpected,
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
