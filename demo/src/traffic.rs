//! A fleet of devices and what the world does to their messages, for the demo and for tests.
//!
//! A pure generator: a seed and the time of each call decide every byte. It knows of each message what must come of
//! it, by formulas of its own and not by the code under test: which readings, with which value and time, or which
//! reason among the dead letters. The formats are those of the sample profiles in `events/profiles`.

mod band;
mod bed;
mod fault;
mod fleet;
pub mod gateway;
pub mod load;
mod model;
mod node;
mod room;
pub mod send;
mod sent_message;
mod thermistor;

pub use fleet::{Fleet, Registration, Settings};
pub use model::Family;
pub use sent_message::SentMessage;

use myaku::device::reading::Value;
use serde_json::json;

/// One message, and what must come of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// Its number in the order of making, from 0.
    pub number: usize,
    /// When it was made, in milliseconds since the epoch.
    pub made_at_ms: i64,
    /// Who sends it.
    pub device: String,
    /// Where that device stands.
    pub facility: String,
    /// The last level of its topic.
    pub kind: &'static str,
    /// How it travels.
    pub route: Route,
    /// What the device sends; on [`Route::Record`] the record itself.
    pub payload: Vec<u8>,
    /// The readings that must come of it, once, however often it is sent.
    pub readings: Vec<Expected>,
    /// The reasons for which it, or values of it, must be among the dead letters; each once.
    pub dead_letters: Vec<&'static str>,
    /// What the world did to it; `None` for an ordinary message.
    pub mishap: Option<Mishap>,
    /// The message of which this is the producer's repetition.
    pub repeats: Option<usize>,
}

/// How a message travels to the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Route {
    /// Over MQTT, through the topic rule for devices.
    Mqtt,
    /// As a `Message` in a KPL aggregate, put by the producer itself.
    Aggregate,
    /// As a plain record of any bytes, put by the producer itself.
    Record,
    /// As an item of a request over HTTP.
    Http,
    /// In the batch of its facility's gateway, over MQTT.
    Gateway,
}

/// A reading that must come of a message.
#[derive(Clone, Debug, PartialEq)]
pub struct Expected {
    /// The metric, by its profile's name.
    pub metric: &'static str,
    /// The value, calibrated and in the metric's unit.
    pub value: Value,
    /// When it was measured.
    pub at: At,
    /// Whether it is kept in spite of being out of range.
    pub flagged: bool,
}

/// The time of a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// The device's own time, in milliseconds since the epoch.
    Device(i64),
    /// The record's arrival at the stream, since the device's clock is wrong.
    Arrival,
}

/// What the world does to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mishap {
    /// The producer sends it again.
    Repeated,
    /// Measured seconds before the one that was sent earlier.
    OutOfOrder,
    /// Measured up to minutes ago, within the allowed lateness.
    Late,
    /// Measured so long ago that no window takes it.
    TooLate,
    /// From a device whose clock is days wrong.
    WrongClock,
    /// With a time that no clock's error explains.
    AbsurdTime,
    /// With a value outside its range.
    OutOfRange,
    /// Not what its profile says.
    Malformed,
    /// From a device that nobody registered.
    UnknownDevice,
    /// Not a message at all.
    Foreign,
}

impl Planned {
    /// The MQTT topic.
    pub fn topic(&self) -> String {
        format!("dt/myaku/{}/{}/{}", self.facility, self.device, self.kind)
    }

    /// As an item of an HTTP request or a gateway's batch, with the very bytes that the device sends.
    pub fn item(&self) -> serde_json::Value {
        use base64::Engine as _;
        let payload = base64::engine::general_purpose::STANDARD.encode(&self.payload);
        json!({ "deviceId": self.device, "facility": self.facility, "kind": self.kind, "payloadBase64": payload })
    }

    /// The delivery id of a message that its producer puts on the stream itself.
    pub fn delivery_id(&self) -> String {
        // Spread over the keyspace by its first characters, like a random UUID, and the same for the same seed.
        let spread = (self.number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        format!("{:08x}-0000-4000-8000-{:012x}", spread >> 32, self.number)
    }

    /// The bytes of the record that its producer puts on the stream itself, received at `received_at_ms`.
    pub fn record(&self, received_at_ms: i64) -> Vec<u8> {
        use base64::Engine as _;
        if self.route == Route::Record {
            return self.payload.clone();
        }
        let payload = base64::engine::general_purpose::STANDARD.encode(&self.payload);
        json!({
            "deliveryId": self.delivery_id(), "deviceId": self.device, "facility": self.facility, "kind": self.kind,
            "receivedAt": received_at_ms, "payload": payload,
        })
        .to_string()
        .into_bytes()
    }
}

/// What a device sends, and what must come of it.
#[derive(Clone, Debug, Default, PartialEq)]
struct Sent {
    payload: Vec<u8>,
    readings: Vec<Expected>,
    dead_letters: Vec<&'static str>,
}

impl Sent {
    /// A number in its range.
    fn number(&mut self, metric: &'static str, value: f64, at_ms: i64) {
        self.value(metric, Value::Number(value), at_ms);
    }

    fn value(&mut self, metric: &'static str, value: Value, at_ms: i64) {
        self.readings.push(Expected { metric, value, at: At::Device(at_ms), flagged: false });
    }

    /// A number out of its range, in a profile that keeps such values.
    fn flagged(&mut self, metric: &'static str, value: f64, at_ms: i64) {
        self.readings.push(Expected { metric, value: Value::Number(value), at: At::Device(at_ms), flagged: true });
    }

    fn rejected(&mut self, reason: &'static str) {
        if !self.dead_letters.contains(&reason) {
            self.dead_letters.push(reason);
        }
    }
}

/// What a device is about to report: its own time, and how far its values may go.
#[derive(Clone, Copy, Debug)]
struct Moment {
    /// The device's time in milliseconds since the epoch.
    at_ms: i64,
    /// Whether one of the values is to be out of its range.
    out_of_range: bool,
}

/// °F as a sensor gives it and °C as it is kept.
fn celsius(fahrenheit: f64) -> f64 {
    (fahrenheit - 32.0) * 5.0 / 9.0
}

/// `value` with `digits` decimals, as a sensor sends it.
fn rounded(value: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests;
