//! Sends the fleet's messages: over MQTT and HTTP with real clients, and directly to Kinesis as a producer library
//! does.

mod direct;
mod http;
mod mqtt;

pub use direct::Direct;
pub use http::{Api, Http, OnOutcome, Request, RequestOutcome};
pub use mqtt::Mqtt;

use super::{Planned, Route, gateway};
use anyhow::Context as _;
use aws_config::SdkConfig;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// The callback for acknowledged messages: how many, and since when they were due.
pub type OnAcknowledged = Arc<dyn Fn(usize, Instant) + Send + Sync>;

/// How many messages a gateway's batch has.
const BATCH: usize = 5;
/// One of this many batches is published twice, as MQTT does if an acknowledgement is lost.
const BATCHES_PER_REPETITION: usize = 6;
/// How many HTTP clients there are, and how many items can wait for them.
const HTTP_CLIENTS: usize = 4;
const HTTP_WAITING: usize = 1_000;

/// Sends each message by its route.
pub struct Sender {
    mqtt: Mqtt,
    direct: Direct,
    http: Option<Http>,
    settled: Arc<Mutex<Settled>>,
    /// Batches that are not full yet, by facility.
    filling: Mutex<BTreeMap<String, Vec<Planned>>>,
}

/// The result of all messages that were passed to a sender.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// How many messages the broker, the stream or the API has acknowledged.
    pub acknowledged: usize,
    /// The numbers of the messages that were given up. The stream may have them nevertheless.
    pub failed: Vec<usize>,
    /// Items that were sent over HTTP again.
    pub http_again: usize,
    /// Batches of gateways.
    pub batches: usize,
    /// Batches that were published twice.
    pub batches_again: usize,
}

impl Sender {
    /// Connects `connections` MQTT clients to `broker` (host and port), opens a producer on `stream`, and opens clients
    /// of `api`. Without an `api`, messages over HTTP cannot be sent.
    pub async fn connect(
        broker: (String, u16),
        connections: usize,
        config: &SdkConfig,
        stream: &str,
        api: Option<&Api>,
    ) -> anyhow::Result<Self> {
        let mqtt = Mqtt::connect(broker, connections).await.context("cannot connect the MQTT clients")?;
        let settled = Arc::new(Mutex::new(Settled::default()));
        let on_outcome: OnOutcome = {
            let settled = Arc::clone(&settled);
            Arc::new(move |requests, outcome| {
                let mut settled = lock(&settled);
                match outcome {
                    RequestOutcome::Accepted => settled.acknowledged += requests.len(),
                    RequestOutcome::Retried(_) => settled.http_again += requests.len(),
                    RequestOutcome::GivenUp(_) => settled.failed.extend(requests.iter().map(|request| request.number)),
                }
            })
        };
        let http = api.map(|api| Http::open(api, HTTP_CLIENTS, HTTP_WAITING, &on_outcome)).transpose()?;
        Ok(Self { mqtt, direct: Direct::open(config, stream), http, settled, filling: Mutex::default() })
    }

    /// Passes a message to its client; waits while the client's queue is full.
    pub async fn send(&self, message: &Planned) -> anyhow::Result<()> {
        match message.route {
            Route::Mqtt => self.mqtt.publish(message).await,
            Route::Aggregate | Route::Record => self.direct.put(message).await,
            Route::Http => {
                let http = self.http.as_ref().context("no HTTP API is configured")?;
                http.send(Request { number: message.number, item: message.item(), due: Instant::now() }).await
            }
            Route::Gateway => {
                let full = {
                    let mut filling = lock(&self.filling);
                    let batch = filling.entry(message.facility.clone()).or_default();
                    batch.push(message.clone());
                    if batch.len() < BATCH {
                        return Ok(());
                    }
                    std::mem::take(batch)
                };
                self.publish(&full).await
            }
        }
    }

    /// Publishes a gateway's batch: each in the next encoding, and some of them twice.
    async fn publish(&self, messages: &[Planned]) -> anyhow::Result<()> {
        let Some(first) = messages.first() else { return Ok(()) };
        let (number, is_repeated) = {
            let mut settled = lock(&self.settled);
            settled.batches += 1;
            let is_repeated = settled.batches.is_multiple_of(BATCHES_PER_REPETITION);
            settled.batches_again += usize::from(is_repeated);
            (settled.batches, is_repeated)
        };
        let (form, is_gzipped) = gateway::FORMS[number % gateway::FORMS.len()];
        let payload = gateway::batch(messages, form, is_gzipped);
        let (id, topic) = (gateway::gateway(&first.facility), gateway::topic(&first.facility));
        if is_repeated {
            // The messages count as acknowledged once, so the first of the two counts none.
            self.mqtt.publish_as(&id, topic.clone(), payload.clone(), 0, Instant::now()).await?;
        }
        self.mqtt.publish_as(&id, topic, payload, messages.len(), Instant::now()).await
    }

    /// Waits until everything is acknowledged or given up, for at most `patience`.
    pub async fn settle(self, patience: Duration) -> anyhow::Result<Settled> {
        let rest = std::mem::take(&mut *lock(&self.filling));
        for messages in rest.values() {
            self.publish(messages).await?;
        }
        let http = async {
            match self.http {
                Some(http) => http.settle(patience).await,
                None => Ok(()),
            }
        };
        let (acknowledged, direct, http) = tokio::join!(self.mqtt.settle(patience), self.direct.settle(patience), http);
        let (acknowledged, direct) = (acknowledged?, direct?);
        http?;
        let mut settled = lock(&self.settled).clone();
        settled.acknowledged += acknowledged + direct.acknowledged;
        settled.failed.extend(direct.failed);
        Ok(settled)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
