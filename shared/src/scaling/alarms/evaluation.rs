//! Evaluates alarms: periods, data points and missing data, as CloudWatch documents them.

use super::definition::{AlarmDefinition, AlarmError, MetricStat, MissingData, Query};
use super::math::{MathError, Scope, Value};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Periods before the evaluation periods that also belong to the evaluation range. CloudWatch's documentation does not
/// state their number, since it depends on the length of the period; the tables there have two.
pub const EVALUATION_RANGE_EXTRA: u32 = 2;
/// The greatest depth of expressions that refer to expressions: a deeper one is a circle.
const DEPTH_MAX: u32 = 16;

/// An alarm's state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AlarmState {
    /// Within the threshold.
    Ok,
    /// Beyond it.
    Alarm,
    /// New, or without data.
    #[default]
    InsufficientData,
}

impl AlarmState {
    /// From its name in CloudWatch.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Ok, Self::Alarm, Self::InsufficientData].into_iter().find(|state| state.name() == name)
    }

    /// Its name in CloudWatch.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Alarm => "ALARM",
            Self::InsufficientData => "INSUFFICIENT_DATA",
        }
    }
}

impl fmt::Display for AlarmState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A source of data points.
pub trait Metrics {
    /// The statistic over the period that starts at `start_ms`, in milliseconds since the epoch; `None` if no data
    /// point has arrived.
    fn value(&self, stat: &MetricStat, start_ms: i64) -> Option<f64>;
}

/// A change of an alarm's state. The caller carries out the alarm's actions. Like CloudWatch, it does so on changes
/// only.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    /// The state before.
    pub from: AlarmState,
    /// The state now.
    pub to: AlarmState,
    /// When, in milliseconds since the epoch.
    pub at_ms: i64,
    /// Why, in words.
    pub reason: String,
}

/// An alarm with its state.
#[derive(Clone, Debug, PartialEq)]
pub struct Alarm {
    definition: AlarmDefinition,
    state: AlarmState,
    since_ms: i64,
}

impl Alarm {
    /// A new alarm: its state is `INSUFFICIENT_DATA` until it is evaluated.
    pub fn new(definition: AlarmDefinition, now_ms: i64) -> Result<Self, AlarmError> {
        Ok(Self { definition: definition.checked()?, state: AlarmState::default(), since_ms: now_ms })
    }

    /// Its definition.
    pub const fn definition(&self) -> &AlarmDefinition {
        &self.definition
    }

    /// Its state.
    pub const fn state(&self) -> AlarmState {
        self.state
    }

    /// The time of the last change of its state, in milliseconds since the epoch.
    pub const fn since_ms(&self) -> i64 {
        self.since_ms
    }

    /// Redefines the alarm, as PutMetricAlarm does: "the state of the alarm is left unchanged".
    pub fn define(&mut self, definition: AlarmDefinition) -> Result<(), AlarmError> {
        self.definition = definition.checked()?;
        Ok(())
    }

    /// Sets the state, as `SetAlarmState` does. The next evaluation may change it again, and that change has its
    /// actions.
    pub fn set_state(&mut self, state: AlarmState, reason: &str, now_ms: i64) -> Option<Transition> {
        self.transition(state, reason.to_owned(), now_ms)
    }

    /// Evaluates the alarm, which CloudWatch does once a minute. Periods end with the last complete minute: with a
    /// period of five minutes, "at the end of minute 6, the alarm evaluates based on data from minutes 2 to 6".
    pub fn evaluate(&mut self, metrics: &impl Metrics, now_ms: i64) -> Result<Option<Transition>, AlarmError> {
        let values = self.values(metrics, now_ms)?;
        let (state, reason) = self.judge(&values);
        Ok(self.transition(state, reason, now_ms))
    }

    fn transition(&mut self, to: AlarmState, reason: String, now_ms: i64) -> Option<Transition> {
        let from = std::mem::replace(&mut self.state, to);
        if from == to {
            return None;
        }
        self.since_ms = now_ms;
        Some(Transition { from, to, at_ms: now_ms, reason })
    }

