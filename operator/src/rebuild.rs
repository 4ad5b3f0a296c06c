//! Rebuilds the windows of devices from the lake, after Redis lost its memory.
//!
//! It reads the lake once, and decodes it as the function `transform` does, with the registry as it is now. For each
//! device it keeps as many readings as the windows need, which takes some kilobytes. Then it restores what each device
//! has lost, some slots at a time, as [`myaku::window::rebuild`] decides. It judges the fences of the slots as the moving
//! average does, and commits the states by compare-and-set on what it loaded. So it never overwrites a moving average that
//! runs at the same time: where that was faster, it does the devices again.

mod restore;

use crate::selection::{Selection, user_record};
use anyhow::{Context as _, Result};
use futures::StreamExt as _;
use indicatif::ProgressBar;
use myaku::device::decoding::Content;
use myaku::device::profile::Profile;
use myaku::device::reading::{Reading, Value};
use myaku::device::registry::{MasterData, Registry, Resolved};
use myaku::keyed::ReadingId;
use myaku::keyed::progress::ProgressStore;
use myaku::keyed::states::States;
use myaku::lake::archive::{Lake, LakeRecord, ObjectKey};
use myaku::platform::clock::Now;
use myaku::results::{Results, ResultsReader};
use myaku::stream::slot::Slot;
use myaku::window::DeviceState;
use myaku::window::rebuild::Recovered;
use myaku::window::{Entry, Place};
use restore::{Devices, Work, groups};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::pin::pin;
use std::sync::Arc;

/// How often a device is tried if the moving average advances its slot meanwhile.
const ROUNDS: usize = 5;

/// What a rebuild covers.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which records of the lake.
    pub selection: Selection,
    /// Whether the selection is the whole lake, from its beginning.
    pub is_everything: bool,
    /// Everything that arrived up to this time is in the lake, in milliseconds since the epoch.
    pub settled_ms: i64,
    /// The stream of readings.
    pub readings_stream: String,
}

/// What the moving average keeps, and what it says of it.
#[derive(Debug)]
pub struct Stores<'a, S, P, R> {
    /// The states of its devices.
    pub states: &'a S,
    /// How far it is.
    pub progress: &'a P,
    /// Its results.
    pub results: &'a R,
}

/// The result of a rebuild.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Records of the lake that were read.
    pub records: u64,
    /// Readings that these records gave, counting only those of metrics with a window.
    pub readings: u64,
    /// Devices that sent the readings.
    pub devices: u64,
    /// Devices that had lost something. They got back what the lake has.
    pub rebuilt: u64,
    /// Metrics of the rebuilt devices that are whole again.
    pub whole: u64,
    /// Metrics of the rebuilt devices whose windows reach further back than the selection: their results stay partial
    /// until the windows have filled again.
    pub partial: u64,
    /// Devices that were left alone because their last readings may not be archived yet: run the rebuild again later.
    pub busy: u64,
    /// Devices that the moving average advanced faster than the rebuild: run it again.
    pub overtaken: u64,
}

/// A device with readings in the lake.
struct Device {
    profile: Arc<Profile>,
    recovered: Recovered,
}

/// Rebuilds the windows of every device with readings in the selection.
pub async fn rebuild<M: MasterData, N: Now>(
    lake: &impl Lake,
    registry: &Registry<M, N>,
    stores: Stores<'_, impl States<State = DeviceState>, impl ProgressStore, impl Results + ResultsReader>,
    clock: &impl Now,
    options: &Options,
    progress: &ProgressBar,
) -> Result<Report> {
    let mut report = Report::default();
    progress.set_message("listing the lake");
    let objects = if options.is_everything {
        let all =
            myaku::lake::archive::list(lake, &options.selection.stream).await.context("cannot list the whole lake")?;
        all.into_iter()
            .filter(|key| options.selection.shard.as_ref().is_none_or(|shard| *shard == key.of.shard))
            .collect()
    } else {
        options.selection.objects(lake).await?
    };
    let devices = read(lake, registry, objects, options, &mut report, progress).await?;
    report.devices = devices.len() as u64;
    progress.set_position(0);
    progress.set_length(devices.len() as u64);
    progress.set_message("restoring windows");
    let mut slots = BTreeMap::<Slot, Devices<'_>>::new();
    for (id, device) in &devices {
        slots.entry(Slot::of(id)).or_default().push((id, device));
    }
    let work = Work { stores, clock, options };
    for group in groups(slots) {
        let count: usize = group.values().map(Vec::len).sum();
        let mut remaining = group;
        for _ in 0..ROUNDS {
            if !remaining.is_empty() {
                remaining = work.restore(&remaining, &mut report).await?;
            }
        }
        report.overtaken += remaining.values().map(Vec::len).sum::<usize>() as u64;
        progress.inc(count as u64);
    }
    Ok(report)
}

