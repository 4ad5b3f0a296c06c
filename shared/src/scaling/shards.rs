//! The keyspace, its load, and the plan that makes them fit. Pure: time, load and quotas come in, steps come out.
//!
//! Promise 6: the stream grows before it throttles, and shrinks only when that is safe. Whoever executes a plan has no
//! decision left to take; whoever decides sees no cloud. So the local tool, the function and the simulation of years of
//! load share these very functions.
//!
//! A plan is made anew from what is observed, again and again: a lost notification, a plan that was cut short or a hand
//! that interfered leave nothing behind that the next observation does not show.

mod capacity;
mod demand;
mod keyspace;
mod observation;
mod plan;
mod policy;

pub use capacity::{Capacity, DAILY_CALLS_MAX, SHARDS_MAX};
pub use demand::{Demand, Habits};
pub use keyspace::{Keyspace, KeyspaceError};
pub use observation::{
    Change, Consumer, Direction, FanOut, Limits, Load, Observation, OpenShard, Series, StreamMode, StreamStatus,
};
pub use plan::{Plan, Step, even, plan};
pub use policy::{Mode, Policy, PolicyError, Scheduled, ShardRule, StreamRule, TargetRule};

#[cfg(test)]
mod tests;
