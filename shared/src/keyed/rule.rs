//! What a stateful function brings: a pure rule, and a state with a format of its own.

use super::ReadingId;
use super::bytes::{CorruptedState, Reader};
use crate::alert::Finding;
use crate::device::event_time::ClockSource;
use crate::device::reading::{Reading, Value};
use crate::results::Outcome;

/// A pure rule: how the readings of one device advance its state, and which results follow from the state.
///
/// Doing it again with the same input gives the same output, whatever was computed in between.
pub trait Rule: Send + Sync + 'static {
    /// What a device's profile asks of the function.
    type Settings: Send + Sync;
    /// What is kept of one device between invocations.
    type State: State;

    /// Whether steps have findings, which become alerts. A function whose rule has none needs no topic.
    const FINDS: bool = false;

    /// Whether the rule takes values of the kind of `value`. Others are skipped before anything is asked of their device.
    fn takes(value: &Value) -> bool;

    /// Whether `settings` ask for anything to be computed of `metric`.
    fn wants(settings: &Self::Settings, metric: &str) -> bool;

    /// Advances `state` by a reading. Readings of the device up to `lost_until` may be missing from the state. `None` if the
    /// settings ask for nothing to be computed of the metric.
    fn step(
        settings: &Self::Settings,
        state: &mut Self::State,
        reading: &Incoming<'_>,
        lost_until: Option<i64>,
    ) -> Option<Step<OutcomeOf<Self>>>;

    /// The latest outcome of each metric, in the order of their names. A rule that has none for the latest row has no need of
    /// this.
    fn latest(settings: &Self::Settings, state: &Self::State) -> Vec<(String, OutcomeOf<Self>)> {
        let _ = (settings, state);
        Vec::new()
    }
}

/// What a rule writes about one metric.
pub type OutcomeOf<R> = <<R as Rule>::State as State>::Outcome;

/// The state of one device. Two equal states have equal bytes.
pub trait State: Clone + Default + PartialEq + Send + Sync + 'static {
    /// What is written about one metric.
    type Outcome: Outcome;

    /// Tells the states of functions apart in a store: part of each key.
    const NAME: &'static str;
    /// The version of the format that [`Self::encode_into`] writes.
    const VERSION: u8;

    /// About how many bytes [`Self::encode_into`] appends.
    fn size_hint(&self) -> usize;

    /// Appends the bytes of the state.
    fn encode_into(&self, out: &mut Vec<u8>);

    /// Reads what [`Self::encode_into`] of `version` appended, strictly. States of earlier versions are read as well, so
    /// that nothing is lost in an upgrade.
    ///
    /// # Errors
    /// The bytes are not a state, or not the one way to write it.
    fn decode(version: u8, reader: &mut Reader<'_>) -> Result<Self, CorruptedState>;

    /// Notes that readings up to `until_ms` may be missing from the state, in milliseconds since the epoch.
    fn lose(&mut self, until_ms: i64);
}

/// A reading that came in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Incoming<'a> {
    /// Its metric.
    pub metric: &'a str,
    /// Its id.
    pub id: ReadingId,
    /// Its time, in milliseconds since the epoch.
    pub at: i64,
    /// The clock that the time comes from.
    pub clock: ClockSource,
    /// Its value, of a kind that the rule takes. A number is finite.
    pub value: &'a Value,
}

impl<'a> Incoming<'a> {
    /// The reading as a rule gets it.
    pub fn of(reading: &'a Reading) -> Self {
        let id = ReadingId::of(&reading.id, reading.received_at);
        Self { metric: &reading.metric, id, at: reading.at, clock: reading.clock, value: &reading.value }
    }
}

/// What a reading comes to.
#[derive(Clone, Debug, PartialEq)]
pub struct Step<O> {
    /// Whether it counts.
    pub counts: Counts,
    /// The outcomes of closed intervals that it closes or belongs to.
    pub history: Vec<Closed<O>>,
    /// What it shows about the device.
    pub findings: Vec<Finding>,
}

impl<O> Step<O> {
    /// A reading that closes no interval and shows nothing.
    pub const fn of(counts: Counts) -> Self {
        Self { counts, history: Vec::new(), findings: Vec::new() }
    }
}

/// The outcome of a closed interval.
#[derive(Clone, Debug, PartialEq)]
pub struct Closed<O> {
    /// The length that names one of several kinds of intervals, in seconds; 0 if the function has one kind.
    pub seconds: u32,
    /// The beginning of the interval, in milliseconds since the epoch.
    pub from_ms: i64,
    /// The outcome.
    pub outcome: O,
}

/// Whether a reading counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counts {
    /// For the first time.
    Once {
        /// It came after the allowed lateness.
        late: bool,
    },
    /// It was known by its id. The rows that it belongs to are written again: it may be of a batch that was given up before
    /// it wrote them.
    Duplicate,
    /// As [`Self::Duplicate`], and its value is another one: the producer gave two measurements one id, or changed one.
    Contradiction,
}
