//! Compiles a document into a profile.
//!
//! Everything is checked here, once, so that decoding does not have to. All problems are reported together.

mod alerts;
mod condition;
mod field;
mod reader;
mod time;
mod version;

use super::Profile;
use super::alerts::Condition;
use super::document::{
    ClockDocument, Format, Kind, MetricDocument, Offset, ProfileDocument, RangeDocument, VersionDocument,
};
use super::metric::Metric;
use super::problem::{Problem, Scope};
use super::windows;
use crate::device::event_time::{ClockRule, ClockSource};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

/// The greatest numbers of versions and metrics in a profile. The document must fit into an item of the registry, 400
/// KB.
const MAX_VERSIONS: usize = 32;
const MAX_METRICS: usize = 256;
/// The greatest numbers of metrics, and of texts among them, that have windows. Each takes up to 3 KB of a row of results, and
/// a text 12 KB; a row has at most 400 KB.
const MAX_WINDOWED: usize = 64;
const MAX_WINDOWED_TEXTS: usize = 16;
/// The greatest numbers of alert rules, and of scores among them: so a device's state has at most some 80 KB.
const MAX_ALERT_RULES: usize = 64;
const MAX_SCORES: usize = 16;
/// The longest name of a metric or a version, and the longest unit, in bytes.
pub(super) const MAX_NAME: usize = 64;
/// The longest skew, delay and interval in seconds: a year.
const MAX_SECONDS: u32 = 366 * 24 * 3_600;
/// The first day that a clock which was set can show, without `notBefore`. Clocks that were never set show 1970, 1980, 2000
/// or the year in which their maker compiled the firmware.
const NOT_BEFORE: &str = "2020-01-01";

/// The metrics by name, each with its index in the profile.
type Metrics<'d> = BTreeMap<&'d str, (usize, &'d MetricDocument)>;

/// Compiles a document, or returns all its problems.
pub(super) fn profile(document: &ProfileDocument) -> Result<Profile, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut scope = Scope::root(&mut problems);

    if document.id.is_empty()
        || document.id.len() > crate::ingest::message::MAX_ID
        || document.id.chars().any(char::is_control)
    {
        scope.report("id", "must have from 1 to 128 bytes and no control character");
    }
    let clock = clock(&document.clock, &mut scope.within("clock"));
    let profile_interval = interval(document.expected_interval_seconds, &mut scope);
    let zone = windows::zone(document.zone.as_deref()).unwrap_or_else(|| {
        scope.report("zone", "is not a time zone: give a name of the IANA database, like `Asia/Tokyo`");
        TimeZone::UTC
    });
    if document.metrics.len() > MAX_METRICS {
        scope.report("metrics", format!("has {} metrics, at most {MAX_METRICS} are allowed", document.metrics.len()));
    }
    let metrics: Vec<Metric> = document
        .metrics
        .iter()
        .map(|(name, metric)| {
            compile_metric(name, metric, profile_interval, &zone, &mut scope.within(&format!("metrics.{name}")))
        })
        .collect();
    let by_name: Metrics<'_> =
        document.metrics.iter().enumerate().map(|(index, (name, metric))| (name.as_str(), (index, metric))).collect();

    for (most, kind, what) in [(MAX_WINDOWED, None, "metrics"), (MAX_WINDOWED_TEXTS, Some(Kind::Text), "texts")] {
        let windowed = metrics.iter().filter(|metric| metric.windows.is_some());
        let count = windowed.filter(|metric| kind.is_none_or(|kind| kind == metric.kind)).count();
        if count > most {
            scope.report("metrics", format!("{count} {what} have windows, at most {most} may"));
        }
    }

    check_alerts(&document.metrics, &mut scope);
    if document.versions.is_empty() || document.versions.len() > MAX_VERSIONS {
        scope.report("versions", format!("must list from 1 to {MAX_VERSIONS} versions"));
    }
    check_order(&document.versions, &mut scope);
    let trusts_device = document.clock.trust == Some(ClockSource::Device);
    let versions = document
        .versions
        .iter()
        .enumerate()
        .map(|(index, document)| {
            version::compile(document, &by_name, trusts_device, &zone, &mut scope.element("versions", index))
        })
        .collect();
    check_used(document, &mut scope);

    if !problems.is_empty() {
        return Err(problems);
    }
    let names: HashMap<String, usize> = by_name.iter().map(|(name, (index, _))| ((*name).to_owned(), *index)).collect();
    Ok(Profile { id: document.id.clone(), clock, expected_interval: profile_interval, metrics, names, versions })
}

fn clock(document: &ClockDocument, scope: &mut Scope<'_>) -> ClockRule {
    let delay = document.allowed_delay_seconds.unwrap_or(document.allowed_skew_seconds);
    let spans = [
        ("allowedSkewSeconds", Some(document.allowed_skew_seconds)),
        ("allowedDelaySeconds", document.allowed_delay_seconds),
    ];
    for (key, seconds) in spans {
        if let Some(seconds) = seconds.filter(|seconds| *seconds > MAX_SECONDS) {
            scope.report(key, format!("{seconds} is more than a year; at most {MAX_SECONDS} seconds are allowed"));
        }
    }
    let trust = document.trust.unwrap_or(ClockSource::Device);
    for (key, given) in [
        ("late", document.late.is_some()),
        ("notBefore", document.not_before.is_some()),
        ("offset", document.offset.is_some()),
    ] {
        if given && trust != ClockSource::Device {
            scope.report(key, "is only allowed if clock.trust is `device`");
        }
    }
    let day = document.not_before.as_deref().unwrap_or(NOT_BEFORE);
    let not_before = day.parse::<Date>().ok().and_then(|day| day.to_zoned(TimeZone::UTC).ok());
    if not_before.is_none() {
        scope.report("notBefore", "is not a day: write it as `2026-04-01`");
    }
    ClockRule {
        trust,
        allowed_skew_ms: i64::from(document.allowed_skew_seconds) * 1_000,
        allowed_delay_ms: i64::from(delay) * 1_000,
        not_before_ms: not_before.map_or(0, |day| day.timestamp().as_millisecond().max(0)),
        late: document.late.unwrap_or_default(),
        newest_is_now: document.offset == Some(Offset::Newest),
    }
}

