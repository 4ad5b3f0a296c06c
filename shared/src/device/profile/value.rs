//! Reads numbers, booleans, texts and times from raw values, which are the same for all formats.

use super::document::TimeUnit;
use super::tree::Node;
use crate::lake::dead_letter::Reason;
use std::borrow::Cow;

/// Why a value cannot be used, in words that do not name the field.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fault {
    pub(super) reason: Reason,
    pub(super) detail: String,
}

impl Fault {
    pub(super) const fn new(reason: Reason, detail: String) -> Self {
        Self { reason, detail }
    }
}

/// The raw value of a field, before calibration and conversion.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Raw<'a> {
    /// No value: no such key, `null`, or the number that means "no value".
    Absent,
    Boolean(bool),
    Integer(i128),
    /// Also NaN and infinity.
    Number(f64),
    /// A number of JSON, by its own digits because a double has fewer.
    Digits(&'a str),
    Text(Cow<'a, str>),
    List(&'a [Node<'a>]),
    /// Bytes, an object or what is not a value, which no metric can have. The text says which.
    Other(&'static str),
}

impl<'a> Raw<'a> {
    pub(super) fn of(node: Option<&'a Node<'a>>) -> Self {
        match node {
            None | Some(Node::Null) => Self::Absent,
            Some(Node::Boolean(value)) => Self::Boolean(*value),
            Some(Node::Integer(value)) => Self::Integer(*value),
            Some(Node::Number(value)) => Self::Number(*value),
            Some(Node::Digits(digits)) => Self::Digits(digits),
            Some(Node::Text(value)) => Self::Text(Cow::Borrowed(value)),
            Some(Node::List(items)) => Self::List(items),
            Some(other) => Self::Other(other.kind()),
        }
    }

    /// Reads a finite number. If `text` is true, it may be written as text.
    pub(super) fn number(&self, text: bool) -> Result<f64, Fault> {
        let not_a_number = |detail: &str| Fault::new(Reason::NotANumber, detail.to_owned());
        let number = match self {
            Self::Integer(value) => *value as f64,
            Self::Number(value) => *value,
            Self::Digits(digits) => digits.parse().unwrap_or(f64::NAN),
            Self::Text(value) if text => {
                value.trim().parse().map_err(|_| not_a_number("it is a text that is not a number"))?
            }
            Self::Text(_) => return Err(not_a_number("it is a text, and the profile does not allow numbers as text")),
            other => return Err(not_a_number(&format!("it is {}, not a number", other.kind()))),
        };
        if number.is_finite() { Ok(number) } else { Err(not_a_number("it is NaN or infinite")) }
    }

    /// Reads a boolean, or one of the numbers 1 and 0.
    pub(super) fn boolean(&self) -> Result<bool, Fault> {
        match self {
            Self::Boolean(value) => Ok(*value),
            Self::Integer(value @ (0 | 1)) => Ok(*value == 1),
            Self::Integer(_) | Self::Number(_) | Self::Digits(_) => {
                Err(Fault::new(Reason::OutOfRange, "it is a number other than 0 and 1".to_owned()))
            }
            other => Err(Fault::new(Reason::Undecodable, format!("it is {}, not a boolean", other.kind()))),
        }
    }

    /// Reads a text, or writes another simple value as text: so identities and states compare values.
    pub(super) fn into_text(self) -> Result<Cow<'a, str>, Fault> {
        match self {
            Self::Text(value) => Ok(value),
            Self::Boolean(value) => Ok(Cow::Borrowed(if value { "true" } else { "false" })),
            Self::Integer(value) => Ok(Cow::Owned(value.to_string())),
            Self::Digits(digits) => Ok(Cow::Borrowed(digits)),
            Self::Number(value) if value.is_finite() => Ok(Cow::Owned(value.to_string())),
            other => Err(Fault::new(Reason::Undecodable, format!("it is {}, not a text", other.kind()))),
        }
    }

    /// Reads a time, in milliseconds since the epoch. `None` if the value is absent.
    pub(super) fn time_ms(&self, unit: TimeUnit, text: bool) -> Result<Option<i64>, Fault> {
        let per_ms = match (unit, self) {
            (_, Self::Absent) => return Ok(None),
            (TimeUnit::Iso8601, Self::Text(value)) => {
                return match value.trim().parse::<jiff::Timestamp>() {
                    Ok(time) => Ok(Some(time.as_millisecond())),
                    Err(_) => Err(Fault::new(
                        Reason::Undecodable,
                        "it is not an ISO 8601 time with date, time and offset".to_owned(),
                    )),
                };
            }
            (TimeUnit::Iso8601, other) => {
                return Err(Fault::new(Reason::Undecodable, format!("it is {}, not a text", other.kind())));
            }
            (TimeUnit::Seconds, _) => 1_000.0,
            (TimeUnit::Milliseconds, _) => 1.0,
            (TimeUnit::Microseconds, _) => 0.001,
        };
        // The cast saturates. The clock rule rejects such extreme times.
        Ok(Some((self.number(text)? * per_ms).round() as i64))
    }

    /// The kind of value, for error messages.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Absent => "nothing",
            Self::Boolean(_) => "a boolean",
            Self::Integer(_) | Self::Number(_) | Self::Digits(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "an array",
            Self::Other(kind) => kind,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> Raw<'_> {
        Raw::Text(value.into())
    }

    #[test]
    fn a_number_as_text_must_be_allowed_and_finite() {
        assert_eq!(text(" 97.5 ").number(true), Ok(97.5));
        assert_eq!(
            text("97.5").number(false).unwrap_err().detail,
            "it is a text, and the profile does not allow numbers as text"
        );
        for bad in [text("NaN"), text("-inf"), text("1e999"), text(""), text("12 bpm"), Raw::Boolean(true)] {
            assert_eq!(bad.number(true).unwrap_err().reason, Reason::NotANumber, "{bad:?}");
        }
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(Raw::Number(bad).number(false).unwrap_err().detail, "it is NaN or infinite");
        }
    }

    #[test]
    fn one_and_zero_are_booleans_and_two_is_out_of_range() {
        assert_eq!((Raw::Integer(1).boolean(), Raw::Integer(0).boolean()), (Ok(true), Ok(false)));
        assert_eq!(Raw::Integer(2).boolean().unwrap_err().reason, Reason::OutOfRange);
        assert_eq!(text("true").boolean().unwrap_err().detail, "it is a text, not a boolean");
    }

    #[test]
    fn times_are_read_in_each_unit() {
        let at = 1_795_218_892_020;
        for (raw, unit) in [
            (Raw::Number(1_795_218_892.02), TimeUnit::Seconds),
            (Raw::Integer(at), TimeUnit::Milliseconds),
            (Raw::Integer(1_795_218_892_020_400), TimeUnit::Microseconds),
            (text("2026-11-20T23:54:52.020Z"), TimeUnit::Iso8601),
            (text("2026-11-21T08:54:52.02+09:00"), TimeUnit::Iso8601),
        ] {
            assert_eq!(raw.time_ms(unit, false), Ok(Some(at as i64)), "{raw:?}");
        }
        assert_eq!(Raw::Absent.time_ms(TimeUnit::Iso8601, false), Ok(None));
        assert_eq!(Raw::Number(1e300).time_ms(TimeUnit::Seconds, false), Ok(Some(i64::MAX)));
        for bad in ["2026-11-21", "2026-11-21T00:34:52", "yesterday", ""] {
            assert_eq!(text(bad).time_ms(TimeUnit::Iso8601, false).unwrap_err().reason, Reason::Undecodable, "{bad}");
        }
        assert_eq!(text("17").time_ms(TimeUnit::Seconds, false).unwrap_err().reason, Reason::NotANumber);
        assert_eq!(text("17").time_ms(TimeUnit::Seconds, true), Ok(Some(17_000)));
    }
}
