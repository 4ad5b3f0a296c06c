//! The progress of functions in memory, for tests and simulations.

use super::{CHANGES_MAX, Progress, ProgressStore, differences, progress_of};
use crate::platform::errors::{Remedy, RemoteError};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

/// The progress of functions in memory.
#[derive(Debug, Default)]
pub struct MemoryProgress(Mutex<HashMap<(String, String), BTreeMap<String, String>>>);

impl ProgressStore for MemoryProgress {
    async fn read(&self, function: &str, stream: &str) -> Result<Progress, RemoteError> {
        let items = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let item = items.get(&(function.to_owned(), stream.to_owned()));
        let entries = item.into_iter().flatten().map(|(name, value)| (name.as_str(), value.as_str()));
        // Only what was formatted is stored.
        Ok(progress_of(entries).unwrap_or_default())
    }

    async fn change(
        &self,
        function: &str,
        stream: &str,
        before: &Progress,
        after: &Progress,
    ) -> Result<bool, RemoteError> {
        let mut items = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let item = items.entry((function.to_owned(), stream.to_owned())).or_default();
        let differences = differences(before, after);
        if differences.len() > CHANGES_MAX {
            let what = format!("it changes {} entries, at most {CHANGES_MAX} are possible", differences.len());
            return Err(RemoteError::new("change progress", Remedy::GiveUp, what));
        }
        if differences.iter().any(|(name, was, _)| item.get(name) != was.as_ref()) {
            return Ok(false);
        }
        for (name, _, now) in differences {
            match now {
                Some(now) => drop(item.insert(name, now)),
                None => drop(item.remove(&name)),
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::super::conformance;
    use super::*;

    #[tokio::test]
    async fn memory_keeps_the_contract() {
        conformance::suite(&MemoryProgress::default(), "test").await;
    }
}
