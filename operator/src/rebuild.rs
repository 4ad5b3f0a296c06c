//! Rebuilding the windows of devices from the lake, after Redis lost its memory.
//!
//! The lake is read once and decoded as the function `transform` does, by the registry as it is now. Of each device as many
//! readings are kept as its windows need: some kilobytes. Then, some devices at a time, what each has lost is put back as
//! [`myaku::window::rebuild`] says: first the rows of its latest averages, over the very rows that were read, then its
//! state, by compare-and-set on the one that was loaded. A moving average that runs meanwhile is not overwritten: where it
//! came first, the device is done again.

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

/// Devices whose states are loaded and committed together.
const TOGETHER: usize = 200;
/// Devices whose rows are read at a time.
const QUERIES: usize = 16;
/// How often a device is done again that the moving average advanced meanwhile.
const ROUNDS: usize = 5;

/// What is rebuilt.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which records of the lake.
    pub selection: Selection,
    /// Whether these are all that there ever were.
    pub is_everything: bool,
    /// Up to this time everything is in the lake, and whoever wrote a row before it has come to an end; in milliseconds
    /// since the epoch.
    pub settled_ms: i64,
}

/// What a rebuilding came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Records of the lake that were read.
    pub records: u64,
    /// Readings with a window that they gave.
    pub readings: u64,
    /// Devices that these are of.
    pub devices: u64,
    /// Devices that had lost something and got it back, as far as it was found.
    pub rebuilt: u64,
    /// Metrics of these that are whole again.
    pub whole: u64,
    /// Metrics of these whose windows reach further back than was looked: their results stay partial until they have filled.
    pub partial: u64,
    /// Devices that were left alone, since somebody may be at work on them: again later.
    pub busy: u64,
    /// Devices that the moving average advanced faster than they could be rebuilt: again.
    pub overtaken: u64,
}

/// A device of the lake.
struct Device {
    profile: Arc<Profile>,
    recovered: Recovered,
}

/// Rebuilds the windows of the devices that the lake tells of.
pub async fn rebuild<M: MasterData, N: Now>(
    lake: &impl Lake,
    registry: &Registry<M, N>,
    states: &impl States<State = DeviceState>,
    results: &(impl Results + ResultsReader),
    options: &Options,
    progress: &ProgressBar,
) -> Result<Report> {
    let mut report = Report::default();
    progress.set_message("listing");
    let objects = if options.is_everything {
        let all =
            myaku::lake::archive::list(lake, &options.selection.stream).await.context("the lake cannot be listed")?;
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
    progress.set_message("putting back");
    for together in devices.chunks(TOGETHER) {
        let mut open: Vec<_> = together.iter().collect();
        for _ in 0..ROUNDS {
            if !open.is_empty() {
                open = put_back(states, results, &open, options, &mut report).await?;
            }
        }
        report.overtaken += open.len() as u64;
        progress.inc(together.len() as u64);
    }
    Ok(report)
}

/// The readings of the lake, by device.
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
        let resolved = registry.resolve(&ids).await.context("the registry cannot be read")?;
        report.records += records.len() as u64;
        for (record, content) in records.iter().zip(&contents) {
            let resolved = content.device_id().and_then(|id| resolved.get(id));
            report.readings += take(&mut devices, record, content, resolved);
        }
        progress.inc(1);
    }
    Ok(devices)
}

/// Takes in the readings of one record. How many have a window.
fn take(
    devices: &mut HashMap<String, Device>,
    record: &LakeRecord,
    content: &Content<'_>,
    resolved: Option<&Resolved>,
) -> u64 {
    // What gives no readings is among the dead letters.
    let (Some(Resolved::Known(_, profile)), Ok(decoded)) = (resolved, content.decode(resolved, record.arrived_ms))
    else {
        return 0;
    };
    let mut taken = 0;
    for reading in decoded.readings {
        let Some(spec) = profile.window(reading.metric) else { continue };
        // As it came to the moving average: a number's last digit can change on its way through JSON.
        let Some(reading) = through_json(&reading) else { continue };
        let Value::Number(value) = &reading.value else { continue };
        let device = devices
            .entry(reading.device_id)
            .or_insert_with(|| Device { profile: Arc::clone(profile), recovered: Recovered::default() });
        device.recovered.insert(spec, &reading.metric, &reading.id, reading.at, *value);
        taken += 1;
    }
    taken
}

