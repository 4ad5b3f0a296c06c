//! Notifies a facility's contacts of its alerts: once that something is wrong, again if it is not acknowledged, and once that it is over.
//!
//! There are two kinds of invocation: one for each alert of the topic, and a scheduled sweep. What is due at once for an alert is sent
//! by its own invocation. The sweep sends what is due later: after quiet hours, for want of an acknowledgement, about a flood, after a
//! failure, and what an invocation left that ended half way.
//!
//! What is decided is in [`myaku::alert::case`]. A notice is claimed in the store before it is sent, and its outcome is stored after. So
//! two invocations never send the same one, and one that ends between the two has it sent once more, marked as a repetition.

mod config;
mod event;
mod send;
mod sweep;
mod take;

pub use config::Config;
pub use event::EventError;

use event::Event;
use myaku::alert::cases::Cases;
use myaku::alert::cases::dynamodb::DynamoDbCases;
use myaku::alert::incidents::Incidents;
use myaku::alert::incidents::dynamodb::DynamoDbIncidents;
use myaku::alert::messenger::{DeployedMessenger, Messenger};
use myaku::device::registry::{self, MasterData, Registry};
use myaku::platform::aws;
use myaku::platform::clock::{Now, SystemClock};
use myaku::platform::errors::RemoteError;
use myaku::platform::telemetry::{Metric, count};
use serde::Serialize;
use std::time::Duration;

/// The ports that the function works with. A type without values: it names the others.
pub trait Ports: Send + Sync {
    /// What contacts heard, and will hear.
    type Cases: Cases;
    /// What sends.
    type Messenger: Messenger;
    /// Incidents, which know what is acknowledged.
    type Incidents: Incidents;
    /// The contacts of facilities.
    type MasterData: MasterData;
    /// The wall clock.
    type Clock: Now;
}

/// What the function works with, made once.
pub struct Context<P: Ports> {
    /// What contacts heard, and will hear.
    pub cases: P::Cases,
    /// What sends.
    pub messenger: P::Messenger,
    /// Incidents, which know what is acknowledged.
    pub incidents: P::Incidents,
    /// The contacts of facilities.
    pub registry: Registry<P::MasterData, P::Clock>,
    /// The wall clock.
    pub clock: P::Clock,
    /// How long an alert must be over before its contacts hear so.
    pub settle: Duration,
}

/// The ports of the deployed function.
pub struct Deployed;

impl Ports for Deployed {
    type Cases = DynamoDbCases;
    type Messenger = DeployedMessenger;
    type Incidents = DynamoDbIncidents;
    type MasterData = registry::Shared<registry::DynamoDb>;
    type Clock = SystemClock;
}

/// Why an invocation failed.
#[derive(Debug, thiserror::Error)]
pub enum HandleError {
    /// The event is neither alerts of the topic nor a sweep. Every retry fails as well, and then the event goes to the on-failure
    /// destination.
    #[error("the event is not valid")]
    Event(#[from] EventError),
    /// A store failed.
    #[error("cannot notify contacts of the alert")]
    Store(#[from] RemoteError),
}

/// What an invocation did, for the log and for a person who invokes it by hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Messages that were sent.
    pub sent: usize,
    /// Messages that could not be sent, and are tried again.
    pub failed: usize,
    /// Messages that were given up.
    pub given_up: usize,
}

impl std::ops::AddAssign for Report {
    fn add_assign(&mut self, other: Self) {
        self.sent += other.sent;
        self.failed += other.failed;
        self.given_up += other.given_up;
    }
}

/// Connects to what `config` names. Nothing is requested yet: a service that is down fails invocations, not the start.
pub async fn connect(config: &Config) -> Context<Deployed> {
    let sdk = aws::config().await;
    Context {
        cases: DynamoDbCases::new(&sdk, &config.case_table, config.case_ttl),
        messenger: DeployedMessenger::new(&sdk, &config.messenger),
        // Incidents are only read.
        incidents: DynamoDbIncidents::new(&sdk, &config.presence_table, config.case_ttl),
        // Without the cache in Redis, so that alerts do not depend on it.
        registry: Registry::connect(&sdk, &config.registry, None),
        clock: SystemClock,
        settle: config.settle,
    }
}

/// Handles one invocation. `deadline_ms` is when Lambda ends it, in milliseconds since the epoch.
pub async fn handle<P: Ports>(context: &Context<P>, event: &[u8], deadline_ms: i64) -> Result<Report, HandleError> {
    let event = event::parse(event)?;
    // Boxed, because the SDKs' futures nest deeper than the compiler follows.
    let handled = match event {
        Event::Sweep => Box::pin(sweep::run(context, deadline_ms)).await,
        Event::Alerts(alerts) => Box::pin(take::run(context, &alerts, deadline_ms)).await,
    };
    count(Metric::Retries, usize::from(handled.is_err()));
    Ok(handled?)
}

#[cfg(test)]
mod tests;
