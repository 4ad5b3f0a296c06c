//! Reads the present results of a device: from the states of the moving average, and from its latest row what no state has;
//! and the windows of time that are not closed.

mod windows;

pub use windows::PresentWindow;

use anyhow::{Context as _, Result};
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use jiff::Timestamp;
use myaku::device::registry::{MasterData, Registry};
use myaku::keyed::progress::ProgressStore;
use myaku::keyed::states::States;
use myaku::keyed::{Live, live};
use myaku::platform::clock::Now;
use myaku::results::{MetricResult, ResultsReader};
use myaku::window::tumbling::MetricTimelines;
use myaku::window::{DeviceState, MovingAverage};
use serde::Serialize;
use std::collections::BTreeMap;

/// Where the results of a device are.
#[derive(Clone, Copy)]
pub struct Stores<'a, S, W, P, R> {
    /// The states of the moving average.
    pub states: &'a S,
    /// The states of the windows of time.
    pub windows: &'a W,
    /// How far both are.
    pub progress: &'a P,
    /// The rows of the moving average.
    pub results: &'a R,
    /// The stream that both read.
    pub readings_stream: &'a str,
}

/// The present results of a device.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Present {
    /// The device.
    pub device_id: String,
    /// Where it stands, as its latest row or the registry says.
    pub facility: Option<String>,
    /// When its latest row was written, in milliseconds since the epoch.
    pub row_written_at: Option<i64>,
    /// Its results, by metric.
    pub metrics: BTreeMap<String, PresentMetric>,
    /// Its windows of time that are not closed.
    pub windows: Vec<PresentWindow>,
}

/// The present result of a metric.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PresentMetric {
    /// The value of the newest reading.
    pub value: f64,
    /// Its unit; empty where there is none.
    pub unit: String,
    /// The time of that reading, in milliseconds since the epoch.
    pub at: i64,
    /// How many readings are in the window.
    pub count: u32,
    /// Their mean.
    pub mean: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
    /// Their standard deviation.
    pub stddev: f64,
    /// Whether readings that belong to the window may be missing.
    pub partial: bool,
    /// Where it was read: the present state, or the latest row.
    pub from: From,
}

/// Where a result was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum From {
    /// The present state.
    State,
    /// The latest row.
    Row,
}

impl PresentMetric {
    fn of(result: MetricResult, from: From) -> Self {
        let MetricResult { unit, value, at, average, partial, .. } = result;
        let myaku::results::Average { count, mean, min, max, stddev } = average;
        Self { value, unit, at, count, mean, min, max, stddev, partial, from }
    }
}

/// Reads the present results of `device`.
///
/// # Errors
/// The device is not registered, or a store cannot be read.
pub async fn present<M: MasterData, N: Now>(
    registry: &Registry<M, N>,
    stores: Stores<
        '_,
        impl States<State = DeviceState>,
        impl States<State = MetricTimelines>,
        impl ProgressStore,
        impl ResultsReader,
    >,
    device: &str,
) -> Result<Present> {
    let resolved = registry.resolve(&[device]).await.context("cannot read the registry")?;
    let known = resolved.get(device).map(|resolved| resolved.known(device));
    let (registered, profile) = known
        .transpose()
        .map_err(|problem| anyhow::anyhow!("{}; `myaku device list` shows the registered ones", problem.detail))?
        .context("the registry has not answered for the device")?;
    let Stores { states, windows, progress, results, readings_stream } = stores;
    let devices = [(device, profile)];
    let live = live::<MovingAverage>(progress, states, readings_stream, &devices);
    let mut live = live.await.context("cannot read the states from Redis")?;
    let windows = windows::present(windows, progress, readings_stream, device, profile).await?;
    let row = results.latest(device).await.context("cannot read the results")?;
    let facility = row.as_ref().map(|row| row.facility.clone()).or_else(|| registered.facility.clone());
    let row_written_at = row.as_ref().map(|row| row.updated_at);
    let Live { results, lost_until } = live.pop().unwrap_or_default();
    // A row that was written before a loss does not know of it.
    let flagged =
        |result: MetricResult| MetricResult { partial: result.partial || Some(result.at) <= lost_until, ..result };
    let of_row = row.into_iter().flat_map(|row| row.metrics);
    let of_row = of_row.map(|(name, result)| (name, flagged(result), From::Row));
    let of_state = results.into_iter().map(|(name, result)| (name, result, From::State));
    // What the state has is as new as the row, or newer.
    let metrics = of_row.chain(of_state).map(|(name, result, from)| (name, PresentMetric::of(result, from))).collect();
    Ok(Present { device_id: device.to_owned(), facility, row_written_at, metrics, windows })
}

impl Present {
    /// A table for people, with ages as of `now_ms`.
    pub fn to_text(&self, now_ms: i64) -> String {
        let place = self.facility.as_deref().map_or_else(String::new, |facility| format!(" in {facility}"));
        if self.metrics.is_empty() && self.windows.is_empty() {
            return format!("{}{place}: no results yet", self.device_id);
        }
        let tables = [self.metrics_table(now_ms), windows::table(&self.windows)].into_iter().flatten();
        let tables: Vec<String> = tables.map(|table| table.trim_fmt()).collect();
        format!("{}{place}\n{}", self.device_id, tables.join("\n\n"))
    }

