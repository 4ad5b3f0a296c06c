//! Reads payloads of Sparkplug B as a tree: an object with `timestamp`, `seq` and `metrics`, each of which has `name`,
//! `alias`, `timestamp` and `value`.
//!
//! A birth names metrics and gives them an alias, by which later messages call them: a message is read by itself, so a
//! profile names both (`metrics[name="Temp"]`, `metrics[alias=7]`). Datasets and templates are not read.
//!
//! <https://sparkplug.eclipse.org/specification/version/3.0/documents/sparkplug-specification-3.0.0.pdf>, section 6.4

use super::Node;
use super::protobuf::{Fields, Wire};
use std::borrow::Cow;

type Members = Vec<(Cow<'static, str>, Node<'static>)>;

/// Reads a payload.
pub(super) fn read(payload: &[u8]) -> Result<Node<'static>, String> {
    let (mut members, mut metrics): (Members, _) = (Vec::new(), Vec::new());
    for field in Fields::of(payload) {
        let Ok(field) = field else {
            return Err("it is not a message of protocol buffers, as Sparkplug B is".to_owned());
        };
        match field {
            (1, Wire::Varint(time)) => members.push(("timestamp".into(), Node::Integer(time.into()))),
            (2, Wire::Bytes(metric)) => metrics.push(read_metric(metric)),
            (3, Wire::Varint(number)) => members.push(("seq".into(), Node::Integer(number.into()))),
            (4, Wire::Bytes(text)) => members.push(("uuid".into(), text_of(text))),
            _ => {}
        }
    }
    members.push(("metrics".into(), Node::List(metrics)));
    Ok(Node::Map(members))
}

fn read_metric(metric: &[u8]) -> Node<'static> {
    let (mut members, mut datatype, mut value): (Members, _, _) = (Vec::new(), 0, None);
    for field in Fields::of(metric) {
        let Ok(field) = field else { return Node::Bad("a metric that is cut") };
        match field {
            (1, Wire::Bytes(text)) => members.push(("name".into(), text_of(text))),
            (2, Wire::Varint(alias)) => members.push(("alias".into(), Node::Integer(alias.into()))),
            (3, Wire::Varint(time)) => members.push(("timestamp".into(), Node::Integer(time.into()))),
            (4, Wire::Varint(number)) => datatype = number,
            (7, Wire::Varint(1)) => value = Some(Node::Null),
            (10 | 11, Wire::Varint(number)) => value = Some(Node::Integer(number.into())),
            (12, Wire::Fixed32(bits)) => value = Some(Node::Number(f32::from_bits(bits).into())),
            (13, Wire::Fixed64(bits)) => value = Some(Node::Number(f64::from_bits(bits))),
            (14, Wire::Varint(number)) => value = Some(Node::Boolean(number != 0)),
            (15, Wire::Bytes(text)) => value = Some(text_of(text)),
            (16, Wire::Bytes(bytes)) => value = Some(Node::Bytes(bytes.to_vec())),
            (17, _) => value = Some(Node::Bad("a dataset")),
            (18, _) => value = Some(Node::Bad("a template")),
            _ => {}
        }
    }
    if let Some(value) = value {
        members.push(("value".into(), signed(value, datatype)));
    }
    Node::Map(members)
}

/// Integers below zero are sent as unsigned numbers of 32 or 64 bits; the type says which (1 to 4: Int8 to Int64).
fn signed(value: Node<'static>, datatype: u64) -> Node<'static> {
    match (value, datatype) {
        (Node::Integer(number), 1..=3) => Node::Integer((number as u32 as i32).into()),
        (Node::Integer(number), 4) => Node::Integer((number as u64 as i64).into()),
        (value, _) => value,
    }
}

fn text_of(bytes: &[u8]) -> Node<'static> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Node::Text(Cow::Owned(text.to_owned())),
        Err(_) => Node::Bad("a text that is not UTF-8"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(number: u8, content: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, content.len() as u8][..], content].concat()
    }

    #[test]
    fn metrics_have_names_aliases_times_and_values_of_their_type() {
        // Int16 -5 as Sparkplug sends it: the two's complement of 32 bits.
        let temperature =
            [bytes(1, b"Temp"), vec![0x10, 7, 0x18, 0x80, 0x01, 0x20, 2, 0x50, 0xfb, 0xff, 0xff, 0xff, 0x0f]].concat();
        let float = [vec![0x10, 8, 0x20, 9, 0x65], 21.5_f32.to_le_bytes().to_vec()].concat();
        let null = vec![0x10, 9, 0x20, 9, 0x38, 1];
        let payload =
            [vec![0x08, 0x80, 0x01], bytes(2, &temperature), bytes(2, &float), bytes(2, &null), vec![0x18, 4]].concat();
        let integer = |number: i128| Node::Integer(number);
        assert_eq!(
            read(&payload).unwrap(),
            Node::Map(vec![
                ("timestamp".into(), integer(128)),
                ("seq".into(), integer(4)),
                (
                    "metrics".into(),
                    Node::List(vec![
                        Node::Map(vec![
                            ("name".into(), Node::Text("Temp".into())),
                            ("alias".into(), integer(7)),
                            ("timestamp".into(), integer(128)),
                            ("value".into(), integer(-5)),
                        ]),
                        Node::Map(vec![("alias".into(), integer(8)), ("value".into(), Node::Number(21.5))]),
                        Node::Map(vec![("alias".into(), integer(9)), ("value".into(), Node::Null)]),
                    ])
                ),
            ])
        );
    }

    #[test]
    fn a_metric_that_is_cut_costs_itself_and_other_bytes_are_an_error() {
        let payload = [bytes(2, &[0x0a, 9, b'x']), bytes(2, &[0x10, 1])].concat();
        let Node::Map(members) = read(&payload).unwrap() else { panic!("not a map") };
        let Node::List(metrics) = &members[0].1 else { panic!("not a list") };
        assert_eq!(metrics[0], Node::Bad("a metric that is cut"));
        assert_eq!(metrics.len(), 2);
        assert!(read(b"{\"a\":1}").is_err());
    }
}
