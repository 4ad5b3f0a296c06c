//! The windows of time of a device that are not closed.

use super::number;
use anyhow::{Context as _, Result};
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use jiff::Timestamp;
use myaku::device::profile::Profile;
use myaku::keyed::live_states;
use myaku::keyed::progress::ProgressStore;
use myaku::keyed::states::States;
use myaku::results::{Field, Fields, Outcome as _};
use myaku::window::tumbling::{MetricSpec, MetricTimelines, Summary, WindowResult};
use serde::ser::{Serialize, SerializeMap as _, Serializer};

/// The part of a stored window that is for merging, and says nothing to people.
const AGGREGATE: &str = "aggregate";

/// A window of a metric that is not closed. As JSON it has `metric`, and what a row has of a window.
#[derive(Clone, Debug, PartialEq)]
pub struct PresentWindow {
    /// The metric.
    pub metric: String,
    /// What its readings come to so far.
    pub result: WindowResult,
}

/// Reads the windows of `device` that are not closed.
pub(super) async fn present(
    states: &impl States<State = MetricTimelines>,
    progress: &impl ProgressStore,
    readings_stream: &str,
    device: &str,
    profile: &Profile,
) -> Result<Vec<PresentWindow>> {
    let live = live_states(progress, states, readings_stream, &[device]).await;
    let live = live.context("cannot read the states of windows from Redis")?;
    let state = live.into_iter().find_map(|live| live.state).unwrap_or_default();
    let of_metric = state.iter().filter_map(|(name, timeline)| {
        let spec = MetricSpec::of(profile.metric(name)?)?;
        Some(timeline.live(spec).into_iter().map(|result| PresentWindow { metric: name.to_owned(), result }))
    });
    Ok(of_metric.flatten().collect())
}

/// A table for people; `None` if there are no windows.
pub(super) fn table(windows: &[PresentWindow]) -> Option<Table> {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(["metric", "window", "since", "readings", "so far", ""]);
    for PresentWindow { metric, result } in windows {
        let from_ms = result.interval.from_ms;
        let since = Timestamp::from_millisecond(from_ms).map_or_else(|_| from_ms.to_string(), |at| at.to_string());
        table.add_row([
            metric.clone(),
            result.window.clone(),
            since,
            result.count().to_string(),
            result.summary().map_or_else(String::new, |summary| in_words(&summary, &result.unit)),
            if result.partial { "partial".to_owned() } else { String::new() },
        ]);
    }
    (!windows.is_empty()).then_some(table)
}

/// The statistics that people ask for first.
fn in_words(summary: &Summary, unit: &str) -> String {
    match summary {
        Summary::Numbers(of) => {
            let [mean, min, max, p95] = [of.mean, of.min, of.max, of.p95].map(number);
            format!("{mean} {unit}, {min} to {max}, p95 {p95}")
        }
        Summary::Booleans(of) => {
            format!("true for {} %, {} changes", number(of.true_share * 100.0), of.changes)
        }
        Summary::Texts(of) => {
            let top = of.top.iter().take(3).map(|top| format!("{} × {}", top.text, top.count));
            top.collect::<Vec<_>>().join(", ")
        }
        Summary::Positions(of) => format!("{} m", number(of.distance_m)),
    }
}

impl Serialize for PresentWindow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = self.result.fields();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("metric", &self.metric)?;
        for (name, field) in fields.iter().filter(|(name, _)| *name != AGGREGATE) {
            map.serialize_entry(name, &Json(field))?;
        }
        map.end()
    }
}

/// A field as JSON.
struct Json<'a>(&'a Field);

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Field::Number(number) => serializer.serialize_f64(*number),
            Field::Integer(integer) => serializer.serialize_i64(*integer),
            Field::Flag(flag) => serializer.serialize_bool(*flag),
            Field::Text(text) => serializer.serialize_str(text),
            Field::Bytes(bytes) => serializer.serialize_bytes(bytes),
            Field::List(list) => serializer.collect_seq(list.iter().map(Json)),
            Field::Map(fields) => serializer.collect_map(pairs(fields)),
        }
    }
}

fn pairs(fields: &Fields) -> impl Iterator<Item = (&str, Json<'_>)> {
    fields.iter().map(|(name, field)| (name, Json(field)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use myaku::device::reading::Value;
    use myaku::keyed::Kept;
    use myaku::keyed::ReadingId;
    use myaku::keyed::fence::Fences;
    use myaku::keyed::progress::memory::MemoryProgress;
    use myaku::keyed::states::memory::MemoryStates;
    use myaku::keyed::states::{Commit, SlotCommit, Version};
    use myaku::stream::slot::Slot;
    use myaku::window::tumbling::Entry;

    const BEGIN_MS: i64 = 1_795_219_200_000;

    #[tokio::test]
    async fn windows_that_are_not_closed_are_shown_as_they_are_now() {
        let document = br#"{"id": "walker",
            "metrics": {"pulse": {"unit": "1/min", "windows": [{"seconds": 300}]},
                "mode": {"kind": "text", "windows": [{"seconds": 300}]}},
            "versions": [{"name": "1", "format": "json", "fields": [
                {"metric": "pulse", "from": "p"}, {"metric": "mode", "from": "m"}]}]}"#;
        let profile = Profile::parse(document).unwrap();
        let (progress, states) = (MemoryProgress::default(), MemoryStates::<MetricTimelines>::default());
        let read = async || present(&states, &progress, "readings", "walker-1", &profile).await.unwrap();
        assert!(read().await.is_empty() && table(&read().await).is_none());

        let mut kept = Kept::<MetricTimelines>::default();
        let values =
            [("pulse", Value::Number(60.0)), ("pulse", Value::Number(64.0)), ("mode", Value::Text("walks".to_owned()))];
        for ((metric, value), id) in values.into_iter().zip(1..) {
            let spec = MetricSpec::of(profile.metric(metric).unwrap()).unwrap();
            let (at, id) = (BEGIN_MS + id as i64 * 1_000, ReadingId { order: id, digest: id });
            kept.state.insert(metric, spec, Entry { at, id, value }, None).unwrap();
        }
        let (fences, new) = (Fences::new(), Version::default());
        let states_of = vec![Commit { device_id: "walker-1", replaces: &new, kept: Some(&kept) }];
        let slot = Slot::of("walker-1");
        let commit = SlotCommit { slot, fences: &fences, fence: None, forgotten: Vec::new(), states: states_of };
        states.commit("readings", &[commit]).await.unwrap();

        let windows = read().await;
        let text = table(&windows).unwrap().trim_fmt();
        let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[1][..5], ["mode", "300s", "2026-11-21T00:00:00Z", "1", "walks"], "{text}");
        assert_eq!(rows[2][..6], ["pulse", "300s", "2026-11-21T00:00:00Z", "2", "62", "1/min,"], "{text}");
        let json = serde_json::to_value(&windows).unwrap();
        assert_eq!(
            (&json[1]["metric"], &json[1]["mean"], &json[1]["count"]),
            (&"pulse".into(), &62.0.into(), &2.into())
        );
        assert_eq!(json[0]["top"][0]["text"], "walks");
        assert!(json[0].get(AGGREGATE).is_none());
    }
}
