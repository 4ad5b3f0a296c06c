//! Starts schedules, which are events of functions or resources of their own.

use super::events;
use crate::clock::TokioClock;
use crate::function::Function;
use crate::schedule::{Expression, Schedule, Service};
use crate::template::{Resolved, only};
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use tokio::task::JoinSet;

/// The properties that a scheduled rule may have. `RetryPolicy` and `DeadLetterConfig` are for events that Lambda does not
/// accept. Here the function's queue accepts every event, so they have no effect.
const RULE: [&str; 8] =
    ["Schedule", "Input", "Name", "Description", "Enabled", "State", "RetryPolicy", "DeadLetterConfig"];
/// The properties that a schedule of the Scheduler may have.
const SCHEDULE: [&str; 11] = [
    "ScheduleExpression",
    "ScheduleExpressionTimezone",
    "FlexibleTimeWindow",
    "Input",
    "Target",
    "Name",
    "Description",
    "State",
    "RoleArn",
    "RetryPolicy",
    "DeadLetterConfig",
];
const TARGET: [&str; 5] = ["Arn", "RoleArn", "Input", "RetryPolicy", "DeadLetterConfig"];

/// Starts all schedules that are enabled. They end when the set is dropped.
pub(super) fn start(
    resolved: &Resolved,
    functions: &BTreeMap<String, Function>,
    clock: TokioClock,
) -> Result<JoinSet<()>> {
    let mut running = JoinSet::new();
    for schedule in all(resolved, functions)? {
        running.spawn(schedule.run(clock));
    }
    Ok(running)
}

fn all(resolved: &Resolved, functions: &BTreeMap<String, Function>) -> Result<Vec<Schedule>> {
    let mut schedules = Vec::new();
    for (kind, service) in [("Schedule", Service::Rule), ("ScheduleV2", Service::Scheduler)] {
        for event in events::of_kind(resolved, kind) {
            let name = format!("{}{}", event.function, event.name);
            let function = functions.get(event.function).context("the function is not running");
            let schedule = function.and_then(|function| {
                event.only(if service == Service::Rule { &RULE } else { &SCHEDULE })?;
                schedule_of(&name, service, event.properties, &event.properties["Input"], function)
            });
            schedules.extend(schedule.with_context(|| event.place())?);
        }
    }
    for (id, resource) in resolved.of_kind("AWS::Scheduler::Schedule") {
        let (properties, target) = (&resource.properties, &resource.properties["Target"]);
        let schedule = only(properties, &SCHEDULE).and_then(|()| only(target, &TARGET)).map_err(anyhow::Error::from);
        let schedule = schedule.and_then(|()| {
            let arn = target["Arn"].as_str().context("Target.Arn is missing")?;
            let function = functions.values().find(|function| function.arn() == arn);
            let function = function.with_context(|| format!("the target {arn} is not a function of the template"))?;
            schedule_of(&resource.physical_id, Service::Scheduler, properties, &target["Input"], function)
        });
        schedules.extend(schedule.with_context(|| id.to_owned())?);
    }
    Ok(schedules)
}

/// The schedule that these properties describe; `None` if it is disabled.
fn schedule_of(
    name: &str,
    service: Service,
    properties: &Value,
    input: &Value,
    function: &Function,
) -> Result<Option<Schedule>> {
    let expression = match service {
        Service::Rule => "Schedule",
        Service::Scheduler => "ScheduleExpression",
    };
    let expression = properties[expression].as_str().with_context(|| format!("{expression} is missing"))?;
    let zone = properties["ScheduleExpressionTimezone"].as_str().unwrap_or("UTC");
    ensure!(zone == "UTC", "the time zone {zone} does not run on this machine, only UTC");
    let window = properties["FlexibleTimeWindow"]["Mode"].as_str().unwrap_or("OFF");
    ensure!(window == "OFF", "a flexible time window does not run on this machine");
    let input = match input {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        _ => bail!("Input must be a string that contains JSON"),
    };
    if let Some(input) = &input {
        serde_json::from_str::<serde::de::IgnoredAny>(input).context("Input is not JSON")?;
    }
    let is_enabled =
        properties["State"] != "DISABLED" && properties["Enabled"] != false && properties["Enabled"] != "false";
    let expression = Expression::parse(expression)?;
    let schedule = Schedule { name: name.to_owned(), service, expression, input, function: function.clone() };
    Ok(is_enabled.then_some(schedule))
}
