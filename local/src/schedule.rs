//! `EventBridge`'s schedules: when they are due, and the event that a function gets.
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html>
//!
//! ```
//! use myaku_local::schedule::Expression;
//!
//! let every_five_minutes = Expression::parse("rate(5 minutes)")?;
//! let (began_ms, now_ms) = (0, 299_999);
//! assert_eq!(every_five_minutes.next(began_ms, now_ms), Some(300_000));
//! # Ok::<(), myaku_local::schedule::ExpressionError>(())
//! ```

mod cron;

pub use cron::{Cron, CronError};

use crate::account::{ACCOUNT, REGION};
use crate::clock::Clock;
use crate::function::Function;
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::json;
use std::time::Duration;
use uuid::Uuid;

/// When a schedule is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expression {
    /// `rate(5 minutes)`: at the end of each period, counted from the schedule's start.
    Rate(Duration),
    /// `cron(0 12 * * ? *)`, in UTC.
    Cron(Cron),
}

/// Why a text is not a schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExpressionError {
    /// It is neither a rate nor a cron expression.
    #[error("{0:?} is not a schedule that runs on this machine; use rate(…) or cron(…)")]
    Kind(String),
    /// The rate is invalid.
    #[error("{0:?} is not a rate; write it like rate(1 minute), rate(5 minutes), rate(2 hours) or rate(1 day)")]
    Rate(String),
    /// The cron expression is invalid.
    #[error(transparent)]
    Cron(#[from] CronError),
}

impl Expression {
    /// Parses an expression.
    pub fn parse(text: &str) -> Result<Self, ExpressionError> {
        let within = |kind: &str| text.strip_prefix(kind)?.strip_prefix('(')?.strip_suffix(')');
        if let Some(rate) = within("rate") {
            let wrong = || ExpressionError::Rate(text.to_owned());
            let (number, unit) = rate.trim().split_once(' ').ok_or_else(wrong)?;
            let number: u64 = number.parse().ok().filter(|number| *number > 0).ok_or_else(wrong)?;
            // "If the value is equal to 1, then the unit must be singular. If the value is greater than 1, the unit
            // must be plural."
            let unit_s = match (number, unit) {
                (1, "minute") | (2.., "minutes") => 60,
                (1, "hour") | (2.., "hours") => 3_600,
                (1, "day") | (2.., "days") => 86_400,
                _ => return Err(wrong()),
            };
            return Ok(Self::Rate(Duration::from_secs(number.saturating_mul(unit_s))));
        }
        match within("cron") {
            Some(fields) => Ok(Self::Cron(Cron::parse(fields)?)),
            None => Err(ExpressionError::Kind(text.to_owned())),
        }
    }

    /// When a schedule that began at `began_ms` is next due after `now_ms`, in milliseconds since the epoch; none if it
    /// is never due again.
    pub fn next(&self, began_ms: i64, now_ms: i64) -> Option<i64> {
        match self {
            Self::Rate(period) => {
                let period_ms = period.as_millis() as i64;
                Some(began_ms + ((now_ms - began_ms).max(0) / period_ms + 1) * period_ms)
            }
            Self::Cron(cron) => cron.next(now_ms),
        }
    }
}

/// The service that runs a schedule. Their events differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// A scheduled rule of an event bus: SAM's `Schedule`.
    Rule,
    /// `EventBridge` Scheduler: SAM's `ScheduleV2`.
    Scheduler,
}

/// A schedule of a function.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// The name.
    pub name: String,
    /// The service that runs it.
    pub service: Service,
    /// When it is due.
    pub expression: Expression,
    /// The event for the function; without it, the service's own event.
    pub input: Option<String>,
    /// The function.
    pub function: Function,
}

impl Schedule {
    /// Invokes the function asynchronously each time the schedule is due on this clock.
    pub async fn run(self, clock: impl Clock) {
        let began_ms = clock.now_ms();
        let mut now_ms = began_ms;
        while let Some(due_ms) = self.expression.next(began_ms, now_ms) {
            clock.sleep(Duration::from_millis((due_ms - clock.now_ms()).max(0) as u64)).await;
            let event = event(self.service, &self.name, self.input.as_deref(), due_ms, Uuid::new_v4());
            if let Err(error) = self.function.invoke_async(Bytes::from(event)) {
                tracing::error!(
                    schedule = self.name,
                    function = self.function.name(),
                    %error,
                    "cannot invoke a scheduled function"
                );
            }
            // Times that passed while the machine was busy are skipped, not made up for.
            now_ms = clock.now_ms().max(due_ms);
        }
    }
}

