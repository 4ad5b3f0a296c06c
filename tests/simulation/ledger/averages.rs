//! The model of the averages. The reading of a device's message `n` has the value 2ⁿ. So the sum of an average shows
//! which readings were counted, and whether one was counted twice.

use super::Checked;
use super::readings::Name;
use crate::invariants::{Invariant, Violation};
use crate::plan::{NUMBERS, REFILL, device_id, device_number, device_time_ms};
use myaku::device::profile::WindowSpec;
use myaku::keyed::Kept;
use myaku::results::{Average, Item, MetricResult, Row};
use myaku::stream::batch::{Batch, Position, SequenceNumber};
use myaku::stream::slot::Slot;
use myaku::window::DeviceState;
use myaku_local::event_source::Discarded;
use std::collections::{BTreeMap, BTreeSet};

/// The metrics of each device.
pub(crate) const METRICS: u8 = 2;
/// The interval of the rows of history, in milliseconds.
const HISTORY_MS: i64 = 60_000;

/// A metric's name.
pub(crate) const fn metric_name(metric: u8) -> &'static str {
    if metric == 0 { "by_number" } else { "by_time" }
}

/// A metric's window. No reading of a run is too late for it.
pub(crate) fn window(metric: u8) -> WindowSpec {
    let (last, seconds) = if metric == 0 { (3, None) } else { (6, Some(40)) };
    let history_seconds = Some((HISTORY_MS / 1_000) as u32);
    WindowSpec { last: Some(last), seconds, history_seconds, allowed_lateness_seconds: 3_600 }
}

/// The value of the message `number`.
pub(crate) fn value_of(number: u8) -> f64 {
    (1_u64 << number) as f64
}

/// The message whose value this is.
pub(crate) fn number_of(value: f64) -> Option<u8> {
    (0..NUMBERS + REFILL).find(|number| value_of(*number).to_bits() == value.to_bits())
}

/// A set of a device's messages, as bits.
type Numbers = u64;

fn numbers(set: Numbers) -> impl Iterator<Item = u8> {
    (0..NUMBERS + REFILL).filter(move |number| set >> number & 1 == 1)
}

/// The readings that an average counts; `None` if it counts one twice, or one that was never sent.
fn counted(average: &Average) -> Option<Numbers> {
    let sum = (average.mean * f64::from(average.count)).round() as u64;
    let ends = number_of(average.min).zip(number_of(average.max))?;
    let right = sum.count_ones() == average.count
        && (sum.trailing_zeros(), sum.checked_ilog2()) == (u32::from(ends.0), Some(u32::from(ends.1)));
    right.then_some(sum)
}

/// One metric of one device.
type Series = (u8, u8);

/// A result as it is stored.
struct Shown {
    position: Position,
    counted: u64,
    result: MetricResult,
}

/// The readings of the stream, what was acknowledged of them, the states that were committed, and the rows.
#[derive(Default)]
pub(crate) struct Averages {
    put: BTreeMap<Series, Numbers>,
    /// When each record with a reading arrived, of each device.
    arrived: BTreeMap<u8, BTreeMap<Position, i64>>,
    /// When each reading was first put.
    first_put: BTreeMap<(Series, u8), i64>,
    acknowledged: BTreeMap<Series, Vec<(Position, u8)>>,
    discarded: BTreeSet<SequenceNumber>,
    /// The readings of batches that were given up. A row may have one whose state was lost before it was put again.
    given_up: BTreeMap<Series, Numbers>,
    /// The device, the last record and the number of readings counted of each state that was committed.
    committed: BTreeSet<(u8, Position, u64)>,
    results: BTreeMap<(Series, Option<i64>), Shown>,
    /// The slots that have lost states.
    lost: BTreeSet<Slot>,
}

impl Averages {
    /// Whether results are right only after their windows have filled again.
    pub(crate) fn must_fill_again(&self) -> bool {
        !self.lost.is_empty() || !self.discarded.is_empty()
    }

    /// A slot has lost states.
    pub(crate) fn slot_lost(&mut self, slot: Slot) {
        self.lost.insert(slot);
    }

