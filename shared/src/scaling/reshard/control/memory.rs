//! A stream in memory: its shards and the way that they change, without records.

use super::{Answer, StreamControl, Summary};
use crate::platform::errors::RemoteError;
use crate::scaling::shards::{Keyspace, KeyspaceError, Limits, Step, StreamMode, StreamStatus};
use crate::stream::shard_map::HashKeyRange;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A stream in memory; clones share it. Like Kinesis, it is `UPDATING` for a while behind each step: until it has been
/// looked at [`looks`](Self::looks) times.
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
    /// What is being done, and at how many looks it will still be under way.
    under_way: Option<(Keyspace, u32)>,
    looks: u32,
    steps: Vec<Step>,
    /// UpdateShardCount calls that are left.
    calls_left: u32,
}

impl MemoryControl {
    /// A stream of `shards` even shards that is active again right behind each step.
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
            under_way: None,
            looks: 0,
            steps: Vec::new(),
            calls_left: crate::scaling::shards::DAILY_CALLS_MAX,
        };
        Self { name: name.into(), state: Arc::new(Mutex::new(state)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on a step is under way until the stream has been looked at so many times.
    pub fn looks(&self, looks: u32) {
        self.state().looks = looks;
    }

    /// What its summary says from now on, but for whether it can be changed.
    pub fn describe(&self, summary: Summary) {
        self.state().summary = summary;
    }

    /// Deletes it.
    pub fn delete(&self) {
        self.state().exists = false;
    }

    /// Its UpdateShardCount calls that are left from now on.
    pub fn calls_left(&self, calls: u32) {
        self.state().calls_left = calls;
    }

    /// The steps that were begun so far.
    pub fn steps(&self) -> Vec<Step> {
        self.state().steps.clone()
    }

    /// Does a step as by somebody else's hand, at once.
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
        match state.under_way.take() {
            Some((keyspace, 0)) => state.keyspace = keyspace,
            Some((keyspace, looks)) => state.under_way = Some((keyspace, looks - 1)),
            None => {}
        }
        let mut summary = state.summary.clone();
        if state.under_way.is_some() {
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
        if state.under_way.is_some() {
            return Ok(Answer::Busy);
        }
        let after = match state.keyspace.after(step) {
            Ok(after) => after,
            Err(error) => return Ok(Answer::Obsolete(error.to_string())),
        };
        if let Step::UpdateShardCount { target } = step {
            if *target == state.keyspace.count() {
                return Ok(Answer::Obsolete(format!("there are {target} shards")));
            }
            let Some(left) = state.calls_left.checked_sub(1) else {
                return Ok(Answer::Limited("ten calls in 24 hours".to_owned()));
            };
            state.calls_left = left;
        }
        state.steps.push(step.clone());
        state.under_way = Some((after, state.looks));
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