/// Reads the readings of the lake, by device.
async fn read<M: MasterData, N: Now>(
    lake: &impl Lake,
    registry: &Registry<M, N>,
    objects: Vec<ObjectKey>,
    options: &Options,
    report: &mut Report,
    progress: &ProgressBar,
) -> Result<HashMap<String, Device>> {
    let mut devices = HashMap::new();
    progress.set_length(objects.len() as u64);
    progress.set_message("reading the lake");
    let mut read = pin!(options.selection.records(lake, objects));
    while let Some(object) = read.next().await {
        let (_, records) = object?;
        let contents: Vec<_> = records.iter().map(|record| Content::of(&user_record(record))).collect();
        let ids: Vec<_> = contents.iter().filter_map(Content::device_id).collect();
        let resolved = registry.resolve(&ids).await.context("cannot read the registry")?;
        report.records += records.len() as u64;
        for (record, content) in records.iter().zip(&contents) {
            let resolved = content.device_id().and_then(|id| resolved.get(id));
            report.readings += add_readings(&mut devices, record, content, resolved);
        }
        progress.inc(1);
    }
    Ok(devices)
}

/// Adds the readings of one record to their devices, and returns how many of them have a window.
fn add_readings(
    devices: &mut HashMap<String, Device>,
    record: &LakeRecord,
    content: &Content<'_>,
    resolved: Option<&Resolved>,
) -> u64 {
    // A record that gives no readings is a dead letter already.
    let (Some(Resolved::Known(_, profile)), Ok(decoded)) = (resolved, content.decode(resolved, record.arrived_ms))
    else {
        return 0;
    };
    let mut added = 0;
    for reading in decoded.readings {
        let Some(spec) = profile.window(reading.metric) else { continue };
        // The moving average got the reading as JSON, and JSON can change the last digit of a number.
        let Some(reading) = through_json(&reading) else { continue };
        let Value::Number(value) = &reading.value else { continue };
        let device = devices
            .entry(reading.device_id)
            .or_insert_with(|| Device { profile: Arc::clone(profile), recovered: Recovered::default() });
        let place = Place { at: reading.at, id: ReadingId::of(&reading.id, reading.received_at) };
        let entry = Entry { place, value: *value, clock: Some(reading.clock) };
        device.recovered.insert(spec, &reading.metric, entry);
        added += 1;
    }
    added
}

fn through_json(reading: &Reading<&str>) -> Option<Reading> {
    serde_json::from_slice(&serde_json::to_vec(reading).ok()?).ok()
}

impl Report {
    /// Returns the report as text.
    pub fn to_text(&self) -> String {
        let mut text = format!(
            "{} records of the lake gave {} readings of {} devices.\n\
             {} devices had lost readings: {} of their metrics are whole again, {} stay partial.",
            self.records, self.readings, self.devices, self.rebuilt, self.whole, self.partial
        );
        if self.partial > 0 {
            text.push_str(
                "\nThe windows of the partial metrics reach further back than this range: try an earlier --since.",
            );
        }
        if self.busy > 0 {
            let _ = write!(
                text,
                "\n{} devices were left alone because their last readings may not be archived yet: \
                 run this again in 15 minutes.",
                self.busy
            );
        }
        if self.overtaken > 0 {
            let _ = write!(text, "\n{} devices changed while they were being rebuilt: run this again.", self.overtaken);
        }
        text
    }
}

#[cfg(test)]
mod tests;
