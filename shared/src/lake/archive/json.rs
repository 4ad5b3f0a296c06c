//! Decides which records a line of the lake embeds as JSON; it keeps all others as base64.
//!
//! The lake keeps a record's exact bytes, and has many readers. One cuts the raw text out of the line, another parses
//! the line and serializes the value again. Both must get the same bytes. So a line embeds a record only if it is JSON
//! in canonical form: what a compact writer produces that keeps the order of members and writes the shortest digits of
//! a number. In this form there is no space between tokens (and so no line break), no name occurs twice in an object, even
//! in another case (DuckDB and Spark take `a` and `A` for one column), no escape is unnecessary, and every number is exactly what a double holds, without an exponent.

use std::collections::HashSet;

/// Values that nest deeper are kept as base64, because parsers have limits. The lowest one in use is a hundred levels.
const DEPTH_MAX: usize = 64;
/// A double holds any number of this many digits.
const DIGITS_MAX: usize = 15;
/// With more digits before the point, some writer uses an exponent.
const WHOLE_DIGITS_MAX: usize = 7;
/// With more zeros after the point of a number below one, some writer uses an exponent.
const ZEROS_MAX: usize = 2;

/// Up to this many names of an object are compared pair by pair, which takes less time than to sort them.
const FEW_NAMES: usize = 12;

/// Recognises canonical JSON. From one record to the next it keeps its allocation, and nothing else.
#[derive(Debug, Default)]
pub(super) struct Canonical {
    /// The names of the open objects, outermost first: where each begins in the record, and its length.
    names: Vec<(usize, usize)>,
}

impl Canonical {
    /// Whether `record` is JSON that a reader can parse and serialize again to the same bytes.
    pub(super) fn is(&mut self, record: &[u8]) -> bool {
        // One pass for both, which the compiler vectorises. No token of the canonical form has a byte below a space.
        let (least, all) = record.iter().fold((u8::MAX, 0), |(least, all), &byte| (byte.min(least), all | byte));
        let text = least >= b' ' && (all.is_ascii() || std::str::from_utf8(record).is_ok());
        // Many readers cannot distinguish a member that is null from one that is absent.
        if !text || record == b"null" {
            return false;
        }
        self.names.clear();
        let mut scanner = Scanner { record, rest: record, names: &mut self.names, is_ascii: all.is_ascii() };
        scanner.value(0).is_some() && scanner.rest.is_empty()
    }
}

/// Reads a text without control characters. Each method reads one element, or returns `None` if the element is not
/// there in its canonical form.
struct Scanner<'a> {
    record: &'a [u8],
    rest: &'a [u8],
    names: &'a mut Vec<(usize, usize)>,
    is_ascii: bool,
}

impl<'a> Scanner<'a> {
    fn value(&mut self, depth: usize) -> Option<()> {
        match self.rest.first()? {
            b'{' if depth < DEPTH_MAX => self.object(depth + 1),
            b'[' if depth < DEPTH_MAX => self.array(depth + 1),
            b'"' => self.string().map(|_| ()),
            b't' => self.literal(b"true"),
            b'f' => self.literal(b"false"),
            b'n' => self.literal(b"null"),
            _ => self.number(),
        }
    }

    fn literal(&mut self, literal: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(literal)?;
        Some(())
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.rest.first() == Some(&byte);
        if found {
            self.rest = &self.rest[1..];
        }
        found
    }

    fn object(&mut self, depth: usize) -> Option<()> {
        self.rest = &self.rest[1..];
        if self.eat(b'}') {
            return Some(());
        }
        let outer = self.names.len();
        loop {
            let begin = self.record.len() - self.rest.len() + 1;
            let name = self.string()?;
            self.names.push((begin, name.len()));
            self.literal(b":")?;
            self.value(depth)?;
            if !self.eat(b',') {
                break;
            }
        }
        self.literal(b"}")?;
        let unique = self.all_differ(outer);
        self.names.truncate(outer);
        unique.then_some(())
    }

    /// Whether the names of the innermost object, which begin at `outer`, all differ, also in lower case. With canonical
    /// escapes, two names are equal exactly if their bytes are.
    fn all_differ(&mut self, outer: usize) -> bool {
        let record = self.record;
        let name = |&(begin, len): &(usize, usize)| &record[begin..begin + len];
        let names = &mut self.names[outer..];
        if !self.is_ascii && !names.iter().all(|it| name(it).is_ascii()) {
            let mut lower = HashSet::with_capacity(names.len());
            return names.iter().all(|it| lower.insert(String::from_utf8_lossy(name(it)).to_lowercase()));
        }
        if names.len() <= FEW_NAMES {
            let differs = |one: &(usize, usize), other: &(usize, usize)| !name(one).eq_ignore_ascii_case(name(other));
            return (1..names.len()).all(|end| names[..end].iter().all(|other| differs(other, &names[end])));
        }
        let lower = |it: &(usize, usize)| name(it).iter().map(u8::to_ascii_lowercase);
        names.sort_unstable_by(|one, other| lower(one).cmp(lower(other)));
        names.windows(2).all(|pair| lower(&pair[0]).ne(lower(&pair[1])))
    }

