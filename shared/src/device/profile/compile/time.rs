//! Compiles a time: where it is, how it is written, and what it is relative to.

use super::super::document::{Epoch, Relative, StepDocument, TimeDocument, TimeUnit};
use super::super::problem::Scope;
use super::super::source::Getter;
use super::super::time::Time;
use super::super::windows;
use super::reader::Reader;
use jiff::civil::{DateTime, date};
use jiff::fmt::strtime;
use jiff::tz::TimeZone;

/// What a time belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A message. `has_sent`: the version reads when it was sent.
    Message { has_sent: bool },
    /// The sending of a message.
    Sent,
    /// A record.
    Record { has_sent: bool, has_message_time: bool },
}

/// Compiles a time. `zone` is the profile's.
pub(super) fn compile(
    document: &TimeDocument,
    place: Place,
    reader: &Reader,
    zone: &TimeZone,
    scope: &mut Scope<'_>,
) -> Option<Time> {
    check(document, place, scope);
    let getter = getter(document, reader, scope)?;
    let local = (document.unit == TimeUnit::Local).then(|| {
        let own = document.zone.as_deref().map(|name| windows::zone(Some(name)));
        if own == Some(None) {
            scope.report("zone", "is not a time zone: give a name of the IANA database, like `Asia/Tokyo`");
        }
        (own.flatten().unwrap_or_else(|| zone.clone()), document.pattern.clone())
    });
    if document.pattern.as_deref().is_some_and(|pattern| !is_readable(pattern)) {
        scope.report(
            "pattern",
            "does not give a date and a time: use directives of strftime, such as `%Y-%m-%d %H:%M:%S`",
        );
    }
    let unit_ms = document.unit.milliseconds().unwrap_or(1.0);
    Some(Time {
        getter,
        unit: document.unit,
        text: document.text,
        epoch: document.epoch.unwrap_or_default(),
        relative: document.relative,
        local,
        wraps_ms: document.wraps_at.map(|number| (number as f64 * unit_ms) as i64),
    })
}

/// Whether a time that is written by a pattern can be read by it.
fn is_readable(pattern: &str) -> bool {
    let time = date(2026, 11, 21).at(8, 54, 52, 0);
    strtime::format(pattern, time).and_then(|text| DateTime::strptime(pattern, text)).is_ok()
}

/// Compiles the time between two records, which is a number.
pub(super) fn compile_step(document: &StepDocument, reader: &Reader, scope: &mut Scope<'_>) -> Option<Time> {
    if document.unit.milliseconds().is_none() {
        scope.report("unit", "must be that of a number");
    }
    let getter = reader.getter(&document.from, &mut scope.within("from"))?;
    let (unit, text) = (document.unit, false);
    Some(Time { getter, unit, text, epoch: Epoch::Unix, relative: None, local: None, wraps_ms: None })
}

fn getter(document: &TimeDocument, reader: &Reader, scope: &mut Scope<'_>) -> Option<Getter> {
    let getter = reader.getter(&document.from, &mut scope.within("from"))?;
    if let Getter::Binary(field) = &getter {
        match (field.is_text(), document.unit.milliseconds().is_none()) {
            (false, true) => scope.report("unit", "this unit is a text, and the binary field is a number"),
            (true, false) if !document.text => {
                scope.report("text", "must be true: the binary field is a text, and the unit is that of a number");
            }
            _ => {}
        }
    }
    Some(getter)
}

/// Reports settings that do not go together.
fn check(document: &TimeDocument, place: Place, scope: &mut Scope<'_>) {
    let TimeDocument { unit, text, epoch, relative, zone, pattern, wraps_at, .. } = document;
    let is_number = unit.milliseconds().is_some();
    for (key, given) in
        [("text", *text), ("epoch", epoch.is_some()), ("relative", relative.is_some()), ("wrapsAt", wraps_at.is_some())]
    {
        if given && !is_number {
            scope.report(key, "is only allowed with the unit of a number");
        }
    }
    for (key, given) in [("zone", zone.is_some()), ("pattern", pattern.is_some())] {
        if given && *unit != TimeUnit::Local {
            scope.report(key, "is only allowed with the unit `local`");
        }
    }
    for (key, given) in [("epoch", epoch.is_some()), ("wrapsAt", wraps_at.is_some())] {
        if given && relative.is_some() {
            scope.report(key, "is not allowed with relative");
        }
    }
    let of_message =
        matches!(relative, Some(Relative::AfterMessage | Relative::BeforeMessage | Relative::AfterPrevious));
    match place {
        Place::Sent if relative.is_some() => scope.report("relative", "is not allowed: the message was sent now"),
        Place::Message { .. } if of_message => scope.report("relative", "is only allowed in records.time"),
        Place::Record { has_message_time: false, .. } if of_message => {
            scope.report("relative", "is only allowed if the version has a time");
        }
        _ => {}
    }
    let has_sent = matches!(place, Place::Message { has_sent: true } | Place::Record { has_sent: true, .. });
    if wraps_at.is_some() && !has_sent {
        scope.report("wrapsAt", "is only allowed if the version reads `sent`, and not in `sent` itself");
    }
    if *wraps_at == Some(0) {
        scope.report("wrapsAt", "must be more than 0");
    }
}
