//! A version: how it is told apart, its time, its identity, its records.

use super::super::decode::{Records, RecordsPlace, Version, When};
use super::super::document::{Format, RecordsDocument, Source, TimeDocument, TimeUnit, VersionDocument, WhenDocument};
use super::super::field::{Field, Time};
use super::super::path::Path;
use super::super::problem::Scope;
use super::super::source::Getter;
use super::Metrics;
use super::field::{Reader, compile as compile_field};
use crate::ingest::message::MAX_PAYLOAD;
use std::collections::HashSet;

/// Fields of a version at most, and parts of an identity.
const MAX_FIELDS: usize = 256;
const MAX_PARTS: usize = 8;
/// The longest step between records: a day.
const MAX_STEP_MS: i64 = 24 * 3_600 * 1_000;

/// Compiles a version. What it gives is used only if no problem was told.
pub(super) fn compile(
    document: &VersionDocument,
    metrics: &Metrics<'_>,
    trusts_device: bool,
    scope: &mut Scope<'_>,
) -> Version {
    let reader = Reader { format: document.format, endian: document.endian.unwrap_or_default(), end: MAX_PAYLOAD };
    if document.endian.is_some() && document.format != Format::Binary {
        scope.tell("endian", "only a binary format has one");
    }
    check_content(document, trusts_device, scope);
    if document.identity.len() > MAX_PARTS {
        scope.tell("identity", format!("it has {} parts, and may have {MAX_PARTS}", document.identity.len()));
    }
    let mut read = HashSet::new();
    let identity = document.identity.iter().enumerate();
    Version {
        name: document.name.clone(),
        when: document
            .when
            .as_ref()
            .map_or_else(When::default, |when| compile_when(when, &reader, &mut scope.within("when"))),
        format: document.format,
        identity: identity
            .filter_map(|(index, part)| reader.getter(part, &mut scope.element("identity", index)))
            .collect(),
        time: document.time.as_ref().and_then(|time| compile_time(time, &reader, &mut scope.within("time"))),
        fields: compile_fields(&document.fields, &reader, metrics, &mut read, scope),
        records: document.records.as_ref().and_then(|records| {
            if records.step_ms.is_some() && document.time.is_none() {
                scope.tell("records.stepMs", "the steps begin at the version's time, and it has none");
            }
            compile_records(records, &reader, metrics, &mut read, &mut scope.within("records"))
        }),
    }
}

/// What a version must have, and what it must not.
fn check_content(document: &VersionDocument, trusts_device: bool, scope: &mut Scope<'_>) {
    let VersionDocument { format, identity, time, fields, records, .. } = document;
    if *format == Format::Text {
        for (key, given) in [
            ("identity", !identity.is_empty()),
            ("time", time.is_some()),
            ("fields", !fields.is_empty()),
            ("records", records.is_some()),
        ] {
            if given {
                scope.tell(key, "nothing is read from a text: it is archived only");
            }
        }
        return;
    }
    if fields.is_empty() && records.is_none() {
        scope.tell("fields", "neither fields nor records are read; if the lake is all it wants, its format is `text`");
    }
    if fields.len() > MAX_FIELDS {
        scope.tell("fields", format!("there are {}, and may be {MAX_FIELDS}", fields.len()));
    }
    if trusts_device && time.is_none() {
        if !fields.is_empty() {
            scope.tell("time", "the device's clock is trusted, and its time is not read");
        } else if records.as_ref().is_some_and(|records| records.time.is_none()) {
            scope.tell("records.time", "the device's clock is trusted, and its time is not read");
        }
    }
}

fn compile_when(document: &WhenDocument, reader: &Reader, scope: &mut Scope<'_>) -> When {
    let WhenDocument { kind, length, min_length, max_length, field, equals } = document;
    if *document == WhenDocument::default() {
        scope.tell_here("it names no condition");
    }
    if length.is_some() && (min_length.is_some() || max_length.is_some()) {
        scope.tell("length", "it is exact, so minLength and maxLength say nothing more");
    }
    if let (Some(least), Some(most)) = (min_length, max_length)
        && least > most
    {
        scope.tell("minLength", format!("{least} is above maxLength {most}"));
    }
    for (key, length) in [("length", length), ("minLength", min_length), ("maxLength", max_length)] {
        if length.is_some_and(|length| length > MAX_PAYLOAD) {
            scope.tell(key, format!("no payload is longer than {MAX_PAYLOAD}"));
        }
    }
    if equals.is_some() && field.is_none() {
        scope.tell("equals", "there is no field to compare");
    }
    let expected = equals.as_ref().and_then(|equals| match equals {
        serde_json::Value::String(text) => Some(text.clone()),
        serde_json::Value::Bool(_) => Some(equals.to_string()),
        serde_json::Value::Number(number) if !number.is_f64() => Some(equals.to_string()),
        _ => {
            scope.tell("equals", "it must be a text, a whole number or a boolean");
            None
        }
    });
    let field = field.as_ref().and_then(|field| reader.getter(field, &mut scope.within("field")));
    When {
        kind: kind.clone(),
        min_length: length.or(*min_length).unwrap_or(0),
        max_length: length.or(*max_length),
        field: field.map(|getter| (getter, expected)),
    }
}

