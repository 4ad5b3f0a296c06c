//! Compiles a field: where its value is, and the steps that lead to its metric's unit.

use super::super::calibration::Calibration;
use super::super::document::{FieldDocument, Kind, MetricDocument};
use super::super::extra::Extra;
use super::super::field::{Field, FieldSource};
use super::super::problem::Scope;
use super::super::source::Getter;
use super::super::unit::Conversion;
use super::Metrics;
use super::condition;
use super::reader::Reader;
use crate::device::profile::StateValue;
use crate::device::reading::MAX_TEXT;
use serde_json::Value;

/// The greatest number of values that mean "no value".
const MAX_ABSENT: usize = 16;

/// Compiles a field.
pub(super) fn compile(
    document: &FieldDocument,
    reader: &Reader,
    metrics: &Metrics<'_>,
    scope: &mut Scope<'_>,
) -> Option<Field> {
    let Some((metric, described)) = metrics.get(document.metric.as_str()).copied() else {
        scope.report(
            "metric",
            format!("`{}` is not one of the profile's metrics: define it there, or correct the name", document.metric),
        );
        return None;
    };
    let source = compile_source(document, reader, described.kind, scope);
    check_kind(document, described.kind, scope);
    let (calibration, conversion) = compile_steps(document, described, scope);
    let extra = compile_extra(document, described, reader, scope);
    Some(Field {
        metric,
        source: source?,
        outside: document.outside,
        optional: document.optional,
        text: document.text,
        calibration,
        conversion,
        states: document.states.clone(),
        extra: (extra != Extra::default()).then(|| Box::new(extra)),
    })
}

fn compile_source(document: &FieldDocument, reader: &Reader, kind: Kind, scope: &mut Scope<'_>) -> Option<FieldSource> {
    match (&document.from, &document.longitude, &document.latitude) {
        (Some(from), None, None) => {
            let getter = reader.getter(from, &mut scope.within("from"))?;
            if let Getter::Binary(field) = &getter {
                match kind {
                    Kind::Position => {
                        scope.report("from", "a binary field cannot hold a position: give longitude and latitude");
                    }
                    Kind::Number if field.is_text() && !document.text => {
                        scope.report("text", "must be true: the binary field is a text, and the metric is a number");
                    }
                    Kind::Boolean if !field.is_whole() && document.states.is_empty() => {
                        scope.report("from", "a boolean must be a whole number (0 or 1), without scale or add");
                    }
                    _ => {}
                }
            }
            Some(FieldSource::One(getter))
        }
        (None, Some(longitude), Some(latitude)) => {
            if kind != Kind::Position {
                scope.report("longitude", "is only allowed if the metric's kind is `position`");
            }
            let longitude = reader.getter(longitude, &mut scope.within("longitude"));
            let latitude = reader.getter(latitude, &mut scope.within("latitude"));
            Some(FieldSource::Position { longitude: longitude?, latitude: latitude? })
        }
        (None, None, None) => {
            let problem = if kind == Kind::Position {
                "is missing: give from, or both longitude and latitude"
            } else {
                "is missing: say where the value is"
            };
            scope.report("from", problem);
            None
        }
        _ => {
            scope.report("from", "give either from, or both longitude and latitude");
            None
        }
    }
}

/// Reports settings that do not apply to the metric's kind.
fn check_kind(document: &FieldDocument, kind: Kind, scope: &mut Scope<'_>) {
    if kind != Kind::Number {
        for (key, given) in [("unit", document.unit.is_some()), ("calibration", document.calibration.is_some())] {
            if given {
                scope.report(key, "is only allowed if the metric's kind is `number`");
            }
        }
    }
    if document.text && !matches!(kind, Kind::Number | Kind::Position) {
        scope.report("text", "is only allowed if the metric's kind is `number` or `position`");
    }
    if !document.states.is_empty() && !matches!(kind, Kind::Text | Kind::Boolean) {
        scope.report("states", "is only allowed if the metric's kind is `text` or `boolean`");
    }
    for (sent, state) in &document.states {
        let mut scope = scope.within("states");
        match state {
            StateValue::Text(name)
                if kind == Kind::Text
                    && (name.is_empty() || name.len() > MAX_TEXT || name.chars().any(char::is_control)) =>
            {
                let problem = format!("a state's name must have from 1 to {MAX_TEXT} bytes and no control character");
                scope.report(sent, problem);
            }
            StateValue::Text(_) if kind == Kind::Boolean => scope.report(sent, "must be true or false"),
            StateValue::Boolean(_) if kind == Kind::Text => scope.report(sent, "must be a text"),
            _ => {}
        }
    }
}

