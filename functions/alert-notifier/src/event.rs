//! The events that invoke the function.

use myaku::alert::Alert;
use serde::Deserialize;

/// An event.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Event {
    /// Alerts of the topic. SNS delivers one with each event.
    Alerts(Vec<Alert>),
    /// The schedule's.
    Sweep,
}

/// Why an event cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// It is neither a notification of SNS nor the schedule's event.
    #[error("it is neither a notification of SNS nor {{\"task\":\"sweep\"}}")]
    Other(#[source] serde_json::Error),
    /// The message of a notification is not an alert.
    #[error("the message of record {index} is not an alert")]
    Alert {
        /// The record's place in the event.
        index: usize,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Outer {
    Notifications {
        #[serde(rename = "Records")]
        records: Vec<Record>,
    },
    Task {
        #[serde(rename = "task")]
        _task: Sweep,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Sweep {
    Sweep,
}

#[derive(Deserialize)]
struct Record {
    #[serde(rename = "Sns")]
    sns: Notification,
}

#[derive(Deserialize)]
struct Notification {
    #[serde(rename = "Message")]
    message: String,
}

pub(crate) fn parse(event: &[u8]) -> Result<Event, EventError> {
    match serde_json::from_slice(event).map_err(EventError::Other)? {
        Outer::Task { .. } => Ok(Event::Sweep),
        Outer::Notifications { records } => {
            let alerts = records.iter().enumerate().map(|(index, record)| {
                serde_json::from_str(&record.sns.message).map_err(|source| EventError::Alert { index, source })
            });
            alerts.collect::<Result<_, _>>().map(Event::Alerts)
        }
    }
}
