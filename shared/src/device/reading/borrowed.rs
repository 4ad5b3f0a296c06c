//! Parses readings without copying their texts, for functions that read thousands at a time.

use super::{Quality, Value};
use crate::device::event_time::ClockSource;
use memchr::memchr;
use serde::Deserialize;
use std::borrow::Cow;

/// A [`Reading`](super::Reading) that borrows its texts from the bytes of its record. Only its form is checked, not its
/// limits.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BorrowedReading<'a> {
    /// The message's identity and the index of the value in the message.
    #[serde(borrow)]
    pub id: Cow<'a, str>,
    /// The device that measured.
    #[serde(borrow)]
    pub device_id: Cow<'a, str>,
    /// The facility where the device is.
    #[serde(borrow)]
    pub facility: Cow<'a, str>,
    /// The metric, as the profile names it.
    #[serde(borrow)]
    pub metric: Cow<'a, str>,
    /// The value.
    pub value: Value,
    /// The unit of a number; empty where there is none.
    #[serde(borrow, default)]
    pub unit: Cow<'a, str>,
    /// When the value was measured, in milliseconds since the epoch, according to `clock`.
    pub at: i64,
    /// The clock that `at` comes from.
    pub clock: ClockSource,
    /// When the message was received, in milliseconds since the epoch.
    pub received_at: i64,
    /// Whether something is wrong with the value.
    #[serde(default)]
    pub quality: Quality,
}

impl<'a> BorrowedReading<'a> {
    /// Parses a record of `readings`.
    ///
    /// # Errors
    /// The record does not have the form of a reading.
    pub fn parse(record: &'a [u8]) -> Result<Self, serde_json::Error> {
        match Self::parse_canonical(record) {
            Some(reading) => Ok(reading),
            None => serde_json::from_slice(record),
        }
    }

