//! Rebuilds the windows of devices from the lake, after Redis lost its memory.
//!
//! It reads the lake once, and decodes it as the function `transform` does, with the registry as it is now. For each
//! device it keeps as many readings as the windows need, which takes some kilobytes. Then it restores what each device
//! has lost, some devices at a time, as [`myaku::window::rebuild`] decides. It first writes the rows of the latest
//! averages, conditional on the rows that it read, and then the state, by compare-and-set on the state that it loaded.
//! So it never overwrites a moving average that runs at the same time: where that was faster, it does the device again.

use crate::selection::{Selection, user_record};
use anyhow::{Context as _, Result};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use indicatif::ProgressBar;
use myaku::device::decoding::Content;
use myaku::device::profile::Profile;
use myaku::device::reading::{Reading, Value};
use myaku::device::registry::{MasterData, Registry, Resolved};
use myaku::keyed::states::{Commit, Committed, States};
use myaku::lake::archive::{Lake, LakeRecord, ObjectKey};
use myaku::platform::clock::Now;
use myaku::results::{Item, Results, ResultsReader, Row, Write};
use myaku::window::DeviceState;
use myaku::window::rebuild::{Known, Outcome, Rebuilt, Recovered, rebuild as rebuild_device};
use serde::Serialize;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::pin::pin;
use std::sync::Arc;

/// How many devices' states are loaded and committed together.
const GROUP: usize = 200;
/// How many devices' rows are read at a time.
const QUERIES: usize = 16;
/// How often a device is tried if the moving average advances its state meanwhile.
const ROUNDS: usize = 5;

/// What a rebuild covers.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which records of the lake.
    pub selection: Selection,
    /// Whether the selection is the whole lake, from its beginning.
    pub is_everything: bool,
    /// Everything that arrived up to this time is in the lake, and every invocation that wrote a row before it has
    /// ended; in milliseconds since the epoch.
    pub settled_ms: i64,
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
    /// Devices that were left alone because an invocation may be at work on them: run the rebuild again later.
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
    states: &impl States<State = DeviceState>,
    results: &(impl Results + ResultsReader),
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
    let mut devices: Vec<_> = devices.into_iter().collect();
    devices.sort_by(|(a, _), (b, _)| a.cmp(b));
    report.devices = devices.len() as u64;
    progress.set_position(0);
    progress.set_length(devices.len() as u64);
    progress.set_message("restoring windows");
    for group in devices.chunks(GROUP) {
        let mut remaining: Vec<_> = group.iter().collect();
        for _ in 0..ROUNDS {
            if !remaining.is_empty() {
                remaining = restore(states, results, &remaining, options, &mut report).await?;
            }
        }
        report.overtaken += remaining.len() as u64;
        progress.inc(group.len() as u64);
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
        device.recovered.insert(spec, &reading.metric, &reading.id, reading.at, *value);
        added += 1;
    }
    added
}

fn through_json(reading: &Reading<&str>) -> Option<Reading> {
    serde_json::from_slice(&serde_json::to_vec(reading).ok()?).ok()
}

/// Restores what these devices have lost. Returns those that the moving average advanced meanwhile, to be done again.
async fn restore<'a>(
    states: &impl States<State = DeviceState>,
    results: &(impl Results + ResultsReader),
    devices: &[&'a (String, Device)],
    options: &Options,
    report: &mut Report,
) -> Result<Vec<&'a (String, Device)>> {
    let ids: Vec<&str> = devices.iter().map(|(id, _)| id.as_str()).collect();
    let loaded = states.load(&ids).await.context("cannot load the states from Redis")?;
    let rows = stream::iter(devices.iter().map(|(id, device)| rows(results, id, &device.profile)));
    let rows: Vec<Vec<Row>> = rows.buffered(QUERIES).try_collect().await?;
    let (mut rebuilt, mut of, mut writes) = (Vec::<Box<Rebuilt>>::new(), Vec::new(), Vec::new());
    for (index, (_, device)) in devices.iter().enumerate() {
        // The profile allows a device's clock some skew, so a reading's time may be later than its arrival.
        let skew_ms = device.profile.clock().allowed_skew_ms;
        let since_ms = (!options.is_everything).then(|| options.selection.arrived_ms.start.saturating_add(skew_ms));
        let known = Known { since_ms, settled_ms: options.settled_ms };
        let spec = |metric: &str| device.profile.window(metric);
        match rebuild_device(loaded[index].state.as_ref(), &rows[index], &device.recovered, spec, known) {
            Outcome::Whole => {}
            Outcome::Busy => report.busy += 1,
            Outcome::Rebuilt(one) => {
                writes.extend(one.rows.iter().map(|row| Write {
                    row: row.clone(),
                    over: Some(row.position),
                    revision: row.revision,
                }));
                rebuilt.push(one);
                of.push(index);
            }
        }
    }
    // A row that was written since it was read stays: it is newer.
    results.write(&writes).await.context("cannot write the results")?;
    let commits: Vec<_> = rebuilt
        .iter()
        .zip(&of)
        .map(|(one, &index)| Commit { device_id: ids[index], replaces: &loaded[index].version, state: &one.state })
        .collect();
    let committed = states.commit(&commits).await.context("cannot commit the states to Redis")?;
    let mut overtaken = Vec::new();
    for ((one, index), committed) in rebuilt.iter().zip(of).zip(committed) {
        match committed {
            Committed::Conflict => overtaken.push(devices[index]),
            Committed::Done => {
                report.rebuilt += 1;
                report.whole += one.whole as u64;
                report.partial += one.partial as u64;
            }
        }
    }
    Ok(overtaken)
}

/// Reads the latest rows of a device, and the rows of history that a late reading may have corrected since.
async fn rows(results: &impl ResultsReader, device_id: &str, profile: &Profile) -> Result<Vec<Row>> {
    let mut rows =
        results.latest(device_id).await.with_context(|| format!("cannot read the results of device {device_id}"))?;
    let mut history = Vec::new();
    for row in &rows {
        let Item::Latest { metric } = &row.item else { continue };
        let Some((seconds, spec)) = profile.window(metric).and_then(|spec| Some((spec.history_seconds?, spec))) else {
            continue;
        };
        let back_ms = (i64::from(spec.allowed_lateness_seconds) + i64::from(seconds)) * 1_000;
        let since_ms = row.at.saturating_sub(back_ms);
        history.extend(
            results
                .history(device_id, metric, since_ms, i64::MAX)
                .await
                .with_context(|| format!("cannot read the history of device {device_id}"))?,
        );
    }
    rows.extend(history);
    Ok(rows)
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
                "\n{} devices were left alone because the function may be at work on them: \
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
