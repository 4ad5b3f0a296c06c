//! What readers ask for: the latest results of a device, and their history.
//!
//! A row has all metrics of a device. It carries the position of the record that it was last computed for, and nothing older
//! overwrites it.
//!
//! - [`Row`] is one row, [`Item`] says which one. It has an [`Outcome`] for each metric: what its function writes, as fields.
//!   That of the moving average is a [`MetricResult`], with an [`Average`].
//! - [`Results`] is the port for writing rows, each on a condition; [`ResultsReader`] is the port for reading those of the
//!   moving average, and [`ReadIntervals`] for the intervals of any function.
//! - Adapters: DynamoDB and [`memory`].
//!
//! ```
//! use myaku::results::Average;
//!
//! let average = Average::of([60.0, 62.0, 64.0].into_iter()).expect("there are values");
//! assert_eq!((average.count, average.mean, average.min, average.max), (3, 62.0, 60.0, 64.0));
//! ```

mod average;
#[cfg(any(test, feature = "testing"))]
pub mod conformance;
#[cfg(feature = "dynamodb")]
pub mod dynamodb;
pub mod memory;
mod outcome;

pub use average::Average;
pub use outcome::{Field, Fields, Outcome, RowNames};

use crate::device::event_time::ClockSource;
use crate::platform::errors::RemoteError;
use crate::stream::batch::Position;
use std::collections::BTreeMap;

/// The last time that keys of history can tell, in milliseconds since the epoch: thirteen digits, which reach to the year
/// 2286.
pub const LATEST_MS: i64 = 9_999_999_999_999;

/// Which row of a device a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Item {
    /// The latest results of all metrics.
    Latest,
    /// The results of an interval, of each metric that had a reading in it.
    History {
        /// The length that names one of several kinds of intervals, in seconds; 0 if the function has one kind.
        seconds: u32,
        /// The beginning of the interval, in milliseconds since the epoch.
        from_ms: i64,
    },
}

impl Item {
    /// The row of the interval that begins at `from_ms`, of a function that has one kind of intervals.
    pub const fn history(from_ms: i64) -> Self {
        Self::History { seconds: 0, from_ms }
    }

    /// The sort key: `<name>#` or `<name>#<seconds>#<13 digits>`, without the seconds if they are 0. Times before the epoch have
    /// no history.
    ///
    /// ```
    /// use myaku::results::{Item, MetricResult, Outcome as _};
    /// assert_eq!(Item::history(60_000).key(MetricResult::NAMES), "history##0000000060000");
    /// ```
    pub fn key(self, names: RowNames) -> String {
        match self {
            Self::Latest => format!("{}#", names.latest),
            Self::History { seconds: 0, from_ms } => history_key(names, "", from_ms),
            Self::History { seconds, from_ms } => history_key(names, &seconds.to_string(), from_ms),
        }
    }

    /// The item of a sort key; `None` if the key is not one of these. Rows of one metric have its name in their key: they were
    /// written until rows had all metrics of a device.
    pub fn parse(key: &str, names: RowNames) -> Option<Self> {
        let (name, rest) = key.split_once('#')?;
        if name == names.latest {
            return Some(Self::Latest);
        }
        let (of, digits) = rest.rsplit_once('#').filter(|_| name == names.history)?;
        let from_ms = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())??;
        Some(Self::History { seconds: of.parse().unwrap_or(0), from_ms })
    }
}

/// The sort key of a row of history: `of` is a length, the metric of a row of one metric, or empty.
fn history_key(names: RowNames, of: &str, from_ms: i64) -> String {
    format!("{}#{of}#{:013}", names.history, from_ms.clamp(0, LATEST_MS))
}

