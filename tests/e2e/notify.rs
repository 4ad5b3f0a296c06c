//! An alert of the topic reaches the contacts of its facility by every way, each once.

use crate::pipeline::{stack_options, up_with};
use anyhow::Context as _;
use axum::Router;
use axum::http::HeaderMap;
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use myaku::alert::topic::Topic as _;
use myaku::alert::topic::sns::SnsTopic;
use myaku::alert::{Cleared, Contact, Incident, Via};
use myaku::device::registry::{DynamoDb, Facility, MasterDataWriter as _, facility_document};
use myaku::platform::clock::{Now as _, SystemClock};
use myaku_local::stack::Stack;
use rumqttc::{AsyncClient, Event, Incoming, MqttOptions, QoS};
use serde_json::{Value, json};
use sha2::Sha256;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const FACILITY: &str = "home-3";
const SECRET: &str = "0123456789abcdef0123456789abcdef";
const PATIENCE: Duration = Duration::from_mins(1);

/// The requests that a webhook got.
#[derive(Clone, Default)]
struct Webhook {
    requests: Arc<Mutex<Vec<(HeaderMap, String)>>>,
    /// Whether the next request gets no answer.
    hangs_once: Arc<AtomicBool>,
}

impl Webhook {
    /// Serves, and returns the URL.
    async fn start(&self) -> anyhow::Result<String> {
        let this = self.clone();
        let take = post(async move |headers: HeaderMap, body: String| {
            this.requests.lock().unwrap_or_else(PoisonError::into_inner).push((headers, body));
            if this.hangs_once.swap(false, Ordering::SeqCst) {
                std::future::pending::<()>().await;
            }
        });
        // Whoever follows this would be counted.
        let moved = post(async || axum::response::Redirect::temporary("/alerts"));
        let app = Router::new().route("/alerts", take).route("/moved", moved);
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}/alerts", listener.local_addr()?);
        tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(url)
    }

    fn requests(&self) -> Vec<(HeaderMap, String)> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Registers a facility with a contact for each way.
async fn register(stack: &Stack, webhook: String) -> anyhow::Result<()> {
    let secrets = aws_sdk_secretsmanager::Client::new(&stack.sdk_config());
    secrets.create_secret().name("myaku/webhooks/ward").secret_string(SECRET).send().await?;
    let ward = Contact { secret: Some("ward".to_owned()), ..Contact::new("ward", Via::Webhook, Some(&webhook)) };
    let moved = webhook.replace("/alerts", "/moved");
    let contacts = vec![
        Contact { secret: Some("ward".to_owned()), ..Contact::new("moved", Via::Webhook, Some(&moved)) },
        Contact::new("nurses", Via::Topic, None),
        Contact::new("doctor", Via::Sms, Some("+81312345678")),
        ward,
        Contact::new("lamp", Via::Device, Some("lamp-3")),
        Contact::new("display", Via::Shadow, Some("display-1")),
        Contact { after: 10, ..Contact::new("head", Via::Sms, Some("+81399999999")) },
    ];
    let facility = facility_document(&Facility { contacts, ..Facility::new(FACILITY) });
    let facility = facility.map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
    DynamoDb::new(&stack.sdk_config(), stack.physical_id("RegistryTable")?).put(&[facility]).await?;
    Ok(())
}

/// A device's commands, as they arrive.
async fn commands(stack: &Stack, device: &str) -> anyhow::Result<Arc<Mutex<Vec<Value>>>> {
    let broker = stack.endpoints().mqtt;
    let (client, mut events) = AsyncClient::new(MqttOptions::new(device, broker.ip().to_string(), broker.port()), 10);
    client.subscribe(format!("cmd/myaku/{FACILITY}/{device}/+"), QoS::AtLeastOnce).await?;
    let commands = Arc::new(Mutex::new(Vec::new()));
    let (subscribed, is_subscribed) = tokio::sync::oneshot::channel();
    let (mut subscribed, got) = (Some(subscribed), Arc::clone(&commands));
    tokio::spawn(async move {
        let _client = client;
        while let Ok(event) = events.poll().await {
            match event {
                Event::Incoming(Incoming::SubAck(_)) => drop(subscribed.take().map(|it| it.send(()))),
                Event::Incoming(Incoming::Publish(publish)) => {
                    let command = serde_json::from_slice(&publish.payload).unwrap_or_default();
                    got.lock().unwrap_or_else(PoisonError::into_inner).push(command);
                }
                _ => {}
            }
        }
    });
    tokio::time::timeout(PATIENCE, is_subscribed).await.context("the broker does not answer")??;
    Ok(commands)
}

/// The desired alert of a device's shadow.
async fn desired(stack: &Stack, device: &str) -> anyhow::Result<Value> {
    let client = aws_sdk_iotdataplane::Client::new(&stack.sdk_config());
    let shadow = client.get_thing_shadow().thing_name(device).send().await?;
    let document: Value = serde_json::from_slice(shadow.payload().context("a document")?.as_ref())?;
    Ok(document["state"]["desired"]["alert"].clone())
}

