//! The model of the averages. The reading of a device's message `n` has the value 2ⁿ. So the sum of an average shows
//! which readings were counted, and whether one was counted twice.

use super::Checked;
use super::readings::Name;
use crate::invariants::{Invariant, Violation};
use crate::plan::{DEVICES, NUMBERS, REFILL, Stream, device_time_ms};
use myaku::device::profile::WindowSpec;
use myaku::keyed::State as _;
use myaku::keyed::states::Commit;
use myaku::results::Average;
use myaku::results::{Item, Row};
use myaku::stream::batch::{Batch, Position, SequenceNumber};
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

/// The readings of the stream, what was acknowledged of them, and the rows.
#[derive(Default)]
pub(crate) struct Averages {
    put: BTreeMap<Series, Numbers>,
    counted: BTreeMap<Series, Numbers>,
    discarded: BTreeSet<SequenceNumber>,
    rows: BTreeMap<(Series, Option<i64>), Row>,
    /// Whether invocations fail and crash.
    pub(crate) troubled: bool,
    /// Whether states were lost, or batches were given up.
    lost: bool,
    /// When states were lost last, in milliseconds since the epoch.
    states_lost_at: Option<i64>,
    /// For a moment after a reshard, two shards hold one device, and their order is not defined. A row can lack what
    /// the other shard brought: the latest row until its window moves on, a row of history for ever.
    pub(crate) resharded: bool,
}

impl Averages {
    /// Whether results are right only after their windows have filled again.
    pub(crate) const fn must_fill_again(&self) -> bool {
        self.lost || self.resharded
    }

    /// States were lost.
    pub(crate) fn states_lost(&mut self, now_ms: i64) {
        self.lost = true;
        self.states_lost_at = Some(now_ms);
    }

    /// Whether a row of history is older than the last loss of states. A late reading reaches it only if the state
    /// still has a reading of its interval.
    fn is_out_of_reach(&self, interval: Option<i64>, row: &Row) -> bool {
        interval.is_some() && Some(row.updated_at) <= self.states_lost_at
    }

    /// A reading was put on the stream.
    pub(crate) fn put(&mut self, name: Name) {
        *self.put.entry((name.device, name.metric)).or_default() |= 1 << name.number;
    }

