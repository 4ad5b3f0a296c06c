//! Plans how many shards a stream should have: an observation, a policy and the time go in, steps come out.
//!
//! Everything here is pure, so the plan is tested without a cloud. The local tool, the function and the simulation of
//! years of load call the same functions.
//!
//! Promise 6: the stream grows before it throttles, and shrinks only when that is safe. A plan leaves no decision to
//! the code that executes it.
//!
//! Each plan follows from a new observation alone. A lost notification, an interrupted plan or a change by hand needs
//! no repair: the next observation shows its effect.

mod capacity;
mod consumer;
mod demand;
mod habits;
mod keyspace;
mod load;
mod observation;
mod plan;
mod policy;
mod step;

pub use capacity::{Capacity, DAILY_CALLS_MAX, SHARDS_MAX};
pub use consumer::{Consumer, FanOut};
pub use demand::Demand;
pub use habits::Habits;
pub use keyspace::{Keyspace, KeyspaceError};
pub use load::{Load, Series};
pub use observation::{Change, Direction, Limits, Observation, OpenShard, StreamMode, StreamStatus};
pub use plan::{Plan, even, plan};
pub use policy::{Mode, Policy, PolicyError, Scheduled, ShardRule, StreamRule, TargetRule};
pub use step::Step;

#[cfg(test)]
mod tests;
