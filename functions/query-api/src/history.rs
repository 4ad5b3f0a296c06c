//! The history of a metric: its windows of time, merged into steps.

use crate::answer::{Answer, Problem};
use crate::query::{Query, cursor};
use crate::view::{device, sees, sees_present};
use crate::{Context, Ports};
use myaku::device::profile::document::Kind;
use myaku::device::profile::{Metric, Profile, Size};
use myaku::device::registry::Device;
use myaku::http::Reader;
use myaku::keyed::live_states;
use myaku::platform::clock::{MAX_MS, Now as _};
use myaku::platform::errors::RemoteError;
use myaku::results::{LATEST_MS, ReadIntervals as _, ResultsReader as _, Row};
use myaku::window::tumbling::{MetricSpec, Summary, WindowResult};
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;

/// How much time a history covers by default, in milliseconds.
const SPAN_MS: i64 = 86_400_000;
/// The most points of an answer.
const POINTS_MAX: i64 = 2_000;
/// The most rows that one request reads, and that one point is merged from, and about the most bytes. A row has all metrics of
/// its device that have windows, each with a few kilobytes at most.
const ROWS_MAX: usize = 2_500;
const BYTES_MAX: usize = 32 << 20;
const METRIC_BYTES: usize = 3 << 10;
/// How often one request reads so many rows, where they are not those of a whole step: other metrics can have more windows of
/// the same length.
const READS_MAX: usize = 16;

/// Which windows a history is made from, and into which steps they are merged.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Plan {
    /// The windows' name, and the length in seconds that their rows have.
    window: String,
    seconds: u32,
    /// The step in milliseconds: a multiple of the length.
    step_ms: i64,
    /// Days of a time zone begin at their own times, and are not merged.
    is_days: bool,
    /// How many rows are read at once.
    rows_max: usize,
}

/// How many rows of the devices of a profile are read at once.
fn rows_max(profile: &Profile) -> usize {
    let windowed = profile.metrics().iter().filter(|metric| metric.windows.is_some()).count();
    (BYTES_MAX / (METRIC_BYTES * windowed.max(1))).min(ROWS_MAX)
}

impl Plan {
    /// The windows of `metric` that make up the shortest step that is at least `step_ms` and gives at most [`POINTS_MAX`] points
    /// over `span_ms`; of several, the longest, so that the fewest rows are read.
    fn of(metric: &Metric, rows_max: usize, step_ms: i64, span_ms: i64) -> Option<Self> {
        let least_ms = step_ms.max(span_ms / POINTS_MAX + i64::from(span_ms % POINTS_MAX > 0));
        let plans = metric.windows.iter().flat_map(|windows| &windows.list).filter_map(|window| {
            let (length_ms, is_days) = match &window.size {
                Size::Fixed { length_ms, step_ms } if length_ms == step_ms => (*length_ms, false),
                Size::Days { .. } => (i64::from(window.size.seconds()) * 1_000, true),
                Size::Fixed { .. } | Size::Session { .. } => return None,
            };
            let count = least_ms.div_euclid(length_ms) + i64::from(least_ms % length_ms > 0);
            let count = count.max(1);
            let is_possible = if is_days { count == 1 } else { count <= rows_max as i64 };
            let step_ms = length_ms * count;
            is_possible.then(|| {
                (
                    step_ms,
                    -length_ms,
                    Self { window: window.name.clone(), seconds: window.size.seconds(), step_ms, is_days, rows_max },
                )
            })
        });
        plans.min_by_key(|(step_ms, length_ms, _)| (*step_ms, *length_ms)).map(|(_, _, plan)| plan)
    }

    /// The beginning of the step that a window belongs to.
    fn step_of(&self, from_ms: i64) -> i64 {
        if self.is_days { from_ms } else { from_ms.div_euclid(self.step_ms) * self.step_ms }
    }
}

/// A point of a history.
#[derive(Debug, PartialEq, Serialize)]
struct Point {
    from: i64,
    to: i64,
    count: u64,
    mean: f64,
    min: f64,
    max: f64,
    p50: f64,
    p95: f64,
    p99: f64,
    partial: bool,
    /// Grows when the windows are corrected.
    revision: u64,
}

