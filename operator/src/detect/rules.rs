//! The alert rules of a metric, run over a series.

use super::{Series, Stretch};
use myaku::alert::{Begin, Finding};
use myaku::anomaly::rules::{AnomalyDetector, DetectorState};
use myaku::device::event_time::ClockSource;
use myaku::device::profile::{Problem, Profile};
use myaku::device::reading::Value;
use myaku::keyed::{Incoming, ReadingId, Rule as _};
use std::sync::Arc;

/// The alert rules of a metric.
#[derive(Clone, Debug)]
pub struct Rules {
    profile: Arc<Profile>,
    metric: String,
}

/// There are no rules to run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RulesError {
    /// The profile has problems.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Profile(Vec<Problem>),
    /// The metric has no rule, or is not in the profile.
    #[error("the metric {0:?} has no alert rules; those that have some: {1}")]
    NoRules(String, String),
}

impl Rules {
    /// The rules of `metric` in a profile, which is JSON.
    ///
    /// # Errors
    /// The profile has problems, or the metric has no rules.
    pub fn new(profile: &[u8], metric: &str) -> Result<Self, RulesError> {
        let profile = Profile::parse(profile).map_err(RulesError::Profile)?;
        if profile.metric(metric).is_none_or(|metric| metric.alerts.is_none()) {
            let with = profile.metrics().iter().filter(|metric| metric.alerts.is_some());
            let names: Vec<_> = with.map(|metric| metric.name.as_str()).collect();
            return Err(RulesError::NoRules(metric.to_owned(), names.join(", ")));
        }
        Ok(Self { profile: Arc::new(profile), metric: metric.to_owned() })
    }

    /// The incidents that the rules find in a series, in the order in which they are raised.
    pub(super) fn incidents(&self, series: &Series) -> Vec<Stretch> {
        let mut state = DetectorState::default();
        let mut incidents: Vec<Stretch> = Vec::new();
        // Those that are open, by their place among the incidents.
        let mut open: Vec<usize> = Vec::new();
        for (place, reading) in series.readings.iter().enumerate() {
            let value = Value::Number(reading.value);
            let id = ReadingId { order: place as u64, digest: place as u64 };
            let (metric, at, clock) = (self.metric.as_str(), reading.at_ms, ClockSource::Device);
            let incoming = Incoming { metric, id, at, clock, value: &value };
            let step = AnomalyDetector::step(&self.profile, &mut state, &incoming, None);
            for index in &open {
                (incidents[*index].to, incidents[*index].places[2]) = (reading.at_ms, place);
            }
            for finding in step.map_or_else(Vec::new, |step| step.findings) {
                match finding {
                    Finding::Begins(Begin { rule, since_ms, detail, .. }) => {
                        let first = series.readings[..place].iter().rposition(|before| before.at_ms < since_ms);
                        open.push(incidents.len());
                        incidents.push(Stretch {
                            rule,
                            from: since_ms,
                            to: reading.at_ms,
                            alarms: 1,
                            at: reading.at_ms,
                            value: reading.value,
                            score: None,
                            reason: detail,
                            places: [first.map_or(0, |before| before + 1), place, place],
                        });
                    }
                    Finding::Ends(ends) => open.retain(|index| incidents[*index].rule != ends.rule),
                }
            }
        }
        incidents
    }
}
