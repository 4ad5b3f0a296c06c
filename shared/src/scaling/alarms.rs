//! CloudWatch alarms: reads their notifications, defines the alarms of a stream, and evaluates alarms.
//!
//! A notification is only a reason to observe the stream: no number in it is trusted. Alarm definitions follow from the
//! number of open shards, so they are corrected soon after that number changes, by the autoscaler or by hand. Alarms
//! are evaluated here with the clock passed in, so that the local runner and the simulation wait for the same data
//! points as CloudWatch does.

mod definition;
mod evaluation;
mod math;
mod notification;
mod shard_alarms;

pub use definition::{
    AlarmDefinition, AlarmError, Comparison, MetricId, MetricQuery, MetricStat, MissingData, Query, Statistic,
};
pub use evaluation::{Alarm, AlarmState, EVALUATION_RANGE_EXTRA, Metrics, Transition};
pub use math::{Expression, MathError, Value};
pub use notification::{Notification, NotificationError, Sender, notifications};
pub use shard_alarms::{AlarmChange, ExistingAlarm, ShardAlarms, reconcile};
