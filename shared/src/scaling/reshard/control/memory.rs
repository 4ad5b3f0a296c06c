//! A stream in memory: its shards and their changes, without records.

use super::{Answer, StreamControl, Summary};
use crate::platform::errors::RemoteError;
use crate::scaling::shards::{Keyspace, KeyspaceError, Limits, Step, StreamMode, StreamStatus};
use crate::stream::shard_map::HashKeyRange;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A stream in memory; clones share it. Like Kinesis, it is `UPDATING` for a while after each step: until its summary
/// has been read as often as [`looks`](Self::looks) says.
#[derive(Clone, Debug)]
pub struct MemoryControl {
    name: String,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    exists: bool,
    summary: Summary,
    keyspace: Keyspace,
    /// The keyspace after the step in progress, and how many more reads of the summary it lasts.
    in_progress: Option<(Keyspace, u32)>,
    looks: u32,
    steps: Vec<Step>,
    /// UpdateShardCount calls that are left.
    calls_left: u32,
}

impl MemoryControl {
    /// A stream of `shards` even shards. Each step ends with the next read of the summary.
    pub fn new(name: impl Into<String>, shards: u32) -> Self {
        let summary = Summary {
            status: StreamStatus::Active,
            mode: StreamMode::Provisioned,
            shard_metrics: false,
            enhanced_consumers: Vec::new(),
        };
        let state = State {
            exists: true,
            summary,
            keyspace: Keyspace::uniform(shards, |index| format!("s{index}")),
            in_progress: None,
            looks: 0,
            steps: Vec::new(),
            calls_left: crate::scaling::shards::DAILY_CALLS_MAX,
        };
        Self { name: name.into(), state: Arc::new(Mutex::new(state)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on, a step lasts for `looks` reads of the summary.
    pub fn looks(&self, looks: u32) {
        self.state().looks = looks;
    }

    /// Sets the summary. During a step, its status is still `UPDATING`.
    pub fn describe(&self, summary: Summary) {
        self.state().summary = summary;
    }

    /// Deletes the stream.
    pub fn delete(&self) {
        self.state().exists = false;
    }

    /// Sets how many calls of UpdateShardCount are left.
    pub fn calls_left(&self, calls: u32) {
        self.state().calls_left = calls;
    }

    /// The steps that have begun so far.
    pub fn steps(&self) -> Vec<Step> {
        self.state().steps.clone()
    }

    /// Executes a step at once, as an operator would by hand.
    pub fn by_hand(&self, step: &Step) -> Result<(), KeyspaceError> {
        let mut state = self.state();
        state.keyspace = state.keyspace.after(step)?;
        Ok(())
    }

    /// The open shards.
    pub fn keyspace(&self) -> Keyspace {
        self.state().keyspace.clone()
    }
}

impl StreamControl for MemoryControl {
    fn name(&self) -> &str {
        &self.name
    }

    async fn summary(&self) -> Result<Option<Summary>, RemoteError> {
        let mut state = self.state();
        match state.in_progress.take() {
            Some((keyspace, 0)) => state.keyspace = keyspace,
            Some((keyspace, looks)) => state.in_progress = Some((keyspace, looks - 1)),
            None => {}
        }
        let mut summary = state.summary.clone();
        if state.in_progress.is_some() {
            summary.status = StreamStatus::Updating;
        }
        Ok(state.exists.then_some(summary))
    }

    async fn open_shards(&self) -> Result<Vec<HashKeyRange>, RemoteError> {
        Ok(self.keyspace().shards().to_vec())
    }

    async fn limits(&self) -> Result<Limits, RemoteError> {
        Ok(Limits { account_shards_max: Some(10_000), account_shards_open: Some(self.keyspace().count()) })
    }

    async fn sample(&self, _: &[HashKeyRange]) -> Result<Vec<u128>, RemoteError> {
        Ok(Vec::new())
    }

    async fn begin(&self, step: &Step) -> Result<Answer, RemoteError> {
        let mut state = self.state();
        if state.in_progress.is_some() {
            return Ok(Answer::Busy);
        }
        let after = match state.keyspace.after(step) {
            Ok(after) => after,
            Err(error) => return Ok(Answer::Obsolete(error.to_string())),
        };
        if let Step::UpdateShardCount { target } = step {
            if *target == state.keyspace.count() {
                return Ok(Answer::Obsolete(format!("the stream already has {target} shards")));
            }
            let Some(left) = state.calls_left.checked_sub(1) else {
                return Ok(Answer::Limited("ten calls in 24 hours are reached".to_owned()));
            };
            state.calls_left = left;
        }
        state.steps.push(step.clone());
        state.in_progress = Some((after, state.looks));
        Ok(Answer::Begun)
    }
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn the_memory_stream_conforms() {
        crate::scaling::reshard::control::conformance::suite(&super::MemoryControl::new("s", 2)).await;
    }
}
