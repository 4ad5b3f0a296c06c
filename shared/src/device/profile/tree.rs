//! Parses payloads of many formats into the same tree, so that paths and fields do not depend on the format.
//!
//! The tree borrows the texts of a JSON payload where possible.

mod cayenne;
mod csv;
mod influx;
mod json;
mod msgpack;
mod nmea;
mod protobuf;
mod senml;
mod sparkplug;

use super::document::{CsvDocument, Format};
use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

/// How deep a payload may nest.
const MAX_DEPTH: usize = 128;
/// The greatest number of lines that are read: one more than the values that are read of a message, so that it shows.
const MAX_LINES: usize = 10_001;
/// The greatest number of elements for which memory is reserved before they are read. A CBOR header can claim any
/// number.
const MAX_RESERVED: usize = 64;

/// A value of JSON or CBOR.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node<'a> {
    Null,
    Boolean(bool),
    Integer(i128),
    Number(f64),
    /// A number of JSON, by its own digits because a double has fewer.
    Digits(&'a str),
    Text(Cow<'a, str>),
    Bytes(Vec<u8>),
    List(Vec<Self>),
    /// Keys are texts. An integer key of CBOR becomes its decimal digits. Another key is [`ODD_KEY`], which no path names.
    Map(Vec<(Cow<'a, str>, Self)>),
    /// Something else where a value should be, in words.
    Bad(&'static str),
}

/// Stands for a key that is not a text. A path has no control characters.
const ODD_KEY: &str = "\0";

impl<'a> Node<'a> {
    /// Whether an object in it has a key that no path can name. Only asked where something is missing.
    pub(super) fn has_odd_key(&self) -> bool {
        match self {
            Self::Map(members) => members.iter().any(|(key, value)| key == ODD_KEY || value.has_odd_key()),
            Self::List(items) => items.iter().any(Self::has_odd_key),
            _ => false,
        }
    }

    /// Parses a payload of any format that has a tree, or says in words why it is not of that format.
    pub(super) fn parse(format: Format, csv: CsvDocument, payload: &'a [u8]) -> Result<Self, String> {
        match format {
            Format::Json => Self::json(payload),
            Format::Cbor => Node::cbor(payload),
            Format::Msgpack => msgpack::read(payload),
            Format::Senml => Self::json(payload).and_then(senml::resolve),
            Format::SenmlCbor => Node::cbor(payload).and_then(senml::resolve),
            Format::Sparkplug => sparkplug::read(payload),
            Format::CayenneLpp => cayenne::read(payload),
            Format::Nmea => nmea::read(payload),
            Format::Csv => csv::read(payload, csv),
            Format::LineProtocol => influx::read(payload),
            Format::Binary | Format::Text => Err("it has no tree".to_owned()),
        }
    }

    /// Parses JSON, or says in words why the payload is not JSON.
    pub(super) fn json(payload: &'a [u8]) -> Result<Self, String> {
        json::read(payload)
    }

    /// The kind of value, for error messages.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean(_) => "a boolean",
            Self::Integer(_) | Self::Number(_) | Self::Digits(_) => "a number",
            Self::Text(_) => "a text",
            Self::Bytes(_) => "a byte string",
            Self::List(_) => "an array",
            Self::Map(_) => "an object",
            Self::Bad(what) => what,
        }
    }
}

impl Node<'static> {
    /// Parses one item of CBOR, or says in words why the payload is not one.
    pub(super) fn cbor(mut payload: &[u8]) -> Result<Self, String> {
        let Owned(node) = ciborium::de::from_reader_with_recursion_limit(&mut payload, MAX_DEPTH).map_err(|error| {
            let why = match error {
                ciborium::de::Error::Io(_) => "it ends within an item".to_owned(),
                ciborium::de::Error::Syntax(at) => format!("no item begins at byte {at}"),
                ciborium::de::Error::Semantic(_, why) => why,
                ciborium::de::Error::RecursionLimitExceeded => format!("it nests deeper than {MAX_DEPTH}"),
            };
            format!("it is not CBOR: {why}")
        })?;
        // Devices send buffers of a fixed length.
        let is_padding = payload.iter().all(|byte| *byte == 0);
        if is_padding { Ok(node) } else { Err(format!("the CBOR item is followed by {} bytes", payload.len())) }
    }
}

/// A tree that borrows nothing, as `ciborium` requires.
struct Owned(Node<'static>);

impl<'de> serde::Deserialize<'de> for Owned {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Seed::new(|text: &'de str| Cow::Owned(text.to_owned())).deserialize(deserializer).map(Self)
    }
}

/// Builds a tree. `keep` borrows or copies a text that lives as long as the input, `'de`.
struct Seed<'a, F> {
    keep: F,
    node: PhantomData<Node<'a>>,
}

impl<F: Clone> Clone for Seed<'_, F> {
    fn clone(&self) -> Self {
        Self { keep: self.keep.clone(), node: PhantomData }
    }
}

