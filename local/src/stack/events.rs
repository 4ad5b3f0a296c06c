//! The `Events` of functions, of which SAM makes mappings, subscriptions, routes and schedules.

use crate::template::{Resolved, only};
use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// The kinds that run here, and where.
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
    /// What errors call it: `TransformFunction/Ingest`.
    pub(super) fn place(&self) -> String {
        format!("{}/{}", self.function, self.name)
    }

    /// A property that it must have.
    pub(super) fn text(&self, property: &str) -> Result<&str> {
        self.properties[property].as_str().with_context(|| format!("it names no {property}"))
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

/// Refuses events that nothing here would fire.
pub(super) fn check(resolved: &Resolved) -> Result<()> {
    for event in all(resolved) {
        if !KINDS.contains(&event.kind) {
            bail!("{}: an event of type {:?} does not run here, only {}", event.place(), event.kind, KINDS.join(", "));
        }
    }
    Ok(())
}
