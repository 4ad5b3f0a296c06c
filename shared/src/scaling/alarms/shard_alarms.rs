//! The alarms of a stream's shards: what they are for so many open shards, and how those that are there become right.

use super::definition::{
    AlarmDefinition, Comparison, MetricId, MetricQuery, MetricStat, MissingData, Query, Statistic,
};
use super::evaluation::AlarmState;
use super::math::MathError;
use crate::scaling::shards::{Capacity, Mode, Policy};

/// The alarms that tell of a stream's load. Their names follow from the prefix, so that a template can refer to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardAlarms {
    /// The stream's name.
    pub stream: String,
    /// What their names begin with: `<prefix>-high`, `<prefix>-low`, `<prefix>-throttled`.
    pub prefix: String,
    /// Whom they tell: the topic's ARN.
    pub actions: Vec<String>,
}

impl ShardAlarms {
    /// The definitions for `open` shards of `capacity` each, with the marks of `policy`.
    ///
    /// Load is the greater of records and bytes, each against what the open shards take in a minute. Where a metric is
    /// missing the load is unknown, which is neither busy nor idle.
    pub fn definitions(
        &self,
        open: u32,
        capacity: &Capacity,
        policy: &Policy,
    ) -> Result<Vec<AlarmDefinition>, MathError> {
        let marks = Marks::of(policy);
        let load = self.load(open, capacity)?;
        let high = AlarmDefinition {
            name: format!("{}-high", self.prefix),
            description: format!("{} is over {:.0} % of its {open} shards.", self.stream, marks.high * 100.0),
            metrics: load.clone(),
            evaluation_periods: marks.high_minutes,
            datapoints_to_alarm: marks.high_datapoints,
            threshold: marks.high,
            comparison: Comparison::GreaterThanThreshold,
            missing_data: MissingData::NotBreaching,
            alarm_actions: self.actions.clone(),
            ok_actions: Vec::new(),
            insufficient_data_actions: Vec::new(),
        };
        let low = AlarmDefinition {
            name: format!("{}-low", self.prefix),
            description: format!("{} is under {:.0} % of its {open} shards.", self.stream, marks.low * 100.0),
            evaluation_periods: marks.low_minutes,
            datapoints_to_alarm: marks.low_datapoints,
            threshold: marks.low,
            comparison: Comparison::LessThanThreshold,
            ..high.clone()
        };
        let throttled = AlarmDefinition {
            name: format!("{}-throttled", self.prefix),
            description: format!("{} refuses records.", self.stream),
            metrics: vec![self.metric("refused", "WriteProvisionedThroughputExceeded", true)],
            evaluation_periods: 1,
            datapoints_to_alarm: 1,
            threshold: 0.0,
            ..high.clone()
        };
        Ok(vec![high, low, throttled])
    }

    fn load(&self, open: u32, capacity: &Capacity) -> Result<Vec<MetricQuery>, MathError> {
        let minute = f64::from(open) * 60.0;
        let (records, bytes) = (capacity.records_per_s * minute, capacity.bytes_per_s * minute);
        let load = MetricQuery {
            id: "load".to_owned(),
            label: Some(format!("Share of what {open} shards take")),
            query: Query::Math(format!("MAX([records / {records}, bytes / {bytes}])").parse()?),
            return_data: true,
        };
        let (records, bytes) =
            (self.metric("records", "IncomingRecords", false), self.metric("bytes", "IncomingBytes", false));
        Ok(vec![load, records, bytes])
    }

    fn metric(&self, id: &str, name: &str, return_data: bool) -> MetricQuery {
        let metric = MetricId::with("AWS/Kinesis", name, "StreamName", &self.stream);
        let stat = MetricStat { metric, period_s: 60, statistic: Statistic::Sum };
        MetricQuery { id: id.to_owned(), label: None, query: Query::Metric(stat), return_data }
    }
}

/// When a policy wants to be told.
struct Marks {
    high: f64,
    high_minutes: u32,
    high_datapoints: u32,
    low: f64,
    low_minutes: u32,
    low_datapoints: u32,
}

impl Marks {
    fn of(policy: &Policy) -> Self {
        let (stream, target, shard) = (&policy.stream, &policy.target, &policy.shard);
        let plain = |high: f64, high_minutes: u32, low: f64, low_minutes: u32| Self {
            high,
            high_minutes,
            high_datapoints: high_minutes,
            low,
            low_minutes,
            low_datapoints: low_minutes,
        };
        match policy.mode {
            Mode::Stream => Self {
                high: stream.grow_above,
                high_minutes: stream.grow_minutes,
                high_datapoints: stream.grow_datapoints,
                low: stream.shrink_below,
                low_minutes: stream.shrink_minutes,
                low_datapoints: stream.shrink_datapoints,
            },
            // The size follows the load by the minute; the alarms only make a tick of it early.
            Mode::Target => plain(target.utilisation, 1, target.utilisation / 2.0, target.shrink_minutes),
            Mode::Shard => plain(shard.split_above, shard.split_minutes, shard.merge_below / 2.0, shard.merge_minutes),
        }
    }
}

