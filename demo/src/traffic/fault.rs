//! Generates malformed messages, and records that are not messages.

use super::Sent;
use super::model::Model;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use rand::{RngExt, rngs::StdRng};
use serde_json::json;

/// The first bytes of a KPL aggregate.
const AGGREGATE_MAGIC: [u8; 4] = [0xf3, 0x89, 0x9a, 0xc2];
/// Longer than any valid name.
const LONG_NAME_BYTES: usize = 10_000;

/// Makes `sent` malformed: it becomes no reading, and a dead letter for one reason.
pub(super) fn malformed(rng: &mut StdRng, model: Model, mut sent: Sent) -> Sent {
    sent.readings.clear();
    sent.dead_letters = vec!["undecodable"];
    match model {
        Model::BandFormat1 => band(rng, &mut sent),
        Model::BandFormat2 | Model::Node => match rng.random_range(0..3) {
            0 => sent.payload.truncate(sent.payload.len() / 2),
            // Latin-1, which is not valid UTF-8.
            1 => sent.payload = b"caf\xe9".to_vec(),
            _ => sent.payload.truncate(1),
        },
        // Neither the 14 nor the 16 bytes of a known firmware.
        Model::BedFirmware1 | Model::BedFirmware2 => sent.payload = vec![7; 15],
        // A CBOR array of two elements that has only one.
        Model::Rooms => sent.payload = vec![0x82, 0x01],
        // Every text is valid.
        Model::AppLog => sent.dead_letters.clear(),
    }
    sent
}

/// A message of format 1 of the wristband with one thing wrong.
fn band(rng: &mut StdRng, sent: &mut Sent) {
    let vital = |heart| json!({ "hr": heart, "spo2": "97", "temp": 98.6 });
    let heart = match rng.random_range(0..4) {
        0 => {
            // JSON has no NaN, and without a time no value can be used.
            sent.dead_letters = vec!["not-a-number"];
            sent.payload = br#"{"id":"x","ts":NaN,"vital":{"hr":61,"spo2":"97","temp":98.6}}"#.to_vec();
            return;
        }
        1 => {
            sent.payload = "体温 36.5".as_bytes().to_vec();
            return;
        }
        2 => {
            sent.payload = br#"{"id":"x","ts":1.5,"vital":{"hr":61"#.to_vec();
            return;
        }
        _ => "seventy",
    };
    // The other values are valid, but the invalid time rejects them too.
    sent.dead_letters = vec!["not-a-number"];
    sent.payload = json!({ "id": "x", "ts": "noon", "vital": vital(heart) }).to_string().into_bytes();
}

/// A record that is not a message. Each `number` makes a different one.
pub(super) fn foreign(rng: &mut StdRng, number: usize) -> Sent {
    let mut sent = Sent { dead_letters: vec!["not-a-message"], ..Sent::default() };
    sent.payload = match rng.random_range(0..6) {
        0 => format!("Nov 21 02:29:00 gw-3 agent[{number}]: link up").into_bytes(),
        1 => json!({ "hello": "world", "number": number }).to_string().into_bytes(),
        2 => {
            let mut bytes = aggregate(number);
            bytes.truncate(bytes.len() - 9);
            bytes
        }
        3 => {
            let mut bytes = aggregate(number);
            let last = bytes.len() - 1;
            bytes[last] ^= 0xff;
            bytes
        }
        4 => {
            sent.dead_letters = vec!["too-large"];
            message(&"x".repeat(LONG_NAME_BYTES), number)
        }
        _ => message("bed\u{7}\u{0}17", number),
    };
    sent
}

/// A whole aggregate of one record.
fn aggregate(number: usize) -> Vec<u8> {
    let key = b"key";
    let data = format!("never read {number}");
    let mut record = vec![0x08, 0x00, 0x1a, data.len() as u8];
    record.extend(data.as_bytes());
    let mut body = vec![0x0a, key.len() as u8];
    body.extend(key);
    body.extend([0x1a, record.len() as u8]);
    body.extend(record);
    let mut bytes = AGGREGATE_MAGIC.to_vec();
    bytes.extend(&body);
    bytes.extend(Md5::digest(&body));
    bytes
}

/// A message from a device with an invalid name.
fn message(device: &str, number: usize) -> Vec<u8> {
    json!({
        "deliveryId": format!("foreign-{number}"), "deviceId": device, "facility": "home-1", "kind": "vital",
        "receivedAt": 1_795_218_892_020_i64, "payload": STANDARD.encode(number.to_string()),
    })
    .to_string()
    .into_bytes()
}
