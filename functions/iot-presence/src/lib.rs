//! Stores which clients are connected, and publishes an alert when a device falls silent.
//!
//! There are two kinds of invocation: one for each lifecycle event of AWS IoT, and a scheduled sweep. The sweep is
//! level-triggered: it reads from the stores what is due. So a crash or a lost event never leaves a disconnect
//! unsettled, a silence unreported, or an incident open.

mod config;
mod lifecycle;
mod sweep;

pub use config::Config;
pub use sweep::{SweepError, SweepReport};

use myaku::alert::incidents::Incidents;
use myaku::alert::incidents::dynamodb::DynamoDbIncidents;
use myaku::alert::topic::Topic;
use myaku::alert::topic::sns::SnsTopic;
use myaku::device::presence::EventError;
use myaku::device::presence::store::Presences;
use myaku::device::presence::store::dynamodb::DynamoDbPresences;
use myaku::device::presence::watch::Watch;
use myaku::device::presence::watch::redis::RedisWatch;
use myaku::device::registry::{self, MasterData, MasterDataWriter, Registry};
use myaku::platform::clock::{Now, SystemClock};
use myaku::platform::errors::RemoteError;
use myaku::platform::telemetry::{Metric, count};
use myaku::platform::{aws, redis};
use std::time::Duration;

/// The event of the schedule.
const SWEEP: &str = r#"{"task":"sweep"}"#;

/// The ports that the function works with. A type without values: it names the others.
pub trait Ports: Send + Sync {
    /// Connections.
    type Presences: Presences;
    /// Incidents.
    type Incidents: Incidents;
    /// The topic of alerts.
    type Topic: Topic;
    /// By when each device must be heard.
    type Watch: Watch;
    /// Devices and profiles, which the sweep also lists.
    type MasterData: MasterData + MasterDataWriter;
    /// The wall clock.
    type Clock: Now;
}

/// What the function works with, made once.
pub struct Context<P: Ports> {
    /// Connections.
    pub presences: P::Presences,
    /// Incidents.
    pub incidents: P::Incidents,
    /// The topic of alerts.
    pub topic: P::Topic,
    /// By when each device must be heard.
    pub watch: P::Watch,
    /// Devices and their profiles.
    pub registry: Registry<P::MasterData, P::Clock>,
    /// The wall clock.
    pub clock: P::Clock,
    /// A disconnect does not count if the client reconnects within this time.
    pub grace: Duration,
}

/// The ports of the deployed function.
pub struct Deployed;

impl Ports for Deployed {
    type Presences = DynamoDbPresences;
    type Incidents = DynamoDbIncidents;
    type Topic = SnsTopic;
    type Watch = RedisWatch;
    type MasterData = registry::Shared<registry::DynamoDb>;
    type Clock = SystemClock;
}

/// Why an invocation failed.
#[derive(Debug, thiserror::Error)]
pub enum HandleError {
    /// The event is neither a valid lifecycle event nor a sweep. Every retry fails as well, and then the event goes to
    /// the on-failure destination.
    #[error("the event is not valid")]
    Event(#[from] EventError),
    /// A store failed.
    #[error("cannot store the event")]
    Store(#[from] RemoteError),
    /// A part of the sweep failed.
    #[error("the sweep is not complete")]
    Sweep(#[from] SweepError),
}

/// Connects to what `config` names. Nothing is requested yet: a service that is down fails invocations, not the start.
pub async fn connect(config: &Config) -> Result<Context<Deployed>, RemoteError> {
    let sdk = aws::config().await;
    let redis = redis::Connection::connect(&config.redis, &sdk).await?;
    Ok(Context {
        presences: DynamoDbPresences::new(&sdk, &config.presence_table, config.presence_ttl),
        incidents: DynamoDbIncidents::new(&sdk, &config.presence_table, config.presence_ttl),
        topic: SnsTopic::new(&sdk, &config.alert_topic),
        watch: RedisWatch::new(redis.clone()),
        registry: Registry::connect(&sdk, &config.registry, Some(redis)),
        clock: SystemClock,
        grace: config.grace,
    })
}

/// Handles one invocation. `deadline_ms` is when Lambda ends it, in milliseconds since the epoch.
pub async fn handle<P: Ports>(context: &Context<P>, event: &[u8], deadline_ms: i64) -> Result<(), HandleError> {
    let result = if is_sweep(event) {
        sweep::run(context, deadline_ms).await.map(drop).map_err(HandleError::from)
    } else {
        lifecycle::handle(context, event).await
    };
    count(Metric::Retries, usize::from(result.is_err()));
    result
}

fn is_sweep(event: &[u8]) -> bool {
    let task = |json: &[u8]| serde_json::from_slice::<serde_json::Value>(json).ok();
    task(event).is_some_and(|event| Some(event) == task(SWEEP.as_bytes()))
}

#[cfg(test)]
mod tests;
