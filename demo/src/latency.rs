//! Measures how long a reading takes from its publishing to the first result that counts it.
//!
//! While traffic runs, a task polls the latest rows of some devices. A row says for which record of the stream of
//! readings it was last computed, and when. Afterwards each reading of these devices is looked up in the stream. The
//! first observed row whose position is at or after the reading's record is the first result known to count it. A row
//! that is overwritten between two polls is not observed, which makes a latency longer, never shorter. A row's time is
//! when it was computed; the write that follows takes some milliseconds more, which are not included.

use super::evidence::{results, stream::Record};
use crate::traffic::At;
use crate::traffic::SentMessage;
use anyhow::Result;
use aws_sdk_dynamodb::Client;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;
use tokio::sync::watch;

/// How many devices are polled.
const DEVICES: usize = 12;
/// Between two polls of all of them.
const INTERVAL: Duration = Duration::from_millis(300);
/// The histogram measures latencies up to an hour, to three digits.
const LONGEST_MS: u64 = 3_600_000;
const DIGITS: u8 = 3;

/// The rows that were observed: by device and metric, the time of each by its position.
#[derive(Debug, Default)]
pub struct Seen(HashMap<(String, String), BTreeMap<String, i64>>);

/// A distribution, in milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Latency {
    /// The definition of this latency, in words.
    pub of: String,
    /// How many readings were measured.
    pub samples: u64,
    /// Mean.
    pub mean_ms: f64,
    /// Median.
    pub p50_ms: u64,
    /// 95 of 100 are not longer.
    pub p95_ms: u64,
    /// 99 of 100 are not longer.
    pub p99_ms: u64,
    /// 999 of 1000 are not longer.
    pub p999_ms: u64,
    /// The longest.
    pub max_ms: u64,
}

impl Seen {
    /// Polls some of `devices` until `stop` is true.
    pub async fn watch(
        client: Client,
        table: String,
        devices: impl IntoIterator<Item = String>,
        mut stop: watch::Receiver<bool>,
    ) -> Self {
        let devices = devices.into_iter().take(DEVICES).collect::<Vec<_>>();
        let mut seen = Self::default();
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                _ = stop.wait_for(|stop| *stop) => return seen,
            }
            for device in &devices {
                // A failed poll is a missed poll: the next one follows.
                if let Ok(rows) = results::of_device(&client, &table, device).await {
                    for row in rows {
                        seen.note(row);
                    }
                }
            }
        }
    }

    fn note(&mut self, row: results::Latest) {
        let rows = self.0.entry((row.device, row.metric)).or_default();
        rows.entry(row.position).or_insert(row.updated_ms);
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenReading {
    device_id: String,
    metric: String,
    at: i64,
}

/// The latencies of the readings of `sent` whose results were seen.
pub fn measure(sent: &[SentMessage], readings: &[Record], seen: &Seen) -> Result<Latency> {
    let mut histogram = Histogram::<u64>::new_with_bounds(1, LONGEST_MS, DIGITS)?;
    let published = published(sent, seen);
    for record in readings {
        let Ok(reading) = serde_json::from_slice::<WrittenReading>(&record.data) else { continue };
        let name = (reading.device_id, reading.metric);
        let Some(Some(published_ms)) = published.get(&(name.clone(), reading.at)) else { continue };
        let first_result = seen.0.get(&name).and_then(|rows| rows.range(record.position()..).next());
        if let Some((_, updated_ms)) = first_result {
            histogram.saturating_record(updated_ms.saturating_sub(*published_ms).max(1) as u64);
        }
    }
    Ok(Latency {
        of: "from publishing a message to computing the first observed result that counts its reading".to_owned(),
        samples: histogram.len(),
        mean_ms: histogram.mean(),
        p50_ms: histogram.value_at_quantile(0.5),
        p95_ms: histogram.value_at_quantile(0.95),
        p99_ms: histogram.value_at_quantile(0.99),
        p999_ms: histogram.value_at_quantile(0.999),
        max_ms: histogram.max(),
    })
}

type Name = (String, String);

/// When each reading was published; `None` where two messages have readings of the same time.
fn published(sent: &[SentMessage], seen: &Seen) -> HashMap<(Name, i64), Option<i64>> {
    let mut published = HashMap::new();
    for sent in sent {
        for reading in &sent.planned.readings {
            let name = (sent.planned.device.clone(), reading.metric.to_owned());
            if let At::Device(at_ms) = reading.at
                && seen.0.contains_key(&name)
            {
                published.entry((name, at_ms)).and_modify(|known| *known = None).or_insert(Some(sent.published_ms));
            }
        }
    }
    published
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traffic::{Expected, Planned, Route};
    use myaku::device::reading::Value;

    fn sent(number: usize, at_ms: i64, published_ms: i64) -> SentMessage {
        let reading = Expected { metric: "pulse", value: Value::Number(60.0), at: At::Device(at_ms), flagged: false };
        let planned = Planned {
            number,
            made_at_ms: published_ms,
            device: "bed".to_owned(),
            facility: "home".to_owned(),
            kind: "vital",
            route: Route::Mqtt,
            payload: Vec::new(),
            readings: vec![reading],
            dead_letters: Vec::new(),
            mishap: None,
            repeats: None,
        };
        SentMessage::new(planned, published_ms)
    }

    fn record(sequence: &str, at_ms: i64) -> Record {
        let data = format!(r#"{{"deviceId":"bed","metric":"pulse","at":{at_ms}}}"#).into_bytes();
        Record {
            shard: "s".to_owned(),
            sequence: sequence.to_owned(),
            sub: 0,
            key: "bed".to_owned(),
            arrived_ms: 0,
            data,
        }
    }

    fn row(sequence: &str, updated_ms: i64) -> results::Latest {
        let position = record(sequence, 0).position();
        results::Latest {
            device: "bed".to_owned(),
            metric: "pulse".to_owned(),
            position,
            updated_ms,
            ..Default::default()
        }
    }

    #[test]
    fn a_reading_is_counted_by_the_first_row_at_or_after_its_record() {
        let mut seen = Seen::default();
        for row in [row("9", 1_500), row("10", 3_000), row("10", 9_000)] {
            seen.note(row);
        }
        let sent = [sent(0, 100, 1_000), sent(1, 200, 1_000), sent(2, 300, 1_000)];
        // The last reading's result was never observed.
        let readings = [record("9", 100), record("10", 200), record("11", 300)];
        let latency = measure(&sent, &readings, &seen).unwrap();
        assert_eq!((latency.samples, latency.p50_ms, latency.max_ms / 10), (2, 500, 200));
    }

    #[test]
    fn readings_of_the_same_time_are_not_measured() {
        let mut seen = Seen::default();
        seen.note(row("9", 1_500));
        let latency = measure(&[sent(0, 100, 1), sent(1, 100, 2)], &[record("9", 100)], &seen).unwrap();
        assert_eq!(latency.samples, 0);
    }
}
