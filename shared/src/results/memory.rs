//! Results in memory, for tests and simulations.

use super::{Item, Page, Results, ResultsReader, Row, StoredRow, Write, Written};
use crate::platform::errors::RemoteError;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Results in memory.
#[derive(Debug, Default)]
pub struct MemoryResults(Mutex<BTreeMap<(String, Item), Row>>);

impl MemoryResults {
    fn map(&self) -> MutexGuard<'_, BTreeMap<(String, Item), Row>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All rows, by device and item.
    pub fn rows(&self) -> Vec<Row> {
        self.map().values().cloned().collect()
    }
}

impl Results for MemoryResults {
    async fn write(&self, writes: &[Write]) -> Result<Vec<Written>, RemoteError> {
        let mut map = self.map();
        Ok(writes
            .iter()
            .map(|Write { row, over, revision }| {
                let key = (row.device_id.clone(), row.item.clone());
                match map.get(&key) {
                    Some(there)
                        if there.stream == row.stream
                            && (Some(there.position) > *over || there.revision > *revision) =>
                    {
                        Written::Kept(StoredRow::from(there))
                    }
                    _ => {
                        map.insert(key, row.clone());
                        Written::Stored
                    }
                }
            })
            .collect())
    }
}

impl ResultsReader for MemoryResults {
    async fn latest(&self, device_id: &str) -> Result<Vec<Row>, RemoteError> {
        let map = self.map();
        let rows = map.values().filter(|row| row.device_id == device_id);
        Ok(rows.filter(|row| matches!(row.item, Item::Latest { .. })).cloned().collect())
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
        let key = |from_ms| (device_id.to_owned(), Item::History { metric: metric.to_owned(), from_ms });
        let map = self.map();
        let mut rows: Vec<Row> = map.range(key(from_ms)..key(to_ms)).map(|(_, row)| row.clone()).collect();
        let next_ms = match rows.get(limit).map(|row| &row.item) {
            Some(Item::History { from_ms, .. }) => Some(*from_ms),
            _ => None,
        };
        rows.truncate(limit);
        Ok(Page { rows, next_ms })
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
