//! One batch, from its records to the acknowledgement.
//!
//! Slots depend on each other in nothing but the progress of the function. So they advance in groups: while the stores work
//! on some groups, another is computed, and what a group needs in memory is close together.

use super::device::{DeviceUpdate, SlotInput, Tally};
use super::fence::{self, Declared, Fence, Fences, judge_and_declare};
use super::input::{ParsedBatch, ReadingRecord};
use super::origin::Origin;
use super::progress::{Acknowledgements, Progress, ProgressStore};
use super::rule::{OutcomeOf, Rule};
use super::settings::SettingsSource;
use super::shards::{ListShards, Shards};
use super::states::{Commit, Committed, LoadedSlot, SlotCommit, SlotDevices, States};
use crate::alert::Findings;
use crate::lake::dead_letter::{DeadLetterStore, put_all};
use crate::platform::clock::Now;
use crate::platform::deadline::{Deadline, out_of_time};
use crate::platform::errors::{Remedy, RemoteError};
use crate::platform::telemetry::{Metric, count, observe};
use crate::results::Results;
use crate::stream::answer::Answer;
use crate::stream::batch::{Batch, Position};
use crate::stream::slot::{Slot, Slots};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;
use tokio::sync::Mutex;

/// How often a batch is computed: once, and again for the slots where another invocation was faster. After that it is better
/// delivered again.
const ROUNDS: usize = 5;
/// How many devices advance together when deployed: enough that a call's own cost matters little, and few enough that the
/// first call goes out soon.
pub const GROUP: usize = 100;
/// How many groups are in progress at the same time.
const GROUPS: usize = 8;
/// How many devices without a state are looked up at the same time.
const LOOKUPS: usize = 32;

/// The rule of a stateful function, and the ports that it works with. A type without values: it names the others.
pub trait Ports: Send + Sync {
    /// The rule.
    type Rule: Rule;
    /// The settings of each device.
    type Settings: SettingsSource<Settings = <Self::Rule as Rule>::Settings>;
    /// The shards of the stream.
    type Shards: ListShards;
    /// How far the function is.
    type Progress: ProgressStore;
    /// The state of each device.
    type States: States<State = <Self::Rule as Rule>::State>;
    /// Where the results go.
    type Results: Results<OutcomeOf<Self::Rule>>;
    /// Where findings go.
    type Findings: Findings;
    /// Where the dead letters go.
    type Letters: DeadLetterStore;
    /// The wall clock.
    type Clock: Now;
}

/// What a stateful function works with, made once.
pub struct Context<P: Ports> {
    /// The settings of each device.
    pub settings: P::Settings,
    /// The shards of the stream.
    pub shards: Shards<P::Shards>,
    /// How far the function is.
    pub progress: P::Progress,
    /// The state of each device.
    pub states: P::States,
    /// Where the results go.
    pub results: P::Results,
    /// Where findings go.
    pub findings: P::Findings,
    /// Where the dead letters go.
    pub letters: P::Letters,
    /// The wall clock, for the invocation's deadline and for latencies; no result depends on it.
    pub clock: P::Clock,
    /// The numbers.
    pub limits: Limits,
}

/// The numbers that a stateful function works with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long a device's latest row waits for more readings; zero: each change is written.
    pub results_interval: Duration,
    /// How long rows of history are kept.
    pub history_ttl: Duration,
    /// How many devices advance together, at least one: [`GROUP`] when deployed.
    pub group: usize,
}

type Settings<P> = <<P as Ports>::Rule as Rule>::Settings;

/// Processes one batch. The answer says whether it must be delivered again.
///
/// All of a batch is done or none of it counts as done: the states know what they have seen within it. `deadline_ms` is
/// when Lambda ends the invocation, in milliseconds since the epoch.
pub async fn handle<P: Ports>(context: &Context<P>, batch: &Batch, deadline_ms: i64) -> Answer {
    let deadline = Deadline::at(deadline_ms);
    // Cancellation is safe here: it looks like a crash. But no work begins without time for it.
    let processed = match deadline.left(&context.clock) {
        Duration::ZERO => None,
        _ => deadline.limit(&context.clock, Box::pin(process(context, batch))).await,
    };
    match processed.unwrap_or_else(|| Err(out_of_time("process the batch"))) {
        Ok(()) => Answer::DONE,
        Err(error) => Answer::retry_from_record(batch, 0, &error),
    }
}

/// A device that is known, with its readings and its settings.
struct Known<'a, S> {
    id: &'a str,
    readings: &'a [&'a ReadingRecord<'a>],
    settings: &'a S,
}

