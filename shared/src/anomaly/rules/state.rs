//! What is kept of a device: where its rules stand, and what their conditions remember.

use super::flat::Stretch;
use super::means::Means;
use super::phase::Phase;
use super::recent::Recent;
use super::trend::Trend;
use crate::anomaly::score::Detector;
use crate::keyed::ReadingId;

/// What is kept of a device between invocations.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DetectorState {
    /// Its metrics, in the order of their names.
    pub(super) metrics: Vec<(String, MetricState)>,
}

/// What is kept of one metric.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MetricState {
    /// The newest reading: its time in milliseconds since the epoch, and its id.
    pub(super) newest: Option<(i64, ReadingId)>,
    /// Whether readings may have been lost before the first one that the state knows of.
    pub(super) is_lost: bool,
    /// Where each rule stands, in the order of their names.
    pub(super) rules: Vec<(String, RuleState)>,
}

/// Where a rule stands, and what its condition remembers.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RuleState {
    pub(super) phase: Phase,
    pub(super) memory: Memory,
}

/// What a condition remembers of the readings before.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Memory {
    #[default]
    Nothing,
    Recent(Recent),
    Flat(Stretch),
    Means(Means),
    Trend(Trend),
    Score(Box<Detector>),
}

impl DetectorState {
    /// Where the rules of each metric stand, in the order of the metrics' names.
    pub fn metrics(&self) -> impl Iterator<Item = (&str, &MetricState)> {
        self.metrics.iter().map(|(name, state)| (name.as_str(), state))
    }

    /// What is kept of a metric. `is_lost` says whether readings of one that is new may have been lost.
    pub(super) fn metric_mut(&mut self, name: &str, is_lost: bool) -> &mut MetricState {
        let index = self.metrics.binary_search_by(|(other, _)| other.as_str().cmp(name)).unwrap_or_else(|index| {
            self.metrics.insert(index, (name.to_owned(), MetricState { is_lost, ..MetricState::default() }));
            index
        });
        &mut self.metrics[index].1
    }

    /// Notes that readings are missing. What was open may be over, and something else may be open; what needs each reading begins
    /// again.
    pub(super) fn lose(&mut self) {
        for (_, metric) in &mut self.metrics {
            (metric.newest, metric.is_lost) = (None, true);
            for (_, rule) in &mut metric.rules {
                rule.phase = Phase::new(true);
                if matches!(rule.memory, Memory::Recent(_) | Memory::Flat(_)) {
                    rule.memory = Memory::Nothing;
                }
            }
        }
    }
}

impl MetricState {
    /// The names of the rules that have an open incident.
    pub fn open(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().filter(|(_, rule)| rule.phase.is_open()).map(|(name, _)| name.as_str())
    }

    /// Where a rule stands.
    pub(super) fn rule_mut(&mut self, name: &str) -> &mut RuleState {
        let index = self.rules.binary_search_by(|(other, _)| other.as_str().cmp(name)).unwrap_or_else(|index| {
            let rule = RuleState { phase: Phase::new(self.is_lost), memory: Memory::Nothing };
            self.rules.insert(index, (name.to_owned(), rule));
            index
        });
        &mut self.rules[index].1
    }
}
