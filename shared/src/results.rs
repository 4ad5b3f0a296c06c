//! What readers ask for: the latest averages of a device, and their history.
//!
//! A row carries the position of the record that it was last computed for, and nothing older overwrites it. So promise 2
//! holds for readers even after the state that the rows were computed from is lost.
//!
//! - [`Row`] is one result, [`Item`] says which one, [`Average`] has its statistics.
//! - [`Results`] is the port for writing rows, each on a condition; [`ResultsReader`] is the port for reading them.
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

pub use average::Average;

use crate::platform::errors::RemoteError;
use crate::stream::batch::Position;

/// The last time that keys of history can tell, in milliseconds since the epoch: thirteen digits, which reach to the year
/// 2286.
pub const LATEST_MS: i64 = 9_999_999_999_999;

/// Which result of a device a row is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Item {
    /// The latest average of a metric.
    Latest {
        /// The metric.
        metric: String,
    },
    /// The average of a metric at the end of an interval, whose last reading is the newest of the window.
    History {
        /// The metric.
        metric: String,
        /// The beginning of the interval, in milliseconds since the epoch.
        from_ms: i64,
    },
}

impl Item {
    /// The sort key: `latest#<metric>` or `history#<metric>#<13 digits>`.
    ///
    /// ```
    /// use myaku::results::Item;
    /// let item = Item::History { metric: "heart_rate".into(), from_ms: 60_000 };
    /// assert_eq!(item.key(), "history#heart_rate#0000000060000");
    /// assert_eq!(Item::parse(&item.key()), Some(item));
    /// ```
    pub fn key(&self) -> String {
        match self {
            Self::Latest { metric } => format!("latest#{metric}"),
            Self::History { metric, from_ms } => history_key(metric, *from_ms),
        }
    }

    /// The item of a sort key; `None` if the key is not one of these.
    pub fn parse(key: &str) -> Option<Self> {
        if let Some(metric) = key.strip_prefix("latest#") {
            return Some(Self::Latest { metric: metric.to_owned() });
        }
        let (metric, digits) = key.strip_prefix("history#")?.rsplit_once('#')?;
        let from_ms = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())??;
        Some(Self::History { metric: metric.to_owned(), from_ms })
    }

    /// The metric.
    pub fn metric(&self) -> &str {
        match self {
            Self::Latest { metric } | Self::History { metric, .. } => metric,
        }
    }
}

/// Times before the epoch have no history.
fn history_key(metric: &str, from_ms: i64) -> String {
    format!("history#{metric}#{:013}", from_ms.clamp(0, LATEST_MS))
}

/// One row.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The device.
    pub device_id: String,
    /// Which of its results.
    pub item: Item,
    /// Where the device stands.
    pub facility: String,
    /// The unit of the values; empty where there is none.
    pub unit: String,
    /// The value of the newest reading in the window.
    pub value: f64,
    /// The time of that reading, in milliseconds since the epoch.
    pub at: i64,
    /// The statistics of the window.
    pub average: Average,
    /// Whether readings that belong to the window may be missing, because the state was lost or the window is full to
    /// its limit.
    pub partial: bool,
    /// Of a partial row: readings up to this time may be missing, in milliseconds since the epoch. If the state is lost
    /// again, the time is taken from here.
    pub lost_until: Option<i64>,
    /// Grows whenever the row is written with different content.
    pub revision: u64,
    /// The stream that `position` belongs to.
    pub stream: String,
    /// The shard that its batch came from.
    pub shard: String,
    /// The record that the row was last computed for.
    pub position: Position,
    /// The position of the state that it was computed from, or a higher one of results that this state was behind. A
    /// state that is behind this position has lost something.
    pub base: Option<Position>,
    /// When the message of that record was received, in milliseconds since the epoch.
    pub received_at: i64,
    /// When the row was computed, in milliseconds since the epoch.
    pub updated_at: i64,
    /// When the row may be deleted, in seconds since the epoch; `None`: never.
    pub expires_at: Option<i64>,
}

/// What a stored row says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRow {
    /// The shard that its batch came from.
    pub shard: String,
    /// When it was computed, in milliseconds since the epoch.
    pub updated_at: i64,
    /// The record that it was last computed for.
    pub position: Position,
    /// The position of the state that it was computed from.
    pub base: Option<Position>,
    /// The time of its newest reading, in milliseconds since the epoch.
    pub at: i64,
    /// Its revision.
    pub revision: u64,
    /// Whether readings may be missing from it.
    pub partial: bool,
    /// Up to which time, in milliseconds since the epoch.
    pub lost_until: Option<i64>,
}

impl From<&Row> for StoredRow {
    fn from(row: &Row) -> Self {
        Self {
            shard: row.shard.clone(),
            updated_at: row.updated_at,
            position: row.position,
            base: row.base,
            at: row.at,
            revision: row.revision,
            partial: row.partial,
            lost_until: row.lost_until,
        }
    }
}

/// A row to be written, and what it may replace.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    /// The row.
    pub row: Row,
    /// The row is written if there is none, or one of another stream, or one whose position is not above this one and whose
    /// revision is not above [`Self::revision`]. In the usual case this is what the writer's state has seen, and passes;
    /// otherwise it is what the writer found in an earlier try.
    pub over: Option<Position>,
    /// The metric's revision in the writer's state. A stored row with a higher revision shows that the state lost what the
    /// row was computed from, even if the device has advanced since by other metrics.
    pub revision: u64,
}

/// What became of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// The row is stored.
    Stored,
    /// A row above `over` or `revision` is stored, and stays.
    Kept(StoredRow),
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
pub trait Results: Send + Sync {
    /// Writes each row on its condition. The answers are in the order of `writes`, whose rows all differ. A stored row that
    /// stays is not an error: a later invocation wrote it. After an error, any of the rows may have been written, and the
    /// same call again is right.
    fn write(&self, writes: &[Write]) -> impl Future<Output = Result<Vec<Written>, RemoteError>> + Send;
}

/// The port for reading results.
pub trait ResultsReader: Send + Sync {
    /// The latest averages of all metrics of a device, by metric.
    fn latest(&self, device_id: &str) -> impl Future<Output = Result<Vec<Row>, RemoteError>> + Send;

    /// At most `limit` rows of history of a metric, whose intervals begin at `from_ms` or later and before `to_ms`. Fewer
    /// rows do not mean that there are no more: [`Page::next_ms`] says so.
    fn history_page(
        &self,
        device_id: &str,
        metric: &str,
        from_ms: i64,
        to_ms: i64,
        limit: usize,
    ) -> impl Future<Output = Result<Page, RemoteError>> + Send;

    /// All rows of history whose intervals begin at `from_ms` or later and before `to_ms`, page by page.
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

/// How many rows of history are read at a time.
const PAGE: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_one_metric_sort_by_time() {
        let key = |from_ms| Item::History { metric: "m".to_owned(), from_ms }.key();
        assert!(key(999) < key(1_000) && key(1_000) < key(1_795_218_892_020));
        assert_eq!(key(1_795_218_892_020), "history#m#1795218892020");
    }

    #[test]
    fn a_key_that_is_not_a_result_is_not_read_as_one() {
        for key in ["", "latest", "status#m", "history#m", "history#m#", "history#m#12x"] {
            assert_eq!(Item::parse(key), None, "{key}");
        }
    }
}
