//! A small rule for tests: the mean of all readings of the metric `m`, with a row of history for each minute.

use super::bytes::{CorruptedState, Reader, put_varint};
use super::{Closed, Counts, Incoming, Rule, State, Step};
use crate::device::reading::Value;
use crate::results::{Average, MetricResult};

/// The rule. Its settings say whether a reading whose id is known counts again.
pub(super) struct Sums;

/// What the settings say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ids {
    /// A reading whose id is known is a duplicate.
    Known,
    /// Each reading counts, so that one that is processed twice shows.
    Ignored,
}

/// All readings, and whether some are lost.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Sum {
    /// The id, the time and the value of each reading, in the order in which they came.
    pub(super) readings: Vec<(u64, i64, f64)>,
    pub(super) lost_until: Option<i64>,
}

/// A minute, in milliseconds.
const MINUTE_MS: i64 = 60_000;

impl Sum {
    /// The result of the readings before `end_ms`.
    fn result(&self, end_ms: i64) -> Option<MetricResult> {
        let mut readings: Vec<_> = self.readings.iter().filter(|(_, at, _)| *at < end_ms).collect();
        readings.sort_by_key(|(id, at, _)| (*at, *id));
        let (_, at, value) = **readings.last()?;
        Some(MetricResult {
            unit: "°C".to_owned(),
            value,
            at,
            clock: None,
            average: Average::of(readings.iter().map(|(_, _, value)| *value))?,
            partial: self.lost_until.is_some(),
            lost_until: self.lost_until,
        })
    }
}

impl Rule for Sums {
    type Settings = Ids;
    type State = Sum;

    fn takes(value: &Value) -> bool {
        matches!(value, Value::Number(_))
    }

    fn wants(_: &Ids, metric: &str) -> bool {
        metric == "m"
    }

    fn step(
        settings: &Ids,
        state: &mut Sum,
        reading: &Incoming<'_>,
        lost_until: Option<i64>,
    ) -> Option<Step<MetricResult>> {
        let Value::Number(value) = *reading.value else { return None };
        state.lost_until = state.lost_until.max(lost_until);
        if *settings == Ids::Known && state.readings.iter().any(|(id, ..)| *id == reading.id.digest) {
            return Some(Step::of(Counts::Duplicate));
        }
        let minute = |at: i64| at.div_euclid(MINUTE_MS) * MINUTE_MS;
        let open = state.readings.iter().map(|(_, at, _)| minute(*at)).max();
        state.readings.push((reading.id.digest, reading.at, value));
        let closed = open.filter(|open| *open < minute(reading.at));
        let history = closed.and_then(|from_ms| {
            let outcome = state.result(from_ms + MINUTE_MS)?;
            Some(Closed { seconds: 0, from_ms, outcome })
        });
        let counts = Counts::Once { late: false };
        Some(Step { history: history.into_iter().collect(), ..Step::of(counts) })
    }

    fn latest(_: &Ids, state: &Sum) -> Vec<(String, MetricResult)> {
        state.result(i64::MAX).map(|result| ("m".to_owned(), result)).into_iter().collect()
    }
}

impl State for Sum {
    type Outcome = MetricResult;

    const NAME: &'static str = "sums";
    const VERSION: u8 = 1;

    fn size_hint(&self) -> usize {
        self.readings.len() * 24
    }

    fn encode_into(&self, out: &mut Vec<u8>) {
        out.push(self.lost_until.is_some().into());
        out.extend(self.lost_until.unwrap_or_default().to_le_bytes());
        put_varint(out, self.readings.len() as u64);
        for (id, at, value) in &self.readings {
            out.extend(id.to_le_bytes());
            out.extend(at.to_le_bytes());
            out.extend(value.to_le_bytes());
        }
    }

    fn decode(_: u8, reader: &mut Reader<'_>) -> Result<Self, CorruptedState> {
        let is_lost = reader.flag()?;
        let lost_until = Some(reader.i64()?).filter(|_| is_lost);
        let count = reader.count(24)?;
        let readings = (0..count).map(|_| Ok((reader.u64()?, reader.i64()?, reader.f64()?)));
        Ok(Self { readings: readings.collect::<Result<_, _>>()?, lost_until })
    }

    fn lose(&mut self, until_ms: i64) {
        self.lost_until = self.lost_until.max(Some(until_ms));
    }
}

/// The JSON of a reading of the metric `m`.
pub(super) fn json(device: &str, id: u32, at: i64) -> String {
    format!(
        r#"{{"id":"{id}","deviceId":"{device}","facility":"home-3","metric":"m","value":{id},"unit":"","at":{at},"clock":"device","receivedAt":{at},"quality":"good"}}"#
    )
}
