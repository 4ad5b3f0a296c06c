//! An MQTT broker, 3.1.1 and 5 on one port, QoS 0 and 1, payloads as large as AWS IoT takes them.
//!
//! Its clients' coming and going is told as AWS IoT tells it, on `$aws/events/presence/…`.
//!
//! Whoever rules on messages gets them where the broker reads them from the network, before it routes them: with the
//! publisher's client id, which is lost behind the router, and without a subscriber's queue in between.

mod lifecycle;
mod protocol;

use super::port::Port;
use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use lifecycle::Lifecycle;
use protocol::{Tap, Tapped};
use rumqttd::local::{LinkBuilder, LinkError, LinkTx};
use rumqttd::{ConnectionSettings, LinkType, Router, RouterConfig, Server, ServerSettings};
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};

/// A publish packet, at most: AWS IoT's 128 KB of payload, and its topic.
/// <https://docs.aws.amazon.com/general/latest/gr/iot-core.html#message-broker-limits>
const PACKET_BYTES_MAX: usize = (128 << 10) + 1024;
/// Clients at the same time.
const CONNECTIONS_MAX: usize = 20_000;
/// Messages that wait for whoever rules on them; beyond that they are dropped and counted, as AWS IoT throttles.
const TAP_MESSAGES_MAX: usize = 100_000;
/// Messages of one filter that slow subscribers can still read: segments of this size, this many.
const SEGMENT_BYTES: usize = 1 << 20;
const SEGMENTS: usize = 4;
const START_UP: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(2);

/// The name under which the broker tells its subscribers of its clients.
const EVENTS_CLIENT: &str = "lifecycle-events";

/// A message as a client published it, or what the broker tells of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The publisher's client id, its own or the one the broker gave it.
    pub client_id: Arc<str>,
    /// The topic, as it was published to; also `$aws/rules/…`.
    pub topic: String,
    /// The payload, byte for byte.
    pub payload: Bytes,
    /// When the broker read it, in milliseconds since the epoch.
    pub received_at_ms: i64,
}

/// A broker of this process, on threads of its own; it ends when dropped.
pub struct Mqtt {
    port: Port,
    tap: Tap,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

/// Starts a broker on `port`, or on a free one for 0.
pub async fn start(port: u16) -> anyhow::Result<Mqtt> {
    let port = Port::hold(port)?;
    let address = port.address();
    let tap = Tap::default();
    let (lifecycle, events) = Lifecycle::new(tap.clone());
    let tapped = Tapped::new(tap.clone(), lifecycle.clone());
    let (stop, stopped) = oneshot::channel();
    // Its runtime ends with this thread, and with it every connection: there is no other way to stop the broker.
    let thread = std::thread::Builder::new().name("mqtt".into()).spawn(move || {
        let router = Router::new(0, router_config()).spawn();
        // The receiving end is held as well: the router ends a connection without one.
        let (link, _receiving) = match LinkBuilder::new(EVENTS_CLIENT, router.clone()).build() {
            Ok((link, receiving, _)) => (link, receiving),
            Err(error) => return tracing::error!(%error, "nobody could be told of the MQTT clients"),
        };
        let mut server = Server::new(settings(address), router, tapped);
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return tracing::error!(%error, "the MQTT broker has no runtime"),
        };
        runtime.block_on(async {
            tokio::select! {
                ended = server.start(LinkType::Remote) => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "the MQTT broker ended");
                    }
                }
                Err(error) = tell(link, events) => tracing::error!(%error, "nobody is told of the MQTT clients"),
                _ = stopped => {}
            }
            lifecycle.stop();
        });
    })?;
    let ready = async {
        while TcpStream::connect(address).await.is_err() {
            if thread.is_finished() {
                return Err(anyhow!("port {} of 127.0.0.1 is taken", address.port()));
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    };
    tokio::time::timeout(START_UP, ready).await.context("the MQTT broker did not come up")??;
    Ok(Mqtt { port, tap, running: Some((stop, thread)) })
}

/// Hands events of clients on to the broker's subscribers, for as long as there are any to come.
async fn tell(mut link: LinkTx, mut events: mpsc::UnboundedReceiver<Published>) -> Result<(), LinkError> {
    while let Some(Published { mut topic, payload, .. }) = events.recv().await {
        protocol::within(&mut topic);
        link.publish(topic, payload)?;
    }
    Ok(())
}

impl Mqtt {
    /// The URL, `mqtt://127.0.0.1:<port>`.
    pub fn endpoint(&self) -> String {
        format!("mqtt://{}", self.port.address())
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port.address().port()
    }

    /// Every message published from now on, in the order of each connection. There can be one taker.
    pub fn tap(&self) -> anyhow::Result<mpsc::Receiver<Published>> {
        let (sender, receiver) = mpsc::channel(TAP_MESSAGES_MAX);
        self.tap.open(sender)?;
        Ok(receiver)
    }

    /// Messages dropped because the taker was too slow.
    pub fn dropped(&self) -> u64 {
        self.tap.dropped()
    }

    /// Closes the port and every connection.
    pub async fn stop(mut self) {
        if let Some((stop, thread)) = self.running.take() {
            // It may have ended by itself.
            let _ = stop.send(());
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

impl Drop for Mqtt {
    fn drop(&mut self) {
        if let Some((stop, _)) = self.running.take() {
            let _ = stop.send(());
        }
    }
}

fn router_config() -> RouterConfig {
    RouterConfig {
        max_connections: CONNECTIONS_MAX,
        max_outgoing_packet_count: 200,
        max_segment_size: SEGMENT_BYTES,
        max_segment_count: SEGMENTS,
        // The broker disconnects who publishes to a topic that matches no filter; this one matches all.
        initialized_filters: Some(vec!["#".into()]),
        ..RouterConfig::default()
    }
}

fn settings(listen: SocketAddr) -> ServerSettings {
    ServerSettings {
        name: "mqtt".into(),
        listen,
        tls: None,
        next_connection_delay_ms: 0,
        connections: ConnectionSettings {
            connection_timeout_ms: 10_000,
            max_payload_size: PACKET_BYTES_MAX,
            max_inflight_count: 200,
            auth: None,
            external_auth: None,
            dynamic_filters: false,
        },
    }
}

#[cfg(test)]
mod tests;
