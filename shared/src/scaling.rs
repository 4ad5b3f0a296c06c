//! Decides how many shards a stream should have, and changes the stream to that size.
//!
//! In reading order:
//!
//! - [`shards`] makes the plan. `plan(observation, policy, now)` is a pure function; the simulator of policies and the
//!   deployed autoscaler call the same one.
//! - [`alarms`] describes CloudWatch alarms as data, evaluates them, and defines the alarms that a stream of a given
//!   size needs.
//! - [`reshard`] carries out a plan. It observes the stream, records each step before it calls Kinesis, begins one step
//!   at a time, and updates the alarms. Each step is safe to repeat.
//!
//! The autoscaler is *level-triggered*: it decides by the state of the stream, never by the event that woke it. So a
//! lost notification delays a change and never loses it.
//!
//! This room uses [`platform`](crate::platform) and [`stream`](crate::stream) only.
//!
//! ```
//! use myaku::scaling::shards::Policy;
//!
//! let wrong = Policy { min_shards: 8, max_shards: 4, ..Policy::default() };
//! assert_eq!(wrong.checked().unwrap_err()[0].field, "min_shards");
//! ```

pub mod alarms;
pub mod reshard;
pub mod shards;
