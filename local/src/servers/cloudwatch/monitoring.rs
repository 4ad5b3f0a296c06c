//! The state of the server: metrics, alarms, and the clock that both go by.

use super::alarm::{self, StoredAlarm};
use super::notification::Action;
use super::refusal::Refusal;
use super::series::{Series, Statistics};
use super::wire::{Alarm, AlarmDescription, MetricData, MetricDataQuery, MetricDataResult, timestamp};
use myaku::platform::clock::{Now as _, ScaledClock};
use myaku::scaling::alarms::MetricId;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Metrics and alarms on a clock.
#[derive(Debug)]
pub struct Monitoring {
    clock: ScaledClock,
    state: Mutex<State>,
    actions: UnboundedSender<Action>,
    /// The receiver of the actions, until [`actions`](Monitoring::actions) hands it over.
    receiver: Mutex<Option<UnboundedReceiver<Action>>>,
}

#[derive(Debug, Default)]
struct State {
    series: Series,
    alarms: BTreeMap<String, StoredAlarm>,
}

impl Default for Monitoring {
    /// On the machine's clock.
    fn default() -> Self {
        Self::new(ScaledClock::default())
    }
}

impl Monitoring {
    /// No metrics and no alarms, on `clock`.
    pub fn new(clock: ScaledClock) -> Self {
        let (actions, receiver) = unbounded_channel();
        Self { clock, state: Mutex::default(), actions, receiver: Mutex::new(Some(receiver)) }
    }

    /// The clock.
    pub const fn clock(&self) -> ScaledClock {
        self.clock
    }

    /// The actions of alarms. Only the first call returns them.
    pub fn actions(&self) -> Option<UnboundedReceiver<Action>> {
        self.receiver.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No critical section panics half way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds values to a metric at `at_ms`, in milliseconds since the epoch; now if there is no time.
    pub fn put(&self, metric: MetricId, at_ms: Option<i64>, statistics: Statistics) {
        let at_ms = at_ms.unwrap_or_else(|| self.clock.now_ms());
        self.state().series.put(metric, at_ms, statistics);
    }

    /// Creates or updates an alarm. An existing alarm keeps its state: "the update operation leaves the state of the
    /// existing alarm".
    pub fn put_alarm(&self, alarm: Alarm) -> Result<(), Refusal> {
        let now_ms = self.clock.now_ms();
        let alarm = StoredAlarm::new(alarm, now_ms)?;
        let alarms = &mut self.state().alarms;
        match alarms.get_mut(alarm.name()) {
            Some(known) => known.update(alarm)?,
            None => drop(alarms.insert(alarm.name().to_owned(), alarm)),
        }
        Ok(())
    }

    /// Evaluates every alarm, at most once in each minute. An alarm whose state changes acts.
    pub fn evaluate(&self) {
        let now_ms = self.clock.now_ms();
        let State { series, alarms } = &mut *self.state();
        for alarm in alarms.values_mut() {
            self.act(alarm.evaluate(series, now_ms));
        }
    }

    fn act(&self, actions: Vec<Action>) {
        for action in actions {
            // The receiver is gone only while the stack goes down.
            let _ = self.actions.send(action);
        }
    }

    pub(super) fn set_state(&self, name: &str, state: &str, reason: &str) -> Result<(), Refusal> {
        let alarm_state = alarm::parse_state(state)?;
        let now_ms = self.clock.now_ms();
        let mut state = self.state();
        let alarm = state.alarms.get_mut(name).ok_or_else(|| Refusal::alarm_not_found(name))?;
        self.act(alarm.set_state(alarm_state, reason, now_ms));
        Ok(())
    }

    pub(super) fn delete_alarms(&self, names: &[String]) {
        self.state().alarms.retain(|name, _| !names.contains(name));
    }

    /// The alarms whose name and state `wanted` accepts.
    pub(super) fn describe(&self, wanted: impl Fn(&str, &str) -> bool) -> Vec<AlarmDescription> {
        let all = self.state().alarms.values().map(StoredAlarm::describe).collect::<Vec<_>>();
        all.into_iter().filter(|it| wanted(&it.alarm.alarm_name, &it.state_value)).collect()
    }

    /// The state of each alarm, by its name.
    pub fn alarm_states(&self) -> BTreeMap<String, String> {
        self.describe(|_, _| true).into_iter().map(|it| (it.alarm.alarm_name, it.state_value)).collect()
    }

    /// The metrics that `wanted` accepts, in order.
    pub(super) fn metrics(&self, wanted: impl Fn(&MetricId) -> bool) -> Vec<MetricId> {
        let mut metrics: Vec<_> = self.state().series.ids().filter(|id| wanted(id)).cloned().collect();
        metrics.sort_unstable();
        metrics
    }

    /// The values of queries within a time, in milliseconds since the epoch.
    pub(super) fn query(
        &self,
        queries: &[MetricDataQuery],
        (from_ms, until_ms): (i64, i64),
        oldest_first: bool,
    ) -> Result<MetricData, Refusal> {
        let state = self.state();
        let returned = queries.iter().filter(|query| query.return_data != Some(false));
        let results = returned.map(|query| {
            let stat = query.metric_stat.as_ref();
            let stat = stat.ok_or_else(|| {
                Refusal::invalid("expressions run in alarms only on this machine, not in GetMetricData")
            })?;
            let stat = alarm::metric_stat(stat).map_err(Refusal::invalid)?;
            let period_ms = i64::from(stat.period_s) * 1_000;
            let values = state.series.periods(&stat.metric, stat.statistic, period_ms, from_ms..until_ms);
            let mut points: Vec<_> = values.into_iter().collect();
            if !oldest_first {
                points.reverse();
            }
            Ok(MetricDataResult {
                id: query.id.clone(),
                label: query.label.clone().unwrap_or_else(|| query.id.clone()),
                timestamps: points.iter().map(|(at_ms, _)| timestamp(*at_ms)).collect(),
                values: points.iter().map(|(_, value)| *value).collect(),
                status_code: "Complete",
            })
        });
        Ok(MetricData { metric_data_results: results.collect::<Result<_, Refusal>>()?, messages: Vec::new() })
    }
}
