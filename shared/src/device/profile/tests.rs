//! Tests of whole profiles: the samples in `events/profiles`, and invalid profiles.

mod contradictions;
mod faults;
mod ready;
mod samples;
mod times;
mod values;

use super::*;
use crate::device::event_time::ClockSource;
use crate::ingest::message::Message;

/// When the tests' messages were received.
const RECEIVED: i64 = 1_795_218_892_020;
/// When they arrived at the stream.
const ARRIVED: i64 = RECEIVED + 80;

fn profile(json: &str) -> Profile {
    Profile::parse(json.as_bytes()).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn message(payload: impl Into<Vec<u8>>) -> Message {
    Message {
        delivery_id: "7d0c".to_owned(),
        device_id: "bed-17".to_owned(),
        facility: "home-3".to_owned(),
        kind: "vital".to_owned(),
        client_id: None,
        received_at: RECEIVED,
        payload: payload.into(),
        message_id: None,
        sender: None,
    }
}

/// One line for each reading and each rejection.
fn lines(decoded: &Decoded) -> String {
    let readings = decoded.readings.iter().map(|reading| {
        let clock = if reading.clock == ClockSource::Device { "device" } else { "not the device's" };
        let value = serde_json::to_string(&reading.value).unwrap();
        let Reading { id, metric, unit, quality, .. } = reading;
        let after = reading.at - RECEIVED;
        format!("{id} {metric} = {value} {unit} at {after} ({clock}, {quality:?})")
    });
    let rejected = decoded.rejected.iter().map(|rejected| format!("{:?}: {}", rejected.reason, rejected.detail));
    readings.chain(rejected).collect::<Vec<_>>().join("\n")
}

fn decoded(profile: &Profile, payload: impl Into<Vec<u8>>) -> String {
    lines(&profile.decode(&message(payload), ARRIVED))
}