    fn array(&mut self, depth: usize) -> Option<()> {
        self.rest = &self.rest[1..];
        if self.eat(b']') {
            return Some(());
        }
        loop {
            self.value(depth)?;
            if !self.eat(b',') {
                return self.literal(b"]");
            }
        }
    }

    /// Reads a string. Returns its bytes without the quotes.
    fn string(&mut self) -> Option<&'a [u8]> {
        let text = self.rest.strip_prefix(b"\"")?;
        let mut at = 0;
        loop {
            at += unescaped_len(&text[at..])?;
            if text[at] == b'"' {
                break;
            }
            at += escape_len(&text[at + 1..])? + 1;
        }
        self.rest = &text[at + 1..];
        Some(&text[..at])
    }

    fn digits(&mut self) -> &'a [u8] {
        let count = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.rest.split_at(count);
        self.rest = rest;
        digits
    }

    /// Reads a number without an exponent. An exponent is left unread, and then fails as the next token.
    fn number(&mut self) -> Option<()> {
        let negative = self.eat(b'-');
        let whole = self.digits();
        let zero = whole == b"0";
        if whole.is_empty() || whole[0] == b'0' && !zero {
            return None;
        }
        if !self.eat(b'.') {
            return (whole.len() <= DIGITS_MAX && !(negative && zero)).then_some(());
        }
        let fraction = self.digits();
        let zeros = fraction.iter().take_while(|&&digit| digit == b'0').count();
        // Fifteen digits identify one double, and no shorter number identifies the same one. Most writers write a whole
        // double as `1.0`.
        let shortest = whole.len() + fraction.len() <= DIGITS_MAX
            && (fraction == b"0" || fraction.last().is_some_and(|&last| last != b'0'));
        let plain = whole.len() <= WHOLE_DIGITS_MAX && !(zero && zeros > ZEROS_MAX);
        let minus_zero = negative && zero && zeros == fraction.len();
        (shortest && plain && !minus_zero).then_some(())
    }
}

/// How many bytes come before the next quote or backslash; `None` if there is neither.
fn unescaped_len(text: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGH_BITS: u64 = u64::from_le_bytes([0x80; 8]);
    // Eight bytes at a time. `zeros` sets the high bit of each byte that is zero. It may also set the high bits of
    // bytes above the lowest zero byte, so only the lowest one counts.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGH_BITS;
    let mut rest = text;
    while let Some((chunk, after)) = rest.split_first_chunk::<8>() {
        let word = u64::from_le_bytes(*chunk);
        let found = zeros(word ^ (ONES * u64::from(b'"'))) | zeros(word ^ (ONES * u64::from(b'\\')));
        if found != 0 {
            return Some(text.len() - rest.len() + found.trailing_zeros() as usize / 8);
        }
        rest = after;
    }
    let within = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
    Some(text.len() - rest.len() + within)
}

