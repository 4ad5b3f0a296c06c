//! The autoscaler's memory of a stream between two ticks: one item, which a commit replaces only if no other invocation
//! has written it since the load.

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

/// How long calls and changes are kept, in milliseconds: as long as Kinesis counts calls.
const DAY_MS: i64 = 86_400_000;

/// The memory of one stream.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Entry {
    /// The invocation that acts now.
    pub lease: Option<Lease>,
    /// The plan in progress.
    pub work: Option<Work>,
    /// When UpdateShardCount was called in the last 24 hours, in milliseconds since the epoch.
    pub calls: Vec<i64>,
    /// The changes of the last 24 hours.
    pub changes: Vec<Change>,
    /// When Kinesis last refused UpdateShardCount because of its limit, in milliseconds since the epoch. Then the calls
    /// above are not all: another program or an operator called it too.
    pub limited_at_ms: Option<i64>,
    /// The load's habits, and when they were learned.
    pub habits: Option<StoredHabits>,
    /// How many shards the last tick that could act found open.
    pub shards: Option<u32>,
}

/// The right to act, for a limited time. If its holder crashes, the others wait until it expires.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lease {
    /// The invocation that holds the lease.
    pub holder: String,
    /// The end of the lease, in milliseconds since the epoch.
    pub until_ms: i64,
}

/// A plan in progress.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Work {
    /// The remaining steps.
    pub steps: VecDeque<Step>,
    /// Whether the first of them may have been sent to Kinesis: this is recorded before the call.
    pub sent: bool,
    /// The direction of the plan.
    pub direction: Direction,
    /// The reason, in the plan's words.
    pub reason: String,
    /// When the plan was made, in milliseconds since the epoch.
    pub since_ms: i64,
}

/// Habits in the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredHabits {
    /// When they were learned, in milliseconds since the epoch.
    pub at_ms: i64,
    /// How much of the load was known, in milliseconds.
    pub known_ms: i64,
    /// The highest demand, in shards' worth.
    pub peak: f64,
    /// The greatest sudden rise, in shards' worth.
    pub jump: f64,
}

impl StoredHabits {
    /// Habits learned at `at_ms`.
    pub const fn at(at_ms: i64, habits: Habits) -> Self {
        let Habits { known_ms, peak, jump } = habits;
        Self { at_ms, known_ms, peak, jump }
    }

    /// The habits for a plan.
    pub const fn habits(self) -> Habits {
        Habits { known_ms: self.known_ms, peak: self.peak, jump: self.jump }
    }
}

impl Entry {
    /// Removes calls and changes that are older than 24 hours.
    pub fn forget(&mut self, now_ms: i64) {
        self.calls.retain(|at_ms| now_ms - at_ms < DAY_MS);
        self.changes.retain(|change| now_ms - change.at_ms < DAY_MS);
        if self.limited_at_ms.is_some_and(|at_ms| now_ms - at_ms >= DAY_MS) {
            self.limited_at_ms = None;
        }
    }

    /// Whether another invocation than `holder` has the right to act at `now_ms`.
    pub fn is_leased_to_another(&self, holder: &str, now_ms: i64) -> bool {
        self.lease.as_ref().is_some_and(|lease| lease.holder != holder && lease.until_ms > now_ms)
    }
}

/// An entry with the version that it had when it was read. A commit succeeds only if the version is still the same.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Versioned {
    /// The version; 0 without an item.
    pub version: u64,
    /// The entry.
    pub entry: Entry,
}

/// A store of entries, one for each stream.
pub trait Ledger: Send + Sync {
    /// The stream's current entry; without one, an empty entry of version 0.
    fn load(&self, stream: &str) -> impl Future<Output = Result<Versioned, RemoteError>> + Send;

    /// Replaces the entry if its version is still `replaces`. Returns the new version, or `None` if another invocation
    /// has replaced the entry.
    fn commit(
        &self,
        stream: &str,
        replaces: u64,
        entry: &Entry,
    ) -> impl Future<Output = Result<Option<u64>, RemoteError>> + Send;
}
