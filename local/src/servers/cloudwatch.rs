//! CloudWatch: metrics by the minute, and alarms that act when their state changes.
//!
//! It serves what AWS's SDKs speak (Smithy RPC v2 CBOR, requests compressed or not, and the same as JSON), not the older
//! query protocol. Metrics are kept as statistic sets, so that there are no percentiles. Time is that of the clock that it
//! is given, which may run faster than the machine's.

mod alarm;
mod notification;
mod protocol;
mod series;
#[cfg(test)]
mod tests;
mod wire;

pub use notification::Action;
pub use series::{MINUTE_MS, Statistics};
pub use wire::Alarm;

use super::Server;
use alarm::Watched;
use myaku::platform::clock::{Now as _, ScaledClock};
use myaku::scaling::alarms::MetricId;
use series::Series;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use wire::{Described, MetricData, MetricDataQuery, MetricDataResult, timestamp};

/// A CloudWatch server of this process; it ends when dropped.
pub struct CloudWatch {
    server: Server,
}

/// Starts a server of `monitoring` on `port`, or on a free one for 0. Metrics and alarms live through a
/// [`stop`](Server::stop).
pub async fn start(port: u16, monitoring: Arc<Monitoring>) -> anyhow::Result<CloudWatch> {
    Ok(CloudWatch { server: Server::app(port, protocol::app(monitoring)).await? })
}

impl CloudWatch {
    /// The base URL.
    pub fn endpoint(&self) -> String {
        self.server.endpoint()
    }

    /// The server, to stop and restart.
    pub fn server(&self) -> &Server {
        &self.server
    }
}

/// A request that is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Refusal {
    /// The error's name in CloudWatch.
    code: &'static str,
    message: String,
}

impl Refusal {
    fn invalid(message: impl Into<String>) -> Self {
        Self { code: "ValidationError", message: message.into() }
    }

    fn missing(alarm: &str) -> Self {
        Self { code: "ResourceNotFound", message: format!("there is no alarm {alarm}") }
    }

    fn is_missing(&self) -> bool {
        self.code == "ResourceNotFound"
    }
}

/// Metrics and alarms, by a clock.
#[derive(Debug)]
pub struct Monitoring {
    clock: ScaledClock,
    state: Mutex<State>,
    actions: UnboundedSender<Action>,
    /// Until somebody takes them.
    untaken: Mutex<Option<UnboundedReceiver<Action>>>,
}

#[derive(Debug, Default)]
struct State {
    series: Series,
    alarms: BTreeMap<String, Watched>,
}

impl Default for Monitoring {
    /// By the machine's clock.
    fn default() -> Self {
        Self::new(ScaledClock::default())
    }
}

impl Monitoring {
    /// Without any metric, by `clock`.
    pub fn new(clock: ScaledClock) -> Self {
        let (actions, untaken) = unbounded_channel();
        Self { clock, state: Mutex::default(), actions, untaken: Mutex::new(Some(untaken)) }
    }

    /// The clock.
    pub const fn clock(&self) -> ScaledClock {
        self.clock
    }

    /// The actions of alarms from now on; once.
    pub fn actions(&self) -> Option<UnboundedReceiver<Action>> {
        self.untaken.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in a critical section leaves the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds to a metric, at a time in milliseconds since the epoch or now.
    pub fn put(&self, metric: MetricId, at_ms: Option<i64>, statistics: Statistics) {
        let at_ms = at_ms.unwrap_or_else(|| self.clock.now_ms());
        self.state().series.put(metric, at_ms, statistics);
    }

    /// Puts an alarm. One of that name keeps its state: "the update operation leaves the state of the existing alarm".
    pub fn put_alarm(&self, alarm: Alarm) -> Result<(), Refusal> {
        let now_ms = self.clock.now_ms();
        let watched = Watched::new(alarm, now_ms)?;
        let alarms = &mut self.state().alarms;
        match alarms.get_mut(watched.name()) {
            Some(known) => known.update(watched)?,
            None => drop(alarms.insert(watched.name().to_owned(), watched)),
        }
        Ok(())
    }

    /// Looks at every alarm, which changes nothing twice in a minute; those whose state changes act.
    pub fn evaluate(&self) {
        let now_ms = self.clock.now_ms();
        let State { series, alarms } = &mut *self.state();
        for alarm in alarms.values_mut() {
            self.act(alarm.evaluate(series, now_ms));
        }
    }

    fn act(&self, actions: Vec<Action>) {
        for action in actions {
            // Where nobody listens any more, the stack is going down.
            let _ = self.actions.send(action);
        }
    }

    fn set_state(&self, name: &str, state: &str, reason: &str) -> Result<(), Refusal> {
        let state = alarm::parse_state(state)?;
        let now_ms = self.clock.now_ms();
        let mut all = self.state();
        let alarm = all.alarms.get_mut(name).ok_or_else(|| Refusal::missing(name))?;
        self.act(alarm.set_state(state, reason, now_ms));
        Ok(())
    }

    fn delete_alarms(&self, names: &[String]) {
        self.state().alarms.retain(|name, _| !names.contains(name));
    }

    /// The alarms that `wanted` takes, by name and state.
    fn describe(&self, wanted: impl Fn(&str, &str) -> bool) -> Vec<Described> {
        let described = self.state().alarms.values().map(Watched::described).collect::<Vec<_>>();
        described.into_iter().filter(|it| wanted(&it.alarm.alarm_name, &it.state_value)).collect()
    }

    /// The state of each alarm, by its name.
    pub fn alarm_states(&self) -> BTreeMap<String, String> {
        self.describe(|_, _| true).into_iter().map(|it| (it.alarm.alarm_name, it.state_value)).collect()
    }

    fn metrics(&self, wanted: impl Fn(&MetricId) -> bool) -> Vec<MetricId> {
        let mut metrics: Vec<_> = self.state().series.ids().filter(|id| wanted(id)).cloned().collect();
        metrics.sort_unstable();
        metrics
    }

    fn query(
        &self,
        queries: &[MetricDataQuery],
        (from_ms, until_ms): (i64, i64),
        oldest_first: bool,
    ) -> Result<MetricData, Refusal> {
        let state = self.state();
        let shown = queries.iter().filter(|query| query.return_data != Some(false));
        let results = shown.map(|query| {
            let stat = query.metric_stat.as_ref();
            let stat = stat.ok_or_else(|| Refusal::invalid("expressions are evaluated in alarms only here"))?;
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