/// Waits until a condition holds.
async fn until(what: &str, mut holds: impl FnMut() -> bool) -> anyhow::Result<()> {
    let held = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, held).await.with_context(|| format!("{what} did not happen"))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_contact_hears_once_that_it_begins_and_once_that_it_is_over() -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let stack = up_with(directory.path(), &[("ClearAfterSeconds", "0")]).await?;
    let webhook = Webhook::default();
    register(&stack, webhook.start().await?).await?;
    let commands = commands(&stack, "lamp-3").await?;
    let commands = || commands.lock().unwrap_or_else(PoisonError::into_inner).clone();

    let topic = SnsTopic::new(&stack.sdk_config(), stack.physical_id("AlertTopic")?);
    let now_ms = SystemClock.now_ms();
    let incident = Incident::silence("bed-17", now_ms, Duration::from_secs(30), Some(FACILITY), now_ms);
    let (over, _) = incident.cleared(Cleared::Returned, now_ms);
    let sns = stack.servers().sns.topics();
    let notices = || sns.messages(&stack.physical_id("NoticeTopic")?).context("messages");

    // The topic delivers an alert several times, and several invocations take it at the same time.
    for (alert, step, count) in [(incident.raised(), "raised", 1), (over, "cleared", 2)] {
        let publish = || topic.publish(&alert);
        tokio::try_join!(publish(), publish(), publish(), publish())?;
        until("an invocation", || stack.asynchronous_pending() == 0).await?;
        until("the command", || commands().len() == count).await?;

        let requests = webhook.requests();
        assert_eq!((requests.len(), notices()?.len(), sns.texts().len()), (count, count, count), "{step}");
        let (headers, body) = &requests[count - 1];
        let message: Value = serde_json::from_str(body)?;
        assert_eq!((&message["step"], &message["deviceId"]), (&json!(step), &json!("bed-17")));
        assert_eq!(commands()[count - 1], message);
        assert_eq!(desired(&stack, "display-1").await?, if step == "raised" { message } else { Value::Null });

        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        assert_eq!(header("webhook-id"), format!("{}#{step}", incident.id));
        let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes())?;
        mac.update(format!("{}.{}.{body}", header("webhook-id"), header("webhook-timestamp")).as_bytes());
        assert_eq!(header("webhook-signature"), format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())));
    }

    let notice = &notices()?[0].publication;
    assert_eq!(notice.subject.as_deref(), Some("warning raised: device-silent, bed-17"));
    assert!(notice.text("email").starts_with("bed-17 has not been heard for"), "{}", notice.text("email"));
    assert_eq!(
        (notice.attributes["contact"].value.as_str(), notice.attributes["facility"].value.as_str()),
        ("nurses", FACILITY)
    );
    assert!(serde_json::from_str::<Value>(notice.text("sqs"))?["id"].is_string());
    assert!(sns.texts()[0].1.starts_with("warning: bed-17"), "{:?}", sns.texts());
    stack.down().await;
    Ok(())
}

/// A webhook whose first request gets no answer, so that the invocation that made it can be killed.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_whose_invocation_is_killed_comes_once_more_and_says_so() -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let mut options = stack_options(directory.path(), &[])?;
    // A second for a minute of retries and of the schedule; an invocation is over after this time, of which a sweep leaves 20 s.
    options.time_scale = 60.0;
    options.timeout_max = Some(Duration::from_secs(25));
    let stack = Stack::up(options).await?;
    let webhook = Webhook { hangs_once: Arc::new(AtomicBool::new(true)), ..Webhook::default() };
    register(&stack, webhook.start().await?).await?;
    let topic = SnsTopic::new(&stack.sdk_config(), stack.physical_id("AlertTopic")?);
    let now_ms = SystemClock.now_ms();
    let incident = Incident::silence("bed-17", now_ms, Duration::from_secs(30), Some(FACILITY), now_ms);
    topic.publish(&incident.raised()).await?;
    until("the first request", || webhook.requests().len() == 1).await?;
    stack.function("AlertNotifierFunction")?.kill_one().context("an environment")?;
    until("the second request", || webhook.requests().len() == 2).await?;
    until("the invocations", || stack.asynchronous_pending() == 0).await?;

    let repeated = |body: &str| anyhow::Ok(serde_json::from_str::<Value>(body)?["isRepetition"] == true);
    let [first, second] = [0, 1].map(|n| webhook.requests()[n].1.clone());
    assert_eq!((repeated(&first)?, repeated(&second)?), (false, true));
    // The others may have heard before the end of the invocation, or not: once, or again with a mark.
    let notices = stack.servers().sns.topics().messages(&stack.physical_id("NoticeTopic")?)?;
    let unmarked = notices.iter().map(|notice| repeated(notice.publication.text("sqs")));
    let unmarked = unmarked.collect::<anyhow::Result<Vec<_>>>()?.into_iter().filter(|is_repeated| !is_repeated).count();
    assert_eq!((unmarked, webhook.requests().len()), (1, 2));
    stack.down().await;
    Ok(())
}