/// An alarm that is there.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundAlarm {
    /// What it is.
    pub definition: AlarmDefinition,
    /// Its state.
    pub state: AlarmState,
}

/// A call that makes an alarm right.
#[derive(Clone, Debug, PartialEq)]
pub enum AlarmChange {
    /// PutMetricAlarm: it is missing, or for another number of shards.
    Put(AlarmDefinition),
    /// `SetAlarmState` to `INSUFFICIENT_DATA`: since its state outlives a new definition, and actions are carried out on
    /// changes only, an alarm that still breaches would otherwise never tell of it again.
    Reset(String),
}

/// The calls that make the alarms that were `found` what is `wanted`, in their order; none when they are. Alarms under
/// other names are left alone.
pub fn reconcile(wanted: Vec<AlarmDefinition>, found: &[FoundAlarm]) -> Vec<AlarmChange> {
    let mut changes = Vec::new();
    for definition in wanted {
        let present = found.iter().find(|alarm| alarm.definition.name == definition.name);
        if present.is_some_and(|alarm| alarm.definition == definition) {
            continue;
        }
        let reset = present
            .filter(|alarm| alarm.state == AlarmState::Alarm)
            .map(|alarm| AlarmChange::Reset(alarm.definition.name.clone()));
        changes.push(AlarmChange::Put(definition));
        changes.extend(reset);
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scaling::alarms::{Alarm, Metrics};

    fn alarms() -> ShardAlarms {
        ShardAlarms { stream: "ingest".into(), prefix: "ingest-load".into(), actions: vec!["topic".into()] }
    }

    fn definitions(open: u32) -> Vec<AlarmDefinition> {
        let policy = Policy { mode: Mode::Stream, ..Policy::default() };
        alarms().definitions(open, &Capacity::of(&[]), &policy).unwrap()
    }

    /// So many records a minute, and bytes.
    struct Minute(Option<f64>, Option<f64>);

    impl Metrics for Minute {
        fn value(&self, stat: &MetricStat, _: i64) -> Option<f64> {
            match stat.metric.name.as_str() {
                "IncomingRecords" => self.0,
                "IncomingBytes" => self.1,
                _ => None,
            }
        }
    }

    fn state(definition: &AlarmDefinition, metrics: &Minute) -> AlarmState {
        let mut alarm = Alarm::new(definition.clone(), 0).unwrap();
        alarm.evaluate(metrics, 3_600_000).unwrap();
        alarm.state()
    }

    #[test]
    fn the_marks_are_shares_of_what_the_open_shards_take_by_the_nearer_limit() {
        let [high, low, _] = definitions(2).try_into().unwrap();
        let (records, bytes) = (2.0 * 60_000.0, 2.0 * 60.0 * 1_048_576.0);
        assert_eq!(state(&high, &Minute(Some(records * 0.81), Some(0.0))), AlarmState::Alarm);
        assert_eq!(state(&high, &Minute(Some(0.0), Some(bytes * 0.81))), AlarmState::Alarm);
        assert_eq!(state(&high, &Minute(Some(records * 0.79), Some(bytes * 0.79))), AlarmState::Ok);
        assert_eq!(state(&low, &Minute(Some(records * 0.19), Some(bytes * 0.21))), AlarmState::Ok);
        assert_eq!(state(&low, &Minute(Some(records * 0.19), Some(bytes * 0.19))), AlarmState::Alarm);
        assert_eq!((high.evaluation_periods, low.evaluation_periods), (5, 30));
    }

    #[test]
    fn missing_data_is_neither_busy_nor_idle() {
        for definition in definitions(2) {
            assert_eq!(state(&definition, &Minute(None, None)), AlarmState::Ok, "{}", definition.name);
        }
    }

    #[test]
    fn alarms_that_are_right_are_left_alone_and_others_are_put_and_told_to_fire_again() {
        let found = |open, state| {
            let found = definitions(open).into_iter().map(|definition| FoundAlarm { definition, state });
            found.collect::<Vec<_>>()
        };
        assert_eq!(reconcile(definitions(4), &found(4, AlarmState::Alarm)), []);
        let [high, low, throttled] = definitions(4).try_into().unwrap();
        let put = [AlarmChange::Put(high.clone()), AlarmChange::Put(low.clone())];
        assert_eq!(reconcile(definitions(4), &found(2, AlarmState::Ok)), put);
        let reset = |definition: &AlarmDefinition| AlarmChange::Reset(definition.name.clone());
        let fired = reconcile(definitions(4), &found(2, AlarmState::Alarm));
        assert_eq!(fired, [put[0].clone(), reset(&high), put[1].clone(), reset(&low)]);
        let missing = reconcile(definitions(4), &[]);
        assert_eq!(missing.last(), Some(&AlarmChange::Put(throttled)));
    }
}