/// The length of a necessary escape, without its backslash.
fn escape_len(rest: &[u8]) -> Option<usize> {
    match *rest {
        [b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't', ..] => Some(1),
        // Control characters without a short form.
        [b'u', b'0', b'0', b'0', b'0'..=b'7' | b'b' | b'e' | b'f', ..]
        | [b'u', b'0', b'0', b'1', b'0'..=b'9' | b'a'..=b'f', ..] => Some(5),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn is_canonical(record: &[u8]) -> bool {
        Canonical::default().is(record)
    }

    #[test]
    fn json_of_compact_writers_is_canonical() {
        for good in [
            "{}",
            "[]",
            "\"\"",
            "0",
            "-1",
            "36.6",
            "1.0",
            "0.0",
            "0.001",
            "999999999999999",
            "9999999.5",
            "true",
            r#"{"a":1,"b":[null,false,{"a":"脈"}],"c":"\"\\\b\f\n\r\t\u0000\u000b\u001f/"}"#,
        ] {
            assert!(is_canonical(good.as_bytes()), "{good}");
        }
    }

    #[test]
    fn json_that_some_reader_would_serialize_differently_is_not_canonical() {
        for bad in [
            // White space between tokens or around the value.
            " {}",
            "{} ",
            "{}\n",
            "[1, 2]",
            "{\"a\": 1}",
            "{\"a\":\r1}",
            // Names that occur twice, of which a reader keeps one.
            r#"{"a":1,"a":2}"#,
            r#"{"a":{"b":1,"c":2,"b":3}}"#,
            // Names that some readers take for the same.
            r#"{"hr":1,"HR":2}"#,
            r#"{"É":1,"é":2}"#,
            "{\"k\":1,\"\u{212a}\":2}",
            // Escapes that are unnecessary, have another spelling, or are half a character.
            r#""\/""#,
            r#""\u0041""#,
            r#""\u001F""#,
            r#""\u000a""#,
            r#""\ud800""#,
            "\"a\tb\"",
            // Numbers that a double does not hold, or that have a shorter or another form.
            "-0",
            "-0.0",
            "1.50",
            "1.",
            ".5",
            "01",
            "+1",
            "1e3",
            "1E3",
            "1.5e3",
            "0.0001",
            "10000000.5",
            "1000000000000000",
            "0.1234567890123456",
            "NaN",
            "Infinity",
            "-",
            // `null`, which looks like an absent member, and texts that are not JSON.
            "null",
            "",
            "{",
            "}",
            "[1,]",
            "{\"a\"}",
            "{\"a\":}",
            "{,}",
            "{1:2}",
            "nul",
            "truefalse",
            "\"",
            "\"\\",
        ] {
            assert!(!is_canonical(bad.as_bytes()), "{bad}");
        }
        assert!(!is_canonical(b"\"\xFF\""));
    }

    #[test]
    fn duplicate_names_are_detected_among_few_and_many() {
        for count in [2, FEW_NAMES, FEW_NAMES + 1, 40] {
            let object = |names: &[usize]| {
                let members: Vec<_> = names.iter().map(|name| format!("\"name-{name}\":{{\"name-0\":0}}")).collect();
                format!("{{{}}}", members.join(","))
            };
            let mut names: Vec<_> = (0..count).collect();
            assert!(is_canonical(object(&names).as_bytes()), "{count}");
            let in_capitals = object(&names).replace(&format!("name-{}\"", count - 1), "NAME-0\"");
            assert!(!is_canonical(in_capitals.as_bytes()), "{count}");
            names[count - 1] = 0;
            assert!(!is_canonical(object(&names).as_bytes()), "{count}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(is_canonical(nested(DEPTH_MAX).as_bytes()));
        assert!(!is_canonical(nested(DEPTH_MAX + 1).as_bytes()));
        assert!(!is_canonical("[".repeat(1_000_000).as_bytes()));
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-1_000_000..1_000_000_i64).prop_map(|n| Value::from(n as f64 / 1_000.0)),
            any::<f64>().prop_map(Value::from),
            "[a-c\"\\\\\u{0}-\u{20}\u{7f}脈]{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map("[a-e]{1,2}", inner, 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        // `serde_json` sorts members, and these values are sorted: so it writes what a writer that keeps the order
        // does.
        #[test]
        fn canonical_json_parses_and_serializes_to_the_same_bytes(value in json(), spoil in prop::option::of(any::<(prop::sample::Index, u8)>())) {
            let mut text = value.to_string().into_bytes();
            if let Some((at, byte)) = spoil {
                let at = at.index(text.len());
                text[at] = byte;
            }
            if is_canonical(&text) {
                let parsed: Value = serde_json::from_slice(&text).unwrap();
                let mut again = parsed.to_string().into_bytes();
                // A changed byte in a name may have changed the order.
                if again.len() == text.len() && spoil.is_some() {
                    again.sort_unstable();
                    text.sort_unstable();
                }
                prop_assert_eq!(again, text);
            }
        }

        #[test]
        fn a_compact_message_is_canonical(name in "[a-z]{1,8}", number in -999_999..999_999_i32, text in "\\PC{0,20}") {
            let message = serde_json::json!({ name: f64::from(number) / 10.0, "text": text, "n": number });
            prop_assert!(is_canonical(message.to_string().as_bytes()), "{}", message);
        }

        #[test]
        fn a_search_by_eight_bytes_finds_what_a_search_by_one_finds(text in "[\"\\\\!#a\u{0}\u{80}-\u{ff}脈]{0,40}") {
            let one_at_a_time = text.bytes().position(|byte| matches!(byte, b'"' | b'\\'));
            prop_assert_eq!(unescaped_len(text.as_bytes()), one_at_a_time);
        }

        #[test]
        fn the_previous_record_does_not_influence_the_next(first in "[\\[\\]{}:,\"a0-9]{0,24}", second in json()) {
            let mut canonical = Canonical::default();
            canonical.is(first.as_bytes());
            let second = second.to_string();
            prop_assert_eq!(canonical.is(second.as_bytes()), is_canonical(second.as_bytes()));
        }

        #[test]
        fn arbitrary_text_never_panics(text in "[\\[\\]{}:,\"\\\\a0-9.eE+-]{0,24}") {
            if is_canonical(text.as_bytes()) {
                prop_assert!(serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok());
            }
        }
    }
}
