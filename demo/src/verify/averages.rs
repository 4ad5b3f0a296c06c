//! Checks the averages against a plain calculation over the readings that were sent: sort, take the last, add, divide.
//!
//! A row says up to which record of its device it was computed. It must be right for the readings up to there, and must not
//! be overdue.

use super::readings::{FoundReading, is_close};
use super::report_broken;
use crate::evidence::Evidence;
use crate::evidence::results::Latest;
use myaku::device::reading::Value;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

/// How many choices of readings are tried, where a window ends between readings of the same time.
const CHOICES_MAX: usize = 5_000;

/// The windows of all devices, as their profiles say.
#[derive(Clone, Debug, Default)]
pub struct Windows {
    profile_of: HashMap<String, String>,
    windows: HashMap<(String, String), Window>,
}

/// The settings of a profile's window that decide a mean.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Window {
    last: Option<usize>,
    seconds: Option<i64>,
}

#[derive(Deserialize)]
struct Profile {
    id: String,
    #[serde(default)]
    metrics: BTreeMap<String, Metric>,
}

#[derive(Deserialize)]
struct Metric {
    window: Option<Window>,
}

impl Windows {
    /// The windows of `devices` (their ids and profiles), read from the JSON of `profiles`.
    pub fn new<'a>(
        profiles: impl IntoIterator<Item = &'a str>,
        devices: impl IntoIterator<Item = (String, String)>,
    ) -> serde_json::Result<Self> {
        let mut windows = HashMap::new();
        for json in profiles {
            let profile: Profile = serde_json::from_str(json)?;
            for (metric, description) in profile.metrics {
                windows.extend(description.window.map(|window| ((profile.id.clone(), metric), window)));
            }
        }
        Ok(Self { profile_of: devices.into_iter().collect(), windows })
    }

    pub(super) fn get(&self, device: &str, metric: &str) -> Option<Window> {
        let profile = self.profile_of.get(device)?;
        self.windows.get(&(profile.clone(), metric.to_owned())).copied()
    }
}

#[cfg(test)]
impl Windows {
    /// The window of a device's metric, as (last, seconds).
    pub(super) fn spec(&self, device: &str, metric: &str) -> (Option<usize>, Option<i64>) {
        self.get(device, metric).map_or((None, None), |window| (window.last, window.seconds))
    }
}

/// Counts of averages: one for each device and metric that has a window.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Averages {
    /// Averages that must exist.
    pub expected: usize,
    /// Averages that are right in every number.
    pub right: usize,
    /// Averages that exist and are wrong.
    pub wrong: usize,
    /// Averages that do not exist.
    pub missing: usize,
    /// Rows that no message was sent for.
    pub unexpected: usize,
    /// Averages whose row is overdue: a later reading should have been in it.
    pub overdue: usize,
    /// Averages that are marked partial: readings may be missing.
    pub partial: usize,
    /// Readings that all the windows hold together.
    pub readings: usize,
}

/// What a window's row must say.
#[derive(Debug)]
struct Expected {
    at_ms: i64,
    count: usize,
    /// The readings that must be in the window.
    certain: Vec<f64>,
    /// Readings of the same time, of which `count - certain.len()` are in the window. The contract does not say which.
    open: Vec<f64>,
}

