//! Stored alarms: the request that put each, and its state by the arithmetic of [`myaku::scaling::alarms`].

use super::notification::{self, Action, Change};
use super::refusal::Refusal;
use super::series::{MINUTE_MS, Series};
use super::wire::{self, AlarmDescription, MetricDataQuery, timestamp};
use myaku::platform::errors::chain;
use myaku::scaling::alarms::{
    Alarm, AlarmDefinition, AlarmState, Comparison, Expression, MathError, MetricQuery, MetricStat, Metrics,
    MissingData, Query, Statistic, Transition,
};

/// How an expression in CloudWatch's query language begins. The template's are over metrics of AWS IoT, which nothing
/// publishes on one machine.
const QUERY_LANGUAGE: &str = "SELECT ";

/// An alarm and its state.
#[derive(Debug)]
pub(super) struct StoredAlarm {
    /// The request that put it.
    request: wire::Alarm,
    alarm: Alarm,
    /// False for an alarm in the query language: only `SetAlarmState` changes its state.
    is_evaluated: bool,
    reason: String,
    configured_at_ms: i64,
    evaluated_at_ms: i64,
}

impl Metrics for Series {
    fn value(&self, stat: &MetricStat, start_ms: i64) -> Option<f64> {
        let period_ms = i64::from(stat.period_s) * 1_000;
        // A period may begin at any minute.
        self.sum(&stat.metric, start_ms..start_ms + period_ms)?.get(stat.statistic)
    }
}

impl StoredAlarm {
    pub(super) fn new(request: wire::Alarm, now_ms: i64) -> Result<Self, Refusal> {
        if request.alarm_name.is_empty() {
            return Err(Refusal::invalid("AlarmName is missing"));
        }
        let invalid = |problem: String| Refusal::invalid(format!("{}: {problem}", request.alarm_name));
        let is_query = |query: &MetricDataQuery| {
            query.expression.as_ref().is_some_and(|expression| expression.trim_start().starts_with(QUERY_LANGUAGE))
        };
        let is_evaluated = !request.metrics.iter().any(is_query);
        let definition = definition(&request, is_evaluated).map_err(invalid)?;
        let alarm = Alarm::new(definition, now_ms).map_err(|error| invalid(chain(&error)))?;
        let reason = "Unchecked: Initial alarm creation".to_owned();
        Ok(Self { request, alarm, is_evaluated, reason, configured_at_ms: now_ms, evaluated_at_ms: 0 })
    }

    pub(super) fn name(&self) -> &str {
        &self.request.alarm_name
    }

    /// Replaces the alarm's settings. Its state stays.
    pub(super) fn update(&mut self, with: Self) -> Result<(), Refusal> {
        let definition = with.alarm.definition().clone();
        self.alarm.define(definition).map_err(|error| Refusal::invalid(chain(&error)))?;
        let Self { request, is_evaluated, configured_at_ms, .. } = with;
        (self.request, self.is_evaluated, self.configured_at_ms) = (request, is_evaluated, configured_at_ms);
        Ok(())
    }

    /// Evaluates the alarm, at most once in each minute. Returns the actions if its state changed.
    pub(super) fn evaluate(&mut self, series: &Series, now_ms: i64) -> Vec<Action> {
        let minute = now_ms.div_euclid(MINUTE_MS) * MINUTE_MS;
        if !self.is_evaluated || self.evaluated_at_ms >= minute {
            return Vec::new();
        }
        self.evaluated_at_ms = minute;
        match self.alarm.evaluate(series, now_ms) {
            Ok(transition) => self.act(transition),
            Err(error) => {
                tracing::warn!(alarm = self.name(), error = chain(&error), "cannot evaluate an alarm");
                Vec::new()
            }
        }
    }

    pub(super) fn set_state(&mut self, state: AlarmState, reason: &str, now_ms: i64) -> Vec<Action> {
        let transition = self.alarm.set_state(state, reason, now_ms);
        self.act(transition)
    }

    /// The actions of a transition.
    fn act(&mut self, transition: Option<Transition>) -> Vec<Action> {
        let Some(Transition { from, to, at_ms, reason }) = transition else { return Vec::new() };
        self.reason = reason;
        let configured_at_ms = self.configured_at_ms;
        let change = Change { from: from.name(), to: to.name(), reason: &self.reason, at_ms, configured_at_ms };
        notification::actions(&self.request, &change)
    }

