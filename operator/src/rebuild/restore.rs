//! Restores the devices of some slots together, as the moving average advances them.

use super::{Device, Options, Report, Stores};
use anyhow::{Context as _, Result};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use myaku::keyed::fence::{Declared, judge_and_declare};
use myaku::keyed::progress::ProgressStore;
use myaku::keyed::states::{Commit, Committed, LoadedSlot, SlotCommit, SlotDevices, States};
use myaku::keyed::{Rule as _, State as _, id_digest};
use myaku::platform::clock::Now;
use myaku::results::{Results, ResultsReader, Row};
use myaku::stream::slot::Slot;
use myaku::window::rebuild::{Known, Outcome, Rebuilt, rebuild};
use myaku::window::{DeviceState, MovingAverage};
use std::collections::BTreeMap;

/// About how many devices' states are loaded and committed together.
const GROUP: usize = 200;
/// How many devices' rows are read at a time.
const QUERIES: usize = 16;

/// Devices of one slot, with their ids.
pub(super) type Devices<'d> = Vec<(&'d String, &'d Device)>;

/// Cuts slots into groups of about [`GROUP`] devices.
pub(super) fn groups(slots: BTreeMap<Slot, Devices<'_>>) -> Vec<BTreeMap<Slot, Devices<'_>>> {
    let mut groups = Vec::new();
    let (mut group, mut count) = (BTreeMap::new(), 0);
    for (slot, devices) in slots {
        count += devices.len();
        group.insert(slot, devices);
        if count >= GROUP {
            groups.push(std::mem::take(&mut group));
            count = 0;
        }
    }
    groups.push(group);
    groups
}

/// What all groups have in common.
pub(super) struct Work<'a, S, P, R, N> {
    pub(super) stores: Stores<'a, S, P, R>,
    pub(super) clock: &'a N,
    pub(super) options: &'a Options,
}

/// The devices of a slot that get back what they lost.
struct RestoredSlot<'a, 'd> {
    slot: Slot,
    loaded: &'a LoadedSlot<DeviceState>,
    devices: Vec<RestoredDevice<'d>>,
}

struct RestoredDevice<'d> {
    id: &'d String,
    device: &'d Device,
    /// Its index among the devices that were loaded of the slot.
    index: usize,
    rebuilt: Box<Rebuilt>,
}

