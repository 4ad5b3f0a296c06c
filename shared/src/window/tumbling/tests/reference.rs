//! The plain reference: what the results are of a set of readings, with no regard to memory.

use super::*;
use proptest::test_runner::TestCaseError;

/// All readings that were in time.
pub(super) struct Reference<'a> {
    windows: &'a Windows,
    readings: Vec<Entry>,
    left_out: BTreeMap<(String, Interval), u64>,
    clock_ms: Option<i64>,
}

/// What a window should be.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    window: String,
    interval: Interval,
    readings: Vec<Entry>,
    carried: Option<Value>,
    /// Until when the last value holds.
    until_ms: i64,
    left_out: Option<u64>,
}

impl Expected {
    pub(super) fn is_of(&self, result: &WindowResult) -> bool {
        (&self.window, self.interval) == (&result.window, result.interval)
    }
}

impl<'a> Reference<'a> {
    pub(super) const fn new(windows: &'a Windows) -> Self {
        Self { windows, readings: Vec::new(), left_out: BTreeMap::new(), clock_ms: None }
    }

    fn horizon_ms(&self) -> i64 {
        self.clock_ms.map_or(i64::MIN, |clock| clock - self.windows.allowed_lateness_ms)
    }

    pub(super) fn insert(&mut self, entry: Entry) -> Counts {
        let horizon_ms = self.horizon_ms();
        let known = self.readings.iter().position(|known| known.id == entry.id && known.at >= horizon_ms);
        if known.is_none() && entry.at < horizon_ms {
            for window in &self.windows.list {
                let open = intervals(&window.size, entry.at).into_iter().filter(|interval| interval.to_ms > horizon_ms);
                for interval in open {
                    *self.left_out.entry((window.name.clone(), interval)).or_default() += 1;
                }
            }
            return Counts::Once { late: true };
        }
        self.clock_ms = self.clock_ms.max(Some(entry.at));
        let Some(known) = known else {
            self.readings.push(entry);
            return Counts::Once { late: false };
        };
        let order = |entry: &Entry| (entry.at, sortable(&entry.value));
        if entry.at >= horizon_ms && order(&entry) < order(&self.readings[known]) {
            self.readings[known] = entry;
        }
        Counts::Duplicate
    }

    fn sorted(&self) -> Vec<Entry> {
        let mut sorted = self.readings.clone();
        sorted.sort_by_key(|entry| (entry.at, entry.id));
        sorted
    }

    /// All windows with readings, whether they are closed or not.
    fn all(&self, until_ms: impl Fn(Interval) -> i64) -> Vec<Expected> {
        let sorted = self.sorted();
        let mut all = Vec::new();
        for window in &self.windows.list {
            let name = &window.name;
            let mut expected: Vec<Expected> = Vec::new();
            if let Size::Session { gap_ms } = window.size {
                for entry in &sorted {
                    match expected.last_mut() {
                        Some(session) if entry.at - session.interval.to_ms < gap_ms => {
                            session.interval.to_ms = entry.at;
                            session.readings.push(entry.clone());
                        }
                        _ => expected.push(Expected {
                            window: name.clone(),
                            interval: Interval { from_ms: entry.at, to_ms: entry.at },
                            readings: vec![entry.clone()],
                            carried: None,
                            until_ms: i64::MIN,
                            left_out: None,
                        }),
                    }
                }
            } else {
                let mut known: Vec<Interval> =
                    sorted.iter().flat_map(|entry| intervals(&window.size, entry.at)).collect();
                known.sort();
                known.dedup();
                expected.extend(known.into_iter().map(|interval| {
                    let within = |entry: &&Entry| (interval.from_ms..interval.to_ms).contains(&entry.at);
                    let before = sorted.iter().rfind(|entry| entry.at < interval.from_ms);
                    Expected {
                        window: name.clone(),
                        interval,
                        readings: sorted.iter().filter(within).cloned().collect(),
                        carried: before.map(|entry| entry.value.clone()),
                        until_ms: until_ms(interval),
                        left_out: Some(self.left_out.get(&(name.clone(), interval)).copied().unwrap_or(0)),
                    }
                }));
            }
            all.append(&mut expected);
        }
        all
    }

