//! Who may speak for whom, through each way in of the template, with the functions' own binaries.

use super::pipeline::up_with;
use anyhow::{Context as _, ensure};
use myaku::device::registry::{Device, DynamoDb, Key, Kind, MasterDataWriter as _, device_document};
use myaku::ingest::command::{Command, Commands as _, CommandsWriter as _, DynamoDbCommands};
use myaku::ingest::message::Message;
use myaku::lake::dead_letter::{DeadLetter, PREFIX, Reason};
use myaku::platform::clock::{Now as _, SystemClock};
use myaku::stream::producer::kinesis::KinesisStream;
use myaku::stream::producer::{Item, Limits, Placement, Producer};
use myaku_demo::evidence::{objects, stream};
use myaku_demo::steps;
use myaku_local::stack::Stack;
use rumqttc::{AsyncClient, Event, Incoming, MqttOptions, QoS};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

const PROFILE: &str = r#"{"id":"pulse","metrics":{"heart_rate":{"unit":"1/min"}},
    "versions":[{"name":"1","format":"json","identity":["seq"],"fields":[{"metric":"heart_rate","from":"hr"}]}]}"#;
/// How long a message may take to get in, on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);
/// The facility that each sender belongs to.
const OWN: &str = "home-1";

/// A way into the platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Mqtt,
    Gateway,
    DeviceToken,
    AppToken,
    Iam,
    Stream,
}

const WAYS: [Way; 6] = [Way::Mqtt, Way::Gateway, Way::DeviceToken, Way::AppToken, Way::Iam, Way::Stream];

impl Way {
    const fn is_http(self) -> bool {
        matches!(self, Self::DeviceToken | Self::AppToken | Self::Iam)
    }

    /// Whether the device itself sends, or a producer of the operator's.
    const fn is_itself(self) -> bool {
        matches!(self, Self::Mqtt | Self::DeviceToken | Self::Stream)
    }

    /// The sender that its readings name.
    const fn sender(self) -> Option<&'static str> {
        match self {
            Self::Mqtt | Self::Stream => None,
            Self::Gateway => Some("gateway:hub-1"),
            Self::DeviceToken => Some("device:subject"),
            Self::AppToken => Some("app:subject"),
            Self::Iam => Some("iam:arn:aws:iam::123456789012:user/app"),
        }
    }
}

/// What becomes of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fate {
    /// A reading, with its sender.
    Reading(Option<String>),
    /// A dead letter with this reason.
    Letter(Reason),
    /// The answer 403, and nothing else.
    Refused,
}

/// A message that a sender of [`OWN`] sends.
#[derive(Clone, Copy, Debug)]
struct Case {
    name: &'static str,
    device: &'static str,
    /// The facility in the topic, in the token, or in the item.
    facility: &'static str,
}

const CASES: [Case; 5] = [
    Case { name: "a device of its own", device: "own", facility: OWN },
    Case { name: "another's device", device: "others", facility: OWN },
    Case { name: "an unknown device", device: "unknown", facility: OWN },
    Case { name: "a device without a facility", device: "nowhere", facility: OWN },
    Case { name: "a facility that is registered nowhere", device: "own", facility: "home-0" },
];

impl Case {
    fn fate(self, way: Way) -> Fate {
        let refused = if way.is_http() { Fate::Refused } else { Fate::Letter(Reason::WrongFacility) };
        match self.device {
            "unknown" => Fate::Letter(Reason::UnknownDevice),
            "own" if self.facility == OWN => Fate::Reading(way.sender().map(str::to_owned)),
            "nowhere" if way.is_itself() => Fate::Reading(way.sender().map(str::to_owned)),
            _ => refused,
        }
    }
}

/// The claims of a device's token.
fn of_device(device: &str, facility: &str) -> Value {
    json!({"device_id": device, "facilities": facility, "scope": "myaku/device"})
}

/// The stack, and what sends to it.
struct Senders {
    stack: Stack,
    producer: Producer<KinesisStream>,
    api: reqwest::Client,
}

impl Senders {
    async fn register(&self) -> anyhow::Result<()> {
        let mut documents = vec![(Key::new(Kind::Profile, "pulse"), PROFILE.to_owned())];
        for (device, facility) in [("own", Some(OWN)), ("others", Some("home-9")), ("nowhere", None)] {
            let document = device_document(&Device::new(device, "pulse", facility));
            documents.push(document.map_err(|problems| anyhow::anyhow!("{problems:?}"))?);
        }
        let table = self.stack.physical_id("RegistryTable")?;
        Ok(DynamoDb::new(&self.stack.sdk_config(), table).put(&documents).await?)
    }

