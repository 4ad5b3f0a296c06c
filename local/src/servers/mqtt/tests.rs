use super::*;
use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, Packet, QoS, v5};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Longer than any wait of these tests, on a machine that compiles at the same time.
const PATIENCE: Duration = Duration::from_mins(1);

fn client(mqtt: &Mqtt, id: &str) -> (AsyncClient, EventLoop) {
    let mut options = MqttOptions::new(id, "127.0.0.1", mqtt.port());
    options.set_max_packet_size(1 << 21, 1 << 21);
    AsyncClient::new(options, 100)
}

/// Keeps a connection going in the background until it breaks.
fn drive(mut events: EventLoop) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move { while events.poll().await.is_ok() {} })
}

/// The next message of a client.
async fn message(tap: &mut mpsc::Receiver<PublishedMessage>) -> PublishedMessage {
    loop {
        let published = tap.recv().await.unwrap();
        if !published.topic.starts_with("$aws/events/") {
            return published;
        }
    }
}

#[tokio::test]
async fn the_tap_gets_the_bytes_and_the_publishers_id() {
    let mqtt = start(0).await.unwrap();
    let mut tap = mqtt.tap().unwrap();
    let (client, events) = client(&mqtt, "bed-17");
    drive(events);
    let payload = vec![0xff; 128 << 10];
    client.publish("dt/myaku/home-3/bed-17/vital", QoS::AtLeastOnce, false, payload.clone()).await.unwrap();
    client.publish("$aws/rules/r/dt/x", QoS::AtMostOnce, false, "").await.unwrap();

    let published = message(&mut tap).await;
    assert_eq!(&*published.client_id, "bed-17");
    assert_eq!(published.topic, "dt/myaku/home-3/bed-17/vital");
    assert_eq!(published.payload, payload);
    // Basic Ingest does not close the connection.
    assert_eq!(message(&mut tap).await.topic, "$aws/rules/r/dt/x");
    client.publish("again", QoS::AtMostOnce, false, "").await.unwrap();
    assert_eq!(message(&mut tap).await.topic, "again");
    mqtt.stop().await;
}

#[test]
fn a_broker_that_ends_by_itself_is_started_again_until_it_is_stopped() {
    let (stop, stopped) = oneshot::channel();
    let (mut stop, mut starts) = (Some(stop), 0);
    run("a broker", stopped, || {
        starts += 1;
        let is_last = starts == 3;
        let stop = is_last.then(|| stop.take()).flatten();
        async move {
            if let Some(stop) = stop {
                stop.send(()).unwrap();
                std::future::pending::<()>().await;
            }
            anyhow::bail!("a failure")
        }
    });
    assert_eq!(starts, 3);
}

/// Publishes until the broker acknowledges it, on a connection of its own for each try: the broker can take the end of one
/// connection for the end of the next with the same id, and a device would connect again.
async fn deliver(mqtt: &Mqtt, id: &str, payload: &str) {
    loop {
        let (client, mut events) = client(mqtt, id);
        client.publish("again", QoS::AtLeastOnce, false, payload).await.unwrap();
        while let Ok(event) = events.poll().await {
            if matches!(event, Event::Incoming(Packet::PubAck(_))) {
                return;
            }
        }
    }
}

#[tokio::test]
async fn a_client_id_with_special_characters_connects_as_often_as_it_likes() {
    let mqtt = start(0).await.unwrap();
    let mut tap = mqtt.tap().unwrap();
    for id in ["$bed/17", "bed#17", "bed+17", "bed%2317"] {
        for time in 0..3 {
            let payload = format!("{time}");
            let arrived = async {
                deliver(&mqtt, id, &payload).await;
                loop {
                    let published = message(&mut tap).await;
                    assert_eq!(&*published.client_id, id);
                    if published.payload == payload {
                        break;
                    }
                }
            };
            tokio::time::timeout(PATIENCE, arrived).await.unwrap();
        }
    }
    mqtt.stop().await;
}

#[tokio::test]
async fn mqtt_5_works_on_the_same_port() {
    let mqtt = start(0).await.unwrap();
    let mut tap = mqtt.tap().unwrap();
    let (client, mut events) = v5::AsyncClient::new(v5::MqttOptions::new("five", "127.0.0.1", mqtt.port()), 10);
    tokio::spawn(async move { while events.poll().await.is_ok() {} });
    client.publish("t", v5::mqttbytes::QoS::AtLeastOnce, false, "x").await.unwrap();
    let published = message(&mut tap).await;
    assert_eq!((&*published.client_id, published.topic.as_str()), ("five", "t"));
}

