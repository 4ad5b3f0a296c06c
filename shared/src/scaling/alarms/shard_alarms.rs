//! The alarms on a stream's load: their definitions for a number of open shards, and the calls that correct existing
//! ones.

use super::definition::{
    AlarmDefinition, Comparison, MetricId, MetricQuery, MetricStat, MissingData, Query, Statistic,
};
use super::evaluation::AlarmState;
use super::math::MathError;
use crate::scaling::shards::{Capacity, Mode, Policy};

/// The alarms on a stream's load. Their names follow from the prefix, so that a template can refer to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardAlarms {
    /// The stream's name.
    pub stream: String,
    /// The beginning of their names: `<prefix>-high`, `<prefix>-low`, `<prefix>-throttled`.
    pub prefix: String,
    /// The targets that they notify: the topic's ARN.
    pub actions: Vec<String>,
}

impl ShardAlarms {
    /// The names of all alarms. Other alarms are not the stream's, however their names begin.
    pub fn names(&self) -> [String; 3] {
        ["high", "low", "throttled"].map(|of| format!("{}-{of}", self.prefix))
    }

    /// The definitions for `open` shards with a `capacity` each, with the thresholds of `policy`.
    ///
    /// The load is the greater of records and bytes, each as a share of what the open shards accept in a minute. If a
    /// metric is missing, the load is unknown, and neither the high nor the low alarm fires.
    pub fn definitions(
        &self,
        open: u32,
        capacity: &Capacity,
        policy: &Policy,
    ) -> Result<Vec<AlarmDefinition>, MathError> {
        let marks = Thresholds::of(policy);
        let load = self.load(open, capacity)?;
        let [high, low, throttled] = self.names();
        let high = AlarmDefinition {
            name: high,
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
            name: low,
            description: format!("{} is under {:.0} % of its {open} shards.", self.stream, marks.low * 100.0),
            evaluation_periods: marks.low_minutes,
            datapoints_to_alarm: marks.low_datapoints,
            threshold: marks.low,
            comparison: Comparison::LessThanThreshold,
            ..high.clone()
        };
        let throttled = AlarmDefinition {
            name: throttled,
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

/// The thresholds and periods of a policy's alarms.
struct Thresholds {
    high: f64,
    high_minutes: u32,
    high_datapoints: u32,
    low: f64,
    low_minutes: u32,
    low_datapoints: u32,
}

impl Thresholds {
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
            // The autoscaler follows the load every minute; the alarms only start a tick earlier.
            Mode::Target => plain(target.utilisation, 1, target.utilisation / 2.0, target.shrink_minutes),
            Mode::Shard => plain(shard.split_above, shard.split_minutes, shard.merge_below / 2.0, shard.merge_minutes),
        }
    }
}

/// An alarm that CloudWatch has.
#[derive(Clone, Debug, PartialEq)]
pub struct ExistingAlarm {
    /// Its definition.
    pub definition: AlarmDefinition,
    /// Its state.
    pub state: AlarmState,
}

/// A call that corrects an alarm.
#[derive(Clone, Debug, PartialEq)]
pub enum AlarmChange {
    /// PutMetricAlarm: the alarm is missing, or its definition is for another number of shards.
    Put(AlarmDefinition),
    /// `SetAlarmState` to `INSUFFICIENT_DATA`. An alarm keeps its state under a new definition, and CloudWatch carries
    /// out actions on changes only. So without a reset, an alarm that still breaches would never notify again.
    Reset(String),
}

/// The calls, in order, that turn the `existing` alarms into the `wanted` ones; none if they are right already. Alarms
/// with other names are left alone.
pub fn reconcile(wanted: Vec<AlarmDefinition>, existing: &[ExistingAlarm]) -> Vec<AlarmChange> {
    let mut changes = Vec::new();
    for definition in wanted {
        let present = existing.iter().find(|alarm| alarm.definition.name == definition.name);
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

    /// Records and bytes of every minute.
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
    fn thresholds_are_shares_of_what_the_open_shards_accept_by_the_nearer_limit() {
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
    fn no_alarm_fires_on_missing_data() {
        for definition in definitions(2) {
            assert_eq!(state(&definition, &Minute(None, None)), AlarmState::Ok, "{}", definition.name);
        }
    }

    #[test]
    fn right_alarms_are_left_alone_and_others_are_redefined_and_reset_if_they_fired() {
        let existing = |open, state| {
            let alarms = definitions(open).into_iter().map(|definition| ExistingAlarm { definition, state });
            alarms.collect::<Vec<_>>()
        };
        assert_eq!(reconcile(definitions(4), &existing(4, AlarmState::Alarm)), []);
        let [high, low, throttled] = definitions(4).try_into().unwrap();
        let put = [AlarmChange::Put(high.clone()), AlarmChange::Put(low.clone())];
        assert_eq!(reconcile(definitions(4), &existing(2, AlarmState::Ok)), put);
        let reset = |definition: &AlarmDefinition| AlarmChange::Reset(definition.name.clone());
        let fired = reconcile(definitions(4), &existing(2, AlarmState::Alarm));
        assert_eq!(fired, [put[0].clone(), reset(&high), put[1].clone(), reset(&low)]);
        let missing = reconcile(definitions(4), &[]);
        assert_eq!(missing.last(), Some(&AlarmChange::Put(throttled)));
    }
}
