//! Compiles a version: which messages it matches, and how it reads their identity, time, fields and records.

use super::super::decode::{Version, When};
use super::super::document::{
    CsvDocument, FieldDocument, Format, InsideDocument, RecordsDocument, Source, VersionDocument, WhenDocument,
};
use super::super::field::Field;
use super::super::inside::Inside;
use super::super::path::Path;
use super::super::problem::Scope;
use super::super::records::{Records, RecordsSource, Step};
use super::super::source::Getter;
use super::Metrics;
use super::condition;
use super::field::compile as compile_field;
use super::reader::Reader;
use super::time::{self, Place};
use crate::ingest::message::MAX_PAYLOAD;
use jiff::tz::TimeZone;
use std::collections::HashSet;

/// The greatest number of fields of a version, and of fields of its records.
const MAX_FIELDS: usize = 256;
/// The greatest number of parts of an identity.
const MAX_PARTS: usize = 8;
/// The greatest number of arrays whose elements belong together.
const MAX_COLUMNS: usize = 64;
/// The longest name of such an array, in bytes: each row has its own copy.
const MAX_COLUMN: usize = 64;
/// The longest step between records: a day.
const MAX_STEP_MS: i64 = 24 * 3_600 * 1_000;

/// Compiles a version. The caller uses the result only if no problem was reported.
pub(super) fn compile(
    document: &VersionDocument,
    metrics: &Metrics<'_>,
    trusts_device: bool,
    zone: &TimeZone,
    scope: &mut Scope<'_>,
) -> Version {
    let reader = Reader { format: document.format, endian: document.endian.unwrap_or_default(), end: MAX_PAYLOAD };
    if document.endian.is_some() && document.format != Format::Binary {
        scope.report("endian", "is only allowed if the format is `binary`");
    }
    // Fields and records are read inside, where there is a payload within the payload.
    let within = document.inside.as_ref().map_or(reader, |inside| Reader {
        format: inside.format,
        endian: inside.endian.unwrap_or_default(),
        end: MAX_PAYLOAD,
    });
    check_csv(document.format, document.csv, scope);
    check_content(document, trusts_device, scope);
    if document.identity.len() > MAX_PARTS {
        scope.report("identity", format!("has {} parts, at most {MAX_PARTS} are allowed", document.identity.len()));
    }
    let has_sent = document.sent.is_some();
    let mut read = HashSet::new();
    let identity = document.identity.iter().enumerate();
    Version {
        name: document.name.clone(),
        when: document
            .when
            .as_ref()
            .map_or_else(When::default, |when| compile_when(when, &reader, &mut scope.within("when"))),
        format: document.format,
        csv: document.csv.unwrap_or_default(),
        compressed: document.compressed,
        inside: document
            .inside
            .as_ref()
            .and_then(|inside| compile_inside(inside, document, has_sent, &within, zone, &mut scope.within("inside"))),
        identity: identity
            .filter_map(|(index, part)| reader.getter(part, &mut scope.element("identity", index)))
            .collect(),
        time: document.time.as_ref().and_then(|time| {
            time::compile(time, Place::Message { has_sent }, &reader, zone, &mut scope.within("time"))
        }),
        sent: document
            .sent
            .as_ref()
            .and_then(|sent| time::compile(sent, Place::Sent, &reader, zone, &mut scope.within("sent"))),
        fields: compile_fields(&document.fields, &within, Some(&reader), metrics, &mut read, scope),
        records: document.records.as_ref().and_then(|records| {
            for (key, given) in
                [("records.stepMs", records.step_ms.is_some()), ("records.step", records.step.is_some())]
            {
                if given && !has_time(document) {
                    scope.report(key, "is only allowed if the version has a time, which the first record gets");
                }
            }
            let place = Place::Record { has_sent, has_message_time: has_time(document) };
            compile_records(records, place, &within, zone, metrics, &mut read, &mut scope.within("records"))
        }),
        reads_time: false,
        follows_receipt: false,
    }
    .with_times_known()
}

/// Whether a version reads a time of the message.
fn has_time(document: &VersionDocument) -> bool {
    document.time.is_some() || document.inside.as_ref().is_some_and(|inside| inside.time.is_some())
}

fn check_csv(format: Format, csv: Option<CsvDocument>, scope: &mut Scope<'_>) {
    if csv.is_some() && format != Format::Csv {
        scope.report("csv", "is only allowed if the format is `csv`");
    }
    let separator = csv.and_then(|csv| csv.separator);
    if separator.is_some_and(|separator| !separator.is_ascii() || separator == '"' || "\r\n".contains(separator)) {
        scope.report("csv.separator", "must be one character of ASCII, and no quote and no end of a line");
    }
}

