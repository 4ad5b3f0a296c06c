//! Writes the batches of gateways: the messages of many devices in one, in every encoding that the platform accepts.

use super::Planned;
use ciborium::Value as Cbor;
use flate2::{Compression, write::GzEncoder};
use std::io::Write as _;

/// How a batch is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Form {
    /// A JSON array.
    Array,
    /// A JSON object on each line.
    Lines,
    /// CBOR maps, one after another.
    Cbor,
}

/// All forms, each without and with gzip.
pub const FORMS: [(Form, bool); 6] = [
    (Form::Array, false),
    (Form::Lines, false),
    (Form::Cbor, false),
    (Form::Array, true),
    (Form::Lines, true),
    (Form::Cbor, true),
];

/// The id of a facility's gateway.
pub fn gateway(facility: &str) -> String {
    format!("hub-{facility}")
}

/// The topic of a facility's gateway.
pub fn topic(facility: &str) -> String {
    format!("gw/myaku/{facility}/{}", gateway(facility))
}

/// A batch of messages.
pub fn batch<'a>(messages: impl IntoIterator<Item = &'a Planned>, form: Form, is_gzipped: bool) -> Vec<u8> {
    let messages = messages.into_iter();
    let bytes = match form {
        Form::Array => messages.map(Planned::item).collect::<serde_json::Value>().to_string().into_bytes(),
        Form::Lines => messages.flat_map(|message| format!("{}\n", message.item()).into_bytes()).collect(),
        Form::Cbor => messages.flat_map(cbor).collect(),
    };
    if !is_gzipped {
        return bytes;
    }
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    // Writing to memory does not fail.
    let _ = gzip.write_all(&bytes);
    gzip.finish().unwrap_or_default()
}

fn cbor(message: &Planned) -> Vec<u8> {
    let text = |name: &str, value: &str| (Cbor::from(name), Cbor::from(value));
    let item = Cbor::Map(vec![
        text("deviceId", &message.device),
        text("facility", &message.facility),
        text("kind", message.kind),
        (Cbor::from("payload"), Cbor::Bytes(message.payload.clone())),
    ]);
    let mut bytes = Vec::new();
    let _ = ciborium::into_writer(&item, &mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traffic::{Family, Fleet, Settings};

    #[test]
    fn a_batch_has_its_messages_in_every_form() {
        let mut fleet = Fleet::new(Settings { seed: 1, devices: 40 });
        let messages: Vec<_> = (0..3).filter_map(|_| fleet.calm(Family::Facility, 1_795_218_892_020)).collect();
        assert_eq!(batch(&messages, Form::Lines, false).split(|byte| *byte == b'\n').count(), 3 + 1);
        let array: serde_json::Value = serde_json::from_slice(&batch(&messages, Form::Array, false)).unwrap();
        assert_eq!(array[2]["deviceId"], messages[2].device);
        let cbor = batch(&messages, Form::Cbor, false);
        let mut rest = cbor.as_slice();
        for message in &messages {
            let item: Cbor = ciborium::from_reader(&mut rest).unwrap();
            assert_eq!(item.as_map().unwrap()[3].1.as_bytes(), Some(&message.payload));
        }
        assert_eq!(rest, b"");
        for form in [Form::Array, Form::Lines, Form::Cbor] {
            assert!(batch(&messages, form, true).starts_with(&[0x1f, 0x8b]));
        }
    }
}
