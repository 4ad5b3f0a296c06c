//! An MQTT broker: versions 3.1.1 and 5 on one port, QoS 0 and 1, payloads as large as AWS IoT allows.
//!
//! It publishes AWS IoT's lifecycle events of its clients on `$aws/events/presence/…`, and keeps device shadows.
//!
//! The rules get a message where the broker reads it from the network, in front of the router: the router drops the
//! publisher's client id, and a subscriber would add a queue.

mod lifecycle;
mod protocol;
mod publisher;
mod shadow;
mod tap;

pub use protocol::PAYLOAD_BYTES_MAX;
pub use publisher::Publisher;
pub use shadow::{Operation as ShadowOperation, Refusal, ShadowName, Shadows};
pub use tap::PublishedMessage;

use super::port::Port;
use super::supervision::{Restarts, end_of};
use anyhow::Context as _;
use lifecycle::Lifecycle;
use protocol::{Codec, Shared};
use rumqttd::local::{LinkBuilder, LinkError, LinkTx};
use rumqttd::{ConnectionSettings, LinkType, Router, RouterConfig, Server, ServerSettings};
use std::net::SocketAddr;
use std::thread::JoinHandle;
use std::time::Duration;
use tap::Tap;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};

/// The largest publish packet: the payload, and the topic.
const PACKET_BYTES_MAX: usize = protocol::PAYLOAD_BYTES_MAX + 1024;
/// Concurrent clients.
const CONNECTIONS_MAX: usize = 20_000;
/// Messages that wait for the rules. Further messages are dropped and counted, as AWS IoT throttles them.
const TAP_MESSAGES_MAX: usize = 100_000;
/// The messages of one filter that a slow subscriber can still read: this many segments of this size.
const SEGMENT_BYTES: usize = 1 << 20;
const SEGMENTS: usize = 4;
const START_UP: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(2);

/// The client id under which the broker publishes its own messages to its subscribers.
const OWN_CLIENT: &str = "broker";

/// A broker of this process, on its own threads. It ends when dropped.
pub struct Mqtt {
    port: Port,
    tap: Tap,
    publisher: Publisher,
    shadows: Shadows,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

/// Starts a broker on `port` (0 for a free one).
pub async fn start(port: u16) -> anyhow::Result<Mqtt> {
    let port = Port::hold(port)?;
    let address = port.address();
    let tap = Tap::default();
    let (publisher, shadows) = (Publisher::default(), Shadows::default());
    let (stop, stopped) = oneshot::channel();
    // The only way to stop the broker is to end its runtime, and with it every connection. This thread owns the
    // runtime.
    let thread = {
        let parts = (tap.clone(), publisher.clone(), shadows.clone());
        let run = move || run(&format!("MQTT on {address}"), stopped, || serve(address, parts.clone()));
        std::thread::Builder::new().name("mqtt".into()).spawn(run)?
    };
    let ready = async {
        while TcpStream::connect(address).await.is_err() {
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::time::timeout(START_UP, ready)
        .await
        .with_context(|| format!("the MQTT broker did not start within {} s", START_UP.as_secs()))?;
    Ok(Mqtt { port, tap, publisher, shadows, running: Some((stop, thread)) })
}

/// Calls `serve` until the stop signal arrives, again whenever it has ended by itself. Each call has a runtime of its
/// own, so that a broker's connections end with it.
fn run<S: Future<Output = anyhow::Result<()>>>(
    name: &str,
    mut stopped: oneshot::Receiver<()>,
    mut serve: impl FnMut() -> S,
) {
    let mut restarts = None;
    loop {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return tracing::error!(%error, "cannot start a runtime for the MQTT broker"),
        };
        let is_stopped = runtime.block_on(async {
            let restarts = restarts.get_or_insert_with(|| Restarts::new(name));
            let serving = async {
                let why = end_of(serve()).await;
                restarts.pause(&why).await;
            };
            tokio::select! { () = serving => false, _ = &mut stopped => true }
        });
        if is_stopped {
            return;
        }
    }
}

/// Serves until the broker ends by itself.
async fn serve(address: SocketAddr, (tap, publisher, shadows): (Tap, Publisher, Shadows)) -> anyhow::Result<()> {
    let messages = publisher.connect(tap.clone());
    let lifecycle = Lifecycle::new(publisher.clone());
    let mut silence = Silence(Some(publisher.clone()));
    let router = Router::new(0, router_config()).spawn();
    // The receiving end is kept too: the router ends a connection without one. It ends with the router.
    let (link, mut receiving, _) = LinkBuilder::new(OWN_CLIENT, router.clone()).build()?;
    let mut server = Server::new(settings(address), router, Codec::new(Shared { tap, lifecycle, publisher, shadows }));
    let router_ended = async {
        loop {
            if let Err(error) = receiving.next().await {
                break error;
            }
        }
    };
    let ended = tokio::select! {
        ended = server.start(LinkType::Remote) => ended.map_err(Into::into),
        Err(error) = publish(link, messages) => Err(error.into()),
        error = router_ended => Err(error.into()),
    };
    // The broker's clients have lost their connections, which is an event of each.
    silence.0 = None;
    ended
}

/// Ends the broker's own messages when it is stopped.
struct Silence(Option<Publisher>);

impl Drop for Silence {
    fn drop(&mut self) {
        if let Some(publisher) = &self.0 {
            publisher.disconnect();
        }
    }
}

/// Publishes the broker's own messages to its subscribers until there are no more.
async fn publish(mut link: LinkTx, mut messages: mpsc::UnboundedReceiver<PublishedMessage>) -> Result<(), LinkError> {
    while let Some(PublishedMessage { mut topic, payload, .. }) = messages.recv().await {
        protocol::to_internal(&mut topic);
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

    /// Every message that is published from now on; those of one connection are in order. There can be one receiver.
    pub fn tap(&self) -> anyhow::Result<mpsc::Receiver<PublishedMessage>> {
        let (sender, receiver) = mpsc::channel(TAP_MESSAGES_MAX);
        self.tap.connect(sender)?;
        Ok(receiver)
    }

    /// What publishes messages that no client sent.
    pub fn publisher(&self) -> Publisher {
        self.publisher.clone()
    }

    /// The shadows of devices.
    pub fn shadows(&self) -> Shadows {
        self.shadows.clone()
    }

    /// How many messages were dropped because the receiver was too slow.
    pub fn dropped(&self) -> u64 {
        self.tap.dropped()
    }

    /// Closes the port and every connection.
    pub async fn stop(mut self) {
        if let Some((stop, thread)) = self.running.take() {
            // The broker may have ended by itself.
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
        // The broker disconnects a client that publishes to a topic without a matching filter. This filter matches all.
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