/// Compiles a payload within the payload of a version. `within` reads it.
fn compile_inside(
    document: &InsideDocument,
    version: &VersionDocument,
    has_sent: bool,
    within: &Reader,
    zone: &TimeZone,
    scope: &mut Scope<'_>,
) -> Option<Inside> {
    if !version.format.is_tree() {
        scope.report("from", "is only allowed if the format outside is read by paths");
    }
    if document.format == Format::Text {
        scope.report("format", "must be one that is read: `text` is only archived");
    }
    if document.endian.is_some() && document.format != Format::Binary {
        scope.report("endian", "is only allowed if the format is `binary`");
    }
    if version.time.is_some() && document.time.is_some() {
        scope.report("time", "is not allowed with the version's time: give only one of them");
    }
    check_csv(document.format, document.csv, scope);
    let time = document.time.as_ref();
    let time =
        time.and_then(|time| time::compile(time, Place::Message { has_sent }, within, zone, &mut scope.within("time")));
    let path = match Path::parse(&document.from) {
        Ok(path) if !path.iterates() => path,
        Ok(_) => {
            scope.report("from", "`[*]` is only allowed in the `each` of records");
            return None;
        }
        Err(problem) => {
            scope.report("from", problem);
            return None;
        }
    };
    let &InsideDocument { encoding, compressed, format, csv, .. } = document;
    Some(Inside { path, encoding, compressed, format, csv: csv.unwrap_or_default(), time })
}

/// Reports parts of a version that are missing, and parts that are not allowed.
fn check_content(document: &VersionDocument, trusts_device: bool, scope: &mut Scope<'_>) {
    let VersionDocument { format, identity, time, sent, fields, records, inside, .. } = document;
    if *format == Format::Text {
        for (key, given) in [
            ("identity", !identity.is_empty()),
            ("time", time.is_some()),
            ("sent", sent.is_some()),
            ("inside", inside.is_some()),
            ("compressed", document.compressed),
            ("fields", !fields.is_empty()),
            ("records", records.is_some()),
        ] {
            if given {
                scope.report(key, "is not allowed: the format `text` is archived and not read");
            }
        }
        return;
    }
    if fields.is_empty() && records.is_none() {
        scope.report("fields", "give fields, records or both; if messages are only archived, the format is `text`");
    }
    if fields.len() > MAX_FIELDS {
        scope.report("fields", format!("has {} fields, at most {MAX_FIELDS} are allowed", fields.len()));
    }
    if sent.is_some() && !has_time(document) && records.as_ref().is_none_or(|records| records.time.is_none()) {
        scope.report("sent", "is only allowed if a time is read, to which the clock's difference is added");
    }
    if trusts_device && !has_time(document) {
        let problem = "is missing: clock.trust is `device`, so the device's time must be read";
        if !fields.is_empty() {
            scope.report("time", problem);
        } else if records.as_ref().is_some_and(|records| records.time.is_none()) {
            scope.report("records.time", problem);
        }
    }
}

fn compile_when(document: &WhenDocument, reader: &Reader, scope: &mut Scope<'_>) -> When {
    let WhenDocument { kind, length, min_length, max_length, field, equals } = document;
    if *document == WhenDocument::default() {
        scope.report_here("must have at least one condition");
    }
    if length.is_some() && (min_length.is_some() || max_length.is_some()) {
        scope.report("length", "give either length, or minLength and maxLength");
    }
    if let (Some(least), Some(most)) = (min_length, max_length)
        && least > most
    {
        scope.report("minLength", format!("{least} is greater than maxLength {most}"));
    }
    for (key, length) in [("length", length), ("minLength", min_length), ("maxLength", max_length)] {
        if length.is_some_and(|length| length > MAX_PAYLOAD) {
            scope.report(key, format!("must be at most {MAX_PAYLOAD}, the greatest length of a payload"));
        }
    }
    if equals.is_some() && field.is_none() {
        scope.report("equals", "is only allowed with a field to compare");
    }
    let field = field.as_ref().and_then(|field| condition::of(field, equals.as_ref(), reader, scope));
    When {
        kind: kind.clone(),
        min_length: length.or(*min_length).unwrap_or(0),
        max_length: length.or(*max_length),
        field,
    }
}

fn compile_fields<'d>(
    documents: &'d [FieldDocument],
    reader: &Reader,
    outside: Option<&Reader>,
    metrics: &Metrics<'_>,
    read: &mut HashSet<&'d str>,
    scope: &mut Scope<'_>,
) -> Vec<Field> {
    let mut fields = Vec::with_capacity(documents.len());
    for (index, document) in documents.iter().enumerate() {
        let mut scope = scope.element("fields", index);
        if !read.insert(&document.metric) {
            scope.report("metric", format!("an earlier field of this version already reads `{}`", document.metric));
        }
        let reader = match outside {
            Some(outside) if document.outside => outside,
            None if document.outside => {
                scope.report("outside", "is not allowed in records, which are read inside");
                reader
            }
            _ => reader,
        };
        fields.extend(compile_field(document, reader, metrics, &mut scope));
    }
    fields
}

