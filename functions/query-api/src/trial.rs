//! What a profile makes of a payload, for people who write profiles. Nothing is stored.

use crate::answer::{Answer, FieldProblem, Problem};
use crate::query::Query;
use crate::{Context, Ports};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use myaku::device::profile::Profile;
use myaku::http::{Reader, Request};
use myaku::ingest::message::MessageRef;
use myaku::platform::clock::Now as _;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use std::sync::Arc;

/// The largest payload, in bytes: what MQTT takes.
const PAYLOAD_MAX: usize = 131_072;
/// The device of a message without a topic.
const DEVICE: &str = "device";

/// The body.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Body {
    profile: Option<Box<RawValue>>,
    profile_id: Option<String>,
    payload: Option<String>,
    payload_base64: Option<String>,
    topic: Option<String>,
}

/// `POST /v1/profiles/try`. Every reader may: it shows no data of anyone.
pub(crate) async fn run<P: Ports>(context: &Context<P>, _: &Reader, request: &Request) -> Result<Answer, Problem> {
    Query::parse(&request.raw_query_string, &[])?;
    let bytes = request.body().ok_or_else(|| Problem::field("", "the body is marked as base64, and is not base64"))?;
    let body: Body =
        serde_json::from_slice(&bytes).map_err(|error| Problem::field("", format!("the body: {error}")))?;
    let profile = match (&body.profile, &body.profile_id) {
        (Some(document), None) => Arc::new(compile(document.get())?),
        (None, Some(id)) => {
            let found = context.registry.profiles(&[id]).await?.remove(id.as_str());
            found.ok_or_else(|| Problem::field("profileId", "no valid profile of this id is registered"))?
        }
        _ => return Err(Problem::field("profile", "give either `profile` or `profileId`")),
    };
    let payload = match (body.payload, body.payload_base64) {
        (Some(text), None) => text.into_bytes(),
        (None, Some(text)) => {
            STANDARD.decode(text).map_err(|error| Problem::field("payloadBase64", error.to_string()))?
        }
        _ => return Err(Problem::field("payload", "give either `payload` or `payloadBase64`")),
    };
    if payload.len() > PAYLOAD_MAX {
        return Err(Problem::field("payload", format!("it has {} bytes; the limit is {PAYLOAD_MAX}", payload.len())));
    }
    let (facility, device_id, kind) = place(body.topic.as_deref())?;
    let now_ms = context.clock.now_ms();
    let message = MessageRef {
        delivery_id: "try",
        device_id,
        facility,
        kind,
        client_id: None,
        received_at: now_ms,
        payload: &payload,
        message_id: None,
        sender: None,
    };
    let decoded = profile.decode(message, now_ms);
    let readings = decoded.readings.iter().map(|reading| {
        json!({"metric": reading.metric, "value": reading.value, "unit": reading.unit, "at": reading.at,
            "clock": reading.clock, "quality": reading.quality})
    });
    let rejected = decoded.rejected.iter().map(|rejection| {
        json!({"index": rejection.index, "field": rejection.metric, "reason": rejection.reason.name(), "detail": rejection.detail})
    });
    let (readings, rejected): (Vec<_>, Vec<_>) = (readings.collect(), rejected.collect());
    Answer::json(&json!({"readings": readings, "rejected": rejected}))
}

fn compile(document: &str) -> Result<Profile, Problem> {
    Profile::parse(document.as_bytes()).map_err(|problems| {
        let problems = problems.into_iter().map(|it| FieldProblem { field: it.field, message: it.message });
        Problem::fields(problems.collect())
    })
}

/// The facility, the device and the kind of a topic `dt/myaku/<facility>/<device>/<kind>`.
fn place(topic: Option<&str>) -> Result<(&str, &str, &str), Problem> {
    let Some(topic) = topic else { return Ok(("", DEVICE, "")) };
    match topic.split('/').collect::<Vec<_>>().as_slice() {
        ["dt", "myaku", facility, device, kind] => Ok((*facility, *device, *kind)),
        _ => Err(Problem::field("topic", "it must be dt/myaku/<facility>/<device>/<kind>")),
    }
}
