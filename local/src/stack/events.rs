//! Reads the `Events` of functions, which SAM turns into mappings, subscriptions, routes and schedules.

use crate::template::{Resolved, only};
use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// The kinds of events that run on this machine.
const KINDS: [&str; 5] = ["HttpApi", "Kinesis", "SNS", "Schedule", "ScheduleV2"];

/// An event of a function.
pub(super) struct FunctionEvent<'a> {
    /// The function's logical id.
    pub(super) function: &'a str,
    /// The event's name.
    pub(super) name: &'a str,
    /// Its type.
    pub(super) kind: &'a str,
    /// Its properties.
    pub(super) properties: &'a Value,
}

impl FunctionEvent<'_> {
    /// The event's name in error messages: `TransformFunction/Ingest`.
    pub(super) fn place(&self) -> String {
        format!("{}/{}", self.function, self.name)
    }

    /// A property that the event must have.
    pub(super) fn text(&self, property: &str) -> Result<&str> {
        self.properties[property].as_str().with_context(|| format!("{property} is missing"))
    }

    /// Refuses properties other than `known`.
    pub(super) fn only(&self, known: &[&str]) -> Result<()> {
        Ok(only(self.properties, known)?)
    }
}

/// The events of all functions.
fn all(resolved: &Resolved) -> impl Iterator<Item = FunctionEvent<'_>> {
    resolved.of_kind("AWS::Serverless::Function").flat_map(|(function, resource)| {
        let events = resource.properties["Events"].as_object().into_iter().flatten();
        events.map(move |(name, event)| FunctionEvent {
            function,
            name,
            kind: event["Type"].as_str().unwrap_or_default(),
            properties: &event["Properties"],
        })
    })
}

/// The events of one type.
pub(super) fn of_kind<'a>(resolved: &'a Resolved, kind: &'a str) -> impl Iterator<Item = FunctionEvent<'a>> {
    all(resolved).filter(move |event| event.kind == kind)
}

/// Refuses events of kinds that do not run on this machine.
pub(super) fn check(resolved: &Resolved) -> Result<()> {
    for event in all(resolved) {
        if !KINDS.contains(&event.kind) {
            let (place, kind, kinds) = (event.place(), event.kind, KINDS.join(", "));
            bail!("{place}: an event of type {kind:?} does not run on this machine, only {kinds}");
        }
    }
    Ok(())
}
