//! Parses the JSON that devices send. What is not JSON costs only itself: a word such as `nan`, a text that is not UTF-8, a
//! number such as `01` each become a [`Node::Bad`], and what stands beside them is read.
//!
//! A payload whose objects, arrays and texts do not end is an error.

use super::{MAX_DEPTH, Node, ODD_KEY};
use crate::platform::text::trimmed;
use std::borrow::Cow;

/// The greatest number of digits of a number. A whole number of so many digits is exact in 64 bits and in a double, and
/// dividing it by a power of ten up to this one rounds only once.
const MAX_DIGITS: usize = 15;
const POWERS_OF_TEN: [f64; MAX_DIGITS + 1] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
/// The number of members for which memory is reserved at first.
const MEMBERS: usize = 8;

/// Parses a payload. White space, NULs and a byte order mark around it are ignored.
///
/// # Errors
/// The payload is not JSON, in words that do not show it.
pub(super) fn read(payload: &[u8]) -> Result<Node<'_>, String> {
    let bytes = trimmed(payload);
    let mut reader = Reader { bytes, at: 0 };
    let node = reader.value(MAX_DEPTH)?;
    match (node, reader.peek()) {
        (Node::Bad(what), _) => Err(format!("it is {what}")),
        (node, None) => Ok(node),
        (_, Some(_)) => Err(reader.wrong("something follows the value")),
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Skips white space, and returns the next byte without consuming it.
    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.bytes.get(self.at)? {
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

    fn wrong(&self, what: &str) -> String {
        format!("it is not JSON: at byte {}, {what}", self.at)
    }

    fn value(&mut self, depth: usize) -> Result<Node<'a>, String> {
        match self.peek() {
            None => Err(self.wrong("it ends where a value should be")),
            Some(b'{' | b'[') if depth == 0 => Err(self.wrong(&format!("it nests deeper than {MAX_DEPTH} levels"))),
            Some(b'{') => self.object(depth - 1),
            Some(b'[') => self.array(depth - 1),
            Some(b'"') => Ok(self.string()?.map_or_else(Node::Bad, Node::Text)),
            Some(_) => Ok(self.word()),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Node<'a>, String> {
        self.at += 1;
        let mut members = Vec::with_capacity(MEMBERS);
        while !self.take(b'}') {
            let key = self.key()?;
            if !self.take(b':') {
                return Err(self.wrong("a key has no value"));
            }
            let value = self.value(depth)?;
            let value = self.alone(value);
            members.push((key.unwrap_or(Cow::Borrowed(ODD_KEY)), value));
            if !self.take(b',') && self.peek() != Some(b'}') {
                return Err(self.wrong("an object does not end"));
            }
        }
        Ok(Node::Map(members))
    }

    /// Reads a key. One that is not a text, or a broken one, is `None`: no path can name it.
    fn key(&mut self) -> Result<Option<Cow<'a, str>>, String> {
        match self.peek() {
            None => Err(self.wrong("an object does not end")),
            Some(b'"') => Ok(self.string()?.ok()),
            Some(_) => {
                let rest = &self.bytes[self.at..];
                let end = rest.iter().position(|byte| matches!(byte, b':' | b',' | b'{' | b'}' | b'[' | b']' | b'"'));
                self.at += end.unwrap_or(rest.len());
                Ok(None)
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Node<'a>, String> {
        self.at += 1;
        let mut items = Vec::new();
        while !self.take(b']') {
            let item = self.value(depth)?;
            items.push(self.alone(item));
            if !self.take(b',') && self.peek() != Some(b']') {
                return Err(self.wrong("an array does not end"));
            }
        }
        Ok(Node::List(items))
    }

    /// The value, unless something stands between it and what must follow a value.
    fn alone(&mut self, value: Node<'a>) -> Node<'a> {
        if matches!(self.peek(), None | Some(b',' | b']' | b'}')) {
            return value;
        }
        self.skip_word();
        Node::Bad("a value followed by something else")
    }

    /// Consumes up to what must follow a value.
    fn skip_word(&mut self) -> &'a [u8] {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|byte| matches!(byte, b',' | b'{' | b'}' | b'[' | b']' | b'"'));
        let word = &rest[..end.unwrap_or(rest.len())];
        self.at += word.len();
        word.trim_ascii_end()
    }

    /// Reads the text after a quotation mark, or says what kind of text is not one.
    fn string(&mut self) -> Result<Result<Cow<'a, str>, &'static str>, String> {
        let from = self.at + 1;
        let mut end = from;
        let (mut has_escape, mut has_control) = (false, false);
        loop {
            match self.bytes.get(end) {
                None => return Err(self.wrong("a text does not end")),
                Some(b'"') => break,
                Some(b'\\') => {
                    has_escape = true;
                    end += 1;
                }
                Some(0..b' ') => has_control = true,
                Some(_) => {}
            }
            end += 1;
        }
        self.at = end + 1;
        let Ok(text) = std::str::from_utf8(&self.bytes[from..end]) else { return Ok(Err("a text that is not UTF-8")) };
        Ok(match (has_control, has_escape) {
            (true, _) => Err("a text with a control character"),
            (false, false) => Ok(Cow::Borrowed(text)),
            // An escape for half of a character, or one that JSON does not have.
            (false, true) => serde_json::from_slice::<String>(&self.bytes[from - 1..=end])
                .map(Cow::Owned)
                .map_err(|_| "a text with an escape that stands for no character"),
        })
    }

    /// Reads a number, `true`, `false` or `null`.
    fn word(&mut self) -> Node<'a> {
        let from = self.at;
        if let Some(number) = self.short_number() {
            return number;
        }
        self.at = from;
        match self.skip_word() {
            b"true" => Node::Boolean(true),
            b"false" => Node::Boolean(false),
            b"null" => Node::Null,
            b"" => Node::Bad("nothing where a value should be"),
            word => match std::str::from_utf8(word) {
                Ok(word) => long_number(word).unwrap_or(Node::Bad("a word that is not JSON")),
                Err(_) => Node::Bad("a word that is not JSON"),
            },
        }
    }

    /// Reads a whole number, or one with decimals and without an exponent, if it has few digits.
    fn short_number(&mut self) -> Option<Node<'a>> {
        let is_negative = self.bytes[self.at] == b'-';
        self.at += usize::from(is_negative);
        let from = self.at;
        let whole = self.digits(0);
        let digits = self.at - from;
        // JSON does not allow a leading zero.
        if digits == 0 || digits > 1 && self.bytes[from] == b'0' {
            return None;
        }
        let (mut number, mut decimals) = (whole, None);
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            let from = self.at;
            number = self.digits(whole);
            decimals = Some(self.at - from).filter(|count| *count > 0);
            decimals?;
        }
        let is_end = matches!(self.peek(), None | Some(b',' | b']' | b'}'));
        if !is_end || digits + decimals.unwrap_or(0) > MAX_DIGITS {
            return None;
        }
        Some(match decimals {
            // Minus zero is a float.
            None if is_negative && number == 0 => Node::Number(-0.0),
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
        while let Some(digit @ b'0'..=b'9') = self.bytes.get(self.at) {
            number = number.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
            self.at += 1;
        }
        number
    }
}

/// A number with an exponent, or with many digits, which it keeps. `None` if JSON does not allow it.
fn long_number(word: &str) -> Option<Node<'_>> {
    let unsigned = word.strip_prefix('-').unwrap_or(word);
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).map_or((unsigned, None), |(m, e)| (m, Some(e)));
    let (whole, decimals) = mantissa.split_once('.').map_or((mantissa, None), |(w, d)| (w, Some(d)));
    let are_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_whole = are_digits(whole) && (whole.len() == 1 || !whole.starts_with('0'));
    let exponent_digits = exponent.map(|exponent| exponent.strip_prefix(['+', '-']).unwrap_or(exponent));
    if !is_whole || !decimals.is_none_or(are_digits) || !exponent_digits.is_none_or(are_digits) {
        return None;
    }
    if decimals.is_none() && exponent.is_none() {
        return Some(word.parse().map_or(Node::Digits(word), Node::Integer));
    }
    if whole.len() + decimals.map_or(0, str::len) > MAX_DIGITS {
        return Some(Node::Digits(word));
    }
    word.parse().ok().map(Node::Number)
}

