//! Reads numbers, booleans and texts from raw values, which are the same for all formats.

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
}
