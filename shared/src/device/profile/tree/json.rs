//! Parses the simple JSON that devices usually send, faster than `serde_json` does: texts without escapes, numbers of
//! few digits, little nesting.
//!
//! [`Node::json`](super::Node::json) passes everything else to `serde_json`. So only `serde_json` decides what is JSON,
//! and says what is wrong with it.

use super::Node;
use std::borrow::Cow;

/// Deeper nesting is left to `serde_json`.
const MAX_DEPTH: usize = 16;
/// The greatest number of digits of a number. A whole number of so many digits is exact in 64 bits and in a double, and
/// dividing it by a power of ten up to this one rounds only once.
const MAX_DIGITS: usize = 15;
const POWERS_OF_TEN: [f64; MAX_DIGITS + 1] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
/// The number of members for which memory is reserved at first.
const MEMBERS: usize = 8;

/// Parses a payload. Returns `None` if it is not JSON, or not as simple as this parser needs.
pub(super) fn read(payload: &[u8]) -> Option<Node<'_>> {
    let mut reader = Reader { text: std::str::from_utf8(payload).ok()?, at: 0 };
    let node = reader.value(MAX_DEPTH)?;
    (reader.peek().is_none()).then_some(node)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    /// Skips white space, and returns the next byte without consuming it.
    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.text.as_bytes().get(self.at)? {
                b' ' | b'\t' | b'\n' | b'\r' => self.at += 1,
                byte => return Some(*byte),
            }
        }
    }

    /// Skips white space, and consumes the next byte if it is `byte`.
    fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn value(&mut self, depth: usize) -> Option<Node<'a>> {
        match self.peek()? {
            b'{' => self.object(depth.checked_sub(1)?),
            b'[' => self.array(depth.checked_sub(1)?),
            b'"' => self.string().map(|text| Node::Text(Cow::Borrowed(text))),
            b't' => self.word("true", Node::Boolean(true)),
            b'f' => self.word("false", Node::Boolean(false)),
            b'n' => self.word("null", Node::Null),
            _ => self.number(),
        }
    }

    fn object(&mut self, depth: usize) -> Option<Node<'a>> {
        self.at += 1;
        if self.take(b'}') {
            return Some(Node::Map(Vec::new()));
        }
        let mut members = Vec::with_capacity(MEMBERS);
        loop {
            self.peek().filter(|byte| *byte == b'"')?;
            let key = self.string()?;
            if !self.take(b':') {
                return None;
            }
            members.push((Cow::Borrowed(key), self.value(depth)?));
            if !self.take(b',') {
                return self.take(b'}').then_some(Node::Map(members));
            }
        }
    }

    fn array(&mut self, depth: usize) -> Option<Node<'a>> {
        self.at += 1;
        if self.take(b']') {
            return Some(Node::List(Vec::new()));
        }
        let mut items = Vec::new();
        loop {
            items.push(self.value(depth)?);
            if !self.take(b',') {
                return self.take(b']').then_some(Node::List(items));
            }
        }
    }

    /// Reads the text after a quotation mark, if it has no escapes.
    fn string(&mut self) -> Option<&'a str> {
        let from = self.at + 1;
        let rest = &self.text.as_bytes()[from..];
        let length = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..b' '))?;
        self.at = from + length + 1;
        (rest[length] == b'"').then(|| &self.text[from..from + length])
    }

    fn word(&mut self, word: &str, node: Node<'a>) -> Option<Node<'a>> {
        let is_there = self.text.as_bytes()[self.at..].starts_with(word.as_bytes());
        self.at += word.len();
        is_there.then_some(node)
    }

    /// Reads a whole number, or one with decimals and without an exponent.
    fn number(&mut self) -> Option<Node<'a>> {
        let is_negative = self.take(b'-');
        let from = self.at;
        let whole = self.digits(0);
        let digits = self.at - from;
        // JSON does not allow a leading zero.
        if digits == 0 || digits > 1 && self.text.as_bytes()[from] == b'0' {
            return None;
        }
        let (mut number, mut decimals) = (whole, None);
        if self.text.as_bytes().get(self.at) == Some(&b'.') {
            self.at += 1;
            let from = self.at;
            number = self.digits(whole);
            decimals = Some(self.at - from).filter(|count| *count > 0);
            decimals?;
        }
        let has_exponent = matches!(self.text.as_bytes().get(self.at), Some(b'e' | b'E'));
        if has_exponent || digits + decimals.unwrap_or(0) > MAX_DIGITS {
            return None;
        }
        Some(match decimals {
            // Minus zero is a float, and left to `serde_json`.
            None if is_negative && number == 0 => return None,
            None if is_negative => Node::Integer(-i128::from(number)),
            None => Node::Integer(number.into()),
            Some(decimals) => {
                let float = number as f64 / POWERS_OF_TEN[decimals];
                Node::Number(if is_negative { -float } else { float })
            }
        })
    }

    /// Consumes digits, and appends them to `number`. With too many digits the result is arbitrary.
    fn digits(&mut self, mut number: u64) -> u64 {
        while let Some(digit @ b'0'..=b'9') = self.text.as_bytes().get(self.at) {
            number = number.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
            self.at += 1;
        }
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Texts of random tokens, most of which are nearly JSON.
    fn nearly_json() -> impl Strategy<Value = String> {
        let token = prop_oneof![
            prop::sample::select(vec![
                "{",
                "}",
                "[",
                "]",
                ",",
                ":",
                "{\"a\":",
                "\"a\":",
                "\"b\"",
                "true",
                "false",
                "null",
                " ",
                "\n",
                "-0",
                "0",
                "-",
                ".",
                "1.",
                "01",
                "1e3",
                "1.5E-2",
                "\"",
                "\"\\n\"",
                "\"\\u00e9\"",
                "\"é\"",
                "\u{0}",
                "nul",
                "123456789012345",
                "0.123456789012345",
                "1234567890123456",
                "18446744073709551615",
                "-9223372036854775808",
                "-1",
            ])
            .prop_map(str::to_owned),
            any::<f64>().prop_map(|number| number.to_string()),
            (-1e6..1e6_f64, 0..6_usize).prop_map(|(number, decimals)| format!("{number:.decimals$}")),
            any::<i64>().prop_map(|number| number.to_string()),
        ];
        prop::collection::vec(token, 0..12).prop_map(|tokens| tokens.concat())
    }

    /// Trees with everything that JSON can express.
    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            (-100_000..100_000_i64).prop_map(Into::into),
            (-1e4..1e4_f64).prop_map(|number| ((number * 100.0).round() / 100.0).into()),
            any::<f64>().prop_map(Into::into),
            ".{0,8}".prop_map(Into::into),
        ];
        leaf.prop_recursive(5, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
                prop::collection::hash_map(".{0,4}", inner, 0..5)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn json_is_parsed_as_serde_json_parses_it_or_left_to_it(value in json(), pretty: bool) {
            let text = if pretty { format!("{value:#}") } else { value.to_string() };
            if let Some(node) = read(text.as_bytes()) {
                prop_assert_eq!(Node::parse_json(text.as_bytes()), Ok(node));
            }
        }

        #[test]
        fn what_is_nearly_json_is_parsed_as_serde_json_parses_it_or_left_to_it(text in nearly_json()) {
            if let Some(node) = read(text.as_bytes()) {
                prop_assert_eq!(Node::parse_json(text.as_bytes()), Ok(node), "{}", text);
            }
        }

        #[test]
        fn any_bytes_are_parsed_as_serde_json_parses_them_or_left_to_it(bytes: Vec<u8>) {
            if let Some(node) = read(&bytes) {
                prop_assert_eq!(Node::parse_json(&bytes), Ok(node));
            }
        }
    }

    #[test]
    fn the_fast_parser_understands_what_devices_send() {
        for payload in [
            r#"{"id":"m1","ts":1795218892,"vital":{"hr":61,"spo2":"97","temp":98.2}}"#,
            "\n{ \"s\" : [ {\"t\": 1795218890000, \"v\": -0.5} , true , null, false, {}, [ ] ] }\r\n",
        ] {
            assert_eq!(read(payload.as_bytes()), Some(Node::parse_json(payload.as_bytes()).unwrap()), "{payload}");
        }
    }

    #[test]
    fn a_key_that_occurs_twice_is_kept_twice_in_its_order() {
        let payload = br#"{"a":1,"a":2}"#;
        assert_eq!(read(payload), Some(Node::parse_json(payload).unwrap()));
    }

    #[test]
    fn json_that_is_not_simple_is_left_to_serde_json() {
        let deep = format!("{}1{}", "[".repeat(17), "]".repeat(17));
        for payload in ["-0", "1e3", "1234567890123456", "0.1234567890123456", r#""\u0061""#, &deep] {
            assert_eq!(read(payload.as_bytes()), None, "{payload}");
            assert!(Node::parse_json(payload.as_bytes()).is_ok(), "{payload}");
        }
    }
}