/// `GET /v1/devices/{id}/history`.
pub(crate) async fn read<P: Ports>(
    context: &Context<P>,
    reader: &Reader,
    id: &str,
    query: &str,
) -> Result<Answer, Problem> {
    let query = Query::parse(query, &["metric", "from", "to", "step", "cursor"])?;
    let name = query.required("metric")?;
    let now_ms = context.clock.now_ms();
    let to_ms = query.integer("to", 0..=LATEST_MS)?.unwrap_or(now_ms);
    let from_ms = query.integer("from", 0..=LATEST_MS)?.unwrap_or(to_ms.saturating_sub(SPAN_MS).max(0));
    if from_ms >= to_ms {
        return Err(Problem::field("from", "it must be before `to`"));
    }
    let asked_ms = query.integer("step", 1..=MAX_MS / 1_000)?.unwrap_or(1) * 1_000;
    let device = device(context, reader, id).await?;
    let profiles = context.registry.profiles(&[&device.profile]).await?;
    let profile = profiles.get(device.profile.as_str());
    let metric = profile.and_then(|profile| profile.metric(name));
    let metric = metric.ok_or_else(|| Problem::field("metric", "the profile of the device has no such metric"))?;
    if metric.kind != Kind::Number {
        return Err(Problem::field("metric", "its values are not numbers, and only numbers have a history"));
    }
    let rows_max = profile.map_or(ROWS_MAX, |profile| rows_max(profile));
    let plan = Plan::of(metric, rows_max, asked_ms, to_ms - from_ms).ok_or_else(|| match &metric.windows {
        None => Problem::field("metric", "its profile asks for no windows of time, which a history is made of"),
        Some(_) => Problem::field("step", "no windows of the profile make up steps of this length, over so much time"),
    })?;
    // Whole steps, so that the same time gives the same points.
    let from_ms = plan.step_of(from_ms);
    let end_ms = if plan.is_days { to_ms } else { plan.step_of(to_ms - 1).saturating_add(plan.step_ms) };
    let place = query.cursor::<i64>()?.map_or(from_ms, |place| plan.step_of(place.clamp(from_ms, end_ms)));

    let mut steps = Steps { plan: &plan, metric, points: BTreeMap::new() };
    let next_ms = steps.read_rows(context, reader, &device, place, end_ms).await?;
    if next_ms.is_none() && end_ms > now_ms.saturating_sub(SPAN_MS) {
        steps.add_open(open_windows(context, reader, &device, metric).await?, place, end_ms);
    }
    let points: Vec<Point> =
        steps.points.into_values().filter_map(|(result, revision)| point(&plan, &result, revision)).collect();
    let next = next_ms.map(|next_ms| cursor(&next_ms));
    let step = plan.step_ms / 1_000;
    Answer::json(&json!({"metric": name, "unit": metric.unit, "step": step, "points": points, "next": next}))
}

/// The windows of a history, merged into its steps.
struct Steps<'a> {
    plan: &'a Plan,
    metric: &'a Metric,
    /// By the beginning of the step: what its windows come to, and the greatest revision.
    points: BTreeMap<i64, (WindowResult, u64)>,
}

impl Steps<'_> {
    /// Reads closed windows that begin at `from_ms` or later and before `to_ms`. Returns where the next request goes on, if these
    /// are more than one request reads.
    async fn read_rows<P: Ports>(
        &mut self,
        context: &Context<P>,
        reader: &Reader,
        device: &Device,
        from_ms: i64,
        to_ms: i64,
    ) -> Result<Option<i64>, Problem> {
        let (id, seconds, mut place) = (&device.device_id, self.plan.seconds, from_ms);
        for _ in 0..READS_MAX {
            let found = context.intervals.intervals(id, seconds, place, to_ms, self.plan.rows_max).await?;
            // The rest of the last step is not read, so the step is left to the next request; but not the only step.
            let next_ms = found.next_ms.map(|next_ms| self.plan.step_of(next_ms));
            let is_whole = next_ms.is_none_or(|next_ms| next_ms > from_ms);
            for row in found.rows {
                let Row { facility, mut metrics, counted, .. } = row;
                let Some(result) = metrics.remove(&self.metric.name) else { continue };
                let is_read = next_ms.is_none_or(|next_ms| self.plan.step_of(result.interval.from_ms) < next_ms);
                if (is_read || !is_whole) && sees(reader, Some(&facility)) {
                    self.add(result, counted);
                }
            }
            match found.next_ms {
                Some(next_ms) if !is_whole => place = next_ms,
                _ => return Ok(next_ms),
            }
        }
        Err(Problem::field("step", "a step has more rows than one request reads: ask for shorter ones"))
    }

    /// Adds windows that are not closed.
    fn add_open(&mut self, open: Vec<WindowResult>, from_ms: i64, to_ms: i64) {
        for result in open.into_iter().filter(|result| (from_ms..to_ms).contains(&result.interval.from_ms)) {
            self.add(result, 0);
        }
    }

    fn add(&mut self, result: WindowResult, revision: u64) {
        // A profile that was changed may have made other windows of the same length, or other units.
        let is_same =
            result.window == self.plan.window && result.unit == self.metric.unit && result.kind() == Kind::Number;
        if !is_same {
            return;
        }
        match self.points.get_mut(&self.plan.step_of(result.interval.from_ms)) {
            Some((merged, greatest)) => {
                // They are of the same kind and unit.
                let _ = merged.merge(&result);
                *greatest = revision.max(*greatest);
            }
            None => {
                self.points.insert(self.plan.step_of(result.interval.from_ms), (result, revision));
            }
        }
    }
}