fn through_json(reading: &Reading<&str>) -> Option<Reading> {
    serde_json::from_slice(&serde_json::to_vec(reading).ok()?).ok()
}

/// Puts back what these devices have lost. Those that were advanced meanwhile are to be done again.
async fn put_back<'a>(
    states: &impl States<State = DeviceState>,
    results: &(impl Results + ResultsReader),
    devices: &[&'a (String, Device)],
    options: &Options,
    report: &mut Report,
) -> Result<Vec<&'a (String, Device)>> {
    let ids: Vec<&str> = devices.iter().map(|(id, _)| id.as_str()).collect();
    let loaded = states.load(&ids).await.context("the states cannot be loaded")?;
    let rows = stream::iter(devices.iter().map(|(id, device)| rows(results, id, &device.profile)));
    let rows: Vec<Vec<Row>> = rows.buffered(QUERIES).try_collect().await?;
    let (mut rebuilt, mut of, mut writes) = (Vec::<Box<Rebuilt>>::new(), Vec::new(), Vec::new());
    for (index, (_, device)) in devices.iter().enumerate() {
        // A reading's time may be ahead of its arrival by the skew that is allowed to its clock.
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
    // A row that somebody has written since stays, and is the newer one.
    results.write(&writes).await.context("the results cannot be written")?;
    let commits: Vec<_> = rebuilt
        .iter()
        .zip(&of)
        .map(|(one, &index)| Commit { device_id: ids[index], replaces: &loaded[index].version, state: &one.state })
        .collect();
    let committed = states.commit(&commits).await.context("the states cannot be committed")?;
    let mut again = Vec::new();
    for ((one, index), committed) in rebuilt.iter().zip(of).zip(committed) {
        match committed {
            Committed::Conflict => again.push(devices[index]),
            Committed::Done => {
                report.rebuilt += 1;
                report.whole += one.whole as u64;
                report.partial += one.partial as u64;
            }
        }
    }
    Ok(again)
}

/// The latest rows of a device, and the rows of history that may be beyond them: a late reading corrects those alone.
async fn rows(results: &impl ResultsReader, device_id: &str, profile: &Profile) -> Result<Vec<Row>> {
    let mut rows = results.latest(device_id).await.context("the results cannot be read")?;
    let mut history = Vec::new();
    for row in &rows {
        let Item::Latest { metric } = &row.item else { continue };
        let Some((seconds, spec)) = profile.window(metric).and_then(|spec| Some((spec.history_seconds?, spec))) else {
            continue;
        };
        let back_ms = (i64::from(spec.allowed_lateness_seconds) + i64::from(seconds)) * 1_000;
        let since_ms = row.at.saturating_sub(back_ms);
        history.extend(
            results.history(device_id, metric, since_ms, i64::MAX).await.context("the history cannot be read")?,
        );
    }
    rows.extend(history);
    Ok(rows)
}

impl Report {
    /// The report as a text.
    pub fn to_text(&self) -> String {
        let mut text = format!(
            "{} records gave {} readings of {} devices.\n{} devices had lost something: {} metrics are whole again, {} stay partial.",
            self.records, self.readings, self.devices, self.rebuilt, self.whole, self.partial
        );
        if self.partial > 0 {
            text.push_str("\nThose reach further back than was looked: an earlier --since finds more.");
        }
        if self.busy > 0 {
            let _ = write!(
                text,
                "\n{} devices were left alone, since somebody may be at work on them: again in a quarter of an hour.",
                self.busy
            );
        }
        if self.overtaken > 0 {
            let _ = write!(text, "\n{} devices were overtaken by the moving average: run it again.", self.overtaken);
        }
        text
    }
}