    fn is_session(&self, expected: &Expected) -> Option<i64> {
        let window = self.windows.list.iter().find(|window| window.name == expected.window).unwrap();
        if let Size::Session { gap_ms } = window.size { Some(gap_ms) } else { None }
    }

    /// What should be written by now: each window that is closed, and each session that cannot change any more.
    pub(super) fn written(&self) -> Vec<Expected> {
        let (clock_ms, horizon_ms) = (self.clock_ms.unwrap(), self.horizon_ms());
        let is_closed = |expected: &Expected| match self.is_session(expected) {
            Some(gap_ms) => expected.interval.to_ms + gap_ms <= horizon_ms,
            None => expected.interval.to_ms <= clock_ms,
        };
        self.all(|interval| interval.to_ms).into_iter().filter(is_closed).collect()
    }

    /// What should be live.
    pub(super) fn live(&self) -> Vec<Expected> {
        let (clock_ms, horizon_ms) = (self.clock_ms.unwrap(), self.horizon_ms());
        let is_live = |expected: &Expected| match self.is_session(expected) {
            Some(gap_ms) => expected.interval.to_ms + gap_ms > horizon_ms,
            None => expected.interval.to_ms > clock_ms,
        };
        self.all(|_| clock_ms).into_iter().filter(is_live).collect()
    }
}

fn sortable(value: &Value) -> String {
    match value {
        Value::Number(number) => format!("{:030.9}", number + 1e9),
        Value::Position([x, y]) => format!("{:030.9} {:030.9}", x + 1e9, y + 1e9),
        Value::Boolean(state) => state.to_string(),
        Value::Text(text) => text.clone(),
    }
}

fn close(left: f64, right: f64) -> bool {
    (left - right).abs() <= 1e-9 * (1.0 + right.abs())
}

fn number(value: &Value) -> f64 {
    match value {
        Value::Number(number) => *number,
        Value::Boolean(state) => f64::from(u8::from(*state)),
        _ => panic!("{value:?}"),
    }
}

/// The integral of what holds over time, and how much time it covers in milliseconds.
fn integral(expected: &Expected) -> (f64, u64) {
    let carried = expected.carried.iter().map(|value| (expected.interval.from_ms, number(value)));
    let steps: Vec<_> = carried.chain(expected.readings.iter().map(|entry| (entry.at, number(&entry.value)))).collect();
    let ends = steps.iter().skip(1).map(|(at, _)| *at).chain([expected.until_ms.max(steps[steps.len() - 1].0)]);
    let spans = steps.iter().zip(ends).map(|((at, value), end)| (*value, end - at));
    let (sum, covered) = spans.fold((0.0, 0), |(sum, ms), (value, span)| (sum + value * span as f64, ms + span));
    (sum, covered as u64)
}

/// Compares results with what they should be. Results without readings stand for windows that have none any more.
pub(super) fn check(expected: &[Expected], results: Vec<WindowResult>) -> Result<(), TestCaseError> {
    let results: BTreeMap<_, _> = results
        .into_iter()
        .filter(|result| result.count() > 0)
        .map(|result| ((result.window.clone(), result.interval), result))
        .collect();
    let keys: Vec<_> = results.keys().cloned().collect();
    let mut wanted: Vec<_> = expected.iter().map(|expected| (expected.window.clone(), expected.interval)).collect();
    wanted.sort();
    prop_assert_eq!(keys, wanted);
    for expected in expected {
        let result = &results[&(expected.window.clone(), expected.interval)];
        prop_assert_eq!(result.count() as usize, expected.readings.len(), "{:?}", expected);
        if let Some(left_out) = expected.left_out {
            prop_assert_eq!((result.left_out, result.partial), (left_out, left_out > 0), "{:?}", expected);
        }
        prop_assert!(
            has_the_statistics(expected, &result.summary().unwrap()),
            "{:?} for {:?}",
            result.summary(),
            expected
        );
    }
    Ok(())
}