    /// Publishes as the MQTT client `client`, and waits until the broker has it.
    async fn publish(&self, client: &str, topic: String, payload: String) -> anyhow::Result<()> {
        let broker = self.stack.endpoints().mqtt;
        let (client, mut events) =
            AsyncClient::new(MqttOptions::new(client, broker.ip().to_string(), broker.port()), 10);
        client.publish(topic, QoS::AtLeastOnce, false, payload).await?;
        let acknowledged = async {
            while !matches!(events.poll().await?, Event::Incoming(Incoming::PubAck(_))) {}
            client.disconnect().await?;
            while !matches!(events.poll().await, Err(_) | Ok(Event::Outgoing(rumqttc::Outgoing::Disconnect))) {}
            anyhow::Ok(())
        };
        tokio::time::timeout(PATIENCE, acknowledged).await.context("the broker did not acknowledge")?
    }

    /// The status and body of a request with a token.
    async fn post(&self, claims: Value, item: &Value, headers: &[(&str, &str)]) -> anyhow::Result<(u16, Value)> {
        let Value::Object(mut claims) = claims else { anyhow::bail!("claims are an object") };
        claims.extend(Map::from_iter([("sub".to_owned(), json!("subject")), ("aud".to_owned(), json!("myaku"))]));
        let token = self.stack.issuer().context("the stack has no issuer of tokens")?.token(claims)?;
        let url = format!("{}/v1/messages", self.stack.endpoints().http.context("there is no API")?);
        let mut request = self.api.post(url).bearer_auth(token).header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.body(item.to_string()).send().await?;
        Ok((answer.status().as_u16(), serde_json::from_str(&answer.text().await?)?))
    }

    /// The status of a request that is signed with IAM, in the form in which the API passes it to the function.
    async fn signed(&self, item: &Value) -> anyhow::Result<u16> {
        let mut event: Value = serde_json::from_str(include_str!("../../events/http-iam.json"))?;
        event["body"] = item.to_string().into();
        let answer = self.stack.function("HttpIngestFunction")?.invoke(event.to_string().into()).await?;
        let status = serde_json::from_slice::<Value>(&answer)?["statusCode"].as_u64();
        Ok(u16::try_from(status.context("an answer has a status")?)?)
    }

    /// Sends a message until its way in accepts or refuses it, and returns whether it accepts it.
    async fn send(&self, way: Way, case: Case, payload: &Value) -> anyhow::Result<bool> {
        let answered = async {
            loop {
                match self.send_once(way, case, payload).await? {
                    429 | 503 => {}
                    status => return anyhow::Ok(status),
                }
            }
        };
        let status = tokio::time::timeout(PATIENCE, answered).await.context("its way in does not take a message")??;
        ensure!([202, 403].contains(&status), "{way:?}, {}: the answer was {status}", case.name);
        Ok(status == 202)
    }

    /// Sends a message, and returns the status of the answer, or 202 if its way in gives none.
    async fn send_once(&self, way: Way, case: Case, payload: &Value) -> anyhow::Result<u16> {
        let Case { device, facility, .. } = case;
        let item = json!({"deviceId": device, "facility": facility, "kind": "vital", "payload": payload});
        Ok(match way {
            Way::Mqtt => {
                self.publish(device, format!("dt/myaku/{facility}/{device}/vital"), payload.to_string()).await?;
                202
            }
            Way::Gateway => {
                self.publish("hub-1", format!("gw/myaku/{facility}/hub-1"), json!([item]).to_string()).await?;
                202
            }
            Way::DeviceToken => self.post(of_device(device, facility), &item, &[]).await?.0,
            Way::AppToken => {
                let claims = json!({"facilities": [OWN, "home-0"], "scope": "openid myaku/app"});
                self.post(claims, &item, &[]).await?.0
            }
            Way::Iam => self.signed(&item).await?,
            Way::Stream => {
                let message = Message {
                    delivery_id: format!("producer-{payload}").replace('"', ""),
                    device_id: device.to_owned(),
                    facility: facility.to_owned(),
                    kind: "vital".to_owned(),
                    client_id: None,
                    received_at: SystemClock.now_ms(),
                    payload: payload.to_string().into_bytes(),
                    message_id: None,
                    sender: None,
                };
                let item = Item { key: "producer".to_owned(), data: message.to_json().into_bytes() };
                self.producer.send(&[item]).await?;
                202
            }
        })
    }

