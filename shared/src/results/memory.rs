//! Results in memory, for tests and simulations.

use super::{Intervals, Item, Mark, MetricResult, Outcome, Page, ReadIntervals, Results, ResultsReader, Row};
use crate::platform::errors::RemoteError;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Results in memory.
#[derive(Debug)]
pub struct MemoryResults<O = MetricResult>(Mutex<Rows<O>>);

type Rows<O> = BTreeMap<(String, Item), Row<O>>;

impl<O> Default for MemoryResults<O> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<O: Outcome> MemoryResults<O> {
    fn map(&self) -> MutexGuard<'_, Rows<O>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All rows, by device and item.
    pub fn rows(&self) -> Vec<Row<O>> {
        self.map().values().cloned().collect()
    }

    /// The row of a device, if there is one.
    pub fn row(&self, device_id: &str, item: Item) -> Option<Row<O>> {
        self.map().get(&(device_id.to_owned(), item)).cloned()
    }
}

impl<O: Outcome> Results<O> for MemoryResults<O> {
    async fn write(&self, rows: &[Row<O>]) -> Result<(), RemoteError> {
        let mut map = self.map();
        for row in rows {
            let key = (row.device_id.clone(), row.item);
            let mut row = row.clone();
            if let Some(stored) = map.get(&key) {
                if !row.replaces(stored) {
                    continue;
                }
                if row.item != Item::Latest {
                    let mut metrics = stored.metrics.clone();
                    metrics.append(&mut row.metrics);
                    row.metrics = metrics;
                }
            }
            map.insert(key, row);
        }
        Ok(())
    }

    async fn latest_mark(&self, device_id: &str) -> Result<Option<Mark>, RemoteError> {
        Ok(self.row(device_id, Item::Latest).map(|row| Mark { lost_until: row.lost_until }))
    }
}

impl ResultsReader for MemoryResults {
    async fn latest(&self, device_id: &str) -> Result<Option<Row>, RemoteError> {
        Ok(self.row(device_id, Item::Latest))
    }

    async fn history_page(
        &self,
        device_id: &str,
        metric: &str,
        from_ms: i64,
        to_ms: i64,
        limit: usize,
    ) -> Result<Page, RemoteError> {
        if from_ms >= to_ms {
            return Ok(Page::default());
        }
        let key = |from_ms| (device_id.to_owned(), Item::history(from_ms));
        let map = self.map();
        let of_metric = map.range(key(from_ms)..key(to_ms)).map(|(_, row)| row);
        let mut of_metric = of_metric.filter(|row| row.metrics.contains_key(metric));
        let rows = of_metric.by_ref().take(limit).cloned().collect();
        let next_ms = match of_metric.next().map(|row| row.item) {
            Some(Item::History { from_ms, .. }) => Some(from_ms),
            _ => None,
        };
        Ok(Page { rows, next_ms })
    }
}

impl<O: Outcome> ReadIntervals<O> for MemoryResults<O> {
    async fn intervals(
        &self,
        device_id: &str,
        seconds: u32,
        from_ms: i64,
        to_ms: i64,
        limit: usize,
    ) -> Result<Intervals<O>, RemoteError> {
        if from_ms >= to_ms {
            return Ok(Intervals { rows: Vec::new(), next_ms: None });
        }
        let key = |from_ms| (device_id.to_owned(), Item::History { seconds, from_ms });
        let map = self.map();
        let mut rows = map.range(key(from_ms)..key(to_ms));
        let found = rows.by_ref().take(limit).map(|(_, row)| row.clone()).collect();
        let next_ms = match rows.next().map(|((_, item), _)| *item) {
            Some(Item::History { from_ms, .. }) => Some(from_ms),
            _ => None,
        };
        Ok(Intervals { rows: found, next_ms })
    }
}

#[cfg(test)]
mod tests {
    use super::super::conformance;
    use super::*;

    #[tokio::test]
    async fn memory_keeps_the_contract() {
        conformance::suite(&MemoryResults::default(), "test").await;
    }
}