    /// A reading was put on the stream.
    pub(crate) fn put(&mut self, name: Name, position: Position, arrived_ms: i64) {
        let series = (name.device, name.metric);
        *self.put.entry(series).or_default() |= 1 << name.number;
        self.arrived.entry(name.device).or_default().insert(position, arrived_ms);
        self.first_put.entry((series, name.number)).or_insert(arrived_ms);
    }

    /// A batch was given up: the windows lack its readings until it is put again.
    pub(crate) fn discarded(&mut self, discarded: &Discarded) {
        let event: serde_json::Value = serde_json::from_slice(&discarded.body).unwrap_or_default();
        let batch = event["payload"].as_str().and_then(|event| Batch::from_event(event.to_owned()).ok());
        let Some(batch) = batch else { return };
        for name in batch.user_records().filter_map(|record| super::name(&serde_json::from_slice(record.data).ok()?)) {
            *self.given_up.entry((name.device, name.metric)).or_default() |= 1 << name.number;
        }
        self.discarded.extend(batch.records.iter().map(|record| record.sequence));
    }

    /// A batch was acknowledged. Its shard's windows are already past the records that were given up before, so those
    /// count only when they are put again.
    pub(crate) fn acknowledged(&mut self, batch: &Batch) -> Checked {
        for record in batch.user_records() {
            if self.discarded.contains(record.sequence) {
                continue;
            }
            let reading = serde_json::from_slice(record.data).ok();
            if let Some(name) = reading.and_then(|reading| super::name(&reading)) {
                let series = (name.device, name.metric);
                self.acknowledged.entry(series).or_default().push((record.position(), name.number));
            }
        }
        for ((series, interval), shown) in &self.results {
            self.lacks_nothing(*series, *interval, shown)?;
        }
        Ok(())
    }

    /// Checks what is kept of a device. Its slot is known, or would be found, to have lost readings up to `lost_until`.
    pub(crate) fn kept(&self, device: u8, kept: Option<&Kept<DeviceState>>, lost_until: Option<i64>) -> Checked {
        let lost_until = lost_until.max(kept.and_then(|kept| kept.lost_until));
        for metric in 0..METRICS {
            let series = (device, metric);
            let acknowledged = self.acknowledged_to(series, None);
            let missing = missing(series, acknowledged, remembered(kept, metric), None);
            if let Some(number) = missing.into_iter().find(|number| Some(device_time_ms(device, *number)) > lost_until)
            {
                let what = format!("message {number} of {series:?} is acknowledged, but missing from {kept:?}");
                return Err(Violation::new(Invariant::MissingOnlyWhileFlagged, what));
            }
        }
        Ok(())
    }

    /// A state was committed.
    pub(crate) fn committed(&mut self, id: &str, kept: &Kept<DeviceState>) {
        if let (Some(device), Some(seen)) = (device_number(id), kept.seen) {
            self.committed.insert((device, seen.position, kept.counted));
        }
    }

    /// A row was written.
    pub(crate) fn written(&mut self, row: &Row) -> Checked {
        let wrong = |invariant, what: String| Err(Violation::new(invariant, format!("{what}: {row:?}")));
        let Some(device) = device_number(&row.device_id) else {
            return wrong(Invariant::CountedOnce, "a row of no known device".to_owned());
        };
        let interval = match row.item {
            Item::Latest => None,
            Item::History { from_ms, .. } => Some(from_ms),
        };
        let is_committed = |(of, position, counted): &(u8, Position, u64)| {
            let is_same = (*position, *counted) == (row.position, row.counted);
            *of == device && (is_same || interval.is_some() && *position >= row.position)
        };
        if !self.committed.iter().any(is_committed) {
            return wrong(Invariant::StateBeforeRows, "no such state was committed".to_owned());
        }
        for (metric, result) in &row.metrics {
            let Some(metric) = (0..METRICS).find(|known| metric_name(*known) == metric) else {
                return wrong(Invariant::CountedOnce, "a result of no known metric".to_owned());
            };
            let series = (device, metric);
            let Some(counted) = counted(&result.average) else {
                return wrong(Invariant::CountedOnce, "a reading counts twice".to_owned());
            };
            if counted & !self.put.get(&series).copied().unwrap_or_default() != 0 {
                return wrong(Invariant::CountedOnce, "a reading counts that was never put".to_owned());
            }
            if result.partial && !self.lost.contains(&Slot::of(&row.device_id)) {
                return wrong(Invariant::FlaggedOnlyAfterALoss, "nothing was lost".to_owned());
            }
            let shown = Shown { position: row.position, counted: row.counted, result: result.clone() };
            if let Some(before) = self.results.get(&(series, interval)) {
                let what = format!("it replaces {:?} at {:?}, {}", before.result, before.position, before.counted);
                if (shown.position, shown.counted) < (before.position, before.counted) {
                    return wrong(Invariant::RowsNeverGoBack, what);
                }
                let given_up = self.given_up.get(&series).copied().unwrap_or_default();
                let gone = missing(series, numbers_of(&before.result) & !given_up, counted, interval);
                if gone.into_iter().any(|number| Some(device_time_ms(device, number)) > result.lost_until) {
                    return wrong(Invariant::RowsNeverGoBack, what);
                }
            }
            self.lacks_nothing(series, interval, &shown)?;
            self.results.insert((series, interval), shown);
        }
        Ok(())
    }