/// The windows of a metric that are not closed, if Redis answers and the reader may see what the device sends now.
async fn open_windows<P: Ports>(
    context: &Context<P>,
    reader: &Reader,
    device: &Device,
    metric: &Metric,
) -> Result<Vec<WindowResult>, RemoteError> {
    let now_ms = context.clock.now_ms();
    let id = device.device_id.as_str();
    let Some(spec) = MetricSpec::of(metric).filter(|_| !context.patience.is_paused(now_ms)) else {
        return Ok(Vec::new());
    };
    let devices = [id];
    let states = live_states(&context.progress, &context.timelines, &context.readings_stream, &devices);
    let (row, states) = tokio::join!(context.results.latest(id), context.patience.wait(now_ms, states));
    if row?.is_some_and(|row| !sees_present(reader, device, &row.facility)) {
        return Ok(Vec::new());
    }
    let state = states.into_iter().flatten().find_map(|live| live.state);
    Ok(state.and_then(|state| Some(state.timeline(&metric.name)?.live(spec))).unwrap_or_default())
}

fn point(plan: &Plan, result: &WindowResult, revision: u64) -> Option<Point> {
    let Summary::Numbers(of) = result.summary()? else { return None };
    let interval = result.interval;
    let from = plan.step_of(interval.from_ms);
    let to = if plan.is_days { interval.to_ms } else { from + plan.step_ms };
    let partial = result.partial;
    Some(Point {
        from,
        to,
        count: of.count,
        mean: of.mean,
        min: of.min,
        max: of.max,
        p50: of.p50,
        p95: of.p95,
        p99: of.p99,
        partial,
        revision,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use myaku::device::profile::Profile;

    fn metric(windows: &str) -> Metric {
        let document = format!(
            r#"{{"id": "walker", "metrics": {{"pulse": {{"unit": "1/min", "windows": {windows}}}}},
                "versions": [{{"name": "1", "format": "json", "fields": [{{"metric": "pulse", "from": "p"}}]}}]}}"#
        );
        Profile::parse(document.as_bytes()).unwrap().metric("pulse").unwrap().clone()
    }

    fn plan(windows: &str, step_s: i64, span_s: i64) -> Option<(String, i64)> {
        Plan::of(&metric(windows), ROWS_MAX, step_s * 1_000, span_s * 1_000)
            .map(|plan| (plan.window, plan.step_ms / 1_000))
    }

    #[test]
    fn a_step_is_rounded_up_to_windows_and_the_longest_that_fit_are_read() {
        let windows = r#"[{"seconds": 300}, {"seconds": 3600}, {"days": 1}]"#;
        let of = |step_s, span_s| plan(windows, step_s, span_s).unwrap();
        assert_eq!(of(1, 86_400), ("300s".to_owned(), 300));
        assert_eq!(of(301, 86_400), ("300s".to_owned(), 600));
        assert_eq!(of(3_600, 86_400), ("3600s".to_owned(), 3_600), "an hour is not twelve windows of five minutes");
        assert_eq!(of(86_400, 86_400 * 365), ("1d".to_owned(), 86_400));
        assert_eq!(of(1, 86_400 * 365), ("300s".to_owned(), 15_900), "at most 2,000 points");
        assert_eq!(of(86_401, 86_400 * 30), ("300s".to_owned(), 86_700), "days are not merged");
    }

    #[test]
    fn windows_that_overlap_and_sessions_make_no_history() {
        assert_eq!(plan(r#"[{"seconds": 900, "stepSeconds": 300}, {"gapSeconds": 600}]"#, 1, 3_600), None);
        assert_eq!(
            plan(r#"[{"seconds": 300}]"#, 300 * 2_501, 3_600),
            None,
            "a point is merged from a bounded number of rows"
        );
    }
}
