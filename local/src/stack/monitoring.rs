//! Does what CloudWatch does by itself: each minute it publishes the functions' metrics, evaluates alarms and runs their
//! actions.

use super::mappings::RunningMapping;
use crate::event_source::Handle;
use crate::function::{Function, Stats};
use crate::servers::cloudwatch::{Action, Alarm, MINUTE_MS, Monitoring, Statistics};
use crate::servers::sns::{Publication, Topics};
use crate::template::Resolved;
use anyhow::{Context as _, Result};
use myaku::platform::clock::Now as _;
use myaku::scaling::alarms::MetricId;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

const NAMESPACE: &str = "AWS/Lambda";
/// How long after a minute's end its alarms are evaluated, in milliseconds of the clock.
const DELAY_MS: i64 = 2_000;

/// Puts the template's alarms. An alarm without a name is called by its physical id.
pub(super) fn put_alarms(resolved: &Resolved, monitoring: &Monitoring) -> Result<()> {
    for (id, resource) in resolved.of_kind("AWS::CloudWatch::Alarm") {
        let alarm: Alarm = serde_json::from_value(resource.properties.clone()).with_context(|| id.to_owned())?;
        let alarm_name =
            if alarm.alarm_name.is_empty() { resource.physical_id.clone() } else { alarm.alarm_name.clone() };
        monitoring.put_alarm(Alarm { alarm_name, ..alarm }).with_context(|| id.to_owned())?;
    }
    Ok(())
}

/// The tasks that publish metrics and run alarms. Dropping this aborts them.
pub(super) struct Tasks(Vec<JoinHandle<()>>);

impl Drop for Tasks {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

/// Starts to publish metrics, evaluate alarms and publish their actions to `topics`.
pub(super) fn start(
    monitoring: &Arc<Monitoring>,
    functions: &BTreeMap<String, Function>,
    mappings: &[RunningMapping],
    topics: &Topics,
) -> Tasks {
    let handles = mappings.iter().map(|mapping| (mapping.function().to_owned(), mapping.handle().clone()));
    let lambda = Lambda {
        monitoring: Arc::clone(monitoring),
        functions: functions.values().map(|function| (function.clone(), Stats::default())).collect(),
        mappings: handles.collect(),
    };
    let mut tasks = vec![tokio::spawn(every_minute(lambda))];
    if let Some(mut actions) = monitoring.actions() {
        let topics = topics.clone();
        tasks.push(tokio::spawn(async move {
            while let Some(action) = actions.recv().await {
                publish_action(&topics, action);
            }
        }));
    }
    Tasks(tasks)
}

fn publish_action(topics: &Topics, action: Action) {
    let Action { topic_arn, subject, message } = action;
    let publication = Publication { subject: Some(subject), ..Publication::new(message) };
    if let Err(error) = topics.publish(&topic_arn, publication) {
        tracing::warn!(topic = topic_arn, %error, "cannot publish an alarm's action");
    }
}

async fn every_minute(mut lambda: Lambda) {
    let clock = lambda.monitoring.clock();
    loop {
        let now_ms = clock.now_ms();
        let minute_ms = now_ms.div_euclid(MINUTE_MS) * MINUTE_MS;
        let wait_ms = minute_ms + MINUTE_MS + DELAY_MS - now_ms;
        tokio::time::sleep(clock.real(Duration::from_millis(wait_ms.unsigned_abs()))).await;
        lambda.publish(minute_ms);
        lambda.monitoring.evaluate();
    }
}

/// The functions and mappings whose metrics are published.
struct Lambda {
    monitoring: Arc<Monitoring>,
    /// Each function with its statistics when its metrics were last published.
    functions: Vec<(Function, Stats)>,
    mappings: Vec<(String, Handle)>,
}

impl Lambda {
    /// Publishes what has happened since the last call, as of `minute_ms`. As in AWS, a function that was not invoked has
    /// no metrics.
    fn publish(&mut self, minute_ms: i64) {
        let rate = self.monitoring.clock().rate();
        let put = |function: &str, name: &str, statistics: Statistics| {
            let metric = MetricId::with(NAMESPACE, name, "FunctionName", function);
            self.monitoring.put(metric, Some(minute_ms), statistics);
        };
        for (function, published) in &mut self.functions {
            let now = function.stats();
            let name = function.name();
            let before = std::mem::replace(published, now);
            let invocations = (now.invocations - before.invocations) as f64;
            let throttles = (now.throttles - before.throttles) as f64;
            if invocations + throttles > 0.0 {
                // Alarms compare rates of the real machine. With a time scale, a minute of the clock is shorter and sees
                // fewer invocations, so the counts are multiplied by the scale.
                put(name, "Throttles", Statistics::of(throttles * rate));
            }
            if invocations > 0.0 {
                put(name, "Invocations", Statistics::of(invocations * rate));
                put(name, "Errors", Statistics::of((now.errors - before.errors) as f64 * rate));
                let duration_ms = (now.busy_ms - before.busy_ms) as f64 / invocations;
                put(name, "Duration", Statistics::repeated(duration_ms, invocations));
            }
        }
        for (function, handle) in &self.mappings {
            if let Some(age_ms) = handle.take_iterator_age_ms() {
                put(function, "IteratorAge", Statistics::of(age_ms as f64));
            }
        }
    }
}
