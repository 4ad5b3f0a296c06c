//! Controllers of a building, which send the rooms' air in CBOR: `facility-cbor`. And an app's log, which is text.

use super::{Moment, Sent, rounded};
use ciborium::value::Value as Cbor;
use myaku::device::reading::Value;
use rand::{RngExt, rngs::StdRng};
use std::fmt::Write as _;

/// The air of some rooms; keys of a room's map are integers.
pub(super) fn air(rng: &mut StdRng, sequence: u64, moment: Moment) -> Sent {
    let mut sent = Sent::default();
    let mut message =
        vec![(Cbor::from("id"), Cbor::from(sequence)), (Cbor::from("sent"), Cbor::from(moment.at_ms as f64 / 1000.0))];
    if rng.random_bool(0.2) {
        let open = rng.random_bool(0.5);
        message.push((Cbor::from("door"), Cbor::from(open)));
        sent.value("door_open", Value::Boolean(open), moment.at_ms);
    }
    let count = rng.random_range(1..=3);
    let rooms = (0..count).map(|ago| room(rng, &mut sent, moment, count - 1 - ago)).collect();
    message.push((Cbor::from("air"), Cbor::Array(rooms)));
    sent.payload = encoded(&Cbor::Map(message));
    sent
}

fn room(rng: &mut StdRng, sent: &mut Sent, moment: Moment, ago: i64) -> Cbor {
    // Whole milliseconds, because the time is sent as seconds with decimals.
    let at_ms = moment.at_ms - ago * 250;
    let raw = rounded(rng.random_range(17.0..29.0), 2);
    let humidity = if moment.out_of_range && ago == 0 { 104.5 } else { rounded(rng.random_range(30.0..70.0), 1) };
    sent.number("air_temperature", raw * 0.998 - 0.4, at_ms);
    if humidity > 100.0 {
        sent.flagged("humidity", humidity, at_ms);
    } else {
        sent.number("humidity", humidity, at_ms);
    }
    let mut room = vec![
        (Cbor::from(0), Cbor::from(at_ms as f64 / 1000.0)),
        (Cbor::from(1), Cbor::from(raw)),
        (Cbor::from(2), Cbor::from(humidity)),
    ];
    if rng.random_bool(0.5) {
        let pascal = rng.random_range(98_000..103_000_u32);
        room.push((Cbor::from(3), Cbor::from(pascal)));
        sent.number("air_pressure", f64::from(pascal) / 100.0, at_ms);
    }
    Cbor::Map(room)
}

fn encoded(value: &Cbor) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Writing to memory does not fail.
    let _ = ciborium::into_writer(value, &mut bytes);
    bytes
}

/// Some lines of the app's log: they go to the lake and become no readings.
pub(super) fn log(rng: &mut StdRng, sequence: u64, moment: Moment) -> Sent {
    let mut lines = String::new();
    for line in 0..rng.random_range(1..=3) {
        let duration_ms = rng.random_range(2..900);
        let _ = writeln!(lines, "{} INFO 画面 sequence={sequence}.{line} duration_ms={duration_ms}", moment.at_ms);
    }
    Sent { payload: lines.into_bytes(), ..Sent::default() }
}
