use super::*;
use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, Packet, QoS, v5};

fn client(mqtt: &Mqtt, id: &str) -> (AsyncClient, EventLoop) {
    let mut options = MqttOptions::new(id, "127.0.0.1", mqtt.port());
    options.set_max_packet_size(1 << 21, 1 << 21);
    AsyncClient::new(options, 100)
}

/// Keeps a connection going in the background until it breaks.
fn drive(mut events: EventLoop) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move { while events.poll().await.is_ok() {} })
}

#[tokio::test]
async fn the_taker_gets_the_bytes_and_who_sent_them() {
    let mqtt = start(0).await.unwrap();
    let mut tap = mqtt.tap().unwrap();
    let (client, events) = client(&mqtt, "bed-17");
    drive(events);
    let payload = vec![0xff; 128 << 10];
    client.publish("dt/myaku/home-3/bed-17/vital", QoS::AtLeastOnce, false, payload.clone()).await.unwrap();
    client.publish("$aws/rules/r/dt/x", QoS::AtMostOnce, false, "").await.unwrap();

    let published = tap.recv().await.unwrap();
    assert_eq!(&*published.client_id, "bed-17");
    assert_eq!(published.topic, "dt/myaku/home-3/bed-17/vital");
    assert_eq!(published.payload, payload);
    // Basic Ingest, and a connection that was not closed for it.
    assert_eq!(tap.recv().await.unwrap().topic, "$aws/rules/r/dt/x");
    client.publish("again", QoS::AtMostOnce, false, "").await.unwrap();
    assert_eq!(tap.recv().await.unwrap().topic, "again");
    mqtt.stop().await;
}

#[tokio::test]
async fn mqtt_5_is_spoken_on_the_same_port() {
    let mqtt = start(0).await.unwrap();
    let mut tap = mqtt.tap().unwrap();
    let (client, mut events) = v5::AsyncClient::new(v5::MqttOptions::new("five", "127.0.0.1", mqtt.port()), 10);
    tokio::spawn(async move { while events.poll().await.is_ok() {} });
    client.publish("t", v5::mqttbytes::QoS::AtLeastOnce, false, "x").await.unwrap();
    let published = tap.recv().await.unwrap();
    assert_eq!((&*published.client_id, published.topic.as_str()), ("five", "t"));
}

#[tokio::test]
async fn subscribers_are_served_too() {
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
async fn what_aws_iot_refuses_ends_the_connection() {
    let mqtt = start(0).await.unwrap();
    for (qos, bytes) in [(QoS::ExactlyOnce, 1), (QoS::AtMostOnce, (128 << 10) + 4096)] {
        let (client, events) = client(&mqtt, "bold");
        let connection = drive(events);
        client.publish("t", qos, false, vec![0; bytes]).await.unwrap();
        tokio::time::timeout(Duration::from_secs(10), connection).await.expect("the connection ends").unwrap();
    }
}

#[tokio::test]
async fn a_stopped_broker_gives_its_port_back() {
    let mqtt = start(0).await.unwrap();
    let port = mqtt.port();
    mqtt.stop().await;
    let again = start(port).await.unwrap();
    assert_eq!(again.port(), port);
    assert!(start(port).await.is_err(), "a port that is taken is an error");
}