fn interval(seconds: Option<u32>, scope: &mut Scope<'_>) -> Option<Duration> {
    if seconds.is_some_and(|seconds| seconds == 0 || seconds > MAX_SECONDS) {
        scope.report("expectedIntervalSeconds", format!("must be from 1 to {MAX_SECONDS}"));
    }
    seconds.map(|seconds| Duration::from_secs(seconds.into()))
}

fn compile_metric(
    name: &str,
    document: &MetricDocument,
    profile_interval: Option<Duration>,
    zone: &TimeZone,
    scope: &mut Scope<'_>,
) -> Metric {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(is_allowed) {
        scope.report_here(format!(
            "a metric's name must have from 1 to {MAX_NAME} characters: A to Z, a to z, 0 to 9, `_`, `-` and `.`"
        ));
    }
    if document.kind != Kind::Number {
        for (key, given) in [
            ("unit", document.unit.is_some()),
            ("range", document.range.is_some()),
            ("window", document.window.is_some()),
        ] {
            if given {
                scope.report(key, "is only allowed if the metric's kind is `number`");
            }
        }
    }
    if document
        .unit
        .as_ref()
        .is_some_and(|unit| unit.is_empty() || unit.len() > MAX_NAME || unit.chars().any(char::is_control))
    {
        scope.report("unit", format!("must have from 1 to {MAX_NAME} bytes and no control character"));
    }
    match document.range {
        Some(RangeDocument { min: None, max: None, .. }) => scope.report("range", "must have min, max, or both"),
        Some(RangeDocument { min: Some(min), max: Some(max), .. }) if min > max => {
            scope.report("range", format!("min {min} is greater than max {max}"));
        }
        _ => {}
    }
    for (key, problem) in document.window.iter().flat_map(crate::device::profile::WindowSpec::problems) {
        scope.within("window").report(key, problem);
    }
    for (function, settings) in &document.functions {
        if !settings.is_object() {
            scope.within("functions").report(function, "must be an object: the settings of the function");
        }
    }
    Metric {
        name: name.to_owned(),
        kind: document.kind,
        unit: document.unit.clone().unwrap_or_default(),
        range: document.range,
        window: document.window.clone(),
        functions: document.functions.clone(),
        windows: windows::compile(&document.windows, document.allowed_lateness_seconds, zone, |key, problem| {
            scope.report(&key, problem);
        }),
        alerts: alerts::compile(&document.alerts, document.kind, zone, |key, problem| scope.report(&key, problem)),
        expected_interval: interval(document.expected_interval_seconds, scope).or(profile_interval),
    }
}

/// Reports alert rules that are too many, or whose name another one has: a name stands for a device's incidents.
fn check_alerts(metrics: &BTreeMap<String, MetricDocument>, scope: &mut Scope<'_>) {
    let mut names = HashSet::new();
    let (mut rules, mut scores) = (0, 0);
    for (metric, document) in metrics {
        for (index, rule) in document.alerts.iter().enumerate() {
            rules += 1;
            scores += usize::from(matches!(rule.when, Condition::Score(_)));
            if !names.insert(&rule.name) {
                scope.report(&format!("metrics.{metric}.alerts[{index}].name"), "another rule has the same name");
            }
        }
    }
    for (count, most, what) in [(rules, MAX_ALERT_RULES, "alert rules"), (scores, MAX_SCORES, "scores")] {
        if count > most {
            scope.report("metrics", format!("have {count} {what}, at most {most} are allowed"));
        }
    }
}

/// Reports versions that can never be used because an earlier one matches their messages, and names that are not
/// unique.
fn check_order(versions: &[VersionDocument], scope: &mut Scope<'_>) {
    let mut names = HashSet::new();
    for (index, version) in versions.iter().enumerate() {
        let mut scope = scope.element("versions", index);
        if version.name.is_empty() || version.name.len() > MAX_NAME || version.name.chars().any(char::is_control) {
            scope.report("name", format!("must have from 1 to {MAX_NAME} bytes and no control character"));
        } else if !names.insert(&version.name) {
            scope.report("name", "an earlier version has the same name");
        }
        if version.when.is_none() && index + 1 < versions.len() {
            scope.report("when", "is missing: without it a version matches every message, so it must be the last");
        }
        if let Some(same) =
            versions[..index].iter().position(|earlier| version.when.is_some() && earlier.when == version.when)
        {
            scope.report("when", format!("is the same as in versions[{same}], so this version is never used"));
        }
    }
}

/// Reports metrics that no version reads: probably a name is misspelt.
fn check_used(document: &ProfileDocument, scope: &mut Scope<'_>) {
    let read: HashSet<&str> = document
        .versions
        .iter()
        .flat_map(|version| version.fields.iter().chain(version.records.iter().flat_map(|records| &records.fields)))
        .map(|field| field.metric.as_str())
        .collect();
    let archived = document.versions.iter().all(|version| version.format == Format::Text);
    for name in document.metrics.keys().filter(|name| !read.contains(name.as_str())) {
        let why = if archived {
            "no version reads this metric: the format `text` is archived and not read"
        } else {
            "no version reads this metric: add a field that does, or remove it"
        };
        scope.within("metrics").report(name, why);
    }
}
