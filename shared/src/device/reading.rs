//! Reads, checks and writes readings: the records of the stream `readings`.
//!
//! A reading is one measured value. It has the same form whatever format the device sent.

mod borrowed;

pub use borrowed::BorrowedReading;

use crate::device::event_time::ClockSource;
use crate::ingest::message::{MAX_ID, Sender};
use crate::platform::clock::MAX_MS;
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;

/// The longest id of a reading, in bytes: the device's id and the producer's own id of the message, or a hash.
const MAX_READING_ID: usize = 512;
/// The longest name of a metric, and of a unit, in bytes.
const MAX_NAME: usize = 64;
/// The longest text value, in bytes.
pub const MAX_TEXT: usize = 256;

/// One value of one metric of one device at one time. `T` is the type of its texts: `String`, or `&str` where the
/// reading borrows them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reading<T = String> {
    /// The message's identity and the index of the value in the message. A measurement that is sent twice has the same
    /// id both times.
    pub id: String,
    /// The device that measured.
    pub device_id: T,
    /// The facility where the device is.
    pub facility: T,
    /// The metric, as the profile names it: `heart_rate`.
    pub metric: T,
    /// The value, calibrated and in `unit`.
    pub value: Value,
    /// The unit of a number; empty where there is none.
    #[serde(default)]
    pub unit: T,
    /// When the value was measured, in milliseconds since the epoch, according to `clock`.
    pub at: i64,
    /// The clock that `at` comes from.
    pub clock: ClockSource,
    /// When the message was received, in milliseconds since the epoch.
    pub received_at: i64,
    /// Whether something is wrong with the value.
    #[serde(default)]
    pub quality: Quality,
}

/// A reading as *transform* puts it on the stream: with who sent it, if that was not the device itself. Functions read it
/// as a [`Reading`]; the sender is for whoever asks where a value comes from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SentReading<'a> {
    /// The reading.
    #[serde(flatten)]
    pub reading: &'a Reading<&'a str>,
    /// Its sender: `gateway:hub-3`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender: Option<Sender<'a>>,
}

/// A measured value.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// A finite number in the reading's unit.
    Number(f64),
    /// A state that is on or off.
    Boolean(bool),
    /// The name of a state or an event.
    Text(String),
    /// Longitude and latitude in degrees.
    Position([f64; 2]),
}

/// Whether something is wrong with a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quality {
    /// Nothing is wrong with it.
    #[default]
    Good,
    /// The value is outside the profile's range. It is kept because the profile says so.
    OutOfRange,
}

/// Why a record is not a valid reading.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadingError {
    /// The record does not have the form of a reading.
    #[error("the record is not a reading: {0}")]
    Malformed(String),
    /// A field has an invalid value.
    #[error("{field}: {problem}")]
    Invalid {
        /// The field, as JSON names it.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
}

impl Reading {
    /// Parses a record of `readings`.
    ///
    /// # Errors
    /// The record does not have the form of a reading, or a field has an invalid value; the error names the field.
    pub fn parse(record: &[u8]) -> Result<Self, ReadingError> {
        let reading: Self =
            serde_json::from_slice(record).map_err(|error| ReadingError::Malformed(error.to_string()))?;
        reading.check()?;
        Ok(reading)
    }
}

impl<T: AsRef<str> + Serialize> Reading<T> {
    /// Writes the record of `readings`.
    ///
    /// # Errors
    /// A field has an invalid value: a number is NaN, for example, which JSON cannot express.
    pub fn to_json(&self) -> Result<Vec<u8>, ReadingError> {
        self.check()?;
        serde_json::to_vec(self).map_err(|error| ReadingError::Malformed(error.to_string()))
    }

    /// Checks every field, and returns the first that has an invalid value.
    pub fn check(&self) -> Result<(), ReadingError> {
        let invalid = |field, problem| Err(ReadingError::Invalid { field, problem });
        let texts = [
            ("id", self.id.as_str(), 1, MAX_READING_ID),
            ("deviceId", self.device_id.as_ref(), 1, MAX_ID),
            ("facility", self.facility.as_ref(), 0, MAX_ID),
            ("metric", self.metric.as_ref(), 1, MAX_NAME),
            ("unit", self.unit.as_ref(), 0, MAX_NAME),
        ];
        for (field, text, least, most) in texts {
            if text.len() < least || text.len() > most || text.chars().any(char::is_control) {
                return invalid(field, format!("must have from {least} to {most} bytes and no control character"));
            }
        }
        for (field, ms) in [("at", self.at), ("receivedAt", self.received_at)] {
            if !(0..=MAX_MS).contains(&ms) {
                return invalid(field, "must be within the years 1970 to 9999".to_owned());
            }
        }
        self.value.problem().map_or(Ok(()), |problem| invalid("value", problem))
    }
}

