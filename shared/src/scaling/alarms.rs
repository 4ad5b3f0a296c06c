//! CloudWatch alarms: what they say, what they are to be, and when they fire.
//!
//! A notification is only a reason to look: what it says of a stream is believed of no number. Alarm definitions follow
//! from the number of open shards, so that whoever changes that number finds them right soon after. The arithmetic of
//! alarms is here with the clock passed in, so that the local runner and the simulation wait for the same data points
//! as CloudWatch does.

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
pub use shard_alarms::{AlarmChange, FoundAlarm, ShardAlarms, reconcile};
