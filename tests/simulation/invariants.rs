//! The invariants that always hold, by name. `docs/testing.md` lists the same ones.

use std::fmt;

/// An invariant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Invariant {
    /// No two objects of a shard's hour cover one record, and each lies in the slot that its key names.
    OneSlotOneObject,
    /// An object holds a stretch of its shard's hour without a gap.
    AnObjectIsContiguous,
    /// A head is the last record of an object in an open-ended slot.
    AHeadIsAnOpenEnd,
    /// A record is acknowledged only after it is in the lake.
    ArchivedBeforeAcknowledged,
    /// In the end, each record is in the lake once, byte for byte.
    OnceInTheLake,
    /// A partition key is in one record of a call.
    OneRecordAKeyACall,
    /// A reading is in the shard that has the slot of its device, and its own hash key is within that shard.
    OneShardADevice,
    /// One invocation puts the readings of a device in the order in which they came.
    OrderOfAKey,
    /// A record that is processed again has the same results.
    SameAgain,
    /// Readings and dead letters are durable before their record is acknowledged.
    DurableBeforeAcknowledged,
    /// In the end, exactly the expected readings and dead letters exist.
    NothingFromNowhere,
    /// An average counts each reading once.
    CountedOnce,
    /// A result that lacks an acknowledged reading is partial.
    MissingOnlyWhileFlagged,
    /// A result is partial only after a loss.
    FlaggedOnlyAfterALoss,
    /// A row is replaced by a later one only, which has all readings of its window or is flagged.
    RowsNeverGoBack,
    /// A row is that of a state that was committed.
    StateBeforeRows,
    /// In the end, each average is that of the set of its readings.
    RightInTheEnd,
    /// When faults end, everything is processed.
    Settles,
    /// No handler panics.
    NoPanic,
}

impl Invariant {
    /// Its name: `one-slot-one-object`.
    pub(crate) fn name(self) -> String {
        let mut name = String::new();
        for letter in format!("{self:?}").chars() {
            if letter.is_ascii_uppercase() && !name.is_empty() {
                name.push('-');
            }
            name.push(letter.to_ascii_lowercase());
        }
        name
    }
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

/// A broken invariant, and what was observed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) invariant: Invariant,
    pub(crate) what: String,
}

impl Violation {
    pub(crate) fn new(invariant: Invariant, what: impl Into<String>) -> Self {
        Self { invariant, what: what.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.what)
    }
}
