//! Sending what the fleet says: over MQTT with real clients, and straight to Kinesis as a producer library does.

mod direct;
mod http;
mod mqtt;

pub use direct::Direct;
pub use http::{Api, Http, Outcome, Request, Told};
pub use mqtt::Mqtt;

use super::{Planned, Route};
use anyhow::Context as _;
use aws_config::SdkConfig;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Who hears of messages that are acknowledged: how many, and since when they were due.
pub type Acknowledged = Arc<dyn Fn(usize, Instant) + Send + Sync>;

/// Both ways of a message, behind one call.
#[derive(Debug)]
pub struct Sender {
    mqtt: Mqtt,
    direct: Direct,
}

/// What became of all that was handed over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// How many messages the broker or the stream has acknowledged.
    pub acknowledged: usize,
    /// The numbers of the messages that were given up; the stream may have them all the same.
    pub failed: Vec<usize>,
}

impl Sender {
    /// Connects `connections` MQTT clients to `broker` (host and port), and opens a producer on `stream`.
    pub async fn connect(
        broker: (String, u16),
        connections: usize,
        config: &SdkConfig,
        stream: &str,
    ) -> anyhow::Result<Self> {
        let mqtt = Mqtt::connect(broker, connections).await.context("the MQTT clients cannot connect")?;
        Ok(Self { mqtt, direct: Direct::open(config, stream) })
    }

    /// Hands a message over; it waits where the way is full.
    pub async fn send(&self, message: &Planned) -> anyhow::Result<()> {
        match message.route {
            Route::Mqtt => self.mqtt.publish(message).await,
            Route::Aggregate | Route::Record => self.direct.put(message).await,
        }
    }

    /// Waits until everything is acknowledged or given up, for at most `patience`.
    pub async fn settle(self, patience: Duration) -> anyhow::Result<Settled> {
        let (mqtt, direct) = tokio::join!(self.mqtt.settle(patience), self.direct.settle(patience));
        let (acknowledged, direct) = (mqtt?, direct?);
        Ok(Settled { acknowledged: acknowledged + direct.acknowledged, failed: direct.failed })
    }
}

#[cfg(test)]
mod tests;
