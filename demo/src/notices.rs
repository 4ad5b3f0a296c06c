//! Contacts of a facility, by a webhook, a command and the topic for people. Checks that each heard of each alert once.

use anyhow::{Context as _, Result, anyhow};
use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use myaku::alert::case::{Message, Step};
use myaku::alert::{Contact, Via};
use myaku::device::registry::{DynamoDb, Facility, MasterDataWriter as _, facility_document};
use myaku::platform::clock::{Now as _, SystemClock};
use myaku_local::stack::Stack;
use rumqttc::{AsyncClient, Event, EventLoop, Incoming, MqttOptions, QoS};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The contacts: how many of them hear of each alert.
const CONTACTS: [&str; 3] = ["ward", "lamp", "nurses"];
const SECRET: &str = "known to everyone who reads this";
/// How long the sweep may take to send all.
const PATIENCE: Duration = Duration::from_mins(2);
/// Between two sweeps. The schedule has its own sweeps, once a minute.
const INTERVAL: Duration = Duration::from_millis(500);
/// The event that the schedule sends.
const SWEEP: &str = include_str!("../../events/alert-notifier-sweep.json");

/// The result of the check.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Notices {
    /// Contacts of the facility.
    pub contacts: usize,
    /// Messages that they must get.
    pub expected: usize,
    /// Messages that they got.
    pub heard: usize,
    /// Those of them that said that they may have been sent before.
    pub repeated: usize,
    /// Messages that are missing, unexpected, or there again without a mark.
    pub wrong: Vec<String>,
    /// From the message with the readings to the contact, in milliseconds: the median, and the longest.
    pub from_reading_ms: (u64, u64),
    /// From the alert to the contact, in milliseconds: the median, and the longest.
    pub from_alert_ms: (u64, u64),
}

/// What contacts hear: who, what, and when in milliseconds since the epoch.
type Heard = Arc<Mutex<Vec<(&'static str, Message, i64)>>>;

/// The contacts, who listen until this is dropped.
pub struct Contacts {
    heard: Heard,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Drop for Contacts {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

/// What a contact must hear: device, rule and step.
pub type Announcement = (String, String, Step);

/// What contacts must hear, with the time when the message with the readings was sent, in milliseconds since the epoch; `None` if no reading
/// shows it.
pub type Expected = BTreeMap<Announcement, Option<i64>>;

fn note(heard: &Heard, contact: &'static str, message: Message) {
    heard.lock().unwrap_or_else(PoisonError::into_inner).push((contact, message, SystemClock.now_ms()));
}

/// Registers the contacts of `facility`, and listens for them.
pub async fn listen(stack: &Stack, facility: &str) -> Result<Contacts> {
    let heard = Heard::default();
    let app = Router::new().route("/", post(ward)).with_state(Arc::clone(&heard));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    let webhook = format!("http://{}/", listener.local_addr()?);
    let serving = tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, app).await {
            tracing::error!(%error, "the webhook stopped");
        }
    });
    let secrets = stack.endpoints().aws.sdk_config();
    let secrets = aws_sdk_secretsmanager::Client::new(&secrets);
    secrets.create_secret().name("myaku/webhooks/ward").secret_string(SECRET).send().await?;
    let events = lamp(stack, facility).await?;
    let lamp = tokio::spawn(shine(events, Arc::clone(&heard)));
    let contacts = vec![
        Contact { secret: Some("ward".to_owned()), ..Contact::new("ward", Via::Webhook, Some(&webhook)) },
        Contact::new("lamp", Via::Device, Some("lamp-1")),
        Contact::new("nurses", Via::Topic, None),
    ];
    let document = facility_document(&Facility { contacts, ..Facility::new(facility) });
    let document = document.map_err(|problems| anyhow!("invalid master data: {problems:?}"))?;
    DynamoDb::new(&stack.sdk_config(), stack.physical_id("RegistryTable")?).put(&[document]).await?;
    Ok(Contacts { heard, tasks: vec![serving, lamp] })
}

async fn ward(State(heard): State<Heard>, Json(message): Json<Message>) {
    note(&heard, "ward", message);
}

/// Connects the lamp, and subscribes it to its commands.
async fn lamp(stack: &Stack, facility: &str) -> Result<(AsyncClient, EventLoop)> {
    let broker = stack.endpoints().mqtt;
    let (client, mut events) = AsyncClient::new(MqttOptions::new("lamp-1", broker.ip().to_string(), broker.port()), 10);
    client.subscribe(format!("cmd/myaku/{facility}/lamp-1/+"), QoS::AtLeastOnce).await?;
    let subscribed = async {
        while !matches!(events.poll().await?, Event::Incoming(Incoming::SubAck(_))) {}
        anyhow::Ok(())
    };
    tokio::time::timeout(PATIENCE, subscribed).await.context("the lamp cannot connect to the MQTT broker")??;
    Ok((client, events))
}

async fn shine((_client, mut events): (AsyncClient, EventLoop), heard: Heard) {
    while let Ok(event) = events.poll().await {
        if let Event::Incoming(Incoming::Publish(publish)) = event
            && let Ok(message) = serde_json::from_slice(&publish.payload)
        {
            note(&heard, "lamp", message);
        }
    }
}

