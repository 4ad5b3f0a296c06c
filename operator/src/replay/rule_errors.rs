//! Reads the messages that the IoT rule could not put on the stream, and builds them as the rule would have.
//!
//! The object's key has the rule's own time and the delivery id; the object has the topic, the client and the payload.
//! So the message is the one that was lost, with its identity and its time.

use super::parcel::{Content, Name, Parcel, Parcels};
use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use myaku::ingest::message::Message;
use myaku::lake::archive::Lake;
use myaku::stream::producer::Item;
use serde::Deserialize;
use std::ops::Range;

/// The prefix under which the rule's error action stores them: `rule-errors/<milliseconds>-<delivery id>.json`.
const PREFIX: &str = "rule-errors/";
/// How devices' topics begin.
const ROOT: &str = "dt/myaku/";

/// The rule errors of a bucket.
pub struct RuleErrors<B> {
    /// The bucket's objects.
    pub bucket: B,
    /// When the messages were received, in milliseconds since the epoch.
    pub received_ms: Range<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RuleError {
    topic: String,
    #[serde(default)]
    client_id: Option<String>,
    base64_original_payload: String,
    failures: Vec<Failure>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Failure {
    failed_action: String,
    failed_resource: String,
}

/// Parses the time and the delivery id of a key.
fn parse_key(key: &str) -> Option<(i64, &str)> {
    let (ms, id) = key.strip_prefix(PREFIX)?.strip_suffix(".json")?.split_once('-')?;
    Some((ms.parse().ok()?, id))
}

impl<B: Lake> Parcels for RuleErrors<B> {
    async fn names(&self) -> Result<Vec<Name>> {
        let keys =
            self.bucket.list(PREFIX).await.with_context(|| format!("cannot list the rule errors under {PREFIX}"))?;
        let wanted = keys.into_iter().filter_map(|key| {
            let (ms, id) = parse_key(&key).filter(|(ms, _)| self.received_ms.contains(ms))?;
            Some(Name { order: format!("{ms:015} {id}"), key })
        });
        let mut names: Vec<_> = wanted.collect();
        names.sort();
        Ok(names)
    }

    async fn open(&self, name: &Name) -> Result<Parcel> {
        let stored =
            self.bucket.get(&name.key).await.with_context(|| format!("cannot fetch the rule error {}", name.key))?;
        let parcel = |stream: String, content| Parcel { label: "rule error".to_owned(), stream, content };
        let unsendable = |why: &str| parcel(String::new(), Content::Unsendable(why.to_owned()));
        let Some(stored) = stored else { return Ok(unsendable("it expired after it was listed")) };
        let Some((ms, id)) = parse_key(&name.key) else {
            return Ok(unsendable("its key is not that of a rule error"));
        };
        let Ok(error) = serde_json::from_slice::<RuleError>(&stored.body) else {
            return Ok(unsendable("not a rule error"));
        };
        let failed = error.failures.iter().find(|failure| failure.failed_action == "KinesisAction");
        let Some(failed) = failed else {
            return Ok(unsendable("the rule's action that failed was not the one for the stream"));
        };
        let Some(message) = message(&error, id, ms) else { return Ok(unsendable("not a message of a device")) };
        let item = Item { key: message.delivery_id.clone(), data: message.to_json().into_bytes() };
        Ok(parcel(failed.failed_resource.clone(), Content::Records(vec![item])))
    }
}

/// Builds the message that the rule would have put.
fn message(error: &RuleError, delivery_id: &str, received_at: i64) -> Option<Message> {
    // Basic Ingest reaches the rule as `$aws/rules/<rule>/dt/…`.
    let topic = match error.topic.strip_prefix("$aws/rules/") {
        Some(basic) => basic.split_once('/')?.1,
        None => &error.topic,
    };
    let mut levels = topic.strip_prefix(ROOT)?.split('/');
    let (Some(facility), Some(device), Some(kind), None) = (levels.next(), levels.next(), levels.next(), levels.next())
    else {
        return None;
    };
    Some(Message {
        delivery_id: delivery_id.to_owned(),
        device_id: device.to_owned(),
        facility: facility.to_owned(),
        kind: kind.to_owned(),
        client_id: error.client_id.clone().filter(|client| !client.is_empty()),
        received_at,
        payload: STANDARD.decode(&error.base64_original_payload).ok()?,
        message_id: None,
        sender: None,
    })
}