#[tokio::test]
async fn subscribers_get_messages_too() {
    let mqtt = start(0).await.unwrap();
    let (subscriber, mut events) = client(&mqtt, "subscriber");
    subscriber.subscribe("cmd/myaku/home-3/bed-17/#", QoS::AtLeastOnce).await.unwrap();
    while !matches!(events.poll().await.unwrap(), Event::Incoming(Packet::SubAck(_))) {}
    let (publisher, publisher_events) = client(&mqtt, "publisher");
    drive(publisher_events);
    publisher.publish("cmd/myaku/home-3/bed-17/blink", QoS::AtLeastOnce, false, "now").await.unwrap();
    let received = loop {
        if let Event::Incoming(Packet::Publish(publish)) = events.poll().await.unwrap() {
            break publish;
        }
    };
    assert_eq!((received.topic.as_str(), &received.payload[..]), ("cmd/myaku/home-3/bed-17/blink", &b"now"[..]));
}

#[tokio::test]
async fn a_message_that_aws_iot_refuses_ends_the_connection() {
    let mqtt = start(0).await.unwrap();
    for (qos, bytes) in [(QoS::ExactlyOnce, 1), (QoS::AtMostOnce, (128 << 10) + 4096)] {
        let (client, events) = client(&mqtt, "bold");
        let connection = drive(events);
        client.publish("t", qos, false, vec![0; bytes]).await.unwrap();
        tokio::time::timeout(Duration::from_secs(10), connection).await.expect("the connection ends").unwrap();
    }
}

#[tokio::test]
async fn a_stopped_broker_releases_its_port() {
    let mqtt = start(0).await.unwrap();
    let port = mqtt.port();
    mqtt.stop().await;
    let again = start(port).await.unwrap();
    assert_eq!(again.port(), port);
    assert!(start(port).await.is_err(), "a second broker on the port is an error");
}

/// The next lifecycle event: the last level but one of its topic, and its payload.
async fn event(tap: &mut mpsc::Receiver<PublishedMessage>) -> (String, Value) {
    loop {
        let published = tokio::time::timeout(PATIENCE, tap.recv()).await.expect("an event arrives").unwrap();
        if let Some(rest) = published.topic.strip_prefix("$aws/events/presence/") {
            let kind = rest.split('/').next().unwrap().to_owned();
            return (kind, serde_json::from_slice(&published.payload).unwrap());
        }
    }
}

#[tokio::test]
async fn rules_and_subscribers_get_lifecycle_events() {
    let mqtt = start(0).await.unwrap();
    let mut tap = mqtt.tap().unwrap();
    let (watcher, mut seen) = client(&mqtt, "watcher");
    watcher.subscribe("$aws/events/presence/+/bed-17", QoS::AtLeastOnce).await.unwrap();
    while !matches!(seen.poll().await.unwrap(), Event::Incoming(Packet::SubAck(_))) {}
    assert_eq!(event(&mut tap).await.1["clientId"], "watcher");

    let (device, events) = client(&mqtt, "bed-17");
    let driven = drive(events);
    let (kind, connected) = event(&mut tap).await;
    assert_eq!((kind.as_str(), &connected["clientId"]), ("connected", &Value::from("bed-17")));
    device.disconnect().await.unwrap();
    let (kind, gone) = event(&mut tap).await;
    assert_eq!((kind.as_str(), &gone["disconnectReason"]), ("disconnected", &"CLIENT_INITIATED_DISCONNECT".into()));
    assert_eq!(gone["sessionIdentifier"], connected["sessionIdentifier"]);
    driven.await.unwrap();

    let mut topics = Vec::new();
    while topics.len() < 2 {
        if let Event::Incoming(Packet::Publish(publish)) = seen.poll().await.unwrap() {
            topics.push(publish.topic);
        }
    }
    assert_eq!(topics, ["$aws/events/presence/connected/bed-17", "$aws/events/presence/disconnected/bed-17"]);
    mqtt.stop().await;
}