    /// A batch was given up: the windows lack its readings until it is put again.
    pub(crate) fn discarded(&mut self, discarded: &Discarded) {
        self.lost = true;
        let event: serde_json::Value = serde_json::from_slice(&discarded.body).unwrap_or_default();
        let batch = event["payload"].as_str().and_then(|event| Batch::from_event(event.to_owned()).ok());
        let records = batch.into_iter().flat_map(|batch| batch.records);
        self.discarded.extend(records.map(|record| record.sequence));
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
                self.acknowledge(name, record.position())?;
            }
        }
        Ok(())
    }

    fn acknowledge(&mut self, name: Name, position: Position) -> Checked {
        let series = (name.device, name.metric);
        *self.counted.entry(series).or_default() |= 1 << name.number;
        if !self.rows.contains_key(&(series, None)) {
            let what = format!("{name:?} is acknowledged, but has no result");
            return Err(Violation::new(Invariant::MissingOnlyWhileFlagged, what));
        }
        for ((_, interval), row) in self.rows.iter().filter(|((of, _), _)| *of == series) {
            // A row of history that was put just when a loss was found stays if the invocation crashed at that moment.
            let died = interval.is_some() && self.troubled;
            if self.lost && (row.position > position || died || self.is_out_of_reach(*interval, row)) {
                continue;
            }
            self.lacks_nothing(series, *interval, row)?;
        }
        Ok(())
    }

    /// A row was written.
    pub(crate) fn written(&mut self, row: &Row) -> Checked {
        let wrong = |invariant, what: String| Err(Violation::new(invariant, what));
        let Some((series, interval)) = place(row) else {
            return wrong(Invariant::CountedOnce, format!("a row of no known device or metric: {row:?}"));
        };
        let Some(counted) = counted(&row.average) else {
            return wrong(Invariant::CountedOnce, format!("a reading counts twice: {row:?}"));
        };
        let put = self.put.get(&series).copied().unwrap_or_default();
        if counted & !put != 0 {
            return wrong(Invariant::CountedOnce, format!("a reading counts that was never put: {row:?}"));
        }
        if row.partial && !self.lost {
            return wrong(Invariant::FlaggedOnlyAfterALoss, format!("nothing was lost: {row:?}"));
        }
        if let Some(before) = self.rows.get(&(series, interval)) {
            // A try that found a loss, and did not commit, is replaced by one that lost nothing.
            let whole = row.position == before.position && before.partial && !row.partial;
            let grows = row.revision > before.revision
                || (row.revision == before.revision && (row.average == before.average || whole))
                || self.resharded;
            // A batch that finds a loss sets the flag on rows that it wrote before.
            let flags = self.lost && row.partial;
            let later = row.position > before.position || (row.position == before.position && grows) || flags;
            if !later || !grows {
                return wrong(Invariant::RowsNeverGoBack, format!("{row:?} replaces {before:?}"));
            }
        }
        // A loss is detected by the existing rows. A new row can be unflagged until the same batch, or a retry of it,
        // has written it again. So after a loss, this is checked when the batch is acknowledged.
        if !self.lost {
            self.lacks_nothing(series, interval, row)?;
        }
        self.rows.insert((series, interval), row.clone());
        Ok(())
    }

    /// Checks that an unflagged row has every acknowledged reading that belongs to its window.
    fn lacks_nothing(&self, series: Series, interval: Option<i64>, row: &Row) -> Checked {
        if row.partial || self.resharded {
            return Ok(());
        }
        let acknowledged = self.counted.get(&series).copied().unwrap_or_default();
        let counted = counted(&row.average).unwrap_or_default();
        // The row may have counted more than what was acknowledged: then its window is that of both together.
        let expected = expected_window(series, acknowledged | counted, interval);
        if expected & acknowledged & !counted == 0 {
            return Ok(());
        }
        let what = format!(
            "of {:?} the messages {:?} are acknowledged, but missing from {row:?}",
            series,
            numbers(expected & acknowledged & !counted).collect::<Vec<_>>()
        );
        Err(Violation::new(Invariant::MissingOnlyWhileFlagged, what))
    }

    /// A state was committed.
    pub(crate) fn committed(&self, commit: &Commit<'_, DeviceState>) -> Checked {
        let Some(device) = device(commit.device_id) else { return Ok(()) };
        let position = commit.state.position(Stream::Readings.name());
        for metric in 0..METRICS {
            let Some(series) = commit.state.series(metric_name(metric)) else { continue };
            let row = self.rows.get(&((device, metric), None));
            let revision = series.revision();
            // A state that has lost something is recognised by its revision. After a loss, a row that has everything
            // can stay.
            let is_outdated = |row: &Row| row.revision < revision && Some(row.position) <= position;
            if row.is_some_and(is_outdated) && !self.resharded && !self.lost {
                let what =
                    format!("the state of {} is at revision {revision}, but its row is {row:?}", commit.device_id);
                return Err(Violation::new(Invariant::EffectsBeforeState, what));
            }
            // An existing row may still have what the state has lost.
            let Some((average, false)) = series.average(&window(metric)) else { continue };
            let ahead = |row: &Row| Some(row.position) > position || (self.lost && row.revision > revision);
            // A batch that was given up may have written its rows. They have what no state has until the batch is put
            // again.
            let given_up = |row: &Row| self.discarded.contains(&row.position.sequence);
            if !row.is_some_and(|row| row.average == average || ahead(row) || given_up(row) || self.resharded) {
                let what = format!("the state of {} is {average:?}, but its row is {row:?}", commit.device_id);
                return Err(Violation::new(Invariant::EffectsBeforeState, what));
            }
        }
        Ok(())
    }

    /// Checks the rows after everything is processed.
    pub(crate) fn settled(&self, rows: &[Row]) -> Checked {
        let wrong = |what: String| Err(Violation::new(Invariant::RightInTheEnd, what));
        let rows: BTreeMap<_, _> = rows.iter().filter_map(|row| Some((place(row)?, row))).collect();
        for series in (0..DEVICES).flat_map(|device| (0..METRICS).map(move |metric| (device, metric))) {
            let put = self.put.get(&series).copied().unwrap_or_default();
            let newest = numbers(put).map(|number| device_time_ms(series.0, number)).max();
            let starts = numbers(put).map(|number| interval_of(device_time_ms(series.0, number)));
            let mut intervals: Vec<Option<i64>> =
                starts.filter(|start| newest.is_some_and(|newest| *start < interval_of(newest))).map(Some).collect();
            intervals.sort_unstable();
            intervals.dedup();
            intervals.extend((put != 0).then_some(None));
            for interval in &intervals {
                let Some(row) = rows.get(&(series, *interval)) else {
                    // A series that lost its state in the middle of an interval cannot know that the interval is over.
                    if self.lost && interval.is_some() {
                        continue;
                    }
                    return wrong(format!("{series:?} has no row for {interval:?}"));
                };
                let expected = expected_window(series, put, *interval);
                let died = self.lost && self.troubled;
                let excused = interval.is_some() && (row.partial || self.resharded || died)
                    || self.is_out_of_reach(*interval, row);
                if counted(&row.average) != Some(expected) && !excused {
                    let expected: Vec<_> = numbers(expected).collect();
                    return wrong(format!(
                        "the messages {expected:?} of {series:?} must count, but the row is {row:?}"
                    ));
                }
                if row.partial && (interval.is_none() || !self.lost) {
                    return wrong(format!("a partial row that must not be partial: {row:?}"));
                }
            }
            let of_series = rows.keys().filter(|(of, _)| *of == series);
            if let Some(foreign) = of_series.into_iter().find(|(_, interval)| !intervals.contains(interval)) {
                return wrong(format!("an unexpected row for {foreign:?}"));
            }
        }
        Ok(())
    }
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

fn device(id: &str) -> Option<u8> {
    id.strip_prefix("device-")?.parse().ok()
}

fn place(row: &Row) -> Option<(Series, Option<i64>)> {
    let metric = (0..METRICS).find(|metric| metric_name(*metric) == row.item.metric())?;
    let interval = match row.item {
        Item::Latest { .. } => None,
        Item::History { from_ms, .. } => Some(from_ms),
    };
    Some(((device(&row.device_id)?, metric), interval))
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