    /// The messages that are acknowledged: up to a position, or all.
    fn acknowledged_to(&self, series: Series, position: Option<Position>) -> Numbers {
        let all = self.acknowledged.get(&series).into_iter().flatten();
        let to = all.filter(|(at, _)| position.is_none_or(|position| *at <= position));
        to.fold(0, |set, (_, number)| set | 1 << number)
    }

    /// Checks that a result has every acknowledged reading up to its position that belongs to its window, or is flagged for
    /// it.
    fn lacks_nothing(&self, series: Series, interval: Option<i64>, shown: &Shown) -> Checked {
        let acknowledged = self.acknowledged_to(series, Some(shown.position));
        let missing = missing(series, acknowledged, numbers_of(&shown.result), interval);
        let is_flagged =
            |number: &u8| shown.result.partial && Some(device_time_ms(series.0, *number)) <= shown.result.lost_until;
        match missing.into_iter().find(|number| !is_flagged(number)) {
            None => Ok(()),
            Some(number) => {
                let Shown { position, result, .. } = shown;
                let what = format!(
                    "message {number} of {series:?} is acknowledged, but missing from {interval:?} at {position:?}: {result:?}"
                );
                Err(Violation::new(Invariant::MissingOnlyWhileFlagged, what))
            }
        }
    }

    /// Checks a device after everything is processed: what is kept of it, and its rows, of which the latest one may be
    /// `interval_ms` old.
    pub(crate) fn settled(
        &self,
        device: u8,
        kept: Option<&Kept<DeviceState>>,
        rows: &[Row],
        interval_ms: i64,
    ) -> Checked {
        let wrong = |what: String| Err(Violation::new(Invariant::RightInTheEnd, what));
        let has_lost = self.lost.contains(&Slot::of(device_id(device)));
        let latest = rows.iter().find(|row| row.item == Item::Latest);
        for series in (0..METRICS).map(|metric| (device, metric)) {
            let put = self.put.get(&series).copied().unwrap_or_default();
            if put == 0 {
                continue;
            }
            let name = metric_name(series.1);
            let average = kept.and_then(|kept| kept.state.series(name)?.average(&window(series.1)));
            let expected = expected_window(series, put, None);
            if average.and_then(|(average, _)| counted(&average)) != Some(expected) {
                let expected: Vec<_> = numbers(expected).collect();
                return wrong(format!(
                    "the messages {expected:?} of {series:?} must count, but the window is {average:?}"
                ));
            }
            if average.is_some_and(|(_, partial)| partial) {
                return wrong(format!("the window of {series:?} must not be partial any more"));
            }
            let Some(latest) = latest else { return wrong(format!("device {device} has no latest row")) };
            let arrived = |position| self.arrived.get(&device).and_then(|arrived| arrived.get(&position)).copied();
            let firsts = self.first_put.iter().filter(|((of, _), _)| *of == series).map(|(_, arrived_ms)| *arrived_ms);
            let age_ms = firsts.max().zip(arrived(latest.position)).map(|(newest, of_row)| newest - of_row);
            if age_ms.is_none_or(|age_ms| age_ms > 0 && age_ms >= interval_ms) {
                return wrong(format!("a row of device {device} is missing: the latest one is {age_ms:?} ms old"));
            }
            let newest = numbers(put).map(|number| device_time_ms(device, number)).max();
            let starts = numbers(put).map(|number| interval_of(device_time_ms(device, number)));
            let closed: BTreeSet<i64> =
                starts.filter(|start| newest.is_some_and(|newest| *start < interval_of(newest))).collect();
            for start in &closed {
                let shown = self.results.get(&(series, Some(*start))).map(|shown| numbers_of(&shown.result));
                let expected = expected_window(series, put, Some(*start));
                // After a loss, a series cannot know which intervals are over.
                if shown != Some(expected) && !has_lost {
                    let (shown, expected) = (shown.map(|set| numbers(set).collect::<Vec<_>>()), numbers(expected));
                    let expected: Vec<_> = expected.collect();
                    return wrong(format!(
                        "the interval {start} of {series:?} must have {expected:?}, but has {shown:?}"
                    ));
                }
            }
            let of_series = self.results.keys().filter_map(|(of, interval)| interval.filter(|_| *of == series));
            if let Some(foreign) = of_series.into_iter().find(|interval| !closed.contains(interval)) {
                return wrong(format!("an unexpected row of {series:?} for {foreign}"));
            }
        }
        Ok(())
    }
}