impl Value {
    /// What is wrong with it; `None` if it is valid.
    pub(crate) fn problem(&self) -> Option<String> {
        match self {
            Self::Number(number) if !number.is_finite() => Some("it is NaN or infinite".to_owned()),
            Self::Text(text) if text.len() > MAX_TEXT => {
                Some(format!("the text has {} bytes, at most {MAX_TEXT} are allowed", text.len()))
            }
            Self::Position([longitude, latitude])
                if !(-180.0..=180.0).contains(longitude) || !(-90.0..=90.0).contains(latitude) =>
            {
                Some("its longitude is not within ±180°, or its latitude is not within ±90°".to_owned())
            }
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    /// Decides by the JSON type alone. The derived implementation for an untagged enum would copy the value and try one
    /// variant after another.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyKind;
        impl<'de> Visitor<'de> for AnyKind {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, a boolean, a text or an array of longitude and latitude")
            }

            fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
                Ok(Value::Number(number))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
                Ok(Value::Number(number as f64))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
                Ok(Value::Number(number as f64))
            }

            fn visit_bool<E>(self, state: bool) -> Result<Value, E> {
                Ok(Value::Boolean(state))
            }

            fn visit_str<E>(self, text: &str) -> Result<Value, E> {
                Ok(Value::Text(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
                match (seq.next_element()?, seq.next_element()?, seq.next_element::<f64>()?) {
                    (Some(longitude), Some(latitude), None) => Ok(Value::Position([longitude, latitude])),
                    _ => Err(A::Error::custom("a position has two numbers")),
                }
            }
        }
        deserializer.deserialize_any(AnyKind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reading(value: Value) -> Reading {
        Reading {
            id: "bed-17/p4711#0".to_owned(),
            device_id: "bed-17".to_owned(),
            facility: "home-3".to_owned(),
            metric: "heart_rate".to_owned(),
            value,
            unit: "1/min".to_owned(),
            at: 1_795_218_890_000,
            clock: ClockSource::Device,
            received_at: 1_795_218_892_020,
            quality: Quality::Good,
        }
    }

    #[test]
    fn the_wire_form_is_what_consumers_of_readings_rely_on() {
        insta::assert_snapshot!(
            String::from_utf8(reading(Value::Number(61.5)).to_json().unwrap()).unwrap(),
            @r#"{"id":"bed-17/p4711#0","deviceId":"bed-17","facility":"home-3","metric":"heart_rate","value":61.5,"unit":"1/min","at":1795218890000,"clock":"device","receivedAt":1795218892020,"quality":"good"}"#
        );
        let flagged =
            Reading { quality: Quality::OutOfRange, clock: ClockSource::Arrival, ..reading(Value::Boolean(true)) };
        let json = String::from_utf8(flagged.to_json().unwrap()).unwrap();
        assert!(json.contains(r#""value":true"#) && json.contains(r#""clock":"arrival""#), "{json}");
        assert!(json.ends_with(r#""quality":"out-of-range"}"#), "{json}");
    }

    #[test]
    fn a_reading_without_unit_and_quality_has_no_unit_and_is_good() {
        let json =
            br#"{"id":"a","deviceId":"b","facility":"","metric":"m","value":7,"at":1,"clock":"ingest","receivedAt":2}"#;
        let reading = Reading::parse(json).unwrap();
        assert_eq!((reading.value, reading.unit.as_str(), reading.quality), (Value::Number(7.0), "", Quality::Good));
    }

    #[test]
    fn an_error_names_the_invalid_field() {
        let wrong = |field: &str, value: serde_json::Value| {
            let mut json = serde_json::to_value(reading(Value::Number(1.0))).unwrap();
            json[field] = value;
            Reading::parse(json.to_string().as_bytes()).unwrap_err().to_string()
        };
        assert_eq!(wrong("at", (-1).into()), "at: must be within the years 1970 to 9999");
        assert_eq!(wrong("metric", "".into()), "metric: must have from 1 to 64 bytes and no control character");
        assert_eq!(
            wrong("deviceId", "x".repeat(129).into()),
            "deviceId: must have from 1 to 128 bytes and no control character"
        );
        assert_eq!(wrong("id", "a\u{0}".into()), "id: must have from 1 to 512 bytes and no control character");
        assert_eq!(
            wrong("value", vec![181.0, 0.0].into()),
            "value: its longitude is not within ±180°, or its latitude is not within ±90°"
        );
        for shape in [vec![1.0], vec![1.0, 2.0, 3.0]] {
            assert!(wrong("value", shape.into()).contains("a position has two numbers"));
        }
        assert!(wrong("value", serde_json::Value::Null).contains("expected a number, a boolean, a text or an array"));
        assert!(Reading::parse(b"7").is_err());
    }

    #[test]
    fn a_number_that_json_cannot_express_is_never_written() {
        for number in [f64::NAN, f64::INFINITY] {
            assert_eq!(
                reading(Value::Number(number)).to_json().unwrap_err().to_string(),
                "value: it is NaN or infinite"
            );
        }
    }

    proptest! {
        #[test]
        fn json_round_trips(
            value in prop_oneof![
                (-1e9..1e9_f64).prop_map(|number| Value::Number((number * 1e3).round() / 1e3)),
                any::<bool>().prop_map(Value::Boolean),
                ".{0,40}".prop_map(Value::Text),
                (-180..=180_i32, -90..=90_i32).prop_map(|(x, y)| Value::Position([x.into(), y.into()])),
            ],
            at in 0..=MAX_MS,
        ) {
            let reading = Reading { at, ..reading(value) };
            prop_assert_eq!(Reading::parse(&reading.to_json().unwrap()), Ok(reading));
        }
    }
}
