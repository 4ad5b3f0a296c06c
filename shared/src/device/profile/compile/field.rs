//! A field: where it stands, and whether its steps fit its metric.

use super::super::binary::Place;
use super::super::calibration::Calibration;
use super::super::document::{Endian, FieldDocument, Format, Kind, MetricDocument, Source};
use super::super::field::{Field, FieldPlace};
use super::super::path::Path;
use super::super::problem::Scope;
use super::super::source::Getter;
use super::super::unit::Conversion;
use super::Metrics;
use crate::device::reading::MAX_TEXT;

/// How the fields of a version, or of its records, are read.
#[derive(Clone, Copy)]
pub(super) struct Reader {
    pub(super) format: Format,
    pub(super) endian: Endian,
    /// Bytes of the payload or the record.
    pub(super) end: usize,
}

impl Reader {
    /// Compiles where a value stands.
    pub(super) fn getter(&self, source: &Source, scope: &mut Scope<'_>) -> Option<Getter> {
        match (source, self.format) {
            (_, Format::Text) => None,
            (Source::Path(path), Format::Json | Format::Cbor) => match Path::parse(path) {
                Ok(path) if path.iterates() => {
                    scope.tell_here("`[*]` stands in the `each` of records only");
                    None
                }
                Ok(path) => Some(Getter::Path(path)),
                Err(problem) => {
                    scope.tell_here(problem);
                    None
                }
            },
            (Source::Binary(place), Format::Binary) => {
                let place = Place::compile(place, self.endian, |key, problem| scope.tell(key, problem))?;
                if place.end() > self.end {
                    scope.tell("offset", format!("the field ends behind the record's {} bytes", self.end));
                }
                Some(Getter::Place(place))
            }
            (Source::Path(_), Format::Binary) => {
                scope.tell_here("a path leads nowhere in a binary format: give offset and type");
                None
            }
            (Source::Binary(_), Format::Json | Format::Cbor) => {
                scope.tell_here("JSON and CBOR are read by a path, not by an offset");
                None
            }
        }
    }
}

/// Compiles a field.
pub(super) fn compile(
    document: &FieldDocument,
    reader: &Reader,
    metrics: &Metrics<'_>,
    scope: &mut Scope<'_>,
) -> Option<Field> {
    let Some((metric, described)) = metrics.get(document.metric.as_str()).copied() else {
        scope.tell("metric", format!("`{}` is not among the metrics", document.metric));
        return None;
    };
    let place = place(document, reader, described.kind, scope);
    check_kind(document, described.kind, scope);
    let (calibration, conversion) = steps(document, described, scope);
    Some(Field {
        metric,
        place: place?,
        optional: document.optional,
        text: document.text,
        calibration,
        conversion,
        states: document.states.clone(),
    })
}

fn place(document: &FieldDocument, reader: &Reader, kind: Kind, scope: &mut Scope<'_>) -> Option<FieldPlace> {
    match (&document.from, &document.longitude, &document.latitude) {
        (Some(from), None, None) => {
            let getter = reader.getter(from, &mut scope.within("from"))?;
            if let Getter::Place(place) = &getter {
                match kind {
                    Kind::Position => scope.tell("from", "bytes hold no pair: give longitude and latitude"),
                    Kind::Number if place.is_text() && !document.text => {
                        scope.tell("text", "the field is a text, so numbers as text must be allowed");
                    }
                    Kind::Boolean if !place.is_whole() => scope.tell("from", "a boolean is a whole number, 0 or 1"),
                    _ => {}
                }
            }
            Some(FieldPlace::One(getter))
        }
        (None, Some(longitude), Some(latitude)) => {
            if kind != Kind::Position {
                scope.tell("longitude", "only a metric of positions has one");
            }
            let longitude = reader.getter(longitude, &mut scope.within("longitude"));
            let latitude = reader.getter(latitude, &mut scope.within("latitude"));
            Some(FieldPlace::Position { longitude: longitude?, latitude: latitude? })
        }
        (None, None, None) => {
            let what =
                if kind == Kind::Position { "it is missing, or longitude and latitude are" } else { "it is missing" };
            scope.tell("from", what);
            None
        }
        _ => {
            scope.tell("from", "give either from, or both longitude and latitude");
            None
        }
    }
}

/// What is given must mean something for the metric's kind.
fn check_kind(document: &FieldDocument, kind: Kind, scope: &mut Scope<'_>) {
    if kind != Kind::Number {
        for (key, given) in [("unit", document.unit.is_some()), ("calibration", document.calibration.is_some())] {
            if given {
                scope.tell(key, "only a metric of numbers has one");
            }
        }
    }
    if document.text && !matches!(kind, Kind::Number | Kind::Position) {
        scope.tell("text", "it allows numbers as text, and the metric has none");
    }
    if !document.states.is_empty() && kind != Kind::Text {
        scope.tell("states", "only a metric of texts has them");
    }
    for (sent, name) in &document.states {
        if name.is_empty() || name.len() > MAX_TEXT || name.chars().any(char::is_control) {
            let problem = format!("a state's name has from 1 to {MAX_TEXT} bytes and no control character");
            scope.within("states").tell(sent, problem);
        }
    }
}

/// Calibration and conversion into the metric's unit.
fn steps(
    document: &FieldDocument,
    metric: &MetricDocument,
    scope: &mut Scope<'_>,
) -> (Option<Calibration>, Option<Conversion>) {
    if metric.kind != Kind::Number {
        return (None, None);
    }
    let calibration = document.calibration.as_ref().map(|calibration| {
        let mut scope = scope.within("calibration");
        Calibration::compile(calibration, |key, problem| scope.tell(key, problem))
    });
    let mut unit = document.unit.as_deref();
    if calibration.as_ref().is_some_and(Calibration::gives_celsius) {
        if unit.is_some_and(|unit| Conversion::between(unit, "°C") != Ok(None)) {
            scope.tell("unit", "a thermistor's calibration gives °C");
        }
        unit = Some("°C");
    }
    let conversion = match (unit, metric.unit.as_deref()) {
        (None, _) => None,
        (Some(_), None) => {
            scope.tell("unit", format!("metrics.{} has no unit to convert it to", document.metric));
            None
        }
        (Some(from), Some(to)) => Conversion::between(from, to).unwrap_or_else(|problem| {
            scope.tell("unit", problem);
            None
        }),
    };
    (calibration, conversion)
}
