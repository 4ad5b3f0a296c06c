//! The model of CloudWatch: sums of each minute, which arrive some time after the minute is over.

use myaku::scaling::alarms::{self, MetricStat};
use myaku::scaling::shards::{Capacity, Habits, Load, Series};

/// Days of load from which habits are derived, as the autoscaler does it.
const HABITS_DAYS: usize = 7;
/// Minutes of one period of the history.
const PERIOD_MINUTES: usize = 5;

/// The metrics that a stream has published.
#[derive(Debug)]
pub(super) struct Metrics {
    start_ms: i64,
    delay_ms: i64,
    now_ms: i64,
    records: Vec<Option<f64>>,
    bytes: Vec<Option<f64>>,
    refused: Vec<Option<f64>>,
}

impl Metrics {
    pub(super) const fn new(start_ms: i64, delay_s: u32) -> Self {
        Self {
            start_ms,
            delay_ms: delay_s as i64 * 1_000,
            now_ms: start_ms,
            records: Vec::new(),
            bytes: Vec::new(),
            refused: Vec::new(),
        }
    }

    /// Adds the minute that ends at `now_ms`.
    pub(super) fn minute(&mut self, records: f64, bytes: f64, refused: f64, now_ms: i64) {
        self.now_ms = now_ms;
        self.records.push(Some(records));
        self.bytes.push(Some(bytes));
        self.refused.push(Some(refused));
    }

    /// Returns how many minutes have arrived.
    fn arrived(&self) -> usize {
        ((self.now_ms - self.delay_ms - self.start_ms) / 60_000).clamp(0, self.records.len() as i64) as usize
    }

    /// Returns the newest `count` minutes that have arrived.
    pub(super) fn newest(&self, count: usize) -> (Load, Series) {
        let (until, end_ms) = (self.arrived(), self.start_ms + self.arrived() as i64 * 60_000);
        let from = until.saturating_sub(count);
        let series = |values: &[Option<f64>]| Series::minutes(end_ms, values[from..until].to_vec());
        (Load { records: series(&self.records), bytes: series(&self.bytes) }, series(&self.refused))
    }

    /// Returns the habits of the load in the last days.
    pub(super) fn habits(&self, capacity: &Capacity) -> Option<Habits> {
        let until = self.arrived() / PERIOD_MINUTES * PERIOD_MINUTES;
        let from = until.saturating_sub(HABITS_DAYS * 1_440);
        let series = |values: &[Option<f64>]| Series {
            end_ms: self.start_ms + until as i64 * 60_000,
            period_ms: PERIOD_MINUTES as i64 * 60_000,
            values: values[from..until].chunks(PERIOD_MINUTES).map(|five| Some(five.iter().flatten().sum())).collect(),
        };
        let load = Load { records: series(&self.records), bytes: series(&self.bytes) };
        Habits::of(&load, &series(&self.refused), capacity)
    }
}

impl alarms::Metrics for Metrics {
    fn value(&self, stat: &MetricStat, start_ms: i64) -> Option<f64> {
        let minute = usize::try_from((start_ms - self.start_ms).div_euclid(60_000)).ok()?;
        if minute >= self.arrived() {
            return None;
        }
        match stat.metric.name.as_str() {
            "IncomingRecords" => self.records[minute],
            "IncomingBytes" => self.bytes[minute],
            "WriteProvisionedThroughputExceeded" => self.refused[minute],
            _ => None,
        }
    }
}