fn compile_time(document: &TimeDocument, reader: &Reader, scope: &mut Scope<'_>) -> Option<Time> {
    if document.unit == TimeUnit::Iso8601 && document.text {
        scope.tell("text", "iso8601 is always a text");
    }
    let getter = reader.getter(&document.from, &mut scope.within("from"))?;
    if let Getter::Place(place) = &getter {
        match (place.is_text(), document.unit == TimeUnit::Iso8601) {
            (false, true) => scope.tell("unit", "iso8601 is a text, and the field is a number"),
            (true, false) if !document.text => {
                scope.tell("text", "the field is a text, so numbers as text must be allowed");
            }
            _ => {}
        }
    }
    Some(Time { getter, unit: document.unit, text: document.text })
}

fn compile_fields<'d>(
    documents: &'d [super::super::document::FieldDocument],
    reader: &Reader,
    metrics: &Metrics<'_>,
    read: &mut HashSet<&'d str>,
    scope: &mut Scope<'_>,
) -> Vec<Field> {
    let mut fields = Vec::with_capacity(documents.len());
    for (index, document) in documents.iter().enumerate() {
        let mut scope = scope.element("fields", index);
        if !read.insert(&document.metric) {
            scope.tell("metric", format!("{} is read by an earlier field of this version", document.metric));
        }
        fields.extend(compile_field(document, reader, metrics, &mut scope));
    }
    fields
}

fn compile_records<'d>(
    document: &'d RecordsDocument,
    reader: &Reader,
    metrics: &Metrics<'_>,
    read: &mut HashSet<&'d str>,
    scope: &mut Scope<'_>,
) -> Option<Records> {
    if document.fields.is_empty() || document.fields.len() > MAX_FIELDS {
        scope.tell("fields", format!("there must be from 1 to {MAX_FIELDS}"));
    }
    if let Some(step) = document.step_ms {
        if document.time.is_some() {
            scope.tell("stepMs", "the records have times of their own");
        }
        if step == 0 || !(-MAX_STEP_MS..=MAX_STEP_MS).contains(&step) {
            scope.tell("stepMs", format!("it must be up to {MAX_STEP_MS}, forward or backward, and not 0"));
        }
    }
    let place = if reader.format == Format::Binary { packed(document, reader, scope) } else { each(document, scope) };
    let within = Reader { end: document.length.unwrap_or(MAX_PAYLOAD), ..*reader };
    let time = document.time.as_ref().and_then(|time| compile_time(time, &within, &mut scope.within("time")));
    let fields = compile_fields(&document.fields, &within, metrics, read, scope);
    Some(Records { place: place?, optional: document.optional, time, step_ms: document.step_ms.unwrap_or(0), fields })
}

fn each(document: &RecordsDocument, scope: &mut Scope<'_>) -> Option<RecordsPlace> {
    for (key, given) in [
        ("offset", document.offset.is_some()),
        ("length", document.length.is_some()),
        ("count", document.count.is_some()),
    ] {
        if given {
            scope.tell(key, "only records of a binary format have one");
        }
    }
    let Some(path) = &document.each else {
        scope.tell("each", "it is missing: a path with `[*]`");
        return None;
    };
    match Path::parse(path) {
        Ok(path) if path.iterates() => Some(RecordsPlace::Each(path)),
        Ok(_) => {
            scope.tell("each", format!("`{path}` has no `[*]`"));
            None
        }
        Err(problem) => {
            scope.tell("each", problem);
            None
        }
    }
}

fn packed(document: &RecordsDocument, reader: &Reader, scope: &mut Scope<'_>) -> Option<RecordsPlace> {
    if document.each.is_some() {
        scope.tell("each", "only records of JSON and CBOR have one");
    }
    if document.optional {
        scope.tell("optional", "only records of JSON and CBOR can be; records of bytes may be none");
    }
    let (offset, length) = (document.offset.unwrap_or(MAX_PAYLOAD), document.length.unwrap_or(0));
    if offset >= MAX_PAYLOAD {
        scope.tell("offset", format!("it must be from 0 to {}", MAX_PAYLOAD - 1));
    }
    if length == 0 || length > MAX_PAYLOAD {
        scope.tell("length", format!("it must be from 1 to {MAX_PAYLOAD}"));
        return None;
    }
    let count = document.count.as_ref().and_then(|count| {
        let mut scope = scope.within("count");
        match reader.getter(&Source::Binary(count.clone()), &mut scope)? {
            Getter::Place(place) if place.is_whole() => Some(place),
            _ => {
                scope.tell("type", "it must be a whole number, with no scale or add");
                None
            }
        }
    });
    Some(RecordsPlace::Packed { offset, length, count })
}
