//! Keeps a stream at the size that its load needs: alarms and a schedule invoke it, and each invocation observes the
//! stream and takes the next step.
//!
//! Promise 6: the stream grows before it throttles, and shrinks only when that is safe. The content of the event
//! decides nothing: a notification only makes the function observe the stream sooner than the schedule, which does so
//! every minute.

mod config;

pub use config::{Config, ConfigError};

use myaku::platform::aws;
use myaku::platform::clock::{Now, ScaledClock};
use myaku::platform::errors::{RemoteError, chain};
use myaku::platform::telemetry::{Metric, count, observe};
use myaku::scaling::alarms::{Notification, Sender, ShardAlarms, notifications};
use myaku::scaling::reshard::alarms::CloudWatchAlarms;
use myaku::scaling::reshard::control::KinesisControl;
use myaku::scaling::reshard::ledger::DynamoDbLedger;
use myaku::scaling::reshard::metrics::CloudWatchMetrics;
use myaku::scaling::reshard::{AlarmStore, Autoscaler, Ledger, Metrics, Readers, Report, StreamControl, TickOutcome};
use serde::Serialize;
use serde_json::Value;
use std::time::Duration;

/// How long an invocation may act: longer than the function's time-out, so that no other invocation acts while it runs.
const LEASE: Duration = Duration::from_secs(90);

/// The ports that the function works with. A type without values: it names the others.
pub trait Ports: Send + Sync {
    /// The stream's shards.
    type Control: StreamControl;
    /// The stream's metrics.
    type Metrics: Metrics;
    /// The stream's alarms.
    type Alarms: AlarmStore;
    /// The plan in progress, and the calls of the last 24 hours.
    type Ledger: Ledger;
    /// The clock of cool-downs, quotas and metrics.
    type Clock: Now;
}

/// What the function works with, made once.
pub struct Context<P: Ports> {
    /// Observes the stream and takes the next step.
    pub autoscaler: Autoscaler<P::Control, P::Metrics, P::Alarms, P::Ledger>,
    /// The clock of cool-downs, quotas and metrics.
    pub clock: P::Clock,
}

/// The ports of the deployed function.
pub struct Deployed;

impl Ports for Deployed {
    type Control = KinesisControl;
    type Metrics = CloudWatchMetrics;
    type Alarms = CloudWatchAlarms;
    type Ledger = DynamoDbLedger;
    type Clock = ScaledClock;
}

/// Connects to what `config` names. Nothing is requested yet.
pub async fn connect(config: &Config) -> Context<Deployed> {
    let sdk = aws::config().await;
    let autoscaler = Autoscaler {
        control: KinesisControl::new(&sdk, &config.stream),
        metrics: CloudWatchMetrics::new(&sdk),
        alarms: CloudWatchAlarms::new(&sdk),
        ledger: DynamoDbLedger::new(&sdk, &config.ledger_table),
        policy: config.policy.clone(),
        readers: Readers { functions: config.readers.clone() },
        alarms_of: Some(ShardAlarms {
            stream: config.stream.clone(),
            prefix: config.alarm_prefix.clone(),
            actions: vec![config.alarm_topic.clone()],
        }),
        lease: LEASE,
    };
    Context { autoscaler, clock: config.clock }
}

/// One invocation of the function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// Its id, which is unique.
    pub id: String,
    /// The account that the function runs in.
    pub account: Option<String>,
}

impl Invocation {
    /// The invocation `id` of the function of this ARN.
    pub fn of(id: &str, function_arn: &str) -> Self {
        let account = function_arn.split(':').nth(4).filter(|account| !account.is_empty());
        Self { id: id.to_owned(), account: account.map(str::to_owned) }
    }
}

/// The answer of the function, for a person who invokes it by hand, and for the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// It observed the stream.
    Observed(Report),
    /// The event was not a reason to observe the stream.
    Ignored {
        /// Why, for each notification in it.
        ignored: Vec<String>,
    },
}

/// Observes the stream and takes the next step, if the event is a reason to: a schedule, an alarm of the stream
/// (through the topic or directly), or an empty event by hand.
///
/// # Errors
/// A call to AWS failed. The schedule tries again a minute later.
pub async fn handle<P: Ports>(
    context: &Context<P>,
    invocation: &Invocation,
    event: &Value,
) -> Result<Answer, RemoteError> {
    let autoscaler = &context.autoscaler;
    let stream = autoscaler.control.name();
    let topic = autoscaler.alarms_of.as_ref().and_then(|alarms| alarms.actions.first());
    if let Some(ignored) = reasons_to_ignore(event, invocation, stream, topic) {
        count(Metric::IgnoredNotifications, ignored.len());
        for why in &ignored {
            tracing::warn!(stream, why, "ignored a notification");
        }
        return Ok(Answer::Ignored { ignored });
    }
    let ticked = autoscaler.tick(&invocation.id, &context.clock).await;
    let report = ticked.inspect_err(|error| {
        tracing::error!(
            stream,
            error = chain(error),
            "cannot size the stream; the next invocation tries again within a minute"
        );
    })?;
    log_and_count(stream, &report, autoscaler.policy.max_shards);
    Ok(Answer::Observed(report))
}

/// Why the event is not a reason to observe the stream: one text for each notification in it. `None` if it is a reason.
fn reasons_to_ignore(event: &Value, invocation: &Invocation, of: &str, topic: Option<&String>) -> Option<Vec<String>> {
    if is_scheduled_or_by_hand(event) {
        return None;
    }
    let sender = Sender { topic: topic.cloned(), account: invocation.account.clone() };
    let mut reasons = Vec::new();
    for notification in notifications(event, &sender) {
        match notification {
            Ok(Notification { alarm, stream: Some(stream), .. }) if stream != of => {
                reasons.push(format!("the alarm {alarm} is about {stream}"));
            }
            Ok(Notification { alarm, state, reason, .. }) => {
                tracing::info!(alarm, ?state, reason, "received an alarm");
                return None;
            }
            Err(error) => reasons.push(chain(&error)),
        }
    }
    // Also if the event contains no notification.
    Some(reasons)
}

/// Whether the event is from a schedule, or from a person: an empty event.
fn is_scheduled_or_by_hand(event: &Value) -> bool {
    let is_empty = event.is_null() || event.as_object().is_some_and(serde_json::Map::is_empty);
    is_empty || event["source"] == "aws.events" || event["detail-type"] == "Scheduled Event"
}

fn log_and_count(stream: &str, report: &Report, max_shards: u32) {
    let Report { outcome, reason, open, wanted, begun, alarms_changed } = report;
    if *outcome == TickOutcome::Nothing && *alarms_changed == 0 {
        tracing::debug!(stream, reason, "nothing to do");
    } else {
        tracing::info!(stream, ?outcome, reason, open, wanted, ?begun, alarms_changed, "observed the stream");
    }
    count(Metric::ReshardSteps, usize::from(begun.is_some()));
    count(Metric::AlarmsChanged, *alarms_changed);
    if let Some(open) = open {
        observe(Metric::ShardsOpen, [f64::from(*open)]);
    }
    if let Some(wanted) = wanted {
        observe(Metric::ShardsWanted, [f64::from(*wanted)]);
        observe(Metric::ShardsOverMaximum, [f64::from(wanted.saturating_sub(max_shards))]);
    }
}

#[cfg(test)]
mod tests;