pub(super) async fn process<P: Ports>(context: &Context<P>, batch: &Batch) -> Result<(), RemoteError> {
    let shards = context.shards.slots_with(&batch.shard).await?;
    let slots = shards.get(&batch.shard).copied().unwrap_or_default();
    let mut parsed = ParsedBatch::of(batch, P::Rule::takes);
    let mut letters = std::mem::take(&mut parsed.letters);
    let mut skipped = parsed.skipped;
    let devices = parsed.devices();
    let ids: Vec<&str> = devices.iter().map(|device| device.id).collect();
    let found = if ids.is_empty() { HashMap::new() } else { context.settings.resolve(&ids).await? };

    let mut known: HashMap<Slot, Vec<Known<'_, Settings<P>>>> = HashMap::new();
    for device in &devices {
        let settings = match (device.problem(slots), found.get(device.id)) {
            (Some(problem), _) => Err(problem),
            (None, Some(settings)) => settings.as_ref().map_err(Clone::clone),
            (None, None) => {
                return Err(RemoteError::new("resolve devices", Remedy::Retry, "the answer lacks a device"));
            }
        };
        match settings {
            Ok(settings) => {
                let readings = device.readings.as_slice();
                let unwanted =
                    count_unwanted::<P::Rule>(settings, readings.iter().map(|record| &*record.reading.metric));
                skipped += unwanted;
                if unwanted < readings.len() {
                    known.entry(device.slot).or_default().push(Known { id: device.id, readings, settings });
                }
            }
            Err(problem) => {
                for record in &device.readings {
                    letters.reject(&record.source, Some(device.id), problem.clone());
                }
            }
        }
    }
    let letters = letters.take(batch);
    // What cannot be processed is stored before the batch is acknowledged.
    put_all(&context.letters, &letters, std::future::pending()).await.map_err(|unwritten| unwritten.source)?;

    if let Some(last) = parsed.last.filter(|_| !known.is_empty()) {
        let times = known.values().flatten().flat_map(|device| device.readings).map(|record| record.reading.at);
        let newest_ms = times.max().unwrap_or_default();
        let work = Work { context, batch, shards: &shards, slots, last, newest_ms, known: &known };
        work.advance().await?;
    }
    count(Metric::Records, parsed.records);
    count(Metric::Bytes, parsed.bytes);
    count(Metric::DeadLetters, letters.len());
    count(Metric::Skipped, skipped);
    let now_ms = context.clock.now_ms();
    let since = |later_ms: i64, ms: i64| later_ms.saturating_sub(ms).max(0) as f64;
    let (late, end_to_end): (Vec<_>, Vec<_>) = known
        .values()
        .flatten()
        .flat_map(|device| device.readings)
        .map(|record| (since(record.source.arrived_ms, record.reading.at), since(now_ms, record.reading.received_at)))
        .unzip();
    observe(Metric::LatenessMs, late);
    observe(Metric::EndToEndMs, end_to_end);
    Ok(())
}

/// How many of `metrics` the settings ask nothing of. Neighbours are often the same metric, which is looked up once.
fn count_unwanted<'m, R: Rule>(settings: &R::Settings, metrics: impl Iterator<Item = &'m str>) -> usize {
    let mut last: Option<(&str, bool)> = None;
    let is_unwanted = |metric: &&'m str| {
        let (_, wanted) = *last.insert(match last {
            Some(known) if known.0 == *metric => known,
            _ => (metric, R::wants(settings, metric)),
        });
        !wanted
    };
    metrics.filter(is_unwanted).count()
}

/// A batch whose devices are known.
struct Work<'a, P: Ports> {
    context: &'a Context<P>,
    batch: &'a Batch,
    /// The slots of all shards of the stream.
    shards: &'a HashMap<String, Slots>,
    /// The slots of the batch's shard.
    slots: Slots,
    /// The batch's last record.
    last: Position,
    /// The time of its newest reading, in milliseconds since the epoch.
    newest_ms: i64,
    known: &'a HashMap<Slot, Vec<Known<'a, Settings<P>>>>,
}

/// The progress as it was read before the states are loaded.
struct Round {
    progress: Progress,
    /// The losses that fences knew of before.
    seen: BTreeMap<Slot, i64>,
    acknowledged: Acknowledgements,
    /// One group is computed at a time, after the requests of the others have gone out.
    turn: Mutex<()>,
}

