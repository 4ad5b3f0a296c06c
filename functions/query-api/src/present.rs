//! What devices say now: their status, and the present values of their metrics.

use crate::view::{AverageView, MetricView, StatusView, sees_present};
use crate::{Context, Ports};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use myaku::alert::{Incident, Kind};
use myaku::device::event_time::ClockSource;
use myaku::device::presence::store::Presences as _;
use myaku::device::profile::Profile;
use myaku::device::registry::Device;
use myaku::http::Reader;
use myaku::keyed::{Live, live};
use myaku::platform::clock::Now as _;
use myaku::platform::errors::RemoteError;
use myaku::results::{MetricResult, ResultsReader as _, Row};
use myaku::window::MovingAverage;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How many reads are in progress at a time.
pub(crate) const CONCURRENCY: usize = 32;
/// How often a metric is expected whose profile says nothing of that.
const EXPECTED_INTERVAL: Duration = Duration::from_secs(150);
/// A value is late after so many of the intervals in which one is expected: one message may be lost.
const LATE_AFTER: i64 = 2;

/// Whether each of `devices` is there. `silent` says so of each.
pub(crate) async fn statuses<P: Ports>(
    context: &Context<P>,
    devices: &[Arc<Device>],
    silent: impl Fn(&str) -> bool,
) -> Result<Vec<StatusView>, RemoteError> {
    let reads = devices.iter().map(|device| {
        let silent = silent(&device.device_id);
        async move {
            // A device connects under its own id.
            let stored = context.presences.get(&device.device_id).await?;
            let presence = stored.map(|stored| stored.presence);
            Ok(StatusView {
                connected: presence.as_ref().map(|presence| presence.connected),
                silent,
                last_heard_at: presence.map(|presence| presence.last_seen_ms),
            })
        }
    });
    let reads: Vec<_> = reads.collect();
    stream::iter(reads).buffered(CONCURRENCY).try_collect().await
}

/// Whether an incident is a silence that is not over.
pub(crate) fn is_open_silence(incident: &Incident) -> bool {
    incident.kind == Kind::DeviceSilent && incident.cleared_ms.is_none()
}

/// A device, and what is known of it now.
#[derive(Debug, Default)]
pub(crate) struct Present {
    live: Live<MetricResult>,
    row: Option<Row>,
}

/// Reads what is known of each of `devices` now, with their profiles: the states of all of them at once and, at the same time, the
/// rows. Without Redis, the rows alone.
pub(crate) async fn read<P: Ports>(
    context: &Context<P>,
    devices: &[(Arc<Device>, Option<Arc<Profile>>)],
) -> Result<Vec<Present>, RemoteError> {
    let reads = devices.iter().map(|(device, _)| context.results.latest(&device.device_id));
    let rows = stream::iter(reads.collect::<Vec<_>>()).buffered(CONCURRENCY).try_collect::<Vec<_>>();
    let (rows, mut live) = tokio::join!(rows, states(context, devices));
    let present = rows?.into_iter().zip(devices).map(|(row, (device, _))| {
        let live = live.remove(device.device_id.as_str()).unwrap_or_default();
        Present { live, row }
    });
    Ok(present.collect())
}

/// The present results of the devices whose states can be read, by their ids.
async fn states<'a, P: Ports>(
    context: &Context<P>,
    devices: &'a [(Arc<Device>, Option<Arc<Profile>>)],
) -> BTreeMap<&'a str, Live<MetricResult>> {
    let now_ms = context.clock.now_ms();
    if context.patience.is_paused(now_ms) {
        return BTreeMap::new();
    }
    let known = devices.iter().filter_map(|(device, profile)| Some((device.device_id.as_str(), profile.as_ref()?)));
    let known: Vec<_> = known.collect();
    let read = live::<MovingAverage>(&context.progress, &context.states, &context.readings_stream, &known);
    let live = context.patience.wait(now_ms, read).await.unwrap_or_default();
    known.into_iter().map(|(id, _)| id).zip(live).collect()
}

impl Present {
    /// When the newest message of the device was received that its row knows of, in milliseconds since the epoch.
    pub(crate) fn received_ms(&self) -> Option<i64> {
        self.row.as_ref().map(|row| row.received_at)
    }

    /// The present values that the reader may see, by metric.
    ///
    /// What a device sent through another facility is not shown before it has a row of this one: a state does not say where its
    /// readings came from.
    pub(crate) fn metrics(
        self,
        reader: &Reader,
        device: &Device,
        profile: Option<&Profile>,
        is_silent: bool,
        now_ms: i64,
    ) -> Vec<MetricView> {
        if self.row.as_ref().is_some_and(|row| !sees_present(reader, device, &row.facility)) {
            return Vec::new();
        }
        let Live { results, lost_until } = self.live;
        let mut metrics = self.row.map(|row| row.metrics).unwrap_or_default();
        // A row that was written before a loss does not know of it.
        for result in metrics.values_mut() {
            result.partial |= Some(result.at) <= lost_until;
        }
        // What the state has is as new as the row, or newer.
        metrics.extend(results);
        let view = |(metric, result): (String, MetricResult)| {
            let MetricResult { unit, value, at, clock, average, partial, .. } = result;
            let interval = profile.and_then(|profile| profile.metric(&metric)?.expected_interval);
            let freshness = freshness(at, interval, is_silent, now_ms);
            let myaku::results::Average { count, mean, min, max, stddev } = average;
            let average = AverageView { mean, min, max, stddev, count };
            let clock = clock.unwrap_or(ClockSource::Device).name();
            MetricView { metric, value, unit, at, clock, freshness, partial, average }
        };
        metrics.into_iter().map(view).collect()
    }
}

/// How present a value is that was measured at `at`.
fn freshness(at: i64, interval: Option<Duration>, is_silent: bool, now_ms: i64) -> &'static str {
    let interval_ms = interval.unwrap_or(EXPECTED_INTERVAL).as_millis() as i64;
    if is_silent {
        "silent"
    } else if now_ms.saturating_sub(at) > interval_ms.saturating_mul(LATE_AFTER) {
        "late"
    } else {
        "live"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_late_when_the_second_one_after_it_is_missing() {
        let of = |age_ms: i64, interval, is_silent| freshness(1_000_000 - age_ms, interval, is_silent, 1_000_000);
        let minute = Some(Duration::from_mins(1));
        assert_eq!((of(120_000, minute, false), of(120_001, minute, false)), ("live", "late"));
        assert_eq!((of(300_000, None, false), of(300_001, None, false)), ("live", "late"));
        assert_eq!(of(0, minute, true), "silent");
        assert_eq!(of(-5_000, minute, false), "live", "a device's clock may be ahead");
    }
}