    /// The values of the evaluation range, the newest last.
    fn values(&self, metrics: &impl Metrics, now_ms: i64) -> Result<Vec<Option<f64>>, AlarmError> {
        let period_s = self.definition.period_s();
        let grid_ms = i64::from(period_s.min(60)) * 1_000;
        let range = Range {
            alarm: self,
            metrics,
            end_ms: now_ms.div_euclid(grid_ms) * grid_ms,
            period_s,
            count: self.definition.evaluation_periods + EVALUATION_RANGE_EXTRA,
            depth: 0,
        };
        let Some(returned) = self.definition.metrics.iter().find(|query| query.return_data) else {
            return Ok(Vec::new());
        };
        let failed = |source| AlarmError::Math { alarm: self.definition.name.clone(), id: returned.id.clone(), source };
        let value = range.query(&returned.id).map_err(failed)?;
        value.into_series().ok_or_else(|| {
            failed(MathError::Evaluation("the expression does not return a series of values".to_owned()))
        })
    }

    /// The state that follows from the values of the evaluation range, and the reason.
    fn judge(&self, values: &[Option<f64>]) -> (AlarmState, String) {
        let definition = &self.definition;
        let (periods, needed) = (definition.evaluation_periods as usize, definition.datapoints_to_alarm as usize);
        let breaches = |value: &f64| definition.comparison.breaches(*value, definition.threshold);
        // If the range has at least as many values as there are evaluation periods, the most recent ones count, and the
        // treatment of missing data does not matter.
        let real: Vec<f64> = values.iter().rev().flatten().copied().take(periods).collect();
        let breaching = real.iter().filter(|value| breaches(value)).count();
        let missing = periods - real.len();
        let verdict = |alarm: bool| if alarm { AlarmState::Alarm } else { AlarmState::Ok };
        let state = match definition.missing_data {
            _ if missing == 0 => verdict(breaching >= needed),
            MissingData::Breaching => verdict(breaching + missing >= needed),
            MissingData::NotBreaching => verdict(breaching >= needed),
            MissingData::Missing if real.is_empty() => AlarmState::InsufficientData,
            MissingData::Missing | MissingData::Ignore if breaching >= needed => AlarmState::Alarm,
            MissingData::Missing | MissingData::Ignore if breaching < real.len() => AlarmState::Ok,
            MissingData::Ignore => self.state,
            // "To ALARM when the oldest available breaching datapoint is at least as old as the value of Datapoints to
            // Alarm, and all other more recent data points are breaching or missing". With a younger one, the state
            // stays.
            MissingData::Missing => {
                let age = values.iter().position(Option::is_some).map_or(0, |oldest| values.len() - oldest);
                if age >= needed { AlarmState::Alarm } else { self.state }
            }
        };
        let reason = if real.is_empty() {
            format!("Insufficient Data: no datapoint was received for {periods} periods")
        } else {
            let crossed = if state == AlarmState::Alarm { "Threshold Crossed" } else { "Threshold not crossed" };
            format!(
                "{crossed}: {breaching} of the last {} datapoints breached the threshold ({})",
                real.len(),
                definition.threshold
            )
        };
        (state, reason)
    }
}

/// The evaluation range of one evaluation.
struct Range<'a, M> {
    alarm: &'a Alarm,
    metrics: &'a M,
    end_ms: i64,
    period_s: u32,
    count: u32,
    depth: u32,
}

impl<M: Metrics> Scope for Range<'_, M> {
    fn period_s(&self) -> f64 {
        f64::from(self.period_s)
    }

    fn query(&self, id: &str) -> Result<Value, MathError> {
        let query = self.alarm.definition.metrics.iter().find(|query| query.id == id);
        match query.map(|query| &query.query) {
            None => Err(MathError::Evaluation(format!("the alarm has no metric {id}"))),
            Some(Query::Metric(stat)) => {
                let begin = |back: u32| self.end_ms - i64::from(back) * i64::from(self.period_s) * 1_000;
                let values = (1..=self.count).rev().map(|back| self.metrics.value(stat, begin(back)));
                Ok(Value::Series(values.collect()))
            }
            Some(Query::Math(_)) if self.depth >= DEPTH_MAX => {
                Err(MathError::Evaluation(format!("{id} depends on itself")))
            }
            Some(Query::Math(expression)) => expression.evaluate(&Self { depth: self.depth + 1, ..*self }),
        }
    }

    fn metrics(&self) -> Result<Vec<Value>, MathError> {
        let metrics = self.alarm.definition.metrics.iter();
        metrics.filter(|query| matches!(query.query, Query::Metric(_))).map(|query| self.query(&query.id)).collect()
    }
}

#[cfg(test)]
mod tests;
