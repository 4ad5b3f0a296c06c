//! Nodes with two thermistors, which send volts: `thermistor-node`.

use super::thermistor::{room_volts, water_volts};
use super::{Moment, Sent, rounded};
use rand::{RngExt, rngs::StdRng};
use serde_json::json;

/// The node's message number `sequence`.
pub(super) fn volts(rng: &mut StdRng, sequence: u64, moment: Moment) -> Sent {
    let mut sent = Sent::default();
    let room = rng.random_range(16.0..28.0);
    // The range of the water ends at 100 °C, so 104 °C is rejected.
    let water = if moment.out_of_range { 104.0 } else { rng.random_range(35.0..62.0) };
    // In the table of the profile, 0.2 V between the second and the third point are 40 %.
    let cell = rounded(rng.random_range(3.6..3.8), 3);
    sent.number("room_temperature", room, moment.at_ms);
    if moment.out_of_range {
        sent.rejected("out-of-range");
    } else {
        sent.number("water_temperature", water, moment.at_ms);
    }
    sent.number("battery", 20.0 + (cell - 3.6) * 200.0, moment.at_ms);
    sent.payload = json!({
        "n": sequence, "t": moment.at_ms,
        "volts": { "room": room_volts(room), "water": water_volts(water), "cell": cell },
    })
    .to_string()
    .into_bytes();
    sent
}