impl<'a, F> Seed<'a, F> {
    fn new<'de>(keep: F) -> Self
    where
        F: Fn(&'de str) -> Cow<'a, str> + Clone,
    {
        Self { keep, node: PhantomData }
    }
}

impl<'de, 'a, F: Fn(&'de str) -> Cow<'a, str> + Clone> DeserializeSeed<'de> for Seed<'a, F> {
    type Value = Node<'a>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node<'a>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, 'a, F: Fn(&'de str) -> Cow<'a, str> + Clone> Visitor<'de> for Seed<'a, F> {
    type Value = Node<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Node<'a>, E> {
        Ok(Node::Null)
    }

    fn visit_none<E>(self) -> Result<Node<'a>, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node<'a>, E> {
        Ok(Node::Boolean(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node<'a>, E> {
        Ok(Node::Integer(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node<'a>, E> {
        Ok(Node::Integer(value.into()))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Node<'a>, E> {
        Ok(value.try_into().map_or(Node::Bad("an integer of more than 127 bits"), Node::Integer))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Node<'a>, E> {
        Ok(Node::Integer(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node<'a>, E> {
        Ok(Node::Number(value))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Node<'a>, E> {
        Ok(Node::Text((self.keep)(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Node<'a>, E> {
        Ok(Node::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_string<E>(self, text: String) -> Result<Node<'a>, E> {
        Ok(Node::Text(Cow::Owned(text)))
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Node<'a>, E> {
        Ok(Node::Bytes(bytes.to_vec()))
    }

    fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Node<'a>, E> {
        Ok(Node::Bytes(bytes))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node<'a>, A::Error> {
        let mut items = Vec::with_capacity(seq.size_hint().unwrap_or(0).min(MAX_RESERVED));
        while let Some(item) = seq.next_element_seed(self.clone())? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node<'a>, A::Error> {
        let mut entries = Vec::with_capacity(map.size_hint().unwrap_or(0).min(MAX_RESERVED));
        while let Some(key) = map.next_key_seed(self.clone())? {
            let value = map.next_value_seed(self.clone())?;
            match key {
                Node::Text(key) => entries.push((key, value)),
                Node::Integer(key) => entries.push((Cow::Owned(key.to_string()), value)),
                _ => entries.push((Cow::Borrowed(ODD_KEY), value)),
            }
        }
        Ok(Node::Map(entries))
    }

    /// Reads a tagged item of CBOR (RFC 8949, 3.4), which `ciborium` presents as an enum. The tag is ignored.
    fn visit_enum<A: EnumAccess<'de>>(self, tagged: A) -> Result<Node<'a>, A::Error> {
        let (_, variant) = tagged.variant::<serde::de::IgnoredAny>()?;
        variant.tuple_variant(2, Tagged(self))
    }
}

/// Reads the tag's number, which is ignored, and the item.
struct Tagged<'a, F>(Seed<'a, F>);

impl<'de, 'a, F: Fn(&'de str) -> Cow<'a, str> + Clone> Visitor<'de> for Tagged<'a, F> {
    type Value = Node<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a tagged item")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node<'a>, A::Error> {
        let missing = || A::Error::custom("a tag has no item");
        seq.next_element::<u64>()?.ok_or_else(missing)?;
        seq.next_element_seed(self.0)?.ok_or_else(missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Any tree that both formats can express.
    fn trees() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<u64>().prop_map(Into::into),
            ".{0,12}".prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
                prop::collection::hash_map("[a-z]{1,4}", inner, 0..6)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    fn cbor(value: &impl serde::Serialize) -> Vec<u8> {
        let mut bytes = Vec::new();
        ciborium::into_writer(value, &mut bytes).unwrap();
        bytes
    }

    proptest! {
        #[test]
        fn json_and_cbor_of_the_same_value_give_the_same_tree(value in trees()) {
            let text = serde_json::to_vec(&value).unwrap();
            prop_assert_eq!(Node::json(&text).unwrap(), Node::cbor(&cbor(&value)).unwrap());
        }

        #[test]
        fn a_cbor_item_that_is_cut_anywhere_is_an_error(value in trees(), share in 0.0..1.0_f64) {
            let bytes = cbor(&value);
            let end = (bytes.len() as f64 * share) as usize;
            prop_assert!(Node::cbor(&bytes[..end]).is_err());
        }

        #[test]
        fn any_bytes_give_a_tree_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = Node::cbor(&bytes);
            let _ = Node::json(&bytes);
        }
    }

    #[test]
    fn tags_are_ignored_and_integer_keys_become_their_digits() {
        // {1: 1(1700000000), -2: h'01'}
        let bytes = [0xa2, 0x01, 0xc1, 0x1a, 0x65, 0x53, 0xf1, 0x00, 0x21, 0x41, 0x01];
        let node = Node::cbor(&bytes).unwrap();
        assert_eq!(
            node,
            Node::Map(vec![("1".into(), Node::Integer(1_700_000_000)), ("-2".into(), Node::Bytes(vec![1]))])
        );
    }

    #[test]
    fn deep_nesting_is_an_error_in_both_formats() {
        let problem = Node::json("[".repeat(100_000).as_bytes()).unwrap_err();
        assert_eq!(problem, "it is not JSON: at byte 128, it nests deeper than 128 levels");
        assert_eq!(Node::cbor(&vec![0x81; 100_000]).unwrap_err(), "it is not CBOR: it nests deeper than 128");
        assert_eq!(Node::cbor(&vec![0xc1; 100_000]).unwrap_err(), "it is not CBOR: it nests deeper than 128");
    }

    #[test]
    fn a_length_that_a_header_claims_reserves_no_memory() {
        let claims = [0x9b, 0x0f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(Node::cbor(&claims).unwrap_err(), "it is not CBOR: it ends within an item");
    }

    #[test]
    fn bytes_after_the_item_are_an_error_unless_they_are_zeros() {
        assert_eq!(Node::cbor(&[0x01, 0x02]).unwrap_err(), "the CBOR item is followed by 1 bytes");
        assert_eq!(Node::cbor(&[0x01, 0, 0, 0]), Ok(Node::Integer(1)));
    }

    #[test]
    fn a_key_that_is_not_a_text_costs_only_its_value() {
        // {1.5: 1, h'01': 2, "b": 7}
        let bytes = [0xa3, 0xf9, 0x3e, 0x00, 0x01, 0x41, 0x01, 0x02, 0x61, b'b', 0x07];
        let odd = |n: i128| (ODD_KEY.into(), Node::Integer(n));
        assert_eq!(Node::cbor(&bytes), Ok(Node::Map(vec![odd(1), odd(2), ("b".into(), Node::Integer(7))])));
    }
}
