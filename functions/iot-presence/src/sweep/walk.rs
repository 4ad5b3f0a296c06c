//! Walks over the registry, and adds the devices to the watch that are expected and not in it: devices that were never
//! heard, and all devices after the watch lost its data. The watch itself stores the cursor of the walk, so that a loss
//! starts the walk again.

use super::{Tally, TimeLimit};
use crate::{Context, Ports};
use myaku::alert::incidents::Incidents;
use myaku::device::presence::watch::{Expected, Hears as _, Watch};
use myaku::device::registry::{Device, Kind, MasterDataWriter, Page, parse_device};
use myaku::platform::clock::Now;
use myaku::platform::errors::RemoteError;
use std::time::Duration;

/// How many devices are read at a time.
const PAGE: usize = 500;
/// How many such pages one run reads: 100,000 devices, so that an hour is enough for six million.
const PAGES_MAX: usize = 200;
/// The time from the end of a walk to the start of the next, and how long the cursor of an unfinished walk is stored.
const CURSOR_TTL: Duration = Duration::from_hours(1);
/// The name under which the watch stores the cursor.
const CURSOR: &str = "walk";
/// The cursor after the last page. No key of the registry starts like this.
const DONE: &str = "done";

pub(super) async fn run<P: Ports>(
    context: &Context<P>,
    limit: &TimeLimit<'_, P::Clock>,
) -> (usize, Option<RemoteError>) {
    let mut tally = Tally::default();
    let mut after = match context.watch.place(CURSOR).await {
        Ok(cursor) => cursor,
        Err(error) => return tally.fail(error),
    };
    for _ in 0..PAGES_MAX {
        if limit.is_over() || after.as_deref() == Some(DONE) {
            break;
        }
        match walk_page(context, after).await {
            Ok((expected, next)) => {
                tally.done += expected;
                after = Some(next);
            }
            Err(error) => return tally.fail(error),
        }
    }
    tally.finish()
}

/// Walks over one page. Returns how many devices it added to the watch, and the cursor of the next page.
async fn walk_page<P: Ports>(context: &Context<P>, after: Option<String>) -> Result<(usize, String), RemoteError> {
    let Page { documents, next } = context.registry.store().list(Kind::Device, after, PAGE).await?;
    // Ignores invalid documents: the function that decodes messages reports them.
    let devices: Vec<Device> = documents.iter().filter_map(|(_, json)| parse_device(json).ok()).collect();
    let names: Vec<&str> = devices.iter().map(|device| device.profile.as_str()).collect();
    let profiles = context.registry.profiles(&names).await?;
    let with_interval = devices.iter().filter_map(|device| {
        let interval = profiles.get(device.profile.as_str())?.expected_interval()?;
        Some((device.device_id.as_str(), interval))
    });
    let with_interval: Vec<(&str, Duration)> = with_interval.collect();
    let ids: Vec<&str> = with_interval.iter().map(|(id, _)| *id).collect();
    let watched = context.watch.expected(&ids).await?;
    let missing = with_interval.iter().zip(watched).filter(|(_, by_ms)| by_ms.is_none());
    let missing: Vec<_> = missing.map(|(device, _)| *device).collect();
    let ids: Vec<&str> = missing.iter().map(|(id, _)| *id).collect();
    // A device with an open incident is not watched until it is heard.
    let open = context.incidents.open_of(&ids).await?;
    let now_ms = context.clock.now_ms();
    let expected = missing.iter().zip(open).filter(|(_, open)| open.is_none()).map(|((id, interval), _)| Expected {
        device_id: (*id).to_owned(),
        by_ms: now_ms.saturating_add(interval.as_millis() as i64),
    });
    let expected: Vec<Expected> = expected.collect();
    context.watch.heard(&expected).await?;
    let next = next.unwrap_or_else(|| DONE.to_owned());
    context.watch.keep_place(CURSOR, &next, CURSOR_TTL).await?;
    Ok((expected.len(), next))
}
