//! What few fields need beside a value: a condition, values that mean none, and units and powers of ten that the message names.

use super::binary::times_ten_to;
use super::condition::Condition;
use super::source::{Getter, View};
use super::unit::Conversion;
use super::value::{Fault, Raw};
use crate::lake::dead_letter::Reason;

/// The settings of a field that most fields do without.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Extra {
    /// The condition under which the value is read.
    pub(super) condition: Option<Condition>,
    /// Numbers, and texts, that mean "no value".
    pub(super) absent_numbers: Vec<f64>,
    pub(super) absent_texts: Vec<String>,
    pub(super) decimal_comma: bool,
    pub(super) unit_behind: bool,
    pub(super) unit_from: Option<Getter>,
    pub(super) exponent_from: Option<Getter>,
}

impl Extra {
    /// Whether the value is this field's.
    pub(super) fn is_here(&self, view: View<'_>) -> bool {
        self.condition.as_ref().is_none_or(|condition| condition.holds(view))
    }

    /// The value, or nothing if it means "no value".
    pub(super) fn present<'a>(&self, raw: Raw<'a>) -> Raw<'a> {
        let is_absent = match &raw {
            Raw::Text(text) => {
                self.absent_texts.iter().any(|absent| absent == text.trim())
                    || self.written(text).is_ok_and(|(number, _)| self.absent_numbers.contains(&number))
            }
            Raw::Boolean(value) => self.absent_texts.iter().any(|absent| *absent == value.to_string()),
            Raw::Integer(_) | Raw::Number(_) | Raw::Digits(_) => {
                raw.number(false).is_ok_and(|number| self.absent_numbers.contains(&number))
            }
            _ => false,
        };
        if is_absent { Raw::Absent } else { raw }
    }

    /// Reads a number, and the unit that stands behind or beside it. `None`: no unit stands there.
    pub(super) fn number<'a>(
        &'a self,
        raw: &'a Raw<'_>,
        view: View<'a>,
        text: bool,
    ) -> Result<(f64, Option<String>), Fault> {
        let (mut number, mut unit) = match raw {
            Raw::Text(written) if text => self.written(written)?,
            other => (other.number(text)?, None),
        };
        if let Some(getter) = &self.exponent_from {
            let of = |fault: Fault| Fault { detail: format!("its power of ten: {}", fault.detail), ..fault };
            let exponent = getter.get(view).and_then(|raw| raw.number(false)).map_err(of)?;
            if exponent.fract() != 0.0 || exponent.abs() > f64::from(MAX_EXPONENT) {
                let detail = format!("its power of ten is not a whole number from -{MAX_EXPONENT} to {MAX_EXPONENT}");
                return Err(Fault::new(Reason::OutOfRange, detail));
            }
            number = times_ten_to(number, exponent as i32);
        }
        if let Some(getter) = &self.unit_from {
            unit = match getter.get(view)? {
                Raw::Absent => None,
                raw => Some(raw.into_text()?.trim().to_owned()).filter(|unit| !unit.is_empty()),
            };
        }
        Ok((number, unit))
    }

    /// Reads a number that is written as text.
    fn written(&self, text: &str) -> Result<(f64, Option<String>), Fault> {
        let text = text.trim();
        let is_of_number = |letter: char| letter.is_ascii_digit() || "+-.,".contains(letter);
        let end =
            if self.unit_behind { text.find(|letter| !is_of_number(letter)).unwrap_or(text.len()) } else { text.len() };
        let (digits, unit) = text.split_at(end);
        let number = if self.decimal_comma { digits.replace(',', ".").parse::<f64>() } else { digits.parse::<f64>() };
        let number = number.ok().filter(|number| number.is_finite());
        let unit = unit.trim();
        let unit = (!unit.is_empty()).then(|| unit.to_owned());
        let not = || Fault::new(Reason::NotANumber, "it is a text that is not a number".to_owned());
        Ok((number.ok_or_else(not)?, unit))
    }
}

/// The greatest power of ten that a message may name.
const MAX_EXPONENT: i32 = 30;

/// Converts a number from a unit that the message names.
pub(super) fn convert(number: f64, from: &str, to: &str) -> Result<f64, Fault> {
    // A dead letter shows no texts of the message.
    let conversion = Conversion::between(from, to).map_err(|_| {
        Fault::new(Reason::Undecodable, format!("the unit that the message names cannot be converted to `{to}`"))
    })?;
    Ok(conversion.map_or(number, |conversion| conversion.apply(number)))
}