    fn metrics_table(&self, now_ms: i64) -> Option<Table> {
        let mut table = Table::new();
        table
            .load_preset(NOTHING)
            .set_header(["metric", "value", "unit", "time", "age", "mean", "min", "max", "of", ""]);
        for (name, metric) in &self.metrics {
            let time =
                Timestamp::from_millisecond(metric.at).map_or_else(|_| metric.at.to_string(), |at| at.to_string());
            let notes = [(metric.partial, "partial"), (metric.from == From::Row, "from the row")];
            let notes: Vec<_> = notes.into_iter().filter(|(holds, _)| *holds).map(|(_, note)| note).collect();
            table.add_row([
                name.clone(),
                number(metric.value),
                metric.unit.clone(),
                time,
                format!("{:.1} s", (now_ms - metric.at) as f64 / 1_000.0),
                number(metric.mean),
                number(metric.min),
                number(metric.max),
                metric.count.to_string(),
                notes.join(", "),
            ]);
        }
        (!self.metrics.is_empty()).then_some(table)
    }
}

/// A number with three decimals at most.
fn number(value: f64) -> String {
    format!("{value:.3}").trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use myaku::device::event_time::ClockSource;
    use myaku::device::reading::Value;
    use myaku::device::registry::{Device, Key, Kind, LONGEST_USE, MemoryMasterData};
    use myaku::keyed::ReadingId;
    use myaku::keyed::fence::Fences;
    use myaku::keyed::progress::memory::MemoryProgress;
    use myaku::keyed::states::memory::MemoryStates;
    use myaku::keyed::states::{Commit, SlotCommit, Version};
    use myaku::keyed::{Incoming, Kept, Rule as _};
    use myaku::platform::clock::ManualClock;
    use myaku::results::memory::MemoryResults;
    use myaku::results::{Average, Item, Results as _, Row};
    use myaku::stream::batch::Position;
    use myaku::stream::slot::Slot;

    const NOW_MS: i64 = 1_795_218_892_020;

    fn registry() -> Registry<MemoryMasterData, ManualClock> {
        let store = MemoryMasterData::new();
        store.put_device(&Device::new("bed-17", "band", None));
        let profile = r#"{"id": "band",
            "metrics": {"heart_rate": {"unit": "1/min", "window": {"last": 3}}},
            "versions": [{"name": "1", "format": "json", "fields": [{"metric": "heart_rate", "from": "hr"}]}]}"#;
        store.put_document(Key::new(Kind::Profile, "band"), profile.to_owned());
        Registry::new(store, ManualClock::at(NOW_MS), LONGEST_USE)
    }

    fn row(metric: &str, value: f64) -> Row {
        let average = Average { count: 1, mean: value, min: value, max: value, stddev: 0.0 };
        let result = MetricResult {
            unit: "%".to_owned(),
            value,
            at: NOW_MS - 60_000,
            clock: None,
            average,
            partial: true,
            lost_until: None,
        };
        Row {
            device_id: "bed-17".to_owned(),
            item: Item::Latest,
            facility: "home-3".to_owned(),
            metrics: BTreeMap::from([(metric.to_owned(), result)]),
            stream: "readings".to_owned(),
            shard: "shard".to_owned(),
            position: Position::ZERO,
            counted: 1,
            lost_until: None,
            received_at: NOW_MS,
            updated_at: NOW_MS - 30_000,
            expires_at: None,
        }
    }

    async fn text(states: &MemoryStates<DeviceState>, results: &MemoryResults, device: &str) -> Result<String> {
        let (windows, progress) = (&MemoryStates::default(), &MemoryProgress::default());
        let stores = Stores { states, windows, progress, results, readings_stream: "readings" };
        Ok(present(&registry(), stores, device).await?.to_text(NOW_MS))
    }

    #[tokio::test]
    async fn a_value_comes_from_the_state_and_what_it_lacks_from_the_row() {
        let (states, results) = (MemoryStates::default(), MemoryResults::default());
        assert_eq!(text(&states, &results, "bed-17").await.unwrap(), "bed-17: no results yet");
        results.write(&[row("spo2", 97.5)]).await.unwrap();
        let mut kept = Kept::<DeviceState>::default();
        let registry = registry();
        let resolved = registry.resolve(&["bed-17"]).await.unwrap();
        let (_, profile) = resolved["bed-17"].known("bed-17").unwrap();
        for (id, value) in [(1, 60.0), (2, 61.0)] {
            let at = NOW_MS - 1_500 + id as i64;
            let (id, clock) = (ReadingId { order: id, digest: id }, ClockSource::Device);
            let reading = Incoming { metric: "heart_rate", id, at, clock, value: &Value::Number(value) };
            MovingAverage::step(profile, &mut kept.state, &reading, None);
        }
        let (fences, new) = (Fences::new(), Version::default());
        let states_of = vec![Commit { device_id: "bed-17", replaces: &new, kept: Some(&kept) }];
        let slot = Slot::of("bed-17");
        let commit = SlotCommit { slot, fences: &fences, fence: None, forgotten: Vec::new(), states: states_of };
        states.commit("readings", &[commit]).await.unwrap();
        insta::assert_snapshot!(text(&states, &results, "bed-17").await.unwrap(), @r"
        bed-17 in home-3
         metric      value  unit   time                      age     mean  min   max   of
         heart_rate  61     1/min  2026-11-20T23:54:50.522Z  1.5 s   60.5  60    61    2
         spo2        97.5   %      2026-11-20T23:53:52.02Z   60.0 s  97.5  97.5  97.5  1   partial, from the row
        ");
    }

    #[tokio::test]
    async fn a_device_that_is_not_registered_is_an_error_that_says_where_to_look() {
        let error = text(&MemoryStates::default(), &MemoryResults::default(), "bed-18").await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "device \"bed-18\" is not registered; `myaku device list` shows the registered ones"
        );
    }
}
