//! Reads the Cayenne Low Power Payload of LoRaWAN sensors as a tree: an object with a member for each channel,
//! `temperature_3`.
//!
//! <https://developers.mydevices.com/cayenne/docs/lora/#lora-cayenne-low-power-payload>

use super::Node;
use std::borrow::Cow;

/// A type: its number, its name, and its parts, each with a name (none if it is the value itself), the number of bytes,
/// whether it is signed, and the divisor.
type Row = (u8, &'static str, &'static [Part]);
type Part = (&'static str, usize, bool, f64);

const TYPES: &[Row] = &[
    (0, "digital_in", &[("", 1, false, 1.0)]),
    (1, "digital_out", &[("", 1, false, 1.0)]),
    (2, "analog_in", &[("", 2, true, 100.0)]),
    (3, "analog_out", &[("", 2, true, 100.0)]),
    (100, "generic", &[("", 4, false, 1.0)]),
    (101, "luminosity", &[("", 2, false, 1.0)]),
    (102, "presence", &[("", 1, false, 1.0)]),
    (103, "temperature", &[("", 2, true, 10.0)]),
    (104, "humidity", &[("", 1, false, 2.0)]),
    (113, "accelerometer", &[("x", 2, true, 1_000.0), ("y", 2, true, 1_000.0), ("z", 2, true, 1_000.0)]),
    (115, "barometer", &[("", 2, false, 10.0)]),
    (116, "voltage", &[("", 2, false, 100.0)]),
    (117, "current", &[("", 2, false, 1_000.0)]),
    (118, "frequency", &[("", 4, false, 1.0)]),
    (120, "percentage", &[("", 1, false, 1.0)]),
    (121, "altitude", &[("", 2, true, 1.0)]),
    (125, "concentration", &[("", 2, false, 1.0)]),
    (128, "power", &[("", 2, false, 1.0)]),
    (130, "distance", &[("", 4, false, 1_000.0)]),
    (131, "energy", &[("", 4, false, 1_000.0)]),
    (132, "direction", &[("", 2, false, 1.0)]),
    (133, "unix_time", &[("", 4, false, 1.0)]),
    (134, "gyrometer", &[("x", 2, true, 100.0), ("y", 2, true, 100.0), ("z", 2, true, 100.0)]),
    (136, "gps", &[("latitude", 3, true, 10_000.0), ("longitude", 3, true, 10_000.0), ("altitude", 3, true, 100.0)]),
    (142, "switch", &[("", 1, false, 1.0)]),
];

/// Reads the channels. What is wrong with one ends the payload: where the next one begins is not known.
pub(super) fn read(payload: &[u8]) -> Result<Node<'static>, String> {
    let mut members = Vec::new();
    let mut rest = payload;
    // Radios fill the payload up with zeros, which would be digital inputs of channel 0.
    while rest.iter().any(|byte| *byte != 0) {
        let at = payload.len() - rest.len();
        let &[channel, number, ref after @ ..] = rest else { return Err(format!("a channel ends at byte {at}")) };
        let Some((_, name, parts)) = TYPES.iter().find(|(known, ..)| *known == number) else {
            return Err(format!("the type {number} at byte {} is not one of Cayenne LPP", at + 1));
        };
        rest = after;
        let mut values = Vec::with_capacity(parts.len());
        for &(part, width, is_signed, divisor) in *parts {
            let Some((bytes, after)) = rest.split_at_checked(width) else {
                return Err(format!("the value of type {number} at byte {at} is cut"));
            };
            rest = after;
            values.push((Cow::Borrowed(part), Node::Number(number_of(bytes, is_signed) / divisor)));
        }
        let value = match values.len() {
            1 => values.swap_remove(0).1,
            _ => Node::Map(values),
        };
        members.push((Cow::Owned(format!("{name}_{channel}")), value));
    }
    Ok(Node::Map(members))
}

fn number_of(bytes: &[u8], is_signed: bool) -> f64 {
    let number = bytes.iter().fold(0_i64, |number, byte| number << 8 | i64::from(*byte));
    let bits = bytes.len() * 8;
    let is_negative = is_signed && number >> (bits - 1) == 1;
    (if is_negative { number - (1 << bits) } else { number }) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_specification_are_read() {
        // Two temperatures; a GPS position; an accelerometer.
        let read = |bytes: &[u8]| super::read(bytes).unwrap();
        assert_eq!(
            read(&[0x03, 0x67, 0x01, 0x10, 0x05, 0x67, 0x00, 0xff]),
            Node::Map(vec![("temperature_3".into(), Node::Number(27.2)), ("temperature_5".into(), Node::Number(25.5))])
        );
        assert_eq!(
            read(&[0x01, 0x88, 0x06, 0x76, 0x5f, 0xf2, 0x96, 0x0a, 0x00, 0x03, 0xe8]),
            Node::Map(vec![(
                "gps_1".into(),
                Node::Map(vec![
                    ("latitude".into(), Node::Number(42.3519)),
                    ("longitude".into(), Node::Number(-87.9094)),
                    ("altitude".into(), Node::Number(10.0)),
                ])
            )])
        );
        let Node::Map(members) = read(&[0x06, 0x71, 0x04, 0xd2, 0xfb, 0x2e, 0x00, 0x00]) else { panic!("not a map") };
        let axes = vec![
            ("x".into(), Node::Number(1.234)),
            ("y".into(), Node::Number(-1.234)),
            ("z".into(), Node::Number(0.0)),
        ];
        assert_eq!(members[0], ("accelerometer_6".into(), Node::Map(axes)));
    }

    #[test]
    fn an_unknown_type_and_a_cut_value_are_errors_and_padding_is_none() {
        assert_eq!(read(&[1, 0x99]).unwrap_err(), "the type 153 at byte 1 is not one of Cayenne LPP");
        assert_eq!(read(&[1, 0x67, 0]).unwrap_err(), "the value of type 103 at byte 0 is cut");
        assert_eq!(read(&[7]).unwrap_err(), "a channel ends at byte 0");
        assert_eq!(read(&[1, 0x68, 0x5a, 0, 0, 0]), Ok(Node::Map(vec![("humidity_1".into(), Node::Number(45.0))])));
    }
}
