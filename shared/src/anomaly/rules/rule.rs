//! The rule that advances a device's state by a reading.

use super::condition::{Situation, has_passed, judge};
use super::phase::Change;
use super::state::{DetectorState, MetricState};
use super::words;
use crate::alert::{Begin, Ends, Finding};
use crate::device::profile::{AlertRule, Alerts, Metric, Profile};
use crate::device::reading::Value;
use crate::keyed::{Counts, Incoming, Rule, Step};
use crate::results::{Fields, Outcome, RowNames};
use std::sync::Arc;

/// The alert rules of a device's profile.
pub struct AnomalyDetector;

/// The detector writes nothing about a metric: its findings go to the incidents. Its rows are empty, and show that a device had a
/// state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nothing;

impl Outcome for Nothing {
    const NAMES: RowNames = RowNames { latest: "alerts", history: "alert" };

    fn fields(&self) -> Fields {
        Fields::default()
    }

    fn from_fields(_: &Fields) -> Option<Self> {
        Some(Self)
    }
}

impl Rule for AnomalyDetector {
    type Settings = Arc<Profile>;
    type State = DetectorState;

    const FINDS: bool = true;

    fn takes(_: &Value) -> bool {
        true
    }

    fn wants(settings: &Arc<Profile>, metric: &str) -> bool {
        // Metrics without rules may have had some: see `forget`.
        settings.metric(metric).is_some() && settings.metrics().iter().any(|metric| metric.alerts.is_some())
    }

    fn step(
        settings: &Arc<Profile>,
        state: &mut DetectorState,
        reading: &Incoming<'_>,
        lost_until: Option<i64>,
    ) -> Option<Step<Nothing>> {
        let metric = settings.metric(reading.metric)?;
        let Some(alerts) = &metric.alerts else {
            let findings = state.forget(reading.metric, reading.at)?;
            return Some(Step { findings, ..Step::of(Counts::Once { late: false }) });
        };
        let state = state.metric_mut(reading.metric, lost_until.is_some());
        let before_ms = match state.newest {
            Some((at, id)) if at == reading.at && id.digest == reading.id.digest => {
                return Some(Step::of(Counts::Duplicate));
            }
            Some(newest) if (reading.at, reading.id) < newest => return Some(Step::of(Counts::Once { late: true })),
            before => before.map(|(at, _)| at),
        };
        state.newest = Some((reading.at, reading.id));
        Some(Step {
            findings: state.advance(metric, alerts, reading, before_ms),
            ..Step::of(Counts::Once { late: false })
        })
    }
}

impl MetricState {
    /// Advances all rules by a reading that is not older than the one before, which was of `before_ms`.
    fn advance(
        &mut self,
        metric: &Metric,
        alerts: &Alerts,
        reading: &Incoming<'_>,
        before_ms: Option<i64>,
    ) -> Vec<Finding> {
        let mut findings = self.forget_others(metric, alerts, reading.at);
        for rule in &alerts.rules {
            let state = self.rule_mut(&rule.name);
            let situation = Situation { reading, before_ms, is_open: state.phase.is_open(), zone: &alerts.zone };
            let times = [rule.for_ms(), rule.clear_ms()];
            // What was counted before may have left the time by now: then this reading begins something new.
            if state.phase.is_open() && has_passed(&rule.when, &mut state.memory, reading.at) {
                let change = state.phase.advance(false, reading.at, reading.at, times);
                findings.extend(change.map(|_| ends(rule, metric, reading.at, words::passed(rule))));
            }
            let Some(judgement) = judge(&rule.when, &mut state.memory, &situation) else { continue };
            findings.extend(match state.phase.advance(judgement.holds, judgement.since_ms, reading.at, times) {
                None => None,
                Some(Change::Begins(since_ms)) => Some(Finding::Begins(Begin {
                    rule: rule.name.clone(),
                    kind: rule.when.kind(),
                    severity: rule.severity,
                    metric: metric.name.clone(),
                    since_ms,
                    value: judgement.value,
                    limit: judgement.limit,
                    detail: words::begins(rule, metric, &judgement, reading.at.saturating_sub(since_ms)),
                })),
                Some(Change::Ends) => Some(ends(rule, metric, reading.at, words::ends(rule, metric, reading.value))),
            });
        }
        findings
    }

    /// Forgets the rules that the profile does not have any more, and ends their incidents.
    fn forget_others(&mut self, metric: &Metric, alerts: &Alerts, at_ms: i64) -> Vec<Finding> {
        let is_known = |name: &str| alerts.rules.iter().any(|rule| rule.name == name);
        if self.rules.iter().all(|(name, _)| is_known(name)) {
            return Vec::new();
        }
        let gone = self.rules.extract_if(.., |(name, _)| !is_known(name));
        gone.map(|(rule, _)| removed(rule, &metric.name, at_ms)).collect()
    }
}

impl DetectorState {
    /// Forgets a metric that has no rules any more, and ends its incidents; `None` if nothing is known of it.
    fn forget(&mut self, metric: &str, at_ms: i64) -> Option<Vec<Finding>> {
        let index = self.metrics.iter().position(|(name, _)| name == metric)?;
        let (name, state) = self.metrics.remove(index);
        Some(state.rules.into_iter().map(|(rule, _)| removed(rule, &name, at_ms)).collect())
    }
}

fn ends(rule: &AlertRule, metric: &Metric, at_ms: i64, detail: String) -> Finding {
    Finding::Ends(Ends { rule: rule.name.clone(), metric: metric.name.clone(), at_ms, detail })
}

fn removed(rule: String, metric: &str, at_ms: i64) -> Finding {
    Finding::Ends(Ends { detail: words::removed(&rule), rule, metric: metric.to_owned(), at_ms })
}
