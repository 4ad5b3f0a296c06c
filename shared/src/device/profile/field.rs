//! Reads one field of a message, and turns its raw value into a value of its metric.

use super::StateValue;
use super::calibration::Calibration;
use super::document::{Kind, Outside, RangeDocument};
use super::extra::{Extra, convert};
use super::metric::Metric;
use super::source::{Getter, View};
use super::unit::Conversion;
use super::value::{Fault, Raw};
use crate::device::reading::{MAX_TEXT, Quality, Value};
use crate::lake::dead_letter::Reason;
use std::collections::BTreeMap;

/// A compiled field.
#[derive(Clone, Debug)]
pub(super) struct Field {
    /// The metric's index in the profile.
    pub(super) metric: usize,
    pub(super) source: FieldSource,
    pub(super) optional: bool,
    /// Whether a number may be sent as text.
    pub(super) text: bool,
    pub(super) calibration: Option<Calibration>,
    pub(super) conversion: Option<Conversion>,
    pub(super) states: BTreeMap<String, StateValue>,
    /// Whether the value stands outside the payload that the version reads.
    pub(super) outside: bool,
    pub(super) extra: Option<Box<Extra>>,
}

/// What a number is after each step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numbers {
    pub(super) read: f64,
    pub(super) calibrated: Option<f64>,
    pub(super) converted: Option<f64>,
}

impl Numbers {
    fn last(&self) -> f64 {
        self.converted.or(self.calibrated).unwrap_or(self.read)
    }
}

/// Where the value of a field is.
#[derive(Clone, Debug)]
pub(super) enum FieldSource {
    One(Getter),
    Position { longitude: Getter, latitude: Getter },
}

impl Field {
    /// Whether the value is this field's.
    #[inline]
    pub(super) fn is_here(&self, view: View<'_>) -> bool {
        self.extra.as_ref().is_none_or(|extra| extra.is_here(view))
    }

    /// Reads the value. `None` if an optional value is missing.
    pub(super) fn measure(&self, view: View<'_>, metric: &Metric) -> Result<Option<(Value, Quality)>, Fault> {
        let good = |value: Value| (value, Quality::Good);
        let measured = match &self.source {
            FieldSource::One(getter) => match (self.present(getter.get(view)?), metric.kind) {
                (Raw::Absent, _) => None,
                (raw, Kind::Number) => Some(self.number(&raw, view, metric)?),
                (raw, Kind::Boolean) => Some(good(Value::Boolean(self.boolean(raw)?))),
                (raw, Kind::Text) => Some(good(Value::Text(self.state(raw)?))),
                (raw, Kind::Position) => Some(good(self.pair(&raw)?)),
            },
            FieldSource::Position { longitude, latitude } => {
                match (self.present(longitude.get(view)?), self.present(latitude.get(view)?)) {
                    (Raw::Absent, Raw::Absent) => None,
                    (Raw::Absent, _) => return Err(missing("its longitude is missing")),
                    (_, Raw::Absent) => return Err(missing("its latitude is missing")),
                    (longitude, latitude) => {
                        Some(good(position(longitude.number(self.text)?, latitude.number(self.text)?)?))
                    }
                }
            }
        };
        if measured.is_none() && !self.optional { Err(missing("it is missing")) } else { Ok(measured) }
    }

