//! Schedules of functions: the event of EventBridge, at a rate, by the stack's clock.

use super::events;
use crate::event_source::{Clock as _, TokioClock};
use crate::function::Function;
use crate::servers::{ACCOUNT, REGION};
use crate::template::Resolved;
use anyhow::{Context as _, Result};
use jiff::Timestamp;
use myaku::clock::Now as _;
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::task::JoinHandle;
use uuid::Uuid;

/// The schedules at work; they end when dropped.
pub(super) struct Schedules(Vec<JoinHandle<()>>);

impl Drop for Schedules {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

/// Begins the schedules of all functions.
pub(super) fn start(
    resolved: &Resolved,
    functions: &BTreeMap<String, Function>,
    clock: TokioClock,
) -> Result<Schedules> {
    let mut tasks = Schedules(Vec::new());
    for event in events::of_kind(resolved, "Schedule") {
        let started = event.only(&["Schedule"]).and_then(|()| {
            let every = rate(event.text("Schedule")?)?;
            let function = functions.get(event.function).context("the function does not run")?.clone();
            Ok(tokio::spawn(run(function, event.place(), every, clock)))
        });
        tasks.0.push(started.with_context(|| event.place())?);
    }
    Ok(tasks)
}

async fn run(function: Function, place: String, every: Duration, clock: TokioClock) {
    loop {
        clock.sleep(every).await;
        let time = Timestamp::from_millisecond(clock.now_ms()).unwrap_or_default();
        let event = json!({
            "version": "0",
            "id": Uuid::new_v4().to_string(),
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "account": ACCOUNT,
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            "region": REGION,
            "resources": [format!("arn:aws:events:{REGION}:{ACCOUNT}:rule/{}", place.replace('/', ""))],
            "detail": {},
        });
        if let Err(error) = function.invoke_async(event.to_string().into()) {
            tracing::warn!(place, %error, "a schedule's event is lost");
        }
    }
}

/// `rate(1 minute)`, `rate(5 minutes)`.
fn rate(expression: &str) -> Result<Duration> {
    let parts = expression.strip_prefix("rate(").and_then(|rest| rest.strip_suffix(')'));
    let every = parts.and_then(|parts| {
        let (value, unit) = parts.trim().split_once(' ')?;
        let value: u64 = value.parse().ok().filter(|value| *value > 0)?;
        let unit_s = match unit.trim().trim_end_matches('s') {
            "minute" => 60,
            "hour" => 3_600,
            "day" => 86_400,
            _ => return None,
        };
        Some(Duration::from_secs(value * unit_s))
    });
    every.with_context(|| format!("the schedule {expression} does not run here, only rate(n minutes, hours or days)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_of_minutes_hours_or_days() {
        assert_eq!(rate("rate(1 minute)").unwrap(), Duration::from_mins(1));
        assert_eq!(rate("rate(12 hours)").unwrap(), Duration::from_hours(12));
        for wrong in ["rate(0 minutes)", "rate(1 week)", "cron(0 * * * ? *)", "1 minute"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
    }
}
