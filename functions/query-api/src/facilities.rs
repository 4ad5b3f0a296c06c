//! The facilities of a reader, and how many devices of each are there.

use crate::answer::{Answer, Problem};
use crate::present::{is_open_silence, statuses};
use crate::query::{Query, cursor};
use crate::view::sees;
use crate::{Context, Ports};
use myaku::alert::incidents::ReadIncidents as _;
use myaku::device::registry::{Device, Directory as _};
use myaku::http::{Facilities, Reader};
use myaku::platform::errors::RemoteError;
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

/// How many facilities a list has, by default and at most.
const LIMIT: (usize, usize) = (50, 100);
/// How many devices one request counts. Each costs a read, so the numbers of facilities beyond are null.
const DEVICES_MAX: usize = 2_000;
/// How many devices are listed at a time.
const PAGE: usize = 500;

/// The facility called `name`, if the reader may see it.
pub(crate) fn named<'a>(reader: &Reader, name: &'a str) -> Result<&'a str, Problem> {
    if sees(reader, Some(name)) { Ok(name) } else { Err(Problem::not_found("the facility")) }
}

/// At most `limit` facilities of the reader, by name, after `name` or from the first.
pub(crate) async fn after<P: Ports>(
    context: &Context<P>,
    reader: &Reader,
    name: Option<&str>,
    limit: usize,
) -> Result<Vec<String>, RemoteError> {
    match &reader.facilities {
        Facilities::All => context.registry.store().facilities(name, limit).await,
        Facilities::Some(names) => {
            let from = name.map_or(Bound::Unbounded, Bound::Excluded);
            Ok(names.range::<str, _>((from, Bound::Unbounded)).take(limit).cloned().collect())
        }
    }
}

/// A facility in an answer. What was not counted is null.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct FacilityView {
    facility: String,
    devices: Option<usize>,
    connected: Option<usize>,
    silent: usize,
    open_alerts: usize,
}

/// `GET /v1/facilities`.
pub(crate) async fn list<P: Ports>(context: &Context<P>, reader: &Reader, query: &str) -> Result<Answer, Problem> {
    let query = Query::parse(query, &["limit", "cursor"])?;
    let limit = query.limit(LIMIT.0, LIMIT.1)?;
    let place: Option<String> = query.cursor()?;
    // One more shows whether the list goes on.
    let mut names = after(context, reader, place.as_deref(), limit + 1).await?;
    let has_more = names.len() > limit;
    names.truncate(limit);
    let next = names.last().filter(|_| has_more).map(|name| cursor(&name));
    let (mut views, mut left) = (Vec::new(), DEVICES_MAX);
    for name in names {
        let devices = devices_of(context, &name, left).await?;
        let open = context.incidents.open_in(&name).await?;
        let silent: BTreeSet<&str> =
            open.iter().filter(|it| is_open_silence(it)).map(|it| it.device_id.as_str()).collect();
        let connected = match &devices {
            Some(devices) => {
                let statuses = statuses(context, devices, |_| false).await?;
                Some(statuses.iter().filter(|status| status.connected == Some(true)).count())
            }
            None => None,
        };
        let devices = devices.map(|devices| devices.len());
        left -= devices.unwrap_or(0);
        views.push(FacilityView { devices, connected, silent: silent.len(), open_alerts: open.len(), facility: name });
    }
    Answer::json(&json!({"facilities": views, "next": next}))
}

/// All devices of a facility; `None` if it has more than `limit`.
async fn devices_of<P: Ports>(
    context: &Context<P>,
    facility: &str,
    limit: usize,
) -> Result<Option<Vec<Arc<Device>>>, RemoteError> {
    let mut devices: Vec<Arc<Device>> = Vec::new();
    loop {
        let last = devices.last().map(|device| device.device_id.clone());
        let found = context.registry.store().devices_of(facility, last.as_deref(), PAGE).await?;
        let is_last = found.len() < PAGE;
        devices.extend(found.into_iter().map(Arc::new));
        if devices.len() > limit {
            return Ok(None);
        }
        if is_last {
            return Ok(Some(devices));
        }
    }
}
