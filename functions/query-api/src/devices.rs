//! Devices: a list of them, and one.

use crate::answer::{Answer, Problem};
use crate::facilities::{after, named};
use crate::present::{self, is_open_silence};
use crate::query::{Query, cursor};
use crate::view::{AlertView, DeviceView, StatusView, can_be_an_id, device, sees};
use crate::{Context, Ports};
use myaku::alert::Incident;
use myaku::alert::incidents::ReadIncidents as _;
use myaku::device::profile::Profile;
use myaku::device::registry::{Device, Directory as _};
use myaku::http::Reader;
use myaku::platform::clock::Now as _;
use myaku::platform::errors::RemoteError;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How many devices a list has, by default and at most.
const LIMIT: (usize, usize) = (50, 200);
/// How many pages of the directory one request looks at. A list of few matches among many devices ends early, with a cursor.
const PAGES_MAX: usize = 10;

/// What devices are asked for by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Connected,
    Disconnected,
    Silent,
}

impl Wanted {
    const NAMES: [(&'static str, Self); 3] =
        [("connected", Self::Connected), ("disconnected", Self::Disconnected), ("silent", Self::Silent)];

    fn is(self, status: &StatusView) -> bool {
        match self {
            Self::Connected => status.connected == Some(true),
            Self::Disconnected => status.connected == Some(false),
            Self::Silent => status.silent,
        }
    }
}

/// `GET /v1/devices`.
pub(crate) async fn list<P: Ports>(context: &Context<P>, reader: &Reader, query: &str) -> Result<Answer, Problem> {
    let query = Query::parse(query, &["facility", "profile", "status", "q", "limit", "cursor"])?;
    let limit = query.limit(LIMIT.0, LIMIT.1)?;
    let wanted = query.one_of("status", &Wanted::NAMES)?;
    let text = query.text("q").map(str::to_lowercase);
    let only = query.text("facility").map(|facility| named(reader, facility)).transpose()?;
    let place: Option<(String, Option<String>)> = query.cursor()?;
    // A place that the reader may not see is not one of the list.
    let place = place.filter(|(facility, device)| {
        let is_listed = sees(reader, Some(facility)) && only.is_none_or(|only| only == facility);
        is_listed && device.as_deref().is_none_or(can_be_an_id)
    });
    let (mut facility, mut since) = match (place, only) {
        (Some((facility, device)), _) => (Some(facility), device),
        (None, Some(only)) => (Some(only.to_owned()), None),
        (None, None) => (after(context, reader, None, 1).await?.pop(), None),
    };
    let (mut devices, mut next) = (Vec::new(), None);
    for _ in 0..PAGES_MAX {
        let Some(name) = facility.clone() else { break };
        let found = context.registry.store().devices_of(&name, since.as_deref(), limit).await?;
        let last = found.last().filter(|_| found.len() == limit).map(|device| device.device_id.clone());
        let is_asked_for = |device: &Device| {
            query.text("profile").is_none_or(|profile| device.profile == profile)
                && text.as_ref().is_none_or(|text| device.device_id.to_lowercase().contains(text))
        };
        let found: Vec<_> = found.into_iter().filter(is_asked_for).map(Arc::new).collect();
        let mut found = with_status(context, &name, found).await?;
        found.retain(|found| wanted.is_none_or(|wanted| wanted.is(&found.status)));
        let left = limit - devices.len();
        if found.len() > left {
            found.truncate(left);
            let last = found.last().map(|found| found.device.device_id.clone()).or(since);
            devices.extend(found);
            next = Some(cursor(&(name, last)));
            break;
        }
        devices.extend(found);
        if last.is_none() {
            facility = if only.is_some() { None } else { after(context, reader, Some(&name), 1).await?.pop() };
        }
        since = last;
        // If this is the last page to look at, the next request goes on here.
        next = facility.as_ref().map(|facility| cursor(&(facility, &since)));
        if devices.len() == limit {
            break;
        }
    }
    let devices = views(context, reader, devices).await?;
    Answer::json(&json!({"devices": devices, "next": next}))
}

/// `GET /v1/devices/{id}`.
pub(crate) async fn one<P: Ports>(
    context: &Context<P>,
    reader: &Reader,
    id: &str,
    query: &str,
) -> Result<Answer, Problem> {
    Query::parse(query, &[])?;
    let device = device(context, reader, id).await?;
    let profiles = context.registry.profiles(&[&device.profile]).await?;
    let profile = profiles.get(device.profile.as_str()).cloned();
    let devices = [(Arc::clone(&device), profile.clone())];
    let (statuses, incidents, mut present) = tokio::try_join!(
        present::statuses(context, std::slice::from_ref(&device), |_| false),
        context.incidents.of_device(id),
        present::read(context, &devices),
    )?;
    let mut open: Vec<&Incident> = incidents.iter().filter(|incident| incident.cleared_ms.is_none()).collect();
    let mut status = statuses.into_iter().next().unwrap_or_default();
    status.silent = open.iter().any(|incident| is_open_silence(incident));
    // An incident belongs to where the device stood when it was raised.
    open.retain(|incident| sees(reader, incident.facility.as_deref().or(device.facility.as_deref())));
    open.sort_by_key(|incident| std::cmp::Reverse(incident.raised_ms));
    let found = Found { device, status, open_alerts: open.len() };
    let now_ms = context.clock.now_ms();
    let alerts = open.into_iter().map(AlertView::of).collect();
    let view = found.view(reader, profile.as_deref(), present.pop().unwrap_or_default(), now_ms);
    Answer::json(&DeviceView { alerts: Some(alerts), ..view })
}

/// A device of a list.
struct Found {
    device: Arc<Device>,
    status: StatusView,
    open_alerts: usize,
}

impl Found {
    fn view(self, reader: &Reader, profile: Option<&Profile>, present: present::Present, now_ms: i64) -> DeviceView {
        let Self { device, mut status, open_alerts } = self;
        status.last_heard_at = status.last_heard_at.max(present.received_ms());
        DeviceView {
            metrics: present.metrics(reader, &device, profile, status.silent, now_ms),
            device_id: device.device_id.clone(),
            facility: device.facility.clone(),
            profile: device.profile.clone(),
            status,
            open_alerts,
            alerts: None,
        }
    }
}

/// Devices of a facility with their status and alerts.
async fn with_status<P: Ports>(
    context: &Context<P>,
    facility: &str,
    devices: Vec<Arc<Device>>,
) -> Result<Vec<Found>, RemoteError> {
    if devices.is_empty() {
        return Ok(Vec::new());
    }
    let open = context.incidents.open_in(facility).await?;
    let mut alerts: BTreeMap<&str, (usize, bool)> = BTreeMap::new();
    for incident in &open {
        let (count, is_silent) = alerts.entry(&incident.device_id).or_default();
        *count += 1;
        *is_silent |= is_open_silence(incident);
    }
    let is_silent = |id: &str| alerts.get(id).is_some_and(|(_, is_silent)| *is_silent);
    let statuses = present::statuses(context, &devices, is_silent).await?;
    let found = devices.into_iter().zip(statuses).map(|(device, status)| {
        let open_alerts = alerts.get(device.device_id.as_str()).map_or(0, |(count, _)| *count);
        Found { device, status, open_alerts }
    });
    Ok(found.collect())
}

async fn views<P: Ports>(
    context: &Context<P>,
    reader: &Reader,
    found: Vec<Found>,
) -> Result<Vec<DeviceView>, RemoteError> {
    let names: Vec<&str> = found.iter().map(|found| found.device.profile.as_str()).collect();
    let profiles = context.registry.profiles(&names).await?;
    let profile = |found: &Found| profiles.get(found.device.profile.as_str()).cloned();
    let devices: Vec<_> = found.iter().map(|found| (Arc::clone(&found.device), profile(found))).collect();
    let present = present::read(context, &devices).await?;
    let now_ms = context.clock.now_ms();
    let views = found.into_iter().zip(devices.iter().zip(present));
    Ok(views.map(|(found, ((_, profile), present))| found.view(reader, profile.as_deref(), present, now_ms)).collect())
}
