//! The walk over the registry: every registered device whose profile expects it is watched, heard or not, also when the
//! watch has lost its memory. The place of the walk is kept in the watch itself, so that its loss begins the walk anew.

use super::{Tally, Until};
use crate::{Context, Ports};
use myaku::alert::incidents::Incidents;
use myaku::device::presence::watch::{Expected, Hears as _, Watch};
use myaku::device::registry::{Device, Kind, MasterDataWriter, Page, parse_device};
use myaku::platform::clock::Now;
use myaku::platform::errors::RemoteError;
use std::time::Duration;

/// Devices that are read at a time.
const PAGE: usize = 500;
/// Such pages in one run: 100,000 devices, so that an hour is enough for six million.
const PAGES_MAX: usize = 200;
/// Between the end of a walk and the beginning of the next; also how long an unfinished one is remembered.
const EVERY: Duration = Duration::from_hours(1);
/// The name of its place.
const PLACE: &str = "walk";
/// What stands there behind the last page. No key of the registry begins so.
const DONE: &str = "done";

pub(super) async fn run<P: Ports>(context: &Context<P>, until: &Until<'_, P::Clock>) -> (usize, Option<RemoteError>) {
    let mut tally = Tally::default();
    let mut after = match context.watch.place(PLACE).await {
        Ok(place) => place,
        Err(error) => return tally.stopped(error),
    };
    for _ in 0..PAGES_MAX {
        if until.is_over() || after.as_deref() == Some(DONE) {
            break;
        }
        match page(context, after).await {
            Ok((expected, place)) => {
                tally.done += expected;
                after = Some(place);
            }
            Err(error) => return tally.stopped(error),
        }
    }
    tally.end()
}

/// Goes over one page. How many devices are expected from now on, and where the next one begins.
async fn page<P: Ports>(context: &Context<P>, after: Option<String>) -> Result<(usize, String), RemoteError> {
    let Page { documents, next } = context.registry.store().list(Kind::Device, after, PAGE).await?;
    // What is no device is the decoder's to complain of.
    let devices: Vec<Device> = documents.iter().filter_map(|(_, json)| parse_device(json).ok()).collect();
    let names: Vec<&str> = devices.iter().map(|device| device.profile.as_str()).collect();
    let profiles = context.registry.profiles(&names).await?;
    let wanted = devices.iter().filter_map(|device| {
        let interval = profiles.get(device.profile.as_str())?.expected_interval()?;
        Some((device.device_id.as_str(), interval))
    });
    let wanted: Vec<(&str, Duration)> = wanted.collect();
    let ids: Vec<&str> = wanted.iter().map(|(id, _)| *id).collect();
    let watched = context.watch.expected(&ids).await?;
    let missing: Vec<_> = wanted.iter().zip(watched).filter(|(_, by_ms)| by_ms.is_none()).map(|(it, _)| *it).collect();
    let ids: Vec<&str> = missing.iter().map(|(id, _)| *id).collect();
    // Whose silence is known is not watched until it is heard.
    let open = context.incidents.open_of(&ids).await?;
    let now_ms = context.clock.now_ms();
    let expected = missing.iter().zip(open).filter(|(_, open)| open.is_none()).map(|((id, interval), _)| Expected {
        device_id: (*id).to_owned(),
        by_ms: now_ms.saturating_add(interval.as_millis() as i64),
    });
    let expected: Vec<Expected> = expected.collect();
    context.watch.heard(&expected).await?;
    let place = next.unwrap_or_else(|| DONE.to_owned());
    context.watch.keep_place(PLACE, &place, EVERY).await?;
    Ok((expected.len(), place))
}