/// One row of the function whose outcomes are of type `O`.
#[derive(Clone, Debug, PartialEq)]
pub struct Row<O = MetricResult> {
    /// The device.
    pub device_id: String,
    /// Which of its rows.
    pub item: Item,
    /// Where the device stands.
    pub facility: String,
    /// Its results, by metric.
    pub metrics: BTreeMap<String, O>,
    /// The stream that `position` belongs to.
    pub stream: String,
    /// The shard whose batch it was written for.
    pub shard: String,
    /// The last record of the device that the row was computed from.
    pub position: Position,
    /// How many readings of the device had been counted by then. Starts again at zero when the state is lost.
    pub counted: u64,
    /// Readings up to this time may be missing from the state that the row was computed from, in milliseconds since the
    /// epoch. Results that this matters to are `partial`.
    pub lost_until: Option<i64>,
    /// When the device's newest message of that batch was received, in milliseconds since the epoch.
    pub received_at: i64,
    /// When the row was computed, in milliseconds since the epoch.
    pub updated_at: i64,
    /// When the row may be deleted, in seconds since the epoch; `None`: never.
    pub expires_at: Option<i64>,
}

/// The moving average of one metric.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricResult {
    /// The unit of the values; empty where there is none.
    pub unit: String,
    /// The value of the newest reading in the window.
    pub value: f64,
    /// The time of that reading, in milliseconds since the epoch.
    pub at: i64,
    /// The clock that this time comes from, if it is not the device's.
    pub clock: Option<ClockSource>,
    /// The statistics of the window.
    pub average: Average,
    /// Whether readings that belong to the window may be missing, because the state was lost or the window is full to
    /// its limit.
    pub partial: bool,
    /// Of a partial result: readings up to this time may be missing, in milliseconds since the epoch.
    pub lost_until: Option<i64>,
}

impl Outcome for MetricResult {
    const NAMES: RowNames = RowNames { latest: "latest", history: "history" };

    fn fields(&self) -> Fields {
        let Average { count, mean, min, max, stddev } = self.average;
        Fields::default()
            .with("unit", &*self.unit)
            .with("value", self.value)
            .with("at", self.at)
            .with_some("clock", self.clock.map(ClockSource::name))
            .with("count", count)
            .with("mean", mean)
            .with("min", min)
            .with("max", max)
            .with("stddev", stddev)
            .with("partial", self.partial)
            .with_some("lostUntil", self.lost_until)
    }

    fn from_fields(fields: &Fields) -> Option<Self> {
        Some(Self {
            unit: fields.text("unit")?.to_owned(),
            value: fields.number("value")?,
            at: fields.integer("at")?,
            clock: fields.text("clock").and_then(ClockSource::of_name),
            average: Average {
                count: fields.integer("count")?,
                mean: fields.number("mean")?,
                min: fields.number("min")?,
                max: fields.number("max")?,
                stddev: fields.number("stddev")?,
            },
            partial: fields.flag("partial")?,
            lost_until: fields.integer("lostUntil"),
        })
    }
}

impl<O: Outcome> Row<O> {
    /// Its sort key.
    pub fn key(&self) -> String {
        self.item.key(O::NAMES)
    }

    /// Whether a stored row gives way to this one: it is of another stream, or was not computed from more.
    fn replaces(&self, stored: &Self) -> bool {
        stored.stream != self.stream || (stored.position, stored.counted) <= (self.position, self.counted)
    }
}

/// Some rows of history, oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// The rows.
    pub rows: Vec<Row>,
    /// Ask again from this time, in milliseconds since the epoch, for the next rows; `None` at the end.
    pub next_ms: Option<i64>,
}

/// The port for writing results.
pub trait Results<O: Outcome = MetricResult>: Send + Sync {
    /// Writes each row, unless the stored row was computed from more: it has a higher position, or the same one and more
    /// readings counted. Such a row stays, and is not an error: a later invocation wrote it. The latest row
    /// replaces all metrics: what it said of a metric that the state has lost may not be complete. A row of history replaces the
    /// metrics that it has, and leaves the others.
    ///
    /// After an error, any of the rows may have been written, and the same call again is right. No two of `rows` have the
    /// same device and item.
    fn write(&self, rows: &[Row<O>]) -> impl Future<Output = Result<(), RemoteError>> + Send;