    pub(super) fn describe(&self) -> AlarmDescription {
        let since = timestamp(self.alarm.since_ms());
        AlarmDescription {
            alarm: wire::Alarm {
                actions_enabled: Some(self.request.actions_enabled != Some(false)),
                ..self.request.clone()
            },
            alarm_arn: notification::alarm_arn(self.name()),
            alarm_configuration_updated_timestamp: timestamp(self.configured_at_ms),
            state_value: self.alarm.state().name().to_owned(),
            state_reason: self.reason.clone(),
            state_updated_timestamp: since,
            state_transitioned_timestamp: since,
        }
    }
}

/// The definition in a request.
fn definition(request: &wire::Alarm, is_evaluated: bool) -> Result<AlarmDefinition, String> {
    let metrics = if request.metrics.is_empty() {
        let stat = MetricStat {
            metric: wire::Metric {
                namespace: request.namespace.clone().ok_or("Metrics or Namespace is missing")?,
                name: request.metric_name.clone().ok_or("MetricName is missing")?,
                dimensions: request.dimensions.clone(),
            }
            .id(),
            period_s: request.period.ok_or("Period is missing")?,
            statistic: statistic(request.statistic.as_deref().unwrap_or_default())?,
        };
        vec![MetricQuery { id: "m".to_owned(), label: None, query: Query::Metric(stat), return_data: true }]
    } else if is_evaluated {
        request.metrics.iter().map(query).collect::<Result<_, _>>()?
    } else {
        let text = "FILL(0, 0)".parse().map_err(|error: MathError| error.to_string())?;
        vec![MetricQuery { id: "m".to_owned(), label: None, query: Query::Math(text), return_data: true }]
    };
    let evaluation_periods = request.evaluation_periods.ok_or("EvaluationPeriods is missing")?;
    let comparison = Comparison::from_name(&request.comparison_operator);
    let missing = request.treat_missing_data.as_deref();
    Ok(AlarmDefinition {
        name: request.alarm_name.clone(),
        description: request.alarm_description.clone().unwrap_or_default(),
        metrics,
        evaluation_periods,
        datapoints_to_alarm: request.datapoints_to_alarm.unwrap_or(evaluation_periods),
        threshold: request.threshold.ok_or("Threshold is missing")?,
        comparison: comparison.ok_or_else(|| {
            format!("the ComparisonOperator {:?} does not run on this machine", request.comparison_operator)
        })?,
        missing_data: match missing {
            None => MissingData::default(),
            Some(name) => MissingData::from_name(name)
                .ok_or_else(|| format!("the TreatMissingData {name:?} does not run on this machine"))?,
        },
        alarm_actions: request.alarm_actions.clone(),
        ok_actions: request.ok_actions.clone(),
        insufficient_data_actions: request.insufficient_data_actions.clone(),
    })
}

fn query(query: &MetricDataQuery) -> Result<MetricQuery, String> {
    let body = match (&query.metric_stat, &query.expression) {
        (Some(stat), None) => Query::Metric(metric_stat(stat)?),
        (None, Some(text)) => {
            let expression: Result<Expression, MathError> = text.parse();
            Query::Math(expression.map_err(|error| format!("{}: {}", query.id, chain(&error)))?)
        }
        _ => return Err(format!("{} must have either a MetricStat or an Expression", query.id)),
    };
    Ok(MetricQuery {
        id: query.id.clone(),
        label: query.label.clone(),
        query: body,
        return_data: query.return_data != Some(false),
    })
}

pub(super) fn metric_stat(stat: &wire::MetricStat) -> Result<MetricStat, String> {
    Ok(MetricStat {
        metric: stat.metric.id(),
        period_s: stat
            .period
            .filter(|period| period % 60 == 0 && *period > 0)
            .ok_or("Period must be a multiple of 60 seconds")?,
        statistic: statistic(&stat.stat)?,
    })
}

fn statistic(name: &str) -> Result<Statistic, String> {
    Statistic::from_name(name).ok_or_else(|| format!("the statistic {name:?} does not run on this machine"))
}

pub(super) fn parse_state(name: &str) -> Result<AlarmState, Refusal> {
    AlarmState::from_name(name).ok_or_else(|| Refusal::invalid(format!("{name:?} is not a state of an alarm")))
}
