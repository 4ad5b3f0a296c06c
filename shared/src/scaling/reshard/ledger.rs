//! What the autoscaler remembers of a stream between two ticks: one item, written under the condition that nobody else
//! has written it.

#[cfg(any(test, feature = "testing"))]
pub mod conformance;
#[cfg(feature = "dynamodb")]
mod dynamodb;
mod memory;

#[cfg(feature = "dynamodb")]
pub use dynamodb::DynamoDbLedger;
pub use memory::MemoryLedger;

use crate::platform::errors::RemoteError;
use crate::scaling::shards::{Change, Direction, Habits, Step};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::future::Future;

/// How long calls and changes are kept, in milliseconds: as long as Kinesis counts.
const DAY_MS: i64 = 86_400_000;

/// All that is remembered of one stream.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Entry {
    /// Who acts at the moment.
    pub lease: Option<Lease>,
    /// The plan in progress.
    pub work: Option<Work>,
    /// When UpdateShardCount was called, in milliseconds since the epoch, in the last 24 hours.
    pub calls: Vec<i64>,
    /// Changes that were made in the last 24 hours.
    pub changes: Vec<Change>,
    /// Kinesis refused another call of UpdateShardCount at this time: somebody else called it too.
    pub limited_at_ms: Option<i64>,
    /// The load's habits, and when they were learned, in milliseconds since the epoch.
    pub habits: Option<Learned>,
    /// How many shards were open at the end of the last tick.
    pub shards: Option<u32>,
}

/// The right to act, for a time: whoever crashes with it keeps others waiting no longer than that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lease {
    /// The invocation that has it.
    pub holder: String,
    /// Until when, in milliseconds since the epoch.
    pub until_ms: i64,
}

/// A plan in progress.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Work {
    /// What is left to do.
    pub steps: VecDeque<Step>,
    /// Whether the first of them may have been sent to Kinesis: it is noted before the call.
    pub sent: bool,
    /// Which way the plan goes.
    pub direction: Direction,
    /// Why, in the plan's words.
    pub reason: String,
    /// When it was made, in milliseconds since the epoch.
    pub since_ms: i64,
}

/// Habits, as they are kept.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Learned {
    /// When, in milliseconds since the epoch.
    pub at_ms: i64,
    /// How long the load was known for, in milliseconds.
    pub known_ms: i64,
    /// The highest demand, in shards' worth.
    pub peak: f64,
    /// The farthest rise, in shards' worth.
    pub jump: f64,
}

impl Learned {
    /// Habits learned at `at_ms`.
    pub const fn at(at_ms: i64, habits: Habits) -> Self {
        let Habits { known_ms, peak, jump } = habits;
        Self { at_ms, known_ms, peak, jump }
    }

    /// As a plan takes them.
    pub const fn habits(self) -> Habits {
        Habits { known_ms: self.known_ms, peak: self.peak, jump: self.jump }
    }
}

impl Entry {
    /// Forgets what is over a day old.
    pub fn forget(&mut self, now_ms: i64) {
        self.calls.retain(|at_ms| now_ms - at_ms < DAY_MS);
        self.changes.retain(|change| now_ms - change.at_ms < DAY_MS);
        if self.limited_at_ms.is_some_and(|at_ms| now_ms - at_ms >= DAY_MS) {
            self.limited_at_ms = None;
        }
    }

    /// Whether somebody other than `holder` has the right to act.
    pub fn is_held_against(&self, holder: &str, now_ms: i64) -> bool {
        self.lease.as_ref().is_some_and(|lease| lease.holder != holder && lease.until_ms > now_ms)
    }
}

/// An entry as it was read: what a commit must find there still.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Versioned {
    /// 0 where there is no item.
    pub version: u64,
    /// What it says.
    pub entry: Entry,
}

/// Where entries are kept, one for each stream.
pub trait Ledger: Send + Sync {
    /// The stream's entry, as it is now; an empty one of version 0 where there is none.
    fn load(&self, stream: &str) -> impl Future<Output = Result<Versioned, RemoteError>> + Send;

    /// Replaces the entry if it has the version still: the new version, or none if somebody else was faster.
    fn commit(
        &self,
        stream: &str,
        replaces: u64,
        entry: &Entry,
    ) -> impl Future<Output = Result<Option<u64>, RemoteError>> + Send;
}