/// Sweeps until the contacts have heard what is expected, or until time is up.
pub async fn check(stack: &Stack, contacts: &Contacts, expected: &Expected) -> Result<Notices> {
    let function = stack.function("AlertNotifierFunction")?;
    let started = SystemClock.now_ms();
    loop {
        function.invoke(SWEEP.as_bytes().into()).await.context("the sweep failed")?;
        let mut heard = contacts.heard.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for message in stack.servers().sns.topics().messages(&stack.physical_id("NoticeTopic")?)? {
            let is_facilitys = message.publication.attributes.get("contact").is_some_and(|it| it.value == "nurses");
            if is_facilitys {
                heard.push(("nurses", serde_json::from_str(message.publication.text("sqs"))?, message.published_at_ms));
            }
        }
        let notices = compare(&heard, expected);
        if notices.wrong.is_empty() || SystemClock.now_ms() - started > PATIENCE.as_millis() as i64 {
            return Ok(notices);
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

fn compare(heard: &[(&'static str, Message, i64)], expected: &Expected) -> Notices {
    let mut counts: BTreeMap<(&str, Announcement), i64> = BTreeMap::new();
    for announcement in expected.keys() {
        counts.extend(CONTACTS.map(|contact| ((contact, announcement.clone()), -1)));
    }
    let total = counts.len();
    let devices: Vec<&String> = expected.keys().map(|(device, ..)| device).collect();
    let about = heard.iter().filter(|(_, message, _)| devices.contains(&&message.device_id));
    let (repeated, first): (Vec<_>, Vec<_>) = about.partition(|(_, message, _)| message.is_repetition);
    let (mut from_readings, mut from_alerts) = (Vec::new(), Vec::new());
    for (contact, message, at_ms) in &first {
        let announcement = (message.device_id.clone(), message.rule.clone().unwrap_or_default(), message.step);
        if message.step == Step::Raised {
            from_alerts.push(at_ms - message.at);
            from_readings.extend(expected.get(&announcement).copied().flatten().map(|sent_ms| at_ms - sent_ms));
        }
        *counts.entry((contact, announcement)).or_default() += 1;
    }
    let wrong = counts.into_iter().filter(|(_, count)| *count != 0).map(|((contact, (device, rule, step)), count)| {
        let what = if count < 0 { "did not hear".to_owned() } else { format!("heard {} times", count + 1) };
        format!("{contact} {what} of {device} {rule} {}", step.name())
    });
    Notices {
        contacts: CONTACTS.len(),
        expected: total,
        heard: first.len(),
        repeated: repeated.len(),
        wrong: wrong.collect(),
        from_reading_ms: median_and_longest(from_readings),
        from_alert_ms: median_and_longest(from_alerts),
    }
}

/// The median, and the longest; 0 of none.
fn median_and_longest(mut milliseconds: Vec<i64>) -> (u64, u64) {
    milliseconds.sort_unstable();
    let at = |index: usize| milliseconds.get(index).map_or(0, |ms| (*ms).max(0) as u64);
    (at(milliseconds.len() / 2), at(milliseconds.len().saturating_sub(1)))
}

impl Notices {
    /// The promises that were broken, in words.
    pub fn broken(&self) -> Vec<String> {
        self.wrong.iter().map(|wrong| format!("a message about an alert is wrong: {wrong}")).collect()
    }

    /// One line for people.
    pub fn to_text(&self) -> String {
        let verdict = if self.wrong.is_empty() { "✓" } else { "✗ a promise is broken" };
        let ((reading, reading_longest), (alert, alert_longest)) = (self.from_reading_ms, self.from_alert_ms);
        format!(
            "Messages: {} contacts heard {} of {}, each once and {} marked as repeated; from the reading {reading} ms (median) and \
             {reading_longest} ms (longest), from the alert {alert} and {alert_longest} ms. {verdict}",
            self.contacts, self.heard, self.expected, self.repeated
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(step: &str, is_repetition: bool) -> Message {
        let json = serde_json::json!({
            "id": "1#x", "step": step, "isRepetition": is_repetition, "kind": "threshold", "severity": "info", "deviceId": "patient-1",
            "rule": "fever", "since": 0, "at": 1_000, "detail": "", "sinceLocal": "",
        });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn a_message_that_is_missing_or_there_twice_breaks_the_promise_and_one_that_says_so_does_not() {
        let expected = [(("patient-1".to_owned(), "fever".to_owned(), Step::Raised), Some(500))].into();
        let mut heard: Vec<_> = CONTACTS.map(|contact| (contact, message("raised", false), 1_200)).into();
        heard.push(("ward", message("raised", true), 9_000));
        let notices = compare(&heard, &expected);
        assert_eq!((notices.wrong.len(), notices.heard, notices.repeated), (0, 3, 1));
        assert_eq!((notices.from_reading_ms, notices.from_alert_ms), ((700, 700), (200, 200)));
        assert_eq!(compare(&heard[1..], &expected).wrong, ["ward did not hear of patient-1 fever raised"]);
        heard.push(("lamp", message("raised", false), 2_000));
        assert_eq!(compare(&heard, &expected).wrong, ["lamp heard 2 times of patient-1 fever raised"]);
        heard = vec![("lamp", message("cleared", false), 0)];
        assert_eq!(compare(&heard, &expected).wrong.len(), 4);
    }
}
