//! How many shards a stream should have, and how it gets there.
//!
//! In reading order:
//!
//! - [`shards`]: the plan. `plan(observation, policy, now)` is a pure function; the simulator of policies and the deployed
//!   autoscaler run the very same one.
//! - [`alarms`]: CloudWatch alarms as data, their evaluation, and which alarms a stream of a given size needs.
//! - [`reshard`]: carrying a plan out. It observes the stream, begins one step at a time, notes each step before it is
//!   called, and sets the alarms again. Each step is safe to repeat.
//!
//! The autoscaler is *level-triggered*: it decides by what the stream shows, never by what woke it. A notification that is
//! lost strands nothing.
//!
//! This room uses [`platform`](crate::platform) and [`stream`](crate::stream) only.
//!
//! ```
//! use myaku::scaling::shards::Policy;
//!
//! let wrong = Policy { min_shards: 8, max_shards: 4, ..Policy::default() };
//! assert_eq!(wrong.checked().unwrap_err()[0].field, "max_shards");
//! ```

pub mod alarms;
pub mod reshard;
pub mod shards;