#[cfg(test)]
mod tests {
    use super::super::Seed;
    use super::*;
    use proptest::prelude::*;
    use serde::de::DeserializeSeed;

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
            Just("nan".to_owned()),
            Just("\"\\ud83d\"".to_owned()),
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

    /// The tree with numbers as `serde_json` reads them: in doubles, and wrong by their last digits.
    fn in_doubles(node: Node<'_>) -> Node<'_> {
        let about = |number: f64| Node::Number(f64::from(number as f32));
        match node {
            Node::Digits(digits) => about(digits.parse().unwrap()),
            Node::Number(number) => about(number),
            Node::Integer(number) if u64::try_from(number).is_err() && i64::try_from(number).is_err() => {
                about(number as f64)
            }
            Node::List(items) => Node::List(items.into_iter().map(in_doubles).collect()),
            Node::Map(members) => Node::Map(members.into_iter().map(|(key, value)| (key, in_doubles(value))).collect()),
            node => node,
        }
    }

    /// What `serde_json` makes of the text.
    fn reference(text: &[u8]) -> Option<Node<'_>> {
        let mut json = serde_json::Deserializer::from_slice(text);
        let node = Seed::new(Cow::Borrowed).deserialize(&mut json).ok()?;
        json.end().ok().map(|()| in_doubles(node))
    }

