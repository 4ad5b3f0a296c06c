//! Generates the messages of a fleet of devices, and what goes wrong with them, for the demo and for tests.
//!
//! The generator is pure: a seed and the time of each call decide every byte. With each message it returns the expected
//! result, computed with formulas of its own and not with the code under test: the readings with their values and
//! times, or the reason of a dead letter. The formats are those of the sample profiles in `events/profiles`.

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

/// One message, and its expected result.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// Its number in the order of generation, from 0.
    pub number: usize,
    /// When it was generated, in milliseconds since the epoch.
    pub made_at_ms: i64,
    /// The device that sends it.
    pub device: String,
    /// The facility of that device.
    pub facility: String,
    /// The last level of its topic.
    pub kind: &'static str,
    /// How it travels to the stream.
    pub route: Route,
    /// The bytes that the device sends; on [`Route::Record`] the record itself.
    pub payload: Vec<u8>,
    /// The readings that it must become, once, however often it is sent.
    pub readings: Vec<Expected>,
    /// The reasons for which it, or values of it, must become dead letters; each once.
    pub dead_letters: Vec<&'static str>,
    /// What goes wrong with it; `None` for an ordinary message.
    pub mishap: Option<Mishap>,
    /// The number of the message that this one repeats, if its producer sends it again.
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

/// A reading that a message must become.
#[derive(Clone, Debug, PartialEq)]
pub struct Expected {
    /// The metric, by its profile's name.
    pub metric: &'static str,
    /// The value, calibrated and in the metric's unit.
    pub value: Value,
    /// When it was measured.
    pub at: At,
    /// Whether it is kept, and marked, although it is out of range.
    pub flagged: bool,
}

/// The time of a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// The device's own time, in milliseconds since the epoch.
    Device(i64),
    /// So long before the record's arrival at the stream, in milliseconds, because the device's clock is wrong: as long as
    /// before the newest time of its message.
    Arrival {
        /// How long before.
        before_ms: i64,
    },
}

/// What goes wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mishap {
    /// The producer sends it again.
    Repeated,
    /// Measured seconds before a message that was sent earlier.
    OutOfOrder,
    /// Measured up to minutes ago, within the allowed lateness.
    Late,
    /// Measured so long ago that no window accepts it.
    TooLate,
    /// From a device whose clock is days wrong.
    WrongClock,
    /// With an impossible time, which no error of a clock explains.
    AbsurdTime,
    /// With a value outside its range.
    OutOfRange,
    /// Not in the format of its profile.
    Malformed,
    /// From a device that is not registered.
    UnknownDevice,
    /// Not a message at all.
    Foreign,
}

impl Planned {
    /// The MQTT topic.
    pub fn topic(&self) -> String {
        format!("dt/myaku/{}/{}/{}", self.facility, self.device, self.kind)
    }

    /// As an item of an HTTP request or a gateway's batch, with exactly the bytes that the device sends.
    pub fn item(&self) -> serde_json::Value {
        use base64::Engine as _;
        let payload = base64::engine::general_purpose::STANDARD.encode(&self.payload);
        json!({ "deviceId": self.device, "facility": self.facility, "kind": self.kind, "payloadBase64": payload })
    }

    /// The delivery id of a message that its producer puts on the stream itself.
    pub fn delivery_id(&self) -> String {
        // Its first characters spread over the keyspace, like those of a random UUID, and are the same for the same
        // seed.
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

/// What a device sends, and the expected result.
#[derive(Clone, Debug, Default, PartialEq)]
struct Sent {
    payload: Vec<u8>,
    readings: Vec<Expected>,
    dead_letters: Vec<&'static str>,
}

impl Sent {
    /// What becomes of the readings' times if the device's clock is wrong.
    fn replace_times(&mut self) {
        let times = self.readings.iter().filter_map(|reading| match reading.at {
            At::Device(at_ms) => Some(at_ms),
            At::Arrival { .. } => None,
        });
        let newest = times.max().unwrap_or_default();
        for reading in &mut self.readings {
            if let At::Device(at_ms) = reading.at {
                reading.at = At::Arrival { before_ms: newest - at_ms };
            }
        }
    }

    /// Expects a number in its range.
    fn number(&mut self, metric: &'static str, value: f64, at_ms: i64) {
        self.value(metric, Value::Number(value), at_ms);
    }

    fn value(&mut self, metric: &'static str, value: Value, at_ms: i64) {
        self.readings.push(Expected { metric, value, at: At::Device(at_ms), flagged: false });
    }

    /// Expects a number out of its range, in a profile that keeps such values.
    fn flagged(&mut self, metric: &'static str, value: f64, at_ms: i64) {
        self.readings.push(Expected { metric, value: Value::Number(value), at: At::Device(at_ms), flagged: true });
    }

    fn rejected(&mut self, reason: &'static str) {
        if !self.dead_letters.contains(&reason) {
            self.dead_letters.push(reason);
        }
    }
}

/// The circumstances of a message: the device's own time, and whether a value is out of range.
#[derive(Clone, Copy, Debug)]
struct Moment {
    /// The device's time in milliseconds since the epoch.
    at_ms: i64,
    /// Whether one of the values must be out of its range.
    out_of_range: bool,
}

/// Converts °F, as a sensor sends it, to °C, as the reading holds it.
fn celsius(fahrenheit: f64) -> f64 {
    (fahrenheit - 32.0) * 5.0 / 9.0
}

/// Rounds `value` to `digits` decimals, as a sensor sends it.
fn rounded(value: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests;