/// Checks that each average is right. Only if memory was lost, it may be marked partial instead.
pub(super) fn compare(
    readings: &[FoundReading],
    evidence: &Evidence,
    windows: &Windows,
    broken: &mut Vec<String>,
) -> Averages {
    let mut series = BTreeMap::<(&str, &str), Vec<(&FoundReading, f64)>>::new();
    for reading in readings {
        if let Value::Number(value) = reading.value
            && windows.get(&reading.device, &reading.metric).is_some()
        {
            series.entry((&reading.device, &reading.metric)).or_default().push((reading, value));
        }
    }
    let positions: HashMap<&str, &str> =
        evidence.results.iter().map(|row| (row.device.as_str(), row.position.as_str())).collect();
    let mut rows =
        evidence.results.iter().map(|row| ((row.device.as_str(), row.metric.as_str()), row)).collect::<HashMap<_, _>>();
    let arrivals = arrivals(evidence);
    let mut counts = Averages::default();
    let (mut wrong, mut missing, mut overdue, mut flagged) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for ((device, metric), all) in series {
        let Some(window) = windows.get(device, metric) else { continue };
        let Some(position) = positions.get(device) else {
            counts.expected += 1;
            missing.push(format!("{metric} of {device}"));
            continue;
        };
        let Some(at_ms) = arrivals.get(&(device, (*position).to_owned())) else {
            wrong.push(format!("{metric} of {device}: the device has no record at {position}"));
            continue;
        };
        let due = at_ms.saturating_add(evidence.results_lag_ms);
        let first = |reading: &FoundReading| reading.records.iter().map(|(position, _)| position.clone()).min();
        let is_overdue = |(reading, _): &(&FoundReading, f64)| {
            let record = first(reading).filter(|first| first.as_str() > *position);
            record.and_then(|record| arrivals.get(&(device, record))).is_some_and(|arrived_ms| *arrived_ms >= due)
        };
        if all.iter().any(is_overdue) {
            overdue.push(format!("{metric} of {device}"));
        }
        let counted = all.iter().filter_map(|(reading, value)| Some((reading.at_ms_by(position)?, *value)));
        let mut counted: Vec<_> = counted.collect();
        if counted.is_empty() {
            continue;
        }
        counts.expected += 1;
        let expected = expected_row(window, &mut counted);
        counts.readings += expected.count;
        let Some(row) = rows.remove(&(device, metric)) else {
            // A row has what the state has, and the state may have lost a metric.
            if evidence.memory_lost {
                counts.partial += 1;
            } else {
                missing.push(format!("{metric} of {device}"));
            }
            continue;
        };
        counts.partial += usize::from(row.is_partial);
        if row.is_partial && !evidence.memory_lost {
            flagged.push(format!("{metric} of {device}"));
        }
        match problem(&expected, row) {
            None => counts.right += 1,
            Some(_) if row.is_partial && evidence.memory_lost => {}
            Some(problem) => wrong.push(format!("{metric} of {device}: {problem}")),
        }
    }
    let unexpected = rows.keys().map(|(device, metric)| format!("{metric} of {device}")).collect::<Vec<_>>();
    report_broken(broken, "averages are missing", &missing);
    report_broken(broken, "averages are wrong", &wrong);
    report_broken(broken, "rows of averages are overdue", &overdue);
    report_broken(broken, "averages are marked partial, but no memory was lost", &flagged);
    report_broken(broken, "averages are unexpected", &unexpected);
    let [wrong, missing, overdue, unexpected] = [wrong, missing, overdue, unexpected].map(|found| found.len());
    Averages { wrong, missing, unexpected, overdue, ..counts }
}

/// When each record of the stream of readings arrived, by device and position.
fn arrivals(evidence: &Evidence) -> HashMap<(&str, String), i64> {
    evidence.readings.iter().map(|record| ((record.key.as_str(), record.position()), record.arrived_ms)).collect()
}

/// Computes the window over readings. It depends on the set of readings, not on their order of arrival.
fn expected_row(window: Window, series: &mut [(i64, f64)]) -> Expected {
    series.sort_by_key(|(at, _)| Reverse(*at));
    let newest = series.first().map_or(0, |(at, _)| *at);
    let in_time = series.iter().filter(|(at, _)| window.seconds.is_none_or(|seconds| *at > newest - seconds * 1000));
    let in_time = in_time.copied().collect::<Vec<_>>();
    let count = window.last.unwrap_or(usize::MAX).min(in_time.len());
    // Where the window ends between readings of the same time, any of these may be in it.
    let edge = in_time.get(count).map(|(at, _)| *at).filter(|at| count > 0 && in_time[count - 1].0 == *at);
    let certain = in_time[..count].iter().filter(|(at, _)| Some(*at) != edge).map(|(_, value)| *value).collect();
    let open = in_time.iter().filter(|(at, _)| Some(*at) == edge).map(|(_, value)| *value).collect();
    Expected { at_ms: newest, count, certain, open }
}