/// Which of the messages `all` belong to the window that counts `counted`, and are missing from it. The window may have counted
/// more: then it is that of both together.
fn missing(series: Series, all: Numbers, counted: Numbers, interval: Option<i64>) -> Vec<u8> {
    numbers(expected_window(series, all | counted, interval) & all & !counted).collect()
}

/// The messages that a result counts.
fn numbers_of(result: &MetricResult) -> Numbers {
    counted(&result.average).unwrap_or_default()
}

/// The messages that are remembered of a metric.
fn remembered(kept: Option<&Kept<DeviceState>>, metric: u8) -> Numbers {
    let series = kept.and_then(|kept| kept.state.series(metric_name(metric)));
    let values = series.into_iter().flat_map(myaku::window::Series::entries).map(|entry| entry.value);
    values.filter_map(number_of).fold(0, |set, number| set | 1 << number)
}

/// Computes the window over a set of messages: sorts them by time, drops those after the interval's end, takes the last
/// ones, and of these the ones that are close enough to the newest.
fn expected_window((device, metric): Series, set: Numbers, interval: Option<i64>) -> Numbers {
    let window = window(metric);
    let mut times: Vec<_> = numbers(set).map(|number| (device_time_ms(device, number), number)).collect();
    times.retain(|(at, _)| interval.is_none_or(|start| *at < start + HISTORY_MS));
    times.sort_unstable();
    let newest = times.last().map_or(0, |(at, _)| *at);
    let last = times.iter().rev().take(window.last.unwrap_or(u32::MAX) as usize);
    let close = last.filter(|(at, _)| window.seconds.is_none_or(|seconds| *at > newest - i64::from(seconds) * 1_000));
    close.fold(0, |set, (_, number)| set | 1 << number)
}

fn interval_of(at: i64) -> i64 {
    at.div_euclid(HISTORY_MS) * HISTORY_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(numbers: &[u8]) -> Average {
        Average::of(numbers.iter().map(|number| value_of(*number)).collect::<Vec<_>>().into_iter()).unwrap()
    }

    #[test]
    fn an_average_names_the_readings_that_it_counts() {
        for set in [&[0, 1, 2][..], &[39], &[0, 39], &[3, 17, 18, 30, 38, 39]] {
            assert_eq!(counted(&of(set)), Some(set.iter().fold(0, |bits, number| bits | 1 << number)));
        }
    }

    #[test]
    fn a_reading_that_counts_twice_is_detected() {
        assert_eq!(counted(&of(&[3, 3])), None);
        assert_eq!(counted(&of(&[3, 4, 4])), None);
        assert_eq!(counted(&of(&[0, 1, 1])), None);
    }
}