fn compile_records<'d>(
    document: &'d RecordsDocument,
    place: Place,
    reader: &Reader,
    zone: &TimeZone,
    metrics: &Metrics<'_>,
    read: &mut HashSet<&'d str>,
    scope: &mut Scope<'_>,
) -> Option<Records> {
    if document.fields.is_empty() || document.fields.len() > MAX_FIELDS {
        scope.report("fields", format!("must list from 1 to {MAX_FIELDS} fields"));
    }
    if let Some(step) = document.step_ms {
        if document.time.is_some() {
            scope.report("stepMs", "is not allowed with records.time: give only one of them");
        }
        if step == 0 || !(-MAX_STEP_MS..=MAX_STEP_MS).contains(&step) {
            scope.report("stepMs", format!("must be from -{MAX_STEP_MS} to {MAX_STEP_MS}, and not 0"));
        }
    }
    let source = if reader.format == Format::Binary {
        compile_packed(document, reader, scope)
    } else {
        compile_each(document, scope)
    };
    let within = Reader { end: document.length.unwrap_or(MAX_PAYLOAD), ..*reader };
    let time =
        document.time.as_ref().and_then(|time| time::compile(time, place, &within, zone, &mut scope.within("time")));
    let step = document.step.as_ref().and_then(|step| {
        if document.time.is_some() || document.step_ms.is_some() {
            scope.report("step", "is not allowed with records.time or records.stepMs: give only one of them");
        }
        time::compile_step(step, reader, &mut scope.within("step"))
    });
    let fields = compile_fields(&document.fields, &within, None, metrics, read, scope);
    let condition = document.condition.as_ref();
    let condition = condition.and_then(|it| condition::compile(it, &within, &mut scope.within("where")));
    Some(Records {
        source: source?,
        optional: document.optional,
        condition,
        time,
        step: step.map_or(Step::Fixed { ms: document.step_ms.unwrap_or(0) }, Step::Read),
        fields,
    })
}

fn compile_each(document: &RecordsDocument, scope: &mut Scope<'_>) -> Option<RecordsSource> {
    for (key, given) in [
        ("offset", document.offset.is_some()),
        ("length", document.length.is_some()),
        ("count", document.count.is_some()),
    ] {
        if given {
            scope.report(key, "is only allowed if the format is `binary`");
        }
    }
    if !document.columns.is_empty() {
        return Some(compile_columns(document, scope));
    }
    let Some(path) = &document.each else {
        scope.report("each", "is missing: give a path with `[*]`, or columns");
        return None;
    };
    match Path::parse(path) {
        Ok(path) if path.iterates() => Some(RecordsSource::Each(path)),
        Ok(_) => {
            scope.report("each", format!("`{path}` has no `[*]`, which stands for each record"));
            None
        }
        Err(problem) => {
            scope.report("each", problem);
            None
        }
    }
}

fn compile_columns(document: &RecordsDocument, scope: &mut Scope<'_>) -> RecordsSource {
    if document.each.is_some() {
        scope.report("columns", "is not allowed with each: give only one of them");
    }
    if document.columns.len() > MAX_COLUMNS {
        let count = document.columns.len();
        scope.report("columns", format!("has {count} arrays, at most {MAX_COLUMNS} are allowed"));
    }
    let mut scope = scope.within("columns");
    let columns = document.columns.iter().filter_map(|(name, path)| match Path::parse(path) {
        _ if name.is_empty() || name.len() > MAX_COLUMN => {
            scope.report(name, format!("a name must have from 1 to {MAX_COLUMN} bytes"));
            None
        }
        Ok(path) if path.iterates() => {
            scope.report(name, "must lead to an array, without `[*]`");
            None
        }
        Ok(path) => Some((name.clone(), path)),
        Err(problem) => {
            scope.report(name, problem);
            None
        }
    });
    RecordsSource::Columns(columns.collect())
}

fn compile_packed(document: &RecordsDocument, reader: &Reader, scope: &mut Scope<'_>) -> Option<RecordsSource> {
    for (key, given) in [("each", document.each.is_some()), ("columns", !document.columns.is_empty())] {
        if given {
            scope.report(key, "is not allowed if the format is `binary`");
        }
    }
    if document.optional {
        scope.report("optional", "is not allowed if the format is `binary`, which allows zero records anyway");
    }
    let (offset, length) = (document.offset.unwrap_or(MAX_PAYLOAD), document.length.unwrap_or(0));
    if offset >= MAX_PAYLOAD {
        scope.report("offset", format!("must be given, from 0 to {}", MAX_PAYLOAD - 1));
    }
    if length == 0 || length > MAX_PAYLOAD {
        scope.report("length", format!("must be given, from 1 to {MAX_PAYLOAD}"));
        return None;
    }
    let count = document.count.as_ref().and_then(|count| {
        let mut scope = scope.within("count");
        match reader.getter(&Source::Binary(count.clone()), &mut scope)? {
            Getter::Binary(field) if field.is_whole() => Some(field),
            _ => {
                scope.report("type", "must be that of a whole number, without scale or add");
                None
            }
        }
    });
    Some(RecordsSource::Packed { offset, length, count })
}