    /// What became of messages, by the number in their payload; also the values of the readings.
    async fn fates(&self) -> anyhow::Result<BTreeMap<u64, Vec<(Fate, Value)>>> {
        steps::quiet(&self.stack).await?;
        let config = self.stack.sdk_config();
        let mut fates = BTreeMap::<_, Vec<_>>::new();
        let readings = self.stack.physical_id("ReadingsStream")?;
        for record in stream::read(&aws_sdk_kinesis::Client::new(&config), &readings).await?.records {
            let reading: Value = serde_json::from_slice(&record.data)?;
            let id = reading["id"].as_str().and_then(|id| Some(id.split_once("/p")?.1.split_once(['@', '~'])?.0));
            let number = id.context("a reading has the number of its message")?.parse()?;
            let sender = reading["sender"].as_str().map(str::to_owned);
            fates.entry(number).or_default().push((Fate::Reading(sender), reading["value"].clone()));
        }
        let s3 = aws_sdk_s3::Client::new(&config);
        let bucket = self.stack.physical_id("DeadLetterBucket")?;
        for key in objects::keys(&s3, &bucket, PREFIX).await? {
            let letter = DeadLetter::from_json(&objects::object(&s3, &bucket, &key).await?)?;
            let payload: Value = serde_json::from_slice(&Message::parse(&letter.data)?.payload)?;
            let number = payload["seq"].as_u64().context("a payload has a number")?;
            fates.entry(number).or_default().push((Fate::Letter(letter.reason), Value::Null));
        }
        // What is delivered again gives the same reading again.
        fates.values_mut().for_each(Vec::dedup);
        Ok(fates)
    }
}

async fn senders(directory: &std::path::Path) -> anyhow::Result<Senders> {
    let stack = up_with(directory, &[("PendingCommands", "true"), ("HttpScopes", "myaku/app,myaku/device")]).await?;
    let ingest = KinesisStream::new(&stack.sdk_config(), stack.physical_id("IngestStream")?);
    let producer = Producer::new(ingest, Placement::Shards, Limits::default());
    let senders = Senders { stack, producer, api: reqwest::Client::builder().no_proxy().build()? };
    senders.register().await?;
    Ok(senders)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_in_speaks_for_the_devices_of_its_facility_and_for_no_others() -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let senders = senders(directory.path()).await?;
    let sent: Vec<(Way, Case)> = WAYS.into_iter().flat_map(|way| CASES.map(|case| (way, case))).collect();
    let mut refused = BTreeMap::new();
    for (number, (way, case)) in (0_u64..).zip(&sent) {
        let accepted = senders.send(*way, *case, &json!({"seq": number, "hr": 61})).await?;
        if !accepted {
            refused.insert(number, vec![(Fate::Refused, Value::Null)]);
        }
    }
    let mut fates = senders.fates().await?;
    fates.extend(refused);
    for (number, (way, case)) in (0..).zip(sent) {
        let found: Vec<Fate> = fates.remove(&number).unwrap_or_default().into_iter().map(|(fate, _)| fate).collect();
        assert_eq!(found, [case.fate(way)], "{way:?}: {}", case.name);
    }
    assert!(fates.is_empty(), "these were not sent: {fates:?}");
    senders.stack.down().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_of_another_facility_neither_spends_an_id_nor_sees_a_command() -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let senders = senders(directory.path()).await?;
    let commands = DynamoDbCommands::new(&senders.stack.sdk_config(), senders.stack.physical_id("CommandsTable")?);
    let now_ms = SystemClock.now_ms();
    let command = Command {
        device_id: "others".to_owned(),
        id: "c-1".to_owned(),
        request: "restart".to_owned(),
        payload: "{}".to_owned(),
        created_ms: now_ms,
        expires_ms: now_ms + 600_000,
    };
    commands.put(&command).await?;

    // A gateway of another facility uses the device's next number first, then the device sends it.
    let case = CASES[1];
    assert!(senders.send(Way::Gateway, case, &json!({"seq": 1, "hr": 200})).await?);
    let topic = "dt/myaku/home-9/others/vital".to_owned();
    senders.publish("others", topic, json!({"seq": 1, "hr": 61}).to_string()).await?;

    // A token of another facility acknowledges the device's command, then one of its own asks for it.
    let item = json!({"kind": "vital", "payload": {"seq": 2, "hr": 61}});
    let acknowledging = [("acknowledge-command", "c-1")];
    let (status, answer) = senders.post(of_device("others", OWN), &item, &acknowledging).await?;
    assert_eq!((status, &answer["pendingCommand"]), (403, &Value::Null), "{answer}");
    assert!(commands.pending("others").await?.is_some());
    let (status, answer) = senders.post(of_device("others", "home-9"), &item, &[]).await?;
    assert_eq!((status, &answer["pendingCommand"]["id"]), (202, &json!("c-1")), "{answer}");

    // Without a scope that the API requires, a token does not reach the function.
    let claims = json!({"device_id": "others", "facilities": "home-9"});
    assert_eq!(senders.post(claims, &item, &[]).await?, (403, json!({"message": "Forbidden"})));

    let fates = senders.fates().await?;
    let values: Vec<_> = fates[&1].iter().map(|(fate, value)| (fate.clone(), value.as_f64())).collect();
    assert_eq!(values, [(Fate::Reading(None), Some(61.0)), (Fate::Letter(Reason::WrongFacility), None)]);
    senders.stack.down().await;
    Ok(())
}