impl<P: Ports> Work<'_, P> {
    const FUNCTION: &'static str = <<P::Rule as Rule>::State as super::State>::NAME;

    /// Advances all slots of the shard, those without readings as well: their fences move. Then acknowledges.
    async fn advance(&self) -> Result<(), RemoteError> {
        let mut remaining: Vec<Slot> = self.slots.iter().collect();
        let mut seen = BTreeMap::new();
        for _ in 0..ROUNDS {
            let round = self.round(seen).await?;
            let groups: Vec<_> =
                self.groups(&remaining).into_iter().map(|group| self.advance_group(&round, group)).collect();
            let refused: Vec<Vec<Refused>> = stream::iter(groups).buffer_unordered(GROUPS).try_collect().await?;
            let refused = refused.concat();
            remaining = refused.iter().map(|(slot, _)| *slot).collect();
            seen = refused.into_iter().filter_map(|(slot, noted)| Some((slot, noted?))).collect();
            if remaining.is_empty() {
                return self.acknowledge(round.progress).await;
            }
            count(Metric::Conflicts, remaining.len());
        }
        let what =
            format!("another invocation has advanced {} of {} slots", remaining.len(), self.slots.iter().count());
        Err(RemoteError::new("commit states", Remedy::Retry, what))
    }

    /// Reads the progress. It must be read before the states: otherwise a fence that another invocation has moved since
    /// would look like one below it.
    async fn round(&self, seen: BTreeMap<Slot, i64>) -> Result<Round, RemoteError> {
        let progress = self.context.progress.read(Self::FUNCTION, &self.batch.stream).await?;
        let acknowledged = Acknowledgements::new(&progress, &self.batch.stream, &self.batch.shard, self.last);
        Ok(Round { progress, seen, acknowledged, turn: Mutex::new(()) })
    }

    fn devices(&self, slot: Slot) -> &[Known<'_, Settings<P>>] {
        self.known.get(&slot).map_or(&[], Vec::as_slice)
    }

    /// Cuts slots into groups of some devices each.
    fn groups<'s>(&self, slots: &'s [Slot]) -> Vec<&'s [Slot]> {
        let mut devices = 0;
        let mut groups = Vec::new();
        let mut begin = 0;
        for (index, slot) in slots.iter().enumerate() {
            devices += self.devices(*slot).len();
            if devices >= self.context.limits.group || index + 1 == slots.len() {
                groups.push(&slots[begin..=index]);
                (begin, devices) = (index + 1, 0);
            }
        }
        groups
    }

    /// Advances a group of slots: commits their states, and then reports findings and writes the rows that are due. Returns the slots where
    /// another invocation was faster.
    async fn advance_group(&self, round: &Round, slots: &[Slot]) -> Result<Vec<Refused>, RemoteError> {
        let Self { context, batch, .. } = self;
        let ids = |slot| self.devices(slot).iter().map(|device| device.id).collect();
        let wanted: Vec<_> = slots.iter().map(|&slot| SlotDevices { slot, devices: ids(slot) }).collect();
        let mut loaded = context.states.load(&batch.stream, &wanted).await?;
        self.find_missing(round, &wanted, &mut loaded).await?;
        let (judged, mut refused) = self.judge(round, slots, &loaded).await?;
        let updates: Vec<Vec<_>> = {
            let _turn = round.turn.lock().await;
            tokio::task::yield_now().await;
            judged.iter().map(|slot| self.compute(round, slot)).collect()
        };
        let commits: Vec<_> =
            judged.iter().zip(&updates).map(|(slot, updates)| self.commit(round, slot, updates)).collect();
        let committed = context.states.commit(&batch.stream, &commits).await?;
        let now_ms = context.clock.now_ms();
        let (mut rows, mut findings) = (Vec::new(), Vec::new());
        let mut tally = Tally::default();
        for ((slot, updates), committed) in judged.iter().zip(&updates).zip(committed) {
            if committed == Committed::Conflict {
                refused.push((slot.slot, None));
                continue;
            }
            for update in updates {
                findings.extend(update.findings());
                rows.extend(update.rows(&batch.stream, &batch.shard, now_ms, context.limits.history_ttl));
                tally.counted += update.tally.counted;
                tally.duplicates += update.tally.duplicates;
                tally.contradictions += update.tally.contradictions;
                tally.too_late += update.tally.too_late;
                tally.skipped += update.tally.skipped;
            }
        }
        // Alerts first: someone may have to act on them.
        context.findings.report(findings).await?;
        context.results.write(&rows).await?;
        count(Metric::Readings, tally.counted);
        count(Metric::Duplicates, tally.duplicates);
        count(Metric::Contradictions, tally.contradictions);
        count(Metric::TooLate, tally.too_late);
        count(Metric::Skipped, tally.skipped);
        Ok(refused)
    }

    /// Marks states as lost that are missing although their devices have a row: they were evicted or deleted, or have expired.
    ///
    /// A row that does not know of the latest loss is from before it, since a state that notes a loss writes its row at once.
    /// Then the state went with the others, and that loss says all. Only a device without a state is looked up.
    async fn find_missing(
        &self,
        round: &Round,
        wanted: &[SlotDevices<'_>],
        loaded: &mut [LoadedSlot<<P::Rule as Rule>::State>],
    ) -> Result<(), RemoteError> {
        let devices = wanted.iter().flat_map(|slot| slot.devices.iter().map(|device| (slot.slot, *device)));
        let states = loaded.iter_mut().flat_map(|slot| &mut slot.states);
        let missing = devices.zip(states).filter(|(_, state)| state.kept.is_none() && !state.is_lost);
        let lookups: Vec<_> = missing
            .map(|((slot, device), state)| async move {
                let known = round.progress.lost_until.get(&slot).copied();
                let mark = self.context.results.latest_mark(device).await?;
                state.is_lost = mark.is_some_and(|mark| mark.lost_until >= known);
                Ok::<_, RemoteError>(())
            })
            .collect();
        stream::iter(lookups).buffer_unordered(LOOKUPS).try_collect().await
    }

    /// Judges the fences of slots, and declares the losses that they show. Returns the slots that can go on, and those whose
    /// progress must be read again.
    async fn judge<'l>(
        &self,
        round: &Round,
        slots: &[Slot],
        loaded: &'l [LoadedSlot<<P::Rule as Rule>::State>],
    ) -> Result<(Vec<Judged<'l, P>>, Vec<Refused>), RemoteError> {
        let fences = slots.iter().zip(loaded).map(|(slot, loaded)| (*slot, &loaded.fences));
        let of = (Self::FUNCTION, self.batch.stream.as_str());
        let declared = judge_and_declare(&self.context.progress, of, &round.progress, &round.seen, fences).await?;
        let (mut judged, mut refused) = (Vec::with_capacity(slots.len()), Vec::new());
        for ((&slot, loaded), declared) in slots.iter().zip(loaded).zip(declared) {
            match declared {
                Declared::Known(lost_until) => judged.push(Judged { slot, loaded, lost_until }),
                Declared::Outdated(noted) => refused.push((slot, noted)),
            }
        }
        Ok((judged, refused))
    }

    /// Computes the devices of a slot.
    fn compute<'u>(&'u self, round: &Round, slot: &Judged<'u, P>) -> Vec<DeviceUpdate<'u, P::Rule>> {
        let newest_ms = round.progress.of_slot(slot.slot).map(|(_, entry)| entry.newest_ms).max();
        let input = SlotInput {
            origin: Origin::new(&self.batch.stream, &self.batch.shard, Position::ZERO),
            acknowledged: &round.acknowledged,
            lost_until: slot.lost_until,
            newest_ms,
            results_interval: self.context.limits.results_interval,
        };
        let devices = self.devices(slot.slot).iter().zip(&slot.loaded.states);
        devices
            .map(|(device, loaded)| DeviceUpdate::new(device.id, device.readings, device.settings, &input, loaded))
            .collect()
    }

    fn commit<'c>(
        &'c self,
        round: &Round,
        slot: &Judged<'c, P>,
        updates: &'c [DeviceUpdate<'c, P::Rule>],
    ) -> SlotCommit<'c, <P::Rule as Rule>::State> {
        let fences = &slot.loaded.fences;
        let own = fences.get(&self.batch.shard);
        let states = updates.iter().map(|update| Commit {
            device_id: update.device_id(),
            replaces: &update.loaded().version,
            kept: update.changed(),
        });
        SlotCommit {
            slot: slot.slot,
            fences,
            fence: Some((&self.batch.shard, fence::advance(own, self.last, slot.lost_until))),
            forgotten: self.forgotten(round, fences),
            states: states.collect(),
        }
    }

    /// The shards whose fences are not needed any more: they are older than the batch's, their slots were taken over, and
    /// the stream has forgotten them.
    fn forgotten<'c>(&self, round: &Round, fences: &'c Fences) -> Vec<&'c str> {
        let is_forgotten = |(shard, fence): &(&String, &Fence)| {
            let is_known = self.shards.contains_key(*shard) || round.progress.acknowledged.contains_key(*shard);
            fence.position < self.last && !is_known
        };
        fences.iter().filter(is_forgotten).map(|(shard, _)| shard.as_str()).collect()
    }

    /// Notes that the batch is processed, with all of its effects.
    async fn acknowledge(&self, mut progress: Progress) -> Result<(), RemoteError> {
        let store = &self.context.progress;
        for _ in 0..ROUNDS {
            let after = progress.after(&self.batch.shard, self.last, self.newest_ms, self.slots);
            if store.change(Self::FUNCTION, &self.batch.stream, &progress, &after).await? {
                return Ok(());
            }
            progress = store.read(Self::FUNCTION, &self.batch.stream).await?;
        }
        Err(RemoteError::new("acknowledge", Remedy::Retry, "other invocations change the same progress"))
    }
}

/// A slot to be computed again, and the latest loss that its fences know of where the progress does not.
type Refused = (Slot, Option<i64>);

/// A slot whose states are complete, but for what is known to be lost.
struct Judged<'l, P: Ports> {
    slot: Slot,
    loaded: &'l LoadedSlot<<P::Rule as Rule>::State>,
    lost_until: Option<i64>,
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