/// Compiles what few fields need.
fn compile_extra(document: &FieldDocument, metric: &MetricDocument, reader: &Reader, scope: &mut Scope<'_>) -> Extra {
    let mut extra =
        Extra { decimal_comma: document.decimal_comma, unit_behind: document.unit_behind, ..Extra::default() };
    let condition = document.condition.as_ref();
    extra.condition = condition.and_then(|it| condition::compile(it, reader, &mut scope.within("where")));
    for (index, absent) in document.absent.iter().enumerate() {
        match absent {
            Value::String(text) => extra.absent_texts.push(text.trim().to_owned()),
            Value::Bool(value) => extra.absent_texts.push(value.to_string()),
            Value::Number(number) => extra.absent_numbers.extend(number.as_f64()),
            _ => scope.element("absent", index).report_here("must be a number, a text or a boolean"),
        }
    }
    if document.absent.len() > MAX_ABSENT {
        scope.report("absent", format!("lists {} values, at most {MAX_ABSENT} are allowed", document.absent.len()));
    }
    for (key, given) in [("decimalComma", document.decimal_comma), ("unitBehind", document.unit_behind)] {
        if given && !(document.text && metric.kind == Kind::Number) {
            scope.report(key, "is only allowed for a number, with `\"text\": true`");
        }
    }
    for (key, given) in [
        ("unitBehind", document.unit_behind),
        ("unitFrom", document.unit_from.is_some()),
        ("exponentFrom", document.exponent_from.is_some()),
    ] {
        if given && metric.kind != Kind::Number {
            scope.report(key, "is only allowed if the metric's kind is `number`");
        } else if given && key != "exponentFrom" && metric.unit.is_none() {
            scope.report(key, format!("is only allowed if metrics.{} has a unit to convert to", document.metric));
        }
    }
    if document.unit_behind && document.unit_from.is_some() {
        scope.report("unitFrom", "is not allowed with unitBehind: the unit stands in one place");
    }
    if document.calibration.is_some() && (document.unit_behind || document.unit_from.is_some()) {
        scope.report("calibration", "is not allowed with a unit that the message names");
    }
    for (key, source, slot) in [
        ("unitFrom", &document.unit_from, &mut extra.unit_from),
        ("exponentFrom", &document.exponent_from, &mut extra.exponent_from),
    ] {
        *slot = source.as_ref().and_then(|source| reader.getter(source, &mut scope.within(key)));
    }
    extra
}

/// Compiles the calibration, and the conversion into the metric's unit.
fn compile_steps(
    document: &FieldDocument,
    metric: &MetricDocument,
    scope: &mut Scope<'_>,
) -> (Option<Calibration>, Option<Conversion>) {
    if metric.kind != Kind::Number {
        return (None, None);
    }
    let calibration = document.calibration.as_ref().map(|calibration| {
        let mut scope = scope.within("calibration");
        Calibration::compile(calibration, |key, problem| scope.report(key, problem))
    });
    let mut unit = document.unit.as_deref();
    if calibration.as_ref().is_some_and(Calibration::gives_celsius) {
        if unit.is_some_and(|unit| Conversion::between(unit, "°C") != Ok(None)) {
            scope.report("unit", "a thermistor's calibration gives °C: leave the unit out, or give °C");
        }
        unit = Some("°C");
    }
    let conversion = match (unit, metric.unit.as_deref()) {
        (None, _) => None,
        (Some(_), None) => {
            scope.report("unit", format!("is only allowed if metrics.{} has a unit to convert to", document.metric));
            None
        }
        (Some(from), Some(to)) => Conversion::between(from, to).unwrap_or_else(|problem| {
            scope.report("unit", problem);
            None
        }),
    };
    (calibration, conversion)
}