    fn tree(text: &str) -> Node<'_> {
        read(text.as_bytes()).unwrap_or_else(|problem| panic!("{problem}: {text}"))
    }

    proptest! {
        #[test]
        fn json_is_parsed_as_serde_json_parses_it(value in json(), pretty: bool) {
            let text = if pretty { format!("{value:#}") } else { value.to_string() };
            prop_assert_eq!(read(text.as_bytes()).ok().map(in_doubles), reference(text.as_bytes()));
        }

        #[test]
        fn what_is_nearly_json_is_parsed_as_serde_json_parses_it_if_it_is_json(text in nearly_json()) {
            if let Some(node) = reference(text.as_bytes()) {
                prop_assert_eq!(read(text.as_bytes()).map(in_doubles), Ok(node), "{}", text);
            }
            let _ = read(text.as_bytes());
        }

        #[test]
        fn any_bytes_are_parsed_as_serde_json_parses_them_if_they_are_json(bytes: Vec<u8>) {
            if let Some(node) = reference(&bytes) {
                prop_assert_eq!(read(&bytes).map(in_doubles), Ok(node));
            }
            let _ = read(&bytes);
        }

        #[test]
        fn a_bad_word_costs_only_itself(value in json(), word in "[a-zA-Z+.][a-zA-Z0-9.+-]{0,6}") {
            prop_assume!(!matches!(word.as_str(), "true" | "false" | "null"));
            let text = format!("{{\"bad\":{word},\"good\":{value},\"also\":[{word} ,1]}}");
            let Node::Map(members) = tree(&text) else { panic!("{text}") };
            prop_assert_eq!(&members[0].1, &Node::Bad("a word that is not JSON"));
            let value = value.to_string();
            prop_assert_eq!(Some(in_doubles(members[1].1.clone())), reference(value.as_bytes()));
            let also = Node::List(vec![Node::Bad("a word that is not JSON"), Node::Integer(1)]);
            prop_assert_eq!(&members[2].1, &also);
        }
    }

    #[test]
    fn a_number_keeps_the_digits_that_a_double_has_not() {
        for (text, expected) in [
            ("356938035643809000001", Node::Integer(356_938_035_643_809_000_001)),
            ("1795218892.123456789", Node::Digits("1795218892.123456789")),
            ("-1e400", Node::Number(f64::NEG_INFINITY)),
            ("1.5E-2", Node::Number(0.015)),
            ("-0", Node::Number(-0.0)),
        ] {
            assert_eq!(tree(text), expected, "{text}");
        }
        let long = "9".repeat(60);
        assert_eq!(tree(&long), Node::Digits(&long));
    }

    #[test]
    fn what_devices_send_in_place_of_json_costs_only_itself() {
        let values: [(&[u8], &str); 12] = [
            (b"nan", "a word that is not JSON"),
            (b"-Infinity", "a word that is not JSON"),
            (b"01", "a word that is not JSON"),
            (b"1.", "a word that is not JSON"),
            (b"12 bpm", "a word that is not JSON"),
            (b"\xe9t\xe9", "a word that is not JSON"),
            (b"", "nothing where a value should be"),
            (b"\"21 \xb0C\"", "a text that is not UTF-8"),
            (b"\"\\ud83d\"", "a text with an escape that stands for no character"),
            (b"\"\\x41\"", "a text with an escape that stands for no character"),
            (b"\"a\nb\"", "a text with a control character"),
            (b"\"21\" C", "a value followed by something else"),
        ];
        for (value, what) in values {
            let payload = [b"{\"a\": ".as_slice(), value, b", \"b\": 7}"].concat();
            let text = String::from_utf8_lossy(&payload);
            let expected = vec![("a".into(), Node::Bad(what)), ("b".into(), Node::Integer(7))];
            assert_eq!(read(&payload), Ok(Node::Map(expected)), "{text}");
        }
        for payload in [&b"{\"a\xff\": 1, \"b\": 7}"[..], b"{a: 1, \"b\": 7}", b"{1: 1, \"b\": 7,}"] {
            let text = String::from_utf8_lossy(payload);
            let expected = vec![(ODD_KEY.into(), Node::Integer(1)), ("b".into(), Node::Integer(7))];
            assert_eq!(read(payload), Ok(Node::Map(expected)), "{text}");
        }
    }

    #[test]
    fn a_byte_order_mark_white_space_and_nuls_around_a_payload_are_ignored() {
        for payload in ["\u{feff}{\"a\":1}", "{\"a\":1}\0", " \r\n{\"a\":1}\n\0\0 "] {
            assert_eq!(tree(payload), Node::Map(vec![("a".into(), Node::Integer(1))]), "{payload:?}");
        }
    }

    #[test]
    fn a_payload_that_does_not_end_or_goes_on_is_an_error_that_says_where() {
        for (payload, problem) in [
            ("", "it is not JSON: at byte 0, it ends where a value should be"),
            ("{\"a\": 1", "it is not JSON: at byte 7, an object does not end"),
            ("{\"a\"}", "it is not JSON: at byte 4, a key has no value"),
            ("[1, 2", "it is not JSON: at byte 5, an array does not end"),
            ("{\"a\": \"b}", "it is not JSON: at byte 6, a text does not end"),
            ("{\"a\": 1}}", "it is not JSON: at byte 8, something follows the value"),
            ("secret", "it is a word that is not JSON"),
        ] {
            assert_eq!(read(payload.as_bytes()), Err(problem.to_owned()), "{payload}");
        }
    }

    #[test]
    fn a_key_that_occurs_twice_is_kept_twice_in_its_order() {
        let expected = vec![("a".into(), Node::Integer(1)), ("a".into(), Node::Integer(2))];
        assert_eq!(tree(r#"{"a":1,"a":2}"#), Node::Map(expected));
    }
}