/// The event for a function at `due_ms`.
fn event(service: Service, name: &str, input: Option<&str>, due_ms: i64, id: Uuid) -> String {
    let time = Timestamp::from_millisecond(due_ms).unwrap_or_default().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let arn = match service {
        Service::Rule => format!("arn:aws:events:{REGION}:{ACCOUNT}:rule/{name}"),
        Service::Scheduler => format!("arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/default/{name}"),
    };
    match (service, input) {
        (Service::Rule, Some(input)) => input.to_owned(),
        (Service::Scheduler, Some(input)) => input
            .replace("<aws.scheduler.scheduled-time>", &time)
            .replace("<aws.scheduler.schedule-arn>", &arn)
            .replace("<aws.scheduler.execution-id>", &id.to_string())
            .replace("<aws.scheduler.attempt-number>", "1"),
        (_, None) => {
            let (source, detail) = match service {
                Service::Rule => ("aws.events", json!({})),
                Service::Scheduler => ("aws.scheduler", json!("{}")),
            };
            let event = json!({
                "version": "0", "id": id.to_string(), "detail-type": "Scheduled Event", "source": source,
                "account": ACCOUNT, "time": time, "region": REGION, "resources": [arn], "detail": detail,
            });
            event.to_string()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_due_at_the_end_of_each_period() {
        let every = Expression::parse("rate(5 minutes)").unwrap();
        let began_ms = 7;
        assert_eq!(every.next(began_ms, began_ms), Some(300_007));
        assert_eq!(every.next(began_ms, 300_006), Some(300_007));
        assert_eq!(every.next(began_ms, 300_007), Some(600_007));
        assert_eq!(Expression::parse("rate(1 day)"), Ok(Expression::Rate(Duration::from_hours(24))));
    }

    #[test]
    fn an_invalid_schedule_is_an_error() {
        for wrong in
            ["rate(0 minutes)", "rate(1 minutes)", "rate(2 minute)", "rate(x days)", "rate(5)", "rate(5 weeks)"]
        {
            assert!(matches!(Expression::parse(wrong), Err(ExpressionError::Rate(_))), "{wrong}");
        }
        for wrong in ["at(2026-11-21T00:00:00)", "", "rate 5 minutes", "cron(* * * * ? *"] {
            assert!(matches!(Expression::parse(wrong), Err(ExpressionError::Kind(_))), "{wrong}");
        }
    }

    /// As in <https://docs.aws.amazon.com/lambda/latest/dg/with-eventbridge-scheduler.html> and the user guide's
    /// example of a scheduled event.
    #[test]
    fn a_function_gets_the_services_event_or_the_input() {
        let due_ms = 1_444_323_186_000;
        insta::assert_snapshot!(event(Service::Rule, "sweep", None, due_ms, Uuid::nil()), @r#"{"account":"000000000000","detail":{},"detail-type":"Scheduled Event","id":"00000000-0000-0000-0000-000000000000","region":"us-east-1","resources":["arn:aws:events:us-east-1:000000000000:rule/sweep"],"source":"aws.events","time":"2015-10-08T16:53:06Z","version":"0"}"#);
        insta::assert_snapshot!(event(Service::Scheduler, "sweep", None, due_ms, Uuid::nil()), @r#"{"account":"000000000000","detail":"{}","detail-type":"Scheduled Event","id":"00000000-0000-0000-0000-000000000000","region":"us-east-1","resources":["arn:aws:scheduler:us-east-1:000000000000:schedule/default/sweep"],"source":"aws.scheduler","time":"2015-10-08T16:53:06Z","version":"0"}"#);
        let input = r#"{"task":"sweep","at":"<aws.scheduler.scheduled-time>"}"#;
        assert_eq!(event(Service::Rule, "sweep", Some(input), due_ms, Uuid::nil()), input);
        assert_eq!(
            event(Service::Scheduler, "sweep", Some(input), due_ms, Uuid::nil()),
            r#"{"task":"sweep","at":"2015-10-08T16:53:06Z"}"#
        );
    }
}