#[tokio::test]
async fn each_way_to_lose_a_client_has_its_reason() {
    let mqtt = start(0).await.unwrap();
    let mut tap = mqtt.tap().unwrap();
    let mut gone = async || loop {
        let (kind, payload) = event(&mut tap).await;
        if kind == "disconnected" {
            return (payload["clientId"].clone(), payload["disconnectReason"].clone());
        }
    };
    // A second connection with the same id.
    let first = connect(&mqtt, "twin", 60).await;
    let second = connect(&mqtt, "twin", 60).await;
    assert_eq!(gone().await, ("twin".into(), "DUPLICATE_CLIENTID".into()));
    // The end of the first connection itself has no second event.
    drop(first);
    drop(second);
    assert_eq!(gone().await, ("twin".into(), "CONNECTION_LOST".into()));
    let silent = connect(&mqtt, "silent", 1).await;
    assert_eq!(gone().await, ("silent".into(), "MQTT_KEEP_ALIVE_TIMEOUT".into()));
    drop(silent);
    let mut liar = connect(&mqtt, "liar", 60).await;
    // PUBLISH with QoS 0 to a topic that only the broker may publish to.
    let topic = b"$aws/events/presence/connected/other";
    let length = topic.len() as u8;
    liar.write_all(&[&[0x30, length + 2, 0, length], topic.as_slice()].concat()).await.unwrap();
    assert_eq!(gone().await, ("liar".into(), "CLIENT_ERROR".into()));
}

/// A bare MQTT 3.1.1 connection, which sends nothing by itself after CONNECT.
async fn connect(mqtt: &Mqtt, id: &str, keep_alive: u8) -> TcpStream {
    let mut connection = TcpStream::connect(("127.0.0.1", mqtt.port())).await.unwrap();
    let length = id.len() as u8;
    let head = [0x10, length + 12, 0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, keep_alive, 0, length];
    connection.write_all(&[head.as_slice(), id.as_bytes()].concat()).await.unwrap();
    let mut answer = [0; 4];
    connection.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, [0x20, 2, 0, 0]);
    connection
}

/// A packet of MQTT 3.1.1, by its first byte and what follows its length.
fn packet(kind: u8, content: &[u8]) -> Vec<u8> {
    let mut packet = vec![kind];
    let mut length = content.len();
    loop {
        let more = if length > 127 { 0x80 } else { 0 };
        packet.push((length % 128) as u8 | more);
        length /= 128;
        if length == 0 {
            break;
        }
    }
    packet.extend_from_slice(content);
    packet
}

fn connect_packet(id: &str) -> Vec<u8> {
    let id_length = (id.len() as u16).to_be_bytes();
    packet(0x10, &[b"\0\x04MQTT\x04\x02\0\x3c", &id_length[..], id.as_bytes()].concat())
}

fn publish_packet(topic: &str, payload: &[u8]) -> Vec<u8> {
    packet(0x30, &[&(topic.len() as u16).to_be_bytes()[..], topic.as_bytes(), payload].concat())
}

#[tokio::test]
async fn what_aws_iot_refuses_closes_the_connection_and_what_it_takes_does_not() {
    let mqtt = start(0).await.unwrap();
    let mut tap = mqtt.tap().unwrap();
    let most = vec![b'x'; protocol::PAYLOAD_BYTES_MAX];
    let more = vec![b'x'; protocol::PAYLOAD_BYTES_MAX + 1];
    let long = "i".repeat(128);
    // Ids of their own: see `deliver`.
    let cases = [
        ("a message", connect_packet("c1"), publish_packet("t", b"x"), false),
        ("the largest payload", connect_packet("c2"), publish_packet("t", &most), false),
        ("a larger payload", connect_packet("c3"), publish_packet("t", &more), true),
        ("a wildcard", connect_packet("c4"), publish_packet("t/+", b"x"), true),
        ("another wildcard", connect_packet("c5"), publish_packet("t/#", b"x"), true),
        ("U+0000", connect_packet("c6"), publish_packet("t\0", b"x"), true),
        ("a second CONNECT", connect_packet("c7"), connect_packet("c7"), true),
        ("the longest client id", connect_packet(&long), publish_packet("t", b"x"), false),
        ("a longer client id", connect_packet(&format!("{long}i")), publish_packet("t", b"x"), true),
    ];
    for (case, first, then, is_closed) in cases {
        let mut stream = TcpStream::connect(("127.0.0.1", mqtt.port())).await.unwrap();
        stream.write_all(&first).await.unwrap();
        // Fails where the connection is closed already.
        let _ = stream.write_all(&then).await;
        if is_closed {
            let mut rest = Vec::new();
            let closed = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
            assert!(closed.is_ok(), "{case} does not close the connection");
        } else {
            assert_eq!(tokio::time::timeout(PATIENCE, message(&mut tap)).await.unwrap().topic, "t", "{case}");
        }
    }
}