/// Describes what is wrong with a row; `None` if it is right.
fn problem(expected: &Expected, row: &Latest) -> Option<String> {
    if row.at_ms != expected.at_ms {
        return Some(format!("the newest reading is from {}, but the row's is from {}", expected.at_ms, row.at_ms));
    }
    if row.count != expected.count as u64 {
        return Some(format!("the window holds {} readings, but the row counts {}", expected.count, row.count));
    }
    let ways = choices(&expected.open, expected.count - expected.certain.len());
    let fits = |chosen: &Vec<f64>| {
        let all = expected.certain.iter().chain(chosen);
        let sum = all.clone().sum::<f64>();
        is_close(sum / expected.count as f64, row.mean)
            && is_close(all.clone().copied().fold(f64::INFINITY, f64::min), row.min)
            && is_close(all.copied().fold(f64::NEG_INFINITY, f64::max), row.max)
    };
    if ways.iter().any(fits) {
        return None;
    }
    let all = expected.certain.iter().chain(ways.first()?);
    let mean = all.sum::<f64>() / expected.count as f64;
    Some(format!("the mean is {mean}, but the row's is {} (from {} to {})", row.mean, row.min, row.max))
}

/// All ways to take `count` of `values`, up to [`CHOICES_MAX`].
fn choices(values: &[f64], count: usize) -> Vec<Vec<f64>> {
    let mut ways = vec![Vec::new()];
    for (index, value) in values.iter().enumerate() {
        let left = values.len() - index - 1;
        let longer = ways.iter().filter(|way| way.len() < count).map(|way| [way.as_slice(), &[*value]].concat());
        let longer = longer.collect::<Vec<_>>();
        ways.retain(|way| way.len() + left >= count);
        ways.extend(longer);
        ways.truncate(CHOICES_MAX);
    }
    ways.retain(|way| way.len() == count);
    ways
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(last: Option<usize>, seconds: Option<i64>) -> Window {
        Window { last, seconds }
    }

    fn row(at_ms: i64, values: &[f64]) -> Latest {
        Latest {
            at_ms,
            count: values.len() as u64,
            mean: values.iter().sum::<f64>() / values.len() as f64,
            min: values.iter().copied().fold(f64::INFINITY, f64::min),
            max: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            ..Latest::default()
        }
    }

    #[test]
    fn a_window_holds_the_last_readings_by_their_time_and_not_by_their_arrival() {
        let expected = expected_row(window(Some(2), None), &mut [(3, 30.0), (1, 10.0), (2, 20.0)]);
        assert_eq!(problem(&expected, &row(3, &[20.0, 30.0])), None);
        assert!(problem(&expected, &row(3, &[10.0, 30.0])).is_some());
    }

    #[test]
    fn a_window_by_time_excludes_its_limit_and_both_limits_hold_together() {
        let mut series = [(5_000, 5.0), (4_000, 4.0), (3_000, 3.0)];
        assert_eq!(problem(&expected_row(window(None, Some(2)), &mut series), &row(5_000, &[4.0, 5.0])), None);
        assert_eq!(problem(&expected_row(window(Some(1), Some(2)), &mut series), &row(5_000, &[5.0])), None);
    }

    #[test]
    fn any_of_the_readings_of_one_time_at_the_edge_of_a_window_may_be_in_it() {
        let expected = expected_row(window(Some(2), None), &mut [(2, 20.0), (1, 10.0), (1, 12.0)]);
        assert_eq!(problem(&expected, &row(2, &[20.0, 10.0])), None);
        assert_eq!(problem(&expected, &row(2, &[20.0, 12.0])), None);
        assert!(problem(&expected, &row(2, &[10.0, 12.0])).is_some());
    }

    #[test]
    fn all_ways_to_choose_are_tried() {
        assert_eq!(choices(&[1.0, 2.0, 3.0], 2).len(), 3);
        assert_eq!(choices(&[], 0), vec![Vec::<f64>::new()]);
    }
}
