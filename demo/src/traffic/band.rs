//! Wristbands in two formats of JSON: `vital-band`.

use super::{Moment, Sent, celsius, rounded};
use myaku::device::reading::Value;
use rand::{RngExt, rngs::StdRng};
use serde_json::{Value as Json, json};

/// Above the profile's range for a heart rate.
const IMPOSSIBLE_HEART_RATE: u32 = 999;
/// Above the 43 °C at which the profile's range for body temperatures ends. The profile keeps the value, flagged.
const FEVERISH_FAHRENHEIT: f64 = 118.4;

/// Format 1: one set of values; the time in seconds with decimals, the saturation as text, the temperature in °F.
pub(super) fn format_1(rng: &mut StdRng, sequence: u64, moment: Moment) -> Sent {
    let mut sent = Sent::default();
    let heart = if moment.out_of_range { IMPOSSIBLE_HEART_RATE } else { rng.random_range(52..118) };
    let saturation = rng.random_range(91..=100_u32);
    let fahrenheit = rounded(rng.random_range(96.5..100.5), 1);
    let battery = rng.random_range(5..=100_u32);
    if moment.out_of_range {
        sent.rejected("out-of-range");
    } else {
        sent.number("heart_rate", f64::from(heart), moment.at_ms);
    }
    sent.number("spo2", f64::from(saturation), moment.at_ms);
    sent.number("body_temperature", celsius(fahrenheit), moment.at_ms);
    sent.number("battery", f64::from(battery), moment.at_ms);
    sent.payload = json!({
        "id": format!("m{sequence}"), "ts": moment.at_ms as f64 / 1000.0,
        "vital": { "hr": heart, "spo2": saturation.to_string(), "temp": fahrenheit }, "batt": battery,
    })
    .to_string()
    .into_bytes();
    sent
}

/// Format 2: several samples with their own times, a state, and sometimes a position; saturation as a fraction.
pub(super) fn format_2(rng: &mut StdRng, sequence: u64, moment: Moment) -> Sent {
    let mut sent = Sent::default();
    let battery = rng.random_range(5..=100_u32);
    let worn = rng.random_bool(0.9);
    let activity = ["resting", "walking", "asleep"][rng.random_range(0..3)];
    sent.number("battery", f64::from(battery), moment.at_ms);
    sent.value("worn", Value::Boolean(worn), moment.at_ms);
    sent.value("activity", Value::Text(activity.to_owned()), moment.at_ms);
    let mut message = json!({
        "schema": 2, "boot": 1, "seq": sequence, "sent": iso8601(moment.at_ms),
        "status": { "battery": battery, "worn": worn, "activity": activity },
    });
    if rng.random_bool(0.3) {
        let (longitude, latitude) =
            (rounded(rng.random_range(139.60..139.80), 6), rounded(rng.random_range(35.60..35.75), 6));
        message["gps"] = json!({ "lon": longitude, "lat": latitude });
        sent.value("position", Value::Position([longitude, latitude]), moment.at_ms);
    }
    let count = rng.random_range(1..=3);
    message["samples"] = (0..count).map(|ago| sample(rng, &mut sent, moment, count - 1 - ago)).collect();
    sent.payload = message.to_string().into_bytes();
    sent
}

/// The sample from `ago` steps before the message.
fn sample(rng: &mut StdRng, sent: &mut Sent, moment: Moment, ago: i64) -> Json {
    let at_ms = moment.at_ms - ago * 400;
    let heart = rounded(rng.random_range(52.0..118.0), 1);
    let fraction = rounded(rng.random_range(0.91..1.0), 3);
    sent.number("heart_rate", heart, at_ms);
    sent.number("spo2", fraction * 100.0, at_ms);
    let mut sample = json!({ "t": at_ms, "hr": heart, "spo2": fraction });
    // The temperature comes with the last sample only.
    if ago == 0 {
        let fahrenheit =
            if moment.out_of_range { FEVERISH_FAHRENHEIT } else { rounded(rng.random_range(96.5..100.5), 2) };
        sample["temp_f"] = json!(fahrenheit);
        if moment.out_of_range {
            sent.flagged("body_temperature", celsius(fahrenheit), at_ms);
        } else {
            sent.number("body_temperature", celsius(fahrenheit), at_ms);
        }
    }
    sample
}

/// A time with milliseconds, in Japan's time zone.
fn iso8601(at_ms: i64) -> String {
    let local = jiff::Timestamp::from_millisecond(at_ms.saturating_add(9 * 3_600_000)).unwrap_or_default();
    format!("{local:.3}").replace('Z', "+09:00")
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_time_is_written_with_milliseconds_and_its_offset() {
        assert_eq!(super::iso8601(1_795_218_892_020), "2026-11-21T08:54:52.020+09:00");
    }
}