fn has_the_statistics(expected: &Expected, summary: &Summary) -> bool {
    let values = || expected.readings.iter().map(|entry| &entry.value);
    let (first, last) = (&expected.readings[0], &expected.readings[expected.readings.len() - 1]);
    match summary {
        Summary::Numbers(of) => {
            let n = expected.readings.len() as f64;
            let mut sorted: Vec<f64> = values().map(number).collect();
            let sum: f64 = sorted.iter().sum();
            let variance = sorted.iter().map(|value| (value - sum / n).powi(2)).sum::<f64>() / n;
            sorted.sort_by(f64::total_cmp);
            let has_quantile = |q: f64, estimate: f64| {
                let exact = sorted[(q * (n - 1.0)).floor() as usize];
                (estimate - exact).abs() <= 0.010_001 * exact.abs()
            };
            let (integral, covered_ms) = integral(expected);
            let mean_over_time = if covered_ms > 0 { integral / covered_ms as f64 } else { number(&last.value) };
            close(of.sum, sum)
                && close(of.mean, sum / n)
                && close(of.stddev, variance.sqrt())
                && (of.min, of.max) == (sorted[0], sorted[sorted.len() - 1])
                && (of.first.at, of.first.value) == (first.at, number(&first.value))
                && (of.last.at, of.last.value) == (last.at, number(&last.value))
                && of.covered_ms == covered_ms
                && close(of.time_weighted_mean, mean_over_time)
                && has_quantile(0.50, of.p50)
                && has_quantile(0.95, of.p95)
                && has_quantile(0.99, of.p99)
        }
        Summary::Booleans(of) => {
            let (true_ms, covered_ms) = integral(expected);
            let sequence: Vec<&Value> = expected.carried.iter().chain(values()).collect();
            let changes = sequence.windows(2).filter(|pair| pair[0] != pair[1]).count();
            let share = if covered_ms > 0 { true_ms / covered_ms as f64 } else { number(&last.value) };
            (of.true_ms, of.covered_ms, of.changes as usize) == (true_ms as u64, covered_ms, changes)
                && close(of.true_share, share)
                && Value::Boolean(of.last.value) == last.value
                && of.last.at == last.at
        }
        Summary::Texts(of) => {
            let mut counts: BTreeMap<String, u64> = BTreeMap::new();
            values().for_each(|value| *counts.entry(sortable(value)).or_default() += 1);
            let mut top: Vec<_> = counts.into_iter().collect();
            top.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
            let counted = |text: &CountedText| (text.text.clone(), text.count, text.error);
            of.exact
                && of.distinct as usize == top.len()
                && of.top.iter().map(counted).eq(top.into_iter().take(TOP).map(|(text, count)| (text, count, 0)))
        }
        Summary::Positions(of) => {
            let path: Vec<[f64; 2]> = expected.carried.iter().chain(values()).map(degrees).collect();
            let metres: f64 = path.windows(2).map(|leg| metres(leg[0], leg[1])).sum();
            let [west, south, east, north] = of.bounds;
            let contains = |[x, y]: [f64; 2]| (west <= x) && (x <= east) && (south <= y) && (y <= north);
            (of.distance_m - metres).abs() <= 1e-6 * (1.0 + metres)
                && (of.first.at, of.first.value) == (first.at, degrees(&first.value))
                && (of.last.at, of.last.value) == (last.at, degrees(&last.value))
                && values().map(degrees).all(contains)
        }
    }
}

fn degrees(value: &Value) -> [f64; 2] {
    match value {
        Value::Position(position) => *position,
        _ => panic!("{value:?}"),
    }
}

/// By the angle between two vectors, which is another formula than the code's.
fn metres(from: [f64; 2], to: [f64; 2]) -> f64 {
    let vector = |[x, y]: [f64; 2]| {
        let (x, y) = (x.to_radians(), y.to_radians());
        [y.cos() * x.cos(), y.cos() * x.sin(), y.sin()]
    };
    let (from, to) = (vector(from), vector(to));
    let cross = [(1, 2), (2, 0), (0, 1)].map(|(i, j): (usize, usize)| from[i] * to[j] - from[j] * to[i]);
    let sine = cross.iter().map(|part| part * part).sum::<f64>().sqrt();
    let cosine: f64 = from.iter().zip(to).map(|(from, to)| from * to).sum();
    6_371_008.8 * sine.atan2(cosine)
}