    /// Parses a reading of a number that is written exactly as [`SentReading`](super::SentReading) writes it. Nearly all readings are, and this costs a third of parsing any JSON. After `None`, the record may still be a
    /// reading.
    fn parse_canonical(record: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(record).ok()?;
        // Without escapes and control characters, a text ends at the next quotation mark.
        if record.iter().fold(0, |found, byte| found | u8::from(*byte < b' ') | u8::from(*byte == b'\\')) != 0 {
            return None;
        }
        let (id, rest) = split_quoted(text.strip_prefix(r#"{"id":""#)?)?;
        let (device_id, rest) = split_quoted(rest.strip_prefix(r#","deviceId":""#)?)?;
        let (facility, rest) = split_quoted(rest.strip_prefix(r#","facility":""#)?)?;
        let (metric, rest) = split_quoted(rest.strip_prefix(r#","metric":""#)?)?;
        let (value, rest) = split_decimal(rest.strip_prefix(r#","value":"#)?)?;
        let (unit, rest) = split_quoted(rest.strip_prefix(r#","unit":""#)?)?;
        let (at, rest) = split_integer(rest.strip_prefix(r#","at":"#)?)?;
        let (clock, rest) = split_quoted(rest.strip_prefix(r#","clock":""#)?)?;
        let (received_at, rest) = split_integer(rest.strip_prefix(r#","receivedAt":"#)?)?;
        let (quality, rest) = split_quoted(rest.strip_prefix(r#","quality":""#)?)?;
        let quality = match quality {
            "good" => Quality::Good,
            "out-of-range" => Quality::OutOfRange,
            _ => return None,
        };
        if rest != "}" && split_quoted(rest.strip_prefix(r#","sender":""#)?)?.1 != "}" {
            return None;
        }
        let clock = ClockSource::of_name(clock)?;
        let [id, device_id, facility, metric, unit] = [id, device_id, facility, metric, unit].map(Cow::Borrowed);
        let value = Value::Number(value);
        Some(Self { id, device_id, facility, metric, value, unit, at, clock, received_at, quality })
    }
}

/// Splits `text` into what is before and what is after the next quotation mark.
fn split_quoted(text: &str) -> Option<(&str, &str)> {
    // This runs seven times for each reading. `memchr` uses vector instructions; `split_once` does not.
    let (quoted, rest) = text.split_at_checked(memchr(b'"', text.as_bytes())?)?;
    Some((quoted, rest.strip_prefix('"')?))
}

/// A double holds any whole number of up to this many digits exactly.
const EXACT_DIGITS: usize = 15;

/// Splits `text` into the whole number at its start and the rest. Returns `None` if there is no number, or if it has
/// too many digits or a leading zero.
fn split_integer(text: &str) -> Option<(i64, &str)> {
    let (mut number, mut end) = (0, 0);
    for byte in text.bytes().take(EXACT_DIGITS + 1).take_while(u8::is_ascii_digit) {
        number = number * 10 + i64::from(byte - b'0');
        end += 1;
    }
    let (digits, rest) = text.split_at_checked(end)?;
    let plain = (1..=EXACT_DIGITS).contains(&end) && (end == 1 || !digits.starts_with('0'));
    (plain && !rest.is_empty()).then_some((number, rest))
}

/// Splits `text` into the number at its start and the rest. Returns `None` if there is no number, or if it has an
/// exponent or too many digits to be rounded correctly here.
fn split_decimal(text: &str) -> Option<(f64, &str)> {
    let (is_negative, unsigned) = text.strip_prefix('-').map_or((false, text), |unsigned| (true, unsigned));
    let (number, mut rest) = split_integer(unsigned)?;
    let mut number = number as f64;
    if let Some(fraction) = rest.strip_prefix('.') {
        let end = fraction.bytes().position(|byte| !byte.is_ascii_digit())?;
        let digits = unsigned.len() - rest.len() + end;
        if end == 0 || digits > EXACT_DIGITS {
            return None;
        }
        // The digits and the power of ten are both exact, so their quotient is the nearest double.
        let power = (0..end).fold(1.0, |power, _| power * 10.0);
        number =
            fraction.bytes().take(end).fold(number, |number, digit| number * 10.0 + f64::from(digit - b'0')) / power;
        rest = &fraction[end..];
    }
    let ends = rest.starts_with(',');
    ends.then_some((if is_negative { -number } else { number }, rest))
}

#[cfg(test)]
mod tests {
    use super::super::{Reading, SentReading};
    use super::*;
    use crate::ingest::message::{Role, Sender};
    use proptest::prelude::*;

    /// The reference: `serde_json` parses the type that owns its texts.
    fn parse_with_serde(record: &[u8]) -> Option<BorrowedReading<'static>> {
        let reading: Reading = serde_json::from_slice(record).ok()?;
        Some(BorrowedReading {
            id: reading.id.into(),
            device_id: reading.device_id.into(),
            facility: reading.facility.into(),
            metric: reading.metric.into(),
            value: reading.value,
            unit: reading.unit.into(),
            at: reading.at,
            clock: reading.clock,
            received_at: reading.received_at,
            quality: reading.quality,
        })
    }

    fn bits(value: &Value) -> Option<u64> {
        match value {
            Value::Number(number) => Some(number.to_bits()),
            _ => None,
        }
    }

    /// Whether both parsers give the same reading, with the same bits of the number.
    fn parses_like_serde(record: &[u8]) -> bool {
        let (ours, expected) = (BorrowedReading::parse(record).ok(), parse_with_serde(record));
        let number = |reading: &Option<BorrowedReading<'_>>| reading.as_ref().and_then(|reading| bits(&reading.value));
        ours == expected && number(&ours) == number(&expected)
    }

    const RECORD: &str = r#"{"id":"bed-17/p4711#0","deviceId":"bed-17","facility":"home-3","metric":"heart_rate","value":61.5,"unit":"1/min","at":1795218890000,"clock":"device","receivedAt":1795218892020,"quality":"good"}"#;

    #[test]
    fn a_reading_as_transform_writes_it_is_parsed_without_copying_texts() {
        let reading = BorrowedReading::parse_canonical(RECORD.as_bytes()).unwrap();
        assert_eq!(Some(&reading), parse_with_serde(RECORD.as_bytes()).as_ref());
        assert!(matches!(reading.device_id, Cow::Borrowed("bed-17")));

        let sender = Sender { role: Role::Gateway, id: "hub-3" };
        let owned: Reading<&str> = serde_json::from_str(RECORD).unwrap();
        let sent = serde_json::to_string(&SentReading { reading: &owned, sender: Some(sender) }).unwrap();
        assert_eq!(sent, RECORD.replace('}', r#","sender":"gateway:hub-3"}"#));
        assert_eq!(BorrowedReading::parse_canonical(sent.as_bytes()), Some(reading));
    }

    #[test]
    fn numbers_are_parsed_as_serde_json_parses_them() {
        for number in [
            "0",
            "-0",
            "-0.0",
            "0.1",
            "-12.75",
            "123456789012345",
            "1234567890123456",
            "0.3",
            "99999.99999999999",
            "1e3",
            "1.5E-7",
            "01",
            "1.",
            ".5",
            "+1",
            "-",
            "5e-324",
            "1.7976931348623157e308",
            "1e999",
            "NaN",
            "null",
            "\"1\"",
            "0.000000000000001",
            "12345678.1234567",
            "2.2250738585072011",
            "1 ",
            " 1",
            "true",
            "[1,2]",
        ] {
            let record = RECORD.replace("61.5", number);
            assert!(parses_like_serde(record.as_bytes()), "{record}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn damaged_and_unusual_records_are_parsed_as_serde_json_parses_them(
            at in any::<prop::sample::Index>(),
            length in 0..6_usize,
            is_sent: bool,
            junk in "[\"\\\\{},:.\\-0-9eE a-zµ\u{1}]{0,6}",
        ) {
            let mut record = RECORD.replace('}', if is_sent { r#","sender":"app:x"}"# } else { "}" });
            let at = at.index(record.len());
            record.replace_range(at..record.len().min(at + length), &junk);
            prop_assert!(parses_like_serde(record.as_bytes()), "{record}");
        }

        #[test]
        fn any_number_is_parsed_as_serde_json_parses_it(digits in "-?[0-9]{1,17}(\\.[0-9]{1,17})?(e-?[0-9]{1,2})?") {
            let record = RECORD.replace("61.5", &digits);
            prop_assert!(parses_like_serde(record.as_bytes()), "{record}");
        }

        #[test]
        fn readings_of_every_kind_are_parsed_as_they_were_written(
            texts in prop::array::uniform5("[a-zA-Z0-9µ\"\\\\/ -]{0,12}"),
            value in prop_oneof![
                any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(Value::Number),
                any::<bool>().prop_map(Value::Boolean),
                "[a-z\"]{0,8}".prop_map(Value::Text),
            ],
            times: [i64; 2],
            flagged: bool,
        ) {
            let [id, device_id, facility, metric, unit] = texts;
            let quality = if flagged { Quality::OutOfRange } else { Quality::Good };
            let clock = ClockSource::Ingest;
            let [at, received_at] = times;
            let reading = Reading { id, device_id, facility, metric, value, unit, at, clock, received_at, quality };
            prop_assert!(parses_like_serde(&serde_json::to_vec(&reading).unwrap()));
        }
    }
}