impl<S, P, R, N> Work<'_, S, P, R, N>
where
    S: States<State = DeviceState>,
    P: ProgressStore,
    R: Results + ResultsReader,
    N: Now,
{
    /// Restores what the devices of these slots have lost. Returns those whose slots the moving average advanced meanwhile,
    /// to be done again.
    pub(super) async fn restore<'d>(
        &self,
        slots: &BTreeMap<Slot, Devices<'d>>,
        report: &mut Report,
    ) -> Result<BTreeMap<Slot, Devices<'d>>> {
        let Stores { states, progress, results } = self.stores;
        let stream = self.options.readings_stream.as_str();
        // Otherwise a fence that the moving average has moved since would be taken for one that is below.
        let known = progress.read(DeviceState::NAME, stream).await.context("cannot read the progress")?;
        let ids = |devices: &Devices<'d>| devices.iter().map(|(id, _)| id.as_str()).collect();
        let wanted: Vec<_> = slots.iter().map(|(slot, of)| SlotDevices { slot: *slot, devices: ids(of) }).collect();
        let loaded = states.load(stream, &wanted).await.context("cannot load the states from Redis")?;
        let fences = slots.keys().zip(&loaded).map(|(slot, loaded)| (*slot, &loaded.fences));
        let declared = judge_and_declare(progress, (DeviceState::NAME, stream), &known, &BTreeMap::new(), fences)
            .await
            .context("cannot note what was lost")?;

        let mut again = BTreeMap::new();
        let mut restored = Vec::new();
        for (((&slot, devices), loaded), declared) in slots.iter().zip(&loaded).zip(declared) {
            match declared {
                Declared::Outdated(_) => drop(again.insert(slot, devices.clone())),
                Declared::Known(lost_until) => {
                    let newest_ms = known.of_slot(slot).map(|(_, entry)| entry.newest_ms).max();
                    let devices = self.rebuild(devices, loaded, lost_until, newest_ms, report);
                    if !devices.is_empty() {
                        restored.push(RestoredSlot { slot, loaded, devices });
                    }
                }
            }
        }
        // Rows come first: a rebuild that ends before the commit is done again, with its rows.
        let all = restored.iter().flat_map(|slot| slot.devices.iter().map(|device| (slot.loaded, device)));
        let rows = stream::iter(all).map(|(loaded, device)| self.row(loaded, device)).buffered(QUERIES);
        let rows: Vec<Row> = rows.try_filter_map(async |row| Ok(row)).try_collect().await?;
        results.write(&rows).await.context("cannot write the results")?;

        let commits: Vec<_> = restored.iter().map(RestoredSlot::commit).collect();
        let committed = states.commit(stream, &commits).await.context("cannot commit the states to Redis")?;
        for (slot, committed) in restored.iter().zip(committed) {
            match committed {
                Committed::Conflict => {
                    again.insert(slot.slot, slot.devices.iter().map(|one| (one.id, one.device)).collect());
                }
                Committed::Done => {
                    for RestoredDevice { rebuilt, .. } in &slot.devices {
                        report.rebuilt += 1;
                        report.whole += rebuilt.whole as u64;
                        report.partial += rebuilt.partial as u64;
                    }
                }
            }
        }
        Ok(again)
    }

    /// Rebuilds the devices of a slot that has lost readings up to `lost_until`. The newest reading that was acknowledged of
    /// it is of `newest_ms`.
    fn rebuild<'d>(
        &self,
        devices: &Devices<'d>,
        loaded: &LoadedSlot<DeviceState>,
        lost_until: Option<i64>,
        newest_ms: Option<i64>,
        report: &mut Report,
    ) -> Vec<RestoredDevice<'d>> {
        let Options { selection, is_everything, settled_ms, .. } = self.options;
        let mut restored = Vec::new();
        for (index, ((id, device), loaded)) in devices.iter().copied().zip(&loaded.states).enumerate() {
            // The profile allows a device's clock some skew, so a reading's time may be later than its arrival.
            let skew_ms = device.profile.clock().allowed_skew_ms;
            let since_ms = (!is_everything).then(|| selection.arrived_ms.start.saturating_add(skew_ms));
            let known = Known { since_ms, settled_ms: *settled_ms };
            let spec = |metric: &str| device.profile.window(metric);
            // A state that cannot be read counts as lost.
            let lost_until = lost_until.max(newest_ms.filter(|_| loaded.is_lost));
            match rebuild(loaded.kept.as_ref(), lost_until, &device.recovered, spec, known) {
                Outcome::Whole => {}
                Outcome::Busy => report.busy += 1,
                Outcome::Rebuilt(rebuilt) => restored.push(RestoredDevice { id, device, index, rebuilt }),
            }
        }
        restored
    }

    /// The row that replaces the one that was computed after the loss. A device without a reading since then has none.
    async fn row(
        &self,
        loaded: &LoadedSlot<DeviceState>,
        RestoredDevice { id, device, rebuilt, .. }: &RestoredDevice<'_>,
    ) -> Result<Option<Row>> {
        let Some(seen) = rebuilt.kept.seen else { return Ok(None) };
        let metrics = MovingAverage::latest(&device.profile, &rebuilt.kept.state).into_iter().collect();
        let stored = self.stores.results.latest(id).await;
        let stored = stored.with_context(|| format!("cannot read the results of device {id}"))?;
        let differs = |row: &Row| id_digest(&row.stream) == seen.stream && row.metrics != metrics;
        let Some(stored) = stored.filter(differs) else { return Ok(None) };
        let shard = loaded.fences.keys().find(|shard| id_digest(shard) == seen.shard);
        Ok(Some(Row {
            metrics,
            shard: shard.unwrap_or(&stored.shard).clone(),
            position: seen.position,
            counted: rebuilt.kept.counted,
            lost_until: rebuilt.kept.lost_until,
            updated_at: self.clock.now_ms(),
            ..stored
        }))
    }
}

impl RestoredSlot<'_, '_> {
    fn commit(&self) -> SlotCommit<'_, DeviceState> {
        let states = self.devices.iter().map(|device| Commit {
            device_id: device.id,
            replaces: &self.loaded.states[device.index].version,
            kept: Some(&device.rebuilt.kept),
        });
        SlotCommit {
            slot: self.slot,
            fences: &self.loaded.fences,
            fence: None,
            forgotten: Vec::new(),
            states: states.collect(),
        }
    }
}