    /// What the latest row of a device says of losses; `None` if the device has none. Nothing else of the row is read, so a
    /// row of another version of the function does not stop a batch.
    fn latest_mark(&self, device_id: &str) -> impl Future<Output = Result<Option<Mark>, RemoteError>> + Send;
}

/// What the latest row of a device says of losses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// [`Row::lost_until`].
    pub lost_until: Option<i64>,
}

/// The port for reading the results of the moving average.
pub trait ResultsReader: Send + Sync {
    /// The latest results of a device; `None` if there are none.
    fn latest(&self, device_id: &str) -> impl Future<Output = Result<Option<Row>, RemoteError>> + Send;

    /// At most `limit` rows of history that have results of a metric, whose intervals begin at `from_ms` or later and before
    /// `to_ms`. Fewer rows do not mean that there are no more: [`Page::next_ms`] says so.
    fn history_page(
        &self,
        device_id: &str,
        metric: &str,
        from_ms: i64,
        to_ms: i64,
        limit: usize,
    ) -> impl Future<Output = Result<Page, RemoteError>> + Send;

    /// All rows of history that have results of a metric, whose intervals begin at `from_ms` or later and before `to_ms`,
    /// page by page.
    fn history(
        &self,
        device_id: &str,
        metric: &str,
        from_ms: i64,
        to_ms: i64,
    ) -> impl Future<Output = Result<Vec<Row>, RemoteError>> + Send {
        async move {
            let mut rows = Vec::new();
            let mut from = Some(from_ms);
            while let Some(from_ms) = from {
                let page = self.history_page(device_id, metric, from_ms, to_ms, PAGE).await?;
                rows.extend(page.rows);
                from = page.next_ms;
            }
            Ok(rows)
        }
    }
}

/// Some rows of intervals of one length, oldest first.
#[derive(Clone, Debug, PartialEq)]
pub struct Intervals<O> {
    /// The rows.
    pub rows: Vec<Row<O>>,
    /// Ask again from this time, in milliseconds since the epoch, for the next rows; `None` at the end.
    pub next_ms: Option<i64>,
}

/// The port for reading the intervals of any function.
pub trait ReadIntervals<O: Outcome>: Send + Sync {
    /// At most `limit` rows of the intervals of a device whose length is `seconds`, and that begin at `from_ms` or later and before
    /// `to_ms`, with all their metrics.
    fn intervals(
        &self,
        device_id: &str,
        seconds: u32,
        from_ms: i64,
        to_ms: i64,
        limit: usize,
    ) -> impl Future<Output = Result<Intervals<O>, RemoteError>> + Send;
}

/// How many rows of history are read at a time.
const PAGE: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: RowNames = MetricResult::NAMES;

    #[test]
    fn keys_of_history_sort_by_time() {
        let key = |seconds, from_ms| Item::History { seconds, from_ms }.key(NAMES);
        assert!(key(0, 999) < key(0, 1_000) && key(0, 1_000) < key(0, 1_795_218_892_020));
        assert_eq!(key(0, 1_795_218_892_020), "history##1795218892020");
        assert_eq!(key(300, 1_795_218_892_020), "history#300#1795218892020");
        assert_eq!(Item::parse(&key(300, 5), NAMES), Some(Item::History { seconds: 300, from_ms: 5 }));
    }

    #[test]
    fn keys_of_one_metric_are_read_and_a_key_that_is_not_a_result_is_not() {
        assert_eq!(Item::parse("latest#m", NAMES), Some(Item::Latest));
        assert_eq!(Item::parse("history#m#0000000060000", NAMES), Some(Item::history(60_000)));
        for key in ["", "latest", "status#m", "history#m", "history#m#", "history#m#12x"] {
            assert_eq!(Item::parse(key, NAMES), None, "{key}");
        }
    }
}