    #[inline]
    pub(super) fn present<'a>(&self, raw: Raw<'a>) -> Raw<'a> {
        match &self.extra {
            None => raw,
            Some(extra) => extra.present(raw),
        }
    }

    fn number(&self, raw: &Raw<'_>, view: View<'_>, metric: &Metric) -> Result<(Value, Quality), Fault> {
        let number = self.numbers(raw, view, metric)?.last();
        let quality = metric.range.map_or(Ok(Quality::Good), |range| check_range(number, range, &metric.unit))?;
        Ok((Value::Number(number), quality))
    }

    /// The steps of a number.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "it is on the path of each value")]
    pub(super) fn numbers(&self, raw: &Raw<'_>, view: View<'_>, metric: &Metric) -> Result<Numbers, Fault> {
        let (read, named_unit) = match &self.extra {
            None => (raw.number(self.text)?, None),
            Some(extra) => extra.number(raw, view, self.text)?,
        };
        let mut numbers = Numbers { read, calibrated: None, converted: None };
        if let Some(calibration) = &self.calibration {
            numbers.calibrated = Some(calibration.apply(read)?);
        }
        let number = numbers.last();
        if let Some(unit) = named_unit {
            numbers.converted = Some(convert(number, &unit, &metric.unit)?);
        } else if let Some(conversion) = &self.conversion {
            numbers.converted = Some(conversion.apply(number));
        }
        if !numbers.last().is_finite() {
            let detail = "the result of its calibration or conversion is not a finite number".to_owned();
            return Err(Fault::new(Reason::NotANumber, detail));
        }
        Ok(numbers)
    }

    fn boolean(&self, raw: Raw<'_>) -> Result<bool, Fault> {
        if self.states.is_empty() {
            return raw.boolean();
        }
        match self.states.get(raw.into_text()?.as_ref()) {
            Some(StateValue::Boolean(value)) => Ok(*value),
            _ => Err(unknown_state()),
        }
    }

    fn state(&self, raw: Raw<'_>) -> Result<String, Fault> {
        let text = raw.into_text()?;
        if !self.states.is_empty() {
            return match self.states.get(text.as_ref()) {
                Some(StateValue::Text(name)) => Ok(name.clone()),
                _ => Err(unknown_state()),
            };
        }
        if text.len() > MAX_TEXT {
            let detail = format!("it has {} bytes, at most {MAX_TEXT} are allowed", text.len());
            return Err(Fault::new(Reason::TooLarge, detail));
        }
        if text.is_empty() || text.chars().any(char::is_control) {
            let detail = "it is empty or has a control character".to_owned();
            return Err(Fault::new(Reason::Undecodable, detail));
        }
        Ok(text.into_owned())
    }

    fn pair(&self, raw: &Raw<'_>) -> Result<Value, Fault> {
        let Raw::List([longitude, latitude]) = raw else {
            let detail = "it is not an array of longitude and latitude".to_owned();
            return Err(Fault::new(Reason::Undecodable, detail));
        };
        position(Raw::of(Some(longitude)).number(self.text)?, Raw::of(Some(latitude)).number(self.text)?)
    }
}

fn unknown_state() -> Fault {
    Fault::new(Reason::OutOfRange, "it is not one of the profile's states".to_owned())
}

fn missing(detail: &str) -> Fault {
    Fault::new(Reason::MissingField, detail.to_owned())
}

fn position(longitude: f64, latitude: f64) -> Result<Value, Fault> {
    if (-180.0..=180.0).contains(&longitude) && (-90.0..=90.0).contains(&latitude) {
        return Ok(Value::Position([longitude, latitude]));
    }
    // A position is personal, so dead letters and logs never show it, even a wrong one.
    let detail = "its longitude is not within ±180°, or its latitude is not within ±90°".to_owned();
    Err(Fault::new(Reason::OutOfRange, detail))
}

fn check_range(number: f64, range: RangeDocument, unit: &str) -> Result<Quality, Fault> {
    let wrong = match range {
        RangeDocument { min: Some(min), .. } if number < min => format!("below {min}"),
        RangeDocument { max: Some(max), .. } if number > max => format!("above {max}"),
        _ => return Ok(Quality::Good),
    };
    match range.outside {
        Outside::Flag => Ok(Quality::OutOfRange),
        Outside::Reject => {
            let unit = if unit.is_empty() { String::new() } else { format!(" {unit}") };
            Err(Fault::new(Reason::OutOfRange, format!("it is {number}{unit}, {wrong}")))
        }
    }
}
